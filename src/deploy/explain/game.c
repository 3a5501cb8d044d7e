/* game.c - a sample as a cooperative game, for Shapley values.
 *
 * A feature that is equal to the background in all of its rows changes nothing: its value is 0 and it is no player.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/explain/explain.h"

enum { CAPACITY = 4096, NUMBERS = 1 << 22 };

static int feature_of(const glia_explainer *e, int64_t element) {
    return e->groups ? e->groups[element] : (int)element;
}

static bool differs(const glia_explainer *e, const float *x, int64_t element) {
    for (int64_t b = 0; b < e->n_background; b++) {
        if (e->background[b * e->size + element] != x[element]) return true;
    }
    return false;
}

/* Players are the features with an element that differs; all their elements are listed. */
static void list_players(glia_game *g, int *player_of) {
    const glia_explainer *e = g->e;
    for (int f = 0; f < g->features; f++) player_of[f] = -1;
    for (int64_t i = 0; i < e->size; i++) {
        const int f = feature_of(e, i);
        if (f >= 0 && player_of[f] < 0 && differs(e, g->x, i)) player_of[f] = 0;
    }
    for (int f = 0; f < g->features; f++) {
        if (player_of[f] < 0) continue;
        player_of[f] = g->players;
        g->feature[g->players++] = f;
    }
    for (int64_t i = 0; i < e->size; i++) {
        const int f = feature_of(e, i);
        if (f >= 0 && player_of[f] >= 0) g->starts[player_of[f] + 2]++;
    }
    for (int p = 0; p < g->players; p++) g->starts[p + 2] += g->starts[p + 1];
    for (int64_t i = 0; i < e->size; i++) { /* starts[p + 1] moves from the first element of p to its end */
        const int f = feature_of(e, i);
        if (f >= 0 && player_of[f] >= 0) g->elements[g->starts[player_of[f] + 1]++] = i;
    }
}

glia_status glia_game_begin(glia_explainer *e, const float *x, int output, glia_game *g, glia_error *error) {
    *g = (glia_game){ .e = e, .x = x, .output = output, .features = e->groups ? e->n_groups : (int)e->size };
    g->capacity = GLIA_MAX(GLIA_MIN(CAPACITY, NUMBERS / e->size), 2);
    g->capacity = GLIA_MAX(g->capacity, GLIA_MIN(e->n_background, CAPACITY));
    const size_t features = (size_t)g->features, size = (size_t)e->size;
    g->feature = malloc(features * sizeof *g->feature);
    g->starts = calloc(features + 2, sizeof *g->starts);
    g->elements = malloc(size * sizeof *g->elements);
    g->picked = malloc(size * sizeof *g->picked);
    g->rows = malloc((size_t)g->capacity * size * sizeof *g->rows);
    g->scores = malloc((size_t)g->capacity * sizeof *g->scores);
    int *player_of = malloc(features * sizeof *player_of);
    uint8_t *members = NULL;
    glia_status status = GLIA_OK;
    if (!g->feature || !g->starts || !g->elements || !g->picked || !g->rows || !g->scores || !player_of) {
        status = glia_fail_nomem(error);
    }
    if (status == GLIA_OK) {
        list_players(g, player_of);
        members = calloc(2 * (size_t)g->players + 1, 1);
        if (!members) status = glia_fail_nomem(error);
    }
    if (status == GLIA_OK && e->model && !e->looked_for_affine) {
        status = glia_affine_begin(e, g->features, &e->affine, error);
        e->looked_for_affine = status == GLIA_OK;
    }
    if (status == GLIA_OK && e->affine) status = glia_affine_sample(g, error);
    double values[2] = { 0 };
    if (status == GLIA_OK) {
        memset(members + g->players, 1, (size_t)g->players);
        status = glia_game_values(g, members, 2, values, error);
    }
    g->empty = values[0];
    g->full = values[1];
    free(player_of);
    free(members);
    return status;
}

