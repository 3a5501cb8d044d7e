/* on_policy_method.c - the methods "reinforce", "a2c" and "ppo": a policy learns from the steps that it just took.
 *
 *     rollout of `rollout` steps in all copies ──► advantages (GAE) ──► `passes` over its steps in minibatches
 *
 * reinforce (Williams 1992) weighs by the rollout's returns less a learned baseline, a2c (Mnih et al. 2016) by
 * advantages; both take one step for the whole rollout. ppo (Schulman et al. 2017) clips the ratio of probabilities and
 * takes several passes. At the rollout's end, and where a time limit cut an episode, returns go on with the value.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/reinforcement/agent.h"
#include "glia/layers.h"
#include "glia/losses.h"

enum { ACTIONS = 0x7061, SHUFFLES = 0x7073, MEANS = 4 }; /* streams of random numbers */

typedef struct on_policy {
    /* settings */
    int64_t steps, rollout, passes, eval_episodes;
    double gamma, lambda, clip, value_clip, entropy, value_weight, target_kl;
    bool normalize_advantages;
    /* training */
    glia_actor actor;
    bool box;
    glia_graph *graph;
    glia_agent_program act, learn;
    float *act_x, *rate;
    float *x, *log_prob, *advantage, *wanted, *value, *weight; /* inputs of `learn` */
    void *action;
    int64_t batch, action_numbers;
    /* a rollout: (rollout, copies), values with one row more */
    float *xs, *log_probs, *advantages, *returns, *rewards, *values;
    uint8_t *actions, *performed; /* as drawn; within the bounds, of one step */
    bool *terminated, *truncated, *started;
    int64_t *order;      /* indices of steps to learn from */
    int64_t counters[2]; /* steps of all copies together, passes */
    int loss_mean, value_mean, entropy_mean, kl_mean;
} on_policy;

