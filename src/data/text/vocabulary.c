/* vocabulary.c - tokens by id (an array) and by name (a hash table). */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

enum { SIZE_MOST = 1 << 26 }; /* ids from here on are rejected */

static int32_t find(const glia_vocabulary *v, const char *token, size_t length, uint32_t hash) {
    int32_t id;
    for (uint32_t at = hash; (id = glia_hash_next(&v->by_name, hash, &at)) >= 0;)
        if (v->lengths[id] == length && !memcmp(v->tokens[id], token, length)) break;
    return id;
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
    const uint32_t hash = glia_hash_u32(token, length);
    const int32_t before = find(v, token, length, hash);
    if (before >= 0) {
        glia_hash_replace(&v->by_name, hash, before, id);
    } else {
        if (!glia_hash_add(&v->by_name, hash, id)) return false;
        v->count++;
    }
    v->tokens[id] = token;
    v->lengths[id] = (uint32_t)length;
    v->n = GLIA_MAX(v->n, id + 1);
    return true;
}

int32_t glia_vocabulary_find(const glia_vocabulary *v, const char *token, size_t length) {
    return find(v, token, length, glia_hash_u32(token, length));
}

void glia_vocabulary_free(glia_vocabulary *v) {
    free(v->tokens);
    free(v->lengths);
    glia_hash_free(&v->by_name);
    *v = (glia_vocabulary){ 0 };
}
