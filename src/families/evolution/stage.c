/* stage.c - policies in environments: episodes and their returns. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/policy.h"

enum { MOST_NUMBERS = 4096 };

glia_status glia_stage_set(glia_stage *s, const glia_env *env, glia_error *error) {
    *s = (glia_stage){ .env = env,
                       .observation = glia_env_observation_space(env),
                       .action = glia_env_action_space(env) };
    const bool counted = s->observation.kind == GLIA_SPACE_DISCRETE;
    const int64_t inputs = counted ? s->observation.n : glia_shape_count(s->observation.shape);
    const int64_t outputs = s->action.kind == GLIA_SPACE_DISCRETE ? s->action.n : glia_shape_count(s->action.shape);
    if (inputs < 1 || inputs > MOST_NUMBERS || outputs < 1 || outputs > MOST_NUMBERS) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s has %lld numbers of observations and %lld of actions",
                         glia_env_kind_of(env)->name, (long long)inputs, (long long)outputs);
    }
    s->inputs = (int)inputs;
    s->outputs = (int)outputs;
    return GLIA_OK;
}

const void *glia_stage_choose(const glia_stage *s, const double *y, int32_t *choice, float *action) {
    const glia_space *space = &s->action;
    if (space->kind == GLIA_SPACE_DISCRETE) {
        *choice = 0;
        for (int i = 1; i < s->outputs; i++) *choice = (float)y[i] > (float)y[*choice] ? i : *choice;
        return choice;
    }
    for (int i = 0; i < s->outputs; i++) {
        const float at = (float)fmin(fmax(y[i], -1), 1);
        const bool bounded = space->low && isfinite(space->low[i]) && isfinite(space->high[i]);
        action[i] = bounded ? space->low[i] + (space->high[i] - space->low[i]) * (at + 1) / 2 : at;
    }
    return action;
}

void glia_stage_act(const glia_stage *s, const double *y, float *action, glia_episodes *e, int lane) {
    int32_t choice;
    glia_stage_choose(s, y, &choice, action);
    if (s->action.kind == GLIA_SPACE_DISCRETE) {
        e->actions.choices[lane] = choice;
        return;
    }
    for (int i = 0; i < s->outputs; i++) e->actions.numbers[i * GLIA_ENV_LANES + lane] = action[i];
}

glia_episodes *glia_stage_episodes(const glia_stage *s, glia_error *error) {
    return glia_episodes_create(s->env, s->inputs, s->action.kind == GLIA_SPACE_DISCRETE ? 1 : s->outputs, error);
}

static glia_status play_episode(const glia_stage *s, const glia_policy *p, glia_env *env, uint64_t seed, double *x,
                                double *reached, glia_error *error) {
    double *y = x + s->inputs;
    float *action = (float *)(void *)(y + s->outputs);
    glia_env_result now;
    glia_status status = glia_env_reset(env, seed, &now, error);
    if (p->reset) p->reset(p->net, seed);
    while (status == GLIA_OK && !now.terminated[0] && !now.truncated[0]) {
        int32_t choice;
        glia_space_read(&s->observation, now.observations, s->inputs, x, 1);
        p->act(p->net, x, y);
        status = glia_env_step(env, glia_stage_choose(s, y, &choice, action), &now, error);
        if (status == GLIA_OK && p->reward) p->reward(p->net, now.rewards[0]);
    }
    if (status == GLIA_OK) *reached = now.returns[0];
    return status;
}

glia_status glia_stage_returns(const glia_stage *s, const glia_policy *p, uint64_t seed, int64_t episodes,
                               double *returns, glia_error *error) {
    for (int64_t k = 0; k < episodes; k++) returns[k] = p->lack;
    if (p->lack != 0) return GLIA_OK;
    glia_error reason = { 0 };
    glia_env *env = glia_env_like(s->env, 1, &reason);
    if (!env) return glia_fail(error, reason.status, "%s", reason.message);
    double *x = malloc((size_t)(s->inputs + 2 * s->outputs) * sizeof *x);
    glia_status status = x ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t k = 0; status == GLIA_OK && k < episodes; k++)
        status = play_episode(s, p, env, seed + (uint64_t)k, x, &returns[k], error);
    free(x);
    glia_env_free(env);
    return status;
}

glia_status glia_stage_play(const glia_stage *s, const glia_policy *p, uint64_t seed, int64_t episodes, double *mean,
                            glia_error *error) {
    double *returns = malloc((size_t)episodes * sizeof *returns), total = 0;
    if (!returns) return glia_fail_nomem(error);
    glia_status status = glia_stage_returns(s, p, seed, episodes, returns, error);
    for (int64_t k = 0; status == GLIA_OK && k < episodes; k++) total += returns[k];
    *mean = total / (double)episodes;
    free(returns);
    return status;
}

void glia_policy_free(glia_policy *p) {
    if (p->free && p->net) p->free(p->net);
    p->net = NULL;
}
