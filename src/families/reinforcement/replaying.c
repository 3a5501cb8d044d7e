/* replaying.c - checkpoints of methods with a replay: environment, waiting steps, transitions, counters. */
#include <string.h>

#include "families/reinforcement/agent.h"
#include "families/reinforcement/n_step.h"

static glia_array counters_array(int64_t counters[2]) {
    return (glia_array){ "steps", GLIA_I64, GLIA_SHAPE(2), counters, false };
}

int glia_replaying_arrays(const glia_actor *actor, const glia_n_step *steps, const glia_replay *replay,
                          int64_t counters[2], glia_array *out, int capacity) {
    int n = 0;
    out[n++] = counters_array(counters);
    glia_n_step_arrays(steps, out + n);
    n += GLIA_N_STEP_ARRAYS;
    n += glia_env_save(actor->env, out + n, capacity - n);
    return n + glia_replay_state(replay, out + n, capacity - n);
}

static bool is_of_replay(const char *name) {
    static const char *const names[] = { "rows/", "counters", "priorities", "largest" };
    for (int i = 0; i < GLIA_COUNT(names); i++) {
        if (!strncmp(name, names[i], strlen(names[i]))) return true;
    }
    return false;
}

glia_status glia_replaying_restore(glia_actor *actor, glia_n_step *steps, glia_replay *replay, int64_t counters[2],
                                   const glia_array *from, int n, bool check_only, glia_error *error) {
    glia_array rows[GLIA_RUN_ARRAYS], own[1 + GLIA_N_STEP_ARRAYS];
    int n_rows = 0;
    for (int i = 0; i < n && n_rows < GLIA_RUN_ARRAYS; i++) {
        if (is_of_replay(from[i].name)) rows[n_rows++] = from[i];
    }
    glia_status status = glia_actor_restore(actor, from, n, check_only, error);
    if (status == GLIA_OK) {
        status = check_only ? glia_replay_check(replay, rows, n_rows, error)
                            : glia_replay_restore(replay, rows, n_rows, error);
    }
    own[0] = counters_array(counters);
    glia_n_step_arrays(steps, own + 1);
    for (int i = 0; status == GLIA_OK && i < GLIA_COUNT(own); i++) {
        status = glia_actor_take(&own[i], from, n, check_only, error);
    }
    return status == GLIA_OK && check_only ? glia_n_step_check(steps, from, n, error) : status;
}
