#pragma once
/* embedded_file -- a file that is part of the program, by its path from the root of the tree. */
#include "core/base/bytes.h"

/* BYTES_NONE when there is none; a zero byte follows it. */
struct bytes embedded_file(const char *name);
