/* train_bpe.c - trains byte-pair encoding: repeatedly merges the most frequent pair of adjacent tokens into a new one.
 *
 * Words are counted once. Each pair stores its count and the words that contain it, so a merge visits only these. A
 * heap yields the most frequent pair; outdated entries are updated when they reach the top. Of equally frequent pairs,
 * the one with the smaller ids comes first, as in the `tokenizers` package. WordPiece's vocabulary is trained in the
 * same way, with ## before tokens that continue a word.
 */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

typedef struct pair {
    int32_t left, right;
    int64_t count;
    int32_t *words; /* that contain it, or once did */
    int n, capacity;
    bool touched;
} pair;

typedef struct entry {
    int64_t count;
    int32_t left, right, pair;
} entry;

typedef struct trainer {
    const glia_trainer *t;
    bool wordpiece;
    glia_vocabulary vocabulary;
    glia_arena arena;                    /* holds the tokens */
    int32_t *symbols, *starts, *lengths; /* tokens of the words; their ranges */
    pair *pairs;
    int n_pairs, pairs_capacity;
    glia_hash_table by_symbols; /* pairs */
    entry *heap;
    int n_heap, heap_capacity;
    int32_t *touched;
    int n_touched, touched_capacity;
    glia_string *merges;
    int n_merges, merges_capacity;
    bool failed;
} trainer;

/* ---- pairs -------------------------------------------------------------------------------- */

/* The index of a pair, added if new; -1: no memory. */
static int pair_of(trainer *t, int32_t left, int32_t right) {
    const uint64_t key = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    const uint32_t hash = (uint32_t)(key >> 32);
    int32_t i;
    for (uint32_t at = hash; (i = glia_hash_next(&t->by_symbols, hash, &at)) >= 0;)
        if (t->pairs[i].left == left && t->pairs[i].right == right) return i;
    if (!glia_grow((void **)&t->pairs, t->n_pairs, &t->pairs_capacity, sizeof *t->pairs) ||
        !glia_hash_add(&t->by_symbols, hash, t->n_pairs))
        return t->failed = true, -1;
    t->pairs[t->n_pairs] = (pair){ .left = left, .right = right };
    return t->n_pairs++;
}

/* Adds `times` (may be negative) to the count of a pair in a word; `touch`: the pair is pushed after this merge. */
static void change(trainer *t, int32_t left, int32_t right, int64_t times, int32_t word, bool touch) {
    const int at = pair_of(t, left, right);
    if (at < 0) return;
    pair *p = &t->pairs[at];
    p->count += times;
    if (times < 0) return;
    if (!p->n || p->words[p->n - 1] != word) {
        if (!glia_grow((void **)&p->words, p->n, &p->capacity, sizeof *p->words)) {
            t->failed = true;
            return;
        }
        p->words[p->n++] = word;
    }
    if (!touch || p->touched) return;
    p->touched = true;
    if (!glia_grow((void **)&t->touched, t->n_touched, &t->touched_capacity, sizeof *t->touched))
        t->failed = true;
    else
        t->touched[t->n_touched++] = at;
}

/* ---- the heap ----------------------------------------------------------------------------- */

static bool better(entry a, entry b) {
    if (a.count != b.count) return a.count > b.count;
    return a.left != b.left ? a.left < b.left : a.right < b.right;
}

static void push(trainer *t, int32_t at) {
    const pair *p = &t->pairs[at];
    if (p->count < 1) return;
    if (!glia_grow((void **)&t->heap, t->n_heap, &t->heap_capacity, sizeof *t->heap)) {
        t->failed = true;
        return;
    }
    const entry moved = { p->count, p->left, p->right, at };
    int i = t->n_heap++;
    for (int up; i > 0 && (up = (i - 1) / 2, better(moved, t->heap[up])); i = up) t->heap[i] = t->heap[up];
    t->heap[i] = moved;
}

static entry pop(trainer *t) {
    const entry top = t->heap[0], last = t->heap[--t->n_heap];
    int i = 0;
    for (int child; (child = 2 * i + 1) < t->n_heap; i = child) {
        if (child + 1 < t->n_heap && better(t->heap[child + 1], t->heap[child])) child++;
        if (!better(t->heap[child], last)) break;
        t->heap[i] = t->heap[child];
    }
    t->heap[i] = last;
    return top;
}

/* ---- tokens ------------------------------------------------------------------------------- */

