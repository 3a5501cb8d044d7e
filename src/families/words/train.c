/* train.c - trains word vectors on text (word2vec).
 *
 * Words are counted. Then the text is read in chunks of word numbers, which are cut into pieces of whole sentences;
 * while the threads train on one chunk, one of them reads the next. Each piece has its own random numbers, so that
 * training with one thread is reproducible. Several threads update the same rows without locks, as in word2vec.c.
 *
 * A step computes the words around a word, as rows of the input table, against the word itself and its negative
 * samples, or the nodes of its path, as rows of the output tables: a small matrix product (Ji et al. 2016,
 * "Parallelizing word2vec in shared and distributed memory"), done by the kernel word_step_f32.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/cpu/kernels/kernels.h"
#include "families/words/words.h"

enum {
    SENTENCE = 1000,    /* words, at most */
    CHUNK = 1 << 24,    /* words in memory */
    PIECE = 10000,      /* words per task */
    ROW = 16,           /* rows are padded to multiples of this many floats */
    WINDOW_MOST = 1000, /* and of these: so that sizes do not overflow */
    NEGATIVE_MOST = 10000,
    SIZE_MOST = 1 << 20
};

typedef struct chunk {
    int32_t *ids; /* -1 ends a sentence */
    int64_t n, capacity;
} chunk;

typedef struct worker {
    int32_t *sentence;            /* without the subsampled words */
    float **in, **out[2], **grad; /* rows of a step; two sets of output rows, one being prepared */
    float *label[2];
    int n_out[2];
    float *errors, *hidden;
    uint64_t random;
    void *memory;
} worker;

typedef struct trainer {
    glia_word2vec_opts o;
    glia_word_table table;
    int64_t total;       /* words of the text that are in the table */
    uint32_t *kept;      /* probability times 2^32, by word */
    glia_word_tree tree; /* with hierarchical softmax */
    glia_word_draws draws;
    int64_t row;                   /* floats */
    float *input, *nodes, *output; /* (n, row); nodes of the tree; words as outputs */
    const glia_cpu_kernels *kernels;
    glia_word_reader *reader;
    chunk now, next;
    bool last; /* `next` is empty: the text has ended */
    worker *workers;
    glia_pool *pool;
    int64_t epoch, first_piece; /* of this chunk, in the epoch */
    _Atomic int64_t done;       /* words, over all epochs */
    _Atomic int stop;           /* a glia_status */
    glia_error *error;
    glia_status read_status;
    struct timespec begun;
} trainer;

/* ---- options ------------------------------------------------------------------------------ */

static glia_status settle(glia_word2vec_opts *o, glia_error *error) {
    if (!o->size) o->size = 100;
    if (!o->window) o->window = 5;
    o->sample = glia_option(o->sample, 1e-3);
    o->negative = (int)glia_option_count(o->negative, o->hierarchical_softmax ? 0 : 5);
    if (!o->epochs) o->epochs = 5;
    if (!o->min_count) o->min_count = 5;
    o->rate = glia_option(o->rate, o->model == GLIA_CBOW ? 0.05 : 0.025);
    if (!o->threads) o->threads = 1;
    if (o->size < 1 || o->size > SIZE_MOST)
        return glia_fail(error, GLIA_E_ARGUMENT, "word2vec: the size is %lld, but must be from 1 to %d",
                         (long long)o->size, SIZE_MOST);
    if (o->window < 1 || o->window > WINDOW_MOST)
        return glia_fail(error, GLIA_E_ARGUMENT, "word2vec: the window is %d, but must be from 1 to %d", o->window,
                         WINDOW_MOST);
    if (o->negative < 0 || o->negative > NEGATIVE_MOST)
        return glia_fail(error, GLIA_E_ARGUMENT, "word2vec: negative is %d, but must be from 0 to %d", o->negative,
                         NEGATIVE_MOST);
    if (!o->negative && !o->hierarchical_softmax)
        return glia_fail(error, GLIA_E_ARGUMENT, "word2vec: negative sampling or hierarchical softmax is needed");
    if (o->epochs < 1 || o->min_count < 1 || o->max_words < 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "word2vec: epochs, min_count and max_words cannot be negative");
    if (!(o->rate > 0) || !isfinite(o->rate) || !(o->sample >= 0) || !isfinite(o->sample))
        return glia_fail(error, GLIA_E_ARGUMENT, "word2vec: the rate %g or the sample %g is out of range", o->rate,
                         o->sample);
    if (o->model != GLIA_CBOW && o->model != GLIA_SKIP_GRAM)
        return glia_fail(error, GLIA_E_ARGUMENT, "word2vec: the model %d is unknown", (int)o->model);
    return GLIA_OK;
}

