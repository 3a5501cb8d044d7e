/* bpe.c - byte-pair encoding (Sennrich, Haddow and Birch 2016): repeatedly merges the adjacent pair that was merged
 * earliest in training, until no pair has a merge.
 *
 * Short pieces, the common case, are an array that is scanned for the best pair before each merge. Long pieces use a
 * heap of pairs, so that a text without spaces takes O(n log n).
 */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

enum { SHORT = 48, NO_RANK = INT32_MAX };

/* ---- merges ------------------------------------------------------------------------------- */

static uint32_t mix(int32_t left, int32_t right) {
    const uint64_t key = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(key >> 32);
}

static glia_bpe_merge *slot_of(const glia_token_model *m, int32_t left, int32_t right) {
    for (uint32_t i = mix(left, right) & m->merges_mask;; i = (i + 1) & m->merges_mask) {
        glia_bpe_merge *slot = &m->merges[i];
        if (slot->left < 0 || (slot->left == left && slot->right == right)) return slot;
    }
}

const glia_bpe_merge *glia_merge_find(const glia_token_model *m, int32_t left, int32_t right) {
    if (!m->merges) return NULL;
    const glia_bpe_merge *slot = slot_of(m, left, right);
    return slot->left < 0 ? NULL : slot;
}

/* Splits "left right" or ["left", "right"] into its halves; false: neither form. */
static bool halves(const glia_json *item, glia_string *left, glia_string *right) {
    if (item->kind == GLIA_JSON_ARRAY && item->count == 2 && item->first->kind == GLIA_JSON_STRING &&
        item->first->next->kind == GLIA_JSON_STRING) {
        *left = (glia_string){ item->first->text, strlen(item->first->text) };
        *right = (glia_string){ item->first->next->text, strlen(item->first->next->text) };
        return true;
    }
    const char *space = item->kind == GLIA_JSON_STRING ? strchr(item->text, ' ') : NULL;
    if (!space || strchr(space + 1, ' ')) return false;
    *left = (glia_string){ item->text, (size_t)(space - item->text) };
    *right = (glia_string){ space + 1, strlen(space + 1) };
    return true;
}

static glia_status add_merge(glia_token_model *m, const glia_json *item, int32_t rank, glia_text *both,
                             glia_step_reader *r) {
    glia_string left, right;
    if (!halves(item, &left, &right))
        return glia_fail_json(r->error, GLIA_E_FORMAT, item, "a merge must be two tokens");
    const size_t prefix = m->prefix ? strlen(m->prefix) : 0;
    both->length = 0;
    glia_text_append(both, left.bytes, left.length);
    const size_t skip = right.length >= prefix ? prefix : 0;
    glia_text_append(both, right.bytes + skip, right.length - skip);
    if (both->failed) return glia_fail_nomem(r->error);
    const int32_t a = glia_vocabulary_find(&m->vocabulary, left.bytes, left.length);
    const int32_t b = glia_vocabulary_find(&m->vocabulary, right.bytes, right.length);
    const int32_t id = glia_vocabulary_find(&m->vocabulary, both->bytes, both->length);
    if (a < 0 || b < 0 || id < 0)
        return glia_fail_json(r->error, GLIA_E_FORMAT, item, "the merge has a token that is not in the vocabulary");
    glia_bpe_merge *slot = slot_of(m, a, b);
    *slot = (glia_bpe_merge){ a, b, rank, id }; /* of duplicates the last is used, as in other implementations */
    return GLIA_OK;
}

