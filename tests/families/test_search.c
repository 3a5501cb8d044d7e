/* test_search.c - black-box search: convergence beside pycma, bounds, noise, restarts, resuming, bad input. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "families/evolution/search.h"

enum { N = 5, MOST = 1024 };
static glia_error error;

/* One generation on a function; false: the search is over. */
static bool advance(glia_search *s, const char *function, int n, double *first) {
    static double x[MOST * 40], values[MOST];
    const int count = glia_search_count(s);
    assert_true(count <= MOST);
    if (glia_search_stopped(s)) return false;
    assert_int_equal(glia_search_ask(s, x, &error), GLIA_OK);
    for (int i = 0; i < count; i++) values[i] = glia_test_function(function, x + i * n, n);
    if (first) memcpy(first, x, (size_t)n * sizeof *x);
    assert_int_equal(glia_search_tell(s, values, &error), GLIA_OK);
    return true;
}

static glia_search *create(const double *start, int n, glia_search_opts opts) {
    glia_search *s = glia_search_create(start, n, opts, &error);
    if (!s) fail_msg("%s", error.message);
    return s;
}

/* A point in [-3, 3]. */
static void draw_start(uint64_t seed, int n, double *start) {
    glia_rng rng = { .seed = seed };
    for (int i = 0; i < n; i++) start[i] = 6 * glia_rng_uniform(&rng) - 3;
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of evaluations to 1e-8 in 5 runs; runs that fail count as infinite. */
static double median_evaluations(const char *function, int n, glia_search_opts opts) {
    double evaluations[5], start[40];
    for (int run = 0; run < 5; run++) {
        draw_start((uint64_t)run, n, start);
        opts.seed = (uint64_t)run;
        glia_search *s = create(start, n, opts);
        while (advance(s, function, n, NULL)) {}
        const glia_search_info info = glia_search_inspect(s);
        evaluations[run] = info.best <= 1e-8 ? (double)info.evaluations : INFINITY;
        glia_search_free(s);
    }
    qsort(evaluations, 5, sizeof *evaluations, compare);
    return evaluations[2];
}

/* Medians of 15 runs of pycma 4 from the same kind of start, sigma 2: examples/search.c says more. */
static void cma_needs_as_few_evaluations_as_pycma(void **state) {
    (void)state;
    const struct {
        const char *function;
        int n;
        double pycma;
    } cases[] = { { "sphere", 5, 700 },      { "sphere", 10, 1400 },     { "ellipsoid", 10, 4000 },
                  { "rosenbrock", 5, 2000 }, { "rosenbrock", 10, 5300 }, { "rastrigin", 5, 25000 } };
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        const bool waves = strcmp(cases[i].function, "rastrigin") == 0;
        const glia_search_opts opts = {
            .sigma = 2, .target = 1e-8, .evaluations = 200000, .restarts = waves ? GLIA_IPOP : GLIA_NO_RESTARTS
        };
        const double median = median_evaluations(cases[i].function, cases[i].n, opts);
        if (!(median <= 1.2 * cases[i].pycma)) fail_msg("%s of %d: %g", cases[i].function, cases[i].n, median);
    }
}

static void every_strategy_approaches_the_optimum(void **state) {
    (void)state;
    const double most[GLIA_STRATEGY_COUNT] = { 1e-6, 1e-6, 1e-2, 1e-2, 1e-6, 30 };
    double start[N];
    for (int kind = 0; kind < GLIA_STRATEGY_COUNT; kind++) {
        draw_start(7, N, start);
        glia_search *s = create(start, N,
                                (glia_search_opts){ .kind = (glia_strategy_kind)kind,
                                                    .sigma = kind == GLIA_OPENAI_ES ? 0.1 : 1,
                                                    .evaluations = 30000 });
        while (advance(s, "sphere", N, NULL)) {}
        const double best = glia_search_inspect(s).best;
        if (!(best <= most[kind])) fail_msg("%s: %g", glia_strategy_name((glia_strategy_kind)kind), best);
        double x[N];
        glia_search_best(s, x);
        ASSERT_NEAR(glia_test_function("sphere", x, N), best, 1e-12);
        glia_search_free(s);
    }
}

