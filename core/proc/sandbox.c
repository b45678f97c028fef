#include "core/proc/sandbox.h"

#include "core/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Refused to everybody: they change or look into the machine, never one's own work. */
static const int machine_calls[] = {
    SCMP_SYS(kexec_load),      SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module),     SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),   SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open), SCMP_SYS(keyctl),
    SCMP_SYS(add_key),         SCMP_SYS(request_key),
    SCMP_SYS(reboot),          SCMP_SYS(swapon),
    SCMP_SYS(swapoff),         SCMP_SYS(acct),
    SCMP_SYS(settimeofday),    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),        SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),   SCMP_SYS(open_by_handle_at),
    SCMP_SYS(userfaultfd),     SCMP_SYS(quotactl),
};

/* Refused to our own roles besides: they look into other processes, start some, or leave their place. */
static const int own_calls[] = {
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(connect),
#ifndef __SANITIZE_ADDRESS__ /* the leak checker attaches to its own process */
    SCMP_SYS(ptrace),
#endif
};

static int refuse(scmp_filter_ctx filter, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
        if (rc < 0 && rc != -EDOM && rc != -EFAULT) /* a call this machine does not have */
            return rc;
    }
    return 0;
}

static int fill(scmp_filter_ctx filter, bool is_foreign)
{
    int rc = refuse(filter, machine_calls, sizeof machine_calls / sizeof *machine_calls);
    if (rc < 0)
        return rc;
    if (is_foreign) /* programs of the 32-bit world run as they always did */
        return seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
    rc = refuse(filter, own_calls, sizeof own_calls / sizeof *own_calls);
    if (rc < 0)
        return rc;
    /* No network, and no netlink or packet sockets either. */
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
                            SCMP_A0(SCMP_CMP_NE, AF_UNIX));
}

static bool has_seccomp(void)
{
    const unsigned action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static int enter_calls(bool is_foreign, struct why *why)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return why_set(why, -1, "cannot make a system call filter");
    int rc = fill(filter, is_foreign);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc < 0 ? why_errno(why, -rc, "cannot load the system call filter") : 0;
}

static int landlock_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* Rights that later kernels know, by the number Debian 12's headers may not have. */
#define RIGHT_REFER (1ULL << 13)
#define RIGHT_TRUNCATE (1ULL << 14)

static const uint64_t reading =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE;
static const uint64_t writing = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                                LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                                LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
static const uint64_t of_a_file = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE |
                                  LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE;

/* What any program reads: libraries, time zones, names of users, devices, itself. */
static const char *const system_places[] = {"/usr", "/lib", "/lib64", "/etc", "/proc", "/dev", "/sys", NULL};
static const char *const sinks[] = {"/dev/null", NULL};

static int allow(int rules, const char *const *paths, uint64_t rights, struct why *why)
{
    for (; paths && *paths; paths++) {
        _cleanup_fd_ int fd = open(*paths, O_PATH | O_CLOEXEC);
        struct stat about;
        if (fd < 0 || fstat(fd, &about) < 0)
            continue; /* what is not there needs no rule */
        struct landlock_path_beneath_attr beneath = {
            .allowed_access = S_ISDIR(about.st_mode) ? rights : rights & of_a_file, .parent_fd = fd};
        if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
            return why_errno(why, errno, "cannot confine access to '%s'", *paths);
    }
    return 0;
}

static int enter_files(const struct sandbox *s, int abi, struct why *why)
{
    uint64_t writes = writing | (abi >= 2 ? RIGHT_REFER : 0) | (abi >= 3 ? RIGHT_TRUNCATE : 0);
    const struct landlock_ruleset_attr handled = {.handled_access_fs = writes | (s->read ? reading : 0)};
    _cleanup_fd_ int rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (rules < 0)
        return why_errno(why, errno, "cannot make file rules");
    int rc = 0;
    if (s->read) {
        rc = allow(rules, system_places, reading, why);
        rc = rc < 0 ? rc : allow(rules, s->read, reading, why);
    }
    rc = rc < 0 ? rc : allow(rules, sinks, writes, why);
    rc = rc < 0 ? rc : allow(rules, s->write, writes | (s->read ? reading : 0), why);
    if (rc == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        rc = why_errno(why, errno, "cannot confine access to files");
    return rc;
}

int sandbox_enter(const struct sandbox *s, struct why *why)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return SANDBOX_NONE;
    int abi = landlock_abi(); /* asked first: the filter below need not know these calls */
    bool confines_files = !s->is_foreign && abi >= 1;
    if (confines_files && enter_files(s, abi, why) < 0)
        return -1;
    if (!has_seccomp())
        return SANDBOX_FLAGS;
    if (enter_calls(s->is_foreign, why) < 0)
        return -1;
    return confines_files ? SANDBOX_FILES : SANDBOX_CALLS;
}

int sandbox_reach(void)
{
    if (!has_seccomp())
        return SANDBOX_FLAGS;
    return landlock_abi() >= 1 ? SANDBOX_FILES : SANDBOX_CALLS;
}
