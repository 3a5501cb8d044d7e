/* node2vec_method.c - the method "node2vec": vectors of nodes of a graph (Grover and Leskovec 2016; with p = q = 1
 * DeepWalk, Perozzi et al. 2014).
 *
 * Random walks are the sentences of a text whose words are the numbers of nodes; all else is the method "word2vec":
 *
 *     graph ──► walks ──► text ──► word2vec ──► "vectors"
 *
 * The walks are made anew from graph and seed when a training is resumed.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families/words/word2vec_method.h"
#include "glia/graphs.h"

typedef struct node2vec {
    glia_word2vec words; /* first */
    int64_t walks, length, communities;
    double p, q;
    glia_text text;
    glia_text_source source;
} node2vec;

#define OF_WORDS(field_) offsetof(node2vec, words) + offsetof(glia_word2vec, field_)

static const glia_setting settings[] = {
    { "walks", GLIA_SETTING_INT, offsetof(node2vec, walks), 10, 1, 1e6, NULL, "walks from each node" },
    { "length", GLIA_SETTING_INT, offsetof(node2vec, length), 80, 2, 1e6, NULL, "nodes of a walk" },
    { "p", GLIA_SETTING_REAL, offsetof(node2vec, p), 1, 1e-6, 1e6, NULL, "larger: walks turn back less often" },
    { "q", GLIA_SETTING_REAL, offsetof(node2vec, q), 1, 1e-6, 1e6, NULL,
      "larger: walks stay nearer to where they came from" },
    { "size", GLIA_SETTING_INT, OF_WORDS(size), 128, 1, 1 << 20, NULL, "numbers in a vector" },
    { "window", GLIA_SETTING_INT, OF_WORDS(window), 10, 1, 1000, NULL, "nodes before and after one, at most" },
    { "negative", GLIA_SETTING_INT, OF_WORDS(negative), -1, -1, 10000, NULL,
      "negative samples; -1: 5, or none with hierarchical_softmax" },
    { "hierarchical_softmax", GLIA_SETTING_SWITCH, OF_WORDS(hierarchical), 0, 0, 0, NULL,
      "predict a node by its path in a Huffman tree, as DeepWalk does" },
    { "threads", GLIA_SETTING_INT, OF_WORDS(threads), 1, -1, 4096, NULL,
      "threads that update the same vectors without locks; more than 1 is not reproducible; -1: one per core" },
    { "shown", GLIA_SETTING_INT, OF_WORDS(shown), 12, 1, 1000, NULL,
      "nodes whose neighbours are shown after each epoch" },
    { "communities", GLIA_SETTING_INT, offsetof(node2vec, communities), 0, 0, 1e6, NULL,
      "groups of nodes by their vectors that `glia eval` makes; 0: as many as there are classes, or 8" },
};

/* ---- training ----------------------------------------------------------------------------------- */

/* The walks as lines of numbers. */
static glia_status write_walks(glia_training *t, glia_error *error) {
    node2vec *m = t->memory;
    const glia_graph_data *d = t->opts.graphs;
    const int64_t nodes = glia_graph_data_nodes(d), n = m->walks * nodes;
    if (n > INT64_MAX / 8 / m->length) return glia_fail(error, GLIA_E_ARGUMENT, "node2vec: too many walks");
    int32_t *walks = malloc((size_t)(n * m->length) * sizeof *walks);
    if (!walks) return glia_fail_nomem(error);
    const glia_walk_opts how = { .walks = m->walks, .length = m->length, .p = m->p, .q = m->q, .seed = t->opts.seed };
    const glia_status status = glia_graph_walks(d, how, walks, error);
    for (int64_t i = 0; status == GLIA_OK && i < n * m->length; i++) {
        char word[16];
        size_t at = sizeof word;
        word[--at] = (i + 1) % m->length ? ' ' : '\n';
        for (int32_t v = walks[i]; v > 0 || at == sizeof word - 1; v /= 10) word[--at] = (char)('0' + v % 10);
        if (walks[i] >= 0)
            glia_text_append(&m->text, word + at, sizeof word - at);
        else if ((i + 1) % m->length == 0)
            glia_text_append(&m->text, "\n", 1);
    }
    free(walks);
    return status == GLIA_OK && m->text.failed ? glia_fail_nomem(error) : status;
}

