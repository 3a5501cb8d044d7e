/* test_agents.c - methods that learn by acting: what they learn where the answer is known, the same bits at any number
 * of threads and after a resumption, errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "asserts.h"
#include "glia/glia.h"

static glia_error error;
static const char path[] = "agents.checkpoint", previous[] = "agents.checkpoint.previous";

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* ---- environments with known values ----------------------------------------------------------------- */

enum { CHAIN = 5 };

/* A chain 0 ... 4 that begins in the middle; actions: left, right. Leaving it to the right gives 1, to the left 0. */
static glia_status chain_reset(const glia_env_at *at, glia_env_outcome *out, glia_error *e) {
    (void)out;
    (void)e;
    at->state[0] = (double)glia_env_below(at->random, CHAIN);
    return GLIA_OK;
}

static glia_status chain_step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *e) {
    (void)e;
    const double next = at->state[0] + (*(const int32_t *)action ? 1 : -1);
    out->terminated = next < 0 || next == CHAIN;
    out->reward = next == CHAIN;
    if (!out->terminated) at->state[0] = next;
    return GLIA_OK;
}

static void chain_observe(const glia_env_at *at, void *observation) { *(int32_t *)observation = (int32_t)at->state[0]; }

static const glia_env_kind chain = {
    .name = "chain",
    .observation = { GLIA_SPACE_DISCRETE, CHAIN, GLIA_I32, { 0 }, NULL, NULL },
    .action = { GLIA_SPACE_DISCRETE, 2, GLIA_I32, { 0 }, NULL, NULL },
    .limit = 100,
    .state = 1,
    .reset = chain_reset,
    .step = chain_step,
    .observe = chain_observe,
};

/* One state; action k gives k + 1, and with `ends` the episode terminates at once: a bandit. */
static glia_status arm_reset(const glia_env_at *at, glia_env_outcome *out, glia_error *e) {
    (void)out;
    (void)e;
    at->state[0] = 0;
    return GLIA_OK;
}

static glia_status arm_step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *e) {
    (void)at;
    (void)e;
    out->reward = *(const int32_t *)action + 1;
    return GLIA_OK;
}

static glia_status arm_end(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *e) {
    out->terminated = true;
    return arm_step(at, action, out, e);
}

#define ARM(name_, step_)                                                                                              \
    {                                                                                                                  \
        .name = name_, .observation = { GLIA_SPACE_DISCRETE, 1, GLIA_I32, { 0 }, NULL, NULL },                         \
        .action = { GLIA_SPACE_DISCRETE, 3, GLIA_I32, { 0 }, NULL, NULL }, .limit = 4, .state = 1, .reset = arm_reset, \
        .step = step_, .observe = chain_observe                                                                        \
    }
static const glia_env_kind endless = ARM("endless", arm_step), bandit = ARM("bandit", arm_end);

static glia_env *make(const glia_env_kind *kind, int64_t copies) {
    glia_env *env = glia_env_create_kind(kind, (glia_env_opts){ .copies = copies }, &error);
    if (!env) fail_msg("%s", error.message);
    return env;
}

/* ---- models --------------------------------------------------------------------------------------------- */

static glia_model *table_model(int64_t states) {
    glia_model *model = glia_model_create("table", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(states));
    glia_model_output(model, "features", glia_flatten(x));
    return model;
}

static glia_model *net(int64_t numbers) {
    glia_model *model = glia_model_create("net", &error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(numbers));
    glia_dense_opts opts = { .units = 8, .activation = GLIA_TANH };
    glia_model_output(model, "features", glia_dense(x, "dense1", opts));
    return model;
}

/* For methods that have batches. */
static int64_t batch_of(const char *method, int64_t n) {
    return glia_method_find(method)->uses & GLIA_USES_BATCH ? n : 0;
}

static void train(glia_model *model, glia_env *env, const char *method, const char *settings, glia_fit_opts o) {
    o.environment = env;
    if (!o.threads) o.threads = 1;
    if (glia_train(model, NULL, method, settings, o, &error) != GLIA_OK) fail_msg("%s", error.message);
}

