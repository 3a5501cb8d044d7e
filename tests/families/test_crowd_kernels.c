/* test_crowd_kernels.c - nets and copies of environments side by side: the same bits as one alone, on every instruction
 * set and at any number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "base/real.h"
#include "data/environments/environments.h"
#include "families/evolution/crowd.h"
#include "families/evolution/neat.h"
#include "glia/glia.h"

static glia_error error;

static void ok(glia_status status) {
    if (status != GLIA_OK) fail_msg("%s", error.message);
}

/* ---- elementary functions ----------------------------------------------------------------------------- */

/* The largest error for |x| < most, in units of the last place of the result, or of 1. */
static double error_below(double most, bool of_one) {
    enum { POINTS = 200000 };
    double worst = 0;
    for (int i = 1; i < POINTS; i++) {
        const double x = most * i / POINTS * (i & 1 ? 1 : -1);
        double got[2];
        glia_real_sincos(x, &got[0], &got[1]);
        const long double wanted[2] = { sinl((long double)x), cosl((long double)x) };
        for (int k = 0; k < 2; k++) {
            const int exponent = of_one ? 0 : ilogb((double)wanted[k]);
            worst = fmax(worst, ldexp((double)fabsl((long double)got[k] - wanted[k]), 52 - exponent));
        }
    }
    return worst;
}

static void sines_are_accurate(void **state) {
    (void)state;
    assert_true(error_below(0.78, false) < 0.8);
    assert_true(error_below(10, false) < 1.6);
    assert_true(error_below(0x1p20, true) < 1);
}

/* ---- nets in environments ------------------------------------------------------------------------------- */

/* Genomes that grew fast, without selection. */
static glia_neat *grown(int inputs, int outputs, bool recurrent, bool all_functions, int generations) {
    enum { POPULATION = 37 };
    glia_neat *neat =
        glia_neat_create((glia_neat_opts){ .inputs = inputs,
                                           .outputs = outputs,
                                           .population = POPULATION,
                                           .recurrent = recurrent,
                                           .output = GLIA_NODE_TANH,
                                           .functions = all_functions ? (1U << GLIA_NODE_FUNCTION_COUNT) - 1 : 0,
                                           .add_node = 0.4,
                                           .add_link = 0.6,
                                           .toggle = 0.3,
                                           .seed = 5 },
                         &error);
    if (!neat) fail_msg("%s", error.message);
    for (int g = 0; g < generations; g++) {
        double fitness[POPULATION];
        for (int i = 0; i < POPULATION; i++) fitness[i] = (i * 7 + g) % 5;
        ok(glia_neat_tell(neat, fitness, &error));
    }
    return neat;
}

/* Numbers of what one copy sees. */
static void read(const glia_env *env, const void *seen, int n, double *x) {
    const glia_space space = glia_env_observation_space(env);
    for (int i = 0; i < n; i++) {
        x[i] = space.kind == GLIA_SPACE_DISCRETE ? *(const int32_t *)seen == i
               : space.dtype == GLIA_BOOL        ? ((const bool *)seen)[i]
                                                 : (double)((const float *)seen)[i];
    }
}

/* Mean return of one net in one copy. */
static double alone(const glia_env *like, const glia_genome *genome, uint64_t seed, int episodes) {
    glia_env *env = glia_env_like(like, 1, &error);
    glia_net *net = glia_net_create(genome, &error);
    const glia_space space = glia_env_action_space(env);
    double x[256], y[8], sum = 0;
    assert_true(net && genome->inputs <= 256 && genome->outputs <= 8);
    for (int k = 0; k < episodes; k++) {
        glia_env_result now;
        ok(glia_env_reset(env, seed + (uint64_t)k, &now, &error));
        glia_net_reset(net);
        while (!now.terminated[0] && !now.truncated[0]) {
            read(env, now.observations, genome->inputs, x);
            glia_net_run(net, x, y);
            int32_t best = 0;
            float force[8];
            for (int i = 1; i < genome->outputs; i++) best = (float)y[i] > (float)y[best] ? i : best;
            for (int i = 0; space.kind == GLIA_SPACE_BOX && i < genome->outputs; i++) {
                const float at = (float)fmin(fmax(y[i], -1), 1);
                force[i] = space.low[i] + (space.high[i] - space.low[i]) * (at + 1) / 2;
            }
            ok(glia_env_step(env, space.kind == GLIA_SPACE_BOX ? (const void *)force : &best, &now, &error));
        }
        sum += now.returns[0];
    }
    glia_net_free(net);
    glia_env_free(env);
    return sum / episodes;
}

