#include "core/rpc/envelope.h"

#include "core/base/mem.h"
#include "core/rpc/scan.h"

struct envelope *envelope_new(const struct envelope_limits *limits)
{
    struct envelope *e = NEW(struct envelope);

    e->scanner = scanner_new(limits);
    return e;
}

void envelope_free(struct envelope *e)
{
    if (!e)
        return;
    members_end(&e->inside);
    members_end(&e->meta);
    members_end(&e->elements);
    scanner_free(e->scanner);
    free(e);
}

void envelope_begin(struct envelope *e)
{
    e->kind = ENVELOPE_ODD;
    e->fault = NULL;
    e->has_jsonrpc = false;
    e->method = e->error_message = e->error_data = BYTES_NONE;
    e->id = e->params = e->result = e->error = (struct member){0};
    e->inside.n = e->meta.n = e->elements.n = 0;
    e->error_code = 0;
    scanner_begin(e->scanner);
}

static void place(struct member *m, struct bytes text)
{
    if (m->type == JSON_T_NONE)
        return;
    m->key = bytes_placed(m->key, text);
    m->value = bytes_placed(m->value, text);
}

static void place_all(struct members *m, struct bytes text)
{
    for (size_t i = 0; i < m->n; i++)
        place(&m->p[i], text);
}

/* A string, or a number that is whole as it is written. */
static bool id_is_legal(const struct member *id)
{
    if (id->type == JSON_T_STRING)
        return true;
    if (id->type != JSON_T_NUMBER)
        return false;
    for (size_t i = 0; i < id->value.n; i++)
        if (id->value.p[i] == '.' || (id->value.p[i] | 0x20) == 'e')
            return false;
    return true;
}

static enum envelope_kind odd(struct envelope *e, const char *fault)
{
    e->fault = fault;
    return ENVELOPE_ODD;
}

static enum envelope_kind error_kind(struct envelope *e)
{
    if (e->error.type != JSON_T_OBJECT)
        return odd(e, "'error' is no object");
    const struct member *code = members_find(&e->inside, "code");
    const struct member *message = members_find(&e->inside, "message");
    const struct member *data = members_find(&e->inside, "data");
    if (member_int(code, &e->error_code) < 0)
        return odd(e, "'error.code' is no whole number");
    if (message && message->type == JSON_T_STRING)
        e->error_message = message->value;
    if (data)
        e->error_data = data->value;
    if (e->id.type == JSON_T_NONE || e->id.type == JSON_T_NULL || id_is_legal(&e->id))
        return ENVELOPE_ERROR;
    return odd(e, "'id' is neither a string nor a whole number");
}

static enum envelope_kind kind_of(struct envelope *e, const struct member *method)
{
    bool has_answer = e->result.type != JSON_T_NONE || e->error.type != JSON_T_NONE;

    if (e->scanner->top_has_escapes)
        return odd(e, "a member name of the message is written with escapes");
    if (method->type == JSON_T_NONE && !has_answer)
        return odd(e, "neither 'method' nor 'result' nor 'error'");
    if (method->type != JSON_T_NONE && has_answer)
        return odd(e, "'method' beside 'result' or 'error'");
    if (e->result.type != JSON_T_NONE && e->error.type != JSON_T_NONE)
        return odd(e, "'result' beside 'error'");
    if (has_answer && e->params.type != JSON_T_NONE)
        return odd(e, "'params' in an answer");
    if (e->error.type != JSON_T_NONE)
        return error_kind(e);
    if (method->type != JSON_T_NONE) {
        if (method->type != JSON_T_STRING)
            return odd(e, "'method' is no string");
        e->method = (struct bytes){method->value.p + 1, method->value.n - 2};
        if (memchr(e->method.p, '\\', e->method.n))
            return odd(e, "'method' is written with escapes");
        if (e->id.type == JSON_T_NONE)
            return ENVELOPE_NOTIFICATION;
    }
    if (!id_is_legal(&e->id))
        return odd(e, "'id' is neither a string nor a whole number");
    return has_answer ? ENVELOPE_RESULT : ENVELOPE_REQUEST;
}

/* Offsets become slices, and the parts a message. */
static void settle(struct envelope *e, struct bytes text)
{
    struct member *top = e->scanner->top;

    for (int i = TOP_JSONRPC; i < TOP_COUNT; i++)
        place(&top[i], text);
    place_all(&e->inside, text);
    place_all(&e->meta, text);
    place_all(&e->elements, text);
    e->has_jsonrpc = bytes_say(top[TOP_JSONRPC].value, "\"2.0\"");
    e->id = top[TOP_ID];
    e->params = top[TOP_PARAMS];
    e->result = top[TOP_RESULT];
    e->error = top[TOP_ERROR];

    size_t i = 0;
    while (text.p[i] == ' ' || text.p[i] == '\t' || text.p[i] == '\r' || text.p[i] == '\n')
        i++;
    if (text.p[i] == '[')
        e->kind = ENVELOPE_BATCH;
    else if (text.p[i] != '{')
        e->kind = odd(e, "neither an object nor an array");
    else
        e->kind = kind_of(e, &top[TOP_METHOD]);
}

int envelope_scan(struct envelope *e, struct bytes text, bool is_whole, struct why *why)
{
    int rc = scan_go(e, text, is_whole, why);

    if (rc == 0)
        settle(e, text);
    return rc;
}

struct envelope_part envelope_so_far(const struct envelope *e, struct bytes text)
{
    const struct scanner *s = e->scanner;
    struct member id = s->top[TOP_ID];
    struct envelope_part part = {0};

    place(&id, text);
    if (id.type != JSON_T_NONE && id_is_legal(&id))
        part.id = id.value;
    else if (id.type != JSON_T_NONE || (s->depth == 1 && s->top_name == TOP_ID))
        part.id = (struct bytes){text.p, 0};
    part.has_method = s->top[TOP_METHOD].type != JSON_T_NONE || s->top[TOP_PARAMS].type != JSON_T_NONE ||
                      (s->depth > 0 && (s->top_name == TOP_PARAMS || s->top_name == TOP_METHOD));
    return part;
}

bool json_is_valid(struct bytes text)
{
    static const struct envelope_limits wide = {.depth = 1024, .values = SIZE_MAX, .keys = SIZE_MAX};
    struct envelope *e = envelope_new(&wide);
    e->scanner->notes_nothing = true;
    int rc = scan_go(e, text, true, NULL);

    envelope_free(e);
    return rc == 0;
}
