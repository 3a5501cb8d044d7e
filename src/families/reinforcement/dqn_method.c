/* dqn_method.c - the method "dqn": action values learned from a replay (Mnih et al. 2015), with the parts of Rainbow
 * (Hessel et al. 2018) as switches.
 *
 *     epsilon-greedy or noisy steps ──► returns of n steps ──► replay ──► batch ──► TD errors ──► updates, priorities
 *                                                    target net: a copy from time to time, or a moving average
 *
 * The target of a transition is return + discount * value of the next observation. The discount is gamma^n, and 0 only
 * after a termination: a truncated episode keeps the value of its last state.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/reinforcement/agent.h"
#include "glia/losses.h"

enum { EXPLORATION = 0x6471, DRAWS = 4 }; /* stream of random numbers; how many a step of one copy may use */

typedef struct dqn {
    /* settings */
    int64_t target_every, atoms;
    double tau, epsilon_first, epsilon_last, exploration, alpha, beta, low, high;
    bool double_q, duelling, prioritized, noisy;
    int distribution, loss;
    glia_replaying run; /* settings and state of the steps */
    /* training */
    glia_graph *graph;
    glia_agent_program act, learn;
    float *act_x, *rate;
    float *x, *next, *returns, *discounts, *weights; /* inputs of `learn` */
    int32_t *chosen, *actions;
    int loss_mean, epsilon_figure;
} dqn;

static const glia_setting settings[] = {
    { "steps", GLIA_SETTING_INT, offsetof(dqn, run.steps), 5000, 1, 1e12, NULL,
      "steps in the environment in an epoch" },
    { "gamma", GLIA_SETTING_REAL, offsetof(dqn, run.gamma), 0.99, 0, 1, NULL, "discount of a step" },
    { "learning_starts", GLIA_SETTING_INT, offsetof(dqn, run.learning_starts), 1000, 0, 1e12, NULL,
      "steps before the first update" },
    { "capacity", GLIA_SETTING_INT, offsetof(dqn, run.capacity), 50000, 1, 1e9, NULL, "transitions in the replay" },
    { "train_every", GLIA_SETTING_INT, offsetof(dqn, run.train_every), 1, 1, 1e6, NULL,
      "steps of each copy per round" },
    { "gradient_steps", GLIA_SETTING_INT, offsetof(dqn, run.gradient_steps), 1, 1, 1e6, NULL, "updates per round" },
    { "target_every", GLIA_SETTING_INT, offsetof(dqn, target_every), 1, 1, 1e9, NULL,
      "updates between those of the target net" },
    { "tau", GLIA_SETTING_REAL, offsetof(dqn, tau), 0.01, 0, 1, NULL, "share of the net in the target net; 1: a copy" },
    { "epsilon_first", GLIA_SETTING_REAL, offsetof(dqn, epsilon_first), 1, 0, 1, NULL, "random actions at first" },
    { "epsilon_last", GLIA_SETTING_REAL, offsetof(dqn, epsilon_last), 0.1, 0, 1, NULL, "random actions at last" },
    { "exploration", GLIA_SETTING_REAL, offsetof(dqn, exploration), 0.1, 0, 1, NULL,
      "part of the training in which they become fewer" },
    { "double", GLIA_SETTING_SWITCH, offsetof(dqn, double_q), 0, 0, 0, NULL,
      "the net chooses the action that the target net values (van Hasselt et al. 2016)" },
    { "duelling", GLIA_SETTING_SWITCH, offsetof(dqn, duelling), 0, 0, 0, NULL,
      "value and advantages apart (Wang et al. 2016)" },
    { "prioritized", GLIA_SETTING_SWITCH, offsetof(dqn, prioritized), 0, 0, 0, NULL,
      "draws by TD errors (Schaul et al. 2016)" },
    { "alpha", GLIA_SETTING_REAL, offsetof(dqn, alpha), 0.6, 0, 10, NULL, "exponent of priorities" },
    { "beta", GLIA_SETTING_REAL, offsetof(dqn, beta), 0.4, 0, 1, NULL,
      "exponent of importance weights at first; rises to 1" },
    { "n_step", GLIA_SETTING_INT, offsetof(dqn, run.n_step), 1, 1, 1000, NULL, "steps of a return (Sutton 1988)" },
    { "noisy", GLIA_SETTING_SWITCH, offsetof(dqn, noisy), 0, 0, 0, NULL,
      "noise on the weights of the head in place of random actions (Fortunato et al. 2018)" },
    { "distribution", GLIA_SETTING_CHOICE, offsetof(dqn, distribution), GLIA_Q_MEAN, 0, 0, "mean|c51|qr",
      "what is learned of a return (Bellemare et al. 2017, Dabney et al. 2018)" },
    { "atoms", GLIA_SETTING_INT, offsetof(dqn, atoms), 51, 2, 1000, NULL, "of a distribution" },
    { "low", GLIA_SETTING_REAL, offsetof(dqn, low), -100, -1e9, 1e9, NULL, "least return of c51" },
    { "high", GLIA_SETTING_REAL, offsetof(dqn, high), 100, -1e9, 1e9, NULL, "largest return of c51" },
    { "loss", GLIA_SETTING_CHOICE, offsetof(dqn, loss), 0, 0, 0, "huber|mse", "of TD errors" },
    { "eval_episodes", GLIA_SETTING_INT, offsetof(dqn, run.eval_episodes), 20, 0, 1e6, NULL,
      "episodes played without exploration after an epoch" },
};

