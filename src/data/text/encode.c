/* encode.c - text to ids: extracts added tokens, normalises the rest, cuts it into pieces and these into tokens.
 *
 * The tokens of short pieces are cached in the workspace, which lives for one text or one thread's share of a batch.
 */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

/* ---- cache -------------------------------------------------------------------------------- */

enum { CACHE_SLOTS = 1 << 15, CACHE_MOST = CACHE_SLOTS / 2, CACHED_LENGTH = 40 };

typedef struct cached {
    const char *bytes; /* the piece; stored behind the tokens */
    const glia_token *tokens;
    uint16_t length, n;
} cached;

struct glia_cache {
    glia_arena arena;
    int n;
    cached slots[CACHE_SLOTS];
};

static cached *cache_slot(struct glia_cache *cache, const glia_text *key) {
    uint32_t i = (uint32_t)glia_hash_bytes(key->bytes, key->length, 0) % CACHE_SLOTS;
    for (;; i = (i + 1) % CACHE_SLOTS) {
        cached *c = &cache->slots[i];
        if (!c->bytes || (c->length == key->length && !memcmp(c->bytes, key->bytes, key->length))) return c;
    }
}

static void cache_keep(struct glia_cache *cache, cached *slot, const glia_text *key, const glia_token *tokens, int n) {
    if (cache->n >= CACHE_MOST) return;
    glia_token *copy = glia_arena_alloc(&cache->arena, (size_t)n * sizeof *copy + key->length);
    if (!copy) return;
    if (n) memcpy(copy, tokens, (size_t)n * sizeof *copy); /* tokens may be NULL if n is 0 */
    char *bytes = (char *)(copy + n);
    memcpy(bytes, key->bytes, key->length);
    *slot = (cached){ .bytes = bytes, .tokens = copy, .length = (uint16_t)key->length, .n = (uint16_t)n };
    cache->n++;
}

void *glia_workspace_room(glia_workspace *w, size_t bytes) {
    if (bytes <= w->model_bytes) return w->model;
    bytes = 2 * bytes + 256;
    void *grown = realloc(w->model, bytes);
    if (!grown) return w->failed = true, NULL;
    w->model = grown;
    w->model_bytes = bytes;
    return grown;
}

void glia_workspace_free(glia_workspace *w) {
    free(w->text.at);
    free(w->spare.at);
    free(w->pieces);
    free(w->spare_pieces);
    free(w->stack.frames);
    free(w->bytes.bytes);
    free(w->starts);
    free(w->tokens);
    free(w->model);
    if (w->cache) glia_arena_free(&w->cache->arena);
    free(w->cache);
    *w = (glia_workspace){ 0 };
}

/* ---- pieces ------------------------------------------------------------------------------- */

/* Writes the bytes of the piece and the offsets of its characters to the workspace. */
static bool spell(const glia_token_model *m, const glia_glyph *text, int64_t n, glia_workspace *w) {
    if (n + 1 > w->starts_capacity) {
        uint32_t *grown = realloc(w->starts, (size_t)(2 * n + 64) * sizeof *grown);
        if (!grown) return w->failed = true, false;
        w->starts = grown;
        w->starts_capacity = 2 * n + 64;
    }
    w->bytes.length = 0;
    for (int64_t i = 0; i < n; i++) {
        char bytes[4];
        const uint32_t c = text[i].c >= GLIA_RAW && !m->byte_fallback ? GLIA_REPLACEMENT : text[i].c;
        w->starts[i] = (uint32_t)w->bytes.length;
        const size_t length = glia_utf8_put(c, bytes);
        if (w->bytes.length + length < w->bytes.capacity) {
            memcpy(w->bytes.bytes + w->bytes.length, bytes, length);
            w->bytes.length += length;
        } else {
            glia_text_append(&w->bytes, bytes, length);
        }
    }
    w->starts[n] = (uint32_t)w->bytes.length;
    return w->bytes.failed ? (w->failed = true, false) : true;
}

