#include "core/base/fd.h"
#include "core/proc/listeners.h"
#include "tests/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A kernel of the test's own: what it refuses is listed, the rest is an open file. */
static const char *taken[8];
static int refusal;
static char asked[1024];

static int bind_there(const char *address, unsigned mode, struct why *why)
{
    (void)mode;
    size_t n = strlen(asked);
    snprintf(asked + n, sizeof asked - n, "%s ", address);
    for (size_t i = 0; i < 8 && taken[i]; i++) {
        if (strstr(address, taken[i]))
            return why_errno(why, refusal, "cannot listen on '%s'", address);
    }
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int name_unknown(int fd, char *out, unsigned room)
{
    (void)fd;
    (void)out;
    (void)room;
    return -EBADF;
}

static const struct up_options options = {.bind = bind_there, .bound_name = name_unknown};
static struct listeners l;

static int open_all(struct config_listen *wanted, size_t n)
{
    const struct config c = {.listens = wanted, .listen_count = n};
    asked[0] = 0;
    return listeners_open(&c, &options, kit_tmp(), &l, kit_why());
}

static int begin(void **state)
{
    (void)state;
    memset(taken, 0, sizeof taken);
    refusal = EADDRINUSE;
    return 0;
}

static int end(void **state)
{
    (void)state;
    listeners_close(&l);
    return 0;
}

#define DEFAULTS                                           \
    {                                                      \
        {.address = "127.0.0.1:8080", .is_default = true}, \
        {                                                  \
            .address = "[::1]:8080", .is_default = true    \
        }                                                  \
    }

static void defaults_are_bound_where_they_say(void **state)
{
    (void)state;
    struct config_listen wanted[] = DEFAULTS;
    passes(open_all(wanted, 2));
    assert_string_equal(asked, "127.0.0.1:8080 [::1]:8080 ");
    assert_string_equal(l.moved, "");
    json_t *endpoints = listeners_endpoints(&l);
    kit_json_eq(endpoints, "{\"http\":[\"http://127.0.0.1:8080\",\"http://[::1]:8080\"]}");
    json_decref(endpoints);
}

static void a_taken_default_moves_both_families_to_the_next_free_port(void **state)
{
    (void)state;
    struct config_listen wanted[] = DEFAULTS;
    taken[0] = "127.0.0.1:8080";
    taken[1] = "[::1]:8081";
    passes(open_all(wanted, 2));
    assert_int_equal(l.n, 2);
    assert_string_equal(l.at[0].name, "127.0.0.1:8082");
    assert_string_equal(l.at[1].name, "[::1]:8082");
    assert_string_equal(l.moved, "port 8080 is taken, so it is 8082");
}

static void the_search_for_a_port_ends_at_8099(void **state)
{
    (void)state;
    struct config_listen wanted[] = DEFAULTS;
    taken[0] = "127.0.0.1";
    fails_with(-EADDRINUSE, "127.0.0.1:8099", open_all(wanted, 2));
    assert_int_equal(l.n, 0);
}

static void a_family_the_kernel_lacks_is_left_out(void **state)
{
    (void)state;
    struct config_listen wanted[] = DEFAULTS;
    taken[0] = "[::1]";
    refusal = EAFNOSUPPORT;
    passes(open_all(wanted, 2));
    assert_int_equal(l.n, 1);
    assert_string_equal(l.at[0].name, "127.0.0.1:8080");
}

static void what_was_asked_for_must_be_bound(void **state)
{
    (void)state;
    struct config_listen wanted[] = {{.address = "127.0.0.1:9000"}, {.address = "127.0.0.1:9001"}};
    taken[0] = ":9001";
    fails_with(-EADDRINUSE, "cannot listen on '127.0.0.1:9001'", open_all(wanted, 2));
    assert_int_equal(l.n, 0);
    refusal = EAFNOSUPPORT;
    fails_with(-EAFNOSUPPORT, NULL, open_all(wanted, 2));
}

static void a_default_unix_socket_that_is_taken_moves_into_the_state_folder(void **state)
{
    (void)state;
    char elsewhere[256], own[256];
    snprintf(elsewhere, sizeof elsewhere, "unix:%s/elsewhere/api.sock", kit_tmp());
    snprintf(own, sizeof own, "unix:%s/run/api.sock", kit_tmp());
    struct config_listen wanted[] = {
        {.address = elsewhere, .is_default = true, .mode = 0660}
    };
    taken[0] = "elsewhere";
    passes(open_all(wanted, 1));
    assert_string_equal(l.at[0].name, own);
    struct stat about;
    assert_int_equal(stat(kit_path("elsewhere"), &about),
                     0); /* its folder was made, in case only that was missing */
}

static void the_places_in_the_configuration_are_kept(void **state)
{
    (void)state;
    struct config_listen wanted[] = {
        {.address = "127.0.0.1:9000"},
        { .address = "[::1]:8080",         .is_default = true},
        { .address = "127.0.0.1:8080",         .is_default = true}
    };
    taken[0] = "[::1]";
    refusal = EADDRNOTAVAIL;
    passes(open_all(wanted, 3));
    assert_int_equal(l.n, 2);
    for (size_t i = 0; i < l.n; i++)
        assert_string_equal(l.at[i].name, wanted[l.at[i].from].address);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
KIT_MAIN(TEST(defaults_are_bound_where_they_say),
         TEST(a_taken_default_moves_both_families_to_the_next_free_port),
         TEST(the_search_for_a_port_ends_at_8099), TEST(a_family_the_kernel_lacks_is_left_out),
         TEST(what_was_asked_for_must_be_bound),
         TEST(a_default_unix_socket_that_is_taken_moves_into_the_state_folder),
         TEST(the_places_in_the_configuration_are_kept))
