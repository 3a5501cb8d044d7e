/* sentences.c - rows of two segments for BERT's pre-training (Devlin et al. 2019, appendix A.2).
 *
 * Every sentence of every document begins a row in each epoch, in shuffled order. Segment A takes whole sentences up to
 * a random length. Segment B takes whole sentences that follow A, or as many of another document as fit. Rows that are
 * too long are cut at the end of the longer segment.
 */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

struct glia_sentences {
    glia_sentences_opts opts;
    int32_t *ids;
    int64_t *starts; /* first id of each sentence; one extra at the end */
    int64_t *ends;   /* per sentence: first sentence of the next document */
    int64_t n, n_ids, capacity_ids;
    int capacity;
    int64_t *order, at, epoch;
    int32_t *room; /* ids and types (batch, length), lengths and follows (batch) */
    int64_t *rows;
};

/* ---- creating ----------------------------------------------------------------------------- */

static bool add_sentence(glia_sentences *s, const glia_workspace *w) {
    if (s->n_ids + w->n_tokens > s->capacity_ids) {
        const int64_t capacity = 2 * (s->n_ids + w->n_tokens);
        int32_t *grown = realloc(s->ids, (size_t)capacity * sizeof *grown);
        if (!grown) return false;
        s->ids = grown;
        s->capacity_ids = capacity;
    }
    if (s->n + 2 > s->capacity) {
        const int capacity = 2 * s->capacity + 64;
        int64_t *starts = realloc(s->starts, (size_t)capacity * sizeof *starts);
        if (!starts) return false;
        s->starts = starts;
        int64_t *ends = realloc(s->ends, (size_t)capacity * sizeof *ends);
        if (!ends) return false;
        s->ends = ends;
        s->capacity = capacity;
    }
    s->starts[s->n++] = s->n_ids;
    for (int i = 0; i < w->n_tokens; i++) s->ids[s->n_ids++] = w->tokens[i].id;
    s->starts[s->n] = s->n_ids;
    return true;
}

static glia_status add_document(glia_sentences *s, const glia_tokenizer *t, glia_string text, glia_workspace *w,
                                glia_error *error) {
    const int64_t first = s->n;
    glia_status status = GLIA_OK;
    for (size_t at = 0; at < text.length && !status;) {
        const char *stop = memchr(text.bytes + at, '\n', text.length - at);
        const size_t end = stop ? (size_t)(stop - text.bytes) : text.length;
        status = glia_encode_text(t, text.bytes + at, end - at, w, error);
        if (!status && w->n_tokens && !add_sentence(s, w)) status = glia_fail_nomem(error);
        at = end + 1;
    }
    for (int64_t i = first; i < s->n; i++) s->ends[i] = s->n;
    return status;
}

glia_sentences *glia_sentences_create(const glia_tokenizer *t, const glia_string *documents, int64_t n,
                                      glia_sentences_opts opts, glia_error *error) {
    if (!t) return glia_fail_null(error, "tokenizer"), NULL;
    if (n > 0 && !documents) return glia_fail_null(error, "documents"), NULL;
    if (!opts.batch) opts.batch = 32;
    if (!opts.length) opts.length = 128;
    if (opts.batch < 1 || opts.batch > 1 << 20 || opts.length < 5 || opts.length > 1 << 16)
        return glia_fail(error, GLIA_E_ARGUMENT, "sentences: batches of %lld rows of %lld tokens are out of range",
                         (long long)opts.batch, (long long)opts.length),
               NULL;
    glia_sentences *s = calloc(1, sizeof *s);
    if (!s) return glia_fail_nomem(error), NULL;
    s->opts = opts;
    glia_workspace w = { 0 };
    glia_status status = GLIA_OK;
    for (int64_t i = 0; i < n && !status; i++) status = add_document(s, t, documents[i], &w, error);
    glia_workspace_free(&w);
    if (!status && s->n < opts.batch)
        status = glia_fail(error, GLIA_E_ARGUMENT, "%lld sentences are fewer than a batch of %lld", (long long)s->n,
                           (long long)opts.batch);
    s->order = malloc((size_t)GLIA_MAX(s->n, (int64_t)1) * sizeof *s->order);
    s->room = malloc((size_t)(opts.batch * (2 * opts.length + 2)) * sizeof *s->room);
    s->rows = malloc((size_t)opts.batch * sizeof *s->rows);
    if (!status && (!s->order || !s->room || !s->rows)) status = glia_fail_nomem(error);
    if (!status) return s;
    glia_sentences_free(s);
    return NULL;
}

void glia_sentences_free(glia_sentences *s) {
    if (!s) return;
    free(s->ids);
    free(s->starts);
    free(s->ends);
    free(s->order);
    free(s->room);
    free(s->rows);
    free(s);
}

/* ---- epochs ------------------------------------------------------------------------------- */

