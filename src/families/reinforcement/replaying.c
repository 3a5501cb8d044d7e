/* replaying.c - what methods with a replay share: rounds of steps and updates, and checkpoints of environment, waiting
 * steps, transitions and counters. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/reinforcement/agent.h"

glia_status glia_replaying_begin(glia_training *t, glia_replaying *r, glia_replay_opts opts, glia_error *error) {
    glia_status status = glia_n_step_init(&r->waiting, r->actor.env, r->n_step, r->gamma, error);
    if (status != GLIA_OK) return status;
    opts.capacity = r->capacity;
    glia_error reason = { 0 };
    r->replay = glia_n_step_replay(&r->waiting, opts, &reason);
    if (!r->replay) return glia_fail(error, reason.status, "%s", reason.message);
    r->before = calloc((size_t)r->actor.copies, r->actor.bytes);
    t->epoch_steps = GLIA_MAX(r->steps / (r->train_every * r->actor.copies), 1);
    return r->before ? GLIA_OK : glia_fail_nomem(error);
}

void glia_replaying_end(glia_replaying *r) {
    glia_actor_end(&r->actor);
    glia_n_step_free(&r->waiting);
    glia_replay_free(r->replay);
    free(r->before);
}

/* One step of all copies. */
static glia_status act(glia_training *t, glia_replaying *r, const void *actions, glia_replaying_fn choose,
                       glia_error *error) {
    glia_actor *a = &r->actor;
    glia_status status = choose(t, error);
    if (status != GLIA_OK) return status;
    memcpy(r->before, a->now.observations, (size_t)a->copies * a->bytes);
    status = glia_actor_step(t, a, actions, error);
    r->counters[0] += a->copies;
    return status == GLIA_OK ? glia_n_step_take(&r->waiting, r->before, actions, &a->now, r->replay, error) : status;
}

glia_status glia_replaying_round(glia_training *t, glia_replaying *r, const void *actions, glia_replaying_fn choose,
                                 glia_replaying_fn learn, glia_error *error) {
    glia_status status = GLIA_OK;
    t->progress.loss = 0;
    for (int64_t i = 0; status == GLIA_OK && i < r->train_every; i++) status = act(t, r, actions, choose, error);
    if (r->counters[0] < r->learning_starts || glia_replay_count(r->replay) == 0) return status;
    for (int64_t i = 0; status == GLIA_OK && i < r->gradient_steps && isfinite(t->progress.loss); i++)
        status = learn(t, error);
    return status;
}

/* ---- checkpoints ------------------------------------------------------------------------------------ */

static glia_array counters_array(int64_t counters[2]) {
    return (glia_array){ "steps", GLIA_I64, GLIA_SHAPE(2), counters, false };
}

int glia_replaying_arrays(glia_replaying *r, glia_array *out, int capacity) {
    int n = 0;
    out[n++] = counters_array(r->counters);
    glia_n_step_arrays(&r->waiting, out + n);
    n += GLIA_N_STEP_ARRAYS;
    n += glia_env_save(r->actor.env, out + n, capacity - n);
    return n + glia_replay_state(r->replay, out + n, capacity - n);
}

static bool is_of_replay(const char *name) {
    static const char *const names[] = { "rows/", "counters", "priorities", "largest" };
    for (int i = 0; i < GLIA_COUNT(names); i++) {
        if (!strncmp(name, names[i], strlen(names[i]))) return true;
    }
    return false;
}

glia_status glia_replaying_restore(glia_replaying *r, const glia_array *from, int n, bool check_only,
                                   glia_error *error) {
    glia_array rows[GLIA_RUN_ARRAYS], own[1 + GLIA_N_STEP_ARRAYS];
    int n_rows = 0;
    for (int i = 0; i < n && n_rows < GLIA_RUN_ARRAYS; i++) {
        if (is_of_replay(from[i].name)) rows[n_rows++] = from[i];
    }
    glia_status status = glia_actor_restore(&r->actor, from, n, check_only, error);
    if (status == GLIA_OK) {
        status = check_only ? glia_replay_check(r->replay, rows, n_rows, error)
                            : glia_replay_restore(r->replay, rows, n_rows, error);
    }
    own[0] = counters_array(r->counters);
    glia_n_step_arrays(&r->waiting, own + 1);
    for (int i = 0; status == GLIA_OK && i < GLIA_COUNT(own); i++) {
        status = glia_training_take(&own[i], from, n, check_only, error);
    }
    return status == GLIA_OK && check_only ? glia_n_step_check(&r->waiting, from, n, error) : status;
}