static glia_status begin(glia_training *t, glia_error *error) {
    node2vec *m = t->memory;
    if (glia_graph_data_graphs(t->opts.graphs) != 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "the method node2vec needs one graph, and '%.64s' are %lld",
                         glia_graph_data_name(t->opts.graphs), (long long)glia_graph_data_graphs(t->opts.graphs));
    m->words.architecture = GLIA_WORDS_SKIP_GRAM;
    m->words.min_count = 1;
    glia_status status = write_walks(t, error);
    if (status != GLIA_OK) return status;
    m->source = (glia_text_source){ .text = m->text.bytes, .length = m->text.length };
    t->opts.text = &m->source;
    return glia_word2vec_begin(t, error);
}

static void end(glia_training *t) {
    node2vec *m = t->memory;
    glia_word2vec_end(t);
    free(m->text.bytes);
}

/* ---- vectors of nodes ---------------------------------------------------------------------------- */

glia_vectors *glia_node_vectors(const glia_model *model, int64_t nodes, glia_error *error) {
    glia_vectors *words = glia_vectors_from_model(model, error);
    if (!words) return NULL;
    const int64_t size = glia_vectors_size(words);
    glia_vectors *vectors = NULL;
    float *values = malloc((size_t)(nodes * size) * sizeof *values + 1);
    char(*texts)[16] = malloc((size_t)nodes * sizeof *texts + 1);
    const char **names = malloc((size_t)nodes * sizeof *names + 1);
    int64_t missing = nodes;
    if (values && texts && names) {
        for (int64_t v = 0; v < nodes; v++) {
            snprintf(texts[v], sizeof texts[v], "%d", (int)v);
            names[v] = texts[v];
        }
        missing -= glia_vectors_fill(words, names, nodes, values);
        if (!missing && nodes == glia_vectors_words(words))
            vectors = glia_vectors_create(names, values, NULL, nodes, size, error);
        else
            glia_fail(error, GLIA_E_ARGUMENT, "the model has vectors of %lld nodes, not of these %lld",
                      (long long)glia_vectors_words(words), (long long)nodes);
    } else {
        glia_fail_nomem(error);
    }
    free(values);
    free(texts);
    free(names);
    glia_vectors_free(words);
    return vectors;
}

/* ---- classes of nodes by logistic regression ------------------------------------------------------- */

typedef struct reading {
    const glia_assess_opts *opts;
    int64_t nodes, size;
    int classes;
    const int32_t *labels;
    const uint8_t *split;
    float *x;                /* (nodes, size): vectors, each column with mean 0 and deviation 1 */
    float *known_x, *logits; /* those of the nodes to learn from; (nodes, classes) */
    int32_t *known_y;
    int64_t known;
    double best[3], penalty; /* accuracies by part, with the penalty that is best in the validation part */
} reading;

static bool is_known(const reading *r, int64_t v) {
    return (!r->split || r->split[v] == GLIA_PART_TRAIN) && r->labels[v] >= 0;
}

static void standardise(const reading *r) {
    for (int64_t k = 0; k < r->size; k++) {
        double mean = 0, square = 0;
        for (int64_t v = 0; v < r->nodes; v++) mean += (double)r->x[v * r->size + k] / (double)r->nodes;
        for (int64_t v = 0; v < r->nodes; v++) {
            const double off = (double)r->x[v * r->size + k] - mean;
            square += off * off / (double)r->nodes;
        }
        for (int64_t v = 0; v < r->nodes; v++) {
            float *x = &r->x[v * r->size + k];
            *x = square > 0 ? (float)(((double)*x - mean) / sqrt(square)) : 0;
        }
    }
}

