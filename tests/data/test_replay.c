/* Growing data sets: the ring, uniform and prioritised draws, passes, checkpoints, use in a function, n-step
 * returns. */
#include <math.h>
#include <stdio.h>

#include "run_graph.h"

#include "core/graph/graph.h"
#include "data/replay/sum_tree.h"

enum { CAPACITY = 20 };

static const glia_replay_field fields[] = {
    { "x", GLIA_F32, GLIA_DIMS(2) },    { "action", GLIA_I32, { 0 } }, { "pixels", GLIA_U8, GLIA_DIMS(2, 3) },
    { "time", GLIA_I64, GLIA_DIMS(1) }, { "done", GLIA_BOOL, { 0 } },
};

static glia_replay *create(glia_replay_opts opts) {
    glia_error error = { 0 };
    if (!opts.capacity) opts.capacity = CAPACITY;
    glia_replay *r = glia_replay_create(fields, GLIA_COUNT(fields), opts, &error);
    if (!r) fail_msg("%s", error.message);
    return r;
}

/* What row `row` holds in each field. */
static float x_of(int64_t row, int i) { return (float)row + 0.25f * (float)i; }
static int64_t time_of(int64_t row) { return row * 1000000007; }

/* Appends n rows. */
static void add(glia_replay *r, int64_t n) {
    static float x[64][2];
    static int32_t action[64];
    static uint8_t pixels[64][6];
    static int64_t at[64];
    static bool done[64];
    const int64_t first = glia_replay_added(r);
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < 2; k++) x[i][k] = x_of(first + i, k);
        for (int k = 0; k < 6; k++) pixels[i][k] = (uint8_t)(first + i + k);
        action[i] = (int32_t)(3 * (first + i)), at[i] = time_of(first + i), done[i] = (first + i) % 2;
    }
    const glia_array rows[] = { { "time", GLIA_I64, GLIA_SHAPE(n, 1), at, false },
                                { "x", GLIA_F32, GLIA_SHAPE(n, 2), x, false },
                                { "pixels", GLIA_U8, GLIA_SHAPE(n, 2, 3), pixels, false },
                                { "done", GLIA_BOOL, GLIA_SHAPE(n), done, false },
                                { "action", GLIA_I32, GLIA_SHAPE(n), action, false } };
    glia_error error = { 0 };
    if (glia_replay_add(r, rows, GLIA_COUNT(rows), &error) != GLIA_OK) fail_msg("%s", error.message);
}

/* Every array of the batch has what its row numbers say. */
static void check(const glia_replay_batch *b) {
    for (int64_t i = 0; i < b->n; i++) {
        const int64_t row = b->rows[i];
        for (int k = 0; k < 2; k++) assert_true(((float *)b->arrays[0].data)[i * 2 + k] == x_of(row, k));
        assert_int_equal(((int32_t *)b->arrays[1].data)[i], 3 * row);
        for (int k = 0; k < 6; k++) assert_int_equal(((uint8_t *)b->arrays[2].data)[i * 6 + k], (uint8_t)(row + k));
        assert_true(((int64_t *)b->arrays[3].data)[i] == time_of(row));
        assert_true(((bool *)b->arrays[4].data)[i] == (row % 2 == 1));
    }
    assert_true(glia_shape_equal(b->arrays[2].shape, GLIA_SHAPE(b->n, 2, 3)));
    assert_true(glia_shape_equal(b->arrays[4].shape, GLIA_SHAPE(b->n)));
}

static glia_replay_batch sample(glia_replay *r, int64_t n, glia_replay_draw draw) {
    glia_replay_batch b;
    glia_error error = { 0 };
    if (glia_replay_sample(r, n, draw, &b, &error) != GLIA_OK) fail_msg("%s", error.message);
    check(&b);
    return b;
}

/* ---- the ring -------------------------------------------------------------------------------- */

