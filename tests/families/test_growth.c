/* test_growth.c - nets that grow, against networks that an independent program grew (GLIA_DATA/ndp). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "base/base.h"
#include "families/evolution/lndp.h"
#include "glia/glia.h"

static glia_error error;

/* The numbers of an .npy file of version 1 in GLIA_DATA/ndp; skips the test without it. */
static double *read_npy(const char *name, int *count) {
    char path[512];
    const char *folder = getenv("GLIA_DATA");
    snprintf(path, sizeof path, "%s/ndp/%s.npy", folder ? folder : "", name);
    glia_file file;
    if (!folder || glia_file_open(&file, path, NULL) != GLIA_OK) skip();
    const size_t head = 10 + file.bytes[8] + 256 * (size_t)file.bytes[9];
    const bool bytes = strstr((const char *)file.bytes + 10, "u1") != NULL;
    *count = (int)((file.length - head) / (bytes ? 1 : 8));
    double *out = malloc((size_t)*count * sizeof *out);
    for (int i = 0; i < *count; i++) {
        if (bytes)
            out[i] = file.bytes[head + (size_t)i];
        else
            memcpy(out + i, file.bytes + head + 8 * (size_t)i, 8);
    }
    glia_file_close(&file);
    return out;
}

static glia_grown *replay(const char *name, const char *grown_name, glia_ndp_opts opts) {
    int n, wanted_count;
    double *genome = read_npy(name, &n), *wanted = read_npy(grown_name, &wanted_count);
    assert_int_equal(n, glia_ndp_parameters(opts));
    glia_grown *grown = glia_ndp_grow(genome, n, opts, &error);
    if (!grown) fail_msg("%s", error.message);
    assert_int_equal(grown->n * grown->n, wanted_count);
    for (int i = 0; i < wanted_count; i++) ASSERT_NEAR(grown->weights[i], wanted[i], 1e-12);
    free(genome);
    free(wanted);
    return grown;
}

static void xor_grows_four_nodes(void **state) {
    (void)state;
    const glia_ndp_opts opts = {
        .embedding = 1, .hidden = 1, .cycles = 4, .growth_steps = GLIA_NONE, .rollout_steps = GLIA_NONE
    };
    glia_grown *grown = replay("xor-best", "xor-best-grown-A", opts);
    assert_int_equal(glia_grown_edges(grown), 7);
    assert_memory_equal(grown->sizes, ((int[]){ 1, 2, 3, 4, 4 }), 5 * sizeof(int));
    glia_grown_free(grown);
}

static void small_world_grows_fifty_nodes(void **state) {
    (void)state;
    const glia_ndp_opts opts = { .embedding = 5, .hidden = 10, .cycles = 7, .binary = true };
    glia_grown *grown = replay("small-world-best", "small-world-best-grown-A", opts);
    assert_int_equal(glia_grown_edges(grown) - 1, 311);
    assert_memory_equal(grown->sizes, ((int[]){ 1, 2, 4, 8, 14, 22, 34, 50 }), 8 * sizeof(int));
    ASSERT_NEAR(glia_grown_small_world(grown, 1, &error), 1.275, 0.02); /* networkx: 1.27 to 1.28 */
    glia_grown_free(grown);
}

static void cartpole_balances(void **state) {
    (void)state;
    const glia_ndp_opts opts = { 0 };
    glia_grown *grown = replay("cartpole-weighted-centroid", "cartpole-weighted-centroid-grown-A", opts);
    assert_int_equal(glia_grown_edges(grown), 33);
    glia_env *env = glia_env_create("cartpole", (glia_env_opts){ 0 }, &error);
    for (uint64_t episode = 0; episode < 20; episode++) {
        glia_env_result now;
        double values[10] = { 0 };
        assert_int_equal(glia_env_reset(env, episode, &now, &error), GLIA_OK);
        while (!now.terminated[0] && !now.truncated[0]) {
            double x[4], y[2];
            for (int i = 0; i < 4; i++) x[i] = (double)((const float *)now.observations)[i];
            assert_true(glia_grown_run(grown, opts, values, x, 4, y, 2));
            const int32_t action = y[1] > y[0];
            assert_int_equal(glia_env_step(env, &action, &now, &error), GLIA_OK);
        }
        ASSERT_NEAR(now.returns[0], 500, 0);
    }
    glia_env_free(env);
    glia_grown_free(grown);
}

