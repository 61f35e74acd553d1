#include "table/text_map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

__extension__ typedef unsigned __int128 wide; /* 64 x 64 bits */

static uint64_t fold(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Eight bytes a step, folded by a 128-bit product (the construction of wyhash). */
static uint64_t hash_of(uint64_t key, const char *text, size_t len)
{
    uint64_t hash = key ^ len;
    uint64_t word;
    for (; len >= sizeof word; text += sizeof word, len -= sizeof word) {
        memcpy(&word, text, sizeof word);
        hash = fold(hash ^ word, 0x9E3779B97F4A7C15U);
    }
    word = 0;
    if (len)
        memcpy(&word, text, len);
    return fold(hash ^ word ^ 0xA0761D6478BD642FU, key | 1);
}

void text_map_init(struct text_map *map)
{
    *map = (struct text_map){0};
    /* Without entropy, at least an address that the loader randomised. */
    if (getrandom(&map->key, sizeof map->key, GRND_NONBLOCK) != sizeof map->key)
        map->key = (uint64_t)(uintptr_t)map;
}

void text_map_clear(struct text_map *map)
{
    free(map->entries);
    free(map->slots);
    *map = (struct text_map){0};
}

/* Slot that holds the text, or the free one where it belongs. */
static size_t slot_of(const struct text_map *map, const char *text, size_t len,
                      uint64_t hash)
{
    size_t mask = map->n_slots - 1;
    size_t slot = hash & mask;
    for (;; slot = (slot + 1) & mask) {
        uint32_t code = map->slots[slot];
        if (code == TEXT_MAP_NONE)
            return slot;
        const struct text_map_entry *entry = &map->entries[code];
        if (entry->hash == hash && entry->len == len &&
            (len == 0 || memcmp(entry->text, text, len) == 0))
            return slot;
    }
}

uint32_t text_map_find(const struct text_map *map, const char *text, size_t len)
{
    if (map->n_slots == 0)
        return TEXT_MAP_NONE;
    return map->slots[slot_of(map, text, len, hash_of(map->key, text, len))];
}

static int grow_slots(struct text_map *map, struct err *err)
{
    size_t n_slots = map->n_slots ? map->n_slots * 2 : 64;
    uint32_t *slots = mem_new(n_slots, sizeof *slots, err);
    if (!slots)
        return -1;
    memset(slots, 0xFF, n_slots * sizeof *slots);
    for (size_t code = 0; code < map->n; code++) {
        size_t slot = map->entries[code].hash & (n_slots - 1);
        while (slots[slot] != TEXT_MAP_NONE)
            slot = (slot + 1) & (n_slots - 1);
        slots[slot] = (uint32_t)code;
    }
    free(map->slots);
    map->slots = slots;
    map->n_slots = n_slots;
    return 0;
}

int text_map_add(struct text_map *map, const char *text, size_t len, uint32_t *code,
                 struct err *err)
{
    if (map->n >= map->n_slots / 2 && grow_slots(map, err) < 0)
        return -1;
    uint64_t hash = hash_of(map->key, text, len);
    size_t slot = slot_of(map, text, len, hash);
    if (map->slots[slot] == TEXT_MAP_NONE) {
        if (map->n >= TEXT_MAP_NONE - 1)
            return err_set(err, ERR_TOO_LARGE, "too_many_levels",
                           "too many different texts");
        if (mem_grow(&map->entries, &map->capacity, map->n + 1, sizeof *map->entries,
                     err) < 0)
            return -1;
        map->entries[map->n] = (struct text_map_entry){text, len, hash};
        map->slots[slot] = (uint32_t)map->n++;
    }
    *code = map->slots[slot];
    return 0;
}
