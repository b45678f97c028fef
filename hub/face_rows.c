/* The methods of clients, one row each, and those that the hub answers from its own knowledge. */
#include "hub/call.h"
#include "hub/face_parts.h"

enum { BOTH = SERVES_LEGACY | SERVES_MODERN };

static void answer_result(struct ask *a, struct buf *message)
{
    buf_add_char(message, '}');
    ask_answer(a, 200, message);
}

static void handle_ping(struct ask *a, const struct envelope *e)
{
    struct buf message = {0};

    (void)e;
    ask_begin_result(a, &message);
    buf_add_text(&message, "{}");
    answer_result(a, &message);
}

static void handle_discover(struct ask *a, const struct envelope *e)
{
    struct exchange *x = a->exchange;
    struct buf message = {0};

    (void)e;
    ask_begin_result(a, &message);
    catalogue_add_discover(x->face->hub->catalogue, x->server, ask_caller(a), &message);
    answer_result(a, &message);
}

static void answer_bad_cursor(struct ask *a)
{
    struct fault_told fault;

    fault_tell(&fault, FAULT_INVALID_PARAMS, "the cursor is none of ours");
    ask_answer_fault(a, 200, &fault);
}

static void handle_list(struct ask *a, const struct envelope *e)
{
    struct exchange *x = a->exchange;
    struct catalogue *catalogue = x->face->hub->catalogue;
    const struct member *m = members_find(&e->inside, "cursor");
    struct bytes cursor = m ? decoded(x->face, m) : BYTES_NONE;
    struct buf message = {0};

    if (m && !cursor.p) {
        answer_bad_cursor(a);
        return;
    }
    ask_begin_result(a, &message);
    if (catalogue_add_list(catalogue, (enum item_kind)a->row->kind, x->server, ask_caller(a), cursor,
                           &message)) {
        buf_end(&message);
        answer_bad_cursor(a);
        return;
    }
    answer_result(a, &message);
}

static void handle_listen(struct ask *a, const struct envelope *e)
{
    struct exchange *x = a->exchange;
    struct listens *listens = x->face->listens;
    struct listen_spec spec = {.id = ask_id(a), .server = x->server, .principal = x->principal};
    struct fault_told fault;

    if (!x->accepts_stream) {
        fault_tell(&fault, FAULT_INVALID_REQUEST, "a listen needs a client that accepts 'text/event-stream'");
        ask_answer_fault(a, fault_row(FAULT_NOT_ACCEPTABLE)->http_modern, &fault);
    } else if (listen_read_filter(e, &spec.filter, &fault) ||
               !listens_have_room(listens, x->principal, &fault)) {
        ask_answer_fault(a, 200, &fault);
    } else {
        listen_begin(listens, exchange_yield(x), &spec);
    }
}

/* Most used first: the table is searched from the top. */
static const struct method_row rows[] = {
    {BYTES("tools/call"),               BOTH,          "tools",       "name", handle_call,        CALL_TOOL    },
    {BYTES("tools/list"),               BOTH,          "tools",       NULL,   handle_list,        ITEM_TOOL    },
    {BYTES("prompts/get"),              BOTH,          "prompts",     "name", handle_call,        CALL_PROMPT  },
    {BYTES("prompts/list"),             BOTH,          "prompts",     NULL,   handle_list,        ITEM_PROMPT  },
    {BYTES("resources/read"),           BOTH,          "resources",   "uri",  handle_call,        CALL_READ    },
    {BYTES("resources/list"),           BOTH,          "resources",   NULL,   handle_list,        ITEM_RESOURCE},
    {BYTES("resources/templates/list"), BOTH,          "resources",   NULL,   handle_list,        ITEM_TEMPLATE},
    {BYTES("completion/complete"),      BOTH,          "completions", NULL,   handle_call,        CALL_COMPLETE},
    {BYTES("initialize"),               SERVES_LEGACY, NULL,          NULL,   handle_initialize,  0            },
    {BYTES("ping"),                     SERVES_LEGACY, NULL,          NULL,   handle_ping,        0            },
    {BYTES("logging/setLevel"),         SERVES_LEGACY, "logging",     NULL,   handle_set_level,   0            },
    {BYTES("resources/subscribe"),      SERVES_LEGACY, "resources",   NULL,   handle_subscribe,   0            },
    {BYTES("resources/unsubscribe"),    SERVES_LEGACY, "resources",   NULL,   handle_unsubscribe, 0            },
    {BYTES("server/discover"),          SERVES_MODERN, NULL,          NULL,   handle_discover,    0            },
    {BYTES("subscriptions/listen"),     SERVES_MODERN, NULL,          NULL,   handle_listen,      0            },
};

const struct method_row *method_find(struct bytes name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (bytes_are(rows[i].name, name))
            return &rows[i];
    return NULL;
}
