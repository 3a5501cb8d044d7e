/* test_store_values.c - values between stores: blended, swapped, packed into flat vectors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/program/store.h"
#include "glia/glia.h"

typedef struct world {
    glia_graph *graph;
    glia_store *store;
} world;

static void parameter(glia_graph *g, const char *name, glia_dtype dtype, glia_shape shape) {
    glia_parameter(g, name, dtype, shape, (glia_init){ .kind = GLIA_INIT_NORMAL });
}

/* Two nets of the same form in one store, and what lies beside them. */
static world open_world(uint64_t seed) {
    world w = { .graph = glia_graph_create() };
    const char *const names[] = { "online/kernel", "target/kernel", "online/bias", "target/bias" };
    for (int i = 0; i < 4; i++) parameter(w.graph, names[i], GLIA_F32, i < 2 ? GLIA_SHAPE(20, 31) : GLIA_SHAPE(3));
    parameter(w.graph, "online/scale", GLIA_F64, GLIA_SHAPE(2));
    parameter(w.graph, "target/scale", GLIA_F64, GLIA_SHAPE(2));
    glia_state(w.graph, "online/count", GLIA_I64, GLIA_SCALAR, (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = 7 });
    glia_state(w.graph, "target/count", GLIA_I64, GLIA_SCALAR, (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = 2 });
    parameter(w.graph, "head", GLIA_F32, GLIA_SHAPE(4));
    w.store = glia_store_create(w.graph, seed, NULL);
    assert_non_null(w.store);
    return w;
}

static void close_world(world w) {
    glia_store_free(w.store);
    glia_graph_free(w.graph);
}

static void *data_of(const glia_store *store, const char *name) {
    glia_array a;
    if (!glia_store_look(store, name, &a)) fail_msg("no tensor '%s'", name);
    return a.data;
}

/* All values, for comparing. */
static char *image_of(const glia_store *store, size_t *bytes) {
    *bytes = glia_store_copy(store, NULL, false);
    char *image = malloc(*bytes + 1);
    glia_store_copy(store, image, false);
    return image;
}

/* The call fails with these words, and changes nothing. */
#define ASSERT_REFUSED(store, code, words, call)                                                                       \
    do {                                                                                                               \
        size_t bytes;                                                                                                  \
        char *before = image_of(store, &bytes);                                                                        \
        glia_error error = { 0 };                                                                                      \
        assert_int_equal(call, code);                                                                                  \
        assert_int_equal(error.status, code);                                                                          \
        if (!strstr(error.message, words)) fail_msg("'%s' lacks '%s'", error.message, words);                          \
        char *after = image_of(store, &bytes);                                                                         \
        assert_memory_equal(before, after, bytes);                                                                     \
        free(before);                                                                                                  \
        free(after);                                                                                                   \
    } while (0)

/* dst = (1 - share) dst + share src in double, rounded once; integers stay. */
static void blend_is_the_weighted_mean(void **state) {
    (void)state;
    world w = open_world(1);
    float *target = data_of(w.store, "target/kernel"), old[620];
    const float *online = data_of(w.store, "online/kernel");
    double *scale = data_of(w.store, "target/scale"), old_scale = scale[1];
    const double online_scale = ((double *)data_of(w.store, "online/scale"))[1];
    memcpy(old, target, sizeof old);
    assert_int_equal(glia_store_blend(w.store, "target/", w.store, "online/", 0.005, NULL), GLIA_OK);
    for (int i = 0; i < 620; i++)
        assert_true(target[i] == (float)((1 - 0.005) * (double)old[i] + 0.005 * (double)online[i]));
    assert_true(fabs(scale[1] - (0.995 * old_scale + 0.005 * online_scale)) < 1e-15);
    assert_int_equal(*(int64_t *)data_of(w.store, "target/count"), 2);
    assert_int_equal(*(int64_t *)data_of(w.store, "online/count"), 7);
    close_world(w);
}

/* n soft updates of a constant net leave (1 - share)^n of the difference. */
static void repeated_blends_decay_geometrically(void **state) {
    (void)state;
    world w = open_world(2);
    double *target = data_of(w.store, "target/scale");
    const double online = ((double *)data_of(w.store, "online/scale"))[0], first = target[0] - online;
    for (int i = 0; i < 100; i++)
        assert_int_equal(glia_store_blend(w.store, "target/", w.store, "online/", 0.02, NULL), GLIA_OK);
    assert_true(fabs((target[0] - online) / first - pow(0.98, 100)) < 1e-12);
    close_world(w);
}

