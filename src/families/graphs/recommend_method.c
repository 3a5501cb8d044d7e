/* recommend_method.c - the method "recommend": items for users by Bayesian personalised ranking (Rendle et al. 2009).
 *
 * A share of the edges between users and items is held out, chosen at random; the model sees the others. For each of
 * `batch` random users a step draws one of their items and one that is not theirs:
 *
 *     loss = mean softplus(user . other - user . item) + penalty / 2 mean of squares of the rows of "table"
 *
 * as He et al. 2020, "LightGCN", do it: the penalty is on the parameter "table" (nodes, K), if the model has one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "data/graphs/graph_data.h"
#include "families/graphs/pairs.h"

enum { STREAM = 0x75736572, SPLIT = 0x6974656D };

typedef struct recommend {
    double test, penalty; /* settings */
    int64_t split_seed, k;
    glia_pairs pairs;
    glia_graph_data *known; /* the edges to learn from */
    int32_t *users;         /* those who have one */
    int64_t n_users, batch;
    int loss_mean;
} recommend;

static const glia_setting settings[] = {
    { "test", GLIA_SETTING_REAL, offsetof(recommend, test), 0.25, 0, 0.9, NULL, "share of the edges for the test" },
    { "split_seed", GLIA_SETTING_INT, offsetof(recommend, split_seed), 0, 0, 1e15, NULL, "which edges these are" },
    { "k", GLIA_SETTING_INT, offsetof(recommend, k), 10, 1, GLIA_RECOMMENDED_MOST, NULL,
      "items recommended to a user, when the model is assessed" },
    { "penalty", GLIA_SETTING_REAL, offsetof(recommend, penalty), 1e-4, 0, 1e6, NULL, "on squares of the vectors" },
};

/* ---- data -------------------------------------------------------------------------------------------- */

static const int32_t *kinds_of(const glia_graph_data *d, glia_error *error) {
    const glia_graph_array *a = glia_graph_need(d, GLIA_OF_NODES, "kind", GLIA_I32, "the method recommend", error);
    if (!a) return NULL;
    const int32_t *kinds = (const int32_t *)(const void *)a->values;
    for (int64_t v = 0; v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
            if (kinds[v] + kinds[d->sources[e]] == 1) continue;
            glia_fail(error, GLIA_E_ARGUMENT, "the method recommend: nodes %ld and %lld are of one kind",
                      (long)d->sources[e], (long long)v);
            return NULL;
        }
    }
    return kinds;
}

/* The edges without those held out; a user's edge and its opposite share their fate. NULL: see error. */
static glia_graph_data *hold_out(const recommend *m, const glia_graph_data *d, glia_error *error) {
    uint8_t *keep = malloc((size_t)d->edges + 1);
    const int32_t *kinds = keep ? kinds_of(d, error) : NULL;
    glia_rng rng = { .seed = (uint64_t)m->split_seed, .stream = SPLIT };
    if (!keep) glia_fail_nomem(error);
    if (keep && kinds && !d->symmetric) {
        glia_fail(error, GLIA_E_ARGUMENT, "the method recommend: edges must go both ways");
        kinds = NULL;
    }
    for (int64_t v = 0; kinds && v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; kinds[v] == 1 && e < d->offsets[v + 1]; e++) {
            const bool kept = glia_rng_uniform(&rng) >= m->test;
            int32_t other = d->offsets[d->sources[e]];
            while (d->sources[other] != v) other++;
            keep[e] = keep[other] = kept;
        }
    }
    glia_graph_data *known = kinds ? glia_graph_data_filter(d, keep, error) : NULL;
    free(keep);
    return known;
}

/* ---- training ------------------------------------------------------------------------------------------ */

