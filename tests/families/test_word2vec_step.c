/* word2vec's training step and its gradient; hierarchical softmax codes; negative sampling. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "backend/cpu/kernels/kernels.h"
#include "families/words/words.h"
#include "glia/glia.h"

static glia_error error;

static void assert_done(glia_status status) {
    if (status) fail_msg("%s", error.message);
}

/* ---- the step ----------------------------------------------------------------------------- */

enum { INS = 7, OUTS = 18, LENGTH = 112 };

typedef struct rows {
    _Alignas(64) float in[INS][LENGTH], out[OUTS][LENGTH], grad[INS][LENGTH], hidden[LENGTH];
    float errors[INS * OUTS + 16], label[OUTS];
    float *in_rows[INS], *out_rows[OUTS], *grad_rows[INS];
} rows;

static void draw_rows(rows *r, int length, uint64_t seed) {
    glia_rng rng = { .seed = seed };
    memset(r, 0, sizeof *r);
    for (int i = 0; i < INS; i++)
        for (int k = 0; k < length; k++) r->in[i][k] = (float)(glia_rng_uniform(&rng) - 0.5);
    for (int i = 0; i < OUTS; i++)
        for (int k = 0; k < length; k++) r->out[i][k] = (float)(glia_rng_uniform(&rng) - 0.5);
    for (int i = 0; i < OUTS; i++) r->label[i] = (float)(glia_rng_u32(&rng) & 1);
    for (int i = 0; i < INS; i++) r->in_rows[i] = r->in[i], r->grad_rows[i] = r->grad[i];
    for (int i = 0; i < OUTS; i++) r->out_rows[i] = r->out[i];
}

static glia_word_step step_of(rows *r, int ins, int outs, int length, bool average, float rate) {
    return (glia_word_step){ .length = length,
                             .n_in = ins,
                             .n_out = outs,
                             .average = average,
                             .rate = rate,
                             .in = r->in_rows,
                             .out = r->out_rows,
                             .label = r->label,
                             .errors = r->errors,
                             .grad = r->grad_rows,
                             .hidden = r->hidden };
}

static double log_sigmoid(double x) { return x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x)); }

/* The loss by definition, with `by` added to one element. */
static double loss(const rows *r, int ins, int outs, int length, bool average, const float *moved, double by) {
    double total = 0;
    for (int i = 0; i < (average ? 1 : ins); i++) {
        for (int t = 0; t < outs; t++) {
            double product = 0;
            for (int k = 0; k < length; k++) {
                double x = 0, o = r->out[t][k] + (moved == &r->out[t][k] ? by : 0);
                if (average) {
                    for (int j = 0; j < ins; j++) x += (r->in[j][k] + (moved == &r->in[j][k] ? by : 0)) / ins;
                } else {
                    x = r->in[i][k] + (moved == &r->in[i][k] ? by : 0);
                }
                product += x * o;
            }
            total -= log_sigmoid(r->label[t] != 0 ? product : -product);
        }
    }
    return total;
}

static double slope(const rows *r, int ins, int outs, int length, bool average, const float *at) {
    const double h = 1e-4;
    return (loss(r, ins, outs, length, average, at, h) - loss(r, ins, outs, length, average, at, -h)) / (2 * h);
}

static const glia_cpu_kernels *kernels(void) {
    glia_isa isa;
    assert_done(glia_isa_choose(&isa, &error));
    return glia_cpu_kernels_for(isa);
}

/* Every row changes by -rate times its gradient; averaged rows each by -rate times the gradient in the mean. */
static void check_step(int ins, int outs, int length, bool average) {
    static rows before, after;
    draw_rows(&before, length, (uint64_t)(ins * 100 + outs));
    draw_rows(&after, length, (uint64_t)(ins * 100 + outs));
    const float rate = 0.25F;
    const glia_word_step step = step_of(&after, ins, outs, length, average, rate);
    kernels()->word_step_f32(&step);
    for (int i = 0; i < ins; i++) {
        for (int k = 0; k < length; k += 13) {
            const double share = average ? ins : 1;
            const double wanted = -rate * share * slope(&before, ins, outs, length, average, &before.in[i][k]);
            ASSERT_NEAR(after.in[i][k] - before.in[i][k], wanted, 2e-6);
        }
    }
    for (int t = 0; t < outs; t++) {
        for (int k = 0; k < length; k += 13) {
            const double wanted = -rate * slope(&before, ins, outs, length, average, &before.out[t][k]);
            ASSERT_NEAR(after.out[t][k] - before.out[t][k], wanted, 2e-6);
        }
    }
    for (int i = ins; i < INS; i++) assert_memory_equal(before.in[i], after.in[i], sizeof before.in[i]);
    for (int t = outs; t < OUTS; t++) assert_memory_equal(before.out[t], after.out[t], sizeof before.out[t]);
}