/* Converts tokens from glyph indices to byte offsets in the text. */
static void place_tokens(glia_workspace *w, int first, const glia_glyph *text) {
    for (int i = first; i < w->n_tokens; i++) {
        const glia_token t = w->tokens[i];
        uint32_t begin = text[t.begin].begin, end = text[t.begin].end;
        for (uint32_t k = t.begin + 1; k < t.end; k++) {
            begin = GLIA_MIN(begin, text[k].begin);
            end = GLIA_MAX(end, text[k].end);
        }
        w->tokens[i].begin = begin;
        w->tokens[i].end = end;
    }
}

static void encode_piece(const glia_tokenizer *t, const glia_glyph *text, int64_t n, glia_workspace *w) {
    const int first = w->n_tokens;
    if (!spell(&t->model, text, n, w)) return;
    if (n > CACHED_LENGTH) {
        t->model.kind->cut(&t->model, text, n, w);
        place_tokens(w, first, text);
        return;
    }
    if (!w->cache) w->cache = calloc(1, sizeof *w->cache);
    if (!w->cache) {
        w->failed = true;
        return;
    }
    cached *slot = cache_slot(w->cache, &w->bytes);
    if (slot->bytes) {
        for (int i = 0; i < slot->n; i++)
            glia_token_add(w, slot->tokens[i].id, slot->tokens[i].begin, slot->tokens[i].end);
    } else {
        t->model.kind->cut(&t->model, text, n, w);
        if (!w->complaint) cache_keep(w->cache, slot, &w->bytes, w->tokens + first, w->n_tokens - first);
    }
    place_tokens(w, first, text);
}

/* ---- added tokens ------------------------------------------------------------------------- */

static bool is_at(const glia_added *a, const glia_glyph *text, int64_t n) {
    if (a->pattern.n > n) return false;
    for (int64_t i = 0; i < a->pattern.n; i++)
        if (text[i].c != a->pattern.at[i].c) return false;
    return true;
}

/* The longest added token at text[0]; NULL: none. */
static const glia_added *added_at(const glia_tokenizer *t, const glia_glyph *text, int64_t n, bool normalized) {
    const glia_added *best = NULL;
    if (!t->added_first[normalized][GLIA_MIN(text[0].c, 128u)]) return NULL;
    for (int i = 0; i < t->n_added; i++) {
        const glia_added *a = &t->added[i];
        if (a->normalized != normalized || !a->pattern.n || (best && a->pattern.n <= best->pattern.n)) continue;
        if (is_at(a, text, n)) best = a;
    }
    return best;
}

static bool stands_alone(const glia_glyph *text, int64_t n, int64_t begin, int64_t end) {
    return (begin == 0 || !glia_unicode_word(text[begin - 1].c)) && (end == n || !glia_unicode_word(text[end].c));
}

/* Called by take_added() for each stretch without added tokens. */
typedef void (*stretch_fn)(const glia_tokenizer *t, const glia_glyph *text, int64_t n, glia_workspace *w,
                           void *context);

/* Adds the added tokens, and calls `stretch` for the text between them. */
static void take_added(const glia_tokenizer *t, const glia_glyph *text, int64_t n, bool normalized, glia_workspace *w,
                       stretch_fn stretch, void *context) {
    int64_t done = 0;
    for (int64_t at = 0; at < n;) {
        const glia_added *a = added_at(t, text + at, n - at, normalized);
        int64_t begin = at, end = at + (a ? a->pattern.n : 1);
        at = end;
        if (!a || (a->single_word && !stands_alone(text, n, begin, end))) continue;
        while (a->lstrip && begin > done && glia_unicode_space(text[begin - 1].c)) begin--;
        while (a->rstrip && end < n && glia_unicode_space(text[end].c)) end++;
        if (begin > done) stretch(t, text + done, begin - done, w, context);
        glia_token_add(w, a->id, text[begin].begin, text[end - 1].end);
        done = at = end;
    }
    if (done < n) stretch(t, text + done, n - done, w, context);
}