static void build_loss(recommend *m) {
    glia_pairs *p = &m->pairs;
    const glia_shape n = GLIA_SHAPE(m->batch);
    glia_tensor user = glia_input(p->graph, "train/user", GLIA_I32, n),
                item = glia_input(p->graph, "train/item", GLIA_I32, n);
    glia_tensor other = glia_input(p->graph, "train/other", GLIA_I32, n);
    glia_tensor vector = glia_graph_answer(p->graph, NULL), table = glia_graph_find_leaf(p->graph, "table");
    glia_tensor better = glia_sub(glia_pairs_dot(vector, user, item), glia_pairs_dot(vector, user, other));
    p->loss = glia_mean(glia_softplus(glia_neg(better)), GLIA_SCALAR, false);
    if (!table || m->penalty == 0) return;
    const glia_tensor rows[] = { user, item, other };
    for (int i = 0; i < 3; i++) {
        glia_tensor squares = glia_sum(glia_square(glia_gather(table, rows[i], 0)), GLIA_SHAPE(1), false);
        p->loss = glia_add(p->loss, glia_mul_scalar(glia_mean(squares, GLIA_SCALAR, false), m->penalty / 2));
    }
}

static glia_status list_users(recommend *m, glia_error *error) {
    const int32_t *kinds = kinds_of(m->known, error);
    m->users = malloc((size_t)m->known->nodes * sizeof *m->users);
    if (!m->users) return glia_fail_nomem(error);
    int64_t items = 0;
    for (int64_t v = 0; v < m->known->nodes; v++) items += kinds[v] == 1;
    for (int64_t v = 0; v < m->known->nodes; v++) {
        const int32_t degree = m->known->offsets[v + 1] - m->known->offsets[v];
        if (kinds[v] == 0 && degree > 0 && degree < items) m->users[m->n_users++] = (int32_t)v;
    }
    return m->n_users ? GLIA_OK : glia_fail(error, GLIA_E_ARGUMENT, "the method recommend: no user has an item");
}

static glia_status begin(glia_training *t, glia_error *error) {
    recommend *m = t->memory;
    glia_error reason = { 0 };
    m->batch = t->opts.batch;
    m->known = hold_out(m, t->opts.graphs, &reason);
    if (!m->known) return glia_fail(error, reason.status, "%s", reason.message);
    glia_status status = list_users(m, error);
    if (status == GLIA_OK) status = glia_pairs_begin(t, &m->pairs, "recommend", m->known, false, error);
    if (status != GLIA_OK) return status;
    build_loss(m);
    t->epoch_steps = m->known->edges / 2 / m->batch + 1;
    m->loss_mean = glia_training_mean(t, "loss");
    return glia_pairs_build(t, &m->pairs, error);
}

static void end(glia_training *t) {
    recommend *m = t->memory;
    glia_pairs_end(t, &m->pairs);
    glia_graph_data_free(m->known);
    free(m->users);
}

/* An item that no edge connects with the user. */
static int32_t draw_other(const glia_graph_data *d, const int32_t *kinds, int32_t user, glia_rng *rng) {
    for (;;) {
        const int32_t v = (int32_t)glia_rng_below(rng, (uint64_t)d->nodes);
        if (kinds[v] == 1 && !glia_graph_has_edge(d, v, user)) return v;
    }
}

static void fill(glia_training *t, glia_session *s) {
    const recommend *m = t->memory;
    const glia_graph_data *d = m->known;
    glia_array kinds;
    int32_t *const user = glia_session_input(s, "train/user", NULL, NULL);
    int32_t *const item = glia_session_input(s, "train/item", NULL, NULL);
    int32_t *const other = glia_session_input(s, "train/other", NULL, NULL);
    if (!user || !item || !other || !glia_graph_data_find(d, GLIA_OF_NODES, "kind", &kinds)) return;
    glia_rng rng = { .seed = t->opts.seed, .stream = STREAM + ((uint64_t)t->done << 36) };
    for (int64_t i = 0; i < m->batch; i++) {
        user[i] = m->users[glia_rng_below(&rng, (uint64_t)m->n_users)];
        const int32_t first = d->offsets[user[i]], n = d->offsets[user[i] + 1] - first;
        item[i] = d->sources[first + (int32_t)glia_rng_below(&rng, (uint64_t)n)];
        other[i] = draw_other(d, kinds.data, user[i], &rng);
    }
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    recommend *m = t->memory;
    (void)batch;
    return glia_pairs_step(t, &m->pairs, fill, m->batch, m->loss_mean, error);
}

