#include "cli/embedded_file.h"

#include "embedded.h"

struct bytes embedded_file(const char *name)
{
    for (size_t i = 0; i < embedded_count; i++)
        if (strcmp(embedded_files[i].name, name) == 0)
            return (struct bytes){(const char *)embedded_files[i].p, embedded_files[i].n};
    return BYTES_NONE;
}