typedef struct taker {
    glia_piece_taker take; /* NULL: pieces become tokens */
    void *context;
} taker;

/* Cuts a normalised stretch without added tokens into pieces, and these into tokens. */
static void encode_stretch(const glia_tokenizer *t, const glia_glyph *text, int64_t n, glia_workspace *w,
                           void *context) {
    const taker *k = context;
    if (w->failed || w->complaint) return;
    glia_glyphs whole = { 0 };
    if (text != w->text.at || n != w->text.n) { /* between added tokens: the workspace gets a copy */
        whole = w->text;
        w->text = (glia_glyphs){ 0 };
        glia_glyphs_append(&w->text, text, n);
    }
    w->n_spare = 0;
    if (!glia_grow((void **)&w->pieces, 0, &w->pieces_capacity, sizeof *w->pieces)) w->failed = true;
    if (!w->failed) {
        w->pieces[0] = (glia_piece){ 0, n };
        w->n_pieces = 1;
        if (t->cutter) t->cutter->kind->run.cut(t->cutter, w, text[0].begin == 0);
    }
    w->failed = w->failed || w->text.failed || w->spare.failed;
    for (int i = 0; !w->failed && !w->complaint && i < w->n_pieces; i++) {
        const glia_glyph *piece = w->text.at + w->pieces[i].from;
        if (!k->take)
            encode_piece(t, piece, w->pieces[i].n, w);
        else if (!k->take(k->context, piece, w->pieces[i].n))
            w->failed = true;
    }
    if (whole.at) {
        free(w->text.at);
        w->text = whole;
    }
}

/* Normalises a stretch of the original text, then extracts the added tokens that are searched in normalised text. */
static void normalize_stretch(const glia_tokenizer *t, const glia_glyph *text, int64_t n, glia_workspace *w,
                              void *context) {
    w->text.n = 0;
    glia_glyphs_append(&w->text, text, n);
    if (t->normalizer) t->normalizer->kind->run.normalize(t->normalizer, w);
    w->failed = w->failed || w->text.failed || w->spare.failed;
    if (!w->failed && w->text.n) take_added(t, w->text.at, w->text.n, true, w, encode_stretch, context);
}

static glia_status encode_with(const glia_tokenizer *t, const char *text, size_t length, glia_workspace *w, taker k,
                               glia_error *error) {
    if (length >= INT32_MAX)
        return glia_fail(error, GLIA_E_ARGUMENT, "the text has %zu bytes; the limit is 2 GiB", length);
    glia_glyphs original = { 0 };
    w->n_tokens = 0;
    w->complaint = NULL;
    glia_glyphs_decode(&original, text, length);
    w->failed = w->text.failed = w->spare.failed = false;
    if (original.failed)
        w->failed = true;
    else if (original.n)
        take_added(t, original.at, original.n, false, w, normalize_stretch, &k);
    free(original.at);
    if (w->failed) return glia_fail_nomem(error);
    if (!w->complaint) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "offset %u of the text: %s", w->place, w->complaint);
}

glia_status glia_encode_text(const glia_tokenizer *t, const char *text, size_t length, glia_workspace *w,
                             glia_error *error) {
    return encode_with(t, text, length, w, (taker){ 0 }, error);
}

glia_status glia_encode_pieces(const glia_tokenizer *t, const char *text, size_t length, glia_workspace *w,
                               glia_piece_taker take, void *context, glia_error *error) {
    return encode_with(t, text, length, w, (taker){ take, context }, error);
}

/* ---- post-processing ---------------------------------------------------------------------- */

