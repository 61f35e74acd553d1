#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *mem_new(size_t count, size_t size, struct err *err)
{
    /* Checked here because a sanitizer's calloc aborts where the C library's gives NULL. */
    if (size && count > SIZE_MAX / 2 / size) {
        err_no_memory(err);
        return NULL;
    }
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory)
        err_no_memory(err);
    return memory;
}

void *mem_new_aligned(size_t count, size_t size, struct err *err)
{
    if (size && count > SIZE_MAX / 2 / size) {
        err_no_memory(err);
        return NULL;
    }
    size_t len = count * size / 64 * 64 + 64;
    void *memory = aligned_alloc(64, len);
    if (!memory) {
        err_no_memory(err);
        return NULL;
    }
    return memset(memory, 0, len);
}

int mem_grow(void *array, size_t *capacity, size_t need, size_t size, struct err *err)
{
    if (need <= *capacity)
        return 0;
    size_t wanted = *capacity + *capacity / 2;
    if (wanted < need)
        wanted = need;
    if (wanted < 8)
        wanted = 8;
    if (wanted > SIZE_MAX / 2 / size)
        return err_no_memory(err);

    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = realloc(old, wanted * size);
    if (!grown)
        return err_no_memory(err);
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return 0;
}

char *mem_text(const char *text, size_t len, struct err *err)
{
    if (len == SIZE_MAX) {
        err_no_memory(err);
        return NULL;
    }
    char *copy = malloc(len + 1);
    if (!copy) {
        err_no_memory(err);
        return NULL;
    }
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}