glia_status glia_bpe_read(glia_token_model *m, const glia_json *json, glia_step_reader *r) {
    const glia_json *merges = glia_json_member(json, "merges");
    if (!merges || merges->kind != GLIA_JSON_ARRAY)
        return glia_fail_json(r->error, GLIA_E_FORMAT, merges ? merges : json, "\"merges\" must be an array");
    uint32_t size = 16;
    while (size < 2 * (uint32_t)merges->count) size *= 2;
    m->merges = malloc(size * sizeof *m->merges);
    if (!m->merges) return glia_fail_nomem(r->error);
    memset(m->merges, 0xFF, size * sizeof *m->merges);
    m->merges_mask = size - 1;
    glia_status status = GLIA_OK;
    glia_text both = { 0 };
    int32_t rank = 0;
    for (const glia_json *item = merges->first; item && !status; item = item->next)
        status = add_merge(m, item, rank++, &both, r);
    free(both.bytes);
    for (uint32_t c = 1; c < (uint32_t)GLIA_COUNT(m->single) && !m->prefix && !m->suffix; c++) {
        char bytes[4];
        m->single[c] = glia_vocabulary_find(&m->vocabulary, bytes, glia_utf8_put(c, bytes));
    }
    return status;
}

/* ---- symbols ------------------------------------------------------------------------------ */

typedef struct symbol {
    int32_t id, rank, merged; /* rank and result of merging with the next; NO_RANK: none */
    int32_t from, to;         /* characters of the piece */
    int32_t previous, next;   /* only in long pieces; next -1: last; rank -1: removed */
} symbol;

/* The id of character k, with the prefix or suffix for its position in the word; -1: none. */
static int32_t character(const glia_token_model *m, const glia_glyph *text, int64_t k, int64_t n, glia_workspace *w) {
    const uint32_t c = text[k].c;
    if (!m->prefix && !m->suffix) {
        if (c < (uint32_t)GLIA_COUNT(m->single)) return m->single[c];
        return glia_vocabulary_find(&m->vocabulary, w->bytes.bytes + w->starts[k], w->starts[k + 1] - w->starts[k]);
    }
    char name[256];
    const size_t prefix = m->prefix && k > 0 ? strlen(m->prefix) : 0;
    const size_t suffix = m->suffix && k == n - 1 ? strlen(m->suffix) : 0, length = w->starts[k + 1] - w->starts[k];
    if (prefix + suffix + length > sizeof name) return -1;
    if (prefix) memcpy(name, m->prefix, prefix);
    memcpy(name + prefix, w->bytes.bytes + w->starts[k], length);
    if (suffix) memcpy(name + prefix + length, m->suffix, suffix);
    return glia_vocabulary_find(&m->vocabulary, name, prefix + length + suffix);
}

static bool spelled_in_bytes(const glia_token_model *m, const glia_workspace *w, int64_t k) {
    for (uint32_t i = w->starts[k]; i < w->starts[k + 1]; i++)
        if (m->bytes[(uint8_t)w->bytes.bytes[i]] < 0) return false;
    return m->byte_fallback;
}

/* Writes the initial symbols of a piece; `s` has room for its bytes. Returns their number. */
static int32_t spell(const glia_token_model *m, const glia_glyph *text, int64_t n, glia_workspace *w, symbol *s) {
    int32_t count = 0;
    bool unknown = false; /* the last symbol is unknown */
    for (int32_t k = 0; k < n; k++) {
        const int32_t id = character(m, text, k, n, w);
        if (id >= 0) {
            s[count++] = (symbol){ .id = id, .from = k, .to = k + 1 };
            unknown = false;
        } else if (spelled_in_bytes(m, w, k)) {
            for (uint32_t i = w->starts[k]; i < w->starts[k + 1]; i++)
                s[count++] = (symbol){ .id = m->bytes[(uint8_t)w->bytes.bytes[i]], .from = k, .to = k + 1 };
            unknown = false;
        } else if (m->unknown >= 0 && unknown && m->fuse_unknown) {
            s[count - 1].to = k + 1;
        } else if (m->unknown >= 0) {
            s[count++] = (symbol){ .id = m->unknown, .from = k, .to = k + 1 };
            unknown = true;
        }
    }
    return count;
}

static void rate(const glia_token_model *m, symbol *left, const symbol *right) {
    const glia_bpe_merge *merge = right ? glia_merge_find(m, left->id, right->id) : NULL;
    left->rank = merge ? merge->rank : NO_RANK;
    left->merged = merge ? merge->id : -1;
}