/* Axes of an ellipsoid have deviations that are proportional to the inverse root of its eigenvalues. */
static void covariance_becomes_the_inverse_hessian(void **state) {
    (void)state;
    double start[N];
    for (int kind = GLIA_CMA_ES; kind <= GLIA_SEP_CMA_ES; kind++) {
        draw_start(1, N, start);
        glia_search *s =
            create(start, N, (glia_search_opts){ .kind = (glia_strategy_kind)kind, .sigma = 1, .target = 1e-8 });
        while (advance(s, "ellipsoid", N, NULL)) {}
        const double condition = glia_search_inspect(s).condition;
        assert_true(condition > 1e5 && condition < 1e7);
        glia_search_free(s);
    }
}

static void bipop_takes_runs_of_both_kinds(void **state) {
    (void)state;
    double start[N];
    draw_start(3, N, start);
    glia_search *s =
        create(start, N, (glia_search_opts){ .sigma = 2, .restarts = GLIA_BIPOP, .target = 1e-8, .max_restarts = 6 });
    int least = MOST, most = 0;
    while (advance(s, "rastrigin", N, NULL)) {
        least = GLIA_MIN(least, glia_search_inspect(s).population);
        most = GLIA_MAX(most, glia_search_inspect(s).population);
    }
    assert_string_equal(glia_search_stopped(s), "target");
    assert_true(least <= 8 && most >= 16);
    glia_search_free(s);
}

static void candidates_keep_within_bounds(void **state) {
    (void)state;
    const double start[N] = { 1, 1, 1, 1, 1 }, lower[N] = { 0.5, -INFINITY, 0.5, 0.5, -2 },
                 upper[N] = { 2, 1.5, INFINITY, 2, 2 };
    static double x[MOST * N], values[MOST];
    for (int kind = 0; kind < GLIA_STRATEGY_COUNT; kind++) {
        glia_search *s =
            create(start, N,
                   (glia_search_opts){ .kind = (glia_strategy_kind)kind, .sigma = 3, .lower = lower, .upper = upper });
        for (int g = 0; g < 200 && !glia_search_stopped(s); g++) {
            assert_int_equal(glia_search_ask(s, x, &error), GLIA_OK);
            for (int i = 0; i < glia_search_count(s); i++) {
                for (int j = 0; j < N; j++) assert_true(x[i * N + j] >= lower[j] && x[i * N + j] <= upper[j]);
                values[i] = glia_test_function("sphere", x + i * N, N);
            }
            assert_int_equal(glia_search_tell(s, values, &error), GLIA_OK);
        }
        if (kind == GLIA_CMA_ES) ASSERT_NEAR(glia_search_inspect(s).best, 3 * 0.25, 1e-6); /* at the bounds */
        glia_search_free(s);
    }
}

static void reflection_is_that_of_a_mirror(void **state) {
    (void)state;
    ASSERT_NEAR(glia_reflect(2.25, 0, 2), 1.75, 0);
    ASSERT_NEAR(glia_reflect(-0.5, 0, 2), 0.5, 0);
    ASSERT_NEAR(glia_reflect(4.5, 0, 2), 0.5, 1e-15);
    ASSERT_NEAR(glia_reflect(-3, -INFINITY, 2), -3, 0);
    ASSERT_NEAR(glia_reflect(3, -INFINITY, 2), 1, 0);
}

/* ---- noise --------------------------------------------------------------------------------------- */

typedef struct noisy {
    double deviation;
} noisy;

static glia_status noisy_sphere(void *context, const double *x, int n, uint64_t seed, double *value, glia_error *e) {
    (void)e;
    glia_rng rng = { .seed = seed, .stream = 5 };
    *value = glia_test_function("sphere", x, n) + ((noisy *)context)->deviation * glia_rng_normal(&rng);
    return GLIA_OK;
}

static void noise_is_met_by_more_evaluations(void **state) {
    (void)state;
    double start[N], x[N];
    draw_start(5, N, start);
    for (int loud = 0; loud < 2; loud++) {
        noisy context = { loud ? 1 : 0 };
        glia_search *s = create(start, N, (glia_search_opts){ .sigma = 1, .noise = true, .max_repeats = 32 });
        assert_int_equal(glia_search_run(s, noisy_sphere, &context, 150, 1, &error), GLIA_OK);
        if (loud)
            assert_true(glia_search_repeats(s) > 10);
        else
            assert_int_equal(glia_search_repeats(s), 1);
        glia_search_mean(s, x);
        assert_true(glia_test_function("sphere", x, N) < (loud ? 1 : 1e-6));
        glia_search_free(s);
    }
}

