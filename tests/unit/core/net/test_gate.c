/* The gate, row by row, over raw sockets against a real web and door. Numbers are those of the rules' table.
 */
#include "tests/unit/core/net/bed.h"

#define HOST "Host: 127.0.0.1\r\n"
#define JSON "Content-Type: application/json\r\n"
#define BODY2 "Content-Length: 2\r\n\r\n{}"

struct row {
    const char *name, *request;
    int status;       /* 0: closed without a word */
    const char *text; /* a piece of the answer, or NULL */
};

static const struct row rows[] = {
    {"a plain one passes",            "POST /mcp HTTP/1.1\r\n" HOST JSON BODY2,                                                 200, "POST /mcp? body 2:{}"                                  },
 /* 3 */
    {"te gzip",                       "POST /now HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n",                          501, "not_implemented"                                       },
    {"te list",                       "POST /now HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n",                 501, NULL                                                    },
    {"te twice",
     "POST /now HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",                                               400, "twice"                                                 },
    {"te and length",
     "POST /now HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",                          400,
     "both"                                                                                                                                                                                  },
    {"te in 1.0",                     "POST /now HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",              400,
     "HTTP/1.1"                                                                                                                                                                              },
    {"chunked passes",
     "POST /now HTTP/1.1\r\n" HOST "Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n",                                   200,
     "body 3:abc"                                                                                                                                                                            },
    {"broken chunk",                  "POST /now HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",          400,
     NULL                                                                                                                                                                                    },
 /* 4 */
    {"length twice",                  "POST /now HTTP/1.1\r\n" HOST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",         400,
     "twice"                                                                                                                                                                                 },
    {"length signed",                 "POST /now HTTP/1.1\r\n" HOST "Content-Length: +2\r\n\r\n{}",                             400, NULL                                                    },
    {"length list",                   "POST /now HTTP/1.1\r\n" HOST "Content-Length: 2, 2\r\n\r\n{}",                           400, NULL                                                    },
    {"length hex",                    "POST /now HTTP/1.1\r\n" HOST "Content-Length: 0x2\r\n\r\n{}",                            400, NULL                                                    },
    {"length of 13 digits",           "POST /now HTTP/1.1\r\n" HOST "Content-Length: 0000000000002\r\n\r\n{}",                  400,
     "bad Content-Length"                                                                                                                                                                    },
    {"length huge",                   "POST /now HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n{}",           413,
     NULL                                                                                                                                                                                    },
    {"length over the limit",         "POST /now HTTP/1.1\r\n" HOST "Content-Length: 4194305\r\n\r\n",                          413,
     "4194304"                                                                                                                                                                               },
    {"length over a route's limit",   "POST /small HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n",                             413,
     "over 10"                                                                                                                                                                               },
    {"chunks over a route's limit",
     "POST /small HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n",                                           413, "over 10"                                               },
    {"no length",                     "POST /now HTTP/1.1\r\n" HOST "\r\n",                                                     411, "length_required"                                       },
    {"blank before the colon",        "POST /now HTTP/1.1\r\n" HOST "Content-Length : 2\r\n\r\n{}",                             400, NULL                                                    },
 /* 5 */
    {"no host",                       "GET /now HTTP/1.1\r\n\r\n",                                                              400, NULL                                                    },
    {"no host in 1.0",                "GET /now HTTP/1.0\r\n\r\n",                                                              400, "no Host"                                               },
    {"two hosts",                     "GET /now HTTP/1.1\r\n" HOST HOST "\r\n",                                                 400, "twice"                                                 },
    {"foreign host",                  "GET /now HTTP/1.1\r\nHost: evil.example\r\n\r\n",                                        403, "origin_refused"                                        },
    {"loopback with a tail",          "GET /now HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n",                              403, NULL                                                    },
    {"bad port",                      "GET /now HTTP/1.1\r\nHost: localhost:80x\r\n\r\n",                                       400, NULL                                                    },
    {"user in host",                  "GET /now HTTP/1.1\r\nHost: localhost@evil.example\r\n\r\n",                              403, NULL                                                    },
    {"localhost passes",              "GET /now HTTP/1.1\r\nHost: LocalHost:1\r\n\r\n",                                         200, NULL                                                    },
    {"v6 passes",                     "GET /now HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",                                          200, NULL                                                    },
    {"absolute target",               "GET http://localhost/now HTTP/1.1\r\n" HOST "\r\n",                                      400, "must begin with"                                       },
    {"asterisk target",               "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",                                                     400, NULL                                                    },
 /* 6 */
    {"foreign origin",                "POST /mcp HTTP/1.1\r\n" HOST JSON "Origin: http://evil.example\r\n" BODY2,               403,
     "origin_refused"                                                                                                                                                                        },
    {"null origin",                   "POST /mcp HTTP/1.1\r\n" HOST JSON "Origin: null\r\n" BODY2,                              403, NULL                                                    },
    {"two origins in one",
     "POST /mcp HTTP/1.1\r\n" HOST JSON "Origin: http://localhost http://evil.example\r\n" BODY2,                               403, NULL                                                    },
    {"loopback origin passes",        "POST /mcp HTTP/1.1\r\n" HOST JSON "Origin: http://localhost:3000\r\n" BODY2,
     200,                                                                                                                            "Access-Control-Allow-Origin: http://localhost:3000\r\n"},
    {"cross-site",                    "POST /mcp HTTP/1.1\r\n" HOST JSON "Sec-Fetch-Site: cross-site\r\n" BODY2,                403,
     "cross-site"                                                                                                                                                                            },
    {"same-origin passes",            "POST /mcp HTTP/1.1\r\n" HOST JSON "Sec-Fetch-Site: same-origin\r\n" BODY2,               200,
     NULL                                                                                                                                                                                    },
 /* 7 */
    {"header twice",                  "GET /now HTTP/1.1\r\n" HOST "X-A: 1\r\nx-a: 1\r\n\r\n",                                  400, "twice"                                                 },
    {"mcp header twice",              "POST /mcp HTTP/1.1\r\n" HOST JSON "Mcp-Name: a\r\nMCP-NAME: a\r\n" BODY2,                400,
     "header_mismatch"                                                                                                                                                                       },
    {"accept twice passes",           "GET /now HTTP/1.1\r\n" HOST "Accept: a/b\r\nAccept: c/d\r\n\r\n",                        200, NULL                                                    },
    {"forwarded-for twice passes",
     "GET /now HTTP/1.1\r\n" HOST "X-Forwarded-For: a\r\nX-Forwarded-For: b\r\n\r\n",                                           200, NULL                                                    },
    {"name with a bracket",           "GET /now HTTP/1.1\r\n" HOST "X[a]: 1\r\n\r\n",                                           400, "bad header name"                                       },
    {"value not ascii",               "GET /now HTTP/1.1\r\n" HOST "X-A: \xc3\xa4\r\n\r\n",                                     400, "bad value"                                             },
    {"value with a control",
     "GET /now HTTP/1.1\r\n" HOST "X-A: a\x01"
     "b\r\n\r\n",                                                                                                               400, NULL                                                    },
    {"tab in a value passes",         "GET /now HTTP/1.1\r\n" HOST "X-A: a\tb\r\n\r\n",                                         200, NULL                                                    },
    {"folded line",                   "GET /now HTTP/1.1\r\n" HOST "X-A: a\r\n b\r\n\r\n",                                      400, NULL                                                    },
    {"blanks around values pass",     "GET /now HTTP/1.1\r\nHost:   127.0.0.1 \t \r\nX-A:\r\n\r\n",                             200, NULL                                                    },
 /* 8 */
    {"bare lf",                       "GET /now HTTP/1.1\nHost: 127.0.0.1\n\n",                                                 400, NULL                                                    },
    {"one bare lf",                   "GET /now HTTP/1.1\r\nHost: 127.0.0.1\nX-A: 1\r\n\r\n",                                   400, NULL                                                    },
    {"lf before the end",             "GET /now HTTP/1.1\r\nHost: 127.0.0.1\r\n\n",                                             400, NULL                                                    },
 /* 10 */
    {"no type",                       "POST /mcp HTTP/1.1\r\n" HOST BODY2,                                                      415, "unsupported_media_type"                                },
    {"form type",                     "POST /mcp HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n" BODY2,                       415, NULL                                                    },
    {"utf-8 passes",                  "POST /mcp HTTP/1.1\r\n" HOST "Content-Type: Application/JSON; charset=UTF-8\r\n" BODY2,
     200,                                                                                                                            NULL                                                    },
    {"latin",                         "POST /mcp HTTP/1.1\r\n" HOST "Content-Type: application/json; charset=latin1\r\n" BODY2, 415,
     NULL                                                                                                                                                                                    },
 /* 11 */
    {"get without the stream's type", "GET /mcp HTTP/1.1\r\n" HOST "Accept: application/json\r\n\r\n",                          406,
     "not_acceptable"                                                                                                                                                                        },
    {"get with it passes",            "GET /mcp HTTP/1.1\r\n" HOST "Accept: application/json, text/event-stream\r\n\r\n",
     200,                                                                                                                            NULL                                                    },
    {"post for html",                 "POST /mcp HTTP/1.1\r\n" HOST JSON "Accept: text/html\r\n" BODY2,                         406, NULL                                                    },
    {"anything passes",               "POST /mcp HTTP/1.1\r\n" HOST JSON "Accept: */*\r\n" BODY2,                               200, NULL                                                    },
    {"json refused by q",
     "POST /mcp HTTP/1.1\r\n" HOST JSON
     "Accept: */*, application/json;q=0, text/event-stream;q=0.0\r\n" BODY2,
     406,                                                                                                                            NULL                                                    },
 /* 12 */
    {"nul escape",                    "GET /a%00b HTTP/1.1\r\n" HOST "\r\n",                                                    400, "escape"                                                },
    {"bad escape",                    "GET /a%zz HTTP/1.1\r\n" HOST "\r\n",                                                     400, NULL                                                    },
    {"dots",                          "GET /a/../b HTTP/1.1\r\n" HOST "\r\n",                                                   400, NULL                                                    },
    {"escaped dots",                  "GET /a/%2E%2e/b HTTP/1.1\r\n" HOST "\r\n",                                               400, NULL                                                    },
    {"escaped slash and dots",        "GET /a%2f..%2Fb HTTP/1.1\r\n" HOST "\r\n",                                               400, NULL                                                    },
    {"dots at the end",               "GET /a/.. HTTP/1.1\r\n" HOST "\r\n",                                                     400, NULL                                                    },
    {"dots in a name pass",           "GET /a..b/...x HTTP/1.1\r\n" HOST "\r\n",                                                200, NULL                                                    },
    {"fragment",                      "GET /a#b HTTP/1.1\r\n" HOST "\r\n",                                                      400, NULL                                                    },
    {"byte over 7e",                  "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n",                                                 400, NULL                                                    },
    {"query on an mcp path",          "POST /mcp?access_token=x HTTP/1.1\r\n" HOST JSON BODY2,                                  400, "no query"                                              },
    {"raw query elsewhere",           "GET /now?a=%41&b HTTP/1.1\r\n" HOST "\r\n",                                              200, "/now?a=%41&b"                                          },
    {"nul escape in a query",         "GET /now?a=%00 HTTP/1.1\r\n" HOST "\r\n",                                                400, NULL                                                    },
    {"two blanks",                    "GET  /now HTTP/1.1\r\n" HOST "\r\n",                                                     400, NULL                                                    },
    {"http/2 preface",                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",                                                       505, NULL                                                    },
 /* 15 */
    {"h2c is ignored",
     "GET /now HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
     "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",                                                                        200, NULL                                                    },
    {"other expectation",             "POST /now HTTP/1.1\r\n" HOST "Expect: magic\r\n" BODY2,                                  417, NULL                                                    },
 /* 16 */
    {"method of no row",              "PUT /mcp HTTP/1.1\r\n" HOST JSON BODY2,                                                  405,
     "Allow: GET, POST, DELETE, OPTIONS\r\n"                                                                                                                                                 },
    {"unknown method",                "BREW /mcp HTTP/1.1\r\n" HOST "\r\n",                                                     405, NULL                                                    },
    {"method that is no token",       "G@T /mcp HTTP/1.1\r\n" HOST "\r\n",                                                      400, "bad method"                                            },
    {"preflight",
     "OPTIONS /mcp HTTP/1.1\r\n" HOST "Origin: http://localhost:1\r\nAccess-Control-Request-Method: POST\r\n"
     "Access-Control-Request-Headers: content-type, mcp-param-city, x-evil\r\n\r\n",                                            204, "traceparent, tracestate, baggage, mcp-param-city\r\n"  },
    {"preflight of a stranger",       "OPTIONS /mcp HTTP/1.1\r\n" HOST "Origin: http://evil.example\r\n\r\n",                   403,
     NULL                                                                                                                                                                                    },
    {"options without origin",        "OPTIONS /mcp HTTP/1.1\r\n" HOST "\r\n",                                                  405, NULL                                                    },
    {"head of an mcp path",           "HEAD /mcp HTTP/1.1\r\n" HOST "\r\n",                                                     405, NULL                                                    },
 /* 20 */
    {"upgrade elsewhere",             "GET /now HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     426,                                                                                                                            "upgrade_required"                                      },
};

static void each_row_of_the_table_holds(void **state)
{
    struct bed b;
    struct buf in = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t before = b.bodies;
        bed_ask(&b, bytes_of(rows[i].request), &in);
        if (bed_status(&in) != rows[i].status || (rows[i].text && !strstr(in.p, rows[i].text)))
            fail_msg("%s: wanted %d with '%s', got:\n%s", rows[i].name, rows[i].status,
                     rows[i].text ? rows[i].text : "", in.p ? in.p : "(nothing)");
        if (bed_status(&in) >= 400 && b.bodies != before)
            fail_msg("%s: refused, yet the handler saw it", rows[i].name);
    }
    buf_end(&in);
    bed_end(&b);
}

static void refused_as(struct bed *b, struct bytes request, int status)
{
    struct buf in = {0};
    bed_ask(b, request, &in);
    if (bed_status(&in) != status)
        fail_msg("wanted %d, got %.200s", status, in.p ? in.p : "(nothing)");
    buf_end(&in);
}

static void a_nul_anywhere_in_the_head_is_refused(void **state)
{
    static const char plain[] = "GET /now HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Abc: def\r\n\r\n";
    struct bed b;
    (void)state;
    bed_begin(&b, NULL, NULL);
    for (size_t at = 0; at < sizeof(plain) - 1; at++) {
        struct buf request = {0}, in = {0};
        buf_add(&request, plain, at);
        buf_add_char(&request, 0);
        buf_add_text(&request, plain + at);
        bed_ask(&b, (struct bytes){request.p, request.n}, &in);
        if (bed_status(&in) == 200)
            fail_msg("passed with a NUL at %zu", at);
        buf_end(&request);
        buf_end(&in);
    }
    assert_int_equal(b.heads, 0);
    bed_end(&b);
}

static void sizes_are_limited(void **state)
{
    struct bed b;
    struct buf r = {0};
    (void)state;
    bed_begin(&b, NULL, NULL);
    for (int is_long = 0; is_long < 2;
         is_long++) { /* 12: target of 2 KiB, of 8 KiB where the route says so */
        buf_clear(&r);
        buf_add_text(&r, "GET /");
        for (int i = 1; i < 2048 + is_long; i++)
            buf_add_char(&r, 'a');
        buf_add_text(&r, " HTTP/1.1\r\n" HOST "\r\n");
        refused_as(&b, (struct bytes){r.p, r.n}, is_long ? 414 : 200);
        buf_clear(&r);
        buf_add_text(&r, "GET /api/");
        for (int i = 5; i < 8192 + is_long; i++)
            buf_add_char(&r, 'a');
        buf_add_text(&r, " HTTP/1.1\r\n" HOST "\r\n");
        refused_as(&b, (struct bytes){r.p, r.n}, is_long ? 414 : 200);
    }
    for (int is_many = 0; is_many < 2; is_many++) { /* 13: 100 headers */
        buf_clear(&r);
        buf_add_text(&r, "GET /now HTTP/1.1\r\n" HOST);
        for (int i = 1; i < 100 + is_many; i++)
            buf_addf(&r, "X-%d: 1\r\n", i);
        buf_add_text(&r, "\r\n");
        refused_as(&b, (struct bytes){r.p, r.n}, is_many ? 431 : 200);
    }
    for (int size = 1024; size <= 64 * 1024; size *= 2) { /* 13: 16 KiB in all */
        buf_clear(&r);
        buf_add_text(&r, "POST /now HTTP/1.1\r\n" HOST "Content-Length: 2\r\nX-A: ");
        while (r.n < (size_t)size - 6 - 70)
            buf_add_char(&r, 'a');
        buf_add_text(&r, "\r\n\r\n{}");
        refused_as(&b, (struct bytes){r.p, r.n}, size <= 16384 ? 200 : 431);
    }
    for (int count = 5; count <= 95;
         count += 10) { /* libmicrohttpd keeps a record of each besides: never a dead end */
        struct buf in = {0};
        buf_clear(&r);
        buf_add_text(&r, "POST /now HTTP/1.1\r\n" HOST "Content-Length: 3000\r\n");
        for (int i = 0; i < count; i++) {
            buf_addf(&r, "X-%d: ", i);
            for (int k = 0; k < 15900 / count - 9; k++)
                buf_add_char(&r, 'a');
            buf_add_text(&r, "\r\n");
        }
        buf_add_text(&r, "\r\n");
        buf_addf(&r, "%3000s", "");
        bed_ask(&b, (struct bytes){r.p, r.n}, &in);
        if (bed_status(&in) != 200 && bed_status(&in) != 431)
            fail_msg("%d headers: %.100s", count, in.p ? in.p : "(nothing)");
        buf_end(&in);
    }
    buf_end(&r);
    bed_end(&b);
}

static void hosts_and_origins_of_a_listener_are_its_list(void **state)
{
    static const char *const hosts[] = {"tools.example", "other.example:444", NULL};
    static const char *const origins[] = {"https://app.example", NULL};
    static const struct web_listener mine = {.name = "x", .hosts = hosts, .origins = origins};
    static const struct {
        const char *host, *origin;
        int status;
    } cases[] = {
        {"tools.example",      NULL,                       0  },
        {"TOOLS.example:8443", NULL,                       0  },
        {"other.example:444",  NULL,                       0  },
        {"other.example",      NULL,                       403},
        {"localhost",          NULL,                       403},
        {"tools.example",      "https://app.example",      0  },
        {"tools.example",      "https://app.example.evil", 403},
        {"tools.example",      "http://app.example",       403},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gate_head head = {.method = BYTES("GET"), .target = BYTES("/")};
        struct gate_rules rules = {.listener = &mine};
        struct gate_verdict verdict;
        struct gate_pass pass;
        head.headers[head.count++] = (struct gate_header){BYTES("Host"), bytes_of(cases[i].host)};
        if (cases[i].origin)
            head.headers[head.count++] = (struct gate_header){BYTES("Origin"), bytes_of(cases[i].origin)};
        gate_check(&head, &rules, &pass, &verdict);
        if (verdict.status != cases[i].status)
            fail_msg("%s: %d", cases[i].host, verdict.status);
    }
}

KIT_MAIN(cmocka_unit_test(each_row_of_the_table_holds),
         cmocka_unit_test(a_nul_anywhere_in_the_head_is_refused), cmocka_unit_test(sizes_are_limited),
         cmocka_unit_test(hosts_and_origins_of_a_listener_are_its_list))
