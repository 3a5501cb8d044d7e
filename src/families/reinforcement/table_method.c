/* table_method.c - the methods "q-table" and "sarsa": action values in a table (Watkins 1989; Rummery and Niranjan
 * 1994; Sutton and Barto 2018, sections 6.4 and 6.5).
 *
 *     Q(s, a) += rate (r + gamma max Q(s', .) - Q(s, a))        q-table
 *     Q(s, a) += rate (r + gamma Q(s', a') - Q(s, a))           sarsa; a' is the action that follows
 *
 * The table is the kernel (actions, states) of the model's layer "q" over one-hot observations. The rate is the
 * learning rate of the run.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/store.h"
#include "families/reinforcement/agent.h"
#include "glia/layers.h"
#include "train/model/model.h"

enum { ROUND = 100, EXPLORATION = 0x7461, DRAWS = 4 }; /* steps of each copy in a step of training; random numbers */

typedef struct table {
    /* settings */
    int64_t steps, eval_episodes;
    double gamma, epsilon_first, epsilon_last, exploration;
    /* training */
    glia_actor actor;
    float *q;                /* (actions, states) */
    int32_t *state, *chosen; /* (copies) before a step; the action that follows, -1: not chosen yet */
    int64_t counter;         /* steps of all copies together */
    int loss_mean;
    bool follows; /* sarsa */
} table;

static const glia_setting settings[] = {
    { "steps", GLIA_SETTING_INT, offsetof(table, steps), 10000, 1, 1e12, NULL, "steps in the environment in an epoch" },
    { "gamma", GLIA_SETTING_REAL, offsetof(table, gamma), 0.99, 0, 1, NULL, "discount of a step" },
    { "epsilon_first", GLIA_SETTING_REAL, offsetof(table, epsilon_first), 1, 0, 1, NULL, "random actions at first" },
    { "epsilon_last", GLIA_SETTING_REAL, offsetof(table, epsilon_last), 0.05, 0, 1, NULL, "random actions at last" },
    { "exploration", GLIA_SETTING_REAL, offsetof(table, exploration), 0.5, 0, 1, NULL,
      "part of the training in which they become fewer" },
    { "eval_episodes", GLIA_SETTING_INT, offsetof(table, eval_episodes), 20, 0, 1e6, NULL,
      "episodes played without exploration after an epoch" },
};

static glia_status check(const glia_training *t, glia_error *error) {
    const table *m = t->memory;
    const char *method = t->method->about.name;
    if (m->actor.observation.kind != GLIA_SPACE_DISCRETE) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the method %s needs states that can be counted; %s has numbers",
                         method, glia_env_kind_of(m->actor.env)->name);
    }
    return glia_training_plain_sgd(t, error);
}

static glia_status begin(glia_training *t, glia_error *error) {
    table *m = t->memory;
    glia_tensor x, features;
    glia_array kernel;
    glia_status status = glia_actor_begin(t, &m->actor, false, error);
    if (status == GLIA_OK) status = check(t, error);
    if (status == GLIA_OK) status = glia_agent_ends(t->model->graph, t->method->about.name, &x, &features, error);
    if (status != GLIA_OK) return status;
    const glia_dense_opts opts = { .units = (int)m->actor.actions,
                                   .no_bias = true,
                                   .kernel_init = { .kind = GLIA_INIT_ZEROS } };
    status = glia_agent_output(t, "q", glia_dense(features, "q", opts), error);
    if (status != GLIA_OK) return status;
    if (!glia_store_look(t->model->store, "q/kernel", &kernel) ||
        !glia_shape_equal(kernel.shape, GLIA_SHAPE(m->actor.actions, m->actor.numbers))) {
        return glia_fail(error, GLIA_E_SHAPE, "the method %s needs a model whose features are its input",
                         t->method->about.name);
    }
    m->q = kernel.data;
    m->follows = strcmp(t->method->about.name, "sarsa") == 0;
    m->state = calloc((size_t)m->actor.copies, sizeof *m->state);
    m->chosen = calloc((size_t)m->actor.copies, sizeof *m->chosen);
    if (!m->state || !m->chosen) return glia_fail_nomem(error);
    for (int64_t i = 0; i < m->actor.copies; i++) m->chosen[i] = -1;
    t->full_lr = glia_optimizer_resolved(t->opts.optimizer).lr;
    t->epoch_steps = GLIA_MAX(m->steps / (ROUND * m->actor.copies), 1);
    m->loss_mean = glia_training_mean(t, "loss");
    return GLIA_OK;
}

static void end(glia_training *t) {
    table *m = t->memory;
    glia_actor_end(&m->actor);
    free(m->state);
    free(m->chosen);
}

/* ---- steps --------------------------------------------------------------------------------------- */

static float *value_of(const table *m, int32_t state, int32_t action) {
    return &m->q[(int64_t)action * m->actor.numbers + state];
}

static int32_t best_action(const table *m, int32_t state) {
    int32_t best = 0;
    for (int32_t k = 1; k < m->actor.actions; k++) best = *value_of(m, state, k) > *value_of(m, state, best) ? k : best;
    return best;
}

