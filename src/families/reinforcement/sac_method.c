/* sac_method.c - the method "sac": soft actor-critic for actions that are numbers (Haarnoja et al. 2018, "Soft
 * actor-critic algorithms and applications").
 *
 *     replay ──► batch ──► two critics: y = return + discount (min of the target critics - alpha log p(a'|s'))
 *                          actor: alpha log p(a|s) - min of the critics, a = tanh(mean + deviation * noise)
 *                          alpha: so that the entropy becomes that of `target_entropy`
 *
 * All three take their step in one run of one program. Critics, like the optimisers, belong to the training; the model
 * is the actor, its output "policy" the squashed mean.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/store.h"
#include "families/reinforcement/agent.h"
#include "glia/layers.h"
#include "glia/losses.h"

enum { EXPLORATION = 0x7363, CRITICS = 2, GROUPS = 3 };
static const char *const groups[GROUPS] = { "actor", "critic", "alpha" };

typedef struct sac {
    /* settings */
    int64_t units;
    double tau, alpha, target_entropy;
    bool tuned;
    glia_replaying run; /* settings and state of the steps */
    /* training */
    glia_graph *graph;
    glia_agent_program act, learn;
    float *act_x, *rates[GROUPS];
    float *x, *next, *returns, *discounts, *action; /* inputs of `learn` */
    float *centre, *scale;                          /* (actions) of the bounds */
    float *actions;                                 /* (copies, actions) */
    int loss_mean, actor_mean, alpha_mean;
} sac;

static const glia_setting settings[] = {
    { "steps", GLIA_SETTING_INT, offsetof(sac, run.steps), 1000, 1, 1e12, NULL,
      "steps in the environment in an epoch" },
    { "gamma", GLIA_SETTING_REAL, offsetof(sac, run.gamma), 0.99, 0, 1, NULL, "discount of a step" },
    { "learning_starts", GLIA_SETTING_INT, offsetof(sac, run.learning_starts), 500, 0, 1e12, NULL,
      "random steps before the first update" },
    { "capacity", GLIA_SETTING_INT, offsetof(sac, run.capacity), 100000, 1, 1e9, NULL, "transitions in the replay" },
    { "train_every", GLIA_SETTING_INT, offsetof(sac, run.train_every), 1, 1, 1e6, NULL,
      "steps of each copy per round" },
    { "gradient_steps", GLIA_SETTING_INT, offsetof(sac, run.gradient_steps), 1, 1, 1e6, NULL, "updates per round" },
    { "n_step", GLIA_SETTING_INT, offsetof(sac, run.n_step), 1, 1, 1000, NULL, "steps of a return" },
    { "tau", GLIA_SETTING_REAL, offsetof(sac, tau), 0.005, 0, 1, NULL, "share of the critics in their targets" },
    { "units", GLIA_SETTING_INT, offsetof(sac, units), 64, 1, 1e5, NULL, "of both layers of a critic" },
    { "tuned", GLIA_SETTING_SWITCH, offsetof(sac, tuned), 1, 0, 0, NULL, "alpha follows the entropy" },
    { "alpha", GLIA_SETTING_REAL, offsetof(sac, alpha), 1, 1e-9, 1e9, NULL, "weight of the entropy, at first" },
    { "target_entropy", GLIA_SETTING_REAL, offsetof(sac, target_entropy), 0, -1e9, 1e9, NULL,
      "0: minus the number of actions" },
    { "eval_episodes", GLIA_SETTING_INT, offsetof(sac, run.eval_episodes), 10, 0, 1e6, NULL,
      "episodes played by the mean action after an epoch" },
};

/* ---- the graph ----------------------------------------------------------------------------------------- */

static glia_tensor numbers(glia_graph *g, const float *values, int64_t n) {
    double all[64];
    for (int64_t i = 0; i < n; i++) all[i] = (double)values[i];
    return glia_constant(g, GLIA_F32, GLIA_SHAPE(n), all);
}

static glia_tensor dense(glia_tensor x, const char *name, int units) {
    return glia_dense(x, name, (glia_dense_opts){ .units = units });
}