/* ---- the graph --------------------------------------------------------------------------------------- */

static glia_q_head_opts head_opts(const dqn *m, bool silent) {
    return (glia_q_head_opts){ .actions = (int)m->run.actor.actions,
                               .duelling = m->duelling,
                               .noisy = m->noisy,
                               .silent = silent,
                               .distribution = (glia_q_distribution)m->distribution,
                               .atoms = (int)m->atoms,
                               .low = m->low,
                               .high = m->high };
}

/* Row `index` (N) of the second axis of x (N, A, K): (N, K). */
static glia_tensor row_of(glia_tensor x, glia_tensor index, int64_t actions) {
    glia_tensor mask = glia_reshape(glia_one_hot(index, (int)actions, GLIA_F32), GLIA_SHAPE(GLIA_BATCH, actions, 1));
    return glia_sum(glia_mul(x, mask), GLIA_SHAPE(1), false);
}

static glia_tensor flat(glia_tensor x) { return glia_reshape(x, GLIA_SHAPE(GLIA_BATCH)); }
static glia_tensor column(glia_tensor x) { return glia_reshape(x, GLIA_SHAPE(GLIA_BATCH, 1)); }

/* Target nets that follow in every update do so in the graph. */
static bool follows(const dqn *m) { return m->target_every == 1; }

/* The net once more, on the observations `next`: with its own weights, and with those of the target net, which are
 * states "target/NAME". */
static glia_status substitute(dqn *m, glia_tensor x, glia_tensor head, glia_tensor next, glia_tensor *now,
                              glia_tensor *target, glia_error *error) {
    const int n = glia_parameters(m->graph, NULL, NULL, 0);
    glia_tensor *from = calloc((size_t)n + 1, sizeof *from), *to = calloc((size_t)n + 1, sizeof *to);
    glia_arena names = { 0 };
    glia_status status = from && to ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) glia_parameters(m->graph, NULL, from, n);
    for (int i = 0; status == GLIA_OK && i < n; i++) {
        const char *name = glia_arena_printf(&names, "target/%s", glia_leaf_of(from[i])->name);
        if (!name)
            status = glia_fail_nomem(error);
        else
            to[i] = glia_state(m->graph, name, GLIA_F32, from[i]->shape, (glia_init){ .kind = GLIA_INIT_ZEROS });
    }
    if (status == GLIA_OK) {
        from[n] = x;
        to[n] = next;
        glia_substitute(&head, 1, from + n, to + n, 1, now);
        glia_substitute(&head, 1, from, to, n + 1, target);
        for (int i = 0; i < n && follows(m); i++)
            glia_update(to[i], glia_add(to[i], glia_mul_scalar(glia_sub(from[i], to[i]), m->tau)), NULL);
    }
    free(from);
    free(to);
    glia_arena_free(&names);
    return status;
}

typedef struct errors {
    glia_tensor loss, priority; /* (N) */
} errors;