static int32_t choose(const glia_training *t, int64_t copy, int32_t state) {
    const table *m = t->memory;
    glia_rng rng = { .seed = t->opts.seed, .stream = EXPLORATION, .position = (uint64_t)(m->counter + copy) * DRAWS };
    const double done = t->total > 0 ? (double)t->done / (double)t->total : 1;
    const double part = m->exploration > 0 ? fmin(done / m->exploration, 1) : 1;
    const bool random = glia_rng_uniform(&rng) < m->epsilon_first + part * (m->epsilon_last - m->epsilon_first);
    return random ? (int32_t)(glia_rng_uniform(&rng) * (double)m->actor.actions) : best_action(m, state);
}

/* Learns from the step of one copy; its next action is chosen already. */
static void learn(glia_training *t, int64_t i) {
    table *m = t->memory;
    const glia_env_result *now = &m->actor.now;
    const int32_t after = ((const int32_t *)now->observations)[i], action = m->chosen[i];
    m->counter++;
    m->chosen[i] = -1;
    if (now->started[i]) return;
    const int32_t next = m->follows ? choose(t, 0, after) : best_action(m, after);
    if (m->follows && !now->terminated[i] && !now->truncated[i]) m->chosen[i] = next;
    const double later = now->terminated[i] ? 0 : m->gamma * (double)*value_of(m, after, next);
    float *value = value_of(m, m->state[i], action);
    const double apart = now->rewards[i] + later - (double)*value;
    *value = (float)((double)*value + t->progress.lr * apart);
    t->progress.loss += fabs(apart) / (double)(ROUND * m->actor.copies);
}

static glia_status step(glia_training *t, const glia_batch *unused, glia_error *error) {
    table *m = t->memory;
    glia_actor *a = &m->actor;
    glia_status status = GLIA_OK;
    (void)unused;
    t->progress.loss = 0;
    for (int round = 0; round < ROUND && status == GLIA_OK; round++) {
        memcpy(m->state, a->now.observations, (size_t)a->copies * sizeof *m->state);
        for (int64_t i = 0; i < a->copies; i++) {
            if (m->chosen[i] < 0) m->chosen[i] = choose(t, i, m->state[i]);
        }
        status = glia_actor_step(t, a, m->chosen, error);
        for (int64_t i = 0; status == GLIA_OK && i < a->copies; i++) learn(t, i);
    }
    glia_training_add(t, m->loss_mean, t->progress.loss, 1);
    glia_store_touch(t->model->store);
    return status;
}

static glia_status measure(glia_training *t, glia_error *error) {
    table *m = t->memory;
    return glia_actor_measure(t, &m->actor, m->eval_episodes, error);
}

/* ---- checkpoints ---------------------------------------------------------------------------------- */

enum { OWN = 2 };
static void own_arrays(table *m, glia_array out[OWN]) {
    out[0] = (glia_array){ "steps", GLIA_I64, GLIA_SHAPE(1), &m->counter, false };
    out[1] = (glia_array){ "chosen", GLIA_I32, GLIA_SHAPE(m->actor.copies), m->chosen, false };
}

static int arrays(glia_training *t, glia_array *out, int capacity) {
    table *m = t->memory;
    own_arrays(m, out);
    return OWN + glia_env_save(m->actor.env, out + OWN, capacity - OWN);
}

static glia_status restore(glia_training *t, const glia_array *from, int n, bool check_only, glia_error *error) {
    table *m = t->memory;
    glia_array own[OWN];
    own_arrays(m, own);
    glia_status status = glia_actor_restore(&m->actor, from, n, check_only, error);
    for (int i = 0; i < OWN && status == GLIA_OK; i++) status = glia_training_take(&own[i], from, n, check_only, error);
    for (int64_t i = 0; i < m->actor.copies && !check_only; i++) {
        if (m->chosen[i] >= m->actor.actions) m->chosen[i] = -1;
    }
    return status;
}

#define METHOD(record, name_, summary_, paper_)                                                                        \
    const glia_method glia_method_##record = {                                                                         \
        .about = { .name = name_,                                                                                      \
                   .summary = summary_,                                                                                \
                   .paper = paper_,                                                                                    \
                   .settings = settings,                                                                               \
                   .n_settings = GLIA_COUNT(settings),                                                                 \
                   .uses = GLIA_USES_ENVIRONMENT | GLIA_USES_OPTIMIZER,                                                \
                   .assesses = true },                                                                                 \
        .bytes = sizeof(table),                                                                                        \
        .begin = begin,                                                                                                \
        .step = step,                                                                                                  \
        .measure = measure,                                                                                            \
        .arrays = arrays,                                                                                              \
        .restore = restore,                                                                                            \
        .end = end,                                                                                                    \
        .assess = glia_actor_assess,                                                                                   \
    }

METHOD(q_table, "q-table", "action values in a table, of the best action", "Watkins 1989");
METHOD(sarsa, "sarsa", "action values in a table, of the action that follows", "Rummery and Niranjan 1994");
