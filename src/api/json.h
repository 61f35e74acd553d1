/*
 * json: request bodies as jansson values, for control-plane JSON. Every failure names the
 * field at fault by its pointer.
 */
#ifndef API_JSON_H
#define API_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/request.h"

/*
 * Reads the body as one JSON object (*root: json_decref by the caller). Duplicate members,
 * deep nesting and bytes behind it are errors (ERR_MALFORMED with line and column), another
 * type than an object is ERR_INVALID; ERR_UNSUPPORTED without Content-Type: application/json.
 */
int json_read(const struct request *request, const char *body, size_t len, json_t **root,
              struct err *err);

/* 0 when the body's Content-Type is application/json; else ERR_UNSUPPORTED. */
int json_check_type(const struct request *request, struct err *err);

/* Where the value of a member of the body's outermost object stands: *value in body [*len];
 * NULL when there is no such member. Only the syntax up to its end is checked. */
int json_find_member(const char *body, size_t body_len, const char *name,
                     const char **value, size_t *len, struct err *err);

/* The error for a member that is not among the known names: suggests the nearest. */
int json_unknown_field(const char *name, const char *const *known, size_t n,
                       struct err *err);

/* The error for a value of the wrong type: "/name: expected a number, found a string". */
int json_wrong_type(const char *pointer, const char *expected, const json_t *found,
                    struct err *err);

/* Reads an optional text member into *text (borrowed from root; NULL when absent). */
int json_get_text(const json_t *root, const char *name, const char **text,
                  struct err *err);

/* Reads an optional list of texts: *texts is an array of borrowed texts, owned by the caller
 * (free), NULL when absent. */
int json_get_texts(const json_t *root, const char *name, const char ***texts, size_t *n,
                   struct err *err);

#endif
