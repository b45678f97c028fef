/*
 * Mcp-Param headers against what a body says: three lines, the value of every header, the definition of a
 * tool, the arguments. What is decoded is UTF-8; a header that is what the argument says is never refused.
 */
#include "hub/mcp_headers.h"

#include "core/base/text.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static struct bytes same_value(const void *from, const char *name)
{
    must(strncmp(name, "Mcp-Param-", 10) == 0, "the name of a header");
    return *(const struct bytes *)from;
}

static struct bytes cut_line(struct bytes *rest)
{
    size_t n = bytes_find(*rest, '\n');
    struct bytes line = {rest->p, n};
    size_t taken = n < rest->n ? n + 1 : n;

    *rest = (struct bytes){rest->p + taken, rest->n - taken};
    return line;
}

/* One string parameter, told as base64 of itself: must always be confirmed. */
static void tell_itself(struct bytes text)
{
    static const struct bytes definition =
        BYTES("{\"inputSchema\":{\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"A\"}}}}");
    struct buf value = {0}, arguments = {0};
    struct fault_told fault = {0};

    buf_add_text(&value, "=?base64?");
    base64_add(&value, text);
    buf_add_text(&value, "?=");
    buf_add_text(&arguments, "{\"a\":");
    buf_add_json(&arguments, text);
    buf_add_char(&arguments, '}');
    struct bytes wrapped = buf_bytes(&value);
    must(mcp_params_confirmed_by(same_value, &wrapped, definition, buf_bytes(&arguments), &fault),
         fault.text);
    buf_end(&value);
    buf_end(&arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = {(const char *)data, size};
    struct bytes value = cut_line(&rest), definition = cut_line(&rest), text;
    struct buf room = {0};
    struct fault_told fault = {0};

    if (mcp_header_decode(value, &room, &text) && text.p != value.p)
        must(utf8_is_valid(text), "what was decoded is UTF-8");
    buf_end(&room);
    if (utf8_is_valid(value))
        tell_itself(value);
    if (!json_is_valid(definition) || !json_is_valid(rest))
        return 0;
    bool fine = mcp_params_confirmed_by(same_value, &value, definition, rest, &fault);
    must(fine == (fault.fault == FAULT_NONE), "a refusal says why");
    must(fine || mcp_params_wanted(definition), "only what is declared is asked for");
    return 0;
}