static void growth_is_drawn_step_by_step(void **state) {
    (void)state;
    double genome[162];
    glia_rng rng = { .seed = 3 };
    for (int i = 0; i < 162; i++) genome[i] = 2 * glia_rng_uniform(&rng) - 1;
    glia_grown *grown = glia_ndp_grow(genome, 162, (glia_ndp_opts){ .most = 20 }, &error);
    assert_true(grown && grown->n <= 20);
    for (int cycle = 0; cycle <= grown->cycles; cycle++) {
        char *svg = glia_grown_svg(grown, cycle, &error);
        int circles = 0;
        for (const char *at = svg; (at = strstr(at, "<circle")); at++) circles++;
        assert_int_equal(circles, grown->sizes[cycle]);
        free(svg);
    }
    assert_null(glia_grown_svg(grown, 6, &error));
    glia_grown_free(grown);
}

/* A ring whose nodes are linked to the two next on each side: C = 1/2, L of 10 nodes = (4 + 2 * 2 + ...) / 9. */
static void small_worlds_have_more_triangles_than_random_graphs(void **state) {
    (void)state;
    enum { N = 30 };
    static double weights[N * N];
    for (int i = 0; i < N; i++) {
        for (int k = 1; k <= 2; k++) weights[i * N + (i + k) % N] = weights[(i + k) % N * N + i] = 1;
    }
    const glia_grown ring = { .n = N, .weights = weights };
    const double sigma = glia_grown_small_world(&ring, 1, &error);
    assert_true(sigma > 1.5 && sigma < 6);
    const glia_grown pair = { .n = 2, .weights = (double[]){ 0, 0, 0, 0 } };
    assert_true(isnan(glia_grown_small_world(&pair, 1, &error)));
}

static void mistakes_are_named(void **state) {
    (void)state;
    const double genome[14] = { [3] = NAN };
    const glia_ndp_opts tiny = { .embedding = 1, .hidden = 1 };
    assert_null(glia_ndp_grow(genome, 13, tiny, &error));
    ASSERT_SAYS("13 numbers, where 14 are needed");
    assert_null(glia_ndp_grow(genome, 14, tiny, &error));
    ASSERT_SAYS("genome[3] is nan");
    assert_null(glia_ndp_grow(genome, 14, (glia_ndp_opts){ .embedding = -1 }, &error));
    ASSERT_SAYS("outside its domain");
    assert_int_equal(glia_ndp_parameters((glia_ndp_opts){ 0 }), 162);
    assert_int_equal(glia_ndp_parameters((glia_ndp_opts){ .hidden = 10, .binary = true }), 191);
    assert_int_equal(glia_ndp_parameters((glia_ndp_opts){ .embedding = 16, .hidden = 10 }) - 16, 868);
}

/* ---- nets that change as long as they live --------------------------------------------------------------- */

static double *waves(int n) {
    double *genome = malloc((size_t)n * sizeof *genome);
    for (int i = 0; i < n; i++) genome[i] = sin(1 + 2.3 * i + 0.017 * i * i);
    return genome;
}

