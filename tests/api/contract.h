/*
 * contract: holds what the server answers against its OpenAPI document: is the status
 * listed, does the body fit the schema, has it no member that the document does not know?
 */
#ifndef TESTS_API_CONTRACT_H
#define TESTS_API_CONTRACT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The document as linked into the library; borrowed, read-only. */
const json_t *contract_document(void);

struct contract_case {
    const char *method;
    const char *path; /* with its query */
    long status;
    const char *type;      /* Content-Type of the answer, "" when it has none */
    const json_t *answer;  /* NULL: not JSON */
    const json_t *request; /* NULL: no JSON was sent */
};

/* True when all fits; else `why` [size] says what does not. Paths without a route always
 * fit. */
bool contract_fits(const struct contract_case *one, char *why, size_t size);

#endif