/* Compares the values of the chosen actions (N, K) with what the next observation promises (N, K). */
static errors compare(const dqn *m, glia_tensor chosen, glia_tensor promised, glia_tensor returns,
                      glia_tensor discounts) {
    if (m->distribution == GLIA_Q_CATEGORICAL) {
        glia_tensor p = glia_softmax(promised, 1), log_q = glia_log_softmax(chosen, 1);
        glia_tensor wanted = glia_stop_gradient(glia_categorical_projection(p, returns, discounts, m->low, m->high));
        glia_tensor loss = glia_neg(glia_sum(glia_mul(wanted, log_q), GLIA_SHAPE(1), false));
        glia_tensor log_p = glia_log(glia_maximum(wanted, glia_like(wanted, 1e-12)));
        glia_tensor entropy = glia_sum(glia_mul(wanted, log_p), GLIA_SHAPE(1), false);
        return (errors){ loss, glia_add(loss, entropy) };
    }
    glia_tensor wanted = glia_stop_gradient(glia_add(column(returns), glia_mul(column(discounts), promised)));
    if (m->distribution == GLIA_Q_QUANTILES) {
        glia_tensor apart = glia_sub(glia_mean(wanted, GLIA_SHAPE(1), false), glia_mean(chosen, GLIA_SHAPE(1), false));
        return (errors){ glia_quantile_huber(chosen, wanted), apart };
    }
    glia_tensor apart = flat(glia_sub(wanted, chosen)), size = glia_abs(apart);
    if (m->loss == 1) return (errors){ glia_mul_scalar(glia_square(apart), 0.5), apart };
    glia_tensor inner = glia_minimum(size, glia_like(size, 1));
    return (errors){ glia_mul(inner, glia_sub(size, glia_mul_scalar(inner, 0.5))), apart };
}