static glia_status measure(glia_training *t, glia_error *error) {
    glia_status status = glia_training_validation(t, true, error);
    return status == GLIA_OK ? glia_training_validation(t, false, error) : status;
}

/* ---- figures -------------------------------------------------------------------------------------------- */

/* Adds a user's ranking; flags are (3, nodes). With vectors NULL items are ranked by how many have them. */
static void rank_user(const recommend *m, const glia_graph_data *all, const glia_graph_data *known,
                      const int32_t *kinds, int32_t user, const float *vectors, int64_t width, float *scores,
                      uint8_t *flags, glia_recommended *sum) {
    uint8_t *relevant = flags, *seen = flags + all->nodes;
    for (int64_t v = 0; v < all->nodes; v++) {
        relevant[v] = 0;
        seen[v] = kinds[v] != 1;
        scores[v] = 0;
        if (seen[v]) continue;
        scores[v] = vectors ? (float)glia_pairs_score(vectors, width, user, (int32_t)v)
                            : (float)(known->offsets[v + 1] - known->offsets[v]);
    }
    for (int32_t e = all->offsets[user]; e < all->offsets[user + 1]; e++) relevant[all->sources[e]] = 1;
    for (int32_t e = known->offsets[user]; e < known->offsets[user + 1]; e++) {
        relevant[known->sources[e]] = 0;
        seen[known->sources[e]] = 1;
    }
    glia_rank_items(scores, relevant, seen, all->nodes, (int)m->k, sum);
}

static glia_status assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                          glia_error *error) {
    const recommend *m = memory;
    const glia_graph_data *all = opts->graphs;
    glia_error reason = { 0 };
    int64_t width = 0;
    glia_status status = glia_pairs_check(model, "recommend", &width, error);
    if (status != GLIA_OK) return status;
    glia_graph_data *known = hold_out(m, all, &reason);
    if (!known) return glia_fail(error, reason.status, "%s", reason.message);
    const int32_t *kinds = kinds_of(all, &reason);
    float *vectors = glia_pairs_of_model(model, known, opts, &width, &reason);
    float *scores = malloc((size_t)all->nodes * sizeof *scores);
    uint8_t *flags = malloc(2 * (size_t)all->nodes);
    if (!vectors) status = glia_fail(error, reason.status, "%s", reason.message);
    if (vectors && (!scores || !flags)) status = glia_fail_nomem(error);
    glia_recommended sum = { 0 }, popular = { 0 };
    for (int64_t v = 0; status == GLIA_OK && v < all->nodes; v++) {
        if (kinds[v] != 0 || known->offsets[v] == known->offsets[v + 1]) continue;
        rank_user(m, all, known, kinds, (int32_t)v, vectors, width, scores, flags, &sum);
        rank_user(m, all, known, kinds, (int32_t)v, NULL, 0, scores, flags, &popular);
    }
    if (status == GLIA_OK && sum.users) {
        const double n = (double)sum.users;
        glia_assessment_add(out, "test_ndcg", sum.ndcg / n);
        glia_assessment_add(out, "test_map", sum.map / n);
        glia_assessment_add(out, "test_precision", sum.precision / n);
        glia_assessment_add(out, "test_recall", sum.recall / n);
        glia_assessment_add(out, "popular_ndcg", popular.ndcg / n);
        strcpy(out->note, "at k items; popular_: everybody is recommended what most have");
    }
    free(vectors);
    free(scores);
    free(flags);
    glia_graph_data_free(known);
    return status;
}

const glia_method glia_method_recommend = {
    .about = { .name = "recommend",
               .summary = "items for users, by vectors of both",
               .paper = "Rendle et al. 2009, He et al. 2020",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_GRAPHS | GLIA_USES_OPTIMIZER | GLIA_USES_BATCH,
               .ranked = true,
               .assesses = true },
    .bytes = sizeof(recommend),
    .begin = begin,
    .step = step,
    .measure = measure,
    .end = end,
    .assess = assess,
};