#define REAL(field, initial, least, most, help)                                                                        \
    { #field, GLIA_SETTING_REAL, offsetof(on_policy, field), initial, least, most, NULL, help }
#define INT(field, initial, least, most, help)                                                                         \
    { #field, GLIA_SETTING_INT, offsetof(on_policy, field), initial, least, most, NULL, help }
#define SWITCH(field, initial, help)                                                                                   \
    { #field, GLIA_SETTING_SWITCH, offsetof(on_policy, field), initial, 0, 0, NULL, help }
/* The settings of all three, with the defaults that differ. */
#define COMMON(rollout_, lambda_, entropy_, normalize_)                                                                \
    INT(steps, 10000, 1, 1e12, "steps in the environment in an epoch"),                                                \
        INT(rollout, rollout_, 1, 1e6, "steps of each copy before an update"),                                         \
        REAL(gamma, 0.99, 0, 1, "discount of a step"),                                                                 \
        REAL(lambda, lambda_, 0, 1, "of advantages: 1 returns, 0 errors of one step (Schulman et al. 2016)"),          \
        REAL(entropy, entropy_, 0, 1e6, "weight of the entropy of the policy"),                                        \
        REAL(value_weight, 0.5, 0, 1e6, "weight of the loss of the values"),                                           \
        SWITCH(normalize_advantages, normalize_, "mean 0 and deviation 1 in every batch"),                             \
        INT(eval_episodes, 20, 0, 1e6, "episodes played by the best known actions after an epoch")

static const glia_setting reinforce_settings[] = { COMMON(512, 1, 0, 1) };
static const glia_setting a2c_settings[] = { COMMON(8, 1, 0.01, 0) };
static const glia_setting ppo_settings[] = {
    COMMON(128, 0.95, 0, 1),
    INT(passes, 10, 1, 1000, "over the steps of a rollout"),
    REAL(clip, 0.2, 1e-9, 1e6, "how far the ratio of probabilities may leave 1"),
    REAL(value_clip, 0, 0, 1e6, "how far values may move in an update; 0: as they like"),
    REAL(target_kl, 0, 0, 1e6, "ends the passes when the divergence exceeds 1.5 times this; 0: never"),
};

/* ---- the graph --------------------------------------------------------------------------------------------- */

typedef struct ends {
    glia_tensor x, policy, value, log_std; /* log_std NULL: choices */
} ends;

/* The heads of a graph; created where they are missing. */
static glia_status find_ends(const on_policy *m, const char *method, glia_graph *g, ends *e, glia_error *error) {
    glia_tensor features;
    glia_status status = glia_agent_ends(g, method, &e->x, &features, error);
    if (status != GLIA_OK) return status;
    const glia_init narrow = { .kind = GLIA_INIT_ORTHOGONAL, .value = 0.01 };
    const glia_init wide = { .kind = GLIA_INIT_ORTHOGONAL, .value = 1 };
    glia_tensor of_value = glia_graph_find_output(g, "value_features");
    if (!of_value) of_value = features;
    e->policy =
        glia_dense(features, "policy", (glia_dense_opts){ .units = (int)m->actor.actions, .kernel_init = narrow });
    e->value = glia_dense(of_value, "value", (glia_dense_opts){ .units = 1, .kernel_init = wide });
    e->log_std = m->box ? glia_parameter(g, "policy/log_std", GLIA_F32, GLIA_SHAPE(m->actor.actions),
                                         (glia_init){ .kind = GLIA_INIT_ZEROS })
                        : NULL;
    return glia_graph_check(g, error);
}

static glia_tensor input(glia_graph *g, const char *name) {
    return glia_input(g, name, GLIA_F32, GLIA_SHAPE(GLIA_BATCH));
}

/* Mean over the samples with weight 1. */
static glia_tensor weighted(glia_tensor x, glia_tensor weight) {
    glia_tensor sum = glia_sum(glia_mul(x, weight), GLIA_SCALAR, false);
    return glia_div(sum, glia_sum(weight, GLIA_SCALAR, false));
}

static glia_tensor value_loss(const on_policy *m, glia_tensor value, glia_tensor before, glia_tensor wanted) {
    glia_tensor loss = glia_square(glia_sub(value, wanted));
    if (m->value_clip > 0) {
        glia_tensor moved = glia_clip(glia_sub(value, before), -m->value_clip, m->value_clip);
        loss = glia_maximum(loss, glia_square(glia_sub(glia_add(before, moved), wanted)));
    }
    return glia_mul_scalar(loss, 0.5);
}

static glia_status build_learning(glia_training *t, const ends *e, glia_error *error) {
    on_policy *m = t->memory;
    glia_graph *g = m->graph;
    const glia_shape many = m->box ? GLIA_SHAPE(GLIA_BATCH, m->actor.actions) : GLIA_SHAPE(GLIA_BATCH);
    glia_tensor action = glia_input(g, "action", m->box ? GLIA_F32 : GLIA_I32, many);
    glia_tensor old = input(g, "log_prob"), advantage = input(g, "advantage"), weight = input(g, "weight");
    glia_tensor wanted = input(g, "return"), before = input(g, "before");
    glia_tensor log_prob =
        m->box ? glia_gaussian_log_prob(e->policy, e->log_std, action) : glia_categorical_log_prob(e->policy, action);
    glia_tensor entropies = m->box ? glia_gaussian_entropy(e->policy, e->log_std) : glia_categorical_entropy(e->policy);
    glia_tensor values = glia_reshape(e->value, GLIA_SHAPE(GLIA_BATCH)), log_ratio = glia_sub(log_prob, old);
    const glia_tensor outputs[MEANS] = {
        weighted(glia_policy_loss(log_prob, old, advantage, m->clip), weight),
        weighted(value_loss(m, values, before, wanted), weight),
        weighted(entropies, weight),
        weighted(glia_sub(glia_expm1(log_ratio), log_ratio), weight),
    };
    glia_tensor loss = glia_add(outputs[0], glia_mul_scalar(outputs[1], m->value_weight));
    if (m->entropy > 0) loss = glia_sub(loss, glia_mul_scalar(outputs[2], m->entropy));
    glia_minimize(loss, t->opts.optimizer, NULL, NULL);
    const glia_compile_opts opts = { .outputs = outputs,
                                     .n_outputs = MEANS,
                                     .mode = GLIA_TRAIN,
                                     .updates = "train",
                                     .batch = m->batch,
                                     .precision = t->opts.precision };
    return glia_agent_compile(t, g, opts, &m->learn, error);
}

static glia_status build(glia_training *t, glia_error *error) {
    on_policy *m = t->memory;
    const char *method = t->method->about.name;
    ends e;
    glia_status status = find_ends(m, method, t->model->graph, &e, error);
    if (status == GLIA_OK) status = glia_agent_output(t, "policy", e.policy, error);
    if (status == GLIA_OK) status = glia_agent_output(t, "value", e.value, error);
    if (status == GLIA_OK && e.log_std) status = glia_agent_output(t, "log_std", e.log_std, error);
    if (status == GLIA_OK) status = glia_agent_graph(t, &m->graph, error);
    if (status == GLIA_OK) status = find_ends(m, method, m->graph, &e, error);
    if (status == GLIA_OK) status = build_learning(t, &e, error);
    if (status != GLIA_OK) return status;
    const glia_tensor outputs[] = { e.policy, e.value, e.log_std };
    const glia_compile_opts opts = {
        .outputs = outputs, .n_outputs = m->box ? 3 : 2, .mode = GLIA_INFER, .batch = m->actor.copies
    };
    status = glia_agent_compile(t, m->graph, opts, &m->act, error);
    if (status != GLIA_OK) return status;
    m->act_x = glia_agent_input(&m->act, glia_leaf_of(e.x)->name);
    m->x = glia_agent_input(&m->learn, glia_leaf_of(e.x)->name);
    m->action = glia_agent_input(&m->learn, "action");
    m->log_prob = glia_agent_input(&m->learn, "log_prob");
    m->advantage = glia_agent_input(&m->learn, "advantage");
    m->wanted = glia_agent_input(&m->learn, "return");
    m->value = glia_agent_input(&m->learn, "before");
    m->weight = glia_agent_input(&m->learn, "weight");
    m->rate = glia_agent_input(&m->learn, "lr");
    return GLIA_OK;
}

static glia_status allocate(on_policy *m, glia_error *error) {
    const size_t n = (size_t)(m->rollout * m->actor.copies), copies = (size_t)m->actor.copies;
    m->xs = calloc(n, (size_t)m->actor.numbers * sizeof *m->xs);
    float **const numbers[] = { &m->log_probs, &m->advantages, &m->returns, &m->rewards, &m->values };
    bool allocated = m->xs != NULL;
    for (int i = 0; i < GLIA_COUNT(numbers); i++) {
        *numbers[i] = calloc(n + copies, sizeof **numbers[i]);
        allocated = allocated && *numbers[i];
    }
    m->actions = calloc(n * (size_t)m->action_numbers, sizeof(float));
    m->performed = calloc(copies * (size_t)m->action_numbers, sizeof(float));
    m->terminated = calloc(n, 1);
    m->truncated = calloc(n, 1);
    m->started = calloc(n, 1);
    m->order = calloc(n, sizeof *m->order);
    allocated = allocated && m->actions && m->performed && m->terminated && m->truncated && m->started && m->order;
    return allocated ? GLIA_OK : glia_fail_nomem(error);
}

static glia_status begin(glia_training *t, glia_error *error) {
    on_policy *m = t->memory;
    glia_status status = glia_actor_begin(t, &m->actor, true, error);
    if (status != GLIA_OK) return status;
    const int64_t all = m->rollout * m->actor.copies;
    m->box = m->actor.action.kind == GLIA_SPACE_BOX;
    m->action_numbers = m->box ? m->actor.actions : 1;
    m->passes = GLIA_MAX(m->passes, 1); /* reinforce and a2c do not have the setting, and no batches */
    m->batch = t->opts.batch ? GLIA_MIN(t->opts.batch, all) : all;
    status = build(t, error);
    if (status == GLIA_OK) status = allocate(m, error);
    if (status != GLIA_OK) return status;
    t->full_lr = (double)*m->rate;
    t->epoch_steps = GLIA_MAX(m->steps / all, 1);
    t->groups[t->n_groups++] = "train";
    m->loss_mean = glia_training_mean(t, "loss");
    m->value_mean = glia_training_mean(t, "value_loss");
    m->entropy_mean = glia_training_mean(t, "entropy");
    m->kl_mean = glia_training_mean(t, "kl");
    return GLIA_OK;
}

static void end(glia_training *t) {
    on_policy *m = t->memory;
    glia_actor_end(&m->actor);
    glia_agent_program_free(&m->act);
    glia_agent_program_free(&m->learn);
    glia_graph_free(m->graph);
    glia_store_free(t->states);
    void *const all[] = { m->xs,      m->log_probs, m->advantages, m->returns,   m->rewards, m->values,
                          m->actions, m->performed, m->terminated, m->truncated, m->started, m->order };
    for (int i = 0; i < GLIA_COUNT(all); i++) free(all[i]);
}

/* ---- acting -------------------------------------------------------------------------------------------------- */

/* Draws from softmax(logits); the logarithm of its probability. */
static int32_t draw_choice(const float *logits, int64_t n, double drawn, float *log_prob) {
    double most = -INFINITY, sum = 0, passed = 0;
    for (int64_t k = 0; k < n; k++) most = fmax(most, (double)logits[k]);
    for (int64_t k = 0; k < n; k++) sum += exp((double)logits[k] - most);
    int32_t chosen = (int32_t)n - 1;
    for (int32_t k = 0; k < n; k++) {
        passed += exp((double)logits[k] - most) / sum;
        if (drawn >= passed) continue;
        chosen = k;
        break;
    }
    *log_prob = (float)((double)logits[chosen] - most - log(sum));
    return chosen;
}

static float draw_numbers(const on_policy *m, const float *mean, const float *log_std, glia_rng *rng, float *drawn,
                          float *performed) {
    const glia_space *space = &m->actor.action;
    double log_prob = 0;
    for (int64_t k = 0; k < m->action_numbers; k++) {
        const double z = glia_rng_normal(rng);
        drawn[k] = (float)((double)mean[k] + z * exp((double)log_std[k]));
        log_prob -= 0.5 * z * z + (double)log_std[k] + 0.91893853320467274;
        performed[k] = drawn[k];
        if (space->low) performed[k] = fmaxf(performed[k], space->low[k]);
        if (space->high) performed[k] = fminf(performed[k], space->high[k]);
    }
    return (float)log_prob;
}

/* Values of the present observations into row `at`, and the policy's outputs. */
static glia_status look(on_policy *m, int64_t at, glia_error *error) {
    const glia_actor *a = &m->actor;
    glia_observation_floats(&a->observation, a->now.observations, a->copies, m->act_x);
    glia_status status = glia_session_run(m->act.session, error);
    if (status != GLIA_OK) return status;
    memcpy(m->values + at * a->copies, glia_session_output(m->act.session, 1).data,
           (size_t)a->copies * sizeof *m->values);
    return GLIA_OK;
}

static glia_status act(glia_training *t, int64_t at, glia_error *error) {
    on_policy *m = t->memory;
    glia_actor *a = &m->actor;
    glia_status status = look(m, at, error);
    if (status != GLIA_OK) return status;
    const int64_t row = at * a->copies, each = m->action_numbers;
    memcpy(m->xs + row * a->numbers, m->act_x, (size_t)(a->copies * a->numbers) * sizeof *m->xs);
    const float *policy = glia_session_output(m->act.session, 0).data;
    const float *log_std = m->box ? glia_session_output(m->act.session, 2).data : NULL;
    glia_rng rng = { .seed = t->opts.seed, .stream = ACTIONS };
    for (int64_t i = 0; i < a->copies; i++) {
        rng.position = (uint64_t)(m->counters[0] + i) * (uint64_t)(4 * each);
        void *drawn = m->actions + (size_t)((row + i) * each) * sizeof(float);
        void *performed = m->performed + (size_t)(i * each) * sizeof(float);
        if (m->box) {
            m->log_probs[row + i] = draw_numbers(m, policy + i * each, log_std, &rng, drawn, performed);
            continue;
        }
        const int32_t choice =
            draw_choice(policy + i * a->actions, a->actions, glia_rng_uniform(&rng), &m->log_probs[row + i]);
        *(int32_t *)drawn = *(int32_t *)performed = choice;
    }
    status = glia_actor_step(t, a, m->performed, error);
    if (status != GLIA_OK) return status;
    for (int64_t i = 0; i < a->copies; i++) m->rewards[row + i] = (float)a->now.rewards[i];
    memcpy(m->terminated + row, a->now.terminated, (size_t)a->copies);
    memcpy(m->truncated + row, a->now.truncated, (size_t)a->copies);
    memcpy(m->started + row, a->now.started, (size_t)a->copies);
    m->counters[0] += a->copies;
    return GLIA_OK;
}

/* ---- learning -------------------------------------------------------------------------------------------------- */

/* The steps of the rollout in a new order; returns how many there are to learn from. */
static int64_t shuffle(const glia_training *t, on_policy *m) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->rollout * m->actor.copies; i++) {
        if (!m->started[i]) m->order[n++] = i;
    }
    glia_rng rng = { .seed = t->opts.seed, .stream = SHUFFLES + ((uint64_t)m->counters[1]++ << 16) };
    for (int64_t i = n - 1; i > 0 && m->batch < n; i--) {
        const int64_t k = (int64_t)glia_rng_below(&rng, (uint64_t)i + 1), other = m->order[k];
        m->order[k] = m->order[i];
        m->order[i] = other;
    }
    return n;
}

static void normalize(float *x, int64_t n) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    const double deviation = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    for (int64_t i = 0; i < n; i++) x[i] = (float)(((double)x[i] - mean) / (deviation + 1e-8));
}

