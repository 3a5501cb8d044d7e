/* test_graph_methods.c - the methods "nodes" and "graphs": what they learn, bits, kill and resume, mistakes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "asserts.h"
#include "base/base.h"
#include "data/graphs/graph_data.h"
#include "glia/glia.h"
#include "models.h"

static glia_error error;
static const char path[] = "graphs.checkpoint", previous[] = "graphs.checkpoint.previous";

/* ---- data -------------------------------------------------------------------------------------------- */

enum { PEOPLE = 60, FRIENDS = 240, NUMBERS = 6, GRAPHS = 40 };

/* Two groups; friends are mostly within a group; features say a little about the group. */
static glia_graph_data *two_groups(void) {
    static int32_t from[FRIENDS], to[FRIENDS], labels[PEOPLE];
    static float x[PEOPLE * NUMBERS];
    glia_rng rng = { .seed = 7 };
    for (int i = 0; i < FRIENDS; i++) {
        from[i] = (int32_t)glia_rng_below(&rng, PEOPLE);
        to[i] = (int32_t)glia_rng_below(&rng, PEOPLE);
        if (glia_rng_uniform(&rng) < 0.85) to[i] = to[i] / 2 * 2 + from[i] % 2;
        to[i] %= PEOPLE;
    }
    for (int i = 0; i < PEOPLE; i++) {
        labels[i] = i % 2;
        for (int k = 0; k < NUMBERS; k++)
            x[i * NUMBERS + k] = (float)glia_rng_uniform(&rng) + (k % 2 == labels[i] ? 0.2F : 0);
    }
    glia_graph_data *d = glia_graph_data_create("groups",
                                                (glia_graph_edges){ .nodes = PEOPLE,
                                                                    .edges = FRIENDS,
                                                                    .from = from,
                                                                    .to = to,
                                                                    .undirected = true,
                                                                    .self = GLIA_EDGES_DROP,
                                                                    .repeated = GLIA_EDGES_DROP },
                                                &error);
    assert_non_null(d);
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_NODES, "label", GLIA_I32, GLIA_SCALAR, labels, &error), GLIA_OK);
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_NODES, "x", GLIA_F32, GLIA_SHAPE(NUMBERS), x, &error), GLIA_OK);
    assert_int_equal(glia_graph_split_by_class(d, GLIA_OF_NODES, 5, 5, 1, &error), GLIA_OK);
    return d;
}

/* Rings (class 0) and paths (class 1) of 3 to 8 carbon atoms; the target is their number. */
static glia_graph_data *rings_and_paths(void) {
    char texts[GRAPHS][16];
    const char *list[GRAPHS];
    int32_t labels[GRAPHS];
    float targets[GRAPHS];
    for (int i = 0; i < GRAPHS; i++) {
        const int n = 3 + i / 2 % 6;
        labels[i] = i % 2;
        targets[i] = (float)n;
        memset(texts[i], 'C', sizeof texts[i]);
        strcpy(texts[i] + n, "");
        if (i % 2 == 0) { /* C1CCC1 */
            memmove(texts[i] + 2, texts[i] + 1, (size_t)n);
            texts[i][1] = '1';
            strcat(texts[i], "1");
        }
        list[i] = texts[i];
    }
    glia_graph_data *d = glia_graph_data_smiles(list, GRAPHS, &error);
    if (!d) fail_msg("%s", error.message);
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_GRAPHS, "label", GLIA_I32, GLIA_SCALAR, labels, &error), GLIA_OK);
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_GRAPHS, "target", GLIA_F32, GLIA_SHAPE(1), targets, &error),
                     GLIA_OK);
    assert_int_equal(glia_graph_split_randomly(d, GLIA_OF_GRAPHS, 0.2, 0.2, 3, &error), GLIA_OK);
    return d;
}

/* ---- models ------------------------------------------------------------------------------------------ */