/* ---- the vocabulary ----------------------------------------------------------------------- */

static glia_status count_words(trainer *t, glia_text_source source) {
    glia_status status = GLIA_OK;
    glia_word_reader_start(t->reader, source);
    for (glia_word_item token; !status;) {
        token = glia_word_reader_next(t->reader, t->error);
        if (token == GLIA_ITEM_END) break;
        if (token == GLIA_ITEM_FAILED) status = t->error->status;
        if (token != GLIA_ITEM_WORD) continue;
        int64_t i;
        if (!glia_word_table_add(&t->table, t->reader->word, t->reader->length, &i))
            status = glia_fail_nomem(t->error);
        else
            t->table.counts[i]++;
    }
    glia_word_reader_close(t->reader);
    return status;
}

/* "WORD COUNT" lines. */
static glia_status read_counts(trainer *t, const char *path) {
    const char *const files[] = { path };
    glia_status status = GLIA_OK;
    int64_t line = 1, word = -1;
    bool counted = false;
    glia_word_reader_start(t->reader, (glia_text_source){ .files = files, .n_files = 1 });
    for (glia_word_item token = GLIA_ITEM_LINE; !status && token != GLIA_ITEM_END;) {
        token = glia_word_reader_next(t->reader, t->error);
        const char *text = t->reader->word;
        double count;
        if (token == GLIA_ITEM_FAILED) {
            status = t->error->status;
        } else if (token != GLIA_ITEM_WORD) {
            if (word >= 0 && !counted)
                status = glia_fail(t->error, GLIA_E_FORMAT, "%s: line %lld: the word has no count", path,
                                   (long long)line);
            word = -1;
            counted = false;
            line++;
        } else if (word < 0) {
            const int64_t before = t->table.n;
            if (!glia_word_table_add(&t->table, text, t->reader->length, &word))
                status = glia_fail_nomem(t->error);
            else if (t->table.n == before)
                status = glia_fail(t->error, GLIA_E_FORMAT, "%s: line %lld: \"%.100s\" is a duplicate", path,
                                   (long long)line, text);
        } else if (counted || !glia_number_parse(text, text + t->reader->length, &count) || count != floor(count) ||
                   count < 1 || count > 0x1p53) {
            status = glia_fail(t->error, GLIA_E_FORMAT, "%s: line %lld: the line is not WORD COUNT", path,
                               (long long)line);
        } else {
            t->table.counts[word] = (int64_t)count;
            counted = true;
        }
    }
    glia_word_reader_close(t->reader);
    return status;
}

static glia_status make_vocabulary(trainer *t, glia_text_source source) {
    glia_status status = t->o.vocabulary ? read_counts(t, t->o.vocabulary) : count_words(t, source);
    if (status) return status;
    const int64_t different = t->table.n;
    if (!glia_word_table_sort(&t->table, t->o.min_count, t->o.max_words)) return glia_fail_nomem(t->error);
    for (int64_t i = 0; i < t->table.n; i++) t->total += t->table.counts[i];
    if (t->table.n > 1) return GLIA_OK;
    return glia_fail(t->error, GLIA_E_ARGUMENT,
                     "word2vec: of %lld distinct words, %lld occur at least %lld times; that is too few",
                     (long long)different, (long long)t->table.n, (long long)t->o.min_count);
}

/* ---- memory ------------------------------------------------------------------------------- */

static float *rows(int64_t n, int64_t row) {
    size_t count, bytes;
    if (!glia_mul_fits((size_t)n, (size_t)row, &count) || !glia_mul_fits(count, sizeof(float), &bytes)) return NULL;
    return glia_alloc_aligned(bytes);
}

