/* word2vec.c - word vectors of a text in one call: the method "word2vec" on a model of its own. */
#include <stdlib.h>
#include <string.h>

#include "families/words/trainer.h"
#include "train/run/training.h"

/* The model's values as vectors, without the padding of rows. */
static glia_vectors *take_vectors(const glia_array *a, int64_t size, const char *names, const char *counts,
                                  glia_error *error) {
    const int64_t n = a->shape.dim[0], row = a->shape.dim[1];
    glia_word_table table = { 0 };
    float *values = malloc((size_t)(n * size) * sizeof *values);
    char *word = malloc(strlen(names) + 1);
    glia_status status = values && word ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0, number; i < n && status == GLIA_OK; i++) {
        const size_t length = strcspn(names, "\n"), bytes = glia_word_unescape(names, length, word);
        char *end = NULL;
        const long long count = strtoll(counts, &end, 10);
        const char after = i + 1 == n ? 0 : '\n';
        const bool good = bytes && !memchr(word, 0, bytes) && end != counts && count >= 0;
        if (!good || names[length] != after || *end != after) {
            status = glia_fail(error, GLIA_E_FORMAT, "the model's word %lld of %lld is damaged", (long long)i,
                               (long long)n);
        } else if (!glia_word_table_add(&table, word, bytes, &number)) {
            status = glia_fail_nomem(error);
        } else if (number != i) {
            status = glia_fail(error, GLIA_E_FORMAT, "the model's word \"%.*s\" is a duplicate",
                               (int)GLIA_MIN(length, 100), names);
        } else {
            table.counts[i] = count;
            memcpy(values + i * size, (const float *)a->data + i * row, (size_t)size * sizeof *values);
            names += length + 1;
            counts = end + 1;
        }
    }
    free(word);
    if (status == GLIA_OK) return glia_vectors_take(&table, values, size, error);
    glia_word_table_free(&table);
    free(values);
    return NULL;
}

glia_vectors *glia_vectors_from_model(const glia_model *model, glia_error *error) {
    if (!model) return glia_fail_null(error, "model"), NULL;
    const char *words = glia_model_get(model, "words"), *counts = glia_model_get(model, "word_counts");
    const glia_tensor vector = glia_graph_find_output(model->graph, "vector");
    glia_array a;
    const bool found = words && counts && vector && vector->shape.rank == 2 && model->store &&
                       glia_store_look(model->store, "vectors", &a);
    if (found && a.dtype == GLIA_F32 && a.shape.rank == 2 && a.shape.dim[0] > 0 && vector->shape.dim[1] > 0 &&
        vector->shape.dim[1] <= a.shape.dim[1])
        return take_vectors(&a, vector->shape.dim[1], words, counts, error);
    glia_fail(error, GLIA_E_ARGUMENT, "the model was not trained by the method word2vec");
    return NULL;
}

/* ---- training in one call ------------------------------------------------------------------------ */

/* Tells the caller's function about each step. */
typedef struct watcher {
    const glia_word2vec_opts *opts;
    int64_t epoch, before, words; /* this epoch; words before it, and of it */
    double begun;
} watcher;

static glia_status watch_step(const glia_progress *p, void *context, glia_error *error) {
    watcher *w = context;
    const glia_word_trainer *trainer = glia_word_trainer_of(p->training);
    (void)error;
    if (p->epoch != w->epoch) w->before += w->words;
    w->epoch = p->epoch;
    w->words = p->samples;
    const glia_word2vec_progress now = { .epoch = p->epoch,
                                         .epochs = p->epochs,
                                         .words = w->before + w->words,
                                         .total = p->epochs * trainer->total,
                                         .vocabulary = trainer->table.n,
                                         .rate = glia_training_rate(p->training),
                                         .seconds = glia_seconds() - w->begun };
    return w->opts->watch(&now, w->opts->context);
}

/* The options as settings of the method. */
static void write_settings(const glia_word2vec_opts *o, glia_text *out) {
    char sample[GLIA_NUMBER_TEXT];
    const long long negative = o->negative == 0 ? -1 : o->negative == GLIA_NONE ? 0 : o->negative;
    glia_text_printf(out, "architecture=%s size=%lld window=%d negative=%lld hierarchical_softmax=%s own_negatives=%s",
                     o->model == GLIA_SKIP_GRAM ? "skip-gram" : "cbow", (long long)(o->size ? o->size : 100),
                     o->window ? o->window : 5, negative, o->hierarchical_softmax ? "true" : "false",
                     o->own_negatives ? "true" : "false");
    glia_text_printf(out, " sample=%s min_count=%lld max_words=%lld threads=%d",
                     glia_number_print(glia_option(o->sample, 1e-3), sample),
                     (long long)(o->min_count ? o->min_count : 5), (long long)o->max_words,
                     o->threads ? o->threads : 1);
}

glia_vectors *glia_word2vec_train(glia_text_source source, glia_word2vec_opts opts, glia_error *error) {
    if (opts.model != GLIA_CBOW && opts.model != GLIA_SKIP_GRAM) {
        glia_fail(error, GLIA_E_ARGUMENT, "word2vec: the model %d is unknown", (int)opts.model);
        return NULL;
    }
    const double rate = glia_option(opts.rate, opts.model == GLIA_CBOW ? 0.05 : 0.025);
    watcher w = { .opts = &opts, .begun = glia_seconds() };
    const glia_callback watch = { .name = "watch", .step_end = watch_step, .context = &w };
    const glia_fit_opts how = { .epochs = opts.epochs ? opts.epochs : 5,
                                .optimizer = { .kind = GLIA_SGD, .lr = rate },
                                .schedule = { .kind = GLIA_LR_LINEAR, .low = 1e-4 * rate },
                                .text = &source,
                                .callbacks = &watch,
                                .n_callbacks = opts.watch != NULL,
                                .seed = opts.seed,
                                .threads = 1 };
    glia_text settings = { 0 };
    write_settings(&opts, &settings);
    glia_model *model = settings.failed ? NULL : glia_model_create("word2vec", error);
    if (settings.failed) glia_fail_nomem(error);
    glia_vectors *vectors = NULL;
    if (model &&
        glia_training_run(&glia_method_word2vec, settings.bytes, model, NULL, how, error) == GLIA_OK)
        vectors = glia_vectors_from_model(model, error);
    glia_model_free(model);
    free(settings.bytes);
    return vectors;
}