/* The values (states, actions) that the model's first output after the features gives. */
static void values_of(glia_model *model, int64_t states, int64_t actions, double *out) {
    glia_backend *ref = glia_backend_open("ref", 1, &error);
    const glia_tensor q = glia_model_output_at(model, 1, NULL);
    const glia_function_opts how = { .outputs = &q, .n_outputs = 1 };
    glia_function *f = glia_function_create(glia_model_graph(model), ref, glia_model_store(model), how, &error);
    float one_hot[CHAIN * CHAIN] = { 0 };
    for (int64_t i = 0; i < states; i++) one_hot[i * states + i] = 1;
    const glia_array in = { "x", GLIA_F32, GLIA_SHAPE(states, states), one_hot, false };
    glia_array y;
    assert_int_equal(glia_function_call(f, &in, 1, &y, &error), GLIA_OK);
    for (int64_t i = 0; i < states * actions; i++) out[i] = (double)((const float *)y.data)[i];
    glia_function_free(f);
    glia_backend_close(ref);
}

/* ---- what they learn -------------------------------------------------------------------------------------- */

/* Bellman's equation of the chain: to the right of state s the return is gamma^(steps until it is left). */
static void tables_have_the_values_of_bellmans_equation(void **unused) {
    (void)unused;
    const double gamma = 0.9;
    glia_env *env = make(&chain, 2);
    glia_model *model = table_model(CHAIN);
    train(model, env, "q-table", "gamma=0.9 steps=20000 epsilon_last=0.5 eval_episodes=0",
          (glia_fit_opts){ .optimizer = { .kind = GLIA_SGD, .lr = 0.5 } });
    double q[CHAIN * 2];
    values_of(model, CHAIN, 2, q);
    for (int s = 0; s < CHAIN; s++) {
        ASSERT_NEAR(q[2 * s + 1], pow(gamma, CHAIN - 1 - s), 1e-5);
        ASSERT_NEAR(q[2 * s], s ? pow(gamma, CHAIN - s + 1) : 0, 1e-5); /* back, then all the way */
    }
    glia_model_free(model);
    glia_env_free(env);
}

/* SARSA with random actions only gives the values of the random walk: with gamma 1, state s leaves to the right with
 * probability (s + 1) / 6 (Sutton and Barto 2018, example 6.2). */
static void sarsa_has_the_values_of_its_policy(void **unused) {
    (void)unused;
    glia_env *env = make(&chain, 1);
    glia_model *model = table_model(CHAIN);
    train(model, env, "sarsa", "gamma=1 steps=200000 epsilon_last=1 eval_episodes=0",
          (glia_fit_opts){ .optimizer = { .kind = GLIA_SGD, .lr = 0.02 },
                           .schedule = { .kind = GLIA_LR_LINEAR, .low = 1e-4 } });
    double q[CHAIN * 2];
    values_of(model, CHAIN, 2, q);
    for (int s = 0; s < CHAIN; s++) ASSERT_NEAR((q[2 * s] + q[2 * s + 1]) / 2, (s + 1) / 6.0, 0.03);
    glia_model_free(model);
    glia_env_free(env);
}

/* With gamma 1/2 and a reward of 3 in each step, the best action is worth 3 / (1 - 1/2) = 6: episodes are cut after 4
 * steps, which is no termination. A bandit's is worth 3. */
static void truncation_bootstraps_and_termination_does_not(void **unused) {
    (void)unused;
    static const struct {
        const char *method, *settings;
        glia_optimizer optimizer;
        double tolerance;
    } rows[] = {
        { "q-table", "gamma=0.5 steps=4000 epsilon_last=0.5 eval_episodes=0", { .kind = GLIA_SGD, .lr = 0.5 }, 1e-4 },
        { "dqn",
          "gamma=0.5 steps=3000 learning_starts=100 capacity=1000 epsilon_last=1 tau=0.1 eval_episodes=0",
          { .kind = GLIA_ADAM, .lr = 1e-2 },
          0.05 },
    };
    for (int i = 0; i < COUNT(rows); i++) {
        for (int ends = 0; ends < 2; ends++) {
            glia_env *env = make(ends ? &bandit : &endless, 1);
            glia_model *model = table_model(1);
            train(model, env, rows[i].method, rows[i].settings,
                  (glia_fit_opts){ .optimizer = rows[i].optimizer, .batch = batch_of(rows[i].method, 16) });
            double q[3];
            values_of(model, 1, 3, q);
            for (int k = 0; k < 3; k++) ASSERT_NEAR(q[k], k + 1 + (ends ? 0 : 3), rows[i].tolerance);
            glia_model_free(model);
            glia_env_free(env);
        }
    }
}

