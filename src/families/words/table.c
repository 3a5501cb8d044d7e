/* table.c - a table of words, by number and by name. */
#include <stdlib.h>
#include <string.h>

#include "families/words/words.h"

enum { FIRST = 1024, WORDS_MOST = INT32_MAX - 1 };

void glia_word_table_free(glia_word_table *table) {
    free(table->words);
    free(table->counts);
    glia_hash_free(&table->by_word);
    glia_arena_free(&table->arena);
    *table = (glia_word_table){ 0 };
}

static int32_t find(const glia_word_table *t, const char *word, size_t length, uint32_t hash) {
    int32_t i;
    for (uint32_t at = hash; (i = glia_hash_next(&t->by_word, hash, &at)) >= 0;)
        if (!strncmp(t->words[i], word, length) && !t->words[i][length]) break;
    return i;
}

int64_t glia_word_table_find(const glia_word_table *table, const char *word, size_t length) {
    return find(table, word, length, glia_hash_u32(word, length));
}

static bool widen(void **array, size_t wanted, size_t size) {
    size_t bytes;
    void *grown = glia_mul_fits(wanted, size, &bytes) ? realloc(*array, bytes) : NULL;
    if (grown) *array = grown;
    return grown != NULL;
}

/* Room for one more word. */
static bool grow(glia_word_table *t) {
    if (t->n == WORDS_MOST) return false;
    if (t->n < t->capacity) return true;
    const size_t wanted = t->capacity ? 2 * (size_t)t->capacity : FIRST;
    if (!widen((void **)&t->words, wanted, sizeof *t->words)) return false;
    if (!widen((void **)&t->counts, wanted, sizeof *t->counts)) return false;
    t->capacity = (int64_t)wanted;
    return true;
}

bool glia_word_table_add(glia_word_table *table, const char *word, size_t length, int64_t *number) {
    const uint32_t hash = glia_hash_u32(word, length);
    *number = find(table, word, length, hash);
    if (*number >= 0) return true;
    if (!grow(table)) return false;
    char *copy = glia_arena_alloc(&table->arena, length + 1);
    if (!copy || !glia_hash_add(&table->by_word, hash, (int32_t)table->n)) return false;
    memcpy(copy, word, length);
    *number = table->n++;
    table->words[*number] = copy;
    table->counts[*number] = 0;
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

/* ---- words as UTF-8 ----------------------------------------------------------------------- */

void glia_word_escape(const char *word, glia_text *out) {
    const uint8_t *p = (const uint8_t *)word;
    for (size_t rest = strlen(word), n; rest > 0; p += n, rest -= n) {
        n = *p == '\\' ? 0 : glia_utf8_length(p, rest);
        if (n)
            glia_text_append(out, (const char *)p, n);
        else
            glia_text_printf(out, "\\x%02X", *p), n = 1;
    }
}

static int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

size_t glia_word_unescape(const char *escaped, size_t length, char *word) {
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        const bool coded = i + 3 < length && escaped[i] == '\\' && escaped[i + 1] == 'x';
        const int high = coded ? digit(escaped[i + 2]) : -1, low = coded ? digit(escaped[i + 3]) : -1;
        word[n++] = high >= 0 && low >= 0 ? (char)(16 * high + low) : escaped[i];
        if (high >= 0 && low >= 0) i += 3;
    }
    return n;
}
