#pragma once
/*
 * web_away -- sockets that have left libmicrohttpd, which we write to ourselves: streams, refusals, and
 * answers that do not wait for the rest of a body. Part of web; nobody else includes it.
 */
#include "core/net/web_inside.h"

int away_leave(struct request *r); /* 0, or -1 when there is no descriptor left */
/* Puts the given answer as bytes into conn->out; the connection closes after it. */
void away_answer(struct request *r);
void away_begin_stream(struct request *r);
void away_push(struct request *r, struct bytes piece);
void away_finish(struct request *r);
void away_refuse(struct conn *c, int status, struct bytes json); /* without a request */
void away_flush(struct conn *c);
void away_event(struct conn *c, unsigned events); /* of web->peers */
void away_timeout(struct conn *c);