static glia_tensor mean_action(const sac *m, glia_tensor features) {
    return dense(features, "policy/mean", (int)m->run.actor.actions);
}

typedef struct drawn {
    glia_tensor action, log_prob; /* in (-1, 1); (N) */
} drawn;

static drawn draw_action(const sac *m, glia_tensor features) {
    glia_tensor mean = mean_action(m, features);
    glia_tensor log_std = glia_clip(dense(features, "policy/log_std", (int)m->run.actor.actions), -20, 2);
    glia_tensor noise = glia_random_normal(m->graph, mean->shape);
    glia_tensor u = glia_add(mean, glia_mul(glia_exp(log_std), noise));
    /* log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)) */
    glia_tensor squashed = glia_mul_scalar(
        glia_sub(glia_add_scalar(glia_neg(u), 0.6931471805599453), glia_softplus(glia_mul_scalar(u, -2))), 2);
    glia_tensor log_prob = glia_sub(glia_gaussian_log_prob(mean, log_std, u), glia_sum(squashed, GLIA_SHAPE(1), false));
    return (drawn){ glia_tanh(u), log_prob };
}

/* One critic: (N). */
static glia_tensor criticize(const sac *m, int which, glia_tensor x, glia_tensor action) {
    static const char *const names[CRITICS][3] = { { "critic1/dense1", "critic1/dense2", "critic1/q" },
                                                   { "critic2/dense1", "critic2/dense2", "critic2/q" } };
    const glia_tensor both[] = { glia_flatten(x), action };
    const glia_dense_opts hidden = { .units = (int)m->units, .activation = GLIA_RELU };
    glia_tensor y = glia_dense(glia_concat(both, 2, 1), names[which][0], hidden);
    y = dense(glia_dense(y, names[which][1], hidden), names[which][2], 1);
    return glia_reshape(y, GLIA_SHAPE(GLIA_BATCH));
}

static glia_tensor least(const sac *m, glia_tensor x, glia_tensor action) {
    return glia_minimum(criticize(m, 0, x, action), criticize(m, 1, x, action));
}

/* q with target critics, states "target/NAME" that follow the critics. */
static glia_status with_targets(sac *m, glia_tensor q, glia_tensor *target, glia_error *error) {
    const int n = glia_parameters(m->graph, "critic*", NULL, 0);
    glia_tensor *from = calloc((size_t)n + 1, sizeof *from), *to = calloc((size_t)n + 1, sizeof *to);
    glia_arena names = { 0 };
    glia_status status = from && to ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) glia_parameters(m->graph, "critic*", from, n);
    for (int i = 0; i < n && status == GLIA_OK; i++) {
        const char *name = glia_arena_printf(&names, "target/%s", glia_leaf_of(from[i])->name);
        if (!name) {
            status = glia_fail_nomem(error);
            break;
        }
        to[i] = glia_state(m->graph, name, GLIA_F32, from[i]->shape, (glia_init){ .kind = GLIA_INIT_ZEROS });
        glia_update(to[i], glia_add(to[i], glia_mul_scalar(glia_sub(from[i], to[i]), m->tau)), groups[1]);
    }
    if (status == GLIA_OK) glia_substitute(&q, 1, from, to, n, target);
    free(from);
    free(to);
    glia_arena_free(&names);
    return status;
}

/* The actor's parameters, as a pattern: those that the model has. Release with free(). */
static char *actor_pattern(const glia_training *t) {
    glia_text text = { 0 };
    for (int i = 0; i < glia_store_count(t->model->store); i++) {
        const glia_array a = glia_store_entry(t->model->store, i);
        if (a.parameter) glia_text_printf(&text, "%s%s", text.length ? "," : "", a.name);
    }
    if (!text.failed) return text.bytes;
    free(text.bytes);
    return NULL;
}

static glia_tensor mean(glia_tensor x) { return glia_mean(x, GLIA_SCALAR, false); }