int64_t glia_sentences_batches(const glia_sentences *s) { return s ? s->n / s->opts.batch : 0; }

glia_status glia_sentences_start(glia_sentences *s, int64_t epoch, glia_error *error) {
    if (!s) return glia_fail_null(error, "sentences");
    if (epoch < 0) return glia_fail(error, GLIA_E_ARGUMENT, "sentences: the epoch %lld is negative", (long long)epoch);
    glia_rng rng = { .seed = s->opts.seed, .stream = (uint64_t)epoch };
    for (int64_t i = 0; i < s->n; i++) s->order[i] = i;
    for (int64_t i = s->n - 1; i > 0; i--) {
        const int64_t k = (int64_t)glia_rng_below(&rng, (uint64_t)i + 1), held = s->order[i];
        s->order[i] = s->order[k];
        s->order[k] = held;
    }
    s->epoch = epoch;
    s->at = 0;
    return GLIA_OK;
}

/* Counts the ids of whole sentences in [first, end) until there are `wanted`; *next: first one not taken. */
static int64_t take(const glia_sentences *s, int64_t first, int64_t end, int64_t wanted, int64_t *next) {
    int64_t n = 0, i = first;
    for (; i < end && (n == 0 || n < wanted); i++) n += s->starts[i + 1] - s->starts[i];
    *next = i;
    return n;
}

static int32_t *put(int32_t *to, const int32_t *ids, int64_t n) {
    memcpy(to, ids, (size_t)n * sizeof *to);
    return to + n;
}

static void make_row(const glia_sentences *s, int64_t sentence, int32_t *ids, int32_t *types, int32_t *length,
                     int32_t *follows) {
    const int64_t room = s->opts.length - 3;
    glia_rng rng = { .seed = s->opts.seed ^ 0x5E47E4CEu, .stream = (uint64_t)(s->epoch * s->n + sentence) };
    int64_t next, other, unused;
    const int64_t wanted = 1 + (int64_t)glia_rng_below(&rng, (uint64_t)room / 2 + 1);
    int64_t a = take(s, sentence, s->ends[sentence], wanted, &next);
    const bool alone = s->ends[0] == s->n; /* there is only one document */
    *follows = next < s->ends[sentence] && (alone || (glia_rng_u32(&rng) & 1));
    do {
        other = *follows ? next : (int64_t)glia_rng_below(&rng, (uint64_t)s->n);
    } while (!*follows && !alone && s->ends[other] == s->ends[sentence]);
    int64_t b = take(s, other, s->ends[other], room - GLIA_MIN(a, room - 1), &unused);
    while (a + b > room) *(a > b ? &a : &b) -= 1;
    int32_t *at = ids;
    *at++ = s->opts.cls;
    at = put(at, s->ids + s->starts[sentence], a);
    *at++ = s->opts.sep;
    const int64_t first = at - ids;
    at = put(at, s->ids + s->starts[other], b);
    *at++ = s->opts.sep;
    *length = (int32_t)(at - ids);
    for (int64_t i = 0; i < s->opts.length; i++) types[i] = i >= first && i < *length;
    for (int64_t i = *length; i < s->opts.length; i++) ids[i] = s->opts.pad;
}

bool glia_sentences_next(glia_sentences *s, glia_sentence_batch *out) {
    if (!s || !out) return false;
    const int64_t n = s->opts.batch, length = s->opts.length;
    if (s->at + n > s->n) return false;
    int32_t *ids = s->room, *types = ids + n * length, *lengths = types + n * length, *follows = lengths + n;
    for (int64_t r = 0; r < n; r++) {
        s->rows[r] = s->order[s->at++];
        make_row(s, s->rows[r], ids + r * length, types + r * length, &lengths[r], &follows[r]);
    }
    *out = (glia_sentence_batch){ n, ids, types, lengths, follows, s->rows };
    return true;
}

void glia_tokenizer_continues(const glia_tokenizer *t, bool *continues) {
    if (!t || !continues) return;
    static const char *const marks[] = { "\xC4\xA0", "\xE2\x96\x81" }; /* a space in GPT-2, SentencePiece */
    const char *prefix = t->model.prefix;
    bool marked[2] = { false, false };
    for (int32_t i = 0; i < t->all.n; i++)
        for (int k = 0; k < 2; k++)
            marked[k] = marked[k] || (t->all.tokens[i] && !strncmp(t->all.tokens[i], marks[k], strlen(marks[k])));
    const char *mark = marked[1] ? marks[1] : marked[0] ? marks[0] : NULL;
    for (int32_t i = 0; i < t->all.n; i++) {
        const char *token = t->all.tokens[i];
        continues[i] = false;
        if (!token || t->special[i]) continue;
        if (prefix)
            continues[i] = !strncmp(token, prefix, strlen(prefix)) && token[strlen(prefix)];
        else if (mark)
            continues[i] = strncmp(token, mark, strlen(mark)) != 0;
    }
}