/* tools/golden/lndp.py. A few steps: differences between floats and doubles grow tenfold in each. */
static void a_life_goes_as_in_numpy(void **state) {
    (void)state;
    const glia_lndp_opts opts = { .inputs = 2, .outputs = 2, .nodes = 11, .density = 0.3 };
    const int n = glia_lndp_parameters(opts);
    double *genome = waves(n), weights[11 * 11], wanted, x[2], y[2], answer[2];
    glia_lndp *net = glia_lndp_create(genome, n, opts, &error);
    if (!net) fail_msg("%s", error.message);
    FILE *file = fopen(GLIA_GOLDEN_DIR "/lndp.txt", "r");
    assert_non_null(file);
    int edges;
    glia_lndp_begin(net, 0, 5);
    for (int t = 0; t < 2; t++) {
        glia_lndp_develop(net, 1);
        assert_int_equal(fscanf(file, " step %d %*d %*d", &edges), 1);
        assert_int_equal(glia_lndp_edges(net, 0), edges);
    }
    for (int t = 0; t < 2; t++) {
        x[0] = sin(t), x[1] = cos(t);
        glia_lndp_act(net, (double[]){ t == 0 }, x, y);
        assert_int_equal(fscanf(file, " act %d %lf %lf", &edges, &answer[0], &answer[1]), 3);
        assert_int_equal(glia_lndp_edges(net, 0), edges);
        for (int i = 0; i < 2; i++) ASSERT_NEAR(y[i], answer[i], 1e-4);
    }
    glia_lndp_weights(net, 0, weights);
    for (int i = 0; i < 11 * 11; i++) {
        assert_int_equal(fscanf(file, "%lf", &wanted), 1);
        ASSERT_NEAR(weights[i], wanted, 1e-4);
    }
    fclose(file);
    glia_lndp_free(net);
    free(genome);
}

static void lives_by_the_same_seed_are_the_same(void **state) {
    (void)state;
    const glia_lndp_opts opts = { .inputs = 3, .outputs = 1, .edge_features = 2, .propagation = 1 };
    const int n = glia_lndp_parameters(opts);
    double *genome = waves(n), first[32 * 32], again[32 * 32];
    glia_lndp *net = glia_lndp_create(genome, n, opts, &error);
    for (int seed = 0; seed < 2; seed++) {
        glia_lndp_begin(net, 0, (uint64_t)seed);
        glia_lndp_develop(net, 9);
        glia_lndp_weights(net, 0, seed ? again : first);
    }
    assert_memory_not_equal(first, again, sizeof first);
    glia_lndp_begin(net, 0, 0);
    glia_lndp_develop(net, 9);
    glia_lndp_weights(net, 0, again);
    assert_memory_equal(first, again, sizeof first);
    glia_lndp_free(net);
    free(genome);
}

/* Without structural plasticity edges stay where they are; frozen nets answer the same whatever the reward. */
static void plasticity_can_be_switched_off(void **state) {
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        const glia_lndp_opts opts = { .inputs = 1, .outputs = 1, .fixed_structure = !frozen, .frozen = frozen };
        const int n = glia_lndp_parameters(opts);
        double *genome = waves(n), x = 1, y[2], before[32 * 32], after[32 * 32];
        glia_lndp *net = glia_lndp_create(genome, n, opts, &error);
        glia_lndp_begin(net, 0, 1);
        const int edges = glia_lndp_edges(net, 0);
        glia_lndp_develop(net, 5);
        assert_true((edges == glia_lndp_edges(net, 0)) == !frozen);
        glia_lndp_weights(net, 0, before);
        for (int t = 0; t < 2; t++) glia_lndp_act(net, (double[]){ 10 * t }, &x, &y[t]);
        glia_lndp_weights(net, 0, after);
        assert_true((memcmp(before, after, sizeof before) == 0) == (frozen != 0));
        assert_true((y[0] == y[1]) == (frozen != 0));
        glia_lndp_free(net);
        free(genome);
    }
}

