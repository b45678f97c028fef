/* The gate over any bytes: its reading of a head, its rules, and the WebSocket check on top. What must hold
 * besides not crashing: slices stay inside the input, a head that passes is one whose pieces are clean, and
 * cutting a byte off a head never makes it pass. */
#include "core/net/gate.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct web_listener listener = {.name = "fuzz", .is_loopback = true};
static const struct gate_route routes[] = {
    {.path = "/mcp",
     .methods = METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_POST),
     .flags = GATE_STREAMS | GATE_CORS},
    {.path = "/api/*", .flags = GATE_QUERY, .uri = 8192},
    {0                 },
};

static void is_inside(struct bytes raw, struct bytes slice)
{
    assert(!slice.p || (slice.p >= raw.p && slice.p + slice.n <= raw.p + raw.n));
}

static void check_clean(const struct gate_head *head, const struct gate_pass *pass, struct bytes raw)
{
    size_t hosts = 0;
    for (size_t i = 0; i < head->count; i++) {
        const struct gate_header *h = &head->headers[i];
        is_inside(raw, h->name);
        is_inside(raw, h->value);
        assert(h->name.n > 0);
        for (size_t k = 0; k < h->value.n; k++)
            assert(h->value.p[k] == '\t' || (h->value.p[k] >= 0x20 && h->value.p[k] < 0x7f));
        hosts += bytes_say_nocase(h->name, "host");
    }
    assert(hosts == 1);
    is_inside(raw, pass->path);
    is_inside(raw, pass->query);
    assert(pass->path.n > 0 && pass->path.p[0] == '/');
    assert(!memmem(pass->path.p, pass->path.n, "/../", 4) && !memmem(pass->path.p, pass->path.n, "%00", 3));
    assert(!(pass->is_chunked && gate_header(head, "Content-Length").p));
    assert(pass->length <= 4096 || pass->is_chunked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_rules rules = {
        .listener = &listener, .routes = routes, .uri = 2048, .headers = 16384, .body = 4096};
    struct gate_head *head = malloc(sizeof(*head));
    char *copy = malloc(size ? size : 1); /* so that a look past the end is seen */
    struct bytes raw = {copy, size};
    struct gate_verdict verdict;
    struct gate_pass pass;
    memcpy(copy, data, size);
    if (gate_read(raw, head, &verdict) == 0) {
        if (gate_check(head, &rules, &pass, &verdict) == 0)
            check_clean(head, &pass, raw);
        else
            assert(verdict.status >= 400 && verdict.name && verdict.text[0]);
    }
    if (gate_check_websocket(raw, &rules, &verdict) == 0) {
        raw.n--;
        assert(gate_check_websocket(raw, &rules, &verdict) == 1);
    }
    free(copy);
    free(head);
    return 0;
}