/* Every method that chooses finds the best arm, with each part of Rainbow. */
static void agents_find_the_best_arm(void **unused) {
    (void)unused;
    static const struct {
        const char *method, *settings;
        double lr;
    } rows[] = {
        { "dqn", "gamma=0.5 steps=1500 learning_starts=100 double=true duelling=true", 1e-2 },
        { "dqn", "gamma=0.5 steps=1500 learning_starts=100 prioritized=true n_step=3", 1e-2 },
        { "dqn", "gamma=0.5 steps=1500 learning_starts=100 noisy=true distribution=c51 low=0 high=8 atoms=9", 1e-2 },
        { "dqn", "gamma=0.5 steps=1500 learning_starts=100 distribution=qr atoms=5", 1e-2 },
        { "reinforce", "gamma=0.5 steps=3000 rollout=50", 5e-2 },
        { "a2c", "gamma=0.5 steps=3000 rollout=10", 2e-2 },
        { "ppo", "gamma=0.5 steps=2000 rollout=50 passes=4", 2e-2 },
    };
    for (int i = 0; i < COUNT(rows); i++) {
        glia_env *env = make(&endless, 2);
        glia_model *model = table_model(1);
        train(model, env, rows[i].method, rows[i].settings,
              (glia_fit_opts){ .optimizer = { .kind = GLIA_ADAM, .lr = rows[i].lr },
                               .batch = batch_of(rows[i].method, 16) });
        glia_assessment found;
        const glia_assess_opts how = { .environment = env, .count = 5, .threads = 1 };
        assert_int_equal(glia_assess(model, how, &found, &error), GLIA_OK);
        assert_string_equal(found.values[0].name, "return");
        if (found.values[0].value != 12) fail_msg("%s %s: %g", rows[i].method, rows[i].settings, found.values[0].value);
        glia_model_free(model);
        glia_env_free(env);
    }
}

/* ---- the same bits ----------------------------------------------------------------------------------------- */

/* Short trainings by every method. */
static const struct {
    const char *env, *method, *settings;
    int64_t copies, numbers;
} hows[] = {
    { "cartpole", "dqn",
      "steps=40 learning_starts=10 capacity=30 double=true duelling=true prioritized=true n_step=3 train_every=2 "
      "target_every=3 tau=0.5 eval_episodes=2",
      2, 4 },
    { "cartpole", "dqn", "steps=30 learning_starts=5 noisy=true distribution=c51 atoms=5 eval_episodes=2", 1, 4 },
    { "acrobot?limit=20", "dqn", "steps=30 learning_starts=5 distribution=qr atoms=5 eval_episodes=0", 1, 6 },
    { "pendulum", "ppo", "steps=40 rollout=10 passes=2 value_clip=0.2 eval_episodes=2", 2, 3 },
    { "cartpole", "ppo", "steps=40 rollout=10 passes=3 target_kl=0.0001 entropy=0.01 eval_episodes=0", 2, 4 },
    { "cartpole", "a2c", "steps=60 rollout=5 eval_episodes=2", 2, 4 },
    { "cartpole", "reinforce", "steps=80 rollout=20 eval_episodes=2", 1, 4 },
    { "pendulum", "sac", "steps=20 learning_starts=4 units=4 capacity=16 eval_episodes=1", 2, 3 },
    { "frozenlake", "q-table", "steps=1000 eval_episodes=2", 2, 16 },
    { "taxi", "sarsa", "steps=1000 eval_episodes=2", 1, 500 },
};

/* Stops after this many steps. */
static glia_status stop_at(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    return p->done == *(const int64_t *)context ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status run(glia_model *model, int how, int threads, bool checkpoints, int64_t stop) {
    const glia_env_opts opts = { .copies = hows[how].copies };
    glia_env *env = glia_env_create(hows[how].env, opts, &error);
    if (!env) fail_msg("%s", error.message);
    const bool table = strchr(hows[how].method, '-') || !strcmp(hows[how].method, "sarsa");
    glia_callback callbacks[2];
    int n = 0;
    if (checkpoints)
        callbacks[n++] =
            glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 1, .keep = true });
    if (stop) callbacks[n++] = (glia_callback){ .step_end = stop_at, .context = &stop };
    const glia_fit_opts o = { .epochs = 2,
                              .batch = batch_of(hows[how].method, 8),
                              .seed = 5,
                              .threads = threads,
                              .environment = env,
                              .callbacks = callbacks,
                              .n_callbacks = n,
                              .optimizer = { .kind = table ? GLIA_SGD : GLIA_ADAM, .lr = 0.01 } };
    const glia_status status = glia_train(model, NULL, hows[how].method, hows[how].settings, o, &error);
    glia_env_free(env);
    return status;
}

