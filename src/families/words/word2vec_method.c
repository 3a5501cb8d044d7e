/* word2vec_method.c - the method "word2vec": vectors of the words of a text (Mikolov et al. 2013).
 *
 * The model is empty when training begins, or one that was trained on the same words. Once the words are counted it
 * gets an input "word" (N), i32, and an output "vector" (N, size): a row of the parameter "vectors" (words, row), whose
 * rows are padded with zeros to multiples of 16 floats, as the kernel wants them. The words and their counts become
 * metadata. The output tables are states of the training.
 *
 *     text ──► word numbers ──► windows of words ──► kernel ──► "vectors", "output", "nodes"
 *
 * A step is `batch` words, rounded up to pieces of 10,000. The loss is measured on a few words of each step.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/store.h"
#include "families/words/word2vec_method.h"
#include "train/model/model.h"
#include "train/run/training.h"


static const glia_setting settings[] = {
    { "architecture", GLIA_SETTING_CHOICE, offsetof(glia_word2vec, architecture), GLIA_WORDS_SKIP_GRAM, 0, 0,
      "cbow|skip-gram",
      "predict a word from the mean of those around it, or those around it from it" },
    { "size", GLIA_SETTING_INT, offsetof(glia_word2vec, size), 100, 1, 1 << 20, NULL, "numbers in a vector" },
    { "window", GLIA_SETTING_INT, offsetof(glia_word2vec, window), 5, 1, 1000, NULL, "words on either side, at most" },
    { "negative", GLIA_SETTING_INT, offsetof(glia_word2vec, negative), -1, -1, 10000, NULL,
      "negative samples; -1: 5, or none with hierarchical_softmax" },
    { "hierarchical_softmax", GLIA_SETTING_SWITCH, offsetof(glia_word2vec, hierarchical), 0, 0, 0, NULL,
      "predict a word by its path in a Huffman tree" },
    { "own_negatives", GLIA_SETTING_SWITCH, offsetof(glia_word2vec, own_negatives), 0, 0, 0, NULL,
      "skip-gram: new negative samples for each pair of words" },
    { "sample", GLIA_SETTING_REAL, offsetof(glia_word2vec, sample), 1e-3, 0, 1e9, NULL,
      "subsample words above this share of the text; 0: none" },
    { "min_count", GLIA_SETTING_INT, offsetof(glia_word2vec, min_count), 5, 1, 1e15, NULL, "rarer words are left out" },
    { "max_words", GLIA_SETTING_INT, offsetof(glia_word2vec, max_words), 0, 0, 1e15, NULL,
      "keep only so many words, the most frequent; 0: all" },
    { "threads", GLIA_SETTING_INT, offsetof(glia_word2vec, threads), 1, -1, 4096, NULL,
      "threads that update the same vectors without locks; more than 1 is not reproducible; -1: one per core" },
    { "shown", GLIA_SETTING_INT, offsetof(glia_word2vec, shown), 12, 1, 1000, NULL,
      "words whose neighbours are shown after each epoch" },
};

/* ---- the model -------------------------------------------------------------------------------- */

/* Declares input, parameter and output for the words. */
static void declare(glia_model *model, int64_t words, int64_t size) {
    glia_graph *g = model->graph;
    const int64_t row = glia_word_row(size);
    const glia_init zeros = { .kind = GLIA_INIT_ZEROS };
    glia_tensor word = glia_model_input(model, "word", GLIA_I32, GLIA_SCALAR);
    glia_tensor vectors = glia_parameter(g, "vectors", GLIA_F32, GLIA_SHAPE(words, row), zeros);
    glia_tensor vector = glia_gather(vectors, word, 0);
    if (row != size) vector = glia_slice(vector, GLIA_SHAPE(0, 0), GLIA_SHAPE(GLIA_BATCH, size), GLIA_SHAPE(1, 1));
    glia_model_output(model, "vector", vector);
}

/* Words and counts, one a line. */
static glia_status list_words(const glia_word_table *table, glia_text *words, glia_text *counts, glia_error *error) {
    for (int64_t i = 0; i < table->n; i++) {
        if (i) glia_text_append(words, "\n", 1);
        glia_word_escape(table->words[i], words);
        glia_text_printf(counts, "%s%lld", i ? "\n" : "", (long long)table->counts[i]);
    }
    return words->failed || counts->failed ? glia_fail_nomem(error) : GLIA_OK;
}

/* GLIA_E_ARGUMENT unless the model was trained on the same words. */
static glia_status check_same(const glia_model *model, const glia_word_trainer *w, const char *words,
                              glia_error *error) {
    const char *known = glia_model_get(model, "words");
    const glia_node *vectors = glia_graph_find_leaf(model->graph, "vectors");
    if (known && strcmp(known, words) == 0 && vectors &&
        glia_shape_equal(vectors->shape, GLIA_SHAPE(w->table.n, w->row)))
        return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT,
                     "the method word2vec needs an empty model, or one that was trained on the same words");
}

