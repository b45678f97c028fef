#pragma once
/* file -- small whole-file helpers for configuration and state. */
#include "core/base/bytes.h"
#include "core/base/why.h"

int file_read(const char *path, size_t limit, struct buf *out, struct why *why);
/* Writes beside, fsyncs, renames over, fsyncs the folder. Mode as given. */
int file_replace(const char *path, struct bytes content, unsigned mode, struct why *why);
int folder_make(const char *path, unsigned mode, struct why *why); /* with parents; fine when it is there */
