#include "hub/mcp_headers.h"

#include "core/base/text.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PLACES_MOST = 256, /* property tables looked into: schemas were counted when they were listed */
    NAME_MOST = 64,
};

bool mcp_header_decode(struct bytes value, struct buf *room, struct bytes *text)
{
    static const char head[] = "=?base64?", tail[] = "?=";
    size_t head_n = sizeof(head) - 1, tail_n = sizeof(tail) - 1;

    if (value.n < head_n + tail_n || !bytes_begin(value, head) || !bytes_end_with(value, tail)) {
        *text = value;
        return true;
    }
    struct bytes inside = {value.p + head_n, value.n - head_n - tail_n};
    buf_clear(room);
    if (base64_read(inside, room) < 0 || !utf8_is_valid(buf_bytes(room)))
        return false;
    *text = buf_bytes(room);
    return true;
}

bool mcp_header_confirms(const struct request *r, const char *name, struct bytes body, struct buf *room)
{
    struct bytes value = request_header(r, name), text;

    return value.p && mcp_header_decode(value, room, &text) && bytes_are(text, body);
}

bool mcp_params_wanted(struct bytes definition)
{
    return memmem(definition.p, definition.n, "x-mcp-header", 12) != NULL;
}

/* A whole number as JSON writes it, 42.0 and 4.2e1 too, within ±(2^53-1); false for all else. */
static bool whole_number(struct bytes text, double *out)
{
    char copy[40], *end;

    if (text.n == 0 || text.n >= sizeof(copy) || (text.p[0] != '-' && (text.p[0] < '0' || text.p[0] > '9')) ||
        !json_is_valid(text))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    double v = strtod(copy, &end);
    if (*end || v < -9007199254740991.0 || v > 9007199254740991.0 || v != (double)(int64_t)v)
        return false;
    *out = v;
    return true;
}

static bool value_is(const struct member *argument, struct bytes text)
{
    double here, there;
    struct buf plain = {0};
    bool same = false;

    switch (argument->type) {
    case JSON_T_STRING:
        same = member_decode(argument, &plain) == 0 && bytes_are(buf_bytes(&plain), text);
        break;
    case JSON_T_BOOL:
        same = bytes_are(argument->value, text);
        break;
    case JSON_T_NUMBER:
        same = whole_number(argument->value, &here) && whole_number(text, &there) && here == there;
        break;
    default:
        break;
    }
    buf_end(&plain);
    return same;
}

/* One table of properties still to be looked into, and the object that holds their arguments. */
struct place {
    struct bytes properties, arguments;
};

struct check {
    header_fn header;
    const void *from;
    struct place places[PLACES_MOST];
    size_t place_count;
    struct buf room;
    struct fault_told *fault;
};

static bool argument_confirmed(struct check *c, struct bytes name, const struct member *argument)
{
    char header[NAME_MOST + 16];
    struct bytes text;

    if (!name.p || name.n == 0 || name.n > NAME_MOST || !argument || argument->type == JSON_T_NULL)
        return true;
    snprintf(header, sizeof(header), "Mcp-Param-%.*s", (int)name.n, name.p);
    struct bytes value = c->header(c->from, header);
    if (!value.p)
        fault_tell(c->fault, FAULT_HEADER_MISMATCH, "header '%s' is missing, but the body has its argument",
                   header);
    else if (!mcp_header_decode(value, &c->room, &text))
        fault_tell(c->fault, FAULT_HEADER_MISMATCH, "header '%s' is not valid base64 of UTF-8", header);
    else if (!value_is(argument, text))
        fault_tell(c->fault, FAULT_HEADER_MISMATCH, "header '%s' does not match its argument in the body",
                   header);
    else
        return true;
    return false;
}

static bool property_confirmed(struct check *c, const struct member *property,
                               const struct members *arguments)
{
    struct members schema = {0};
    const struct member *argument = NULL;

    if (members_read(&schema, property->value) < 0) {
        members_end(&schema);
        return true;
    }
    for (size_t i = 0; i < arguments->n && !argument; i++)
        if (bytes_are(arguments->p[i].key, property->key))
            argument = &arguments->p[i];
    bool fine = argument_confirmed(c, member_plain(members_find(&schema, "x-mcp-header")), argument);
    const struct member *deeper = members_find(&schema, "properties");
    if (deeper && argument && argument->type == JSON_T_OBJECT && c->place_count < PLACES_MOST)
        c->places[c->place_count++] = (struct place){deeper->value, argument->value};
    members_end(&schema);
    return fine;
}

static bool place_confirmed(struct check *c, struct place place)
{
    struct members properties = {0}, arguments = {0};
    bool fine = true;

    if (members_read(&properties, place.properties) == 0 && members_read(&arguments, place.arguments) == 0)
        for (size_t i = 0; i < properties.n && fine; i++)
            fine = property_confirmed(c, &properties.p[i], &arguments);
    members_end(&properties);
    members_end(&arguments);
    return fine;
}

/* Places in the order they are found: a queue, so that nesting in a schema costs no stack. */
static bool all_confirmed(struct check *c)
{
    for (size_t at = 0; at < c->place_count; at++)
        if (!place_confirmed(c, c->places[at]))
            return false;
    return true;
}

bool mcp_params_confirmed_by(header_fn header, const void *from, struct bytes definition,
                             struct bytes arguments, struct fault_told *fault)
{
    struct members tool = {0}, schema = {0};
    struct check check = {.header = header, .from = from, .fault = fault};

    if (arguments.n && members_read(&tool, definition) == 0) {
        const struct member *input = members_find(&tool, "inputSchema");
        const struct member *properties = NULL;
        if (input && members_read(&schema, input->value) == 0)
            properties = members_find(&schema, "properties");
        if (properties)
            check.places[check.place_count++] = (struct place){properties->value, arguments};
    }
    bool fine = all_confirmed(&check);
    members_end(&tool);
    members_end(&schema);
    buf_end(&check.room);
    return fine;
}

static struct bytes ask_request(const void *from, const char *name)
{
    return request_header(from, name);
}

bool mcp_params_confirmed(const struct request *r, struct bytes definition, struct bytes arguments,
                          struct fault_told *fault)
{
    return mcp_params_confirmed_by(ask_request, r, definition, arguments, fault);
}