/* ---- begin and end ---------------------------------------------------------------------------- */

static glia_status begin_trainer(glia_training *t, glia_error *error) {
    glia_word2vec *m = t->memory;
    const int64_t negative = m->negative >= 0 ? m->negative : m->hierarchical ? 0 : 5;
    if (!negative && !m->hierarchical)
        return glia_fail(error, GLIA_E_ARGUMENT, "word2vec: negative sampling or hierarchical softmax is needed");
    if (m->own_negatives && m->architecture != GLIA_WORDS_SKIP_GRAM)
        return glia_fail(error, GLIA_E_ARGUMENT, "word2vec.own_negatives is a setting of skip-gram");
    m->trainer.how =
        (glia_word_how){ .skip_gram = m->architecture == GLIA_WORDS_SKIP_GRAM,
                         .own_negatives = m->own_negatives,
                         .hierarchical = m->hierarchical,
                         .size = m->size,
                         .window = (int)m->window,
                         .negative = (int)negative,
                         .sample = m->sample,
                         .seed = t->opts.seed,
                         .threads = m->threads ? (int)m->threads : 1,
                         .step_pieces = (t->opts.batch + GLIA_WORD_PIECE - 1) / GLIA_WORD_PIECE };
    return glia_word_trainer_begin(&m->trainer, *t->opts.text, m->min_count, m->max_words, error);
}

static float *values_of(const glia_store *store, const char *name) {
    glia_array a;
    return glia_store_look(store, name, &a) ? a.data : NULL;
}

/* The output tables, which begin with zeros. */
static glia_status make_outputs(glia_training *t, glia_error *error) {
    glia_word2vec *m = t->memory;
    glia_word_trainer *w = &m->trainer;
    const glia_init zeros = { .kind = GLIA_INIT_ZEROS };
    const glia_shape shape = GLIA_SHAPE(w->table.n, w->row);
    m->graph = glia_graph_create();
    if (!m->graph) return glia_fail_nomem(error);
    if (w->how.negative) glia_parameter(m->graph, "output", GLIA_F32, shape, zeros);
    if (w->how.hierarchical) glia_parameter(m->graph, "nodes", GLIA_F32, shape, zeros);
    const glia_status status = glia_training_add_states(t, m->graph, error);
    if (status != GLIA_OK) return status;
    w->output = values_of(t->states, "output");
    w->nodes = values_of(t->states, "nodes");
    return status;
}

/* Builds the model, or takes one of the same words, and writes the words into its metadata. */
static glia_status fill_model(glia_training *t, const char *words, const char *counts, glia_error *error) {
    glia_word2vec *m = t->memory;
    glia_word_trainer *w = &m->trainer;
    glia_model *model = t->model;
    const bool fresh = model->graph->n_nodes == 0;
    if (fresh)
        declare(model, w->table.n, w->how.size);
    else if (check_same(model, w, words, error) != GLIA_OK)
        return GLIA_E_ARGUMENT;
    glia_status status = glia_model_ready(model, t->opts.seed, error);
    if (status != GLIA_OK) return status;
    w->input = values_of(model->store, "vectors");
    if (fresh) glia_word_trainer_rows(w);
    glia_store_touch(model->store);
    m->words_hash = (int64_t)glia_hash_bytes(words, strlen(words), glia_hash_bytes(counts, strlen(counts), 0));
    status = glia_model_set(model, "words", words, error);
    return status == GLIA_OK ? glia_model_set(model, "word_counts", counts, error) : status;
}

static glia_status make_model(glia_training *t, glia_error *error) {
    const glia_word2vec *m = t->memory;
    glia_text words = { 0 }, counts = { 0 };
    glia_status status = list_words(&m->trainer.table, &words, &counts, error);
    if (status == GLIA_OK) status = fill_model(t, words.bytes, counts.bytes, error);
    free(words.bytes);
    free(counts.bytes);
    return status;
}

glia_status glia_word2vec_begin(glia_training *t, glia_error *error) {
    glia_word2vec *m = t->memory;
    glia_status status = glia_training_plain_sgd(t, error);
    if (status == GLIA_OK) status = begin_trainer(t, error);
    if (status == GLIA_OK) status = make_model(t, error);
    if (status == GLIA_OK) status = make_outputs(t, error);
    if (status != GLIA_OK) return status;
    const double asked = t->opts.optimizer.lr;
    t->full_lr = asked > 0 ? asked : m->architecture == GLIA_WORDS_SKIP_GRAM ? 0.025 : 0.05;
    t->epoch_steps = m->trainer.steps;
    t->parameter_bytes = (size_t)(m->trainer.table.n * m->trainer.row) * sizeof(float);
    m->loss_mean = glia_training_mean(t, "loss");
    return GLIA_OK;
}