static void share_one_copies_the_bits(void **state) {
    (void)state;
    world a = open_world(3), b = open_world(4);
    float *bias = data_of(b.store, "online/bias");
    ((float *)data_of(a.store, "online/bias"))[0] = INFINITY; /* not kept: inf (1 - 1) would be NaN */
    const uint32_t quiet = 0x7FC12345;
    memcpy(bias + 1, &quiet, 4);
    assert_int_equal(glia_store_blend(a.store, NULL, b.store, NULL, 1, NULL), GLIA_OK);
    size_t bytes;
    char *x = image_of(a.store, &bytes), *y = image_of(b.store, &bytes);
    assert_memory_equal(x, y, bytes);
    free(x), free(y);
    assert_int_equal(glia_store_blend(a.store, "target/", b.store, "online/", 1, NULL), GLIA_OK);
    assert_memory_equal(data_of(a.store, "target/bias"), bias, 12);
    assert_int_equal(*(int64_t *)data_of(a.store, "target/count"), 7);
    assert_int_equal(*(int64_t *)data_of(b.store, "target/count"), 2);
    float *head = data_of(a.store, "head");
    head[0] = 5;
    assert_int_equal(glia_store_blend(a.store, "", b.store, "", 0, NULL), GLIA_OK);
    assert_true(head[0] == 5);
    close_world(a);
    close_world(b);
}

/* A store on top of another: both sides find what lies below. */
static void layered_stores_are_one(void **state) {
    (void)state;
    world w = open_world(5);
    glia_store *over = glia_store_create_over(w.store, NULL);
    glia_graph *g = glia_graph_create();
    parameter(g, "train/ema/online/kernel", GLIA_F32, GLIA_SHAPE(20, 31));
    parameter(g, "train/ema/head", GLIA_F32, GLIA_SHAPE(4));
    assert_int_equal(glia_store_add(over, g, 6, NULL), GLIA_OK);
    float head[4], average[4];
    memcpy(head, data_of(w.store, "head"), sizeof head);
    memcpy(average, data_of(over, "train/ema/head"), sizeof average);
    bool lent;
    const uint64_t writes = glia_store_writes(w.store, &lent);
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(pass ? glia_store_swap(over, "train/ema/", over, "", NULL)
                              : glia_store_swap(over, "", over, "train/ema/", NULL),
                         GLIA_OK);
        assert_memory_equal(data_of(w.store, "head"), pass ? head : average, sizeof head);
        assert_memory_equal(data_of(over, "train/ema/head"), pass ? average : head, sizeof head);
    }
    assert_true(glia_store_writes(w.store, &lent) > writes);
    assert_false(lent);
    assert_int_equal(glia_store_blend(over, "", over, "train/ema/", 1, NULL), GLIA_OK);
    assert_memory_equal(data_of(w.store, "head"), average, sizeof head);
    ASSERT_REFUSED(over, GLIA_E_NOT_FOUND, "glia_store_blend: 'online/bias' has no counterpart 'train/ema/online/bias'",
                   glia_store_blend(over, "train/ema/online/", over, "online/", 1, &error));
    glia_store_free(over);
    glia_graph_free(g);
    close_world(w);
}

static void swap_exchanges_two_nets(void **state) {
    (void)state;
    world w = open_world(7);
    float online[620], target[620];
    memcpy(online, data_of(w.store, "online/kernel"), sizeof online);
    memcpy(target, data_of(w.store, "target/kernel"), sizeof target);
    assert_int_equal(glia_store_swap(w.store, "online/", w.store, "target/", NULL), GLIA_OK);
    assert_memory_equal(data_of(w.store, "online/kernel"), target, sizeof target);
    assert_memory_equal(data_of(w.store, "target/kernel"), online, sizeof online);
    assert_int_equal(*(int64_t *)data_of(w.store, "online/count"), 2);
    assert_int_equal(*(int64_t *)data_of(w.store, "target/count"), 7);
    close_world(w);
}