/* Losses of actor, critics and alpha. */
static glia_status build_losses(glia_training *t, glia_tensor x, glia_tensor features, glia_tensor *losses,
                                glia_error *error) {
    sac *m = t->memory;
    glia_graph *g = m->graph;
    const glia_shape many = GLIA_SHAPE(GLIA_BATCH);
    glia_tensor next = glia_input(g, "next", GLIA_F32, x->shape), next_features, target;
    glia_tensor performed = glia_input(g, "action", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, m->run.actor.actions));
    glia_tensor returns = glia_input(g, "return", GLIA_F32, many),
                discounts = glia_input(g, "discount", GLIA_F32, many);
    glia_tensor log_alpha = glia_parameter(g, "alpha/log", GLIA_F32, GLIA_SCALAR,
                                           (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = log(m->alpha) });
    glia_tensor alpha = glia_stop_gradient(glia_exp(log_alpha));
    glia_substitute(&features, 1, &x, &next, 1, &next_features);
    const drawn now = draw_action(m, features), then = draw_action(m, next_features);
    glia_status status = with_targets(m, least(m, next, then.action), &target, error);
    if (status != GLIA_OK) return status;
    glia_tensor soft = glia_sub(target, glia_mul(alpha, then.log_prob));
    glia_tensor wanted = glia_stop_gradient(glia_add(returns, glia_mul(discounts, soft)));
    glia_tensor first = glia_sub(criticize(m, 0, x, performed), wanted);
    glia_tensor second = glia_sub(criticize(m, 1, x, performed), wanted);
    const double entropy = m->target_entropy != 0 ? m->target_entropy : -(double)m->run.actor.actions;
    losses[0] = mean(glia_sub(glia_mul(alpha, now.log_prob), least(m, x, now.action)));
    losses[1] = glia_mul_scalar(mean(glia_add(glia_square(first), glia_square(second))), 0.5);
    glia_tensor lack = glia_stop_gradient(mean(glia_add_scalar(now.log_prob, entropy)));
    losses[2] = glia_neg(glia_mul(log_alpha, lack));
    losses[3] = alpha;
    return GLIA_OK;
}

static glia_status build_learning(glia_training *t, glia_tensor x, glia_tensor features, glia_error *error) {
    sac *m = t->memory;
    glia_tensor losses[GROUPS + 1];
    glia_status status = build_losses(t, x, features, losses, error);
    char *pattern = status == GLIA_OK ? actor_pattern(t) : NULL;
    if (status == GLIA_OK && !pattern) status = glia_fail_nomem(error);
    if (status != GLIA_OK) return status;
    const char *const patterns[GROUPS] = { pattern, "critic*", "alpha*" };
    const int n = m->tuned ? GROUPS : GROUPS - 1;
    for (int i = 0; i < n; i++) glia_minimize(losses[i], t->opts.optimizer, patterns[i], groups[i]);
    free(pattern);
    const glia_compile_opts opts = { .outputs = losses,
                                     .n_outputs = GROUPS + 1,
                                     .mode = GLIA_TRAIN,
                                     .updates = m->tuned ? "actor,critic,alpha" : "actor,critic",
                                     .batch = t->opts.batch,
                                     .precision = t->opts.precision };
    return glia_agent_compile(t, m->graph, opts, &m->learn, error);
}

static glia_tensor to_bounds(const sac *m, glia_tensor squashed) {
    glia_graph *g = squashed->graph;
    return glia_add(glia_mul(squashed, numbers(g, m->scale, m->run.actor.actions)),
                    numbers(g, m->centre, m->run.actor.actions));
}

static void find_inputs(sac *m, const char *x) {
    static const char *const rates[GROUPS] = { "actor/lr", "critic/lr", "alpha/lr" };
    m->act_x = glia_agent_input(&m->act, x);
    m->x = glia_agent_input(&m->learn, x);
    m->next = glia_agent_input(&m->learn, "next");
    m->action = glia_agent_input(&m->learn, "action");
    m->returns = glia_agent_input(&m->learn, "return");
    m->discounts = glia_agent_input(&m->learn, "discount");
    for (int i = 0; i < (m->tuned ? GROUPS : GROUPS - 1); i++) m->rates[i] = glia_agent_input(&m->learn, rates[i]);
}

