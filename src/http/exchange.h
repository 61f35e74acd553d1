/*
 * exchange: one request on its way to its answer, from the request line until the last byte
 * is sent. Private to this folder. It has one owner at a time: the event thread of its
 * connection, or, while the connection is suspended, the waiting list and then a control
 * thread; `stage` is how it changes hands.
 */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/request.h"
#include "http/response.h"

#define EXCHANGE_PREFIX_LEN 8 /* letters of a process in the ids of its requests */

enum exchange_stage {
    EXCHANGE_STARTED,   /* the request line is in */
    EXCHANGE_RECEIVING, /* admitted; the body comes in */
    EXCHANGE_REFUSED,   /* the answer is made; what remains of the body is thrown away */
    EXCHANGE_WAITING,   /* suspended: in the waiting list, or on a control thread */
    EXCHANGE_ANSWERED,  /* resumed: the answer is made and can be sent */
};

struct exchange {
    _Atomic enum exchange_stage stage;
    struct exchange *next;             /* in the waiting list */
    struct MHD_Connection *connection; /* borrowed; set before the exchange waits */
    struct request request;
    struct response response; /* owned body */
    struct err err;           /* why it is refused */
    const char *target_end;   /* borrowed, only compared: where the raw target ended */
    struct buf body;          /* owned; request.body points into it */
    size_t body_limit;        /* of the route; so is inline_up_to */
    size_t inline_up_to;
    size_t content_length; /* as declared; 0 when chunked */
    size_t n_buffered;     /* bytes that the body takes of the server's budget */
    size_t n_discarded;    /* bytes of the body thrown away */
    bool has_body;         /* a body is announced */
    bool closes;           /* the connection ends with the answer */
    bool is_owed;          /* counted in the server's n_owed */
};

/* A new exchange for a raw target (NULL: none was given), whose check may have set err; its
 * answer may have max_response_bytes. NULL when memory is out. */
struct exchange *exchange_new(const char *target, size_t max_response_bytes);

/* NULL is allowed. */
void exchange_free(struct exchange *exchange);

/*
 * Fills the request from the connection's headers and arguments and checks it (http/guard.h).
 * prefix and number make its id when the client gave none. -1 with exchange->err set; the
 * request can be answered all the same, and `closes` is set when its framing is in doubt.
 */
int exchange_read(struct exchange *exchange, struct MHD_Connection *connection,
                  const char *version, const char *prefix, uint64_t number);

#endif