/* Each of twenty nets, more than vectors have lanes, does what it does alone. */
static void nets_side_by_side_do_not_meet(void **state) {
    (void)state;
    enum { NETS = 20, N = 9 };
    glia_lndp_opts opts = { .inputs = 2, .outputs = 1, .nodes = N, .density = 0.4, .nets = NETS };
    const int n = glia_lndp_parameters(opts);
    double *genomes = waves(NETS * n), x[2 * NETS], y[NETS], rewards[NETS], weights[N * N], alone[N * N], answer;
    for (int i = 0; i < 2 * NETS; i++) x[i] = sin(i), rewards[i / 2] = i % 5;
    glia_lndp *all = glia_lndp_create(genomes, n, opts, &error);
    if (!all) fail_msg("%s", error.message);
    for (int k = 0; k < NETS; k++) glia_lndp_begin(all, k, (uint64_t)k);
    glia_lndp_develop(all, 3);
    for (int t = 0; t < 3; t++) glia_lndp_act(all, rewards, x, y);
    opts.nets = 1;
    for (int k = 0; k < NETS; k++) {
        glia_lndp *net = glia_lndp_create(genomes + k * n, n, opts, &error);
        glia_lndp_begin(net, 0, (uint64_t)k);
        glia_lndp_develop(net, 3);
        for (int t = 0; t < 3; t++) glia_lndp_act(net, rewards + k, x + 2 * k, &answer);
        ASSERT_NEAR(y[k], answer, 0);
        glia_lndp_weights(net, 0, alone);
        glia_lndp_weights(all, k, weights);
        assert_memory_equal(weights, alone, sizeof alone);
        glia_lndp_free(net);
    }
    glia_lndp_begin(all, NETS, 0); /* there is no such net */
    assert_int_equal(glia_lndp_edges(all, NETS), 0);
    assert_null(glia_lndp_svg(all, -1, NULL, &error));
    ASSERT_SAYS("no net -1 of 20");
    glia_lndp_free(all);
    free(genomes);
}

/* Episodes of one step: the return is the action, and `bonus`. */
static double bonus;
static glia_status reset_echo(const glia_env_at *at, glia_env_outcome *out, glia_error *e) {
    (void)at, (void)out, (void)e;
    return GLIA_OK;
}
static glia_status step_echo(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *e) {
    (void)at, (void)e;
    out->reward = (double)*(const float *)action + bonus;
    out->terminated = true;
    return GLIA_OK;
}
static void observe_echo(const glia_env_at *at, void *observation) {
    (void)at;
    *(float *)observation = 1;
}
static const glia_env_kind echo = {
    .name = "Echo",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 1 } }, NULL, NULL },
    .action = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 1 } }, NULL, NULL },
    .state = 1,
    .reset = reset_echo,
    .step = step_echo,
    .observe = observe_echo,
};

/* The last reward of an episode is felt in the next one of the same life, not in another life. */
static void rewards_last_as_long_as_a_life(void **state) {
    (void)state;
    glia_encoding_opts opts = { .inputs = 1, .outputs = 1, .lndp = { .inputs = 1, .outputs = 1 }, .development = 2 };
    double *genome = waves(glia_code_lndp.numbers(&opts)), y[2][2];
    glia_env *env = glia_env_create_kind(&echo, (glia_env_opts){ 0 }, &error);
    glia_stage stage;
    assert_int_equal(glia_stage_set(&stage, env, &error), GLIA_OK);
    for (opts.life = 1; opts.life <= 2; opts.life++) {
        for (int k = 0; k < 2; k++) {
            double densities[2] = { 0 };
            const glia_lndp_lives lives = { .stage = &stage,
                                            .o = &opts,
                                            .genomes = genome,
                                            .count = 1,
                                            .seed = 1,
                                            .episodes = 2,
                                            .threads = 1,
                                            .returns = y[k],
                                            .densities = densities };
            bonus = k;
            assert_int_equal(glia_lndp_live(&lives, &error), GLIA_OK);
            assert_true(densities[0] > 0 && (densities[1] > 0) == (opts.life == 1));
        }
        ASSERT_NEAR(y[0][0], y[1][0] - 1, 0);
        assert_true((y[0][1] == y[1][1] - 1) == (opts.life == 1));
    }
    glia_env_free(env);
    free(genome);
}

