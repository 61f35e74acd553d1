/*
 * err: what went wrong, for the program and for the person.
 *
 * A fallible function returns 0 or -1 and takes `struct err *` last. The caller owns the
 * object and starts it as `struct err err = {0};`. The first failure wins: once a code is
 * set, later calls of err_set leave it alone, so that clean-up cannot hide the cause.
 * Plain values, no ownership, not shared between threads.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

/* What kind of failure; api/problem maps each to one HTTP status. */
enum err_code {
    ERR_NONE = 0,
    ERR_MALFORMED,      /* cannot be parsed */
    ERR_INVALID,        /* understood, but not acceptable */
    ERR_FORBIDDEN,      /* not allowed for this caller */
    ERR_NOT_FOUND,      /* no such thing */
    ERR_METHOD,         /* the path exists, not with this method */
    ERR_NOT_ACCEPTABLE, /* no representation that the client accepts */
    ERR_CONFLICT,       /* the thing's state does not allow it */
    ERR_TOO_LARGE,      /* over a ceiling */
    ERR_UNSUPPORTED,    /* a media type or encoding that we do not read */
    ERR_EXPECTATION,    /* an Expect header that we do not know */
    ERR_BUSY,           /* try again later */
    ERR_STORAGE_FULL,   /* the disk or the database is full */
    ERR_NO_MEMORY,      /* an allocation failed */
    ERR_IO,             /* the operating system refused a read or write */
    ERR_CORRUPT,        /* stored bytes do not decode or fail their digest */
    ERR_CANCELLED,      /* stopped on request */
    ERR_DIVERGED,       /* training met a non-finite number */
    ERR_INTERNAL,       /* a promise of ours is broken */
};

struct err {
    enum err_code code;
    char slug[40];     /* machine-readable reason, lower_snake_case: "ragged_row" */
    char pointer[160]; /* RFC 6901 pointer to the field at fault, or "" */
    char message[400]; /* a sentence for a person, without a full stop */
};

/*
 * Records a failure unless one is recorded already. `slug` is a short constant;
 * `fmt` a printf format for the sentence (cut to fit). Returns -1, so that a caller can
 * `return err_set(err, …);`. A NULL err is allowed and only returns -1.
 */
int err_set(struct err *err, enum err_code code, const char *slug, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* As err_set, and records the JSON pointer of the field at fault ("/hidden_layer_sizes/0"). */
int err_set_at(struct err *err, enum err_code code, const char *slug, const char *pointer,
               const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Records "out of memory". Returns -1. */
int err_no_memory(struct err *err);

/* Forgets what is recorded. */
void err_clear(struct err *err);

#endif