/* The id of a + b, added to the vocabulary if new; -1: no memory. */
static int32_t token_of(trainer *t, const char *a, size_t a_length, const char *b, size_t b_length) {
    char *name = glia_arena_alloc(&t->arena, a_length + b_length + 1);
    if (!name) return t->failed = true, -1;
    if (a_length) memcpy(name, a, a_length);
    if (b_length) memcpy(name + a_length, b, b_length);
    const int32_t known = glia_vocabulary_find(&t->vocabulary, name, a_length + b_length);
    if (known >= 0) return known;
    const int32_t id = t->vocabulary.n;
    if (!glia_vocabulary_set(&t->vocabulary, name, a_length + b_length, id)) return t->failed = true, -1;
    return id;
}

static int by_code(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The characters of all words, and for BPE those of all bytes: sorted, without duplicates. false: no memory. */
static bool alphabet(const trainer *t, uint32_t **out, int *n) {
    uint32_t *codes = NULL;
    int capacity = 0;
    bool *seen = calloc(GLIA_RAW, 1);
    *n = 0;
    bool good = seen != NULL;
    const glia_counts *c = t->t->counts;
    for (int32_t i = 0; i < c->n && good; i++) {
        for (const char *at = c->words[i].bytes, *end = at + c->words[i].length; at < end && good;) {
            const uint32_t code = glia_utf8_take(&at, end);
            if (code >= GLIA_RAW || seen[code]) continue;
            seen[code] = true;
            good = glia_grow((void **)&codes, *n, &capacity, sizeof *codes);
            if (good) codes[(*n)++] = code;
        }
    }
    for (int b = 0; b < 256 && good && !t->wordpiece; b++) {
        const uint32_t code = glia_byte_character((uint8_t)b);
        if (seen[code]) continue;
        good = glia_grow((void **)&codes, *n, &capacity, sizeof *codes);
        if (good) codes[(*n)++] = code;
    }
    free(seen);
    if (*n) qsort(codes, (size_t)*n, sizeof *codes, by_code);
    *out = codes;
    return good;
}

static void add_alphabet(trainer *t) {
    int n;
    uint32_t *codes;
    t->failed = !alphabet(t, &codes, &n);
    for (int i = 0; i < t->t->n_specials && !t->failed; i++)
        token_of(t, t->t->specials[i], strlen(t->t->specials[i]), NULL, 0);
    for (int prefix = 0; prefix <= t->wordpiece; prefix++) {
        for (int i = 0; i < n && !t->failed; i++) {
            char bytes[4];
            token_of(t, "##", prefix ? 2 : 0, bytes, glia_utf8_put(codes[i], bytes));
        }
    }
    free(codes);
}

/* Converts words to the ids of their characters and counts the pairs. */
static void spell_words(trainer *t) {
    const glia_counts *c = t->t->counts;
    size_t total = 0;
    for (int32_t i = 0; i < c->n; i++) total += c->words[i].length;
    t->symbols = malloc((total + 1) * sizeof *t->symbols);
    t->starts = malloc((size_t)(c->n + 1) * sizeof *t->starts);
    t->lengths = malloc((size_t)(c->n + 1) * sizeof *t->lengths);
    if (!t->symbols || !t->starts || !t->lengths || total > INT32_MAX) t->failed = true;
    int32_t at = 0;
    for (int32_t i = 0; i < c->n && !t->failed; i++) {
        t->starts[i] = at;
        for (const char *p = c->words[i].bytes, *end = p + c->words[i].length; p < end;) {
            char name[6] = "##";
            const size_t prefix = t->wordpiece && at > t->starts[i] ? 2 : 0;
            const size_t n = glia_utf8_put(glia_utf8_take(&p, end), name + prefix);
            t->symbols[at++] = glia_vocabulary_find(&t->vocabulary, name, prefix + n);
        }
        t->lengths[i] = at - t->starts[i];
        for (int32_t k = t->starts[i]; k + 1 < at; k++)
            change(t, t->symbols[k], t->symbols[k + 1], c->counts[i], i, false);
    }
}

/* ---- merging ------------------------------------------------------------------------------ */

static void merge_in(trainer *t, int32_t word, int32_t left, int32_t right, int32_t id) {
    int32_t *s = t->symbols + t->starts[word], n = t->lengths[word], kept = 0;
    const int64_t count = t->t->counts->counts[word];
    for (int32_t i = 0; i < n; i++) {
        if (s[i] != left || i + 1 >= n || s[i + 1] != right) {
            s[kept++] = s[i];
            continue;
        }
        if (kept) {
            change(t, s[kept - 1], left, -count, word, false);
            change(t, s[kept - 1], id, count, word, true);
        }
        if (i + 2 < n) {
            change(t, right, s[i + 2], -count, word, false);
            change(t, id, s[i + 2], count, word, true);
        }
        s[kept++] = id;
        i++;
    }
    t->lengths[word] = kept;
}

static void keep_merge(trainer *t, int32_t left, int32_t right) {
    const glia_vocabulary *v = &t->vocabulary;
    glia_text both = { 0 };
    glia_text_printf(&both, "%s %s", v->tokens[left], v->tokens[right]);
    char *copy = both.failed ? NULL : glia_arena_strdup(&t->arena, both.bytes);
    free(both.bytes);
    if (!copy || !glia_grow((void **)&t->merges, t->n_merges, &t->merges_capacity, sizeof *t->merges))
        t->failed = true;
    else
        t->merges[t->n_merges++] = (glia_string){ copy, strlen(copy) };
}

static void merge_all(trainer *t) {
    for (int32_t i = 0; i < t->n_pairs; i++) push(t, i);
    while (!t->failed && t->n_heap && t->vocabulary.n < t->t->opts.vocabulary) {
        const entry top = pop(t);
        const int64_t now = t->pairs[top.pair].count;
        if (now != top.count) {
            push(t, top.pair);
            continue;
        }
        if (now < GLIA_MAX(t->t->opts.minimum, (int64_t)1)) return;
        const glia_vocabulary *v = &t->vocabulary;
        const size_t skip = t->wordpiece ? 2 : 0; /* the right token always continues a word */
        const int32_t id = token_of(t, v->tokens[top.left], v->lengths[top.left], v->tokens[top.right] + skip,
                                    v->lengths[top.right] - skip);
        if (id < 0) return;
        keep_merge(t, top.left, top.right);
        int32_t *words = t->pairs[top.pair].words; /* t->pairs may be reallocated */
        const int n = t->pairs[top.pair].n;
        t->pairs[top.pair].words = NULL;
        t->pairs[top.pair].n = t->pairs[top.pair].capacity = 0;
        for (int i = 0; i < n && !t->failed; i++) merge_in(t, words[i], top.left, top.right, id);
        free(words);
        for (int i = 0; i < t->n_touched; i++) {
            t->pairs[t->touched[i]].touched = false;
            push(t, t->touched[i]);
        }
        t->n_touched = 0;
    }
}

/* ---- writing ------------------------------------------------------------------------------ */

static void append(glia_text *out, const char *words) { glia_text_append(out, words, strlen(words)); }

static void write_model(const trainer *t, glia_text *out) {
    if (t->wordpiece)
        append(out, "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
                    "\"max_input_chars_per_word\":100,\"vocab\":{");
    else
        append(out, "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
                    "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,"
                    "\"vocab\":{");
    for (int32_t i = 0; i < t->vocabulary.n; i++) {
        append(out, i ? ",\n" : "\n");
        glia_json_write_string(out, t->vocabulary.tokens[i]);
        glia_text_printf(out, ":%d", (int)i);
    }
    append(out, "}");
    if (!t->wordpiece) append(out, ",\"merges\":[");
    for (int i = 0; i < t->n_merges && !t->wordpiece; i++) {
        append(out, i ? ",\n" : "\n");
        glia_json_write_string(out, t->merges[i].bytes);
    }
    append(out, t->wordpiece ? "}" : "]}");
}

glia_status glia_train_bpe(const glia_trainer *given, bool wordpiece, glia_text *out) {
    trainer t = { .t = given, .wordpiece = wordpiece };
    add_alphabet(&t);
    if (!t.failed) spell_words(&t);
    if (!t.failed) merge_all(&t);
    glia_status status = t.failed ? glia_fail_nomem(given->error) : GLIA_OK;
    if (!status && t.vocabulary.n > given->opts.vocabulary)
        status = glia_fail(given->error, GLIA_E_ARGUMENT,
                           "a vocabulary of %lld tokens is too small: special tokens and characters alone are %d",
                           (long long)given->opts.vocabulary, (int)t.vocabulary.n);
    if (!status) write_model(&t, out);
    for (int i = 0; i < t.n_pairs; i++) free(t.pairs[i].words);
    free(t.pairs);
    glia_hash_free(&t.by_symbols);
    free(t.heap);
    free(t.touched);
    free(t.merges);
    free(t.symbols);
    free(t.starts);
    free(t.lengths);
    glia_vocabulary_free(&t.vocabulary);
    glia_arena_free(&t.arena);
    return status;
}