/* One update with n steps of the order; a smaller batch is filled up with steps of weight 0. */
static glia_status update(glia_training *t, const int64_t *order, int64_t n, glia_error *error) {
    on_policy *m = t->memory;
    const int64_t numbers = m->actor.numbers, each = m->action_numbers;
    for (int64_t i = 0; i < m->batch; i++) {
        const int64_t from = order[i < n ? i : 0];
        memcpy(m->x + i * numbers, m->xs + from * numbers, (size_t)numbers * sizeof *m->x);
        memcpy((float *)m->action + i * each, m->actions + (size_t)(from * each) * sizeof(float),
               (size_t)each * sizeof(float));
        m->log_prob[i] = m->log_probs[from];
        m->advantage[i] = m->advantages[from];
        m->wanted[i] = m->returns[from];
        if (m->value) m->value[i] = m->values[from];
        m->weight[i] = i < n;
    }
    if (m->normalize_advantages) normalize(m->advantage, n);
    *m->rate = (float)t->progress.lr;
    glia_status status = glia_session_run(m->learn.session, error);
    if (status != GLIA_OK) return status;
    double found[MEANS];
    for (int i = 0; i < MEANS; i++) found[i] = (double)*(const float *)glia_session_output(m->learn.session, i).data;
    t->progress.loss = found[0] + m->value_weight * found[1] - m->entropy * found[2];
    const int means[] = { m->loss_mean, m->value_mean, m->entropy_mean, m->kl_mean };
    found[0] = t->progress.loss;
    for (int i = 0; i < MEANS && isfinite(t->progress.loss); i++) glia_training_add(t, means[i], found[i], (double)n);
    if (m->target_kl > 0 && found[3] > 1.5 * m->target_kl) return GLIA_E_INTERRUPTED;
    return GLIA_OK;
}