/* Genomes may live the same lives, or each its own. */
static void lives_may_be_apart(void **state) {
    (void)state;
    enum { EPISODES = 3 };
    glia_encoding_opts opts = {
        .inputs = 1, .outputs = 1, .lndp = { .inputs = 1, .outputs = 1 }, .development = 2, .life = EPISODES
    };
    const int n = glia_code_lndp.numbers(&opts);
    double *genomes = waves(2 * n), returns[3][2 * EPISODES];
    memcpy(genomes + n, genomes, (size_t)n * sizeof *genomes);
    glia_env *env = glia_env_create_kind(&echo, (glia_env_opts){ 0 }, &error);
    glia_stage stage;
    assert_int_equal(glia_stage_set(&stage, env, &error), GLIA_OK);
    bonus = 0;
    for (int k = 0; k < 3; k++) { /* the same, apart, the second of those apart alone */
        const glia_lndp_lives lives = { .stage = &stage,
                                        .o = &opts,
                                        .genomes = genomes,
                                        .count = k == 2 ? 1 : 2,
                                        .seed = k == 2 ? 9 : 4,
                                        .apart = k == 0 ? 0 : 5,
                                        .episodes = EPISODES,
                                        .threads = 1 + k,
                                        .returns = returns[k] };
        assert_int_equal(glia_lndp_live(&lives, &error), GLIA_OK);
    }
    const size_t bytes = EPISODES * sizeof(double);
    assert_memory_equal(returns[0], returns[0] + EPISODES, bytes);
    assert_memory_equal(returns[1], returns[0], bytes);
    assert_memory_not_equal(returns[1], returns[1] + EPISODES, bytes);
    assert_memory_equal(returns[2], returns[1] + EPISODES, bytes);
    glia_env_free(env);
    free(genomes);
}

/* No edge ends at an input, begins at an output, leads from input to output or back to its node. */
static void edges_are_where_they_may_be(void **state) {
    (void)state;
    const glia_lndp_opts opts = { .inputs = 3, .outputs = 2, .nodes = 9, .density = 1 };
    const int n = glia_lndp_parameters(opts);
    double *genome = waves(n), weights[81];
    glia_lndp *net = glia_lndp_create(genome, n, opts, &error);
    assert_int_equal(glia_lndp_places(net), 3 * 4 + 4 * 3 + 4 * 2);
    assert_int_equal(glia_lndp_edges(net, 0), 32);
    glia_lndp_develop(net, 7);
    glia_lndp_weights(net, 0, weights);
    for (int i = 0; i < 9; i++) {
        for (int k = 0; k < 9; k++) {
            if (i == k || k < 3 || i > 6 || (i < 3 && k > 6)) ASSERT_NEAR(weights[9 * i + k], 0, 0);
        }
    }
    char *svg = glia_lndp_svg(net, 0, "a < b & c", &error);
    assert_non_null(strstr(svg, "a &lt; b &amp; c"));
    free(svg);
    glia_lndp_free(net);
    free(genome);
}

static void mistakes_about_lives_are_named(void **state) {
    (void)state;
    const glia_lndp_opts opts = { .inputs = 1, .outputs = 1 };
    const int n = glia_lndp_parameters(opts);
    double *genome = waves(n);
    assert_null(glia_lndp_create(genome, n - 1, opts, &error));
    ASSERT_SAYS("numbers, where");
    genome[7] = NAN;
    assert_null(glia_lndp_create(genome, n, opts, &error));
    ASSERT_SAYS("genome[7] is nan");
    genome[7] = 1e9;
    assert_null(glia_lndp_create(genome, n, opts, &error));
    ASSERT_SAYS("genome[7] is 1e+09");
    assert_null(glia_lndp_create(genome, n, (glia_lndp_opts){ .inputs = 31, .outputs = 1 }, &error));
    ASSERT_SAYS("outside its domain");
    assert_int_equal(glia_lndp_parameters((glia_lndp_opts){ .inputs = 1 }), 0);
    free(genome);
}

