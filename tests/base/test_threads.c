/* The thread pool: every piece runs once, on any number of threads, with busy and sleeping workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "glia/glia.h"

enum { PIECES = 1000 };

typedef struct tally {
    int count[PIECES];
    int64_t by_worker[64];
    int workers;
    int strangers; /* number of out-of-range worker indices */
} tally;

static void count_piece(void *context, int64_t piece, int worker) {
    tally *t = context;
    t->count[piece]++;
    if (worker < 0 || worker >= t->workers) t->strangers++;
    else t->by_worker[worker] += piece; /* not atomic: a worker runs one piece at a time */
}

static void test_each_piece_runs_once(void **state) {
    (void)state;
    const int sizes[] = { 1, 2, 3, 8 };
    for (int s = 0; s < GLIA_COUNT(sizes); s++) {
        glia_error error;
        glia_pool *pool = glia_pool_create(sizes[s], &error);
        assert_non_null(pool);
        assert_int_equal(glia_pool_size(pool), sizes[s]);
        tally t = { .workers = sizes[s] };
        for (int round = 0; round < 500; round++) {
            int64_t pieces = round % 7 == 0 ? PIECES : round % 5;
            for (int i = 0; i < PIECES; i++) t.count[i] = 0;
            glia_parallel_for(pool, pieces, count_piece, &t);
            for (int i = 0; i < PIECES; i++) assert_int_equal(t.count[i], i < pieces);
            if (round % 100 == 50) usleep(2000); /* long enough for the workers to fall asleep */
        }
        assert_int_equal(t.strangers, 0);
        glia_pool_free(pool);
    }
}

static void test_sum_of_workers(void **state) {
    (void)state;
    glia_pool *pool = glia_pool_create(4, NULL);
    assert_non_null(pool);
    tally t = { .workers = 4 };
    for (int round = 0; round < 100; round++) glia_parallel_for(pool, PIECES, count_piece, &t);
    int64_t sum = 0;
    for (int w = 0; w < 4; w++) sum += t.by_worker[w];
    assert_int_equal(sum, (int64_t)100 * PIECES * (PIECES - 1) / 2);
    glia_pool_free(pool);
}

static void test_without_pool(void **state) {
    (void)state;
    tally t = { .workers = 1 };
    glia_parallel_for(NULL, 10, count_piece, &t);
    glia_parallel_for(NULL, 0, count_piece, &t);
    for (int i = 0; i < PIECES; i++) assert_int_equal(t.count[i], i < 10);
    assert_int_equal(glia_pool_size(NULL), 1);
    glia_pool_free(NULL);
}

static void test_sizes(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_pool *pool = glia_pool_create(0, &error);
    assert_non_null(pool);
    assert_int_equal(glia_pool_size(pool), glia_cpu_cores());
    glia_pool_free(pool);
    assert_null(glia_pool_create(1 << 20, &error));
    assert_int_equal(error.status, GLIA_E_ARGUMENT);
    assert_true(glia_cpu_cores() >= 1);
}

static void test_isa(void **state) {
    (void)state;
    glia_isa best, isa;
    unsetenv("GLIA_ISA");
    assert_int_equal(glia_isa_choose(&best, NULL), GLIA_OK);
    assert_int_equal(setenv("GLIA_ISA", glia_isa_name(best), 1), 0);
    assert_int_equal(glia_isa_choose(&isa, NULL), GLIA_OK);
    assert_int_equal(isa, best);
    glia_error error = { 0 };
    setenv("GLIA_ISA", best == GLIA_ISA_NEON ? "v2" : "neon", 1);
    assert_int_equal(glia_isa_choose(&isa, &error), GLIA_E_UNSUPPORTED);
    setenv("GLIA_ISA", "avx9", 1);
    assert_int_equal(glia_isa_choose(&isa, &error), GLIA_E_ARGUMENT);
    assert_true(error.message[0]);
    unsetenv("GLIA_ISA");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_piece_runs_once), cmocka_unit_test(test_sum_of_workers),
        cmocka_unit_test(test_without_pool),     cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_isa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