static void oldest_rows_are_overwritten(void **state) {
    (void)state;
    glia_replay *r = create((glia_replay_opts){ .capacity = 7 });
    static const int64_t counts[] = { 3, 4, 1, 5, 7, 20, 6, 2 };
    for (int i = 0; i < GLIA_COUNT(counts); i++) {
        add(r, counts[i]);
        int64_t rows[7], n = glia_replay_count(r);
        assert_int_equal(n, GLIA_MIN(glia_replay_added(r), 7));
        for (int64_t k = 0; k < n; k++) rows[k] = glia_replay_added(r) - 1 - k;
        glia_replay_batch b;
        glia_error error;
        assert_int_equal(glia_replay_rows(r, rows, n, &b, &error), GLIA_OK);
        check(&b);
        assert_memory_equal(b.rows, rows, (size_t)n * sizeof *rows);
        rows[0] = glia_replay_added(r) - n - 1;
        assert_int_equal(glia_replay_rows(r, rows, n, &b, &error), GLIA_E_NOT_FOUND);
        for (int step = 0; step < 20; step++) {
            b = sample(r, 5, (glia_replay_draw){ .seed = 3, .step = step });
            for (int k = 0; k < 5; k++)
                assert_true(b.rows[k] >= glia_replay_added(r) - n && b.rows[k] < glia_replay_added(r));
        }
    }
    assert_int_equal(glia_replay_added(r), 48);
    glia_replay_free(r);
}

/* ---- draws ----------------------------------------------------------------------------------- */

/* Pearson's statistic of counts against shares; below 43.8 with probability 0.999 at 19 degrees of freedom. */
static double chi_square(const int64_t *counts, const double *shares, int n, double draws) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += pow((double)counts[i] - draws * shares[i], 2) / (draws * shares[i]);
    return sum;
}

static void uniform_draws_are_uniform(void **state) {
    (void)state;
    glia_replay *r = create((glia_replay_opts){ 0 });
    add(r, 13), add(r, 12); /* rows 5 to 24 */
    int64_t counts[CAPACITY] = { 0 }, pairs[CAPACITY] = { 0 };
    double shares[CAPACITY];
    for (int i = 0; i < CAPACITY; i++) shares[i] = 1.0 / CAPACITY;
    for (int64_t step = 0; step < 5000; step++) {
        const glia_replay_batch b = sample(r, 8, (glia_replay_draw){ .seed = 7, .step = step });
        for (int i = 0; i < 8; i++) counts[b.rows[i] - 5]++;
        pairs[(b.rows[0] - b.rows[1] + CAPACITY) % CAPACITY]++; /* two rows of a batch are independent */
    }
    assert_true(chi_square(counts, shares, CAPACITY, 40000) < 43.8);
    assert_true(chi_square(pairs, shares, CAPACITY, 5000) < 43.8);
    glia_replay_free(r);
}

static void draws_depend_on_seed_and_step(void **state) {
    (void)state;
    glia_replay *r = create((glia_replay_opts){ 0 });
    add(r, 20);
    int64_t rows[3][16];
    static const glia_replay_draw draws[] = { { .seed = 1, .step = 5 },
                                              { .seed = 1, .step = 6 },
                                              { .seed = 2, .step = 5 } };
    for (int i = 0; i < 3; i++) memcpy(rows[i], sample(r, 16, draws[i]).rows, sizeof rows[i]);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(sample(r, 16, draws[i]).rows, rows[i], sizeof rows[i]);
        assert_memory_equal(sample(r, 4, draws[i]).rows, rows[i], 4 * sizeof rows[i][0]);
        assert_true(memcmp(rows[i], rows[(i + 1) % 3], sizeof rows[i]) != 0);
    }
    glia_replay_free(r);
}

static void passes_hold_every_row_once(void **state) {
    (void)state;
    glia_replay *r = create((glia_replay_opts){ 0 });
    add(r, 27); /* rows 7 to 26 */
    int64_t order[2][CAPACITY];
    for (int pass = 0; pass < 2; pass++) {
        int64_t seen[CAPACITY] = { 0 }, at = 0;
        for (int k = 0; k < 3; k++) {
            const glia_replay_batch b =
                sample(r, 8, (glia_replay_draw){ .seed = 4, .step = pass * 3 + k, .shuffled = true });
            assert_int_equal(b.n, k == 2 ? 4 : 8);
            for (int64_t i = 0; i < b.n; i++) seen[b.rows[i] - 7]++, order[pass][at++] = b.rows[i];
        }
        for (int i = 0; i < CAPACITY; i++) assert_int_equal(seen[i], 1);
    }
    assert_true(memcmp(order[0], order[1], sizeof order[0]) != 0);
    const glia_replay_batch b = sample(r, 8, (glia_replay_draw){ .seed = 4, .step = 1, .shuffled = true });
    assert_memory_equal(b.rows, order[0] + 8, 8 * sizeof order[0][0]);
    assert_int_equal(sample(r, 100, (glia_replay_draw){ .shuffled = true }).n, CAPACITY);
    glia_replay_free(r);
}