void glia_game_end(glia_game *g) {
    free(g->feature);
    free(g->starts);
    free(g->elements);
    free(g->picked);
    free(g->rows);
    free(g->scores);
}

/* Elements of the coalition, and those that belong to no group, come from x. */
static void pick(const glia_game *g, const uint8_t *members) {
    const glia_explainer *e = g->e;
    for (int64_t i = 0; i < e->size; i++) g->picked[i] = e->groups && e->groups[i] < 0 ? -1 : 0;
    for (int p = 0; p < g->players; p++) {
        for (int64_t k = g->starts[p]; members[p] && k < g->starts[p + 1]; k++) g->picked[g->elements[k]] = -1;
    }
}

typedef uint32_t quad __attribute__((vector_size(16)));
static quad load(const void *from) {
    quad q;
    memcpy(&q, from, sizeof q);
    return q;
}

/* Most of the time of a small model goes here, so four elements at once. */
static void mix(const int32_t *picked, const float *x, const float *background, int64_t size, float *row) {
    int64_t k = 0;
    for (; k + 4 <= size; k += 4) {
        const quad mask = load(picked + k), mixed = (load(x + k) & mask) | (load(background + k) & ~mask);
        memcpy(row + k, &mixed, sizeof mixed);
    }
    for (; k < size; k++) row[k] = picked[k] ? x[k] : background[k];
}

void glia_game_fill(glia_game *g, const uint8_t *members, int64_t first, int64_t count) {
    const int64_t rows = g->e->n_background, size = g->e->size;
    for (int64_t i = 0; i < count; i++) {
        const int64_t c = (first + i) / rows, b = (first + i) % rows;
        if (i == 0 || b == 0) pick(g, members + c * g->players);
        mix(g->picked, g->x, g->e->background + b * size, size, g->rows + i * size);
    }
}

/* Adds the scores of the rows in the buffer to the values of their coalitions. */
static glia_status add_scores(glia_game *g, int64_t first, int64_t count, double *values, glia_error *error) {
    const int64_t rows = g->e->n_background;
    glia_status status = glia_explainer_values(g->e, g->rows, count, g->output, g->scores, error);
    for (int64_t i = 0; i < count && status == GLIA_OK; i++) {
        values[(first + i) / rows] += g->scores[i] / (double)rows;
    }
    return status;
}

glia_status glia_game_values(glia_game *g, const uint8_t *members, int64_t n, double *values, glia_error *error) {
    memset(values, 0, (size_t)n * sizeof *values);
    if (g->e->affine) return glia_affine_values(g, members, n, values, error);
    const int64_t total = n * g->e->n_background;
    glia_status status = GLIA_OK;
    for (int64_t first = 0; first < total && status == GLIA_OK; first += g->capacity) {
        const int64_t count = GLIA_MIN(g->capacity, total - first);
        glia_game_fill(g, members, first, count);
        status = add_scores(g, first, count, values, error);
    }
    return status;
}

glia_status glia_game_explain(const glia_game *g, const double *phi, const double *errors, glia_explanation *out,
                              glia_error *error) {
    const glia_shape shape = g->e->groups ? GLIA_SHAPE(g->features) : g->e->sample;
    glia_status status = glia_explanation_start(out, shape, errors != NULL, error);
    if (status != GLIA_OK) return status;
    for (int p = 0; p < g->players; p++) {
        out->values[g->feature[p]] = phi[p];
        if (errors) out->errors[g->feature[p]] = errors[p];
    }
    out->base_value = g->empty;
    out->output_value = g->full;
    glia_explanation_finish(out);
    return GLIA_OK;
}

bool glia_within(const double *errors, const double *values, int64_t n, double tolerance) {
    double error = 0, value = 0;
    for (int64_t i = 0; i < n; i++) error = fmax(error, errors[i]), value = fmax(value, fabs(values[i]));
    return tolerance == 0 || error <= tolerance * value;
}
