/* draw_shap.c - Shapley values as means of marginal contributions in random orders of the players.
 *
 *     permutation   an order, forwards and backwards: players are added one after the other, then removed in the same
 *                   order, so each order costs 2 M coalitions, and its values sum to v(all) - v(none)
 *     sampling      one player at a time, in a random order, before a random row of the background; more draws go to
 *                   players whose contributions vary more (Strumbelj and Kononenko 2014, section 3)
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/explain/explain.h"

typedef struct drawing {
    int64_t samples, most;
    double tolerance;
} drawing;

static const glia_setting permutation_settings[] = {
    { "samples", GLIA_SETTING_INT, offsetof(drawing, samples), 10, 2, 1000000, NULL, "orders in a round" },
    { "most", GLIA_SETTING_INT, offsetof(drawing, most), 1000, 2, 100000000, NULL, "orders at most" },
    { "tolerance", GLIA_SETTING_REAL, offsetof(drawing, tolerance), 0.01, 0, 1, NULL,
      "largest standard error, as a share of the largest value; 0: one round" },
};
static const glia_setting sampling_settings[] = {
    { "samples", GLIA_SETTING_INT, offsetof(drawing, samples), 100, 2, 1000000, NULL,
      "contributions of each feature in a round" },
    { "most", GLIA_SETTING_INT, offsetof(drawing, most), 10000, 2, 100000000, NULL,
      "contributions of a feature at most, on average" },
    { "tolerance", GLIA_SETTING_REAL, offsetof(drawing, tolerance), 0.02, 0, 1, NULL,
      "largest standard error, as a share of the largest value; 0: one round" },
};

/* Sums over draws, of each player. */
typedef struct tally {
    double *sum, *square, *phi, *errors; /* (m) each */
    int64_t *n;                          /* (m) */
    int m;
} tally;

static glia_status tally_begin(tally *t, int m, glia_error *error) {
    *t = (tally){ .m = m, .sum = calloc(4 * (size_t)m + 1, sizeof *t->sum), .n = calloc((size_t)m + 1, sizeof *t->n) };
    if (!t->sum || !t->n) return glia_fail_nomem(error);
    t->square = t->sum + m;
    t->phi = t->square + m;
    t->errors = t->phi + m;
    return GLIA_OK;
}

static void tally_end(tally *t) {
    free(t->sum);
    free(t->n);
}

static void tally_add(tally *t, int player, double contribution) {
    t->sum[player] += contribution;
    t->square[player] += contribution * contribution;
    t->n[player]++;
}

static double variance(const tally *t, int player) {
    const double n = (double)t->n[player], mean = t->sum[player] / n;
    return fmax(t->square[player] / n - mean * mean, 0) * n / (n - 1);
}

static void tally_solve(tally *t) {
    for (int p = 0; p < t->m; p++) {
        t->phi[p] = t->sum[p] / (double)t->n[p];
        t->errors[p] = sqrt(variance(t, p) / (double)t->n[p]);
    }
}

static void shuffle(glia_rng *rng, int *order, int n) {
    for (int i = 0; i < n; i++) order[i] = i;
    for (int i = n - 1; i > 0; i--) {
        const int k = (int)glia_rng_below(rng, (uint64_t)i + 1), player = order[i];
        order[i] = order[k];
        order[k] = player;
    }
}

/* ---- permutation ------------------------------------------------------------------------------ */

/* Members of the coalitions on the way: with the first k players of the order, then without them. Empty and full ones
 * are not listed: 2 (m - 1) coalitions. */
static void list_way(const int *order, int m, uint8_t *members) {
    for (int side = 0; side < 2; side++) {
        for (int k = 1; k < m; k++, members += m) {
            for (int i = 0; i < m; i++) members[order[i]] = (i < k) != side;
        }
    }
}

static void take_way(const glia_game *g, const int *order, const double *v, tally *t) {
    const int m = g->players;
    const double *removed = v + (m - 1);
    for (int k = 0; k < m; k++) {
        const double with = k == m - 1 ? g->full : v[k], without = k == 0 ? g->empty : v[k - 1];
        const double before = k == 0 ? g->full : removed[k - 1], after = k == m - 1 ? g->empty : removed[k];
        tally_add(t, order[k], 0.5 * (with - without + before - after));
    }
}

static glia_status permute_round(glia_game *g, int64_t first, int64_t n, tally *t, glia_error *error) {
    const int m = g->players, way = 2 * (m - 1);
    int *order = malloc((size_t)m * sizeof *order + 1);
    uint8_t *members = malloc((size_t)way * (size_t)m + 1);
    double *v = malloc((size_t)way * sizeof *v + 1);
    glia_status status = order && members && v ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t k = first; k < first + n && status == GLIA_OK; k++) {
        glia_rng rng = glia_explain_rng(g->e, (uint64_t)k);
        shuffle(&rng, order, m);
        list_way(order, m, members);
        status = glia_game_values(g, members, way, v, error);
        if (status == GLIA_OK) take_way(g, order, v, t);
    }
    free(order);
    free(members);
    free(v);
    return status;
}

static glia_status run_permutation(glia_explainer *e, const float *x, int output, glia_explanation *out,
                                   glia_error *error) {
    const drawing *s = e->memory;
    glia_game g;
    tally t = { 0 };
    bool converged = false;
    glia_status status = glia_game_begin(e, x, output, &g, error);
    if (status == GLIA_OK) status = tally_begin(&t, g.players, error);
    for (int64_t done = 0; status == GLIA_OK && !converged && (done == 0 || done + s->samples <= s->most);
         done += s->samples) {
        status = g.players ? permute_round(&g, done, s->samples, &t, error) : GLIA_OK;
        if (status == GLIA_OK) tally_solve(&t);
        converged = glia_within(t.errors, t.phi, t.m, s->tolerance);
    }
    if (status == GLIA_OK) status = glia_game_explain(&g, t.phi, t.errors, out, error);
    out->converged = converged;
    tally_end(&t);
    glia_game_end(&g);
    return status;
}