/* ---- priorities ------------------------------------------------------------------------------ */

/* Weights 1 ... 13 in any order: the k-th interval of [0, 91) is found, and sums do not depend on the order. */
static void sum_tree_finds_intervals(void **state) {
    (void)state;
    enum { LEAVES = 13 };
    glia_sum_tree t, again;
    assert_true(glia_sum_tree_init(&t, LEAVES) && glia_sum_tree_init(&again, LEAVES));
    double weights[LEAVES];
    for (int i = 0; i < LEAVES; i++) glia_sum_tree_set(&t, i * 5 % LEAVES, 99), weights[i] = i + 1;
    for (int i = 0; i < LEAVES; i++) glia_sum_tree_set(&t, i * 5 % LEAVES, weights[i * 5 % LEAVES]);
    assert_true(glia_sum_tree_total(&t) == LEAVES * (LEAVES + 1) / 2);
    for (int k = 0; k < LEAVES; k++) {
        const double from = k * (k + 1) / 2.0;
        assert_int_equal(glia_sum_tree_find(&t, from), k);
        assert_int_equal(glia_sum_tree_find(&t, from + k + 0.999), k);
    }
    assert_int_equal(glia_sum_tree_find(&t, glia_sum_tree_total(&t)), LEAVES - 1);
    for (int k = 0; k < LEAVES; k++) glia_sum_tree_set(&t, k, weights[k] = k == 3 || k == 8 ? 0.1 * k : 0);
    glia_sum_tree_fill(&again, weights, LEAVES);
    assert_memory_equal(again.sums + 1, t.sums + 1, (2 * (size_t)t.leaves - 1) * sizeof *t.sums);
    for (int i = 0; i <= 1000; i++) {
        const int64_t k = glia_sum_tree_find(&t, glia_sum_tree_total(&t) * i / 1000);
        assert_true(k == 3 || k == 8);
    }
    glia_sum_tree_free(&t);
    glia_sum_tree_free(&again);
}

static double weight_of(int i) { return pow(0.5 * i + 0.01, 0.7); }

/* Draws in proportion to (|priority| + epsilon)^alpha; weights in closed form. */
static void priorities_give_shares_and_weights(void **state) {
    (void)state;
    const glia_replay_opts opts = { .prioritized = true, .alpha = 0.7, .epsilon = 0.01, .weights = "importance" };
    glia_replay *r = create(opts);
    add(r, 24); /* rows 4 to 23 */
    int64_t rows[CAPACITY], counts[CAPACITY] = { 0 };
    float priorities[CAPACITY];
    double shares[CAPACITY], total = 0;
    for (int i = 0; i < CAPACITY; i++) total += weight_of(i);
    for (int i = 0; i < CAPACITY; i++) {
        rows[i] = i + 4, priorities[i] = (i % 2 ? 0.5f : -0.5f) * (float)i, shares[i] = weight_of(i) / total;
    }
    glia_error error;
    assert_int_equal(glia_replay_prioritize(r, rows, priorities, CAPACITY, &error), GLIA_OK);
    for (int64_t step = 0; step < 20000; step++) {
        const glia_replay_batch b = sample(r, 1, (glia_replay_draw){ .seed = 11, .step = step });
        counts[b.rows[0] - 4]++;
        assert_true(b.weights[0] == 1);
    }
    assert_true(chi_square(counts, shares, CAPACITY, 20000) < 43.8);
    const glia_replay_batch b = sample(r, 6, (glia_replay_draw){ .seed = 1, .beta = 0.9 });
    assert_string_equal(b.arrays[GLIA_COUNT(fields)].name, "importance");
    assert_int_equal(b.n_arrays, GLIA_COUNT(fields) + 1);
    assert_ptr_equal(b.arrays[GLIA_COUNT(fields)].data, b.weights);
    double want[6], largest = 0;
    for (int i = 0; i < 6; i++) want[i] = pow(CAPACITY * shares[b.rows[i] - 4], -0.9), largest = fmax(largest, want[i]);
    for (int i = 0; i < 6; i++) assert_true(fabs((double)b.weights[i] - want[i] / largest) < 1e-6);
    glia_replay_free(r);
}

