/* test_reinforcement.c - parts of agents against their definitions: noisy layers, duelling heads, projection of
 * distributions, quantile losses, policies, advantages, transitions of n steps. */
#include <math.h>
#include <stdio.h>

#include "asserts.h"
#include "families/reinforcement/n_step.h"
#include "run_graph.h"

static glia_error error;

static void ok(glia_status status) {
    if (status != GLIA_OK) fail_msg("%s", error.message);
}

/* Numbers that repeat, in [-1, 1). */
static double number(int i) { return fmod(i * 0.6180339887 + 0.1, 1) * 2 - 1; }

static glia_tensor constant(glia_graph *g, glia_shape shape, const double *values) {
    return glia_constant(g, GLIA_F32, shape, values);
}

static glia_tensor input(glia_graph *g, const char *name, glia_shape shape) {
    return glia_input(g, name, GLIA_F32, shape);
}

/* ---- layers ----------------------------------------------------------------------------------------- */

enum { N = 3, F = 4, UNITS = 5 };

/* The mean of many draws is the silent layer, their variance sigma^2 (sum of f(e)^2 terms): E f(x)^2 = E|x|. */
static void noise_has_its_mean_and_variance(void **unused) {
    (void)unused;
    enum { DRAWS = 20000 };
    glia_graph *g = glia_graph_create();
    double x[F] = { 1, -2, 0.5, 1 }, silent[UNITS], y[UNITS], sum[UNITS] = { 0 }, squares[UNITS] = { 0 };
    glia_tensor in = input(g, "x", GLIA_SHAPE(GLIA_BATCH, F));
    glia_tensor out[] = { glia_noisy_dense(in, "noisy", UNITS, 0, false),
                          glia_noisy_dense(in, "noisy", UNITS, 0, true) };
    runner r = runner_open(g, out, 2, GLIA_INFER, 1, 1);
    runner_set(&r, "x", x);
    for (int k = 0; k < DRAWS; k++) {
        runner_run(&r);
        runner_get(&r, 0, y);
        runner_get(&r, 1, silent);
        for (int i = 0; i < UNITS; i++) sum[i] += y[i] - silent[i], squares[i] += pow(y[i] - silent[i], 2);
    }
    const double size = 0.79788456080286541, sigma = 0.5 / sqrt(F); /* E|x| of a normal x is sqrt(2/pi) */
    double norm = 0;
    for (int i = 0; i < F; i++) norm += x[i] * x[i];
    const double variance = sigma * sigma * (norm * size + 1) * size; /* of (sum x_i e_i + 1) sigma d */
    for (int i = 0; i < UNITS; i++) {
        ASSERT_NEAR(sum[i] / DRAWS, 0, 5 * sqrt(variance / DRAWS));
        ASSERT_NEAR(squares[i] / DRAWS, variance, 0.08 * variance);
    }
    runner_close(&r);
    glia_graph_free(g);
}

static void duelling_heads_are_value_plus_centred_advantage(void **unused) {
    (void)unused;
    enum { A = 3, K = 2 };
    const glia_q_head_opts opts = { .actions = A, .duelling = true, .distribution = GLIA_Q_QUANTILES, .atoms = K };
    glia_graph *g = glia_graph_create();
    glia_tensor x = input(g, "x", GLIA_SHAPE(GLIA_BATCH, F)), head = glia_q_head(x, "q", opts);
    glia_tensor out[] = { head, glia_q_values(head, opts) };
    runner r = runner_open(g, out, 2, GLIA_INFER, N, 3);
    double xs[N * F], q[N * A * K], means[N * A], a[A * K * F], v[K * F];
    for (int i = 0; i < N * F; i++) xs[i] = number(i);
    runner_set(&r, "x", xs);
    runner_run(&r);
    runner_get(&r, 0, q);
    runner_get(&r, 1, means);
    runner_leaf(&r, "q/advantage/kernel", a);
    runner_leaf(&r, "q/value/kernel", v);
    for (int n = 0; n < N; n++) {
        for (int k = 0; k < K; k++) {
            double advantage[A] = { 0 }, value = 0, mean = 0;
            for (int f = 0; f < F; f++) {
                value += xs[n * F + f] * v[k * F + f];
                for (int j = 0; j < A; j++) advantage[j] += xs[n * F + f] * a[(j * K + k) * F + f];
            }
            for (int j = 0; j < A; j++) mean += advantage[j] / A;
            for (int j = 0; j < A; j++) ASSERT_NEAR(q[(n * A + j) * K + k], value + advantage[j] - mean, 1e-5);
        }
        for (int j = 0; j < A; j++)
            ASSERT_NEAR(means[n * A + j], (q[(n * A + j) * 2] + q[(n * A + j) * 2 + 1]) / 2, 1e-6);
    }
    runner_close(&r);
    glia_graph_free(g);
}