static glia_status learn(glia_training *t, glia_error *error) {
    on_policy *m = t->memory;
    const glia_rollout rollout = { .steps = m->rollout,
                                   .copies = m->actor.copies,
                                   .rewards = m->rewards,
                                   .values = m->values,
                                   .terminated = m->terminated,
                                   .truncated = m->truncated,
                                   .started = m->started };
    glia_status status = glia_gae(&rollout, m->gamma, m->lambda, m->advantages, m->returns, error);
    for (int64_t pass = 0; pass < m->passes && status == GLIA_OK; pass++) {
        const int64_t n = shuffle(t, m);
        for (int64_t at = 0; at < n && status == GLIA_OK && isfinite(t->progress.loss); at += m->batch) {
            status = update(t, m->order + at, GLIA_MIN(m->batch, n - at), error);
        }
    }
    return status == GLIA_E_INTERRUPTED ? GLIA_OK : status; /* the divergence has ended the passes */
}

static glia_status step(glia_training *t, const glia_batch *unused, glia_error *error) {
    on_policy *m = t->memory;
    glia_status status = GLIA_OK;
    (void)unused;
    t->progress.loss = 0;
    for (int64_t at = 0; at < m->rollout && status == GLIA_OK; at++) status = act(t, at, error);
    if (status == GLIA_OK) status = look(m, m->rollout, error);
    return status == GLIA_OK ? learn(t, error) : status;
}