static void test_step_gradient(void **state) {
    (void)state;
    for (int ins = 1; ins <= INS; ins++) {
        for (int outs = 1; outs <= OUTS; outs += ins < 3 ? 1 : 5) {
            check_step(ins, outs, LENGTH, false);
            check_step(ins, outs, 16, true);
        }
    }
}

/* A repeated row gets the sum of both updates. */
static void test_step_same_rows(void **state) {
    (void)state;
    static rows once, twice;
    draw_rows(&once, LENGTH, 9);
    draw_rows(&twice, LENGTH, 9);
    memcpy(once.in[1], once.in[0], sizeof once.in[0]);
    memcpy(once.out[3], once.out[2], sizeof once.out[2]);
    once.label[3] = once.label[2];
    memcpy(&twice, &once, offsetof(rows, grad));
    twice.label[3] = twice.label[2];
    static rows begun;
    memcpy(&begun, &once, sizeof begun);
    twice.in_rows[1] = twice.in[0];
    twice.out_rows[3] = twice.out[2];
    const glia_word_step a = step_of(&once, 4, 6, LENGTH, false, 0.1F), b = step_of(&twice, 4, 6, LENGTH, false, 0.1F);
    kernels()->word_step_f32(&a);
    kernels()->word_step_f32(&b);
    for (int k = 0; k < LENGTH; k++) {
        ASSERT_NEAR(twice.in[0][k] - begun.in[0][k], 2 * (once.in[0][k] - begun.in[0][k]), 1e-6);
        ASSERT_NEAR(twice.out[2][k] - begun.out[2][k], 2 * (once.out[2][k] - begun.out[2][k]), 1e-6);
        ASSERT_NEAR(twice.in[2][k], once.in[2][k], 1e-6);
    }
}

/* ---- codes and draws ---------------------------------------------------------------------- */

/* The minimal sum of count * code length, by repeatedly merging the two smallest (Huffman). */
static int64_t least_length(const int64_t *counts, int n) {
    int64_t weight[64], total = 0;
    memcpy(weight, counts, (size_t)n * sizeof *counts);
    for (; n > 1; n--) {
        for (int k = 0; k < 2; k++) {
            int least = k;
            for (int i = k; i < n; i++) least = weight[i] < weight[least] ? i : least;
            const int64_t swap = weight[k];
            weight[k] = weight[least];
            weight[least] = swap;
        }
        weight[1] += weight[0];
        total += weight[1];
        memmove(weight, weight + 1, (size_t)(n - 1) * sizeof *weight);
    }
    return total;
}

static void check_tree(const int64_t *counts, int n) {
    glia_word_tree tree;
    assert_true(glia_word_tree_build(&tree, counts, n));
    int64_t total = 0;
    double kraft = 0;
    for (int i = 0; i < n; i++) {
        const int64_t length = tree.starts[i + 1] - tree.starts[i];
        total += counts[i] * length;
        kraft += ldexp(1, -(int)length);
        if (n > 1) assert_int_equal(tree.nodes[tree.starts[i]], n - 2); /* the root */
        assert_true(length <= tree.longest);
        for (int64_t k = tree.starts[i]; k < tree.starts[i + 1]; k++) assert_in_range(tree.nodes[k], 0, n - 2);
    }
    assert_int_equal(total, least_length(counts, n));
    assert_true(kraft == 1);
    glia_word_tree_free(&tree);
}