/* ---- the same bits --------------------------------------------------------------------------------- */

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    double start[N], first[N], x[N];
    const int threads[] = { 1, 2, 3, 8 };
    draw_start(5, N, start);
    for (int i = 0; i < GLIA_COUNT(threads); i++) {
        noisy context = { 0.1 };
        glia_search *s = create(start, N, (glia_search_opts){ .sigma = 1, .noise = true, .seed = 4 });
        assert_int_equal(glia_search_run(s, noisy_sphere, &context, 20, threads[i], &error), GLIA_OK);
        glia_search_mean(s, i ? x : first);
        if (i) assert_memory_equal(x, first, sizeof x);
        glia_search_free(s);
    }
}

static void a_restored_search_goes_on_with_the_same_bits(void **state) {
    (void)state;
    double start[N], a[N], b[N];
    draw_start(9, N, start);
    for (int kind = 0; kind < GLIA_STRATEGY_COUNT; kind++) {
        const glia_search_opts opts = { .kind = (glia_strategy_kind)kind,
                                        .sigma = 2,
                                        .restarts = kind == GLIA_CMA_ES ? GLIA_BIPOP : GLIA_NO_RESTARTS,
                                        .seed = 3 };
        glia_search *s = create(start, N, opts), *other = create(start, N, opts);
        for (int g = 0; g < 333; g++) advance(s, "rastrigin", N, NULL);
        size_t bytes;
        const void *saved = glia_search_state(s, &bytes);
        assert_int_equal(glia_search_restore(other, saved, bytes, &error), GLIA_OK);
        for (int g = 0; g < 333 && !glia_search_stopped(s); g++) {
            advance(s, "rastrigin", N, a);
            advance(other, "rastrigin", N, b);
            assert_memory_equal(a, b, sizeof a);
        }
        assert_memory_equal(glia_search_state(other, NULL), glia_search_state(s, NULL), bytes);
        glia_search_free(s);
        glia_search_free(other);
    }
}

/* ---- bad input -------------------------------------------------------------------------------------- */

static void assert_refused(const double *start, int n, glia_search_opts opts, const char *message) {
    assert_null(glia_search_create(start, n, opts, &error));
    assert_int_equal(error.status, GLIA_E_ARGUMENT);
    ASSERT_SAYS(message);
}

static void mistakes_are_named(void **state) {
    (void)state;
    const double start[2] = { 0, 5 }, lower[2] = { -1, -1 }, upper[2] = { 1, 1 }, not_finite[2] = { NAN, 0 };
    assert_refused(start, 2, (glia_search_opts){ .lower = lower, .upper = upper }, "start[1] is 5, outside its bounds");
    assert_refused(start, 2, (glia_search_opts){ .lower = upper, .upper = lower },
                   "bounds of x[0], 1 to -1, are empty");
    assert_refused(not_finite, 2, (glia_search_opts){ 0 }, "start[0] is nan");
    assert_refused(start, 2, (glia_search_opts){ .population = 2 }, "population of 2");
    assert_refused(start, 2, (glia_search_opts){ .kind = GLIA_OPENAI_ES, .population = 5 }, "even");
    assert_refused(start, 2, (glia_search_opts){ .kind = GLIA_GENETIC, .restarts = GLIA_IPOP }, "no restarts");
    assert_refused(start, 2, (glia_search_opts){ .sigma = -1 }, "sigma is -1");
    assert_refused(start, 0, (glia_search_opts){ 0 }, "0 dimensions");
    assert_refused(start, 1 << 14, (glia_search_opts){ 0 }, "sep-cma-es takes more");
    assert_refused(start, 2, (glia_search_opts){ .kind = (glia_strategy_kind)77 }, "no strategy 77");
    assert_refused(NULL, 2, (glia_search_opts){ 0 }, "start");
}