static glia_model *node_model(const glia_graph_data *d) {
    glia_model *model = glia_model_create("gcn", &error);
    glia_tensor x;
    glia_node_opts o = glia_model_nodes(model, glia_graph_data_sizes(d), 8, &x);
    glia_edges e = glia_model_edges(model, GLIA_EDGES_SYMMETRIC, true);
    glia_tensor h = glia_dropout(glia_relu(glia_gcn(x, e, "conv1", o)), 0.3);
    glia_model_output(model, "answer", glia_gcn(h, e, "conv2", (glia_node_opts){ .units = 2 }));
    return model;
}

static glia_model *graph_model(const glia_graph_data *d) {
    glia_model *model = glia_model_create("gin", &error);
    glia_tensor x;
    glia_model_nodes(model, glia_graph_data_sizes(d), 8, &x);
    glia_edges e = glia_model_edges(model, GLIA_EDGES_PLAIN, false);
    glia_tensor starts = glia_model_starts(model);
    glia_tensor h = glia_dense(glia_gin_sum(x, e, "gin", true), "dense", (glia_dense_opts){ .units = 8 });
    h = glia_relu(glia_graph_norm(h, starts, "norm"));
    glia_tensor both[] = { glia_read_out(h, starts, GLIA_READ_SUM, NULL),
                           glia_read_out(x, starts, GLIA_READ_MAX, NULL) };
    glia_model_output(model, "answer", glia_dense(glia_concat(both, 2, 1), "out", (glia_dense_opts){ .units = 2 }));
    return model;
}

/* Vectors of nodes, drawn in training. */
static glia_model *link_model(const glia_graph_data *d) {
    glia_model *model = glia_model_create("vgae", &error);
    glia_tensor x;
    glia_node_opts o = glia_model_nodes(model, glia_graph_data_sizes(d), 8, &x);
    glia_edges e = glia_model_edges(model, GLIA_EDGES_SYMMETRIC, true);
    glia_tensor h = glia_relu(glia_gcn(x, e, "conv1", o));
    glia_model_output(model, "vector", glia_gcn(h, e, "mean", (glia_node_opts){ .units = 4 }));
    glia_model_output(model, "log_deviation", glia_gcn(h, e, "deviation", (glia_node_opts){ .units = 4 }));
    return model;
}

/* 20 users, 30 items; a user likes items whose number has the same rest by 3. */
static glia_graph_data *likes(void) {
    static int32_t from[300], to[300], kinds[50];
    int n = 0;
    for (int user = 0; user < 20; user++)
        for (int item = user % 3; item < 30; item += 3) from[n] = user, to[n++] = 20 + item;
    for (int i = 20; i < 50; i++) kinds[i] = 1;
    glia_graph_data *d = glia_graph_data_create(
        "likes", (glia_graph_edges){ .nodes = 50, .edges = n, .from = from, .to = to, .undirected = true }, &error);
    assert_int_equal(glia_graph_data_add(d, GLIA_OF_NODES, "kind", GLIA_I32, GLIA_SCALAR, kinds, &error), GLIA_OK);
    return d;
}

static glia_model *taste_model(const glia_graph_data *d) {
    glia_model *model = glia_model_create("lightgcn", &error);
    glia_graph *g = glia_model_graph(model);
    const glia_init init = { .kind = GLIA_INIT_NORMAL, .stddev = 0.1 };
    glia_tensor table = glia_parameter(g, "table", GLIA_F32, GLIA_SHAPE(glia_graph_data_nodes(d), 8), init);
    glia_tensor x = glia_gather(table, glia_iota(g, GLIA_I32, GLIA_SHAPE(GLIA_NODES), 0), 0);
    glia_model_output(model, "vector", glia_lightgcn(x, glia_model_edges(model, GLIA_EDGES_SYMMETRIC, false), 2));
    return model;
}

typedef struct how {
    const char *method, *settings;
    glia_graph_data *(*data)(void);
    glia_model *(*model)(const glia_graph_data *data);
    int64_t epochs, steps; /* of an epoch */
} how;
static const how hows[] = {
    { "nodes", NULL, two_groups, node_model, 60, 1 },
    { "nodes", "features=rows", two_groups, node_model, 60, 1 },
    { "graphs", NULL, rings_and_paths, graph_model, 30, 4 },
    { "links", NULL, two_groups, link_model, 60, 1 },
    { "links", "others=0 loops=true", two_groups, link_model, 60, 1 },
    { "recommend", NULL, likes, taste_model, 5, 21 },
};
enum { ANSWERING = 3 }; /* the first ones give classes */

