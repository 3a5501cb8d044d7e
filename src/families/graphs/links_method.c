/* links_method.c - the method "links": graph auto-encoders (Kipf and Welling 2016, "Variational graph auto-encoders").
 *
 * Some edges are held out for validation and test, each with as many pairs that have no edge. The model sees the other
 * edges; a step is all of them against random pairs of nodes, or against all pairs without an edge, as in the authors'
 * code:
 *
 *     loss = 1/2 mean softplus(-a . b) over edges + 1/2 mean softplus(a . b) over the others [+ divergence / nodes]
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "data/graphs/graph_data.h"
#include "families/graphs/pairs.h"

enum { STREAM = 0x70616972 };

typedef struct links {
    int features; /* settings */
    double validation, test;
    int64_t split_seed, others;
    bool loops;
    glia_pairs pairs;
    glia_link_split split;
    int32_t *edges; /* (2, n): both ends of the undirected edges to learn from */
    int64_t n;
    int loss_mean, auc, ap;
} links;

static const glia_setting settings[] = {
    { "features", GLIA_SETTING_CHOICE, offsetof(links, features), 0, 0, 0, "plain|rows",
      "rows: the features of each node are divided by their sum, as bags of words are" },
    { "validation", GLIA_SETTING_REAL, offsetof(links, validation), 0.05, 0, 0.9, NULL,
      "share of the edges for validation" },
    { "test", GLIA_SETTING_REAL, offsetof(links, test), 0.1, 0, 0.9, NULL, "share of the edges for the test" },
    { "split_seed", GLIA_SETTING_INT, offsetof(links, split_seed), 0, 0, 1e15, NULL, "which edges these are" },
    { "others", GLIA_SETTING_INT, offsetof(links, others), 1, 0, 1000, NULL,
      "random pairs in a step for each edge; 0: all pairs without an edge, as in the authors' code" },
    { "loops", GLIA_SETTING_SWITCH, offsetof(links, loops), 0, 0, 0, NULL,
      "each node counts as connected to itself, as in the authors' code" },
};

/* Vectors for training: drawn, if the model says how exactly they are known. */
static glia_tensor drawn(glia_pairs *p, glia_tensor *divergence) {
    glia_tensor mean = glia_graph_answer(p->graph, NULL), deviation = glia_graph_answer(p->graph, "log_deviation");
    *divergence = NULL;
    if (!deviation) return mean;
    glia_tensor noise = glia_random_normal(p->graph, mean->shape);
    glia_tensor spread = glia_exp(deviation);
    glia_tensor each =
        glia_sub(glia_add_scalar(glia_mul_scalar(deviation, 2), 1), glia_add(glia_square(mean), glia_square(spread)));
    *divergence = glia_mul_scalar(glia_mean(glia_sum(each, GLIA_SHAPE(1), false), GLIA_SCALAR, false),
                                  -0.5 / (double)p->data->nodes);
    return glia_add(mean, glia_mul(spread, noise));
}

/* Sums of softplus over all pairs of nodes that have no edge, which are all but the edges, in both directions, and
 * `self`, each node with itself if that counts as an edge. */
static glia_tensor sum_of_others(glia_tensor vector, glia_tensor edges, glia_tensor self) {
    glia_tensor all = glia_matmul_transposed(vector, false, vector, true);
    all = glia_sum(glia_softplus(all), GLIA_SCALAR, false);
    all = glia_sub(all, glia_mul_scalar(glia_sum(glia_softplus(edges), GLIA_SCALAR, false), 2));
    return self ? glia_sub(all, glia_sum(glia_softplus(self), GLIA_SCALAR, false)) : all;
}

static void build_loss(links *m) {
    glia_pairs *p = &m->pairs;
    static const char *const names[] = { "train/from", "train/to", "train/other_from", "train/other_to" };
    const double nodes = (double)p->data->nodes, both = 2 * (double)m->n; /* places of edges in the matrix */
    glia_tensor ends[4], divergence, vector = drawn(p, &divergence);
    for (int i = 0; i < (m->others ? 4 : 2); i++)
        ends[i] = glia_input(p->graph, names[i], GLIA_I32, GLIA_SHAPE(i < 2 ? m->n : m->n * m->others));
    glia_tensor edges = glia_pairs_dot(vector, ends[0], ends[1]);
    glia_tensor self = m->loops ? glia_sum(glia_square(vector), GLIA_SHAPE(1), false) : NULL;
    glia_tensor found = glia_mean(glia_softplus(glia_neg(edges)), GLIA_SCALAR, false), others;
    if (self)
        found = glia_add(found, glia_mul_scalar(glia_sum(glia_softplus(glia_neg(self)), GLIA_SCALAR, false), 1 / both));
    if (m->others)
        others = glia_mean(glia_softplus(glia_pairs_dot(vector, ends[2], ends[3])), GLIA_SCALAR, false);
    else
        others = glia_mul_scalar(sum_of_others(vector, edges, self), 1 / (nodes * nodes - both));
    p->loss = glia_mul_scalar(glia_add(found, others), 0.5);
    if (divergence) p->loss = glia_add(p->loss, divergence);
}

/* The edges to learn from, each once. */
static glia_status list_edges(links *m, glia_error *error) {
    const glia_graph_data *d = m->split.train;
    m->edges = malloc(((size_t)d->edges + 1) * sizeof *m->edges);
    if (!m->edges) return glia_fail_nomem(error);
    for (int64_t v = 0; v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) m->n += d->sources[e] < v;
    }
    int64_t at = 0;
    for (int64_t v = 0; v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
            if (d->sources[e] >= v) continue;
            m->edges[at] = d->sources[e];
            m->edges[m->n + at++] = (int32_t)v;
        }
    }
    return m->n ? GLIA_OK : glia_fail(error, GLIA_E_ARGUMENT, "the method links: there are no edges to learn from");
}

