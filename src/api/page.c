#include "api/page.h"

#include <stdio.h>

int page_read(const struct request *request, struct page *page, struct err *err)
{
    size_t after = 0;
    page->limit = PAGE_LIMIT_DEFAULT;
    if (request_number(request, "limit", 1, PAGE_LIMIT_MAX, &page->limit, err) < 0 ||
        request_number(request, "after", 1, INT64_MAX, &after, err) < 0)
        return -1;
    page->after = (int64_t)after;
    return 0;
}

void page_open(struct writer *writer)
{
    writer_object(writer, NULL);
    writer_array(writer, "items");
}

void page_close(struct writer *writer, const struct page *page, size_t n_items,
                int64_t last_seq)
{
    char cursor[24];
    writer_close(writer);
    snprintf(cursor, sizeof cursor, "%lld", (long long)last_seq);
    if (n_items == page->limit)
        writer_text(writer, "next", cursor);
    else
        writer_null(writer, "next");
    writer_close(writer);
}