static glia_status stop_at(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    return p->done == *(int64_t *)context ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status train(const how *h, glia_model *model, const glia_graph_data *d, int threads, bool checkpoints,
                         int64_t stop) {
    glia_callback c[2];
    int n = 0;
    if (checkpoints) {
        const glia_backup_and_restore_opts every = { .path = path, .save_freq = 5 };
        c[n++] = glia_backup_and_restore(every);
        c[n++] = (glia_callback){ .step_end = stop_at, .context = &stop };
    }
    const unsigned uses = glia_method_find(h->method)->uses;
    const glia_fit_opts o = { .epochs = h->epochs,
                              .batch = uses & GLIA_USES_BATCH ? 7 : 0,
                              .graphs = d,
                              .optimizer = { .kind = GLIA_ADAM, .lr = 0.02 },
                              .seed = 5,
                              .threads = threads,
                              .callbacks = c,
                              .n_callbacks = n };
    return glia_train(model, NULL, h->method, h->settings, o, &error);
}

static glia_model *trained(const how *h, int threads) {
    glia_graph_data *d = h->data();
    glia_model *model = h->model(d);
    if (train(h, model, d, threads, false, 0) != GLIA_OK) fail_msg("%s: %s", h->method, error.message);
    glia_graph_data_free(d);
    return model;
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    for (int i = 0; i < GLIA_COUNT(hows); i++) {
        glia_model *one = trained(&hows[i], 1);
        for (int threads = 2; threads <= 8; threads = threads == 3 ? 8 : threads + 1) {
            glia_model *more = trained(&hows[i], threads);
            assert_same_model(one, more);
            glia_model_free(more);
        }
        glia_model_free(one);
    }
}

static void resumed_training_equals_uninterrupted(void **state) {
    (void)state;
    for (int i = 0; i < GLIA_COUNT(hows); i++) {
        glia_model *whole = trained(&hows[i], 1);
        for (int64_t stop = 6; stop < hows[i].epochs * hows[i].steps; stop += 31) {
            unlink(path);
            unlink(previous);
            glia_graph_data *d = hows[i].data();
            glia_model *model = hows[i].model(d);
            assert_int_equal(train(&hows[i], model, d, 1, true, stop), GLIA_E_INTERRUPTED);
            glia_model_free(model);
            model = hows[i].model(d);
            if (train(&hows[i], model, d, 1, true, 0) != GLIA_OK) fail_msg("%s", error.message);
            assert_same_model(whole, model);
            glia_model_free(model);
            glia_graph_data_free(d);
        }
        glia_model_free(whole);
    }
}

static double figure(const glia_assessment *a, const char *name) {
    for (int i = 0; i < a->n; i++) {
        if (strcmp(a->values[i].name, name) == 0) return a->values[i].value;
    }
    fail_msg("there is no %s", name);
    return NAN;
}

static void they_learn_and_are_assessed(void **state) {
    (void)state;
    for (int i = 0; i < ANSWERING; i++) {
        glia_graph_data *d = hows[i].data();
        glia_model *model = trained(&hows[i], 1);
        glia_assessment a;
        if (glia_assess(model, (glia_assess_opts){ .graphs = d }, &a, &error) != GLIA_OK) fail_msg("%s", error.message);
        assert_true(figure(&a, "test_accuracy") >= 0.8);
        assert_true(figure(&a, "val_auc") >= 0.8);
        const int64_t rows = i < 2 ? PEOPLE : GRAPHS;
        float answers[2][2 * PEOPLE];
        int64_t columns;
        assert_int_equal(
            glia_graph_predict(model, d, (glia_graph_predict_opts){ 0 }, answers[0], 2 * rows, &columns, &error),
            GLIA_OK);
        assert_int_equal(columns, 2);
        assert_int_equal(glia_model_save(model, "graphs.safetensors", &error), GLIA_OK);
        glia_model_free(model);
        model = glia_model_load("graphs.safetensors", &error);
        assert_non_null(model);
        assert_int_equal(glia_graph_predict(model, d, (glia_graph_predict_opts){ .threads = 2 }, answers[1], 2 * rows,
                                            &columns, &error),
                         GLIA_OK);
        assert_memory_equal(answers[0], answers[1], (size_t)(2 * rows) * sizeof(float));
        assert_int_equal(
            glia_graph_predict(model, d, (glia_graph_predict_opts){ 0 }, answers[0], 2 * rows - 1, &columns, &error),
            GLIA_E_ARGUMENT);
        glia_model_free(model);
        glia_graph_data_free(d);
    }
}

static void vectors_predict_links_and_likes(void **state) {
    (void)state;
    for (int i = ANSWERING; i < GLIA_COUNT(hows); i++) {
        glia_graph_data *d = hows[i].data();
        glia_model *model = trained(&hows[i], 1);
        glia_assessment a;
        if (glia_assess(model, (glia_assess_opts){ .graphs = d }, &a, &error) != GLIA_OK) fail_msg("%s", error.message);
        if (strcmp(hows[i].method, "links") == 0)
            assert_true(figure(&a, "test_auc") > 0.6);
        else
            assert_true(figure(&a, "test_ndcg") > 0.9 && figure(&a, "popular_ndcg") < 0.6);
        glia_model_free(model);
        glia_graph_data_free(d);
    }
}

static glia_status keep_loss(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    if (p->done == 1) *(double *)context = p->loss;
    return GLIA_OK;
}

/* Kipf and Welling's weighted cross-entropy of all pairs of nodes, edges against the rest. */
static void all_pairs_are_weighed_as_the_authors_do(void **state) {
    (void)state;
    glia_graph_data *d = two_groups();
    glia_model *model = glia_model_create("gae", &error);
    glia_tensor x;
    glia_model_nodes(model, glia_graph_data_sizes(d), 8, &x);
    glia_edges e = glia_model_edges(model, GLIA_EDGES_SYMMETRIC, true);
    glia_model_output(model, "vector", glia_gcn(x, e, "mean", (glia_node_opts){ .units = 3 }));
    assert_int_equal(glia_model_init(model, 1, &error), GLIA_OK);
    float z[PEOPLE * 3];
    int64_t width;
    assert_int_equal(glia_graph_predict(model, d, (glia_graph_predict_opts){ 0 }, z, PEOPLE * 3, &width, &error),
                     GLIA_OK);
    bool linked[PEOPLE][PEOPLE] = { { false } };
    for (int i = 0; i < PEOPLE; i++) {
        for (int32_t k = d->offsets[i]; k < d->offsets[i + 1]; k++) linked[i][d->sources[k]] = true;
    }
    double loss = 0, first;
    const double edges = (double)d->edges;
    for (int i = 0; i < PEOPLE; i++) {
        for (int k = 0; k < PEOPLE; k++) {
            double dot = 0;
            for (int c = 0; c < 3; c++) dot += (double)z[3 * i + c] * (double)z[3 * k + c];
            if (linked[i][k] || i == k)
                loss += log1p(exp(-dot)) / (2 * edges);
            else
                loss += log1p(exp(dot)) / (2 * (PEOPLE * PEOPLE - edges));
        }
    }
    const glia_callback keep = { .step_end = keep_loss, .context = &first };
    const glia_fit_opts o = {
        .epochs = 1, .graphs = d, .optimizer = { .kind = GLIA_ADAM }, .callbacks = &keep, .n_callbacks = 1
    };
    if (glia_train(model, NULL, "links", "others=0 loops=true validation=0 test=0", o, &error) != GLIA_OK)
        fail_msg("%s", error.message);
    ASSERT_NEAR(first, loss, 1e-5);
    glia_model_free(model);
    glia_graph_data_free(d);
}

/* By hand: edges 5, 3, 3 against 4, 3, 1: of 9 pairs 3 + 1.5 + 1.5 are right. */
static void rankings_have_closed_forms(void **state) {
    (void)state;
    glia_ranking r;
    assert_int_equal(glia_rank_links((float[]){ 5, 3, 3 }, 3, (float[]){ 4, 3, 1 }, 3, &r, &error), GLIA_OK);
    ASSERT_NEAR(r.auc, 6.0 / 9, 1e-12);
    ASSERT_NEAR(r.ap, (1 + 2 * 3.0 / 5) / 3, 1e-12); /* scikit-learn's average_precision_score */
    ASSERT_NEAR(r.mrr, (1 + 0.5 + 0.5) / 3, 1e-12);
    ASSERT_NEAR(r.hits10, 1, 1e-12); /* all are above the worst of the others */
    assert_int_equal(glia_rank_links((float[]){ 1 }, 1, (float[]){ 1 }, 0, &r, &error), GLIA_E_ARGUMENT);
    glia_recommended sum = { 0 };
    const float scores[] = { 9, 8, 7, 6, 5 };
    glia_rank_items(scores, (uint8_t[]){ 0, 1, 0, 1, 1 }, (uint8_t[]){ 1, 0, 0, 0, 0 }, 5, 3, &sum);
    ASSERT_NEAR(sum.precision, 2.0 / 3, 1e-12); /* 1 and 3 of 1, 2, 3 */
    ASSERT_NEAR(sum.recall, 2.0 / 3, 1e-12);
    ASSERT_NEAR(sum.ndcg, (1 + 0.5) / (1 + 1 / log2(3) + 0.5), 1e-12);
    ASSERT_NEAR(sum.map, (1 + 2.0 / 3) / 3, 1e-12);
    glia_rank_items(scores, (uint8_t[]){ 0, 0, 0, 0, 0 }, (uint8_t[]){ 0, 0, 0, 0, 0 }, 5, 3, &sum);
    assert_int_equal(sum.users, 1);
}

/* ---- vectors by walks ------------------------------------------------------------------------------------ */

static glia_status walk(glia_model *model, const glia_graph_data *d, glia_optimizer_kind kind, int64_t stop) {
    glia_callback c[] = { glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 1 }),
                          { .step_end = stop_at, .context = &stop } };
    const glia_fit_opts o = { .epochs = 2,
                              .graphs = d,
                              .optimizer = { .kind = kind, .lr = 0.05 },
                              .schedule = { .kind = GLIA_LR_LINEAR },
                              .seed = 2,
                              .callbacks = c,
                              .n_callbacks = 2 };
    return glia_train(model, NULL, "node2vec", "walks=8 length=60 size=16 window=3 q=2", o, &error);
}