static glia_model *model_for(int how) {
    const bool table = strchr(hows[how].method, '-') || !strcmp(hows[how].method, "sarsa");
    return table ? table_model(hows[how].numbers) : net(hows[how].numbers);
}

static glia_model *trained(int how, int threads) {
    glia_model *model = model_for(how);
    if (run(model, how, threads, false, 0) != GLIA_OK) fail_msg("%s: %s", hows[how].method, error.message);
    return model;
}

static void assert_same_model(glia_model *a, glia_model *b) {
    const glia_store *x = glia_model_store(a), *y = glia_model_store(b);
    assert_int_equal(glia_store_count(x), glia_store_count(y));
    for (int i = 0; i < glia_store_count(x); i++) {
        const glia_array p = glia_store_at(x, i), q = glia_store_at(y, i);
        assert_string_equal(p.name, q.name);
        assert_memory_equal(p.data, q.data, (size_t)glia_shape_count(p.shape) * glia_dtype_size(p.dtype));
    }
}

static void threads_do_not_change_the_result(void **unused) {
    (void)unused;
    for (int how = 0; how < COUNT(hows); how++) {
        glia_model *one = trained(how, 1);
        for (int threads = 2; threads <= 8; threads = threads == 3 ? 8 : threads + 1) {
            glia_model *more = trained(how, threads);
            assert_same_model(one, more);
            glia_model_free(more);
        }
        glia_model_free(one);
    }
}

/* Training ends after `stop` steps, with a checkpoint of its last one; another process goes on. */
static void resumed_training_equals_uninterrupted(void **unused) {
    (void)unused;
    for (int how = 0; how < COUNT(hows); how++) {
        glia_model *whole = trained(how, 1);
        for (int64_t stop = 1; stop <= 9; stop += 4) {
            unlink(path);
            unlink(previous);
            glia_model *model = model_for(how);
            const glia_status status = run(model, how, 1, true, stop);
            if (status != GLIA_E_INTERRUPTED && (status != GLIA_OK || stop == 1))
                fail_msg("%s: %s", hows[how].method, error.message);
            glia_model_free(model);
            model = model_for(how);
            if (run(model, how, 3, true, 0) != GLIA_OK) fail_msg("%s: %s", hows[how].method, error.message);
            assert_same_model(whole, model);
            glia_model_free(model);
        }
        glia_model_free(whole);
    }
    unlink(path);
    unlink(previous);
}

static void checkpoints_of_other_environments_are_refused(void **unused) {
    (void)unused;
    unlink(path);
    unlink(previous);
    glia_model *model = model_for(0);
    assert_int_equal(run(model, 0, 1, true, 3), GLIA_E_INTERRUPTED);
    glia_model_free(model);
    model = model_for(2);
    assert_int_equal(run(model, 2, 1, true, 0), GLIA_E_ARGUMENT);
    glia_model_free(model);
    unlink(path);
    unlink(previous);
}

/* ---- mistakes ------------------------------------------------------------------------------------------------ */

static void assert_refused(const char *method, const char *settings, const char *env_name, glia_model *model,
                           const char *part) {
    glia_env *env = env_name ? glia_env_create(env_name, (glia_env_opts){ 0 }, &error) : NULL;
    const bool table = strchr(method, '-') != NULL;
    const glia_fit_opts o = { .environment = env,
                              .threads = 1,
                              .optimizer = { .kind = table ? GLIA_SGD : GLIA_ADAM, .lr = 0.01 } };
    assert_int_not_equal(glia_train(model, NULL, method, settings, o, &error), GLIA_OK);
    ASSERT_SAYS(part);
    glia_env_free(env);
    glia_model_free(model);
}

static void mistakes_are_named(void **unused) {
    (void)unused;
    assert_refused("dqn", NULL, NULL, net(4), "training by dqn: needs an environment");
    assert_refused("dqn", NULL, "pendulum", net(3), "needs actions that are choices; Pendulum-v1 has numbers");
    assert_refused("sac", NULL, "cartpole", net(4), "needs actions that are numbers; CartPole-v1 has choices");
    assert_refused("dqn", NULL, "cartpole", net(5), "takes observations of 5 numbers, and CartPole-v1 has 4");
    assert_refused("q-table", NULL, "cartpole", table_model(4), "needs states that can be counted");
    assert_refused("q-table", NULL, "frozenlake", net(16), "whose features are its input");
    assert_refused("dqn", "distribution=c51 low=3 high=2", "cartpole", net(4), "dqn.high 2 must be above dqn.low 3");
    assert_refused("dqn", "duelling=maybe", "cartpole", net(4), "must be one of false|true");
    assert_refused("ppo", NULL, "cliffwalking", net(48), "has no limit of steps");
    assert_refused("dqn", "alpha=0.5", "cartpole", net(4), "dqn.alpha has no effect: it needs dqn.prioritized=true");
    assert_refused("dqn", "noisy=true epsilon-last=0.2", "cartpole", net(4), "it needs dqn.noisy=false");
    assert_refused("dqn", "distribution=qr low=0", "cartpole", net(4), "it needs dqn.distribution=c51");
    assert_refused("dqn", "atoms=5", "cartpole", net(4), "it needs dqn.distribution=c51 or qr");
    assert_refused("sac", "tuned=false target_entropy=-2", "pendulum", net(3), "it needs sac.tuned=true");
}

