/* episodes.c - see episodes.h. Where an environment cannot move side by side, each lane has a handle of its own. */
#include "data/environments/episodes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/environments/lanes/lanes.h"

enum { LANES = GLIA_ENV_LANES };

#if defined(__x86_64__)
extern const glia_env_motions glia_env_motions_v2, glia_env_motions_v3, glia_env_motions_v4;
#elif defined(__aarch64__)
extern const glia_env_motions glia_env_motions_neon;
#else
extern const glia_env_motions glia_env_motions_generic;
#endif

const glia_env_motions *glia_env_motions_here(void) {
    glia_isa isa;
    if (glia_isa_choose(&isa, NULL) != GLIA_OK) return NULL;
#if defined(__x86_64__)
    return isa == GLIA_ISA_V4 ? &glia_env_motions_v4 : isa == GLIA_ISA_V3 ? &glia_env_motions_v3 : &glia_env_motions_v2;
#elif defined(__aarch64__)
    return &glia_env_motions_neon;
#else
    return &glia_env_motions_generic;
#endif
}

/* ---- creating ------------------------------------------------------------------------------------- */

static bool allocate(glia_episodes *e) {
    const size_t lanes = LANES, inputs = (size_t)e->inputs, outputs = (size_t)e->outputs;
    const size_t state = (size_t)glia_env_kind_of(e->like)->state;
    e->x = calloc(lanes * (inputs + 2 + state) + state, sizeof *e->x);
    e->actions.numbers = calloc(lanes * (inputs + outputs) + GLIA_MAX(inputs, outputs), sizeof *e->actions.numbers);
    e->lanes.terminated = calloc(lanes, sizeof *e->lanes.terminated);
    if (!e->x || !e->actions.numbers || !e->lanes.terminated) return false;
    e->returns = e->x + lanes * inputs;
    e->rewards = e->lanes.rewards = e->returns + lanes;
    e->lanes.state = e->rewards + lanes;
    e->state = e->lanes.state + lanes * state;
    e->lanes.observations = e->actions.numbers + lanes * outputs;
    e->one = e->lanes.observations + lanes * inputs;
    e->lanes.actions = e->actions.numbers;
    e->lanes.settings = glia_env_settings_of(e->like);
    if (e->move) return true;
    e->envs = calloc(lanes, sizeof *e->envs);
    return e->envs != NULL;
}

glia_episodes *glia_episodes_create(const glia_env *env, int inputs, int outputs, glia_error *error) {
    glia_episodes *e = calloc(1, sizeof *e);
    if (!e) return glia_fail_nomem(error), NULL;
    e->like = env;
    e->inputs = inputs;
    e->outputs = outputs;
    e->move = glia_env_movement_of(env);
    e->limit = glia_env_limit(env);
    e->due = INT64_MAX;
    if (allocate(e)) return e;
    glia_fail_nomem(error);
    glia_episodes_free(e);
    return NULL;
}

void glia_episodes_free(glia_episodes *e) {
    if (!e) return;
    for (int j = 0; e->envs && j < LANES; j++) glia_env_free(e->envs[j]);
    free(e->envs);
    free(e->x);
    free(e->actions.numbers);
    free(e->lanes.terminated);
    free(e);
}

/* ---- one after the other ---------------------------------------------------------------------------- */

/* Takes what one copy sees. */
static void look(glia_episodes *e, int lane, const glia_env_result *now) {
    const glia_space space = glia_env_observation_space(e->like);
    glia_space_read(&space, now->observations, e->inputs, e->x + lane, LANES);
}

static glia_status begin_alone(glia_episodes *e, int lane, uint64_t seed, glia_error *error) {
    glia_error reason = { 0 };
    glia_env_result now;
    if (!e->envs[lane]) e->envs[lane] = glia_env_like(e->like, 1, &reason);
    if (!e->envs[lane]) return glia_fail(error, reason.status, "%s", reason.message);
    const glia_status status = glia_env_reset(e->envs[lane], seed, &now, error);
    if (status == GLIA_OK) look(e, lane, &now);
    return status;
}

static glia_status step_alone(glia_episodes *e, int lane, glia_error *error) {
    glia_env_result now;
    const void *action = e->actions.choices + lane;
    if (glia_env_action_space(e->like).kind == GLIA_SPACE_BOX) {
        for (int i = 0; i < e->outputs; i++) e->one[i] = e->actions.numbers[i * LANES + lane];
        action = e->one;
    }
    const glia_status status = glia_env_step(e->envs[lane], action, &now, error);
    if (status != GLIA_OK) return status;
    look(e, lane, &now);
    e->rewards[lane] = now.rewards[0];
    e->returns[lane] = now.returns[0];
    if (now.terminated[0] || now.truncated[0]) e->ended |= 1U << lane;
    return GLIA_OK;
}