/* 60 nodes, 8 walks of 60: 28,800 words, 3 steps an epoch. */
static void walks_give_vectors_of_nodes(void **state) {
    (void)state;
    glia_graph_data *d = two_groups();
    glia_model *whole = glia_model_create("walks", &error), *model = glia_model_create("walks", &error);
    unlink(path);
    if (walk(whole, d, GLIA_SGD, 0) != GLIA_OK) fail_msg("%s", error.message);
    unlink(path);
    assert_int_equal(walk(model, d, GLIA_SGD, 4), GLIA_E_INTERRUPTED);
    glia_model_free(model);
    model = glia_model_create("walks", &error);
    assert_int_equal(walk(model, d, GLIA_SGD, 0), GLIA_OK);
    assert_same_model(whole, model);
    glia_assessment a;
    if (glia_assess(model, (glia_assess_opts){ .graphs = d }, &a, &error) != GLIA_OK) fail_msg("%s", error.message);
    assert_true(figure(&a, "test_accuracy") >= 0.9 && figure(&a, "nmi") > 0.6 && figure(&a, "modularity") > 0.3);
    glia_vectors *vectors = glia_node_vectors(model, PEOPLE, &error);
    assert_non_null(vectors);
    assert_int_equal(glia_vectors_size(vectors), 16);
    assert_string_equal(glia_vectors_word(vectors, 17), "17");
    glia_vectors_free(vectors);
    assert_null(glia_node_vectors(model, PEOPLE - 1, &error));
    ASSERT_SAYS("the model has vectors of 60 nodes, not of these 59");
    unlink(path);
    assert_int_equal(walk(model, d, GLIA_ADAM, 0), GLIA_E_ARGUMENT);
    glia_graph_data *many = rings_and_paths();
    assert_int_equal(walk(model, many, GLIA_SGD, 0), GLIA_E_ARGUMENT);
    ASSERT_SAYS("needs one graph");
    glia_model_free(whole);
    glia_model_free(model);
    glia_graph_data_free(d);
    glia_graph_data_free(many);
}