static glia_status build(glia_training *t, glia_error *error) {
    sac *m = t->memory;
    glia_tensor x, features;
    glia_status status = glia_agent_ends(t->model->graph, "sac", &x, &features, error);
    if (status != GLIA_OK) return status;
    glia_tensor log_std = dense(features, "policy/log_std", (int)m->run.actor.actions);
    status = glia_agent_output(t, "policy", to_bounds(m, glia_tanh(mean_action(m, features))), error);
    if (status == GLIA_OK) status = glia_agent_output(t, "log_std", log_std, error);
    if (status == GLIA_OK) status = glia_agent_graph(t, &m->graph, error);
    if (status == GLIA_OK) status = glia_agent_ends(m->graph, "sac", &x, &features, error);
    if (status == GLIA_OK) status = build_learning(t, x, features, error);
    if (status != GLIA_OK) return status;
    const glia_tensor performed = to_bounds(m, draw_action(m, features).action);
    const glia_compile_opts opts = {
        .outputs = &performed, .n_outputs = 1, .mode = GLIA_INFER, .batch = m->run.actor.copies
    };
    status = glia_agent_compile(t, m->graph, opts, &m->act, error);
    if (status == GLIA_OK) find_inputs(m, glia_leaf_of(x)->name);
    return status == GLIA_OK ? glia_store_blend(t->states, "target/", t->states, NULL, 1, error) : status;
}

static glia_status find_bounds(sac *m, glia_error *error) {
    const glia_space *space = &m->run.actor.action;
    const size_t n = (size_t)m->run.actor.actions;
    m->centre = calloc(n, sizeof *m->centre);
    m->scale = calloc(n, sizeof *m->scale);
    if (!m->centre || !m->scale) return glia_fail_nomem(error);
    for (size_t i = 0; i < n; i++) {
        const float low = space->low ? space->low[i] : -INFINITY, high = space->high ? space->high[i] : INFINITY;
        if (!isfinite(low) || !isfinite(high) || !(high > low) || n > 64) {
            return glia_fail(error, GLIA_E_ARGUMENT, "the method sac needs at most 64 actions within finite bounds");
        }
        m->centre[i] = (high + low) / 2;
        m->scale[i] = (high - low) / 2;
    }
    return GLIA_OK;
}

static glia_status begin(glia_training *t, glia_error *error) {
    sac *m = t->memory;
    const glia_setting_table table = glia_method_table(&t->method->about);
    const glia_setting_need need = { "target_entropy", m->tuned, "tuned=true" };
    glia_status status = glia_settings_check(&table, m, &need, 1, error);
    if (status == GLIA_OK) status = glia_actor_begin(t, &m->run.actor, true, error);
    if (status == GLIA_OK) status = find_bounds(m, error);
    if (status == GLIA_OK) status = build(t, error);
    if (status == GLIA_OK) status = glia_replaying_begin(t, &m->run, (glia_replay_opts){ 0 }, error);
    if (status != GLIA_OK) return status;
    m->actions = calloc((size_t)(m->run.actor.copies * m->run.actor.actions), sizeof *m->actions);
    if (!m->actions) return glia_fail_nomem(error);
    t->full_lr = (double)*m->rates[0];
    t->groups[t->n_groups++] = groups[0];
    m->loss_mean = glia_training_mean(t, "loss");
    m->actor_mean = glia_training_mean(t, "actor_loss");
    m->alpha_mean = glia_training_mean(t, "alpha");
    return GLIA_OK;
}

static void end(glia_training *t) {
    sac *m = t->memory;
    glia_replaying_end(&m->run);
    glia_agent_program_free(&m->act);
    glia_agent_program_free(&m->learn);
    glia_graph_free(m->graph);
    glia_store_free(t->states);
    free(m->centre);
    free(m->scale);
    free(m->actions);
}

/* ---- steps ------------------------------------------------------------------------------------------------- */

