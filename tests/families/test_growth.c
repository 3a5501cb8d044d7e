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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xor_grows_four_nodes),
        cmocka_unit_test(small_world_grows_fifty_nodes),
        cmocka_unit_test(cartpole_balances),
        cmocka_unit_test(growth_is_drawn_step_by_step),
        cmocka_unit_test(small_worlds_have_more_triangles_than_random_graphs),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
