#pragma once
/*
 * work -- a blocking job on a worker thread (libuv's pool).
 *
 * `run` sees only `job`; it touches nothing of the loop's. `done` runs on the loop afterwards, always.
 * Cancelling is the job's own affair (an atomic flag inside it).
 */
#include "core/base/loop.h"

void work(struct loop *l, void (*run)(void *job), void (*done)(void *job), void *job);