static glia_status choose(glia_training *t, glia_error *error) {
    sac *m = t->memory;
    glia_actor *a = &m->run.actor;
    const int64_t all = a->copies * a->actions;
    if (m->run.counters[0] < m->run.learning_starts) {
        glia_rng rng = { .seed = t->opts.seed,
                         .stream = EXPLORATION,
                         .position = (uint64_t)(m->run.counters[0] * a->actions * 2) };
        for (int64_t i = 0; i < all; i++) {
            const double drawn_number = 2 * glia_rng_uniform(&rng) - 1;
            m->actions[i] = m->centre[i % a->actions] + m->scale[i % a->actions] * (float)drawn_number;
        }
        return GLIA_OK;
    }
    glia_observation_floats(&a->observation, a->now.observations, a->copies, m->act_x);
    glia_status status = glia_session_run(m->act.session, error);
    if (status != GLIA_OK) return status;
    memcpy(m->actions, glia_session_output(m->act.session, 0).data, (size_t)all * sizeof *m->actions);
    return GLIA_OK;
}

static glia_status learn(glia_training *t, glia_error *error) {
    sac *m = t->memory;
    const glia_space *space = &m->run.actor.observation;
    const int64_t n = t->opts.batch, each = m->run.actor.actions;
    glia_replay_batch batch;
    const glia_replay_draw draw = { .seed = t->opts.seed, .step = m->run.counters[1]++ };
    glia_status status = glia_replay_sample(m->run.replay, n, draw, &batch, error);
    if (status != GLIA_OK) return status;
    glia_observation_floats(space, batch.arrays[0].data, n, m->x);
    const float *performed = batch.arrays[1].data;
    for (int64_t i = 0; i < n * each; i++) m->action[i] = (performed[i] - m->centre[i % each]) / m->scale[i % each];
    memcpy(m->returns, batch.arrays[2].data, (size_t)n * sizeof *m->returns);
    memcpy(m->discounts, batch.arrays[3].data, (size_t)n * sizeof *m->discounts);
    glia_observation_floats(space, batch.arrays[4].data, n, m->next);
    for (int i = 0; i < GROUPS; i++) {
        if (m->rates[i]) *m->rates[i] = (float)t->progress.lr;
    }
    status = glia_session_run(m->learn.session, error);
    if (status != GLIA_OK) return status;
    double found[GROUPS + 1];
    for (int i = 0; i <= GROUPS; i++) found[i] = (double)*(const float *)glia_session_output(m->learn.session, i).data;
    t->progress.loss = found[1];
    glia_training_add(t, m->loss_mean, found[1], 1);
    glia_training_add(t, m->actor_mean, found[0], 1);
    glia_training_add(t, m->alpha_mean, found[3], 1);
    return GLIA_OK;
}

static glia_status step(glia_training *t, const glia_batch *unused, glia_error *error) {
    sac *m = t->memory;
    (void)unused;
    return glia_replaying_round(t, &m->run, m->actions, choose, learn, error);
}

static glia_status measure(glia_training *t, glia_error *error) {
    sac *m = t->memory;
    return glia_actor_measure(t, &m->run.actor, m->run.eval_episodes, error);
}

static int arrays(glia_training *t, glia_array *out, int capacity) {
    sac *m = t->memory;
    return glia_replaying_arrays(&m->run, out, capacity);
}

static glia_status restore(glia_training *t, const glia_array *from, int n, bool check_only, glia_error *error) {
    sac *m = t->memory;
    return glia_replaying_restore(&m->run, from, n, check_only, error);
}

const glia_method glia_method_sac = {
    .about = { .name = "sac",
               .summary = "soft actor-critic, for actions that are numbers",
               .paper = "Haarnoja et al. 2018",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_ENVIRONMENT | GLIA_USES_OPTIMIZER | GLIA_USES_PRECISION | GLIA_USES_BATCH,
               .assesses = true },
    .bytes = sizeof(sac),
    .begin = begin,
    .step = step,
    .measure = measure,
    .arrays = arrays,
    .restore = restore,
    .end = end,
    .assess = glia_actor_assess,
};
