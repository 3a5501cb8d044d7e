/* foraging.c - food at one of the two ends of a corridor, which only memory of earlier rewards can find.
 *
 * State: position, end with the food (0 left, 1 right), steps of this trial. A trial begins in the middle and ends at
 * the food (reward 10) or when patience is over; then the food changes sides with probability `p_switch`. Only the
 * position is observed: Plantec et al. 2024, "Evolving self-assembling neural networks: from spontaneous activity to
 * experience-dependent learning".
 */
#include <math.h>

#include "data/environments/environments.h"

enum { POSITION, FOOD, STEPS, STATE };

typedef struct foraging {
    int64_t size, patience;
    double p_switch;
} foraging;

static const glia_setting settings[] = {
    { "size", GLIA_SETTING_INT, offsetof(foraging, size), 5, 3, 99, NULL, "cells of the corridor" },
    { "p_switch", GLIA_SETTING_REAL, offsetof(foraging, p_switch), 0.5, 0, 1, NULL,
      "probability that the food changes sides after a trial" },
    { "patience", GLIA_SETTING_INT, offsetof(foraging, patience), 11, 1, 1e6, NULL, "steps until a trial ends" },
};

static int64_t food_cell(const foraging *f, const double *state) { return state[FOOD] > 0 ? f->size - 1 : 0; }

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)out;
    (void)error;
    at->state[POSITION] = (double)(((const foraging *)at->settings)->size / 2);
    at->state[FOOD] = (double)glia_env_below(at->random, 2);
    at->state[STEPS] = 0;
    return GLIA_OK;
}

/* Actions: left, right, stay. */
static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    static const double moves[] = { -1, 1, 0 };
    const foraging *f = at->settings;
    double *s = at->state;
    (void)error;
    s[POSITION] = fmin(fmax(s[POSITION] + moves[*(const int32_t *)action], 0), (double)(f->size - 1));
    s[STEPS]++;
    const bool eats = s[POSITION] == (double)food_cell(f, s);
    out->reward = eats ? 10 : 0;
    if (eats || s[STEPS] >= (double)f->patience) {
        if (glia_env_uniform(at->random, 0, 1) < f->p_switch) s[FOOD] = 1 - s[FOOD];
        s[POSITION] = (double)(f->size / 2);
        s[STEPS] = 0;
    }
    return GLIA_OK;
}

static void observe(const glia_env_at *at, void *observation) { *(float *)observation = (float)at->state[POSITION]; }

static bool valid(const glia_env_at *at) {
    const foraging *f = at->settings;
    return glia_env_is_index(at->state[POSITION], f->size) && glia_env_is_index(at->state[FOOD], 2) &&
           glia_env_is_index(at->state[STEPS], f->patience);
}

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    const foraging *f = at->settings;
    const int n = (int)f->size, food = (int)food_cell(f, at->state), here = (int)at->state[POSITION];
    for (int i = 0; i <= n && i < capacity; i++) {
        marks[i] = glia_env_cell(0, i < n ? i : here, 1, n, i == food ? 0x66BB44 : 0xDDEEFF);
        if (i < n) continue;
        const float half = 0.5f / (float)n;
        marks[i] = (glia_mark){ GLIA_MARK_DISC, marks[i].ax + half, marks[i].ay + half, 0, 0, 0.6f * half, 0xCC3333 };
    }
    return n + 1;
}

static const float low[] = { 0 }, high[] = { 98 };

const glia_env_kind glia_env_foraging = {
    .name = "Foraging",
    .alias = "foraging",
    .summary = "find food that changes between the two ends of a corridor",
    .paper = "Plantec et al. 2024",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 1 } }, low, high },
    .action = { GLIA_SPACE_DISCRETE, 3, GLIA_I32, { 0 }, NULL, NULL },
    .limit = 100,
    .threshold = NAN,
    .settings = settings,
    .n_settings = GLIA_COUNT(settings),
    .bytes = sizeof(foraging),
    .state = STATE,
    .reset = reset,
    .step = step,
    .observe = observe,
    .valid = valid,
    .draw = draw,
};
