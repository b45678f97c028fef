#pragma once
/*
 * control -- what hub and supervisor say to each other, over one SOCK_SEQPACKET pair.
 *
 * One message = one JSON object <= 64 KiB plus descriptors. Hub to supervisor (a NAME only, never a command
 * line, an environment or a path):
 *   {"op":"start","server":"fs","line":7,"sibling":true|false}   start one process for server "fs"; its stdin
 * and stdout are a socketpair whose other end comes back. `line` is the hub's number for it, unique in its
 * life.
 *   {"op":"stop","line":7,"grace_ms":2000}     close was done by the hub: TERM the group after grace, then
 * KILL after 2 s
 *   {"op":"ready"}                             the hub listens and its catalogue is loaded
 *   {"op":"reload"}                            re-read the configuration (SIGHUP does the same)
 * Supervisor to hub:
 *   {"op":"started","line":7,"pid":123,"sandbox":2,"namespace":true} + [line fd, stderr fd]
 *        line: nonblocking; stderr: read end of a pipe, nonblocking; sandbox: level reached (sandbox.h);
 * namespace: has a process namespace of its own
 *   {"op":"failed","line":7,"why":"cannot run 'npx': no such file or directory"}
 *   {"op":"exited","line":7,"status":0,"signal":9}   the whole tree of it is gone
 *   {"op":"config", ...}                            first message: {"config":<effective
 * tree>,"listens":[{"name":…}]} sent as a file: fd 0 of the message is a sealed memfd holding the JSON
 * (memory_file_read, role.h); a listen is
 *        {"name":"127.0.0.1:8080","from":0}, `from` its place in the configuration's list. Then the listening
 * sockets, 8 a message, `at` the place in "listens" of the first:
 *   {"op":"listen","at":0} + [fd …]
 *   {"op":"drain","ms":10000}                       stop taking calls, finish, then exit 0
 */
#include "core/base/json.h"
#include "core/base/loop.h"
#include "core/base/why.h"

struct control;
struct control_ops {
    /* `fds` are the handler's to keep or close; unused places are -1. `message` is lent. */
    void (*on_message)(json_t *message, int fds[8], void *ctx);
    void (*on_lost)(void *ctx);
};
/* Takes `fd`; makes it nonblocking. A message that is no JSON object, or too long, loses the peer. Either
 * handler may free the control. */
struct control *control_new(struct loop *loop, int fd, const struct control_ops *ops, void *ctx);
void control_free(struct control *c);
/* Takes `message`; keeps no fd. Queued when the socket is full. */
void control_send(struct control *c, json_t *message, const int *fds, size_t fd_count);