static void test_huffman_codes_are_optimal(void **state) {
    (void)state;
    const int64_t equal[] = { 5, 5, 5, 5, 5, 5, 5 }, one[] = { 3 }, two[] = { 9, 1 };
    const int64_t fibonacci[] = { 89, 55, 34, 21, 13, 8, 5, 3, 2, 1, 1 };
    check_tree(equal, 7);
    check_tree(one, 1);
    check_tree(two, 2);
    check_tree(fibonacci, 11);
    glia_rng rng = { .seed = 4 };
    for (int round = 0; round < 50; round++) {
        int64_t counts[60];
        const int n = 2 + (int)glia_rng_below(&rng, 58);
        int64_t count = 1;
        for (int i = n - 1; i >= 0; i--)
            counts[i] = count += (int64_t)glia_rng_below(&rng, (uint64_t)round * round + 1);
        check_tree(counts, n);
    }
}

/* The path probabilities sum to 1 over the n words for any values. The step's gradient is that of their logarithm,
 * since each path is a sum of log sigmoids with these labels. */
static void test_hierarchical_softmax_sums_to_one(void **state) {
    (void)state;
    const int64_t counts[] = { 90, 50, 20, 19, 7, 5, 3, 2, 1 };
    enum { N = 9 };
    glia_word_tree tree;
    assert_true(glia_word_tree_build(&tree, counts, N));
    glia_rng rng = { .seed = 2 };
    double product[N - 1], sum = 0;
    for (int i = 0; i < N - 1; i++) product[i] = 4 * glia_rng_normal(&rng);
    for (int i = 0; i < N; i++) {
        double log_probability = 0;
        for (int64_t k = tree.starts[i]; k < tree.starts[i + 1]; k++) {
            const double x = product[tree.nodes[k]];
            log_probability += log_sigmoid(tree.bits[k] ? -x : x); /* the label is 1 - bit */
        }
        sum += exp(log_probability);
    }
    ASSERT_NEAR(sum, 1, 1e-12);
    glia_word_tree_free(&tree);
}

static void test_draws_follow_counts(void **state) {
    (void)state;
    enum { N = 500 };
    int64_t counts[N];
    double wanted[N], sum = 0, found[N] = { 0 };
    for (int i = 0; i < N; i++) counts[i] = 1000000 / (1 + i) / (1 + i) + 1;
    for (int i = 0; i < N; i++) sum += wanted[i] = pow((double)counts[i], 0.75);
    glia_word_draws draws;
    assert_true(glia_word_draws_build(&draws, counts, N, 0.75));
    for (int i = 0; i < N; i++) { /* probabilities of the table */
        const double keep = draws.cells[i].keep == UINT32_MAX ? 1 : draws.cells[i].keep / 0x1p32;
        found[i] += keep / N;
        found[draws.cells[i].other] += (1 - keep) / N;
    }
    for (int i = 0; i < N; i++) ASSERT_NEAR(found[i], wanted[i] / sum, 1e-9);

    enum { DRAWS = 2000000 };
    static int64_t seen[N];
    uint64_t random = 7;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < DRAWS; i++) seen[glia_word_draw(&draws, glia_word_random(&random))]++;
    double chi = 0;
    for (int i = 0; i < N; i++) {
        const double expected = DRAWS * wanted[i] / sum;
        chi += ((double)seen[i] - expected) * ((double)seen[i] - expected) / expected;
    }
    assert_true(chi < 499 + 5 * sqrt(2 * 499)); /* 499 degrees of freedom */
    glia_word_draws_free(&draws);
}

static void test_subsampling(void **state) {
    (void)state;
    assert_true(glia_word_kept(10, 1000000, 1e-3) == 1);
    assert_true(glia_word_kept(500000, 1000000, -1) == 1);
    /* (sqrt(f / s) + 1) s / f for f = 0.05, s = 0.001 */
    ASSERT_NEAR(glia_word_kept(50000, 1000000, 1e-3), (sqrt(50) + 1) / 50, 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_gradient),
        cmocka_unit_test(test_step_same_rows),
        cmocka_unit_test(test_huffman_codes_are_optimal),
        cmocka_unit_test(test_hierarchical_softmax_sums_to_one),
        cmocka_unit_test(test_draws_follow_counts),
        cmocka_unit_test(test_subsampling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
