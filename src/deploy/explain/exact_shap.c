/* exact_shap.c - Shapley values by their definition, over all coalitions:
 *
 *     phi_i = sum over S without i of |S|! (M - 1 - |S|)! / M! (v(S + i) - v(S))
 */
#include <stdlib.h>

#include "deploy/explain/explain.h"

enum { MOST_PLAYERS = 16 };

/* Values of all coalitions; coalition k has the players whose bits are set. */
static glia_status all_values(glia_game *g, double *v, glia_error *error) {
    enum { CHUNK = 1024 };
    const int64_t n = INT64_C(1) << g->players;
    uint8_t *members = malloc(CHUNK * MOST_PLAYERS);
    glia_status status = members ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t first = 0; first < n && status == GLIA_OK; first += CHUNK) {
        const int64_t count = GLIA_MIN(n - first, CHUNK);
        for (int64_t i = 0; i < count; i++) {
            for (int p = 0; p < g->players; p++) members[i * g->players + p] = (uint8_t)((first + i) >> p & 1);
        }
        status = glia_game_values(g, members, count, v + first, error);
    }
    free(members);
    return status;
}

static void shapley(const glia_game *g, const double *v, double *phi) {
    const int m = g->players;
    double weight[MOST_PLAYERS]; /* by size: s! (m - 1 - s)! / m! = 1 / (m C(m - 1, s)) */
    weight[0] = 1.0 / m;
    for (int s = 1; s < m; s++) weight[s] = weight[s - 1] * s / (m - s);
    for (int p = 0; p < m; p++) {
        phi[p] = 0;
        for (int64_t k = 0; k < INT64_C(1) << m; k++) {
            if (!(k >> p & 1))
                phi[p] += weight[__builtin_popcountll((unsigned long long)k)] * (v[k | INT64_C(1) << p] - v[k]);
        }
    }
}

static glia_status run(glia_explainer *e, const float *x, int output, glia_explanation *out, glia_error *error) {
    glia_game g;
    glia_status status = glia_game_begin(e, x, output, &g, error);
    double phi[MOST_PLAYERS], *v = NULL;
    if (status == GLIA_OK && g.players > MOST_PLAYERS) {
        status = glia_fail(error, GLIA_E_ARGUMENT,
                           "explain: exact-shap takes %d features, here %d differ from the "
                           "background; kernel-shap and permutation-shap take more",
                           MOST_PLAYERS, g.players);
    }
    if (status == GLIA_OK) {
        v = malloc(sizeof *v << g.players);
        status = v ? all_values(&g, v, error) : glia_fail_nomem(error);
    }
    if (status == GLIA_OK) {
        if (g.players) shapley(&g, v, phi);
        g.empty = v[0];
        g.full = v[(INT64_C(1) << g.players) - 1];
        status = glia_game_explain(&g, phi, NULL, out, error);
    }
    free(v);
    glia_game_end(&g);
    return status;
}

const glia_explain_method glia_explain_exact_shap = {
    .about = { .name = "exact-shap",
               .summary = "Shapley values from all coalitions, for at most 16 features",
               .paper = "Shapley 1953, Lundberg and Lee 2017" },
    .uses = GLIA_EXPLAIN_GROUPS | GLIA_EXPLAIN_BACKGROUND,
    .run = run,
};