static glia_status measure(glia_training *t, glia_error *error) {
    on_policy *m = t->memory;
    return glia_actor_measure(t, &m->actor, m->eval_episodes, error);
}

/* ---- checkpoints: nothing of a rollout is left after a step ------------------------------------------------------ */

static glia_array counters_of(on_policy *m) {
    return (glia_array){ "steps", GLIA_I64, GLIA_SHAPE(2), m->counters, false };
}

static int arrays(glia_training *t, glia_array *out, int capacity) {
    on_policy *m = t->memory;
    out[0] = counters_of(m);
    return 1 + glia_env_save(m->actor.env, out + 1, capacity - 1);
}

static glia_status restore(glia_training *t, const glia_array *from, int n, bool check_only, glia_error *error) {
    on_policy *m = t->memory;
    const glia_array own = counters_of(m);
    glia_status status = glia_actor_restore(&m->actor, from, n, check_only, error);
    return status == GLIA_OK ? glia_training_take(&own, from, n, check_only, error) : status;
}

#define METHOD(name_, uses_, summary_, paper_)                                                                         \
    const glia_method glia_method_##name_ = {                                                                          \
        .about = { .name = #name_,                                                                                     \
                   .summary = summary_,                                                                                \
                   .paper = paper_,                                                                                    \
                   .settings = name_##_settings,                                                                       \
                   .n_settings = GLIA_COUNT(name_##_settings),                                                         \
                   .uses = GLIA_USES_ENVIRONMENT | GLIA_USES_OPTIMIZER | GLIA_USES_PRECISION | (uses_),                \
                   .assesses = true },                                                                                 \
        .bytes = sizeof(on_policy),                                                                                    \
        .begin = begin,                                                                                                \
        .step = step,                                                                                                  \
        .measure = measure,                                                                                            \
        .arrays = arrays,                                                                                              \
        .restore = restore,                                                                                            \
        .end = end,                                                                                                    \
        .assess = glia_actor_assess,                                                                                   \
    }

METHOD(a2c, 0, "policy and values from rollouts of a few steps", "Mnih et al. 2016");
METHOD(ppo, GLIA_USES_BATCH, "policy and values with a clipped ratio of probabilities", "Schulman et al. 2017");
METHOD(reinforce, 0, "the policy gradient with a learned baseline", "Williams 1992");
