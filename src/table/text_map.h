/*
 * text_map: texts → dense codes 0, 1, 2 … in the order they were first added. An open-addressing
 * hash table whose hash is keyed at random, so that nobody can choose colliding texts; codes
 * do not depend on the key. Texts are borrowed and must outlive the map. One owner.
 */
#ifndef TABLE_TEXT_MAP_H
#define TABLE_TEXT_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TEXT_MAP_NONE UINT32_MAX

struct text_map_entry {
    const char *text; /* borrowed, not NUL-terminated */
    size_t len;
    uint64_t hash;
};

struct text_map {
    uint64_t key;                   /* of the hash */
    size_t n;                       /* texts so far */
    struct text_map_entry *entries; /* owned [n], by code */
    size_t capacity;                /* of entries */
    uint32_t *slots;                /* owned [n_slots]: codes, TEXT_MAP_NONE where free */
    size_t n_slots;                 /* a power of two, or 0 */
};

void text_map_init(struct text_map *map);
void text_map_clear(struct text_map *map);

/* Code of the text, or TEXT_MAP_NONE. */
uint32_t text_map_find(const struct text_map *map, const char *text, size_t len);

/* Code of the text, added when it is new. */
int text_map_add(struct text_map *map, const char *text, size_t len, uint32_t *code,
                 struct err *err);

#endif
