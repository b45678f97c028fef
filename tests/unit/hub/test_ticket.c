/* Our requestState: what it is bound to, that it is used once, and that no bit of it can be changed. */
#include "hub/ticket.h"
#include "tests/kit/kit.h"

#include <stdlib.h>
#include <unistd.h>

#define KEY "0123456789abcdef0123456789abcdef"

static struct ticket plan(void)
{
    struct ticket t = {
        .kind = TICKET_RELAY, .principal = "loopback", .server = "one", .inner = BYTES("\"s\"")};
    memset(t.call, 7, sizeof(t.call));
    return t;
}

struct desk {
    struct store *store;
    struct tickets *tickets;
    struct buf text;
};

static void desk_open(struct desk *d, const char *db)
{
    *d = (struct desk){.store = store_open(db, kit_why())};
    assert_non_null(d->store);
    d->tickets = tickets_new(d->store, kit_file("ticket.key", KEY), kit_why());
    assert_non_null(d->tickets);
}

static void desk_close(struct desk *d)
{
    tickets_free(d->tickets);
    store_close(d->store);
    buf_end(&d->text);
}

static const char *look(struct desk *d, const struct ticket *want)
{
    struct ticket got;
    return ticket_open(d->tickets, buf_bytes(&d->text), want, &got);
}

static void a_ticket_gives_back_what_was_put_in(void **state)
{
    struct desk d;
    struct ticket t = plan(), got;
    desk_open(&d, ":memory:");
    ticket_add(d.tickets, &t, &d.text);
    assert_null(memchr(d.text.p, '"', d.text.n));
    assert_null(ticket_open(d.tickets, buf_bytes(&d.text), &t, &got));
    kit_bytes_eq(got.inner, "\"s\"");
    assert_int_equal(got.kind, TICKET_RELAY);
    assert_string_equal(look(&d, &t), "used");
    desk_close(&d);
}

static void a_ticket_is_bound_to_its_caller_its_server_and_its_call(void **state)
{
    struct desk d;
    struct ticket t = plan(), other = plan();
    desk_open(&d, ":memory:");
    ticket_add(d.tickets, &t, &d.text);
    other.principal = "loopbacK";
    assert_string_equal(look(&d, &other), "malformed");
    other = plan();
    other.server = "two";
    assert_string_equal(look(&d, &other), "request");
    other = plan();
    other.call[31] ^= 1;
    assert_string_equal(look(&d, &other), "request");
    assert_null(look(&d, &t)); /* none of these has spent it */
    desk_close(&d);
}

static void no_bit_of_it_can_be_changed(void **state)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct desk d;
    struct ticket t = plan();
    desk_open(&d, ":memory:");
    ticket_add(d.tickets, &t, &d.text);
    for (size_t i = 0; i < d.text.n; i++) {
        const char *at = strchr(letters, d.text.p[i]);
        char was = d.text.p[i];
        for (int bit = 0; at && bit < 6; bit++) {
            d.text.p[i] = letters[(size_t)(at - letters) ^ 1u << bit];
            assert_string_equal(look(&d, &t), "malformed");
        }
        d.text.p[i] = '!';
        assert_string_equal(look(&d, &t), "malformed");
        d.text.p[i] = was;
    }
    size_t n = d.text.n;
    for (d.text.n = 0; d.text.n < n; d.text.n++)
        assert_string_equal(look(&d, &t), "malformed");
    assert_null(look(&d, &t));
    desk_close(&d);
}

static void a_ticket_expires(void **state)
{
    struct desk d;
    struct ticket t = plan();
    kit_clock_hold();
    desk_open(&d, ":memory:");
    ticket_add(d.tickets, &t, &d.text);
    kit_clock_move_ms(599000);
    assert_null(look(&d, &t));
    buf_clear(&d.text);
    ticket_add(d.tickets, &t, &d.text);
    kit_clock_move_ms(601000);
    assert_string_equal(look(&d, &t), "expired");
    desk_close(&d);
}

static void a_restart_forgets_no_ticket_that_was_used(void **state)
{
    struct desk d;
    struct ticket t = plan();
    struct buf unused = {0};
    const char *db = kit_path("ticket.db");
    desk_open(&d, db);
    ticket_add(d.tickets, &t, &unused);
    ticket_add(d.tickets, &t, &d.text);
    assert_null(look(&d, &t));
    struct buf kept = d.text;
    d.text = (struct buf){0};
    desk_close(&d);
    desk_open(&d, db);
    d.text = kept;
    assert_string_equal(look(&d, &t), "used");
    buf_end(&d.text);
    d.text = unused; /* a relay ticket outlives the process that made it */
    assert_null(look(&d, &t));
    desk_close(&d);
}

static void what_was_parked_is_lost_with_its_process(void **state)
{
    struct desk d;
    struct ticket t = plan(), got;
    const char *db = kit_path("parked.db");
    t.kind = TICKET_PARKED;
    t.parked = 42;
    desk_open(&d, db);
    ticket_add(d.tickets, &t, &d.text);
    assert_null(ticket_open(d.tickets, buf_bytes(&d.text), &t, &got));
    assert_int_equal(got.parked, 42);
    buf_clear(&d.text);
    ticket_add(d.tickets, &t, &d.text);
    struct buf kept = d.text;
    d.text = (struct buf){0};
    desk_close(&d);
    desk_open(&d, db);
    d.text = kept;
    assert_string_equal(look(&d, &t), "lost");
    desk_close(&d);
}

static void a_ticket_of_another_key_is_none(void **state)
{
    struct desk d;
    struct ticket t = plan();
    desk_open(&d, ":memory:");
    ticket_add(d.tickets, &t, &d.text);
    tickets_free(d.tickets);
    d.tickets = tickets_new(d.store, kit_file("other.key", "fedcba9876543210fedcba9876543210"), kit_why());
    assert_string_equal(look(&d, &t), "malformed");
    desk_close(&d);
}

static void the_largest_state_that_is_let_in_comes_back(void **state)
{
    struct desk d;
    struct ticket t = plan(), got;
    char *inner = malloc(TICKET_INNER_MOST);
    memset(inner, 'x', TICKET_INNER_MOST);
    t.inner = (struct bytes){inner, TICKET_INNER_MOST};
    desk_open(&d, ":memory:");
    ticket_add(d.tickets, &t, &d.text);
    assert_null(ticket_open(d.tickets, buf_bytes(&d.text), &t, &got));
    assert_int_equal(got.inner.n, TICKET_INNER_MOST);
    free(inner);
    desk_close(&d);
}

static void a_key_that_is_none_is_refused(void **state)
{
    struct store *store = store_open(":memory:", kit_why());
    assert_null(tickets_new(store, kit_file("short.key", "short"), kit_why()));
    assert_non_null(strstr(kit_why()->text, "32 bytes"));
    assert_null(tickets_new(store, kit_path("no.key"), kit_why()));
    store_close(store);
}

KIT_MAIN(cmocka_unit_test(a_ticket_expires), cmocka_unit_test(a_ticket_gives_back_what_was_put_in),
         cmocka_unit_test(a_ticket_is_bound_to_its_caller_its_server_and_its_call),
         cmocka_unit_test(no_bit_of_it_can_be_changed),
         cmocka_unit_test(a_restart_forgets_no_ticket_that_was_used),
         cmocka_unit_test(what_was_parked_is_lost_with_its_process),
         cmocka_unit_test(a_ticket_of_another_key_is_none),
         cmocka_unit_test(the_largest_state_that_is_let_in_comes_back),
         cmocka_unit_test(a_key_that_is_none_is_refused))
