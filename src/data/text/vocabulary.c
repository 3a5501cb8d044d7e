/* vocabulary.c - tokens by id and by name: an array, and a table of open addressing. */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

enum { SIZE_MOST = 1 << 26 }; /* ids beyond are no vocabulary's */

static uint32_t hash(const char *token, size_t length) { return (uint32_t)glia_hash_bytes(token, length, 0); }

static int32_t *slot_of(const glia_vocabulary *v, const char *token, size_t length) {
    for (uint32_t i = hash(token, length) & v->mask;; i = (i + 1) & v->mask) {
        const int32_t id = v->slots[i];
        if (id < 0 || (v->lengths[id] == length && !memcmp(v->tokens[id], token, length))) return &v->slots[i];
    }
}

static bool grow_slots(glia_vocabulary *v) {
    const uint32_t size = v->slots ? 2 * (v->mask + 1) : 256;
    int32_t *old = v->slots, *slots = malloc(size * sizeof *slots);
    if (!slots) return false;
    memset(slots, 0xFF, size * sizeof *slots);
    const uint32_t old_size = old ? v->mask + 1 : 0;
    v->slots = slots;
    v->mask = size - 1;
    for (uint32_t i = 0; i < old_size; i++) {
        if (old[i] >= 0) *slot_of(v, v->tokens[old[i]], v->lengths[old[i]]) = old[i];
    }
    free(old);
    return true;
}

static bool grow_ids(glia_vocabulary *v, int32_t id) {
    if (id < v->capacity) return true;
    const int capacity = GLIA_MAX(2 * v->capacity, id + 64);
    const char **tokens = realloc(v->tokens, (size_t)capacity * sizeof *tokens);
    if (!tokens) return false;
    v->tokens = tokens;
    uint32_t *lengths = realloc(v->lengths, (size_t)capacity * sizeof *lengths);
    if (!lengths) return false;
    v->lengths = lengths;
    memset(tokens + v->capacity, 0, (size_t)(capacity - v->capacity) * sizeof *tokens);
    memset(lengths + v->capacity, 0, (size_t)(capacity - v->capacity) * sizeof *lengths);
    v->capacity = capacity;
    return true;
}

bool glia_vocabulary_set(glia_vocabulary *v, const char *token, size_t length, int32_t id) {
    if (id < 0 || id >= SIZE_MOST || !grow_ids(v, id)) return false;
    if ((!v->slots || 2 * (uint32_t)v->count >= v->mask) && !grow_slots(v)) return false;
    int32_t *slot = slot_of(v, token, length);
    if (*slot < 0) v->count++;
    v->tokens[id] = token;
    v->lengths[id] = (uint32_t)length;
    *slot = id;
    v->n = GLIA_MAX(v->n, id + 1);
    return true;
}

int32_t glia_vocabulary_find(const glia_vocabulary *v, const char *token, size_t length) {
    return v->slots ? *slot_of(v, token, length) : -1;
}

void glia_vocabulary_free(glia_vocabulary *v) {
    free(v->tokens);
    free(v->lengths);
    free(v->slots);
    *v = (glia_vocabulary){ 0 };
}