/* ---- side by side ------------------------------------------------------------------------------------ */

static bool has(uint32_t bits, int lane) { return bits >> lane & 1; }

/* When the next time limit is reached. */
static void set_due(glia_episodes *e) {
    e->due = INT64_MAX;
    for (int j = 0; e->limit && j < LANES; j++)
        if (has(e->playing, j)) e->due = GLIA_MIN(e->due, e->deadline[j]);
}

static glia_status begin_beside(glia_episodes *e, int lane, uint64_t seed, glia_error *error) {
    const glia_env_kind *kind = glia_env_kind_of(e->like);
    glia_env_random random = { { .seed = seed, .stream = GLIA_ENV_STREAM }, NULL };
    const glia_env_at at = { e->lanes.settings, e->state, &random, 0 };
    glia_env_outcome out = { .info = NULL };
    memset(e->state, 0, (size_t)kind->state * sizeof *e->state);
    const glia_status status = kind->reset(&at, &out, error);
    if (status != GLIA_OK) return status;
    kind->observe(&at, e->one);
    for (int i = 0; i < kind->state; i++) e->lanes.state[i * LANES + lane] = e->state[i];
    for (int i = 0; i < e->inputs; i++) e->x[i * LANES + lane] = (double)e->one[i];
    e->deadline[lane] = e->steps + e->limit;
    return GLIA_OK;
}

/* Names the number that is not finite, if it belongs to a lane that plays. */
static glia_status check_finite(const glia_episodes *e, glia_error *error) {
    const char *name = glia_env_kind_of(e->like)->name;
    for (int j = 0; j < LANES; j++) {
        if (!has(e->playing, j)) continue;
        const long long steps = (long long)(e->steps + e->limit - e->deadline[j]);
        for (int i = 0; i < e->inputs; i++) {
            if (!isfinite(e->lanes.observations[i * LANES + j]))
                return glia_fail(error, GLIA_E_ARGUMENT, "%s: an observation after %lld steps is not finite", name,
                                 steps);
        }
        if (!isfinite(e->lanes.rewards[j]))
            return glia_fail(error, GLIA_E_ARGUMENT, "%s: the reward of step %lld is not finite", name, steps);
    }
    return GLIA_OK;
}

static glia_status step_beside(glia_episodes *e, glia_error *error) {
    double *restrict returns = e->returns, check[LANES] = { 0 };
    const double *restrict rewards = e->lanes.rewards;
    const int64_t *restrict terminated = e->lanes.terminated;
    int64_t any = 0;
    e->move(&e->lanes);
    e->steps++;
    for (int i = 0; i < e->inputs; i++) {
        const float *restrict from = e->lanes.observations + i * LANES;
        double *restrict to = e->x + i * LANES;
        for (int j = 0; j < LANES; j++) to[j] = (double)from[j];
        for (int j = 0; j < LANES; j++) check[j] += 0 * to[j]; /* not 0 if a number is not finite */
    }
    for (int j = 0; j < LANES; j++) returns[j] += rewards[j];
    for (int j = 0; j < LANES; j++) any |= terminated[j];
    double sum = 0;
    for (int j = 0; j < LANES; j++) sum += check[j] + 0 * rewards[j];
    if (!(sum == 0)) {
        const glia_status status = check_finite(e, error);
        if (status != GLIA_OK) return status;
    }
    if (!any && e->steps < e->due) return GLIA_OK;
    for (int j = 0; j < LANES; j++)
        if (terminated[j] || (e->limit && e->steps >= e->deadline[j])) e->ended |= 1U << j;
    return GLIA_OK;
}

/* ---- both -------------------------------------------------------------------------------------------- */

glia_status glia_episodes_begin(glia_episodes *e, int lane, uint64_t seed, glia_error *error) {
    const glia_status status = e->move ? begin_beside(e, lane, seed, error) : begin_alone(e, lane, seed, error);
    if (status != GLIA_OK) return status;
    e->playing |= 1U << lane;
    e->returns[lane] = 0;
    set_due(e);
    return GLIA_OK;
}

glia_status glia_episodes_step(glia_episodes *e, glia_error *error) {
    glia_status status = GLIA_OK;
    e->ended = 0;
    if (!e->playing) return GLIA_OK;
    if (e->move) {
        status = step_beside(e, error);
    } else {
        for (int j = 0; status == GLIA_OK && j < LANES; j++)
            if (has(e->playing, j)) status = step_alone(e, j, error);
    }
    e->ended &= e->playing;
    e->playing &= ~e->ended;
    if (e->ended) set_due(e);
    return status;
}