const glia_word_trainer *glia_word_trainer_of(const glia_training *t) {
    const glia_word2vec *m = t->memory;
    return &m->trainer;
}

void glia_word2vec_end(glia_training *t) {
    glia_word2vec *m = t->memory;
    glia_word_trainer_free(&m->trainer);
    glia_store_free(t->states);
    glia_graph_free(m->graph);
}

/* ---- steps -------------------------------------------------------------------------------------- */

glia_status glia_word2vec_step(glia_training *t, const glia_batch *batch, glia_error *error) {
    glia_word2vec *m = t->memory;
    (void)batch;
    const glia_word_place place = { .epoch = t->epoch,
                                    .step = t->step,
                                    .rate = t->progress.lr,
                                    .next_rate = glia_training_rate_at(t, t->done + 1) };
    glia_word_result result;
    glia_status status = glia_word_trainer_step(&m->trainer, place, &result, error);
    if (status != GLIA_OK) return status;
    glia_store_touch(t->model->store);
    t->samples += result.words;
    t->progress.loss = result.loss;
    glia_training_add(t, m->loss_mean, result.loss, (double)result.probes);
    return GLIA_OK;
}

int glia_word2vec_arrays(glia_training *t, glia_array *out, int capacity) {
    glia_word2vec *m = t->memory;
    (void)capacity;
    out[0] = (glia_array){ .name = "words", .dtype = GLIA_I64, .shape = GLIA_SHAPE(1), .data = &m->words_hash };
    return 1;
}

/* A checkpoint is of the same words; all else is checked by its shape. */
glia_status glia_word2vec_restore(glia_training *t, const glia_array *arrays, int n, bool check_only,
                                  glia_error *error) {
    const glia_word2vec *m = t->memory;
    (void)check_only;
    if (n == 1 && arrays->dtype == GLIA_I64 && glia_shape_count(arrays->shape) == 1 &&
        *(const int64_t *)arrays->data == m->words_hash)
        return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "was made with another text: its words are others");
}

/* ---- neighbours --------------------------------------------------------------------------------- */

/* Words from frequent to rare, a line each: "water: rain flood rivers". */
glia_status glia_word2vec_show(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    enum { NEAR = 6 };
    const glia_word2vec *m = t->memory;
    glia_error reason = { 0 };
    glia_vectors *vectors = glia_vectors_from_model(t->model, &reason);
    if (!vectors) return glia_fail(error, reason.status, "%s", reason.message);
    glia_text text = { 0 };
    int64_t last = -1;
    for (int64_t i = 0; i < m->shown; i++) {
        const double share = (double)(i + 1) / (double)(m->shown + 1); /* of the logarithm of the number of words */
        const int64_t at = (int64_t)pow((double)glia_vectors_words(vectors), 0.25 + 0.75 * share) - 1;
        if (at == last) continue;
        last = at;
        const char *word = glia_vectors_word(vectors, at);
        glia_neighbour near[NEAR];
        const glia_nearest_opts query = { .plus = &word, .n_plus = 1 };
        const int n = glia_vectors_nearest(vectors, query, near, NEAR, &reason);
        glia_word_escape(word, &text);
        for (int k = 0; k < n; k++) {
            glia_text_append(&text, k ? " " : ": ", k ? 1 : 2);
            glia_word_escape(glia_vectors_word(vectors, near[k].word), &text);
        }
        glia_text_append(&text, "\n", 1);
    }
    glia_vectors_free(vectors);
    const glia_shown shown = { .name = "neighbours", .kind = GLIA_SHOWN_TEXT, .n = 1, .text = text.bytes };
    glia_status status = text.failed ? glia_fail_nomem(error) : reason.status;
    if (status == GLIA_OK) status = show_one(context, &shown, error);
    free(text.bytes);
    return status;
}

const glia_method glia_method_word2vec = {
    .about = { .name = "word2vec",
               .summary = "vectors of words, from the words around them",
               .paper = "Mikolov et al. 2013",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_TEXT | GLIA_USES_OPTIMIZER | GLIA_USES_BATCH,
               .ranked = true },
    .bytes = sizeof(glia_word2vec),
    .begin = glia_word2vec_begin,
    .step = glia_word2vec_step,
    .show = glia_word2vec_show,
    .arrays = glia_word2vec_arrays,
    .restore = glia_word2vec_restore,
    .end = glia_word2vec_end,
};
