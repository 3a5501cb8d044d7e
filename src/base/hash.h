/* hash.h - a hash of bytes, and a hash table of indices into the caller's array.
 *
 * The table stores hashes and indices, the caller stores the items, so that any type of item can be used:
 *
 *     const uint32_t hash = glia_hash_u32(word, length);
 *     for (uint32_t at = hash; (i = glia_hash_next(&table, hash, &at)) >= 0;)
 *         if (strcmp(words[i], word) == 0) return i;
 *     if (!glia_hash_add(&table, hash, n)) return -1; // out of memory
 *     words[n] = word;
 */
#ifndef GLIA_SRC_BASE_HASH_H
#define GLIA_SRC_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t glia_hash_bytes(const void *bytes, size_t length, uint64_t seed); /* FNV-1a, then mixed */

static inline uint32_t glia_hash_u32(const void *bytes, size_t length) {
    return (uint32_t)glia_hash_bytes(bytes, length, 0);
}

typedef struct glia_hash_slot {
    uint32_t hash;
    int32_t index; /* -1: free */
} glia_hash_slot;

/* Open addressing with linear probing, at most two thirds full. Zero-initialise. */
typedef struct glia_hash_table {
    glia_hash_slot *slots;
    uint32_t mask; /* the number of slots, a power of two, less 1 */
    uint32_t count;
} glia_hash_table;

/* Returns the next index stored under this hash; start with *at = hash. -1: no more. */
static inline int32_t glia_hash_next(const glia_hash_table *table, uint32_t hash, uint32_t *at) {
    if (!table->slots) return -1;
    for (;;) {
        const glia_hash_slot slot = table->slots[(*at)++ & table->mask];
        if (slot.index < 0 || slot.hash == hash) return slot.index;
    }
}

/* Reserves room for this many indices in total: additions up to that number cannot fail. false: out of memory. */
bool glia_hash_reserve(glia_hash_table *table, size_t count);
/* Adds an index. false: out of memory, nothing changed. */
bool glia_hash_add(glia_hash_table *table, uint32_t hash, int32_t index);
/* Replaces an index stored under this hash. */
void glia_hash_replace(glia_hash_table *table, uint32_t hash, int32_t from, int32_t to);
void glia_hash_clear(glia_hash_table *table); /* keeps the memory */
void glia_hash_free(glia_hash_table *table);

#endif
