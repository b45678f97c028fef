#include "cli/content.h"

#include "cli/print.h"
#include "core/base/json.h"
#include "core/base/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* "[image image/png, 12 KiB of base64]" */
static void print_media(const struct cli *c, const char *type, const json_t *block, const char *member)
{
    struct buf line = {0};
    buf_addf(&line, "[%s %s, %zu bytes in base64]", type, or_empty(json_str(block, "mimeType")),
             strlen(or_empty(json_str(block, member))));
    print_text(c, buf_bytes(&line));
    buf_end(&line);
}

static void print_embedded(const struct cli *c, const json_t *resource)
{
    const char *text = json_str(resource, "text");
    if (text)
        print_text(c, bytes_of(text));
    else
        print_media(c, or_empty(json_str(resource, "uri")), resource, "blob");
}

static void print_link(const struct cli *c, const json_t *block)
{
    struct buf line = {0};
    const char *title = json_str(block, "title");
    buf_addf(&line, "[%s] %s", title ? title : or_empty(json_str(block, "name")),
             or_empty(json_str(block, "uri")));
    print_text(c, buf_bytes(&line));
    buf_end(&line);
}

void content_print_block(const struct cli *c, const json_t *block)
{
    const char *type = or_empty(json_str(block, "type"));
    if (strcmp(type, "text") == 0)
        print_text(c, bytes_of(or_empty(json_str(block, "text"))));
    else if (strcmp(type, "resource_link") == 0)
        print_link(c, block);
    else if (strcmp(type, "resource") == 0)
        print_embedded(c, json_object_get(block, "resource"));
    else
        print_media(c, type, block, "data");
}

void content_print(const struct cli *c, const json_t *blocks)
{
    size_t i;
    json_t *block;
    json_array_foreach ((json_t *)blocks, i, block) {
        content_print_block(c, block);
    }
}

int content_add_bytes(struct buf *out, const json_t *contents)
{
    size_t i;
    json_t *part;
    json_array_foreach ((json_t *)contents, i, part) {
        const char *text = json_str(part, "text"), *blob = json_str(part, "blob");
        if (text)
            buf_add_text(out, text);
        else if (blob && base64_read(bytes_of(blob), out) < 0)
            return -1;
    }
    return 0;
}

int content_print_resource(const struct cli *c, const json_t *contents)
{
    size_t i;
    json_t *part;
    json_array_foreach ((json_t *)contents, i, part) {
        const char *text = json_str(part, "text"), *blob = json_str(part, "blob");
        struct buf raw = {0};
        if (text) {
            print_text(c, bytes_of(text));
        } else if (blob && isatty(STDOUT_FILENO)) {
            print_media(c, "blob", part, "blob");
        } else if (blob && base64_read(bytes_of(blob), &raw) == 0) {
            fwrite(raw.p, 1, raw.n, stdout);
        } else if (blob) {
            return cli_fail(c, EXIT_FAILED, "the contents of '%s' are no base64",
                            or_empty(json_str(part, "uri")));
        }
        buf_end(&raw);
    }
    return EXIT_DONE;
}