/* ---- short pieces ------------------------------------------------------------------------- */

static int32_t merge_short(const glia_token_model *m, symbol *s, int32_t n) {
    for (int32_t i = 0; i < n; i++) rate(m, &s[i], i + 1 < n ? &s[i + 1] : NULL);
    for (;;) {
        int32_t best = 0;
        for (int32_t i = 1; i < n; i++)
            if (s[i].rank < s[best].rank) best = i;
        if (!n || s[best].rank == NO_RANK) return n;
        s[best].id = s[best].merged;
        s[best].to = s[best + 1].to;
        memmove(s + best + 1, s + best + 2, (size_t)(n - best - 2) * sizeof *s);
        n--;
        rate(m, &s[best], best + 1 < n ? &s[best + 1] : NULL);
        if (best > 0) rate(m, &s[best - 1], &s[best]);
    }
}

/* ---- long pieces -------------------------------------------------------------------------- */

typedef struct entry {
    int32_t rank, at, merged;
} entry;

static bool before(entry a, entry b) { return a.rank != b.rank ? a.rank < b.rank : a.at < b.at; }

static void sift_up(entry *heap, int32_t i) {
    const entry moved = heap[i];
    for (int32_t up; i > 0 && (up = (i - 1) / 2, before(moved, heap[up])); i = up) {
        heap[i] = heap[up];
        heap[up] = moved;
    }
}

static entry pop(entry *heap, int32_t *n) {
    const entry top = heap[0], last = heap[--*n];
    int32_t i = 0;
    for (int32_t child; (child = 2 * i + 1) < *n; i = child) {
        if (child + 1 < *n && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], last)) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

static void push_pair(const glia_token_model *m, symbol *s, int32_t at, entry *heap, int32_t *n) {
    rate(m, &s[at], s[at].next >= 0 ? &s[s[at].next] : NULL);
    if (s[at].rank == NO_RANK) return;
    heap[*n] = (entry){ s[at].rank, at, s[at].merged };
    sift_up(heap, (*n)++);
}

/* `heap` has room for 3 n entries. */
static int32_t merge_long(const glia_token_model *m, symbol *s, int32_t n, entry *heap) {
    int32_t entries = 0, kept = 0;
    for (int32_t i = 0; i < n; i++) s[i].previous = i - 1, s[i].next = i + 1 < n ? i + 1 : -1;
    for (int32_t i = 0; i < n; i++) push_pair(m, s, i, heap, &entries);
    while (entries) {
        const entry e = pop(heap, &entries);
        symbol *left = &s[e.at];
        if (left->rank != e.rank || left->merged != e.merged) continue; /* outdated entry */
        symbol *right = &s[left->next];
        left->id = e.merged;
        left->to = right->to;
        left->next = right->next;
        right->rank = -1;
        if (left->next >= 0) s[left->next].previous = e.at;
        push_pair(m, s, e.at, heap, &entries);
        if (left->previous >= 0) push_pair(m, s, left->previous, heap, &entries);
    }
    for (int32_t i = 0; i >= 0 && n; i = s[i].next) s[kept++] = s[i];
    return kept;
}

void glia_bpe_cut(const glia_token_model *m, const glia_glyph *text, int64_t n, glia_workspace *w) {
    if (m->ignore_merges) {
        const int32_t whole = glia_vocabulary_find(&m->vocabulary, w->bytes.bytes, w->bytes.length);
        if (whole >= 0) {
            glia_token_add(w, whole, 0, n);
            return;
        }
    }
    const size_t most = m->byte_fallback ? w->bytes.length : (size_t)n;
    symbol *s = glia_workspace_room(w, most * (sizeof *s + 3 * sizeof(entry)));
    if (!s) return;
    int32_t count = spell(m, text, n, w, s);
    count = count <= SHORT ? merge_short(m, s, count) : merge_long(m, s, count, (entry *)(void *)(s + most));
    for (int32_t i = 0; i < count; i++) glia_token_add(w, s[i].id, s[i].from, s[i].to);
}
