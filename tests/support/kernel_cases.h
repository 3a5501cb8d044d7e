/* kernel_cases.h - shared by the CPU kernel tests: the machine's instruction sets, random numbers, an epilogue that
 * records its calls, and comparison with a double-precision reference. */
#ifndef GLIA_TESTS_KERNEL_CASES_H
#define GLIA_TESTS_KERNEL_CASES_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/kernels/kernels.h"
#include "glia/glia.h"
#include "isa.h"

/* Marks loops over a reference's sums, which would take most of a test's time if sanitizers checked each access. The
 * kernels' accesses are checked. */
#define UNCHECKED __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

/* Collects the kernel tables of the selected instruction sets that this machine supports; returns their number. */
static inline int tables_of_machine(const glia_cpu_kernels *tables[GLIA_ISA_COUNT]) {
    int n = 0;
    for (int isa = 0; isa < GLIA_ISA_COUNT; isa++) {
        if (!isa_is_wanted(glia_isa_name((glia_isa)isa))) continue;
        setenv("GLIA_ISA", glia_isa_name((glia_isa)isa), 1);
        glia_isa chosen;
        if (glia_isa_choose(&chosen, NULL) == GLIA_OK) tables[n++] = glia_cpu_kernels_for(chosen);
    }
    unsetenv("GLIA_ISA");
    assert_true(n > 0);
    return n;
}

/* Numbers in [-1, 1) by a linear congruential generator, which costs less than the kernels that read them. */
UNCHECKED static inline float *random_floats(int64_t n, uint64_t stream) {
    float *x = glia_alloc_aligned((size_t)(n + 1) * sizeof(float));
    assert_non_null(x);
    uint64_t state = stream * 0x9E3779B97F4A7C15u + 7;
    for (int64_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)(int32_t)(state >> 32) * 0x1p-31f;
    }
    return x;
}

/* Scratch memory followed by a guard. */
enum { GUARD = 64 };

static inline unsigned char *scratch_alloc(size_t bytes) {
    unsigned char *scratch = glia_alloc_aligned(bytes + GUARD);
    assert_non_null(scratch);
    memset(scratch, 0xFF, bytes + GUARD); /* NaN, to detect reads of uninitialised scratch */
    return scratch;
}

static inline void scratch_free(unsigned char *scratch, size_t bytes) {
    for (int i = 0; i < GUARD; i++) assert_int_equal(scratch[bytes + (size_t)i], 0xFF);
    free(scratch);
}

static inline void assert_close(const float *actual, const double *expected, int64_t n, double tolerance,
                                const char *what) {
    for (int64_t i = 0; i < n; i++) {
        if (isnan(expected[i]) ? isnan(actual[i]) : (double)actual[i] == expected[i]) continue; /* also infinities */
        if (!(fabs(actual[i] - expected[i]) <= tolerance)) {
            fail_msg("%s: element %lld is %g, should be %g", what, (long long)i, (double)actual[i], expected[i]);
        }
    }
}

/* An epilogue that maps v to 2 v + 1, which reveals elements visited twice or never. */
static inline void double_plus_one(void *context, int worker, int64_t batch, int64_t row, int64_t rows, int64_t col,
                                   int64_t cols, float *c, int64_t ldc) {
    (void)worker;
    const float *base = context; /* NULL, or a bias that must be added by batch, row and column */
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            float extra = base ? (float)((batch * 7 + (row + i) * 3 + (col + j)) % 11) : 0;
            c[i * ldc + j] = 2 * c[i * ldc + j] + 1 + extra;
        }
    }
}

#endif