static glia_status begin(glia_training *t, glia_error *error) {
    links *m = t->memory;
    glia_status status =
        glia_graph_split_links(t->opts.graphs, m->validation, m->test, (uint64_t)m->split_seed, &m->split, error);
    if (status == GLIA_OK) status = list_edges(m, error);
    if (status == GLIA_OK) status = glia_pairs_begin(t, &m->pairs, "links", m->split.train, m->features == 1, error);
    if (status != GLIA_OK) return status;
    build_loss(m);
    status = glia_pairs_build(t, &m->pairs, error);
    t->epoch_steps = 1;
    m->loss_mean = glia_training_mean(t, "loss");
    m->auc = m->split.n[0] ? glia_training_figure(t, "val_auc") : -1;
    m->ap = m->split.n[0] ? glia_training_figure(t, "val_ap") : -1;
    return status;
}

static void end(glia_training *t) {
    links *m = t->memory;
    glia_pairs_end(t, &m->pairs);
    glia_link_split_free(&m->split);
    free(m->edges);
}

/* The edges, and random pairs of this step. */
static void fill(glia_training *t, glia_session *s) {
    const links *m = t->memory;
    int32_t *const from = glia_session_input(s, "train/from", NULL, NULL);
    int32_t *const to = glia_session_input(s, "train/to", NULL, NULL);
    int32_t *const a = m->others ? glia_session_input(s, "train/other_from", NULL, NULL) : NULL;
    int32_t *const b = m->others ? glia_session_input(s, "train/other_to", NULL, NULL) : NULL;
    const uint64_t nodes = (uint64_t)m->pairs.data->nodes;
    glia_rng rng = { .seed = t->opts.seed, .stream = STREAM + ((uint64_t)t->done << 32) };
    if (!from || !to || (m->others && (!a || !b))) return;
    memcpy(from, m->edges, (size_t)m->n * sizeof *from);
    memcpy(to, m->edges + m->n, (size_t)m->n * sizeof *to);
    for (int64_t i = 0; i < m->n * m->others; i++) {
        a[i] = (int32_t)glia_rng_below(&rng, nodes);
        b[i] = (int32_t)glia_rng_below(&rng, nodes);
    }
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    links *m = t->memory;
    (void)batch;
    return glia_pairs_step(t, &m->pairs, fill, m->n, m->loss_mean, error);
}

/* The ranking of one held out part. */
static glia_status rank(const glia_link_split *s, int part, const float *vectors, int64_t width, glia_ranking *out,
                        glia_error *error) {
    float *scores = malloc((2 * (size_t)s->n[part] + 1) * sizeof *scores);
    if (!scores) return glia_fail_nomem(error);
    for (int64_t i = 0; i < s->n[part]; i++) {
        const int32_t *edge = s->edges[part] + 2 * i, *other = s->others[part] + 2 * i;
        scores[i] = (float)glia_pairs_score(vectors, width, edge[0], edge[1]);
        scores[s->n[part] + i] = (float)glia_pairs_score(vectors, width, other[0], other[1]);
    }
    const glia_status status = glia_rank_links(scores, s->n[part], scores + s->n[part], s->n[part], out, error);
    free(scores);
    return status;
}

static glia_status measure(glia_training *t, glia_error *error) {
    links *m = t->memory;
    glia_status status = glia_training_validation(t, true, error);
    if (status == GLIA_OK && m->auc >= 0) {
        glia_error reason = { 0 };
        glia_ranking r = { 0 };
        const float *vectors = glia_pairs_vectors(&m->pairs, &reason);
        if (!vectors) return glia_fail(error, reason.status, "%s", reason.message);
        status = rank(&m->split, 0, vectors, m->pairs.width, &r, error);
        t->figures[m->auc].value = r.auc;
        t->figures[m->ap].value = r.ap;
    }
    return status == GLIA_OK ? glia_training_validation(t, false, error) : status;
}

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    const links *m = memory;
    glia_link_split s = { 0 };
    glia_error reason = { 0 };
    int64_t width;
    glia_status status = glia_pairs_check(model, "links", &width, error);
    if (status == GLIA_OK)
        status = glia_graph_split_links(opts->graphs, m->validation, m->test, (uint64_t)m->split_seed, &s, error);
    if (status != GLIA_OK) return status;
    float *vectors = glia_pairs_of_model(model, s.train, opts, &width, &reason);
    if (!vectors) status = glia_fail(error, reason.status, "%s", reason.message);
    for (int part = 1; status == GLIA_OK && part >= 0; part--) {
        static const char *const names[2][6] = {
            { "val_auc", "val_ap", "val_hits10", "val_hits50", "val_hits100", "val_mrr" },
            { "test_auc", "test_ap", "test_hits10", "test_hits50", "test_hits100", "test_mrr" }
        };
        glia_ranking r;
        if (!s.n[part]) continue;
        status = rank(&s, part, vectors, width, &r, error);
        const double values[] = { r.auc, r.ap, r.hits10, r.hits50, r.hits100, r.mrr };
        for (int i = 0; status == GLIA_OK && i < 6; i++) glia_assessment_add(out, names[part][i], values[i]);
    }
    free(vectors);
    glia_link_split_free(&s);
    return status;
}

const glia_method glia_method_links = {
    .about = { .name = "links",
               .summary = "whether two nodes of a graph are connected, by vectors of nodes",
               .paper = "Kipf and Welling 2016",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_GRAPHS | GLIA_USES_OPTIMIZER,
               .ranked = false,
               .assesses = true },
    .bytes = sizeof(links),
    .begin = begin,
    .step = step,
    .measure = measure,
    .end = end,
    .assess = assess,
};
