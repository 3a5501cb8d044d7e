/* table.c - words by number and numbers by word: open addressing with linear steps, at most two thirds full. */
#include <stdlib.h>
#include <string.h>

#include "families/words/words.h"

enum { FIRST = 1024, WORDS_MOST = INT32_MAX - 1 };

void glia_word_table_free(glia_word_table *table) {
    free(table->words);
    free(table->counts);
    free(table->hashes);
    free(table->slots);
    glia_arena_free(&table->arena);
    *table = (glia_word_table){ 0 };
}

static uint32_t hash_of(const char *word, size_t length) { return (uint32_t)glia_hash_bytes(word, length, 0); }

/* Where the word is, or the free slot where it would be. */
static int64_t slot_of(const glia_word_table *t, const char *word, size_t length, uint32_t hash) {
    const int64_t mask = t->n_slots - 1;
    int64_t at = (int64_t)hash & mask;
    for (; t->slots[at] >= 0; at = (at + 1) & mask) {
        const int32_t i = t->slots[at];
        if (t->hashes[i] == hash && !strncmp(t->words[i], word, length) && !t->words[i][length]) break;
    }
    return at;
}

int64_t glia_word_table_find(const glia_word_table *table, const char *word, size_t length) {
    if (!table->n_slots) return -1;
    return table->slots[slot_of(table, word, length, hash_of(word, length))];
}

static bool widen(void **array, size_t wanted, size_t size) {
    size_t bytes;
    void *grown = glia_mul_fits(wanted, size, &bytes) ? realloc(*array, bytes) : NULL;
    if (grown) *array = grown;
    return grown != NULL;
}

/* Room for one more word, and for its slot. */
static bool grow(glia_word_table *t) {
    if (t->n == WORDS_MOST) return false;
    if (t->n == t->capacity) {
        const size_t wanted = t->capacity ? 2 * (size_t)t->capacity : FIRST;
        if (!widen((void **)&t->words, wanted, sizeof *t->words)) return false;
        if (!widen((void **)&t->counts, wanted, sizeof *t->counts)) return false;
        if (!widen((void **)&t->hashes, wanted, sizeof *t->hashes)) return false;
        t->capacity = (int64_t)wanted;
    }
    if (3 * (t->n + 1) <= 2 * t->n_slots) return true;
    const int64_t n_slots = t->n_slots ? 2 * t->n_slots : 2 * FIRST;
    int32_t *slots = malloc((size_t)n_slots * sizeof *slots);
    if (!slots) return false;
    memset(slots, 0xFF, (size_t)n_slots * sizeof *slots);
    for (int64_t i = 0; i < t->n; i++) {
        int64_t at = (int64_t)t->hashes[i] & (n_slots - 1);
        while (slots[at] >= 0) at = (at + 1) & (n_slots - 1);
        slots[at] = (int32_t)i;
    }
    free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    return true;
}

bool glia_word_table_add(glia_word_table *table, const char *word, size_t length, int64_t *number) {
    if (!grow(table)) return false;
    const uint32_t hash = hash_of(word, length);
    const int64_t slot = slot_of(table, word, length, hash);
    *number = table->slots[slot];
    if (*number >= 0) return true;
    char *copy = glia_arena_alloc(&table->arena, length + 1);
    if (!copy) return false;
    memcpy(copy, word, length);
    *number = table->n++;
    table->words[*number] = copy;
    table->counts[*number] = 0;
    table->hashes[*number] = hash;
    table->slots[slot] = (int32_t)*number;
    return true;
}

typedef struct ranked {
    int64_t count, number;
} ranked;

static int by_count(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return (x->number > y->number) - (x->number < y->number);
}

bool glia_word_table_sort(glia_word_table *table, int64_t least, int64_t most) {
    ranked *order = malloc(((size_t)table->n + 1) * sizeof *order);
    glia_word_table sorted = { 0 };
    bool good = order != NULL;
    int64_t n = 0, number;
    for (int64_t i = 0; i < table->n && good; i++)
        if (table->counts[i] >= least) order[n++] = (ranked){ table->counts[i], i };
    if (good && n > 1) qsort(order, (size_t)n, sizeof *order, by_count);
    if (most && n > most) n = most;
    for (int64_t i = 0; i < n && good; i++) {
        const char *word = table->words[order[i].number];
        good = glia_word_table_add(&sorted, word, strlen(word), &number);
        if (good) sorted.counts[number] = order[i].count;
    }
    free(order);
    glia_word_table_free(good ? table : &sorted);
    if (good) *table = sorted;
    return good;
}