static void unused_options_are_refused(void **unused) {
    (void)unused;
    static const struct {
        const char *method;
        glia_fit_opts o;
        const char *part;
    } rows[] = {
        { "a2c", { .batch = 8 }, "the method a2c does not use a batch size" },
        { "reinforce", { .batch = 8 }, "the method reinforce does not use a batch size" },
        { "sarsa", { .batch = 1 }, "the method sarsa does not use a batch size" },
        { "ppo", { .workers = 2 }, "the method ppo does not use workers" },
        { "dqn", { .optimizer = { .accumulate = 2 } }, "the method dqn does not use accumulated gradients" },
        { "q-table", { .optimizer = { .kind = GLIA_ADAM } }, "q-table learns by sgd with a learning rate alone" },
        { "sarsa", { .optimizer = { .clip_norm = 1 } }, "sarsa learns by sgd with a learning rate alone" },
    };
    for (int i = 0; i < COUNT(rows); i++) {
        glia_env *env = glia_env_create("frozenlake", (glia_env_opts){ 0 }, &error);
        glia_model *model = table_model(16);
        glia_fit_opts o = rows[i].o;
        o.environment = env;
        o.threads = 1;
        assert_int_equal(glia_train(model, NULL, rows[i].method, NULL, o, &error), GLIA_E_ARGUMENT);
        ASSERT_SAYS(rows[i].part);
        glia_model_free(model);
        glia_env_free(env);
    }
}

static void untrained_models_do_not_play(void **unused) {
    (void)unused;
    glia_model *untrained = net(4);
    glia_assessment found;
    assert_int_equal(glia_assess(untrained, (glia_assess_opts){ 0 }, &found, &error), GLIA_E_UNSUPPORTED);
    glia_env *env = glia_env_create("cartpole", (glia_env_opts){ 0 }, &error);
    assert_null(glia_agent_create(untrained, env, (glia_agent_opts){ .threads = 1 }, &error));
    ASSERT_SAYS("no output 'q' or 'policy'");
    assert_null(glia_env_of_model(untrained, 1, &error));
    ASSERT_SAYS("does not name the environment");
    glia_env_free(env);
    glia_model_free(untrained);
}

/* A saved model plays the same after loading. */
static void saved_models_play_in_their_environment(void **unused) {
    (void)unused;
    glia_model *model = trained(1, 1);
    assert_int_equal(glia_model_save(model, "agent.safetensors", &error), GLIA_OK);
    glia_model *loaded = glia_model_load("agent.safetensors", &error);
    assert_non_null(loaded);
    glia_assessment a, b;
    const glia_assess_opts how = { .count = 10, .seed = 2, .threads = 1 };
    assert_int_equal(glia_assess(model, how, &a, &error), GLIA_OK);
    assert_int_equal(glia_assess(loaded, how, &b, &error), GLIA_OK);
    assert_true(a.n == b.n && a.n > 3);
    for (int i = 0; i < a.n; i++) assert_true(a.values[i].value == b.values[i].value);
    unlink("agent.safetensors");
    glia_model_free(model);
    glia_model_free(loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_have_the_values_of_bellmans_equation),
        cmocka_unit_test(sarsa_has_the_values_of_its_policy),
        cmocka_unit_test(truncation_bootstraps_and_termination_does_not),
        cmocka_unit_test(agents_find_the_best_arm),
        cmocka_unit_test(threads_do_not_change_the_result),
        cmocka_unit_test(resumed_training_equals_uninterrupted),
        cmocka_unit_test(checkpoints_of_other_environments_are_refused),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(unused_options_are_refused),
        cmocka_unit_test(untrained_models_do_not_play),
        cmocka_unit_test(saved_models_play_in_their_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