/* Excludes white space at both ends of a token from its offsets. */
static void trim(const glia_tokenizer *t, const char *text, glia_token *token, bool first) {
    uint32_t begin = token->begin, end = token->end;
    while (begin < end && (text[begin] == ' ' || (text[begin] >= 9 && text[begin] <= 13))) begin++;
    while (end > begin && (text[end - 1] == ' ' || (text[end - 1] >= 9 && text[end - 1] <= 13))) end--;
    if (first && t->trim_prefix && begin > token->begin && token->begin == 0) begin--;
    token->begin = begin;
    token->end = end;
}

static glia_status encoding_create(glia_encoding *e, int64_t n, bool offsets, glia_error *error) {
    const size_t room = (size_t)GLIA_MAX(n, (int64_t)1);
    *e = (glia_encoding){ .ids = malloc(room * sizeof *e->ids), .types = calloc(room, 1) };
    if (offsets) {
        e->begins = calloc(room, sizeof *e->begins);
        e->ends = calloc(room, sizeof *e->ends);
    }
    if (e->ids && e->types && (!offsets || (e->begins && e->ends))) return GLIA_OK;
    glia_encoding_free(e);
    return glia_fail_nomem(error);
}

void glia_encoding_free(glia_encoding *e) {
    if (!e) return;
    free(e->ids);
    free(e->types);
    free(e->begins);
    free(e->ends);
    *e = (glia_encoding){ 0 };
}

static void put_tokens(glia_encoding *e, const glia_token *tokens, int n, uint8_t type) {
    for (int i = 0; i < n; i++, e->n++) {
        e->ids[e->n] = tokens[i].id;
        e->types[e->n] = type;
        if (!e->begins) continue;
        e->begins[e->n] = tokens[i].begin;
        e->ends[e->n] = tokens[i].end;
    }
}

typedef struct part {
    const glia_token *tokens;
    int n;
} part;

/* Arranges the tokens of one or two texts according to the template. */
static glia_status assemble(const glia_tokenizer *t, const part parts[2], bool pair, glia_encode_opts opts,
                            glia_encoding *e, glia_error *error) {
    static const glia_slot plain[2] = { { .source = 1 }, { .source = 2, .type = 1 } };
    glia_template list = pair ? t->pair : t->single;
    if (!list.n) list = (glia_template){ (glia_slot *)(uintptr_t)plain, pair ? 2 : 1 };
    int64_t n = 0;
    for (int i = 0; i < list.n; i++) {
        const glia_slot s = list.slots[i];
        n += s.source ? parts[s.source - 1].n : opts.specials;
    }
    const glia_status status = encoding_create(e, n, opts.offsets, error);
    for (int i = 0; i < list.n && !status; i++) {
        const glia_slot s = list.slots[i];
        const glia_token special = { .id = s.id };
        if (s.source)
            put_tokens(e, parts[s.source - 1].tokens, parts[s.source - 1].n, s.type);
        else if (opts.specials)
            put_tokens(e, &special, 1, s.type);
    }
    return status;
}

static void trim_all(const glia_tokenizer *t, const char *text, glia_workspace *w) {
    for (int i = 0; t->trim && i < w->n_tokens; i++) trim(t, text, &w->tokens[i], i == 0);
}

static glia_status encode_in(const glia_tokenizer *t, const char *text, size_t length, glia_encode_opts opts,
                             glia_workspace *w, glia_encoding *e, glia_error *error) {
    glia_token *first = NULL;
    part parts[2] = { { 0 } };
    glia_status status = glia_encode_text(t, text, length, w, error);
    if (!status && opts.offsets) trim_all(t, text, w);
    parts[0] = (part){ w->tokens, w->n_tokens };
    if (!status && opts.pair) {
        first = malloc((size_t)GLIA_MAX(w->n_tokens, 1) * sizeof *first);
        if (!first) return glia_fail_nomem(error);
        if (w->n_tokens) memcpy(first, w->tokens, (size_t)w->n_tokens * sizeof *first);
        parts[0].tokens = first;
        status = glia_encode_text(t, opts.pair, opts.pair_length, w, error);
        if (!status && opts.offsets) trim_all(t, opts.pair, w);
        parts[1] = (part){ w->tokens, w->n_tokens };
    }
    if (!status) status = assemble(t, parts, opts.pair != NULL, opts, e, error);
    free(first);
    return status;
}