static glia_status build_learning(glia_training *t, glia_tensor x, glia_tensor head, glia_error *error) {
    dqn *m = t->memory;
    glia_graph *g = m->graph;
    const int64_t actions = m->run.actor.actions;
    glia_tensor next = glia_input(g, "next", GLIA_F32, x->shape), now, target;
    glia_tensor action = glia_input(g, "action", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor returns = glia_input(g, "return", GLIA_F32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor discounts = glia_input(g, "discount", GLIA_F32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor weights = glia_input(g, "weight", GLIA_F32, GLIA_SHAPE(GLIA_BATCH));
    glia_status status = substitute(m, x, head, next, &now, &target, error);
    if (status != GLIA_OK) return status;
    glia_tensor best = glia_argmax(glia_q_values(m->double_q ? now : target, head_opts(m, false)), 1);
    errors e = compare(m, row_of(head, action, actions), row_of(target, best, actions), returns, discounts);
    glia_tensor loss = glia_mean(glia_mul(weights, e.loss), GLIA_SCALAR, false);
    glia_minimize(loss, t->opts.optimizer, NULL, NULL);
    const glia_tensor outputs[] = { loss, e.priority };
    const glia_compile_opts opts = { .outputs = outputs,
                                     .n_outputs = 2,
                                     .mode = GLIA_TRAIN,
                                     .updates = "train",
                                     .batch = t->opts.batch,
                                     .precision = t->opts.precision };
    return glia_agent_compile(t, g, opts, &m->learn, error);
}

/* The model gets its output "q", without noise; its values are copied to the target net. */
static glia_status build(glia_training *t, glia_error *error) {
    dqn *m = t->memory;
    glia_tensor x, features;
    glia_status status = glia_agent_ends(t->model->graph, "dqn", &x, &features, error);
    if (status != GLIA_OK) return status;
    glia_tensor q = glia_q_values(glia_q_head(features, "q", head_opts(m, true)), head_opts(m, true));
    status = glia_agent_output(t, "q", q, error);
    if (status == GLIA_OK) status = glia_agent_graph(t, &m->graph, error);
    if (status == GLIA_OK) status = glia_agent_ends(m->graph, "dqn", &x, &features, error);
    if (status != GLIA_OK) return status;
    glia_tensor head = glia_q_head(features, "q", head_opts(m, false));
    status = build_learning(t, x, head, error);
    if (status != GLIA_OK) return status;
    const glia_tensor values = glia_q_values(head, head_opts(m, false));
    const glia_compile_opts opts = {
        .outputs = &values, .n_outputs = 1, .mode = GLIA_INFER, .batch = m->run.actor.copies
    };
    status = glia_agent_compile(t, m->graph, opts, &m->act, error);
    if (status != GLIA_OK) return status;
    const char *input = glia_leaf_of(x)->name;
    m->act_x = glia_agent_input(&m->act, input);
    m->x = glia_agent_input(&m->learn, input);
    m->next = glia_agent_input(&m->learn, "next");
    m->chosen = glia_agent_input(&m->learn, "action");
    m->returns = glia_agent_input(&m->learn, "return");
    m->discounts = glia_agent_input(&m->learn, "discount");
    m->weights = glia_agent_input(&m->learn, "weight");
    m->rate = glia_agent_input(&m->learn, "lr");
    return GLIA_OK;
}

static glia_status check_settings(const glia_training *t, glia_error *error) {
    const dqn *m = t->memory;
    const bool mean = m->distribution == GLIA_Q_MEAN, categorical = m->distribution == GLIA_Q_CATEGORICAL;
    const glia_setting_need needs[] = {
        { "alpha", m->prioritized, "prioritized=true" }, { "beta", m->prioritized, "prioritized=true" },
        { "epsilon_first", !m->noisy, "noisy=false" },   { "epsilon_last", !m->noisy, "noisy=false" },
        { "exploration", !m->noisy, "noisy=false" },     { "atoms", !mean, "distribution=c51 or qr" },
        { "low", categorical, "distribution=c51" },      { "high", categorical, "distribution=c51" },
        { "loss", mean, "distribution=mean" },
    };
    if (categorical && !(m->high > m->low))
        return glia_fail(error, GLIA_E_ARGUMENT, "dqn.high %g must be above dqn.low %g", m->high, m->low);
    const glia_setting_table table = glia_method_table(&t->method->about);
    return glia_settings_check(&table, m, needs, GLIA_COUNT(needs), error);
}

static glia_status begin(glia_training *t, glia_error *error) {
    dqn *m = t->memory;
    glia_status status = check_settings(t, error);
    if (status == GLIA_OK) status = glia_actor_begin(t, &m->run.actor, false, error);
    if (status == GLIA_OK) status = build(t, error);
    const glia_replay_opts opts = { .prioritized = m->prioritized, .alpha = m->alpha > 0 ? m->alpha : GLIA_ZERO };
    if (status == GLIA_OK) status = glia_replaying_begin(t, &m->run, opts, error);
    if (status != GLIA_OK) return status;
    m->actions = calloc((size_t)m->run.actor.copies, sizeof *m->actions);
    if (!m->actions) return glia_fail_nomem(error);
    status = glia_store_blend(t->states, "target/", t->states, NULL, 1, error);
    t->full_lr = (double)*m->rate;
    t->groups[t->n_groups++] = "train";
    m->loss_mean = glia_training_mean(t, "loss");
    m->epsilon_figure = glia_training_figure(t, "epsilon");
    return status;
}

static void end(glia_training *t) {
    dqn *m = t->memory;
    glia_replaying_end(&m->run);
    glia_agent_program_free(&m->act);
    glia_agent_program_free(&m->learn);
    glia_graph_free(m->graph);
    glia_store_free(t->states);
    free(m->actions);
}

/* ---- acting ------------------------------------------------------------------------------------------- */

/* How far the training is, in [0, 1]. */
static double progress(const glia_training *t) { return t->total > 0 ? (double)t->done / (double)t->total : 1; }

static double epsilon(const glia_training *t) {
    const dqn *m = t->memory;
    if (m->noisy) return 0;
    const double part = m->exploration > 0 ? fmin(progress(t) / m->exploration, 1) : 1;
    return m->epsilon_first + part * (m->epsilon_last - m->epsilon_first);
}

static glia_status choose(glia_training *t, glia_error *error) {
    dqn *m = t->memory;
    glia_actor *a = &m->run.actor;
    const double random = m->run.counters[0] < m->run.learning_starts ? 1 : epsilon(t);
    glia_rng rng = { .seed = t->opts.seed, .stream = EXPLORATION, .position = (uint64_t)m->run.counters[0] * DRAWS };
    int64_t guided = 0;
    for (int64_t i = 0; i < a->copies; i++) {
        rng.position = (uint64_t)(m->run.counters[0] + i) * DRAWS;
        const bool at_random = glia_rng_uniform(&rng) < random;
        m->actions[i] = at_random ? (int32_t)(glia_rng_uniform(&rng) * (double)a->actions) : -1;
        guided += !at_random;
    }
    if (guided == 0) return GLIA_OK;
    glia_observation_floats(&a->observation, a->now.observations, a->copies, m->act_x);
    glia_status status = glia_session_run(m->act.session, error);
    if (status != GLIA_OK) return status;
    const float *q = glia_session_output(m->act.session, 0).data;
    for (int64_t i = 0; i < a->copies; i++, q += a->actions) {
        if (m->actions[i] >= 0) continue;
        m->actions[i] = 0;
        for (int32_t k = 1; k < a->actions; k++) m->actions[i] = q[k] > q[m->actions[i]] ? k : m->actions[i];
    }
    return GLIA_OK;
}

/* ---- learning ----------------------------------------------------------------------------------------- */

static glia_status learn(glia_training *t, glia_error *error) {
    dqn *m = t->memory;
    const glia_space *space = &m->run.actor.observation;
    const int64_t n = t->opts.batch;
    const double beta = m->beta + progress(t) * (1 - m->beta);
    glia_replay_batch batch;
    const glia_replay_draw draw = {
        .seed = t->opts.seed, .step = m->run.counters[1], .beta = beta > 0 ? beta : GLIA_ZERO
    };
    glia_status status = glia_replay_sample(m->run.replay, n, draw, &batch, error);
    if (status != GLIA_OK) return status;
    glia_observation_floats(space, batch.arrays[0].data, n, m->x);
    memcpy(m->chosen, batch.arrays[1].data, (size_t)n * sizeof *m->chosen);
    memcpy(m->returns, batch.arrays[2].data, (size_t)n * sizeof *m->returns);
    memcpy(m->discounts, batch.arrays[3].data, (size_t)n * sizeof *m->discounts);
    glia_observation_floats(space, batch.arrays[4].data, n, m->next);
    memcpy(m->weights, batch.weights, (size_t)n * sizeof *m->weights);
    *m->rate = (float)t->progress.lr;
    status = glia_session_run(m->learn.session, error);
    if (status != GLIA_OK) return status;
    t->progress.loss = (double)*(const float *)glia_session_output(m->learn.session, 0).data;
    glia_training_add(t, m->loss_mean, t->progress.loss, 1);
    if (m->prioritized && isfinite(t->progress.loss)) {
        const float *found = glia_session_output(m->learn.session, 1).data;
        status = glia_replay_prioritize(m->run.replay, batch.rows, found, n, error);
    }
    if (status == GLIA_OK && ++m->run.counters[1] % m->target_every == 0 && !follows(m))
        status = glia_store_blend(t->states, "target/", t->states, NULL, m->tau, error);
    return status;
}

static glia_status step(glia_training *t, const glia_batch *unused, glia_error *error) {
    dqn *m = t->memory;
    (void)unused;
    return glia_replaying_round(t, &m->run, m->actions, choose, learn, error);
}

static glia_status measure(glia_training *t, glia_error *error) {
    dqn *m = t->memory;
    t->figures[m->epsilon_figure].value = epsilon(t);
    return glia_actor_measure(t, &m->run.actor, m->run.eval_episodes, error);
}

/* ---- checkpoints ----------------------------------------------------------------------------------- */

static int arrays(glia_training *t, glia_array *out, int capacity) {
    dqn *m = t->memory;
    return glia_replaying_arrays(&m->run, out, capacity);
}

static glia_status restore(glia_training *t, const glia_array *from, int n, bool check_only, glia_error *error) {
    dqn *m = t->memory;
    return glia_replaying_restore(&m->run, from, n, check_only, error);
}

const glia_method glia_method_dqn = {
    .about = { .name = "dqn",
               .summary = "action values from a replay, with the parts of Rainbow as switches",
               .paper = "Mnih et al. 2015, Hessel et al. 2018",
               .settings = settings,
               .n_settings = GLIA_COUNT(settings),
               .uses = GLIA_USES_ENVIRONMENT | GLIA_USES_OPTIMIZER | GLIA_USES_PRECISION | GLIA_USES_BATCH,
               .assesses = true },
    .bytes = sizeof(dqn),
    .begin = begin,
    .step = step,
    .measure = measure,
    .arrays = arrays,
    .restore = restore,
    .end = end,
    .assess = glia_actor_assess,
};
