/* page: lists in pieces: ?limit=…&after=… in, {"items": […], "next": …} out. */
#ifndef API_PAGE_H
#define API_PAGE_H

#include <stdint.h>

#include "api/writer.h"
#include "base/err.h"
#include "http/request.h"

#define PAGE_LIMIT_DEFAULT 50
#define PAGE_LIMIT_MAX     200

struct page {
    size_t limit;
    int64_t after; /* place in the list to go on from; 0: its beginning */
};

/* Reads the arguments. ERR_INVALID names the one at fault. */
int page_read(const struct request *request, struct page *page, struct err *err);

/* Begins {"items": [ … */
void page_open(struct writer *writer);

/* … ], "next": …}: the cursor of the item at place last_seq when the page was full, else
 * null. */
void page_close(struct writer *writer, const struct page *page, size_t n_items,
                int64_t last_seq);

#endif
