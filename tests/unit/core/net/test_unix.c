#include "core/net/unix.h"
#include "tests/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int dial(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void tcp_addresses_are_bound_as_written(void **state)
{
    char name[64];
    (void)state;
    int fd = listen_open("127.0.0.1:0", 0, kit_why());
    assert_true(fd >= 0);
    assert_int_equal(listen_name(fd, name, sizeof(name)), 0);
    assert_memory_equal(name, "127.0.0.1:", 10);
    assert_true(strtol(name + 10, NULL, 10) > 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    fails_with(-EADDRINUSE, name, listen_open(name, 0, kit_why()));
    close(fd);
    fd = listen_open("[::1]:0", 0, kit_why());
    if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
        return; /* no IPv6 on this machine */
    assert_true(fd >= 0);
    assert_int_equal(listen_name(fd, name, sizeof(name)), 0);
    assert_memory_equal(name, "[::1]:", 6);
    close(fd);
}

static void nonsense_is_no_address(void **state)
{
    static const char *const bad[] = {
        "",        "127.0.0.1", "localhost:80", "127.0.0.1:", "127.0.0.1:65536", ":80",
        "[::1]80", "::1:80",    "127.0.0.1:8a", "unix:",      "[x]:80",          "127.0.0.1:-1"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        fails_with(-EINVAL, "not an address", listen_open(bad[i], 0, kit_why()));
}

static void a_unix_socket_has_its_mode_and_tells_who_is_there(void **state)
{
    char address[256], name[256];
    struct stat st;
    int64_t uid = -1;
    (void)state;
    mode_t old = umask(077);
    snprintf(address, sizeof(address), "unix:%s", kit_path("api.sock"));
    int fd = listen_open(address, 0660, kit_why());
    umask(old);
    assert_true(fd >= 0);
    assert_int_equal(stat(address + 5, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(listen_name(fd, name, sizeof(name)), 0);
    assert_string_equal(name, address);
    int client = dial(address + 5), served = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(unix_peer_uid(served, &uid), 0);
    assert_int_equal(uid, getuid());
    fails_with(-EADDRINUSE, "cannot listen on", listen_open(address, 0660, kit_why())); /* one that answers */
    close(client);
    close(served);
    close(fd);
    fd = listen_open(address, 0600, kit_why()); /* one that nobody listens on */
    assert_true(fd >= 0);
    client = dial(address + 5);
    assert_true(client >= 0);
    close(client);
    close(fd);
}

static void a_file_that_is_no_socket_stays(void **state)
{
    char address[256];
    (void)state;
    snprintf(address, sizeof(address), "unix:%s", kit_file("precious", "text"));
    fails_with(-EADDRINUSE, "cannot listen on", listen_open(address, 0660, kit_why()));
    assert_int_equal(access(address + 5, F_OK), 0);
}

KIT_MAIN(cmocka_unit_test(tcp_addresses_are_bound_as_written), cmocka_unit_test(nonsense_is_no_address),
         cmocka_unit_test(a_unix_socket_has_its_mode_and_tells_who_is_there),
         cmocka_unit_test(a_file_that_is_no_socket_stays))