static void play_alike(const char *name, int inputs, int outputs, bool recurrent, bool all_functions) {
    static const char *const isas[] = { "generic", "v2", "v3", "v4", "neon" };
    enum { EPISODES = 3, SEED = 11, APART = 100 };
    glia_neat *neat = grown(inputs, outputs, recurrent, all_functions, 6);
    const int n = glia_neat_population(neat);
    double wanted[64], got[64];
    int tried = 0;
    for (int i = 0; i < GLIA_COUNT(isas); i++) {
        glia_isa isa;
        setenv("GLIA_ISA", isas[i], 1);
        if (glia_isa_choose(&isa, NULL) != GLIA_OK) continue;
        glia_env *env = glia_env_create(name, (glia_env_opts){ 0 }, &error);
        glia_neat *same = grown(inputs, outputs, recurrent, all_functions, 6);
        for (int k = 0; k < n && !tried; k++)
            wanted[k] = alone(env, glia_neat_genome(neat, k), SEED + (uint64_t)k * APART, EPISODES);
        for (int threads = 1; threads <= 3; threads++) {
            const glia_neat_play_opts opts = { EPISODES, SEED, APART, threads };
            ok(glia_neat_play(same, env, opts, got, &error));
            assert_memory_equal(got, wanted, (size_t)n * sizeof *got);
        }
        glia_neat_free(same);
        glia_env_free(env);
        tried++;
    }
    unsetenv("GLIA_ISA");
    assert_true(tried > 0);
    glia_neat_free(neat);
}

static void nets_side_by_side_are_as_alone(void **state) {
    (void)state;
    play_alike("cartpole?limit=60", 4, 2, false, false);
    play_alike("cartpole?sutton_barto_reward=true", 4, 2, true, true);
    play_alike("acrobot?limit=40", 6, 3, false, true);
    play_alike("mountaincar?limit=70", 2, 3, true, false);
}

static void other_environments_are_played_too(void **state) {
    (void)state;
    play_alike("cartpole?limit=30,frames=2", 8, 2, false, true); /* wrapped: one copy after the other */
    play_alike("pendulum?limit=20", 3, 1, false, true);
    play_alike("double-pole?limit=20", 6, 1, true, false);
    play_alike("frozenlake?limit=20", 16, 4, false, false);
}

static glia_status chain_of(const void *context, int64_t i, glia_arena *arena, glia_genome *out, glia_error *e) {
    const glia_encoding_opts opts = { .inputs = 4, .outputs = 2, .layers = 2, .hidden = 7 };
    const double *numbers = context;
    return glia_code_dense.genome(numbers + i * glia_code_dense.numbers(&opts), &opts, arena, out, e);
}

static void chains_of_dense_layers_are_genomes(void **state) {
    (void)state;
    enum { NETS = 21, EPISODES = 2, MOST = 200 };
    const glia_encoding_opts opts = { .inputs = 4, .outputs = 2, .layers = 2, .hidden = 7 };
    const int n = glia_code_dense.numbers(&opts);
    static double numbers[NETS * MOST], returns[NETS * EPISODES];
    glia_rng rng = { .seed = 8 };
    glia_isa isa;
    glia_stage stage;
    glia_env *env = glia_env_create("cartpole?limit=100", (glia_env_opts){ 0 }, &error);
    assert_true(n == 7 * 5 + 7 * 8 + 2 * 8 && n <= MOST);
    glia_rng_normals(&rng, numbers, NETS * n);
    ok(glia_stage_set(&stage, env, &error));
    ok(glia_isa_choose(&isa, &error));
    const glia_crowd crowd = { .stage = &stage,
                               .kernels = glia_cpu_kernels_for(isa),
                               .n = NETS,
                               .episodes = EPISODES,
                               .seed = 3,
                               .genome = chain_of,
                               .context = numbers };
    ok(glia_crowd_play(&crowd, returns, NULL, &error));
    int different = 0;
    for (int i = 0; i < NETS; i++) {
        glia_policy policy;
        double wanted[EPISODES];
        ok(glia_code_dense.decode(numbers + i * n, &opts, &policy, &error));
        ok(glia_stage_returns(&stage, &policy, 3, EPISODES, wanted, &error));
        assert_memory_equal(returns + i * EPISODES, wanted, sizeof wanted);
        different += returns[i * EPISODES] != returns[0];
        glia_policy_free(&policy);
    }
    assert_true(different > NETS / 2);
    glia_env_free(env);
}

/* ---- environments --------------------------------------------------------------------------------------- */

