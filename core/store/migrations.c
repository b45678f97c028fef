#include "core/store/migrations.h"

/* 1: the catalogue and its names, and request states that were used. */
#define CATALOGUE                                                                                      \
    "create table upstream("                                                                           \
    " name text primary key, digest text not null, era text, revision text, capabilities blob,"        \
    " server_info blob, instructions blob, probed_at integer not null"                                 \
    ") strict, without rowid;"                                                                         \
    "create table item("                                                                               \
    " kind integer not null, server text not null, ordinal integer not null, name blob not null,"      \
    " exposed blob not null, raw blob not null, digest blob not null, first_seen integer not null,"    \
    " last_seen integer not null, primary key(server, kind, ordinal)"                                  \
    ") strict;" /* A tool and a prompt may share a name: clients never mix the two. */                 \
    "create table name_owner("                                                                         \
    " kind integer not null, exposed blob not null, server text not null, name blob not null,"         \
    " primary key(kind, exposed)"                                                                      \
    ") strict, without rowid;"                                                                         \
    "create table spent_ticket(jti blob primary key, expires integer not null) strict, without rowid;" \
    "create index spent_ticket_expires on spent_ticket(expires);"

const char *const store_migrations[] = {CATALOGUE};
const size_t store_migration_count = sizeof(store_migrations) / sizeof(store_migrations[0]);