/* ---- distributions ------------------------------------------------------------------------------------ */

/* Bellemare et al. 2017, algorithm 1, by its floor and ceiling. */
static void project(const double *p, int atoms, double low, double high, double reward, double discount, double *m) {
    const double step = (high - low) / (atoms - 1);
    for (int j = 0; j < atoms; j++) m[j] = 0;
    for (int j = 0; j < atoms; j++) {
        const double moved = fmin(fmax(reward + discount * (low + j * step), low), high), b = (moved - low) / step;
        const int l = (int)floor(b), u = (int)ceil(b);
        if (l == u)
            m[l] += p[j];
        else
            m[l] += p[j] * (u - b), m[u] += p[j] * (b - l);
    }
}

static void projection_is_algorithm_1(void **unused) {
    (void)unused;
    enum { ATOMS = 7, ROWS = 5 };
    const double rewards[ROWS] = { 0, 1, -7.3, 2.25, 50 }, discounts[ROWS] = { 1, 0.9, 0.5, 0, 0.99 };
    double p[ROWS * ATOMS], m[ROWS * ATOMS], wanted[ATOMS];
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;
        for (int j = 0; j < ATOMS; j++) sum += p[i * ATOMS + j] = number(i * ATOMS + j) + 1.1;
        for (int j = 0; j < ATOMS; j++) p[i * ATOMS + j] /= sum;
    }
    glia_graph *g = glia_graph_create();
    glia_tensor y =
        glia_categorical_projection(input(g, "p", GLIA_SHAPE(GLIA_BATCH, ATOMS)), input(g, "r", GLIA_SHAPE(GLIA_BATCH)),
                                    input(g, "d", GLIA_SHAPE(GLIA_BATCH)), -6, 6);
    runner r = runner_open(g, &y, 1, GLIA_INFER, ROWS, 1);
    runner_set(&r, "p", p), runner_set(&r, "r", rewards), runner_set(&r, "d", discounts);
    runner_run(&r);
    runner_get(&r, 0, m);
    for (int i = 0; i < ROWS; i++) {
        project(p + i * ATOMS, ATOMS, -6, 6, rewards[i], discounts[i], wanted);
        for (int j = 0; j < ATOMS; j++) ASSERT_NEAR(m[i * ATOMS + j], wanted[j], 1e-6);
    }
    runner_close(&r);
    glia_graph_free(g);
}

static void quantile_loss_is_equation_10(void **unused) {
    (void)unused;
    enum { K = 4, M = 3 };
    double q[N * K], t[N * M], loss[N];
    for (int i = 0; i < N * K; i++) q[i] = 3 * number(i);
    for (int i = 0; i < N * M; i++) t[i] = 3 * number(i + 50);
    glia_graph *g = glia_graph_create();
    glia_tensor y =
        glia_quantile_huber(input(g, "q", GLIA_SHAPE(GLIA_BATCH, K)), input(g, "t", GLIA_SHAPE(GLIA_BATCH, M)));
    runner r = runner_open(g, &y, 1, GLIA_INFER, N, 1);
    runner_set(&r, "q", q), runner_set(&r, "t", t);
    runner_run(&r);
    runner_get(&r, 0, loss);
    for (int n = 0; n < N; n++) {
        double sum = 0;
        for (int i = 0; i < K; i++) {
            for (int j = 0; j < M; j++) {
                const double u = t[n * M + j] - q[n * K + i], size = fabs(u), tau = (i + 0.5) / K;
                sum += fabs(tau - (u < 0)) * (size <= 1 ? 0.5 * u * u : size - 0.5) / M;
            }
        }
        ASSERT_NEAR(loss[n], sum, 1e-5);
    }
    runner_close(&r);
    glia_graph_free(g);
}

/* ---- policies ------------------------------------------------------------------------------------------- */