/* ---- substrates ------------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* tools/golden/substrate.py */
static void substrates_are_found_as_in_numpy(void **state) {
    (void)state;
    static const double from[] = { -1, -1, 0, -1, 1, -1 }, to[] = { -0.5, 1, 0.5, 1 };
    const glia_evolvable_opts opts[] = { { .initial_depth = 2, .max_depth = 4 },
                                         { .division = 0.1, .variance = 0.2, .band = 0.1 } };
    glia_genome *cppn = glia_genome_parse("genome 6 inputs 1 outputs\nnode 0 input\nnode 1 input\nnode 2 input\n"
                                          "node 3 input\nnode 4 input\nnode 5 input\nnode 6 bias\nnode 7 output tanh\n"
                                          "node 8 hidden gaussian\nnode 9 hidden sine\n"
                                          "link 0 from 4 to 8 weight 2\nlink 1 from 6 to 8 weight 0.3\n"
                                          "link 2 from 5 to 9 weight 3\nlink 3 from 8 to 7 weight 1.5\n"
                                          "link 4 from 9 to 7 weight -1\nlink 5 from 0 to 7 weight 0.4\n",
                                          &error);
    if (!cppn) fail_msg("%s", error.message);
    FILE *file = fopen(GLIA_GOLDEN_DIR "/substrate.txt", "r");
    assert_non_null(file);
    for (int k = 0; k < 2; k++) {
        glia_genome *net = glia_cppn_substrate(cppn, from, 3, to, 2, opts[k], &error);
        if (!net) fail_msg("%s", error.message);
        int hidden, links;
        assert_int_equal(fscanf(file, " substrate %d %d", &hidden, &links), 2);
        assert_int_equal(net->n_nodes - 6, hidden);
        assert_int_equal(net->n_links, links);
        double *weights = malloc((size_t)links * sizeof *weights), wanted;
        for (int i = 0; i < links; i++) weights[i] = net->links[i].weight;
        qsort(weights, (size_t)links, sizeof *weights, ascending);
        for (int i = 0; i < links; i++) {
            assert_int_equal(fscanf(file, "%lf", &wanted), 1);
            ASSERT_NEAR(weights[i], wanted, 1e-7);
        }
        glia_net *runs = glia_net_create(net, &error);
        if (!runs) fail_msg("%s", error.message);
        glia_net_free(runs);
        free(weights);
        glia_genome_free(net);
    }
    assert_null(glia_cppn_substrate(cppn, from, 3, to, 2, (glia_evolvable_opts){ .max_depth = 7 }, &error));
    ASSERT_SAYS("outside its domain");
    assert_null(glia_cppn_substrate(cppn, from, 0, to, 2, opts[0], &error));
    fclose(file);
    glia_genome_free(cppn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xor_grows_four_nodes),
        cmocka_unit_test(small_world_grows_fifty_nodes),
        cmocka_unit_test(cartpole_balances),
        cmocka_unit_test(growth_is_drawn_step_by_step),
        cmocka_unit_test(small_worlds_have_more_triangles_than_random_graphs),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_life_goes_as_in_numpy),
        cmocka_unit_test(lives_by_the_same_seed_are_the_same),
        cmocka_unit_test(plasticity_can_be_switched_off),
        cmocka_unit_test(nets_side_by_side_do_not_meet),
        cmocka_unit_test(rewards_last_as_long_as_a_life),
        cmocka_unit_test(lives_may_be_apart),
        cmocka_unit_test(edges_are_where_they_may_be),
        cmocka_unit_test(mistakes_about_lives_are_named),
        cmocka_unit_test(substrates_are_found_as_in_numpy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
