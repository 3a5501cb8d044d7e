/* n_step.c - see n_step.h. */
#include "families/reinforcement/n_step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

glia_status glia_n_step_init(glia_n_step *s, const glia_env *env, int64_t n, double gamma, glia_error *error) {
    *s = (glia_n_step){ .n = n, .copies = glia_env_copies(env), .gamma = gamma };
    s->observation = glia_env_observation_space(env);
    s->action = glia_env_action_space(env);
    s->observation_bytes = glia_space_bytes(&s->observation);
    s->action_bytes = glia_space_bytes(&s->action);
    const size_t waiting = (size_t)(n * s->copies);
    s->observations = calloc(waiting, s->observation_bytes);
    s->actions = calloc(waiting, s->action_bytes);
    s->rewards = calloc(waiting, sizeof *s->rewards);
    s->counts = calloc((size_t)s->copies, sizeof *s->counts);
    return s->observations && s->actions && s->rewards && s->counts ? GLIA_OK : glia_fail_nomem(error);
}

void glia_n_step_free(glia_n_step *s) {
    free(s->observations);
    free(s->actions);
    free(s->rewards);
    free(s->counts);
}

glia_replay *glia_n_step_replay(const glia_n_step *s, glia_replay_opts opts, glia_error *error) {
    const glia_replay_field fields[] = {
        { "observation", s->observation.dtype, s->observation.shape },
        { "action", s->action.dtype, s->action.shape },
        { "return", GLIA_F32, { 0 } },
        { "discount", GLIA_F32, { 0 } },
        { "next", s->observation.dtype, s->observation.shape },
    };
    return glia_replay_create(fields, GLIA_COUNT(fields), opts, error);
}

static glia_array row(const char *name, const glia_space *space, const void *data) {
    glia_array a = { .name = name, .dtype = space->dtype, .shape = GLIA_SHAPE(1), .data = (void *)(uintptr_t)data };
    for (int i = 0; i < space->shape.rank; i++) a.shape.dim[a.shape.rank++] = space->shape.dim[i];
    return a;
}

/* Adds the transition of the oldest waiting step, and forgets it. */
static glia_status complete(glia_n_step *s, int64_t copy, const void *next, bool terminated, glia_replay *replay,
                            glia_error *error) {
    const int64_t count = s->counts[copy], first = copy * s->n;
    double sum = 0, factor = 1;
    for (int64_t k = 0; k < count; k++, factor *= s->gamma) sum += factor * s->rewards[first + k];
    uint8_t *observations = s->observations + (size_t)first * s->observation_bytes;
    uint8_t *actions = s->actions + (size_t)first * s->action_bytes;
    float total = (float)sum, discount = terminated ? 0 : (float)factor;
    const glia_array rows[] = {
        row("observation", &s->observation, observations),
        row("action", &s->action, actions),
        { .name = "return", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1), .data = &total },
        { .name = "discount", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1), .data = &discount },
        row("next", &s->observation, next),
    };
    glia_status status = glia_replay_add(replay, rows, GLIA_COUNT(rows), error);
    const size_t left = (size_t)(count - 1);
    memmove(observations, observations + s->observation_bytes, left * s->observation_bytes);
    memmove(actions, actions + s->action_bytes, left * s->action_bytes);
    memmove(s->rewards + first, s->rewards + first + 1, left * sizeof *s->rewards);
    s->counts[copy]--;
    return status;
}

glia_status glia_n_step_add(glia_n_step *s, int64_t copy, const void *observation, const void *action, double reward,
                            const void *next, bool terminated, bool truncated, glia_replay *replay, glia_error *error) {
    const size_t at = (size_t)(copy * s->n + s->counts[copy]);
    memcpy(s->observations + at * s->observation_bytes, observation, s->observation_bytes);
    memcpy(s->actions + at * s->action_bytes, action, s->action_bytes);
    s->rewards[at] = reward;
    s->counts[copy]++;
    glia_status status = GLIA_OK;
    const bool over = terminated || truncated;
    while (status == GLIA_OK && s->counts[copy] > 0 && (over || s->counts[copy] == s->n)) {
        status = complete(s, copy, next, terminated, replay, error);
    }
    return status;
}

glia_status glia_n_step_take(glia_n_step *s, const void *observations, const void *actions, const glia_env_result *now,
                             glia_replay *replay, glia_error *error) {
    glia_status status = GLIA_OK;
    for (int64_t i = 0; status == GLIA_OK && i < s->copies; i++) {
        const size_t seen = (size_t)i * s->observation_bytes, done = (size_t)i * s->action_bytes;
        if (now->started[i]) continue;
        status = glia_n_step_add(s, i, (const uint8_t *)observations + seen, (const uint8_t *)actions + done,
                                 now->rewards[i], (const uint8_t *)now->observations + seen, now->terminated[i],
                                 now->truncated[i], replay, error);
    }
    return status;
}

void glia_n_step_arrays(const glia_n_step *s, glia_array out[GLIA_N_STEP_ARRAYS]) {
    const int64_t waiting = s->n * s->copies;
    const glia_array all[GLIA_N_STEP_ARRAYS] = {
        { "n_step/observations", GLIA_U8, GLIA_SHAPE(waiting * (int64_t)s->observation_bytes), s->observations, false },
        { "n_step/actions", GLIA_U8, GLIA_SHAPE(waiting * (int64_t)s->action_bytes), s->actions, false },
        { "n_step/rewards", GLIA_F64, GLIA_SHAPE(waiting), s->rewards, false },
        { "n_step/counts", GLIA_I64, GLIA_SHAPE(s->copies), s->counts, false },
    };
    memcpy(out, all, sizeof all);
}

glia_status glia_n_step_check(const glia_n_step *s, const glia_array *arrays, int n, glia_error *error) {
    for (int i = 0; i < n; i++) {
        if (strcmp(arrays[i].name, "n_step/counts") != 0) continue;
        const int64_t *counts = arrays[i].data;
        for (int64_t k = 0; k < s->copies; k++) {
            if (counts[k] < 0 || counts[k] >= s->n)
                return glia_fail(error, GLIA_E_FORMAT, "has %lld waiting steps of %lld", (long long)counts[k],
                                 (long long)s->n);
        }
    }
    return GLIA_OK;
}