/* Shares of right answers by part; NaN: the part has no nodes. */
static void count_right(const reading *r, double accuracy[3]) {
    int64_t right[3] = { 0 }, n[3] = { 0 };
    for (int64_t v = 0; v < r->nodes; v++) {
        const float *row = r->logits + v * r->classes;
        const int part = r->split ? r->split[v] : GLIA_PART_TRAIN;
        int best = 0;
        if (part > GLIA_PART_TEST || r->labels[v] < 0) continue;
        for (int c = 1; c < r->classes; c++) best = row[c] > row[best] ? c : best;
        right[part] += best == r->labels[v];
        n[part]++;
    }
    for (int p = 0; p < 3; p++) accuracy[p] = n[p] ? (double)right[p] / (double)n[p] : NAN;
}

static glia_status fit_classes(const reading *r, glia_model *model, const glia_dataset *data, double penalty,
                               glia_error *error) {
    const glia_assess_opts *o = r->opts;
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(r->size));
    const glia_init zeros = { .kind = GLIA_INIT_ZEROS };
    glia_model_output(model, "logits",
                      glia_dense(x, "dense", (glia_dense_opts){ .units = r->classes, .kernel_init = zeros }));
    const glia_fit_opts how = { .epochs = 200,
                                .batch = r->known,
                                .loss = GLIA_CROSS_ENTROPY,
                                .optimizer = { .kind = GLIA_ADAM, .lr = 0.02, .l2 = penalty },
                                .schedule = { .kind = GLIA_LR_COSINE },
                                .backend = o->backend,
                                .threads = o->threads };
    const glia_status status = glia_fit(model, data, how, error);
    return status == GLIA_OK ? glia_predict(model, r->x, r->nodes, r->logits, o->backend, error) : status;
}

/* The best of some penalties in the validation part, or in that to learn from. */
static glia_status read_classes(reading *r, glia_error *error) {
    static const double penalties[] = { 1, 0.3, 0.1, 0.03, 0.01 };
    glia_error reason = { 0 };
    glia_dataset *data = glia_data_arrays((glia_arrays){ .n = r->known,
                                                         .x = r->known_x,
                                                         .x_shape = GLIA_SHAPE(r->size),
                                                         .y = r->known_y,
                                                         .y_dtype = GLIA_I32,
                                                         .classes = r->classes,
                                                         .borrow = true },
                                          &reason);
    if (!data) return glia_fail(error, reason.status, "%s", reason.message);
    glia_status status = GLIA_OK;
    double most = -1;
    for (int i = 0; status == GLIA_OK && i < GLIA_COUNT(penalties); i++) {
        double accuracy[3];
        glia_model *model = glia_model_create("classes", error);
        status = model ? fit_classes(r, model, data, penalties[i], error) : GLIA_E_NOMEM;
        glia_model_free(model);
        if (status != GLIA_OK) break;
        count_right(r, accuracy);
        const double here = isnan(accuracy[1]) ? accuracy[0] : accuracy[1];
        if (here <= most) continue;
        most = here;
        memcpy(r->best, accuracy, sizeof accuracy);
        r->penalty = penalties[i];
    }
    glia_data_free(data);
    return status;
}

