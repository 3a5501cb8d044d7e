/* hash.c - a hash of bytes, and a hash table of indices: open addressing with linear probing. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { SLOTS_FIRST = 16, COUNT_MOST = 1 << 30 };

uint64_t glia_hash_bytes(const void *bytes, size_t length, uint64_t seed) {
    const uint8_t *p = bytes;
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < length; i++) h = (h ^ p[i]) * 0x100000001b3u;
    h ^= h >> 32; /* FNV's high bits are weak; this is splitmix64's finish */
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static void put(glia_hash_table *t, uint32_t hash, int32_t index) {
    uint32_t at = hash & t->mask;
    while (t->slots[at].index >= 0) at = (at + 1) & t->mask;
    t->slots[at] = (glia_hash_slot){ hash, index };
}

bool glia_hash_reserve(glia_hash_table *table, size_t count) {
    const size_t before = table->slots ? (size_t)table->mask + 1 : 0;
    size_t size = before ? before : SLOTS_FIRST;
    if (count > COUNT_MOST) return false;
    while (3 * count > 2 * size) size *= 2;
    if (size == before) return true;
    glia_hash_slot *slots = malloc(size * sizeof *slots);
    if (!slots) return false;
    glia_hash_table grown = { .slots = slots, .mask = (uint32_t)(size - 1), .count = table->count };
    memset(slots, 0xFF, size * sizeof *slots);
    for (size_t i = 0; i < before; i++) {
        if (table->slots[i].index >= 0) put(&grown, table->slots[i].hash, table->slots[i].index);
    }
    free(table->slots);
    *table = grown;
    return true;
}

bool glia_hash_add(glia_hash_table *table, uint32_t hash, int32_t index) {
    if (!glia_hash_reserve(table, (size_t)table->count + 1)) return false;
    put(table, hash, index);
    table->count++;
    return true;
}

void glia_hash_replace(glia_hash_table *table, uint32_t hash, int32_t from, int32_t to) {
    uint32_t at = hash;
    for (int32_t i; (i = glia_hash_next(table, hash, &at)) >= 0;) {
        if (i != from) continue;
        table->slots[(at - 1) & table->mask].index = to;
        return;
    }
}

void glia_hash_clear(glia_hash_table *table) {
    if (table->slots) memset(table->slots, 0xFF, ((size_t)table->mask + 1) * sizeof *table->slots);
    table->count = 0;
}

void glia_hash_free(glia_hash_table *table) {
    free(table->slots);
    *table = (glia_hash_table){ 0 };
}