static void errors_name_the_tensor(void **state) {
    (void)state;
    world w = open_world(8);
    glia_store *s = w.store;
    ASSERT_REFUSED(s, GLIA_E_NOT_FOUND, "no name begins with 'traget/'; did you mean 'target/'?",
                   glia_store_blend(s, "traget/", s, "online/", 0.5, &error));
    ASSERT_REFUSED(s, GLIA_E_NOT_FOUND, "'online/kernel' has no counterpart 'kernel'",
                   glia_store_swap(s, "online/", s, "", &error));
    ASSERT_REFUSED(s, GLIA_E_ARGUMENT, "'head' is on both sides", glia_store_blend(s, "head", s, "head", 0.5, &error));
    ASSERT_REFUSED(s, GLIA_E_ARGUMENT, "not 1.5", glia_store_blend(s, "target/", s, "online/", 1.5, &error));
    ASSERT_REFUSED(s, GLIA_E_ARGUMENT, "not nan", glia_store_blend(s, "target/", s, "online/", (double)NAN, &error));
    ASSERT_REFUSED(s, GLIA_E_ARGUMENT, "'target/count' is i64",
                   glia_store_blend(s, "target/c", s, "online/c", 0.5, &error));
    /* One more on either side, or another shape or dtype: the last tensor, but none is changed. */
    parameter(w.graph, "online/zz", GLIA_F32, GLIA_SHAPE(2));
    assert_int_equal(glia_store_add(s, w.graph, 1, NULL), GLIA_OK);
    ASSERT_REFUSED(s, GLIA_E_NOT_FOUND, "'online/zz' has no counterpart 'target/zz'",
                   glia_store_blend(s, "target/", s, "online/", 0.5, &error));
    ASSERT_REFUSED(s, GLIA_E_NOT_FOUND, "'online/zz' has no counterpart 'target/zz'",
                   glia_store_blend(s, "online/", s, "target/", 0.5, &error));
    parameter(w.graph, "target/zz", GLIA_F32, GLIA_SHAPE(3));
    assert_int_equal(glia_store_add(s, w.graph, 1, NULL), GLIA_OK);
    ASSERT_REFUSED(s, GLIA_E_SHAPE, "'online/zz' is f32(2) and 'target/zz' is f32(3)",
                   glia_store_swap(s, "online/", s, "target/", &error));
    glia_graph *g = glia_graph_create();
    glia_store *empty = glia_store_create(g, 0, NULL);
    ASSERT_REFUSED(s, GLIA_E_NOT_FOUND, "'online/kernel' has no counterpart 'online/kernel'",
                   glia_store_blend(s, "", empty, "", 1, &error));
    ASSERT_REFUSED(s, GLIA_E_NOT_FOUND, "the store is empty", glia_store_blend(empty, "", s, "", 1, &error));
    /* a/a/k would be the copy of a/k and the source of a/a/a/k. */
    const char *const chain[] = { "a/k", "a/a/k" };
    for (int i = 0; i < 2; i++) parameter(g, chain[i], GLIA_F32, GLIA_SHAPE(2));
    parameter(g, "k", GLIA_F32, GLIA_SHAPE(2));
    assert_int_equal(glia_store_add(empty, g, 1, NULL), GLIA_OK);
    ASSERT_REFUSED(empty, GLIA_E_ARGUMENT, "'a/k' is on both sides", glia_store_swap(empty, "", empty, "a/", &error));
    glia_store_free(empty);
    glia_graph_free(g);
    close_world(w);
}

