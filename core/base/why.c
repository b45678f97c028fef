#include "core/base/why.h"

#include "core/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Cuts what did not fit at a character's boundary. */
static void cut(struct why *why, int wanted)
{
    size_t room = sizeof why->text - 1;
    if (wanted < 0 || (size_t)wanted <= room)
        return;
    why->text[utf8_cut((struct bytes){why->text, room}, room)] = 0;
}

static void fill(struct why *why, int code, const char *format, va_list args)
{
    why->code = code;
    int n = vsnprintf(why->text, sizeof why->text, format, args);
    if (n < 0)
        why->text[0] = 0;
    cut(why, n);
}

int why_set(struct why *why, int code, const char *format, ...)
{
    if (!why)
        return code;
    va_list args;
    va_start(args, format);
    fill(why, code, format, args);
    va_end(args);
    return code;
}

int why_errno(struct why *why, int error, const char *format, ...)
{
    if (!why)
        return -error;
    va_list args;
    va_start(args, format);
    fill(why, -error, format, args);
    va_end(args);
    char name[80];
    const char *said = strerror_r(error, name, sizeof name);
    size_t n = strlen(why->text);
    cut(why, (int)n + snprintf(why->text + n, sizeof why->text - n, ": %s", said));
    return -error;
}