/* Row i of n is drawn from the i-th part of the sum; new rows have the highest priority so far; zero draws nothing. */
static void new_rows_have_the_highest_priority(void **state) {
    (void)state;
    glia_error error;
    glia_replay *r = create((glia_replay_opts){ .capacity = 8, .prioritized = true, .alpha = 1, .epsilon = GLIA_ZERO });
    add(r, 4);
    const glia_replay_batch four = sample(r, 4, (glia_replay_draw){ .seed = 5 });
    for (int i = 0; i < 4; i++) assert_int_equal(four.rows[i], i); /* equal parts */
    int64_t rows[] = { 0, 1, 2, 3 };
    assert_int_equal(glia_replay_prioritize(r, rows, (float[]){ 0, 0, 8, 0 }, 4, &error), GLIA_OK);
    for (int64_t step = 0; step < 50; step++)
        assert_int_equal(sample(r, 1, (glia_replay_draw){ .step = step }).rows[0], 2);
    add(r, 1); /* row 4 has 8 too */
    int64_t counts[8] = { 0 };
    for (int64_t step = 0; step < 2000; step++) counts[sample(r, 1, (glia_replay_draw){ .step = step }).rows[0]]++;
    assert_int_equal(counts[2] + counts[4], 2000);
    assert_true(llabs(counts[2] - 1000) < 150);
    add(r, 8); /* rows 5 to 12: none of the first */
    assert_int_equal(glia_replay_prioritize(r, rows, (float[]){ 9, 9, 9, 9 }, 4, &error), GLIA_OK); /* skipped */
    const glia_replay_batch eight = sample(r, 8, (glia_replay_draw){ .seed = 5 });
    for (int i = 0; i < 8; i++) assert_true(eight.rows[i] >= 5 && eight.weights[i] == 1);
    for (int i = 0; i < 8; i++) rows[0] = 5 + i, glia_replay_prioritize(r, rows, (float[]){ 0 }, 1, &error);
    glia_replay_batch none;
    assert_int_equal(glia_replay_sample(r, 1, (glia_replay_draw){ 0 }, &none, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "all priorities are 0"));
    glia_replay_free(r);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

typedef struct saved {
    glia_array arrays[8];
    int n;
} saved;

static saved save(const glia_replay *r) {
    saved s = { .n = glia_replay_state(r, NULL, 0) };
    assert_int_equal(glia_replay_state(r, s.arrays, GLIA_COUNT(s.arrays)), s.n);
    for (int i = 0; i < s.n; i++) {
        const size_t bytes = glia_shape_bytes(s.arrays[i].shape, s.arrays[i].dtype);
        s.arrays[i].data = memcpy(malloc(bytes), s.arrays[i].data, bytes);
    }
    return s;
}

static void saved_free(saved *s) {
    for (int i = 0; i < s->n; i++) free(s->arrays[i].data);
}

/* Draws, new priorities and new rows; the hash of all that was drawn. */
static uint64_t live(glia_replay *r, bool prioritized, int64_t from, int64_t steps) {
    uint64_t hash = 0;
    glia_error error;
    for (int64_t step = from; step < from + steps; step++) {
        const glia_replay_batch b = sample(r, 6, (glia_replay_draw){ .seed = 21, .step = step });
        float priorities[6];
        for (int i = 0; i < 6; i++) priorities[i] = (float)(b.rows[i] * (step + 3) % 17) / 5;
        hash = glia_hash_bytes(b.rows, 6 * sizeof *b.rows, hash);
        hash = glia_hash_bytes(b.weights, 6 * sizeof *b.weights, hash);
        if (prioritized) assert_int_equal(glia_replay_prioritize(r, b.rows, priorities, 6, &error), GLIA_OK);
        if (step % 4) add(r, step % 4);
    }
    return hash;
}

static void restored_replays_draw_the_same(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        const bool prioritized = k % 2;
        const glia_replay_opts opts = { .prioritized = prioritized };
        glia_replay *r = create(opts), *again = create(opts);
        add(r, k < 2 ? 5 : 33);
        live(r, prioritized, 1, k < 2 ? 1 : 40);
        saved s = save(r);
        const uint64_t rest = live(r, prioritized, 41, 60);
        add(again, 9); /* what was there before does not matter */
        glia_error error = { 0 };
        if (glia_replay_restore(again, s.arrays, s.n, &error) != GLIA_OK) fail_msg("%s", error.message);
        assert_true(live(again, prioritized, 41, 60) == rest);
        saved_free(&s);
        glia_replay_free(r);
        glia_replay_free(again);
    }
}

