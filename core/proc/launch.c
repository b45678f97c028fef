#include "core/proc/launch.h"

#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const passed_on[] = {
    "PATH",          "HOME",           "LANG",           "TZ", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME",
    "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"};
enum { PASSED_ON = sizeof passed_on / sizeof *passed_on };

static char **read_argv(const char *command, const json_t *args)
{
    size_t count = json_array_size(args), n = 0;
    char **argv = mem_array(count + 2, sizeof *argv);
    argv[n++] = mem_text(command);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(args, i));
        if (text)
            argv[n++] = mem_text(text);
    }
    return argv;
}

static char **read_env(json_t *wanted)
{
    char **env = mem_array(PASSED_ON + json_object_size(wanted) + 1, sizeof *env);
    size_t n = 0;
    for (size_t i = 0; i < PASSED_ON; i++) {
        const char *value = getenv(passed_on[i]);
        if (value && !json_object_get(wanted, passed_on[i]))
            env[n++] = text_format("%s=%s", passed_on[i], value);
    }
    const char *name;
    json_t *value;
    json_object_foreach (wanted, name, value) {
        if (json_is_string(value))
            env[n++] = text_format("%s=%s", name, json_string_value(value));
    }
    return env;
}

static int check(const char *path)
{
    struct stat about;
    if (stat(path, &about) < 0)
        return -errno;
    if (!S_ISREG(about.st_mode))
        return -EACCES;
    return access(path, X_OK) < 0 ? -errno : 0;
}

/* As execvp does, but without its habit of giving what it cannot run to a shell. */
static int look_up(const char *command, const char *cwd, char **out)
{
    if (strchr(command, '/')) { /* relative to where it will run */
        *out = command[0] == '/' || !cwd ? mem_text(command) : text_format("%s/%s", cwd, command);
        return check(*out);
    }
    const char *at = getenv("PATH");
    at = at && *at ? at : "/usr/local/bin:/usr/bin:/bin";
    int rc = -ENOENT;
    for (; at; at = *at ? at + 1 : NULL) {
        size_t n = strcspn(at, ":");
        free(*out);
        *out = n ? text_format("%.*s/%s", (int)n, at, command) : text_format("./%s", command);
        int found = check(*out);
        if (found == 0)
            return 0;
        /* It is there: the better reason, if nothing better comes. */
        if (found == -EACCES && access(*out, F_OK) == 0)
            rc = found;
        at += n;
    }
    return rc;
}

int launch_read(struct bytes text, struct launch *out, struct why *why)
{
    _cleanup_json_ json_t *tree = json_read(text, why);
    if (!tree)
        return -EINVAL;
    const char *command = json_str(tree, "command");
    const char *cwd = json_str(tree, "cwd");
    if (!command || !*command)
        return why_set(why, -EINVAL, "there is no command to run");
    const json_t *limits = json_object_get(tree, "limits");
    *out = (struct launch){.command = mem_text(command),
                           .cwd = mem_text(cwd),
                           .argv = read_argv(command, json_object_get(tree, "args")),
                           .env = read_env(json_object_get(tree, "env")),
                           .files = json_int(limits, "files", 0),
                           .data = json_int(limits, "data", 0)};
    int rc = look_up(command, cwd, &out->path);
    if (rc < 0) {
        why_errno(why, -rc, "cannot run '%s'", command);
        launch_end(out);
    }
    return rc;
}

static void free_texts(char **texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        free(texts[i]);
    free(texts);
}

void launch_end(struct launch *l)
{
    free(l->command);
    free(l->path);
    free(l->cwd);
    free_texts(l->argv);
    free_texts(l->env);
    *l = (struct launch){0};
}

static void limit(int what, int64_t most)
{
    const struct rlimit wanted = {(rlim_t)most, (rlim_t)most};
    if (most > 0)
        setrlimit(what, &wanted); /* above our own limit it is refused, and ours holds */
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int signo = 1; signo < NSIG; signo++)
        signal(signo, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

enum { AT_FOLDER, AT_EXEC };
struct failure {
    int at, error;
};

static void fail(int report, int at)
{
    struct failure failure = {at, errno};
    ssize_t n = write(report, &failure, sizeof failure);
    _exit(n < 0 ? 126 : 127);
}

/* Between fork and exec: system calls only. */
static void child(const struct launch *l, int line, int error, int report)
{
    setsid();
    reset_signals();
    limit(RLIMIT_NOFILE, l->files);
    limit(RLIMIT_DATA,
          l->data); /* never RLIMIT_AS: JavaScript engines reserve address space they never touch */
    if (l->cwd && chdir(l->cwd) < 0)
        fail(report, AT_FOLDER);
    if (dup2(line, STDIN_FILENO) < 0 || dup2(line, STDOUT_FILENO) < 0 || dup2(error, STDERR_FILENO) < 0)
        fail(report, AT_EXEC);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execve(l->path, l->argv, l->env);
    fail(report, AT_EXEC);
}

pid_t launch_start(const struct launch *l, int line, int error, bool dies_with_us, struct why *why)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return why_errno(why, errno, "cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        if (dies_with_us)
            prctl(PR_SET_PDEATHSIG, SIGKILL);
        child(l, line, error, report[1]);
    }
    int rc = pid < 0 ? why_errno(why, errno, "cannot fork for '%s'", l->command) : 0;
    close(report[1]);
    struct failure failure;
    ssize_t n = 0;
    while (rc == 0 && (n = read(report[0], &failure, sizeof failure)) < 0 && errno == EINTR)
        ;
    close(report[0]);
    if (rc < 0)
        return rc;
    if (n != sizeof failure)
        return pid;
    waitpid(pid, NULL, 0);
    return failure.at == AT_FOLDER ? why_errno(why, failure.error, "cannot enter folder '%s'", l->cwd)
                                   : why_errno(why, failure.error, "cannot run '%s'", l->command);
}