/* ---- scales, layers ---------------------------------------------------------------------------------------- */

/* Without a step of training the answers of zeros are the mean of the targets to learn from. */
static void answers_have_the_scale_of_the_targets(void **state) {
    (void)state;
    const float targets[] = { 1, 3, 100, NAN };
    const uint8_t split[] = { GLIA_PART_TRAIN, GLIA_PART_TRAIN, GLIA_PART_TEST, GLIA_PART_TRAIN };
    const char *const texts[] = { "C", "CC", "CCC", "CCCC" };
    glia_graph_data *d = glia_graph_data_smiles(texts, 4, &error);
    glia_graph_data_add(d, GLIA_OF_GRAPHS, "target", GLIA_F32, GLIA_SHAPE(1), targets, &error);
    glia_graph_data_add(d, GLIA_OF_GRAPHS, "split", GLIA_U8, GLIA_SCALAR, split, &error);
    glia_model *model = glia_model_create("zeros", &error);
    glia_tensor x;
    glia_model_nodes(model, glia_graph_data_sizes(d), 1, &x);
    const glia_dense_opts zero = { .units = 1, .kernel_init = { .kind = GLIA_INIT_ZEROS } };
    glia_tensor y = glia_dense(glia_read_out(x, glia_model_starts(model), GLIA_READ_SUM, NULL), "out", zero);
    glia_model_output(model, "answer", glia_model_scale(model, y));
    const glia_fit_opts o = { .graphs = d, .optimizer = { .kind = GLIA_SGD, .lr = 1e-30 } };
    if (glia_train(model, NULL, "graphs", NULL, o, &error) != GLIA_OK) fail_msg("%s", error.message);
    float answers[4];
    int64_t columns;
    assert_int_equal(glia_graph_predict(model, d, (glia_graph_predict_opts){ 0 }, answers, 4, &columns, &error),
                     GLIA_OK);
    for (int i = 0; i < 4; i++) ASSERT_NEAR(answers[i], 2, 1e-6);
    glia_model_free(model);
    glia_graph_data_free(d);
}