static void a_value_that_is_no_number_keeps_the_search(void **state) {
    (void)state;
    const double start[2] = { 1, 1 };
    double x[MOST], values[MOST];
    glia_search *s = create(start, 2, (glia_search_opts){ 0 });
    assert_int_equal(glia_search_ask(s, x, &error), GLIA_OK);
    for (int i = 0; i < glia_search_count(s); i++) values[i] = i;
    values[2] = NAN;
    assert_int_equal(glia_search_tell(s, values, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("the value of candidate 2 in generation 0 is nan; the search is as before");
    assert_int_equal(glia_search_inspect(s).generation, 0);
    values[2] = INFINITY;
    assert_int_equal(glia_search_tell(s, values, &error), GLIA_OK);
    assert_int_equal(glia_search_inspect(s).generation, 1);
    glia_search_free(s);
    s = create(start, 2, (glia_search_opts){ .nan_is_worst = true });
    values[2] = NAN;
    assert_int_equal(glia_search_ask(s, x, &error), GLIA_OK);
    assert_int_equal(glia_search_tell(s, values, &error), GLIA_OK);
    glia_search_free(s);
}

static glia_status fails_at_once(void *context, const double *x, int n, uint64_t seed, double *value, glia_error *e) {
    (void)context, (void)x, (void)n, (void)seed, (void)value;
    return glia_fail(e, GLIA_E_IO, "the device is gone");
}

static void errors_of_the_objective_are_passed_on(void **state) {
    (void)state;
    const double start[2] = { 1, 1 };
    glia_search *s = create(start, 2, (glia_search_opts){ 0 });
    assert_int_equal(glia_search_run(s, fails_at_once, NULL, 3, 2, &error), GLIA_E_IO);
    ASSERT_SAYS("candidate 0: the device is gone");
    assert_int_equal(glia_search_inspect(s).generation, 0);
    glia_search_free(s);
}

static void states_of_other_searches_are_refused(void **state) {
    (void)state;
    const double start[2] = { 1, 1 };
    glia_search *s = create(start, 2, (glia_search_opts){ 0 }),
                *other = create(start, 2, (glia_search_opts){ .seed = 1 });
    size_t bytes;
    const void *saved = glia_search_state(other, &bytes);
    assert_int_equal(glia_search_restore(s, saved, bytes - 1, &error), GLIA_E_FORMAT);
    assert_int_equal(glia_search_restore(s, saved, bytes, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("other arguments");
    char *damaged = malloc(bytes);
    memcpy(damaged, glia_search_state(s, NULL), bytes);
    ((glia_search_place *)(void *)damaged)->population = 1 << 30;
    assert_int_equal(glia_search_restore(s, damaged, bytes, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("damaged");
    free(damaged);
    glia_search_free(s);
    glia_search_free(other);
}

static void test_functions_have_a_minimum_of_zero(void **state) {
    (void)state;
    const double zeros[3] = { 0 }, ones[3] = { 1, 1, 1 };
    int n = 0;
    for (; glia_test_function_at(n); n++) {
        const char *name = glia_test_function_at(n);
        if (n) assert_true(strcmp(glia_test_function_at(n - 1), name) < 0);
        const bool valley = strcmp(name, "rosenbrock") == 0;
        ASSERT_NEAR(glia_test_function(name, valley ? ones : zeros, 3), 0, 1e-14);
        assert_true(glia_test_function(name, valley ? zeros : ones, 3) > 0);
    }
    assert_int_equal(n, 10);
    assert_true(isnan(glia_test_function("parabola", zeros, 3)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cma_needs_as_few_evaluations_as_pycma),
        cmocka_unit_test(every_strategy_approaches_the_optimum),
        cmocka_unit_test(covariance_becomes_the_inverse_hessian),
        cmocka_unit_test(bipop_takes_runs_of_both_kinds),
        cmocka_unit_test(candidates_keep_within_bounds),
        cmocka_unit_test(reflection_is_that_of_a_mirror),
        cmocka_unit_test(noise_is_met_by_more_evaluations),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(a_restored_search_goes_on_with_the_same_bits),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_value_that_is_no_number_keeps_the_search),
        cmocka_unit_test(errors_of_the_objective_are_passed_on),
        cmocka_unit_test(states_of_other_searches_are_refused),
        cmocka_unit_test(test_functions_have_a_minimum_of_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
