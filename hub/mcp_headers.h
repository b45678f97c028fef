#pragma once
/*
 * mcp_headers -- what a modern request says twice: in Mcp-* headers and in its body (20-mcp §4.2).
 *
 * Headers only ever confirm the body, so that a proxy in front may route by them; nothing here decides by
 * one.
 */
#include "core/net/web.h"
#include "core/rpc/envelope.h"
#include "core/rpc/fault.h"

/* The text of a header value: what "=?base64?…?=" wraps, else the value itself. Decoded bytes go to `room`.
 * false: the wrapper is there but not canonical base64 of valid UTF-8. */
bool mcp_header_decode(struct bytes value, struct buf *room, struct bytes *text);

/* Is header `name` there, well-formed and the same as `body`? */
bool mcp_header_confirms(const struct request *r, const char *name, struct bytes body, struct buf *room);

/* Does the definition of a tool (raw) ask for Mcp-Param headers at all? Cheap; may say yes wrongly, never no.
 */
bool mcp_params_wanted(struct bytes definition);
/* Each parameter the definition declares `x-mcp-header` for: is its argument confirmed? Else `fault` says
 * which is not. `arguments` may be empty. */
bool mcp_params_confirmed(const struct request *r, struct bytes definition, struct bytes arguments,
                          struct fault_told *fault);
/* The same with the headers asked by function, for tests. */
typedef struct bytes (*header_fn)(const void *from, const char *name);
bool mcp_params_confirmed_by(header_fn header, const void *from, struct bytes definition,
                             struct bytes arguments, struct fault_told *fault);