static void wrong_states_are_refused(void **state) {
    (void)state;
    glia_error error;
    glia_replay *r = create((glia_replay_opts){ .prioritized = true });
    add(r, 6);
    saved before = save(r);
    static const struct {
        int array;
        const char *name, *says;
    } wrong[] = {
        { 0, "rows/y", "no 'rows/x' f32(6, 2)" },
        { 5, "counter", "no 'counters'" },
        { 6, "priority", "no 'priorities' f64(6)" },
        { 7, "rows/x", "no 'largest'" },
    };
    for (int i = 0; i < GLIA_COUNT(wrong); i++) {
        saved s = before;
        s.arrays[wrong[i].array].name = wrong[i].name;
        assert_int_equal(glia_replay_restore(r, s.arrays, s.n, &error), GLIA_E_FORMAT);
        if (!strstr(error.message, wrong[i].says)) fail_msg("'%s' does not say '%s'", error.message, wrong[i].says);
    }
    for (int i = 0; i < 5; i++) {
        saved s = before;
        int64_t counters[] = { i == 0 ? -1 : i == 1 ? 7 : 6, i == 2 ? 21 : CAPACITY };
        double largest = i == 3 ? NAN : 1, negative[6] = { 1, 1, -1, 1, 1, 1 };
        s.arrays[5].data = counters;
        s.arrays[7].data = &largest;
        if (i == 4) s.arrays[6].data = negative;
        assert_int_equal(glia_replay_restore(r, s.arrays, s.n, &error), GLIA_E_FORMAT);
    }
    assert_int_equal(glia_replay_restore(r, before.arrays, before.n - 1, &error), GLIA_E_FORMAT);
    saved after = save(r);
    for (int i = 0; i < after.n; i++) {
        assert_memory_equal(after.arrays[i].data, before.arrays[i].data,
                            glia_shape_bytes(after.arrays[i].shape, after.arrays[i].dtype));
    }
    saved_free(&before);
    saved_free(&after);
    glia_replay_free(r);
}

/* ---- in a function ---------------------------------------------------------------------------- */

/* Weighted squared errors of x[action % 2], by hand and by a function that takes a batch as it is. */
static void batches_feed_functions_by_name(void **state) {
    (void)state;
    static const glia_replay_field few[] = { { "x", GLIA_F32, GLIA_DIMS(2) }, { "action", GLIA_I32, GLIA_DIMS(1) } };
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 2));
    glia_tensor action = glia_input(g, "action", GLIA_I32, GLIA_SHAPE(GLIA_BATCH, 1));
    glia_tensor weight = glia_input(g, "weight", GLIA_F32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor chosen = glia_reshape(glia_take_along_axis(x, action, 1), GLIA_SHAPE(GLIA_BATCH));
    glia_tensor errors[2] = { glia_square(chosen) };
    errors[1] = glia_mean(glia_mul(weight, errors[0]), GLIA_SCALAR, false);
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(g, 0, &error);
    glia_function *f =
        glia_function_create(g, backend, store, (glia_function_opts){ .outputs = errors, .n_outputs = 2 }, &error);
    glia_replay *r = glia_replay_create(
        few, 2, (glia_replay_opts){ .capacity = 9, .prioritized = true, .weights = "weight" }, &error);
    assert_true(f && r);
    float values[12][2];
    int32_t actions[12];
    for (int i = 0; i < 12; i++) values[i][0] = (float)i, values[i][1] = -0.5f * (float)i, actions[i] = i % 2;
    assert_int_equal(glia_replay_add(r,
                                     (glia_array[]){ { "x", GLIA_F32, GLIA_SHAPE(12, 2), values, false },
                                                     { "action", GLIA_I32, GLIA_SHAPE(12, 1), actions, false } },
                                     2, &error),
                     GLIA_OK);
    for (int64_t step = 0; step < 30; step++) {
        glia_replay_batch b;
        glia_array out[2];
        assert_int_equal(glia_replay_sample(r, 4, (glia_replay_draw){ .step = step, .beta = 0.5 }, &b, &error),
                         GLIA_OK);
        if (glia_function_call(f, b.arrays, b.n_arrays, out, &error) != GLIA_OK) fail_msg("%s", error.message);
        double sum = 0;
        for (int i = 0; i < 4; i++) {
            const double v = (double)values[b.rows[i]][b.rows[i] % 2];
            assert_true(fabs((double)((float *)out[0].data)[i] - v * v) < 1e-4);
            sum += (double)b.weights[i] * v * v / 4;
        }
        assert_true(fabs((double)*(float *)out[1].data - sum) < 1e-3);
        assert_int_equal(glia_replay_prioritize(r, b.rows, out[0].data, 4, &error), GLIA_OK);
    }
    glia_replay_free(r);
    glia_function_free(f);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
}

