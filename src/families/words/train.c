/* train.c - the steps by which word vectors learn from text (word2vec).
 *
 * The text becomes word numbers. A text that fits into memory is numbered once; a longer one is read again in each
 * epoch, the words of a step while the step before trains. A step is cut into pieces of whole sentences. Each piece has
 * its own random numbers, so that training with one thread is reproducible, also from the middle. Several threads
 * update the same rows without locks, as in word2vec.c.
 *
 * A sentence trains the words around a word, as rows of the input table, against the word itself and its negative
 * samples, or the nodes of its path, as rows of the output tables: a small matrix product (Ji et al. 2016,
 * "Parallelizing word2vec in shared and distributed memory"), done by the kernel word_step_f32.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "families/words/trainer.h"

enum {
    SENTENCE = 1000, /* words, at most */
    WHOLE = 1 << 24, /* words of a text that is kept in memory */
    PROBES = 8      /* words of a step of which the loss is measured */
};

struct glia_word_worker {
    int32_t *sentence;            /* without the subsampled words */
    float **in, **out[2], **grad; /* rows of a step; two sets of output rows, one being prepared */
    float *label[2];
    int n_out[2];
    float *errors, *hidden;
    uint64_t random;
    int64_t words; /* seen in this step */
    void *memory;
};
typedef struct glia_word_worker worker;
typedef glia_word_trainer trainer;
typedef glia_word_chunk chunk;

/* ---- memory ------------------------------------------------------------------------------- */

/* Allocates all memory of a thread in one block. */
static bool make_worker(worker *w, const trainer *t) {
    const size_t ins = 2 * (size_t)t->how.window, outs = 1 + (size_t)t->how.negative + (size_t)t->tree.longest,
                 row = (size_t)t->row;
    const size_t bytes[] = {
        (ins + 1) * row * sizeof(float), ins * outs * sizeof(float) + GLIA_ALIGN,
        2 * outs * sizeof(float),        (2 * ins + 2 * outs) * sizeof(float *),
        SENTENCE * sizeof(int32_t),
    };
    size_t at[GLIA_COUNT(bytes)], total = 0;
    for (int i = 0; i < GLIA_COUNT(bytes); i++) {
        at[i] = total;
        total += glia_align(bytes[i]);
    }
    char *memory = w->memory = glia_alloc_aligned(total);
    if (!memory) return false;
    w->hidden = (float *)memory;
    w->errors = (float *)(memory + at[1]);
    w->label[0] = (float *)(memory + at[2]);
    w->label[1] = w->label[0] + outs;
    w->in = (float **)(void *)(memory + at[3]);
    w->grad = w->in + ins;
    w->out[0] = w->grad + ins;
    w->out[1] = w->out[0] + outs;
    w->sentence = (int32_t *)(memory + at[4]);
    for (size_t i = 0; i < ins; i++) w->grad[i] = w->hidden + (i + 1) * row;
    return true;
}

static glia_status make_workers(trainer *t, glia_error *error) {
    const int n = glia_pool_size(t->pool);
    t->workers = calloc((size_t)n, sizeof *t->workers);
    bool good = t->workers != NULL;
    for (int i = 0; i < n && good; i++) good = make_worker(&t->workers[i], t);
    return good ? GLIA_OK : glia_fail_nomem(error);
}

static bool make_chunk(chunk *c, int64_t capacity) {
    *c = (chunk){ .capacity = capacity, .ids = malloc((size_t)capacity * sizeof *c->ids) };
    return c->ids != NULL;
}