static double expected_reward(const double *logits, const double *rewards, int n) {
    double sum = 0, value = 0;
    for (int k = 0; k < n; k++) sum += exp(logits[k]);
    for (int k = 0; k < n; k++) value += exp(logits[k]) / sum * rewards[k];
    return value;
}

/* For a bandit, the policy gradient summed over all actions, each with its probability, is the gradient of the expected
 * reward, whatever the baseline. */
static void policy_gradient_equals_finite_differences(void **unused) {
    (void)unused;
    enum { A = 4 };
    double logits[A], rewards[A] = { 1, -0.5, 2, 0.25 }, actions[A] = { 0, 1, 2, 3 }, p[A], weighted[A],
                      gradient[A * A];
    for (int k = 0; k < A; k++) logits[k] = number(k);
    double sum = 0;
    for (int k = 0; k < A; k++) sum += p[k] = exp(logits[k]);
    for (int k = 0; k < A; k++) weighted[k] = p[k] / sum * (rewards[k] - 0.7); /* 0.7: a baseline */
    glia_graph *g = glia_graph_create();
    glia_tensor theta = input(g, "theta", GLIA_SHAPE(GLIA_BATCH, A)), dtheta;
    glia_tensor action = glia_input(g, "action", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor advantage = input(g, "advantage", GLIA_SHAPE(GLIA_BATCH));
    glia_tensor log_prob = glia_categorical_log_prob(theta, action);
    glia_tensor loss = glia_sum(glia_policy_loss(log_prob, log_prob, advantage, 0), GLIA_SCALAR, false);
    glia_grad(loss, &theta, 1, &dtheta);
    runner r = runner_open(g, &dtheta, 1, GLIA_INFER, A, 1);
    double all[A * A];
    for (int i = 0; i < A * A; i++) all[i] = logits[i % A];
    runner_set(&r, "theta", all), runner_set(&r, "action", actions), runner_set(&r, "advantage", weighted);
    runner_run(&r);
    runner_get(&r, 0, gradient);
    for (int k = 0; k < A; k++) {
        double moved[A], total = 0;
        memcpy(moved, logits, sizeof moved);
        moved[k] += 1e-5;
        const double up = expected_reward(moved, rewards, A);
        moved[k] -= 2e-5;
        for (int n = 0; n < A; n++) total += gradient[n * A + k];
        ASSERT_NEAR(-total, (up - expected_reward(moved, rewards, A)) / 2e-5, 1e-5);
    }
    runner_close(&r);
    glia_graph_free(g);
}

static void clipped_loss_is_equation_7(void **unused) {
    (void)unused;
    enum { ROWS = 6 };
    const double log_prob[ROWS] = { -1, -1, -1, -1, -1, -1 }, old[ROWS] = { -1, -1.5, -0.5, -1.5, -0.5, -1.1 };
    const double advantage[ROWS] = { 2, 2, 2, -2, -2, 1 };
    double loss[ROWS], slope[ROWS];
    glia_graph *g = glia_graph_create();
    glia_tensor l = input(g, "l", GLIA_SHAPE(GLIA_BATCH)), d;
    glia_tensor y =
        glia_policy_loss(l, input(g, "o", GLIA_SHAPE(GLIA_BATCH)), input(g, "a", GLIA_SHAPE(GLIA_BATCH)), 0.2);
    glia_grad(y, &l, 1, &d);
    const glia_tensor out[] = { y, d };
    runner r = runner_open(g, out, 2, GLIA_INFER, ROWS, 1);
    runner_set(&r, "l", log_prob), runner_set(&r, "o", old), runner_set(&r, "a", advantage);
    runner_run(&r);
    runner_get(&r, 0, loss);
    runner_get(&r, 1, slope);
    for (int i = 0; i < ROWS; i++) {
        const double ratio = exp(log_prob[i] - old[i]), clipped = fmin(fmax(ratio, 0.8), 1.2);
        ASSERT_NEAR(loss[i], -fmin(ratio * advantage[i], clipped * advantage[i]), 1e-6);
        const bool moves =
            ratio * advantage[i] <= clipped * advantage[i]; /* no gradient where the clipped one counts */
        ASSERT_NEAR(slope[i], moves ? -ratio * advantage[i] : 0, 1e-6);
    }
    runner_close(&r);
    glia_graph_free(g);
}

static void densities_are_those_of_their_distributions(void **unused) {
    (void)unused;
    const double mean[] = { 0.5, -1, 0, 2 }, log_std[] = { -0.5, 0.25 }, x[] = { 0, 0, 1, 2.5 };
    double got[2], entropy[2], mass[2];
    glia_graph *g = glia_graph_create();
    glia_tensor m = constant(g, GLIA_SHAPE(2, 2), mean), s = constant(g, GLIA_SHAPE(2), log_std);
    const double logits[] = { 1, 2, 0.5, 0, 0, 0 };
    glia_tensor out[] = { glia_gaussian_log_prob(m, s, constant(g, GLIA_SHAPE(2, 2), x)), glia_gaussian_entropy(m, s),
                          glia_categorical_entropy(constant(g, GLIA_SHAPE(2, 3), logits)) };
    runner r = runner_open(g, out, 3, GLIA_INFER, 2, 1);
    runner_run(&r);
    runner_get(&r, 0, got), runner_get(&r, 1, entropy), runner_get(&r, 2, mass);
    for (int n = 0; n < 2; n++) {
        double wanted = 0, spread = 0;
        for (int k = 0; k < 2; k++) {
            const double sd = exp(log_std[k]), z = (x[2 * n + k] - mean[2 * n + k]) / sd;
            wanted += -0.5 * z * z - log(sd) - 0.5 * log(2 * acos(-1));
            spread += 0.5 * log(2 * acos(-1) * exp(1) * sd * sd);
        }
        ASSERT_NEAR(got[n], wanted, 1e-6);
        ASSERT_NEAR(entropy[n], spread, 1e-6);
    }
    ASSERT_NEAR(mass[1], log(3), 1e-6);
    runner_close(&r);
    glia_graph_free(g);
}

/* ---- advantages -------------------------------------------------------------------------------------------- */

enum { STEPS = 9, COPIES = 2 };

/* A rollout with a termination at 2 and a truncation at 5 in copy 0, and neither in copy 1. The steps after them only
 * begin episodes. */
typedef struct rolled {
    float rewards[STEPS * COPIES], values[(STEPS + 1) * COPIES];
    bool terminated[STEPS * COPIES], truncated[STEPS * COPIES], started[STEPS * COPIES];
} rolled;

static rolled roll(void) {
    rolled r = { .terminated = { [2 * COPIES] = true }, .truncated = { [5 * COPIES] = true } };
    r.started[3 * COPIES] = r.started[6 * COPIES] = true;
    for (int i = 0; i < STEPS * COPIES; i++) r.rewards[i] = r.started[i] ? 0 : (float)number(i);
    for (int i = 0; i < (STEPS + 1) * COPIES; i++) r.values[i] = (float)number(i + 77);
    return r;
}

/* Equation 16 as a sum: A_t = sum over l of (gamma lambda)^l delta_(t + l), up to the end of the episode. */
static double advantage_at(const rolled *r, int t, int c, double gamma, double lambda) {
    double sum = 0, factor = 1;
    for (; t < STEPS; t++, factor *= gamma * lambda) {
        const int i = t * COPIES + c;
        const double next = r->terminated[i] ? 0 : (double)r->values[i + COPIES];
        sum += factor * ((double)r->rewards[i] + gamma * next - (double)r->values[i]);
        if (r->terminated[i] || r->truncated[i]) break;
    }
    return sum;
}

static void advantages_are_equation_16(void **unused) {
    (void)unused;
    const rolled r = roll();
    const glia_rollout rollout = { STEPS, COPIES, r.rewards, r.values, r.terminated, r.truncated, r.started };
    float advantages[STEPS * COPIES], returns[STEPS * COPIES];
    static const double lambdas[] = { 0, 0.5, 0.95, 1 };
    for (int k = 0; k < 4; k++) {
        ok(glia_gae(&rollout, 0.9, lambdas[k], advantages, returns, &error));
        for (int t = 0; t < STEPS; t++) {
            for (int c = 0; c < COPIES; c++) {
                const int i = t * COPIES + c;
                const double wanted = r.started[i] ? 0 : advantage_at(&r, t, c, 0.9, lambdas[k]);
                ASSERT_NEAR(advantages[i], wanted, 1e-6);
                ASSERT_NEAR(returns[i], wanted + (double)r.values[i], 1e-6);
            }
        }
    }
    assert_int_equal(glia_gae(&rollout, 1.1, 0.9, advantages, returns, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("gamma 1.1");
}

/* The value after a truncated step counts, after a terminated one it does not. */
static void truncation_bootstraps_and_termination_does_not(void **unused) {
    (void)unused;
    rolled r = roll();
    const glia_rollout rollout = { STEPS, COPIES, r.rewards, r.values, r.terminated, r.truncated, r.started };
    float before[STEPS * COPIES], after[STEPS * COPIES], returns[STEPS * COPIES];
    ok(glia_gae(&rollout, 0.9, 0.95, before, returns, &error));
    r.values[3 * COPIES] += 1; /* of the last state of the terminated episode */
    r.values[6 * COPIES] += 1; /* of the truncated one */
    ok(glia_gae(&rollout, 0.9, 0.95, after, returns, &error));
    assert_true(before[2 * COPIES] == after[2 * COPIES]);
    ASSERT_NEAR(after[5 * COPIES] - before[5 * COPIES], 0.9, 1e-6);
}

/* ---- transitions of n steps ---------------------------------------------------------------------------------- */

/* A mountain car whose episodes end after 5 steps: what is stored are sums by definition. */
static void transitions_have_returns_of_n_steps(void **unused) {
    (void)unused;
    enum { LIMIT = 5, ALL = 3 * LIMIT };
    glia_env *env = glia_env_create("mountaincar", (glia_env_opts){ .limit = LIMIT }, &error);
    for (int n = 1; n <= 4; n++) {
        for (int ends = 0; ends < 2; ends++) { /* by truncation, by termination */
            glia_n_step s;
            ok(glia_n_step_init(&s, env, n, 0.5, &error));
            glia_replay *replay = glia_n_step_replay(&s, (glia_replay_opts){ .capacity = 100 }, &error);
            for (int t = 0; t < ALL; t++) {
                const float seen[2] = { (float)t, 0 }, next[2] = { (float)t + 1, 0 };
                const int32_t action = t % 3;
                const bool over = t % LIMIT == LIMIT - 1;
                ok(glia_n_step_add(&s, 0, seen, &action, t + 1, next, over && ends, over && !ends, replay, &error));
            }
            assert_int_equal(glia_replay_count(replay), ALL);
            for (int64_t t = 0; t < ALL; t++) {
                glia_replay_batch b;
                ok(glia_replay_rows(replay, &t, 1, &b, &error));
                const int left = LIMIT - (int)t % LIMIT, m = n < left ? n : left;
                double sum = 0;
                for (int k = 0; k < m; k++) sum += pow(0.5, k) * (double)(t + k + 1);
                assert_true(((float *)b.arrays[0].data)[0] == (float)t && *(int32_t *)b.arrays[1].data == t % 3);
                ASSERT_NEAR(*(float *)b.arrays[2].data, sum, 1e-5);
                ASSERT_NEAR(*(float *)b.arrays[3].data, ends && m == left ? 0 : pow(0.5, m), 1e-7);
                assert_true(((float *)b.arrays[4].data)[0] == (float)(t + m));
            }
            glia_replay_free(replay);
            glia_n_step_free(&s);
        }
    }
    glia_env_free(env);
}

static void bad_shapes_are_named(void **unused) {
    (void)unused;
    glia_graph *g = glia_graph_create();
    glia_noisy_dense(input(g, "x", GLIA_SHAPE(GLIA_BATCH, 2, 2)), "n", 3, 0, false);
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("glia_noisy_dense 'n'");
    glia_graph_free(g);
    g = glia_graph_create();
    glia_q_head(input(g, "x", GLIA_SHAPE(GLIA_BATCH, 2)), "q", (glia_q_head_opts){ .actions = 0 });
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("glia_q_head 'q': 0 actions");
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_has_its_mean_and_variance),
        cmocka_unit_test(duelling_heads_are_value_plus_centred_advantage),
        cmocka_unit_test(projection_is_algorithm_1),
        cmocka_unit_test(quantile_loss_is_equation_10),
        cmocka_unit_test(policy_gradient_equals_finite_differences),
        cmocka_unit_test(clipped_loss_is_equation_7),
        cmocka_unit_test(densities_are_those_of_their_distributions),
        cmocka_unit_test(advantages_are_equation_16),
        cmocka_unit_test(truncation_bootstraps_and_termination_does_not),
        cmocka_unit_test(transitions_have_returns_of_n_steps),
        cmocka_unit_test(bad_shapes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