/* ---- returns ---------------------------------------------------------------------------------- */

static void n_step_returns_stop_at_ends(void **state) {
    (void)state;
    static const float rewards[] = { 1, 2, 4, 8, 16 };
    static const bool ends[] = { false, false, true, false, false };
    float returns[5], discounts[5];
    int64_t next[5];
    glia_error error;
    assert_int_equal(glia_n_step_returns(rewards, ends, 5, 2, 0.5, returns, discounts, next, &error), GLIA_OK);
    static const float want[] = { 2, 4, 4, 16, 16 }, left[] = { 0.25f, 0, 0, 0.25f, 0.5f };
    static const int64_t at[] = { 2, 3, 3, 5, 5 };
    for (int i = 0; i < 5; i++) assert_true(returns[i] == want[i] && discounts[i] == left[i] && next[i] == at[i]);
    assert_int_equal(glia_n_step_returns(rewards, NULL, 5, 9, 1, returns, discounts, next, &error), GLIA_OK);
    for (int i = 0; i < 5; i++) assert_true(returns[i] == (float)(32 - (1 << i)) && discounts[i] == 1 && next[i] == 5);
    assert_int_equal(glia_n_step_returns(rewards, NULL, 5, 0, 1, returns, discounts, next, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_n_step_returns(rewards, NULL, 5, 1, 1.5, returns, discounts, next, &error), GLIA_E_ARGUMENT);
}

/* ---- mistakes --------------------------------------------------------------------------------- */

static void expect(glia_status status, const glia_error *error, const char *words) {
    assert_int_not_equal(status, GLIA_OK);
    if (!strstr(error->message, words)) fail_msg("'%s' does not say '%s'", error->message, words);
}

static void bad_fields_are_named(void **state) {
    (void)state;
    static const struct {
        glia_replay_field fields[2];
        glia_replay_opts opts;
        const char *says;
    } bad[] = {
        { { { "x", GLIA_F32, GLIA_DIMS(2) }, { "x", GLIA_F32, GLIA_DIMS(2) } }, { .capacity = 2 }, "'x' comes twice" },
        { { { "x", GLIA_F32, GLIA_DIMS(2) }, { "", GLIA_F32, GLIA_DIMS(2) } },
          { .capacity = 2 },
          "field 1 has no name" },
        { { { "x", GLIA_F32, GLIA_DIMS(GLIA_BATCH) }, { "y", GLIA_F32, { 0 } } },
          { .capacity = 2 },
          "'x': 2 rows of f32(N)" },
        { { { "x", GLIA_F32, GLIA_DIMS(0) }, { "y", GLIA_F32, { 0 } } }, { .capacity = 2 }, "rows of f32(0)" },
        { { { "x", (glia_dtype)99, GLIA_DIMS(1) }, { "y", GLIA_F32, { 0 } } }, { .capacity = 2 }, "rows of ?(1)" },
        { { { "x", GLIA_F32, { 0 } }, { "y", GLIA_F32, { 0 } } }, { 0 }, "a capacity of 0" },
        { { { "x", GLIA_F32, { 0 } }, { "y", GLIA_F32, { 0 } } }, { .capacity = 2, .alpha = -1 }, "alpha -1" },
        { { { "x", GLIA_F32, { 0 } }, { "y", GLIA_F32, { 0 } } },
          { .capacity = 2, .weights = "y" },
          "'y' comes twice" },
    };
    for (int i = 0; i < GLIA_COUNT(bad); i++) {
        glia_error error = { 0 };
        glia_replay *r = glia_replay_create(bad[i].fields, 2, bad[i].opts, &error);
        assert_null(r);
        expect(error.status, &error, bad[i].says);
    }
}

static void bad_rows_change_nothing(void **state) {
    (void)state;
    static const glia_replay_field few[] = { { "state", GLIA_F32, GLIA_DIMS(2) }, { "action", GLIA_I32, { 0 } } };
    glia_error error = { 0 };
    glia_replay *r = glia_replay_create(few, 2, (glia_replay_opts){ .capacity = 4 }, &error);
    float x[4] = { 0 };
    int32_t a[2] = { 0 };
    const glia_array s = { "state", GLIA_F32, GLIA_SHAPE(2, 2), x, false },
                     b = { "action", GLIA_I32, GLIA_SHAPE(2), a, false };
    glia_array changed = s;
    glia_replay_batch batch;
    expect(glia_replay_sample(r, 1, (glia_replay_draw){ 0 }, &batch, &error), &error, "no rows yet");
    expect(glia_replay_add(r, &s, 1, &error), &error, "'action' is missing");
    expect(glia_replay_add(r, (glia_array[]){ s, s }, 2, &error), &error, "'state' comes twice");
    changed.name = "stat";
    expect(glia_replay_add(r, (glia_array[]){ changed, b }, 2, &error), &error, "did you mean 'state'");
    changed = s, changed.shape = GLIA_SHAPE(4);
    expect(glia_replay_add(r, (glia_array[]){ changed, b }, 2, &error), &error, "rows f32(2) and cannot take f32(4)");
    changed = s, changed.dtype = GLIA_F64;
    expect(glia_replay_add(r, (glia_array[]){ changed, b }, 2, &error), &error, "cannot take f64");
    changed = s, changed.shape = GLIA_SHAPE(1, 2);
    expect(glia_replay_add(r, (glia_array[]){ changed, b }, 2, &error), &error,
           "'action' has 2 rows, the arrays before it 1");
    changed = s, changed.data = NULL;
    expect(glia_replay_add(r, (glia_array[]){ changed, b }, 2, &error), &error, "without data");
    assert_int_equal(glia_replay_added(r), 0);
    assert_int_equal(glia_replay_add(r, (glia_array[]){ s, b }, 2, &error), GLIA_OK);
    const int64_t row = 0;
    expect(glia_replay_prioritize(r, &row, (float[]){ 1 }, 1, &error), &error, "without priorities");
    expect(glia_replay_sample(r, 0, (glia_replay_draw){ 0 }, &batch, &error), &error, "0 rows");
    expect(glia_replay_sample(r, 1, (glia_replay_draw){ .step = -1 }, &batch, &error), &error, "step -1");
    glia_replay_free(r);
    r = create((glia_replay_opts){ .prioritized = true });
    add(r, 3);
    expect(glia_replay_prioritize(r, (int64_t[]){ 1, 3 }, (float[]){ 1, 1 }, 2, &error), &error, "no row 3");
    expect(glia_replay_prioritize(r, (int64_t[]){ 1, 2 }, (float[]){ 1, NAN }, 2, &error), &error, "row 2 is nan");
    expect(glia_replay_sample(r, 1, (glia_replay_draw){ .shuffled = true }, &batch, &error), &error, "do not go with");
    glia_replay_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oldest_rows_are_overwritten),
        cmocka_unit_test(uniform_draws_are_uniform),
        cmocka_unit_test(draws_depend_on_seed_and_step),
        cmocka_unit_test(passes_hold_every_row_once),
        cmocka_unit_test(sum_tree_finds_intervals),
        cmocka_unit_test(priorities_give_shares_and_weights),
        cmocka_unit_test(new_rows_have_the_highest_priority),
        cmocka_unit_test(restored_replays_draw_the_same),
        cmocka_unit_test(wrong_states_are_refused),
        cmocka_unit_test(batches_feed_functions_by_name),
        cmocka_unit_test(n_step_returns_stop_at_ends),
        cmocka_unit_test(bad_fields_are_named),
        cmocka_unit_test(bad_rows_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