/* What words are drawn and predicted by. */
static glia_status make_tables(trainer *t, glia_error *error) {
    const int64_t n = t->table.n;
    t->kept = malloc((size_t)n * sizeof *t->kept);
    bool good = t->kept != NULL;
    if (good && t->how.hierarchical) good = glia_word_tree_build(&t->tree, t->table.counts, n);
    if (good && t->how.negative) good = glia_word_draws_build(&t->draws, t->table.counts, n, 0.75);
    for (int64_t i = 0; i < n && good; i++)
        t->kept[i] = (uint32_t)(glia_word_kept(t->table.counts[i], t->total, t->how.sample) * (double)UINT32_MAX);
    return good ? GLIA_OK : glia_fail_nomem(error);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Reads the next words as numbers. *ended: the text has ended. */
static glia_status read_chunk(trainer *t, chunk *c, bool *ended) {
    int64_t length = 0; /* of this sentence */
    *ended = false;
    c->n = 0;
    while (c->n + 2 <= c->capacity) {
        const glia_word_item token = glia_word_reader_next(t->reader, &t->reason);
        if (token == GLIA_ITEM_FAILED) return t->reason.status;
        *ended = token == GLIA_ITEM_END;
        if (token == GLIA_ITEM_WORD) {
            const int64_t i = glia_word_table_find(&t->table, t->reader->word, t->reader->length);
            if (i < 0) continue;
            c->ids[c->n++] = (int32_t)i;
            length++;
        }
        if (length && (token != GLIA_ITEM_WORD || length == SENTENCE)) {
            c->ids[c->n++] = -1;
            length = 0;
        }
        if (*ended) return GLIA_OK;
    }
    if (length) c->ids[c->n++] = -1; /* the sentence continues in the next chunk */
    return GLIA_OK;
}

static void restart(trainer *t) {
    glia_word_reader_close(t->reader);
    glia_word_reader_start(t->reader, t->source);
}

/* Keeps the numbers of the whole text, if they fit; else counts the steps that it takes. */
static glia_status make_text(trainer *t, glia_error *error) {
    const int64_t of_step = t->how.step_pieces * GLIA_WORD_PIECE;
    bool ended = false;
    /* line ends at most double the words */
    if (!make_chunk(&t->now, GLIA_MIN((int64_t)WHOLE, 2 * t->total + 2))) return glia_fail_nomem(error);
    restart(t);
    glia_status status = read_chunk(t, &t->now, &ended);
    t->whole = ended;
    t->steps = GLIA_MAX((t->now.n + of_step - 1) / of_step, (int64_t)1);
    if (status == GLIA_OK && t->whole && !t->now.n)
        return glia_fail(error, GLIA_E_ARGUMENT, "word2vec: the text has none of the words of the vocabulary");
    if (status == GLIA_OK && !t->whole) {
        free(t->now.ids);
        t->now = (chunk){ 0 };
        if (!make_chunk(&t->now, of_step) || !make_chunk(&t->next, of_step)) return glia_fail_nomem(error);
        restart(t);
        for (t->steps = 0; status == GLIA_OK && !ended; t->steps++) status = read_chunk(t, &t->next, &ended);
    }
    t->ahead = -1;
    return status == GLIA_OK ? status : glia_fail(error, status, "%s", t->reason.message);
}

/* Reads the words of a step into `next`. */
static glia_status read_ahead(trainer *t, int64_t step) {
    bool ended;
    glia_status status = GLIA_OK;
    if (step == 0 || t->ahead < 0 || step != t->ahead + 1) {
        restart(t);
        t->ahead = -1;
    }
    while (status == GLIA_OK && t->ahead < step) {
        status = read_chunk(t, &t->next, &ended);
        t->ahead++;
    }
    if (status != GLIA_OK) t->ahead = -1;
    return status;
}

/* Brings the words of a step into `now`. */
static glia_status fetch(trainer *t, int64_t step) {
    const glia_status status = t->ahead == step ? GLIA_OK : read_ahead(t, step);
    const chunk swap = t->now;
    t->now = t->next;
    t->next = swap;
    return status;
}

/* ---- begin and end ------------------------------------------------------------------------ */

glia_status glia_word_trainer_begin(glia_word_trainer *t, glia_text_source source, int64_t min_count,
                                    int64_t max_words, glia_error *error) {
    glia_isa isa;
    glia_error reason = { 0 };
    glia_status status = glia_isa_choose(&isa, error);
    if (status != GLIA_OK) return status;
    t->source = source;
    t->kernels = glia_cpu_kernels_for(isa);
    t->row = glia_word_row(t->how.size);
    t->reader = malloc(sizeof *t->reader);
    if (!t->reader) return glia_fail_nomem(error);
    glia_word_reader_start(t->reader, source);
    t->pool = t->how.threads == 1 ? NULL : glia_pool_create(t->how.threads, &reason);
    status = reason.status;
    if (status == GLIA_OK && t->pool) {
        t->how.step_pieces = GLIA_MAX(t->how.step_pieces, 4 * (int64_t)glia_pool_size(t->pool));
    }
    if (status == GLIA_OK)
        status = glia_word_vocabulary(&t->table, t->reader, source, min_count, max_words, &t->total, &reason);
    if (status != GLIA_OK) return glia_fail(error, status, "%s", reason.message);
    status = make_tables(t, error);
    if (status == GLIA_OK) status = make_workers(t, error);
    return status == GLIA_OK ? make_text(t, error) : status;
}

void glia_word_trainer_rows(const glia_word_trainer *t) {
    glia_rng rng = { .seed = t->how.seed, .stream = 0x776F726473 };
    for (int64_t i = 0; i < t->table.n; i++) {
        float *row = t->input + i * t->row;
        for (int64_t k = 0; k < t->row; k++)
            row[k] = k < t->how.size ? (float)((glia_rng_uniform(&rng) - 0.5) / (double)t->how.size) : 0;
    }
}

void glia_word_trainer_free(glia_word_trainer *t) {
    for (int i = 0; t->workers && i < glia_pool_size(t->pool); i++) free(t->workers[i].memory);
    free(t->workers);
    glia_pool_free(t->pool);
    if (t->reader) glia_word_reader_close(t->reader);
    free(t->reader);
    free(t->now.ids);
    free(t->next.ids);
    free(t->kept);
    glia_word_tree_free(&t->tree);
    glia_word_draws_free(&t->draws);
    glia_word_table_free(&t->table);
}

/* ---- sentences ---------------------------------------------------------------------------- */

static inline void prefetch(const float *row, int64_t length) {
    for (int64_t i = 0; i < length; i += GLIA_WORD_ROW) __builtin_prefetch(row + i, 1);
}

/* The output rows for a word and their targets: the word, its negative samples, its path. */
static void choose(const trainer *t, worker *w, int set, int32_t word) {
    float **out = w->out[set], *label = w->label[set];
    int n = 0;
    if (t->how.negative) {
        out[n] = t->output + word * t->row;
        label[n++] = 1;
    }
    for (int k = 0; k < t->how.negative; k++) {
        const int32_t drawn = glia_word_draw(&t->draws, glia_word_random(&w->random));
        if (drawn == word) continue;
        out[n] = t->output + drawn * t->row;
        label[n++] = 0;
    }
    if (t->nodes) {
        for (int64_t k = t->tree.starts[word]; k < t->tree.starts[word + 1]; k++) {
            out[n] = t->nodes + t->tree.nodes[k] * t->row;
            label[n++] = 1 - (float)t->tree.bits[k];
        }
    }
    w->n_out[set] = n;
    for (int k = 0; k < n; k++) prefetch(out[k], t->row);
}

/* Trains on a sentence of n words. */
static void train_sentence(const trainer *t, worker *w, int64_t n, float rate) {
    const bool skip_gram = t->how.skip_gram, own = skip_gram && t->how.own_negatives;
    glia_word_step step = {
        .length = t->row, .rate = rate, .errors = w->errors, .average = !skip_gram, .grad = w->grad, .hidden = w->hidden
    };
    int set = 0;
    if (!own) choose(t, w, 0, w->sentence[0]);
    for (int64_t i = 0; i < n; i++, set ^= !own) {
        const int64_t reach = 1 + (int64_t)((glia_word_random(&w->random) >> 32) * (uint64_t)t->how.window >> 32);
        step.n_in = 0;
        for (int64_t k = GLIA_MAX(i - reach, (int64_t)0); k <= i + reach && k < n; k++)
            if (k != i) w->in[step.n_in++] = t->input + w->sentence[k] * t->row;
        if (!own && i + 1 < n) choose(t, w, !set, w->sentence[i + 1]);
        if (!step.n_in) continue;
        const int pairs = own ? step.n_in : 1;
        if (own) step.n_in = 1;
        for (int k = 0; k < pairs; k++) {
            if (own) choose(t, w, set, w->sentence[i]);
            step.in = w->in + k;
            step.out = w->out[set];
            step.label = w->label[set];
            step.n_out = w->n_out[set];
            t->kernels->word_step_f32(&step);
        }
    }
}

/* ---- the loss ----------------------------------------------------------------------------- */

static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

/* The loss of predicting the word number i of the text from a word beside it, or by CBOW from the mean of those around
 * it. NaN: there is none beside it. */
static double loss_at(const trainer *t, worker *w, int64_t i, glia_rng *rng) {
    const int32_t *ids = t->now.ids;
    const int64_t reach = 1 + (int64_t)glia_rng_below(rng, (uint64_t)t->how.window);
    int n = 0;
    for (int64_t k = i - 1; k >= GLIA_MAX(i - reach, (int64_t)0) && ids[k] >= 0; k--)
        w->in[n++] = t->input + ids[k] * t->row;
    for (int64_t k = i + 1; k <= i + reach && ids[k] >= 0; k++) w->in[n++] = t->input + ids[k] * t->row;
    if (!n) return NAN;
    const int only = t->how.skip_gram ? (int)glia_rng_below(rng, (uint64_t)n) : -1;
    for (int64_t j = 0; j < t->row; j++) {
        float sum = 0;
        for (int k = 0; k < n && only < 0; k++) sum += w->in[k][j];
        w->hidden[j] = only < 0 ? sum / (float)n : w->in[only][j];
    }
    choose(t, w, 0, ids[i]);
    double loss = 0;
    for (int o = 0; o < w->n_out[0]; o++) {
        double dot = 0;
        for (int64_t j = 0; j < t->row; j++) dot += (double)w->hidden[j] * (double)w->out[0][o][j];
        loss += softplus(w->label[0][o] > 0 ? -dot : dot);
    }
    return loss;
}

/* The mean loss of a few words of a step, drawn by seed and step. */
static double probe(trainer *t, const glia_word_place *at, int64_t first, int64_t count, int64_t *n) {
    glia_rng rng = { .seed = t->how.seed, .stream = 0x6C6F7373 };
    rng.stream += (uint64_t)(at->epoch * t->steps + at->step) << 32;
    worker *w = &t->workers[0];
    w->random = glia_rng_below(&rng, UINT64_MAX);
    double sum = 0;
    *n = 0;
    for (int k = 0; k < PROBES && count > 0; k++) {
        const int64_t i = first + (int64_t)glia_rng_below(&rng, (uint64_t)count);
        const double loss = t->now.ids[i] < 0 ? NAN : loss_at(t, w, i, &rng);
        if (isnan(loss)) continue;
        sum += loss;
        ++*n;
    }
    return *n ? sum / (double)*n : 0;
}

/* ---- steps -------------------------------------------------------------------------------- */

/* Trains on the sentences that begin in a piece of the step. */
static void train_piece(trainer *t, int64_t piece, int index) {
    worker *w = &t->workers[index];
    const glia_word_place *place = &t->place;
    const int32_t *ids = t->now.ids;
    int64_t at = t->first + piece * GLIA_WORD_PIECE;
    const int64_t end = GLIA_MIN(at + GLIA_WORD_PIECE, t->first + t->count);
    uint32_t word[4];
    const uint32_t key[2] = { (uint32_t)t->how.seed, (uint32_t)(t->how.seed >> 32) };
    const uint64_t number = (uint64_t)(place->step * t->how.step_pieces + piece);
    const uint32_t counter[4] = { (uint32_t)number, (uint32_t)(number >> 32), (uint32_t)place->epoch, 0x77327665 };
    glia_philox(key, counter, word);
    w->random = (uint64_t)word[0] << 32 | word[1];
    while (at > 0 && at < end && ids[at - 1] >= 0) at++;
    while (at < end) {
        const double share = (double)(at - t->first) / (double)t->count;
        int64_t n = 0;
        for (; ids[at] >= 0; at++, w->words++) {
            const int32_t id = ids[at];
            if (t->kept[id] == UINT32_MAX || (uint32_t)(glia_word_random(&w->random) >> 32) < t->kept[id])
                w->sentence[n++] = id;
        }
        at++;
        if (n > 1) train_sentence(t, w, n, (float)(place->rate + share * (place->next_rate - place->rate)));
    }
}

static void run_piece(void *context, int64_t piece, int index) {
    trainer *t = context;
    if (t->whole)
        train_piece(t, piece, index);
    else if (piece > 0)
        train_piece(t, piece - 1, index);
    else
        t->read_status = read_ahead(t, (t->place.step + 1) % t->steps);
}

glia_status glia_word_trainer_step(glia_word_trainer *t, glia_word_place place, glia_word_result *result,
                                   glia_error *error) {
    const int64_t most = t->how.step_pieces * GLIA_WORD_PIECE;
    glia_status status = t->whole ? GLIA_OK : fetch(t, place.step);
    if (status != GLIA_OK) return glia_fail(error, status, "%s", t->reason.message);
    t->place = place;
    t->first = t->whole ? place.step * most : 0;
    t->count = GLIA_MIN(most, t->now.n - t->first);
    result->loss = probe(t, &place, t->first, t->count, &result->probes);
    t->read_status = GLIA_OK;
    for (int i = 0; i < glia_pool_size(t->pool); i++) t->workers[i].words = 0;
    glia_parallel_for(t->pool, (t->count + GLIA_WORD_PIECE - 1) / GLIA_WORD_PIECE + !t->whole, run_piece, t);
    if (t->read_status != GLIA_OK) return glia_fail(error, t->read_status, "%s", t->reason.message);
    result->words = 0;
    for (int i = 0; i < glia_pool_size(t->pool); i++) result->words += t->workers[i].words;
    return GLIA_OK;
}