/* Allocates all memory of a thread in one block. */
static bool make_worker(worker *w, const trainer *t) {
    const size_t ins = 2 * (size_t)t->o.window, outs = 1 + (size_t)t->o.negative + (size_t)t->tree.longest,
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

static bool make_chunk(chunk *c, int64_t words) {
    /* Line ends at most double it; short texts need less than CHUNK. */
    c->capacity = GLIA_MIN((int64_t)CHUNK, 2 * words + 2);
    c->ids = malloc((size_t)c->capacity * sizeof *c->ids);
    return c->ids != NULL;
}

/* Input rows are uniform in [-1/2, 1/2) / size, output rows zero. */
static void begin_rows(trainer *t) {
    glia_rng rng = { .seed = t->o.seed, .stream = 0x776F726473 };
    for (int64_t i = 0; i < t->table.n; i++) {
        for (int64_t k = 0; k < t->o.size; k++)
            t->input[i * t->row + k] = (float)((glia_rng_uniform(&rng) - 0.5) / (double)t->o.size);
    }
}

static glia_status make_tables(trainer *t) {
    const int64_t n = t->table.n;
    t->row = (t->o.size + ROW - 1) / ROW * ROW;
    t->kept = malloc((size_t)n * sizeof *t->kept);
    t->input = rows(n, t->row);
    bool good = t->kept && t->input;
    if (good && t->o.hierarchical_softmax) {
        t->nodes = rows(n, t->row);
        good = t->nodes && glia_word_tree_build(&t->tree, t->table.counts, n);
    }
    if (good && t->o.negative) {
        t->output = rows(n, t->row);
        good = t->output && glia_word_draws_build(&t->draws, t->table.counts, n, 0.75);
    }
    if (!good || !make_chunk(&t->now, t->total)) return glia_fail_nomem(t->error);
    for (int64_t i = 0; i < n; i++)
        t->kept[i] = (uint32_t)(glia_word_kept(t->table.counts[i], t->total, t->o.sample) * (double)UINT32_MAX);
    begin_rows(t);
    t->workers = calloc((size_t)glia_pool_size(t->pool), sizeof *t->workers);
    good = t->workers != NULL;
    for (int i = 0; i < glia_pool_size(t->pool) && good; i++) good = make_worker(&t->workers[i], t);
    return good ? GLIA_OK : glia_fail_nomem(t->error);
}

static void free_trainer(trainer *t) {
    for (int i = 0; t->workers && i < glia_pool_size(t->pool); i++) free(t->workers[i].memory);
    free(t->workers);
    glia_pool_free(t->pool);
    if (t->reader) glia_word_reader_close(t->reader);
    free(t->reader);
    free(t->now.ids);
    free(t->next.ids);
    free(t->kept);
    free(t->input);
    free(t->nodes);
    free(t->output);
    glia_word_tree_free(&t->tree);
    glia_word_draws_free(&t->draws);
    glia_word_table_free(&t->table);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Reads the next words as numbers. *ended: the text has ended. */
static glia_status read_chunk(trainer *t, chunk *c, bool *ended) {
    int64_t length = 0; /* of this sentence */
    *ended = false;
    c->n = 0;
    while (c->n + 2 <= c->capacity) {
        const glia_word_item token = glia_word_reader_next(t->reader, t->error);
        if (token == GLIA_ITEM_FAILED) return t->error->status;
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

/* ---- steps -------------------------------------------------------------------------------- */

static inline void prefetch(const float *row, int64_t length) {
    for (int64_t i = 0; i < length; i += ROW) __builtin_prefetch(row + i, 1);
}

/* The output rows for a word and their targets: the word, its negative samples, its path. */
static void choose(const trainer *t, worker *w, int set, int32_t word) {
    float **out = w->out[set], *label = w->label[set];
    int n = 0;
    if (t->o.negative) {
        out[n] = t->output + word * t->row;
        label[n++] = 1;
    }
    for (int k = 0; k < t->o.negative; k++) {
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
    const bool skip_gram = t->o.model == GLIA_SKIP_GRAM, own = skip_gram && t->o.own_negatives;
    glia_word_step step = {
        .length = t->row, .rate = rate, .errors = w->errors, .average = !skip_gram, .grad = w->grad, .hidden = w->hidden
    };
    int set = 0;
    if (!own) choose(t, w, 0, w->sentence[0]);
    for (int64_t i = 0; i < n; i++, set ^= !own) {
        const int64_t reach = 1 + (int64_t)((glia_word_random(&w->random) >> 32) * (uint64_t)t->o.window >> 32);
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

static double seconds_since(const struct timespec *begun) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + 1e-9 * (double)(now.tv_nsec - begun->tv_nsec);
}

static double rate_at(const trainer *t, int64_t done) {
    const double left = 1 - (double)done / ((double)t->o.epochs * (double)t->total + 1);
    return t->o.rate * GLIA_MAX(left, 1e-4);
}

static void report(trainer *t) {
    const int64_t done = atomic_load_explicit(&t->done, memory_order_relaxed);
    glia_word2vec_progress p = { .epoch = t->epoch + 1,
                                 .epochs = t->o.epochs,
                                 .words = done,
                                 .total = t->o.epochs * t->total,
                                 .vocabulary = t->table.n,
                                 .rate = rate_at(t, done),
                                 .seconds = seconds_since(&t->begun) };
    const glia_status status = t->o.watch(&p, t->o.context);
    if (status) atomic_store(&t->stop, (int)status);
}

/* Trains on the sentences that begin in a piece of the chunk. */
static void train_piece(trainer *t, int64_t piece, int index) {
    worker *w = &t->workers[index];
    const int32_t *ids = t->now.ids;
    int64_t at = piece * PIECE, end = GLIA_MIN(at + PIECE, t->now.n);
    uint32_t word[4];
    const uint32_t key[2] = { (uint32_t)t->o.seed, (uint32_t)(t->o.seed >> 32) };
    const uint64_t number = (uint64_t)(t->first_piece + piece);
    glia_philox(key, (const uint32_t[]){ (uint32_t)number, (uint32_t)(number >> 32), (uint32_t)t->epoch, 0x77327665 },
                word);
    w->random = (uint64_t)word[0] << 32 | word[1];
    while (at > 0 && at < end && ids[at - 1] >= 0) at++;
    while (at < end && !atomic_load_explicit(&t->stop, memory_order_relaxed)) {
        int64_t n = 0, seen = 0;
        for (; ids[at] >= 0; at++, seen++) {
            const int32_t id = ids[at];
            if (t->kept[id] == UINT32_MAX || (uint32_t)(glia_word_random(&w->random) >> 32) < t->kept[id])
                w->sentence[n++] = id;
        }
        at++;
        const int64_t done = atomic_fetch_add_explicit(&t->done, seen, memory_order_relaxed);
        if (n > 1) train_sentence(t, w, n, (float)rate_at(t, done));
    }
    if (index == 0 && t->o.watch) report(t);
}

static void run_piece(void *context, int64_t piece, int index) {
    trainer *t = context;
    if (piece > 0) {
        train_piece(t, piece - 1, index);
    } else if (!t->last) {
        t->read_status = read_chunk(t, &t->next, &t->last);
    }
}

/* One pass over the text; its first chunk is in `now`. */
static glia_status train_epoch(trainer *t, bool last) {
    t->last = last;
    t->first_piece = 0;
    for (;;) {
        const bool more = !t->last;
        const int64_t pieces = (t->now.n + PIECE - 1) / PIECE;
        t->read_status = GLIA_OK;
        glia_parallel_for(t->pool, pieces + 1, run_piece, t);
        if (t->read_status) return t->read_status;
        if (atomic_load(&t->stop))
            return glia_fail(t->error, (glia_status)atomic_load(&t->stop), "word2vec: training was stopped");
        if (!more) return GLIA_OK;
        t->first_piece += pieces;
        chunk swap = t->now;
        t->now = t->next;
        t->next = swap;
    }
}

static glia_status train(trainer *t, glia_text_source source) {
    bool last = false;
    clock_gettime(CLOCK_MONOTONIC, &t->begun);
    for (t->epoch = 0; t->epoch < t->o.epochs; t->epoch++) {
        if (t->epoch == 0 || !last) { /* else the whole text is in the first chunk */
            glia_word_reader_close(t->reader);
            glia_word_reader_start(t->reader, source);
            glia_status status = read_chunk(t, &t->now, &last);
            if (status) return status;
            if (!last && !t->next.ids && !make_chunk(&t->next, t->total)) return glia_fail_nomem(t->error);
        }
        glia_status status = train_epoch(t, last);
        if (status) return status;
    }
    return GLIA_OK;
}

/* The input rows without their padding. */
static glia_vectors *finish(trainer *t) {
    float *values = rows(t->table.n, t->o.size);
    if (!values) {
        glia_fail_nomem(t->error);
        return NULL;
    }
    for (int64_t i = 0; i < t->table.n; i++)
        memcpy(values + i * t->o.size, t->input + i * t->row, (size_t)t->o.size * sizeof *values);
    glia_word_table table = t->table;
    t->table = (glia_word_table){ 0 };
    return glia_vectors_take(&table, values, t->o.size, t->error);
}

glia_vectors *glia_word2vec_train(glia_text_source source, glia_word2vec_opts opts, glia_error *error) {
    glia_error own;
    trainer t = { .o = opts, .error = error ? error : &own };
    glia_vectors *vectors = NULL;
    glia_isa isa;
    glia_status status = settle(&t.o, t.error);
    if (!status) status = glia_isa_choose(&isa, t.error);
    if (!status) {
        t.kernels = glia_cpu_kernels_for(isa);
        t.reader = malloc(sizeof *t.reader);
        t.pool = t.o.threads == 1 ? NULL : glia_pool_create(t.o.threads, t.error);
        if (!t.reader)
            status = glia_fail_nomem(t.error);
        else
            glia_word_reader_start(t.reader, source);
        if (!status && t.o.threads != 1 && !t.pool) status = t.error->status;
    }
    if (!status) status = make_vocabulary(&t, source);
    if (!status) status = make_tables(&t);
    if (!status) status = train(&t, source);
    if (!status) vectors = finish(&t);
    free_trainer(&t);
    return vectors;
}