/* ---- sampling --------------------------------------------------------------------------------- */

typedef struct marginals {
    glia_game *game;
    tally *t;
    int *order, *player; /* (players), (capacity / 2): whose contribution each pair of rows is */
    int64_t pairs;
} marginals;

/* Two rows: the players before `player` in a random order are from x, he himself in the first row only. */
static void fill_pair(marginals *d, int player) {
    glia_game *g = d->game;
    const glia_explainer *e = g->e;
    glia_rng rng = glia_explain_rng(e, (uint64_t)player << 32 ^ (uint64_t)d->t->n[player]++);
    const int64_t b = (int64_t)glia_rng_below(&rng, (uint64_t)e->n_background);
    float *with = g->rows + 2 * d->pairs * e->size, *without = with + e->size;
    shuffle(&rng, d->order, g->players);
    memcpy(with, e->background + b * e->size, (size_t)e->size * sizeof *with);
    for (int64_t i = 0; e->groups && i < e->size; i++) {
        if (e->groups[i] < 0) with[i] = g->x[i];
    }
    int at = 0;
    for (; d->order[at] != player; at++) {
        const int p = d->order[at];
        for (int64_t k = g->starts[p]; k < g->starts[p + 1]; k++) with[g->elements[k]] = g->x[g->elements[k]];
    }
    memcpy(without, with, (size_t)e->size * sizeof *with);
    for (int64_t k = g->starts[player]; k < g->starts[player + 1]; k++) with[g->elements[k]] = g->x[g->elements[k]];
    d->player[d->pairs++] = player;
}

static glia_status take_pairs(marginals *d, glia_error *error) {
    glia_game *g = d->game;
    glia_status status = glia_explainer_values(g->e, g->rows, 2 * d->pairs, g->output, g->scores, error);
    for (int64_t i = 0; i < d->pairs && status == GLIA_OK; i++) {
        const double contribution = g->scores[2 * i] - g->scores[2 * i + 1];
        d->t->sum[d->player[i]] += contribution;
        d->t->square[d->player[i]] += contribution * contribution;
    }
    d->pairs = 0;
    return status;
}

/* `each` draws for every player in the first round, later as many in total, by standard deviation. */
static glia_status sample_round(marginals *d, int64_t each, bool first, glia_error *error) {
    tally *t = d->t;
    double total = 0;
    for (int p = 0; p < t->m && !first; p++) total += t->phi[p] = sqrt(variance(t, p));
    glia_status status = GLIA_OK;
    for (int p = 0; p < t->m && status == GLIA_OK; p++) {
        const double share = first || total == 0 ? 1 : t->phi[p] / total * t->m;
        const int64_t n = (int64_t)ceil(share * (double)each);
        for (int64_t k = 0; k < n && status == GLIA_OK; k++) {
            fill_pair(d, p);
            if (2 * d->pairs + 2 > d->game->capacity) status = take_pairs(d, error);
        }
    }
    return status == GLIA_OK && d->pairs ? take_pairs(d, error) : status;
}

static glia_status run_sampling(glia_explainer *e, const float *x, int output, glia_explanation *out,
                                glia_error *error) {
    const drawing *s = e->memory;
    glia_game g;
    tally t = { 0 };
    marginals d = { .game = &g, .t = &t };
    bool converged = false;
    glia_status status = glia_game_begin(e, x, output, &g, error);
    if (status == GLIA_OK) status = tally_begin(&t, g.players, error);
    if (status == GLIA_OK) {
        d.order = malloc((size_t)g.players * sizeof *d.order + 1);
        d.player = malloc((size_t)g.capacity * sizeof *d.player);
        if (!d.order || !d.player) status = glia_fail_nomem(error);
    }
    for (int64_t done = 0; status == GLIA_OK && !converged && (done == 0 || done + s->samples <= s->most);
         done += s->samples) {
        status = sample_round(&d, s->samples, done == 0, error);
        if (status == GLIA_OK) tally_solve(&t);
        converged = glia_within(t.errors, t.phi, t.m, s->tolerance);
    }
    if (status == GLIA_OK) status = glia_game_explain(&g, t.phi, t.errors, out, error);
    out->converged = converged;
    free(d.order);
    free(d.player);
    tally_end(&t);
    glia_game_end(&g);
    return status;
}

const glia_explain_method glia_explain_permutation_shap = {
    .about = { .name = "permutation-shap",
               .summary = "Shapley values from random orders, forwards and backwards",
               .paper = "Castro et al. 2009, Mitchell et al. 2022",
               .settings = permutation_settings,
               .n_settings = GLIA_COUNT(permutation_settings) },
    .bytes = sizeof(drawing),
    .uses = GLIA_EXPLAIN_GROUPS | GLIA_EXPLAIN_BACKGROUND,
    .run = run_permutation,
};

const glia_explain_method glia_explain_sampling_shap = {
    .about = { .name = "sampling-shap",
               .summary = "Shapley values from single contributions, most draws where they vary most",
               .paper = "Strumbelj and Kononenko 2014",
               .settings = sampling_settings,
               .n_settings = GLIA_COUNT(sampling_settings) },
    .bytes = sizeof(drawing),
    .uses = GLIA_EXPLAIN_GROUPS | GLIA_EXPLAIN_BACKGROUND,
    .run = run_sampling,
};