/* A sum of all bits that the states of some episodes have. */
static uint64_t sum_of_states(const char *name, int choices) {
    glia_env *env = glia_env_create(name, (glia_env_opts){ .copies = 3 }, &error);
    glia_env_result now;
    uint64_t sum = 14695981039346656037U;
    ok(glia_env_reset(env, 4, &now, &error));
    for (int t = 0; t < 1000; t++) {
        int32_t actions[3];
        for (int j = 0; j < 3; j++) actions[j] = t * (j + 3) / 7 % choices;
        ok(glia_env_step(env, actions, &now, &error));
        for (int i = 0; i < 3 * glia_env_kind_of(env)->state; i++)
            sum = (sum ^ glia_real_bits(glia_env_state(env, 0)[i])) * 1099511628211U;
    }
    glia_env_free(env);
    return sum;
}

/* Nothing in them depends on the C library or on the machine. */
static void states_have_the_same_bits_on_every_machine(void **state) {
    (void)state;
    assert_int_equal(sum_of_states("cartpole", 2), 0xc63af04ac422991e);
    assert_int_equal(sum_of_states("mountaincar", 3), 0x38a6175882a100fc);
    assert_int_equal(sum_of_states("acrobot", 3), 0xa26b32e769954ed);
}

/* ---- mistakes ---------------------------------------------------------------------------------------------- */

static glia_status reset_odd(const glia_env_at *at, glia_env_outcome *out, glia_error *e) {
    (void)out, (void)e;
    at->state[0] = glia_env_uniform(at->random, 0, 1);
    return GLIA_OK;
}
static glia_status step_odd(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *e) {
    (void)e, (void)action;
    at->state[0] += 1;
    out->reward = 1;
    return GLIA_OK;
}
static void observe_odd(const glia_env_at *at, void *observation) {
    *(float *)observation = at->state[0] > 5 ? NAN : (float)at->state[0];
}
static void odd_beside(const glia_env_lanes *at) {
    for (int j = 0; j < GLIA_ENV_LANES; j++) {
        at->state[j] += 1;
        at->observations[j] = at->state[j] > 5 ? NAN : (float)at->state[j];
        at->rewards[j] = 1;
        at->terminated[j] = 0;
    }
}
static glia_env_lanes_fn odd_movement(void) { return odd_beside; }

static void mistakes_are_named(void **state) {
    (void)state;
    const glia_env_kind kind = { .name = "odd",
                                 .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 1 } }, NULL, NULL },
                                 .action = { GLIA_SPACE_DISCRETE, 2, GLIA_I32, { 0 }, NULL, NULL },
                                 .limit = 5,
                                 .state = 1,
                                 .reset = reset_odd,
                                 .step = step_odd,
                                 .observe = observe_odd,
                                 .side_by_side = odd_movement };
    glia_neat *neat = grown(1, 2, false, false, 1);
    glia_env *odd = glia_env_create_kind(&kind, (glia_env_opts){ 0 }, &error),
             *short_one = glia_env_create_kind(&kind, (glia_env_opts){ .limit = 4 }, &error),
             *cartpole = glia_env_create("cartpole", (glia_env_opts){ 0 }, &error);
    double fitness[64];
    assert_int_equal(glia_neat_play(neat, odd, (glia_neat_play_opts){ .threads = 2 }, fitness, &error),
                     GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "odd: an observation after 5 steps is not finite"));
    ok(glia_neat_play(neat, short_one, (glia_neat_play_opts){ .threads = 1 }, fitness, &error));
    assert_true(fitness[0] == 4 && fitness[36] == 4);
    assert_int_equal(glia_neat_play(neat, cartpole, (glia_neat_play_opts){ 0 }, fitness, &error), GLIA_E_ARGUMENT);
    assert_string_equal(error.message, "neat: genomes with 1 inputs and 2 outputs cannot play CartPole-v1, which has 4 "
                                       "and 2");
    assert_int_equal(glia_neat_play(neat, odd, (glia_neat_play_opts){ .episodes = -1 }, fitness, &error),
                     GLIA_E_ARGUMENT);
    assert_string_equal(error.message, "neat: -1 episodes cannot be played");
    assert_int_equal(glia_neat_play(neat, odd, (glia_neat_play_opts){ .episodes = INT64_MAX }, fitness, &error),
                     GLIA_E_NOMEM);
    glia_neat_free(neat);
    glia_env_free(odd);
    glia_env_free(short_one);
    glia_env_free(cartpole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sines_are_accurate),
        cmocka_unit_test(nets_side_by_side_are_as_alone),
        cmocka_unit_test(other_environments_are_played_too),
        cmocka_unit_test(chains_of_dense_layers_are_genomes),
        cmocka_unit_test(states_have_the_same_bits_on_every_machine),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
