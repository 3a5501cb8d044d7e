/* The digits that the library draws: always the same for a seed, on any number of threads, clean, centred, all
 * different, and neither too easy nor too hard to tell apart. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/sources/data.h"
#include "glia/glia.h"

enum { PIXELS = 28 * 28 };

static void test_function_of_seed_and_index(void **state) {
    (void)state;
    uint8_t a[PIXELS], b[PIXELS];
    memset(a, 1, sizeof a);
    memset(b, 2, sizeof b);
    int digit = glia_strokes_draw(5, 17, a);
    glia_strokes_draw(5, 18, b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(glia_strokes_draw(5, 17, b), digit);
    assert_memory_equal(a, b, sizeof a);
    glia_strokes_draw(6, 17, b);
    assert_memory_not_equal(a, b, sizeof a);
    glia_strokes_draw(5 + ((uint64_t)1 << 40), 17, b);
    assert_memory_not_equal(a, b, sizeof a);
    glia_strokes_draw(5, 17 + ((uint64_t)1 << 40), b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void test_data_set(void **state) {
    (void)state;
    glia_error error;
    glia_dataset *data = glia_data_strokes(1000, 9, &error),
                 *train = glia_data_open("strokes?n=50&seed=9", "train", NULL, &error);
    glia_dataset *test = glia_data_open("strokes?n=50&seed=9", "test", NULL, &error);
    assert_true(data && train && test);
    assert_int_equal(glia_data_count(test), 10);
    assert_int_equal(glia_data_classes(data), 10);
    assert_true(glia_shape_equal(glia_data_x_shape(data), GLIA_SHAPE(1, 28, 28)));
    for (int64_t i = 0; i < 1000; i++) { /* drawn on all cores there, here one by one */
        uint8_t pixels[PIXELS];
        float x[PIXELS];
        int32_t y;
        assert_int_equal(glia_data_get(data, i, x, &y, &error), GLIA_OK);
        assert_int_equal(glia_strokes_draw(9, (uint64_t)i, pixels), y);
        for (int k = 0; k < PIXELS; k++) assert_true(x[k] == (float)(pixels[k] / 255.0));
        if (i >= 50) continue;
        float other[PIXELS];
        assert_int_equal(glia_data_get(train, i, other, NULL, &error), GLIA_OK);
        assert_memory_equal(x, other, sizeof x);
        assert_int_equal(glia_data_get(test, i % 10, other, NULL, &error), GLIA_OK);
        assert_memory_not_equal(x, other, sizeof x);
    }
    assert_null(glia_data_strokes(0, 1, &error));
    assert_int_equal(error.status, GLIA_E_ARGUMENT);
    glia_data_free(data);
    glia_data_free(train);
    glia_data_free(test);
}

/* As MNIST has them: black borders, white strokes on black, the centre of mass in the middle, digits equally often. */
static void test_appearance(void **state) {
    (void)state;
    enum { N = 4000 };
    int counts[10] = { 0 };
    double total = 0;
    for (int i = 0; i < N; i++) {
        uint8_t p[PIXELS];
        int digit = glia_strokes_draw(1, (uint64_t)i, p), brightest = 0;
        assert_in_range(digit, 0, 9);
        counts[digit]++;
        double mass = 0, mx = 0, my = 0;
        for (int k = 0; k < PIXELS; k++) {
            mass += p[k], mx += p[k] * (k % 28 + 0.5), my += p[k] * (k / 28 + 0.5);
            brightest = GLIA_MAX(brightest, p[k]);
        }
        assert_true(brightest > 120);
        assert_true(mass > 20 * 255 && mass < 330 * 255);
        assert_true(fabs(mx / mass - 14) < 4.5 && fabs(my / mass - 14) < 4.5);
        for (int k = 0; k < 28; k++) {
            assert_true(p[k] < 128 && p[27 * 28 + k] < 128 && p[28 * k] < 128 && p[28 * k + 27] < 128);
        }
        total += mass / 255 / PIXELS;
    }
    for (int d = 0; d < 10; d++) assert_in_range(counts[d], N / 10 - 100, N / 10 + 100); /* five deviations */
    assert_true(total / N > 0.10 && total / N < 0.16);                                   /* MNIST: 0.131 */
}

/* The nearest of 1,500 drawings names 85 to 99 of 100 right: they vary, but they are digits. */
static void test_difficulty(void **state) {
    (void)state;
    enum { TRAIN = 1500, TEST = 200 };
    uint8_t *train = malloc((size_t)TRAIN * PIXELS), p[PIXELS];
    int labels[TRAIN], right = 0;
    assert_non_null(train);
    for (int i = 0; i < TRAIN; i++) labels[i] = glia_strokes_draw(2, (uint64_t)i, train + i * PIXELS);
    for (int i = 0; i < TEST; i++) {
        int digit = glia_strokes_draw(3, (uint64_t)i, p), best = -1;
        int64_t nearest = INT64_MAX;
        for (int t = 0; t < TRAIN; t++) {
            int64_t distance = 0;
            for (int k = 0; k < PIXELS; k++) {
                int d = p[k] - train[t * PIXELS + k];
                distance += d * d;
            }
            if (distance < nearest) nearest = distance, best = t;
        }
        right += labels[best] == digit;
    }
    free(train);
    assert_in_range(right, TEST * 85 / 100, TEST * 99 / 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_function_of_seed_and_index),
        cmocka_unit_test(test_data_set),
        cmocka_unit_test(test_appearance),
        cmocka_unit_test(test_difficulty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