static glia_tensor sage_or_gcn(glia_tensor x, glia_edges e, int layer, void *context) {
    const bool *gcn = context;
    char name[16];
    snprintf(name, sizeof name, "layer%d", layer);
    const glia_node_opts o = { .units = layer == 1 ? 2 : 5 };
    glia_tensor y = *gcn ? glia_gcn(x, e, name, o) : glia_sage(x, e, name, (glia_sage_opts){ .node = o });
    return layer == 1 ? y : glia_relu(y);
}

/* Layer by layer in small batches as all at once. */
static void layers_one_by_one_give_what_the_net_gives(void **state) {
    (void)state;
    glia_graph_data *d = two_groups();
    for (int i = 0; i < 2; i++) {
        bool gcn = i == 1;
        const glia_edge_norm norm = gcn ? GLIA_EDGES_SYMMETRIC : GLIA_EDGES_PLAIN;
        glia_model *model = glia_model_create("net", &error);
        glia_tensor x;
        glia_model_nodes(model, glia_graph_data_sizes(d), 1, &x);
        glia_edges e = glia_model_edges(model, norm, false);
        glia_model_output(model, "answer", sage_or_gcn(sage_or_gcn(x, e, 0, &gcn), e, 1, &gcn));
        float whole[2 * PEOPLE], parts[2 * PEOPLE], again[2 * PEOPLE];
        int64_t columns;
        const glia_graph_predict_opts all = { 0 };
        if (glia_graph_predict(model, d, all, whole, 2 * PEOPLE, &columns, &error) != GLIA_OK)
            fail_msg("%s", error.message);
        glia_graph_layers layers = { .build = sage_or_gcn, .context = &gcn, .layers = 2, .norm = norm, .batch = 7 };
        glia_store *store = glia_model_store(model);
        for (layers.threads = 1; layers.threads <= 3; layers.threads += 2) {
            float *out = layers.threads == 1 ? parts : again;
            if (glia_graph_infer_layers(d, store, layers, out, 2, &error) != GLIA_OK) fail_msg("%s", error.message);
        }
        assert_memory_equal(parts, again, sizeof parts);
        for (int k = 0; k < 2 * PEOPLE; k++) ASSERT_NEAR(parts[k], whole[k], 1e-5);
        assert_int_equal(glia_graph_infer_layers(d, store, layers, parts, 3, &error), GLIA_E_SHAPE);
        ASSERT_SAYS("the last layer has 2 columns, not 3");
        layers.layers = 0;
        assert_int_equal(glia_graph_infer_layers(d, store, layers, parts, 2, &error), GLIA_E_ARGUMENT);
        glia_model_free(model);
    }
    glia_graph_data_free(d);
}