static void packs_and_unpacks(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    parameter(g, "a/kernel", GLIA_F32, GLIA_SHAPE(2, 3));
    parameter(g, "a/bias", GLIA_F32, GLIA_SHAPE(5));
    parameter(g, "b/kernel", GLIA_F32, GLIA_SHAPE(1));
    glia_state(g, "b/mean", GLIA_F32, GLIA_SHAPE(2), (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = 3 });
    glia_state(g, "step", GLIA_I64, GLIA_SCALAR, (glia_init){ 0 });
    glia_store *s = glia_store_create(g, 1, NULL);
    assert_int_equal(glia_store_pack_size(s, NULL, NULL), 12);
    assert_int_equal(glia_store_pack_size(s, "b/*", NULL), 3);
    float flat[12], again[12];
    assert_int_equal(glia_store_pack(s, NULL, flat, 12, NULL), GLIA_OK);
    assert_memory_equal(flat, data_of(s, "a/kernel"), 6 * sizeof(float));
    assert_memory_equal(flat + 6, data_of(s, "a/bias"), 5 * sizeof(float));
    assert_true(flat[11] == *(float *)data_of(s, "b/kernel"));
    for (int i = 0; i < 12; i++) flat[i] = (float)i;
    assert_int_equal(glia_store_unpack(s, NULL, flat, 12, NULL), GLIA_OK);
    assert_int_equal(glia_store_pack(s, NULL, again, 12, NULL), GLIA_OK);
    assert_memory_equal(flat, again, sizeof flat);
    assert_true(((float *)data_of(s, "a/bias"))[4] == 10);
    assert_int_equal(glia_store_pack(s, "b/*", again, 3, NULL), GLIA_OK);
    assert_true(again[0] == 11 && again[1] == 3 && again[2] == 3);
    ASSERT_REFUSED(s, GLIA_E_SHAPE, "there are 12 values, and room for 11",
                   glia_store_unpack(s, NULL, flat, 11, &error));
    ASSERT_REFUSED(s, GLIA_E_UNSUPPORTED, "'step' is i64", glia_store_unpack(s, "*", flat, 12, &error));
    ASSERT_REFUSED(s, GLIA_E_NOT_FOUND, "matches 'a/kernal'; did you mean 'a/kernel'?",
                   glia_store_pack(s, "a/kernal", flat, 12, &error));
    ASSERT_REFUSED(s, GLIA_E_UNSUPPORTED, "'step'", (glia_store_pack_size(s, "step", &error), error.status));
    glia_store_free(s);
    glia_graph_free(g);
}

/* Predictions with kept programs and packed weights see what was written. */
static void predictions_use_the_new_values(void **state) {
    (void)state;
    glia_model *model[2];
    for (int i = 0; i < 2; i++) {
        model[i] = glia_model_create(NULL, NULL);
        glia_tensor x = glia_model_input(model[i], "x", GLIA_F32, GLIA_SHAPE(4));
        glia_model_output(model[i], "y", glia_dense(x, "fc", (glia_dense_opts){ .units = 3 }));
        assert_int_equal(glia_model_init(model[i], (uint64_t)i, NULL), GLIA_OK);
    }
    const float x[4] = { 1, -2, 3, 0.5f };
    float y[2][3], now[3], flat[15];
    glia_store *a = glia_model_store(model[0]), *b = glia_model_store(model[1]);
    for (int i = 0; i < 2; i++) assert_int_equal(glia_predict(model[i], x, 1, y[i], NULL, NULL), GLIA_OK);
    assert_memory_not_equal(y[0], y[1], sizeof y[0]);
    assert_int_equal(glia_store_pack(a, NULL, flat, 15, NULL), GLIA_OK);
    assert_int_equal(glia_store_swap(a, "", b, "", NULL), GLIA_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(glia_predict(model[i], x, 1, now, NULL, NULL), GLIA_OK);
        assert_memory_equal(now, y[1 - i], sizeof now);
    }
    assert_int_equal(glia_store_blend(a, "", b, "", 1, NULL), GLIA_OK);
    assert_int_equal(glia_predict(model[0], x, 1, now, NULL, NULL), GLIA_OK);
    assert_memory_equal(now, y[0], sizeof now);
    for (int i = 0; i < 15; i++) flat[i] *= 2;
    assert_int_equal(glia_store_unpack(a, NULL, flat, 15, NULL), GLIA_OK);
    assert_int_equal(glia_predict(model[0], x, 1, now, NULL, NULL), GLIA_OK);
    for (int i = 0; i < 3; i++) assert_true(now[i] == 2 * y[0][i]);
    for (int i = 0; i < 2; i++) glia_model_free(model[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blend_is_the_weighted_mean), cmocka_unit_test(repeated_blends_decay_geometrically),
        cmocka_unit_test(share_one_copies_the_bits),  cmocka_unit_test(layered_stores_are_one),
        cmocka_unit_test(swap_exchanges_two_nets),    cmocka_unit_test(errors_name_the_tensor),
        cmocka_unit_test(packs_and_unpacks),          cmocka_unit_test(predictions_use_the_new_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
