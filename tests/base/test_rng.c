/* test_rng.c - random numbers: Philox against its authors' test vectors, distributions, and the dependence of a graph's
 * numbers on seed, step and stream. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ops/ops.h"
#include "glia/glia.h"

/* Known-answer test vectors of Random123 (kat_vectors, philox4x32 10). */
static void philox_matches_published_vectors(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (int i = 0; i < GLIA_COUNT(known); i++) {
        uint32_t out[4];
        glia_philox(known[i].key, known[i].counter, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

static void stream_depends_on_seed_step_and_stream_id(void **state) {
    (void)state;
    glia_rng a = { .seed = 5, .stream = 9 };
    for (int i = 0; i < 11; i++) glia_rng_u32(&a);
    glia_rng b = { .seed = 5, .stream = 9, .position = 11 };
    for (int i = 0; i < 9; i++) assert_int_equal(glia_rng_u32(&a), glia_rng_u32(&b));
    uint32_t counter[4] = { 2, 0, 9, 0 }, key[2] = { 5, 0 }, block[4];
    glia_philox(key, counter, block);
    glia_rng c = { .seed = 5, .stream = 9, .position = 8 };
    for (int i = 0; i < 4; i++) assert_int_equal(glia_rng_u32(&c), block[i]);
}

/* ---- distributions -------------------------------------------------------------------------- */

enum { DRAWS = 1 << 17, BINS = 64 };

/* Pearson's chi-squared of 64 equally likely bins has mean 63 and standard deviation 11.2; tolerance: five of those. */
static void assert_even(const int *bins) {
    double expected = (double)DRAWS / BINS, chi = 0;
    for (int i = 0; i < BINS; i++) chi += ((double)bins[i] - expected) * ((double)bins[i] - expected) / expected;
    if (chi < 63 - 5 * 11.3 || chi > 63 + 5 * 11.3) fail_msg("chi-square %g of 63 degrees of freedom", chi);
}

/* Uniform in [0, 1), mean 1/2, neighbours uncorrelated: each within five standard errors. */
static void assert_uniform(const double *u) {
    int bins[BINS] = { 0 };
    double sum = 0, together = 0;
    for (int i = 0; i < DRAWS; i++) {
        assert_true(u[i] >= 0 && u[i] < 1);
        bins[(int)(u[i] * BINS)]++;
        sum += u[i] - 0.5;
        if (i) together += (u[i] - 0.5) * (u[i - 1] - 0.5);
    }
    assert_even(bins);
    assert_true(fabs(sum / DRAWS) < 5 * sqrt(1.0 / 12 / DRAWS));
    assert_true(fabs(together / DRAWS) < 5 * (1.0 / 12) / sqrt(DRAWS));
}

/* The normal CDF maps it to a uniform distribution; moments 1 to 4 are 0, 1, 0, 3. */
static void assert_normal(const double *z) {
    double moments[5] = { 0 }, *u = malloc(DRAWS * sizeof *u);
    for (int i = 0; i < DRAWS; i++) {
        assert_true(isfinite(z[i]));
        u[i] = 0.5 * erfc(-z[i] * M_SQRT1_2);
        for (int k = 1; k < 5; k++) moments[k] += pow(z[i], k) / DRAWS;
    }
    assert_uniform(u);
    double error = sqrt(1.0 / DRAWS);
    assert_true(fabs(moments[1]) < 5 * error);
    assert_true(fabs(moments[2] - 1) < 5 * sqrt(2) * error);
    assert_true(fabs(moments[3]) < 5 * sqrt(15) * error);
    assert_true(fabs(moments[4] - 3) < 5 * sqrt(96) * error);
    free(u);
}

static void streams_follow_their_distributions(void **state) {
    (void)state;
    double *x = malloc(DRAWS * sizeof *x);
    glia_rng rng = { .seed = 1 };
    for (int i = 0; i < DRAWS; i++) x[i] = glia_rng_uniform(&rng);
    assert_uniform(x);
    for (int i = 0; i < DRAWS; i++) x[i] = glia_rng_normal(&rng);
    assert_normal(x);
    for (int i = 0; i < DRAWS; i++) x[i] = (double)glia_rng_below(&rng, 3 * BINS) / (3 * BINS);
    assert_uniform(x);
    free(x);
}

/* Bulk draws equal single draws, from any position. */
static void bulk_draws_equal_single_draws(void **state) {
    (void)state;
    enum { MOST = 150 };
    void (*const many[])(glia_rng *, double *, int64_t) = { glia_rng_uniforms, glia_rng_normals };
    double (*const one[])(glia_rng *) = { glia_rng_uniform, glia_rng_normal };
    double out[MOST + 1];
    for (int kind = 0; kind < 2; kind++) {
        for (uint64_t position = 0; position < 8; position++) {
            for (int64_t n = 0; n <= MOST; n += n < 9 ? 1 : 47) {
                glia_rng a = { 3, 5, position + ((uint64_t)1 << 34) - 4 }, b = a;
                out[n] = -7;
                many[kind](&a, out, n);
                for (int64_t i = 0; i < n; i++) assert_true(out[i] == one[kind](&b));
                assert_true(out[n] == -7);
                assert_true(a.position == b.position);
            }
        }
    }
}

static void below_is_in_range(void **state) {
    (void)state;
    glia_rng rng = { .seed = 2 };
    int seen[3] = { 0 };
    for (int i = 0; i < 1000; i++) {
        uint64_t v = glia_rng_below(&rng, 3);
        assert_true(v < 3);
        seen[v]++;
        assert_true(glia_rng_below(&rng, 1) == 0);
        assert_true(glia_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
}

/* ---- in a graph ----------------------------------------------------------------------------- */

/* Evaluates output k with this seed and step. */
static double *draw(const glia_graph *g, int k, double seed, double step) {
    double **values = calloc((size_t)g->n_nodes, sizeof *values);
    const glia_node *rng = glia_graph_find_leaf(g, "rng"), *y = g->outputs[k].node;
    values[rng->id] = malloc(2 * sizeof(double));
    values[rng->id][0] = seed;
    values[rng->id][1] = step;
    glia_error error;
    if (glia_graph_eval(g, values, &error) != GLIA_OK) fail_msg("%s", error.message);
    double *result = values[y->id];
    values[y->id] = NULL;
    for (int i = 0; i < g->n_nodes; i++) free(values[i]);
    free(values);
    return result;
}

static glia_graph *one_output(glia_tensor (*make)(glia_graph *, glia_shape), glia_shape shape) {
    glia_graph *g = glia_graph_create();
    glia_graph_output(g, "y", make(g, shape));
    assert_int_equal(glia_graph_check(g, NULL), GLIA_OK);
    return g;
}

static void graphs_follow_their_distributions(void **state) {
    (void)state;
    glia_graph *uniform = one_output(glia_random_uniform, GLIA_SHAPE(DRAWS / 8, 8));
    glia_graph *normal = one_output(glia_random_normal, GLIA_SHAPE(8, DRAWS / 8));
    double *u = draw(uniform, 0, 7, 3), *z = draw(normal, 0, 7, 3);
    assert_uniform(u);
    assert_normal(z);
    for (int i = 0; i < 1000; i++) assert_true(u[i] * 0x1p24 == floor(u[i] * 0x1p24));
    free(u), free(z);
    glia_graph_free(uniform);
    glia_graph_free(normal);
}

static bool same(const double *a, const double *b, int n) { return !memcmp(a, b, (size_t)n * sizeof *a); }

/* The numbers depend on seed, step and stream, and on nothing else. */
static void numbers_depend_on_seed_step_and_stream(void **state) {
    (void)state;
    enum { N = 40 };
    glia_graph *g = glia_graph_create();
    glia_graph_output(g, "a", glia_random_uniform(g, GLIA_SHAPE(N)));
    glia_graph_output(g, "b", glia_random_uniform(g, GLIA_SHAPE(N)));
    assert_int_equal(g->n_streams, 2);
    double *base = draw(g, 0, 5, 1), *again = draw(g, 0, 5, 1), *seed = draw(g, 0, 6, 1), *step = draw(g, 0, 5, 2);
    double *stream = draw(g, 1, 5, 1), *high_seed = draw(g, 0, 5 + 0x1p32, 1), *high_step = draw(g, 0, 5, 1 + 0x1p33);
    double *all[] = { base, seed, step, stream, high_seed, high_step };
    assert_true(same(base, again, N));
    for (int i = 0; i < GLIA_COUNT(all); i++) {
        for (int k = 0; k < i; k++) assert_false(same(all[i], all[k], N));
    }
    for (int i = 0; i < GLIA_COUNT(all); i++) free(all[i]);
    free(again);
    glia_graph_free(g);
}

/* Copies draw the same numbers, also if earlier nodes are removed; nodes added after copying draw others. */
static void copies_keep_their_streams(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_random_uniform(g, GLIA_SHAPE(8)); /* dead */
    glia_graph_output(g, "y", glia_random_uniform(g, GLIA_SHAPE(GLIA_BATCH, 2)));
    glia_random_uniform(g, GLIA_SHAPE(8)); /* dead too, but its stream stays allocated */
    glia_error error;
    glia_graph *copy = glia_graph_rewrite(g, NULL, NULL, &(glia_sizes){ { 4, 1, 1 } }, false, &error);
    assert_non_null(copy);
    assert_int_equal(copy->n_streams, 3);
    glia_graph *once = one_output(glia_random_uniform, GLIA_SHAPE(8));
    glia_graph_output(copy, "new", glia_random_uniform(copy, GLIA_SHAPE(8)));
    double *second = draw(copy, 0, 5, 0), *first = draw(once, 0, 5, 0), *third = draw(copy, 1, 5, 0);
    assert_false(same(first, second, 8));
    assert_false(same(third, second, 8));
    glia_graph *whole = glia_graph_rewrite(g, NULL, NULL, &(glia_sizes){ { 8, 1, 1 } }, false, &error);
    double *larger = draw(whole, 0, 5, 0);
    assert_true(same(second, larger, 8)); /* a larger batch starts with the same numbers */
    free(first), free(second), free(third), free(larger);
    glia_graph_free(g);
    glia_graph_free(copy);
    glia_graph_free(once);
    glia_graph_free(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_matches_published_vectors),
        cmocka_unit_test(stream_depends_on_seed_step_and_stream_id),
        cmocka_unit_test(streams_follow_their_distributions),
        cmocka_unit_test(bulk_draws_equal_single_draws),
        cmocka_unit_test(below_is_in_range),
        cmocka_unit_test(graphs_follow_their_distributions),
        cmocka_unit_test(numbers_depend_on_seed_step_and_stream),
        cmocka_unit_test(copies_keep_their_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