/* ---- mistakes ------------------------------------------------------------------------------------------ */

static void assert_fails(const char *method, glia_model *model, const glia_graph_data *d, const char *part) {
    const glia_fit_opts o = { .graphs = d, .optimizer = { .kind = GLIA_ADAM } };
    assert_int_not_equal(glia_train(model, NULL, method, NULL, o, &error), GLIA_OK);
    ASSERT_SAYS(part);
}

static void mistakes_are_named(void **state) {
    (void)state;
    glia_graph_data *groups = two_groups(), *molecules = rings_and_paths();
    glia_graph_data *bare = glia_graph_data_create(
        "bare", (glia_graph_edges){ .nodes = 2, .edges = 1, .from = (int32_t[]){ 0 }, .to = (int32_t[]){ 1 } }, &error);
    glia_model *nodes = node_model(groups), *graphs = graph_model(molecules);
    assert_fails("nodes", nodes, NULL, "training by nodes: needs graphs");
    assert_fails("nodes", nodes, molecules, "needs one graph, and 'smiles' are 40");
    assert_fails("nodes", graphs, groups, "whose first output is (V, K), not (N, 2)");
    assert_fails("graphs", nodes, groups, "whose first output is (N, K), not (V, 2)");
    assert_fails("nodes", nodes, bare, "'bare' have no array 'label' or 'target' of nodes");
    int32_t label[2] = { 0, 1 };
    assert_int_equal(glia_graph_data_add(bare, GLIA_OF_NODES, "label", GLIA_I32, GLIA_SCALAR, label, &error), GLIA_OK);
    assert_fails("nodes", nodes, bare, "have no array 'x' of nodes");
    float x[2] = { 0, 1 };
    assert_int_equal(glia_graph_data_add(bare, GLIA_OF_NODES, "x", GLIA_F32, GLIA_SHAPE(1), x, &error), GLIA_OK);
    assert_fails("nodes", nodes, bare, "takes 6 numbers 'x' for each of the nodes, the data have 1");
    glia_assessment a;
    assert_int_equal(glia_assess(nodes, (glia_assess_opts){ .graphs = groups }, &a, &error), GLIA_E_UNSUPPORTED);
    glia_model_free(nodes);
    glia_model_free(graphs);
    glia_graph_data_free(groups);
    glia_graph_data_free(molecules);
    glia_graph_data_free(bare);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(resumed_training_equals_uninterrupted),
        cmocka_unit_test(they_learn_and_are_assessed),
        cmocka_unit_test(vectors_predict_links_and_likes),
        cmocka_unit_test(all_pairs_are_weighed_as_the_authors_do),
        cmocka_unit_test(rankings_have_closed_forms),
        cmocka_unit_test(walks_give_vectors_of_nodes),
        cmocka_unit_test(answers_have_the_scale_of_the_targets),
        cmocka_unit_test(layers_one_by_one_give_what_the_net_gives),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
