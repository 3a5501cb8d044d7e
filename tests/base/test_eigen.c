/* test_eigen.c - eigenvectors of symmetric matrices, by their definition. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "base/base.h"

/* Multiples of 1/256 in [-8, 8). */
static void draw(uint64_t seed, int n, double *out) {
    glia_rng rng = { .seed = seed };
    for (int i = 0; i < n; i++) out[i] = ((double)glia_rng_below(&rng, 4096) - 2048) / 256;
}

/* A v = lambda v, orthogonal vectors, descending values; includes equal values and a diagonal matrix. */
static void test_eigenvectors(void **state) {
    (void)state;
    enum { MOST = 60 };
    static double a[MOST * MOST], lost[MOST * MOST], vectors[MOST * MOST], values[MOST], work[MOST], drawn[MOST * MOST];
    for (int round = 0; round < 12; round++) {
        const int m = round < 6 ? round + 1 : 10 * (round - 5);
        draw((uint64_t)round + 7, m * m, drawn);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < m; j++)
                a[i * m + j] = round == 5 ? (i == j ? 2 : 0) : round == 4 ? 1 : drawn[i * m + j] + drawn[j * m + i];
        memcpy(lost, a, sizeof lost);
        assert_true(glia_symmetric_eigen(lost, m, values, vectors, work));
        for (int i = 0; i < m; i++) {
            if (i) assert_true(values[i] <= values[i - 1]);
            for (int k = 0; k < m; k++) {
                double product = 0;
                for (int j = 0; j < m; j++) product += a[k * m + j] * vectors[i * m + j];
                ASSERT_NEAR(product, values[i] * vectors[i * m + k], 1e-11);
            }
            for (int j = 0; j <= i; j++) {
                double product = 0;
                for (int k = 0; k < m; k++) product += vectors[i * m + k] * vectors[j * m + k];
                ASSERT_NEAR(product, i == j, 1e-12);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eigenvectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
