/* test_wrappers.c - wrappers of environments against their formulas, and addresses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "data/environments/environments.h"
#include "glia/glia.h"

static glia_error error;

static void ok(glia_status status) {
    if (status != GLIA_OK) fail_msg("%s", error.message);
}

static glia_env *create(const char *address, int64_t copies) {
    glia_env *env = glia_env_create(address, (glia_env_opts){ .copies = copies }, &error);
    if (!env) fail_msg("%s", error.message);
    return env;
}

/* The same episodes with and without wrappers. */
typedef struct pair {
    glia_env *plain, *wrapped;
    glia_env_result a, b;
} pair;

static pair begin(const char *plain, const char *wrapped, int64_t copies) {
    pair p = { .plain = create(plain, copies), .wrapped = create(wrapped, copies) };
    ok(glia_env_reset(p.plain, 3, &p.a, &error));
    ok(glia_env_reset(p.wrapped, 3, &p.b, &error));
    return p;
}

static void step(pair *p, int t) {
    int32_t actions[8];
    for (int i = 0; i < 8; i++) actions[i] = (t * 7 + i * 3) / 2 % 2;
    ok(glia_env_step(p->plain, actions, &p->a, &error));
    ok(glia_env_step(p->wrapped, actions, &p->b, &error));
    assert_memory_equal(p->a.returns, p->b.returns, 8 * (size_t)p->a.n); /* before the wrappers */
}

static void end(pair *p) {
    glia_env_free(p->plain);
    glia_env_free(p->wrapped);
}

static void frames_are_the_last_observations(void **unused) {
    (void)unused;
    enum { K = 3 };
    pair p = begin("cartpole", "cartpole?frames=3", 2);
    const glia_space space = glia_env_observation_space(p.wrapped);
    assert_true(space.shape.rank == 2 && space.shape.dim[0] == K && space.shape.dim[1] == 4);
    float last[2][K][4];
    for (int t = 0; t < 80; t++) {
        for (int i = 0; i < 2; i++) {
            const float *now = (const float *)p.a.observations + 4 * i;
            memmove(last[i][0], last[i][1], sizeof last[i] - sizeof last[i][0]);
            for (int k = p.a.started[i] ? 0 : K - 1; k < K; k++) memcpy(last[i][k], now, sizeof last[i][k]);
        }
        assert_memory_equal(p.b.observations, last, sizeof last);
        step(&p, t);
    }
    end(&p);
    glia_env *game = create("minatar-breakout?frames=2", 1); /* planes of pictures stay planes */
    const glia_space planes = glia_env_observation_space(game);
    assert_true(planes.shape.rank == 3 && planes.shape.dim[0] == 8);
    glia_env_free(game);
}

/* Gymnasium's RunningMeanStd over all observations, one at a time. */
static void observations_are_normalised_by_running_moments(void **unused) {
    (void)unused;
    pair p = begin("mountaincar", "mountaincar?normalize_observations=true,clip_observations=1.5", 1);
    double mean[2] = { 0, 0 }, variance[2] = { 1, 1 }, count = 1e-4;
    for (int t = 0; t < 60; t++) {
        for (int k = 0; k < 2; k++) {
            const double x = (double)((const float *)p.a.observations)[k], apart = x - mean[k];
            variance[k] = (variance[k] * count + apart * apart * count / (count + 1)) / (count + 1);
            mean[k] += apart / (count + 1);
            const double wanted = (x - mean[k]) / sqrt(variance[k] + 1e-8);
            ASSERT_NEAR(((const float *)p.b.observations)[k], fmin(fmax(wanted, -1.5), 1.5), 1e-5);
        }
        count++;
        step(&p, t);
    }
    glia_env *like = glia_env_like(p.wrapped, 2, &error); /* takes the statistics and keeps them */
    glia_env_result now;
    ok(glia_env_reset(like, 9, &now, &error));
    const double x = glia_env_state(like, 0)[0];
    ASSERT_NEAR(*(const float *)now.observations, fmin(fmax((x - mean[0]) / sqrt(variance[0] + 1e-8), -1.5), 1.5),
                1e-5);
    glia_env_free(like);
    end(&p);
}

static void rewards_are_divided_by_the_deviation_of_returns(void **unused) {
    (void)unused;
    pair p = begin("cartpole", "cartpole?normalize_rewards=true,reward_gamma=0.9,clip_rewards=5", 1);
    double mean = 0, variance = 1, count = 1e-4, sum = 0;
    for (int t = 0; t < 100; t++) {
        const double reward = p.a.rewards[0];
        sum = p.a.started[0] ? 0 : sum * 0.9 * !p.a.terminated[0] + reward;
        const double apart = sum - mean;
        variance = (variance * count + apart * apart * count / (count + 1)) / (count + 1);
        mean += apart / (count + 1);
        count++;
        ASSERT_NEAR(p.b.rewards[0], fmin(reward / sqrt(variance + 1e-8), 5), 1e-6);
        step(&p, t);
    }
    end(&p);
}

static void wrapped_states_are_saved(void **unused) {
    (void)unused;
    static const char address[] = "cartpole?frames=2,normalize_observations=true,normalize_rewards=true";
    glia_env *env = create(address, 2), *other = create(address, 2);
    glia_env_result a, b;
    const int32_t actions[] = { 0, 1 };
    glia_array saved[16];
    ok(glia_env_reset(env, 1, &a, &error));
    for (int t = 0; t < 30; t++) ok(glia_env_step(env, actions, &a, &error));
    ok(glia_env_restore(other, saved, glia_env_save(env, saved, 16), &error));
    glia_env *clone = glia_env_clone(env, &error);
    for (int t = 0; t < 30; t++) {
        ok(glia_env_step(env, actions, &a, &error));
        ok(glia_env_step(other, actions, &b, &error));
        assert_memory_equal(a.observations, b.observations, 2 * 2 * 16);
        assert_memory_equal(a.rewards, b.rewards, 16);
        ok(glia_env_step(clone, actions, &b, &error));
        assert_memory_equal(a.observations, b.observations, 2 * 2 * 16);
    }
    char *text = glia_env_address(env, &error);
    assert_string_equal(text, "CartPole-v1?limit=500,frames=2,normalize_observations=true,normalize_rewards=true,"
                              "sutton_barto_reward=false");
    free(text);
    glia_env_free(env);
    glia_env_free(other);
    glia_env_free(clone);
}

static void mistakes_are_named(void **unused) {
    (void)unused;
    assert_null(glia_env_create("taxi?frames=2", (glia_env_opts){ 0 }, &error));
    ASSERT_SAYS("Taxi-v4: its observations cannot be stacked");
    assert_null(glia_env_create("taxi?normalize_observations=true", (glia_env_opts){ 0 }, &error));
    ASSERT_SAYS("cannot be normalised");
    assert_null(glia_env_create("cartpole?limit=-3", (glia_env_opts){ 0 }, &error));
    ASSERT_SAYS("limit is -3");
    assert_null(glia_env_create("cartpole?limits=3", (glia_env_opts){ 0 }, &error));
    ASSERT_SAYS("has no setting 'limits'");
    glia_env *env = create("cartpole?limit=0", 1);
    assert_int_equal(glia_env_limit(env), 0);
    glia_env_free(env);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_the_last_observations),
        cmocka_unit_test(observations_are_normalised_by_running_moments),
        cmocka_unit_test(rewards_are_divided_by_the_deviation_of_returns),
        cmocka_unit_test(wrapped_states_are_saved),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