glia_status glia_tokenizer_encode(const glia_tokenizer *t, const char *text, size_t length, glia_encode_opts opts,
                                  glia_encoding *encoding, glia_error *error) {
    if (!t) return glia_fail_null(error, "tokenizer");
    if (!encoding) return glia_fail_null(error, "encoding");
    if (length > 0 && !text) return glia_fail_null(error, "text");
    glia_workspace w = { 0 };
    *encoding = (glia_encoding){ 0 };
    const glia_status status = encode_in(t, text, length, opts, &w, encoding, error);
    glia_workspace_free(&w);
    return status;
}

/* ---- batches ------------------------------------------------------------------------------ */

typedef struct batch {
    const glia_tokenizer *tokenizer;
    const glia_string *texts;
    int64_t n, each;
    glia_encode_opts opts;
    glia_encoding *encodings;
    glia_workspace *workspaces; /* one per thread */
    glia_error *errors;         /* one per piece of work */
    glia_status *statuses;
} batch;

static void encode_some(void *context, int64_t piece, int worker) {
    batch *b = context;
    const int64_t end = GLIA_MIN(b->n, (piece + 1) * b->each);
    for (int64_t i = piece * b->each; i < end && !b->statuses[piece]; i++) {
        b->statuses[piece] = encode_in(b->tokenizer, b->texts[i].bytes, b->texts[i].length, b->opts,
                                       &b->workspaces[worker], &b->encodings[i], &b->errors[piece]);
    }
}

/* The error of the first piece that failed. */
static glia_status finish_batch(const batch *b, int64_t pieces, glia_error *error) {
    for (int64_t i = 0; i < pieces; i++) {
        if (!b->statuses[i]) continue;
        for (int64_t k = 0; k < b->n; k++) glia_encoding_free(&b->encodings[k]);
        if (error) *error = b->errors[i];
        return b->statuses[i];
    }
    return GLIA_OK;
}

glia_status glia_tokenizer_encode_batch(const glia_tokenizer *t, const glia_string *texts, int64_t n,
                                        glia_encode_opts opts, int threads, glia_encoding *encodings,
                                        glia_error *error) {
    if (!t) return glia_fail_null(error, "tokenizer");
    if (n > 0 && !texts) return glia_fail_null(error, "texts");
    if (n > 0 && !encodings) return glia_fail_null(error, "encodings");
    enum { PIECES = 64 };
    if (opts.pair) return glia_fail(error, GLIA_E_ARGUMENT, "second texts in a batch are not supported");
    for (int64_t i = 0; i < n; i++) encodings[i] = (glia_encoding){ 0 };
    const int64_t each = GLIA_MAX((n + PIECES - 1) / PIECES, (int64_t)1), pieces = (n + each - 1) / each;
    glia_pool *pool = glia_pool_create(threads, error);
    if (!pool) return GLIA_E_NOMEM;
    batch b = { .tokenizer = t,
                .texts = texts,
                .n = n,
                .each = each,
                .opts = opts,
                .encodings = encodings,
                .workspaces = calloc((size_t)glia_pool_size(pool), sizeof *b.workspaces),
                .errors = calloc(PIECES, sizeof *b.errors),
                .statuses = calloc(PIECES, sizeof *b.statuses) };
    glia_status status = GLIA_OK;
    if (!b.workspaces || !b.errors || !b.statuses) {
        status = glia_fail_nomem(error);
    } else {
        glia_parallel_for(pool, pieces, encode_some, &b);
        status = finish_batch(&b, pieces, error);
    }
    for (int i = 0; b.workspaces && i < glia_pool_size(pool); i++) glia_workspace_free(&b.workspaces[i]);
    glia_pool_free(pool);
    free(b.workspaces);
    free(b.errors);
    free(b.statuses);
    return status;
}