static glia_status assess_classes(reading *r, const glia_vectors *vectors, glia_assessment *out, glia_error *error) {
    for (int64_t v = 0; v < r->nodes; v++) r->known += is_known(r, v);
    if (!r->known || r->classes < 2) return GLIA_OK;
    const size_t width = (size_t)r->size * sizeof(float);
    r->x = malloc((size_t)r->nodes * width);
    r->known_x = malloc((size_t)r->known * width);
    r->known_y = malloc((size_t)r->known * sizeof *r->known_y);
    r->logits = malloc((size_t)r->nodes * (size_t)r->classes * sizeof *r->logits);
    glia_status status = r->x && r->known_x && r->known_y && r->logits ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        memcpy(r->x, glia_vectors_at(vectors, 0), (size_t)r->nodes * width);
        standardise(r);
        for (int64_t v = 0, at = 0; v < r->nodes; v++) {
            if (!is_known(r, v)) continue;
            memcpy(r->known_x + at * r->size, r->x + v * r->size, width);
            r->known_y[at++] = r->labels[v];
        }
        status = read_classes(r, error);
    }
    static const char *const names[] = { "train_accuracy", "val_accuracy", "test_accuracy" };
    for (int p = 2; status == GLIA_OK && p >= 0; p--) {
        if (!isnan(r->best[p])) glia_assessment_add(out, names[p], r->best[p]);
    }
    free(r->x);
    free(r->known_x);
    free(r->known_y);
    free(r->logits);
    return status;
}

/* ---- communities --------------------------------------------------------------------------------- */

static glia_status assess_communities(const node2vec *m, const glia_graph_data *d, const glia_vectors *vectors,
                                      const int32_t *labels, int classes, glia_assessment *out, glia_error *error) {
    const int64_t nodes = glia_graph_data_nodes(d), wanted = m->communities ? m->communities : classes ? classes : 8;
    int32_t *groups = malloc((size_t)nodes * sizeof *groups);
    if (!groups) return glia_fail_nomem(error);
    double modularity, information = 0;
    glia_status status = glia_vectors_groups(vectors, (int)GLIA_MIN(wanted, nodes), groups, error);
    if (status == GLIA_OK) status = glia_graph_modularity(d, groups, &modularity, error);
    if (status == GLIA_OK) glia_assessment_add(out, "modularity", modularity);
    if (status == GLIA_OK && labels)
        status = glia_normalized_mutual_information(groups, labels, nodes, &information, error);
    if (status == GLIA_OK && labels) glia_assessment_add(out, "nmi", information);
    free(groups);
    return status;
}

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    const glia_graph_data *d = opts->graphs;
    glia_array label, split;
    glia_error reason = { 0 };
    glia_vectors *vectors = glia_node_vectors(model, glia_graph_data_nodes(d), &reason);
    if (!vectors) return glia_fail(error, reason.status, "%s", reason.message);
    const bool labelled = glia_graph_data_find(d, GLIA_OF_NODES, "label", &label) && label.dtype == GLIA_I32;
    const bool parted = glia_graph_data_find(d, GLIA_OF_NODES, "split", &split) && split.dtype == GLIA_U8;
    reading r = { .opts = opts,
                  .nodes = glia_graph_data_nodes(d),
                  .size = glia_vectors_size(vectors),
                  .classes = glia_graph_data_classes(d, GLIA_OF_NODES),
                  .labels = labelled ? label.data : NULL,
                  .split = parted ? split.data : NULL };
    glia_status status = labelled ? assess_classes(&r, vectors, out, error) : GLIA_OK;
    if (status == GLIA_OK) status = assess_communities(memory, d, vectors, r.labels, r.classes, out, error);
    if (r.penalty > 0) {
        char number[GLIA_NUMBER_TEXT];
        snprintf(out->note, sizeof out->note, "classes by logistic regression on the vectors, penalty %s",
                 glia_number_print(r.penalty, number));
    }
    glia_vectors_free(vectors);
    return status;
}

const glia_method glia_method_node2vec = {
    .about = { .name = "node2vec",
               .summary = "vectors of the nodes of a graph, from random walks",
               .paper = "Grover and Leskovec 2016",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_GRAPHS | GLIA_USES_OPTIMIZER,
               .ranked = true,
               .assesses = true },
    .bytes = sizeof(node2vec),
    .begin = begin,
    .step = glia_word2vec_step,
    .show = glia_word2vec_show,
    .arrays = glia_word2vec_arrays,
    .restore = glia_word2vec_restore,
    .end = end,
    .assess = assess,
};
