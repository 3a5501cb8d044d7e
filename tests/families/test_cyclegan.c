/* test_cyclegan.c - the method cyclegan: same bits at any number of threads and after resuming, conversion, the class
 * that a classifier reads before and after, mistakes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "asserts.h"
#include "glia/glia.h"

static glia_error error;
static const char path[] = "cyclegan.checkpoint", previous[] = "cyclegan.checkpoint.previous";
static const char reader[] = "reader.safetensors";

enum { SIZE = 784, STEPS = 12 };

static glia_model *small_model(void) {
    const glia_cyclegan_opts opts = { .filters = 2, .halvings = 1, .blocks = 1 };
    glia_model *model = glia_model_create("small", NULL);
    glia_tensor a = glia_model_input(model, "a", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_tensor b = glia_model_input(model, "b", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    glia_model_output(model, "to_b", glia_cyclegan_generator(a, "to_b", opts));
    glia_model_output(model, "to_a", glia_cyclegan_generator(b, "to_a", opts));
    glia_model_output(model, "score_a", glia_cyclegan_critic(a, "critic_a", opts));
    glia_model_output(model, "score_b", glia_cyclegan_critic(b, "critic_b", opts));
    return model;
}

static glia_status stop_here(const glia_progress *p, void *context, glia_error *e) {
    (void)p, (void)e;
    return --*(int64_t *)context == 0 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status count_shown(void *context, const glia_shown *shown, glia_error *e) {
    (void)e;
    for (int64_t i = 0; i < shown->n * SIZE; i++) assert_true(shown->values[i] >= 0 && shown->values[i] <= 1);
    ++*(int *)context;
    return GLIA_OK;
}
static glia_status show(const glia_progress *p, void *context, glia_error *e) {
    return glia_training_show(p->training, count_shown, context, e);
}

/* The second set has other numbers of samples and batches; the buffer is smaller than what a run makes. */
static glia_status train(glia_model *model, const char *settings, int threads, bool saves, int64_t stop, int *shown) {
    glia_dataset *data = glia_data_strokes(24, 1, NULL);
    glia_callback c[3];
    int n = 0;
    if (saves) c[n++] = glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 3 });
    if (shown) c[n++] = (glia_callback){ .epoch_end = show, .context = shown };
    if (stop) c[n++] = (glia_callback){ .step_end = stop_here, .context = &stop, .after_others = true };
    const glia_fit_opts o = { .epochs = 2,
                              .batch = 4,
                              .optimizer = { .kind = GLIA_ADAM, .lr = 1e-3, .beta1 = 0.5 },
                              .callbacks = c,
                              .n_callbacks = n,
                              .seed = 3,
                              .threads = threads };
    const glia_status status = glia_train(model, data, "cyclegan", settings, o, &error);
    glia_data_free(data);
    return status;
}

static const char usual[] = "other=strokes?n=35&seed=9 buffer=7 shown=3";

static glia_model *trained(int threads, int *shown) {
    glia_model *model = small_model();
    if (train(model, usual, threads, false, 0, shown) != GLIA_OK) fail_msg("%s", error.message);
    return model;
}

static void assert_same(glia_model *x, glia_model *y) {
    for (int i = 0; i < glia_store_count(glia_model_store(x)); i++) {
        const glia_array a = glia_store_at(glia_model_store(x), i);
        glia_array b;
        assert_true(glia_store_find(glia_model_store(y), a.name, &b));
        if (memcmp(a.data, b.data, (size_t)glia_shape_count(a.shape) * glia_dtype_size(a.dtype)))
            fail_msg("'%s' differs", a.name);
    }
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    int shown = 0;
    glia_model *one = trained(1, &shown);
    assert_int_equal(shown, 8); /* two epochs, two kinds, before and after */
    for (int threads = 2; threads <= 3; threads++) {
        glia_model *more = trained(threads, NULL);
        assert_same(one, more);
        glia_model_free(more);
    }
    glia_model_free(one);
}

/* A classifier that has not learned anything; dropout and batch norm would give other values in training. */
static glia_model *make_reader(glia_shape sample, int classes, uint64_t seed) {
    glia_model *model = glia_model_create("reader", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, sample);
    x = glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 3, .kernel = 5, .stride = 4, .activation = GLIA_RELU });
    x = glia_dropout(glia_batch_norm(x, "norm", (glia_norm_opts){ 0 }), 0.5);
    x = glia_dense(glia_flatten(x), "logits", (glia_dense_opts){ .units = classes });
    glia_model_output(model, "logits", x);
    if (glia_model_init(model, seed, &error) != GLIA_OK) fail_msg("%s", error.message);
    return model;
}

static void write_reader(glia_shape sample, int classes, uint64_t seed) {
    glia_model *model = make_reader(sample, classes, seed);
    if (glia_model_save(model, reader, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_model_free(model);
}

static void resumed_equals_uninterrupted(const char *settings) {
    glia_model *whole = small_model();
    if (train(whole, settings, 1, false, 0, NULL) != GLIA_OK) fail_msg("%s", error.message);
    for (int64_t stop = 2; stop < STEPS; stop += 3) {
        unlink(path);
        unlink(previous);
        glia_model *model = small_model();
        assert_int_equal(train(model, settings, 1, true, stop, NULL), GLIA_E_INTERRUPTED);
        glia_model_free(model);
        model = small_model();
        if (train(model, settings, 1, true, 0, NULL) != GLIA_OK) fail_msg("%s", error.message);
        assert_same(whole, model);
        glia_model_free(model);
    }
    glia_model_free(whole);
}

static void resumed_training_equals_uninterrupted(void **state) {
    (void)state;
    resumed_equals_uninterrupted(usual);
}

/* The classifier's values are in the checkpoint, and are compared with those of its file. */
static void resumed_training_has_the_same_classifier(void **state) {
    (void)state;
    static const char settings[] = "other=strokes?n=35&seed=9 buffer=7 shown=3 classifier=reader.safetensors";
    write_reader(GLIA_SHAPE(1, 28, 28), 10, 1);
    resumed_equals_uninterrupted(settings);
    unlink(path);
    unlink(previous);
    glia_model *model = small_model();
    assert_int_equal(train(model, settings, 1, true, 5, NULL), GLIA_E_INTERRUPTED);
    glia_model_free(model);
    write_reader(GLIA_SHAPE(1, 28, 28), 10, 2);
    model = small_model();
    assert_int_equal(train(model, settings, 1, true, 0, NULL), GLIA_E_ARGUMENT);
    ASSERT_SAYS("other values of the classifier 'reader.safetensors'");
    glia_model_free(model);
    assert_true(!unlink(path) && !unlink(reader));
    unlink(previous);
}

static void the_buffer_matters(void **state) {
    (void)state;
    glia_model *with = trained(1, NULL), *without = small_model();
    assert_int_equal(train(without, "other=strokes?n=35&seed=9 buffer=0 shown=3", 1, false, 0, NULL), GLIA_OK);
    glia_array a, b;
    assert_true(glia_store_find(glia_model_store(with), "critic_a/down1/kernel", &a));
    assert_true(glia_store_find(glia_model_store(without), "critic_a/down1/kernel", &b));
    assert_memory_not_equal(a.data, b.data, (size_t)glia_shape_count(a.shape) * sizeof(float));
    glia_model_free(with);
    glia_model_free(without);
}

/* ---- the class that is read ------------------------------------------------------------------------- */

/* By hand: of three rows, two classes read as before and one not; the gradient is (softmax - one hot) / N. */
static void consistency_is_a_cross_entropy(void **state) {
    (void)state;
    enum { N = 3, K = 3 };
    static const double before[N * K] = { 1, 3, 2, 0, -1, -2, 5, 5, 4 }; /* classes 1, 0, 0: the first of equals */
    static const double after[N * K] = { 0, 1, 0, 2, 0, 1, -1, 2, 0 };
    static const int classes[N] = { 1, 0, 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_constant(g, GLIA_F32, GLIA_SHAPE(N, K), before);
    glia_tensor y = glia_constant(g, GLIA_F32, GLIA_SHAPE(N, K), after);
    glia_tensor loss = glia_semantic_consistency(x, y), gradients[2], wanted[2] = { x, y };
    glia_grad(loss, wanted, 2, gradients);
    double value, dx[N * K], dy[N * K];
    assert_int_equal(glia_eval(loss, &value, 1, &error), GLIA_OK);
    assert_int_equal(glia_eval(gradients[0], dx, N * K, &error), GLIA_OK);
    assert_int_equal(glia_eval(gradients[1], dy, N * K, &error), GLIA_OK);
    double total = 0;
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int k = 0; k < K; k++) sum += exp(after[i * K + k]);
        total += log(sum) - after[i * K + classes[i]];
        for (int k = 0; k < K; k++) {
            ASSERT_NEAR(dy[i * K + k], (exp(after[i * K + k]) / sum - (k == classes[i])) / N, 1e-6);
            assert_true(dx[i * K + k] == 0);
        }
    }
    ASSERT_NEAR(value, total / N, 1e-6);
    glia_graph_free(g);
}

enum { PICTURES = 12 };

/* Cross-entropy of what the classifier says of converted pictures with the class that it reads before. */
static double consistency(glia_model *model, glia_model *classifier, const float *x, bool back) {
    static float made[PICTURES * SIZE], before[PICTURES * 10], after[PICTURES * 10];
    const glia_cyclegan_convert_opts how = { .back = back, .threads = 1 };
    assert_int_equal(glia_cyclegan_convert(model, x, PICTURES, GLIA_SHAPE(1, 28, 28), how, made, &error), GLIA_OK);
    assert_int_equal(glia_predict(classifier, x, PICTURES, before, NULL, &error), GLIA_OK);
    assert_int_equal(glia_predict(classifier, made, PICTURES, after, NULL, &error), GLIA_OK);
    double total = 0;
    for (int i = 0; i < PICTURES; i++) {
        const float *b = before + i * 10L, *a = after + i * 10L;
        double sum = 0;
        int best = 0;
        for (int k = 0; k < 10; k++) sum += exp(a[k]), best = b[k] > b[best] ? k : best;
        total += log(sum) - a[best];
    }
    return total / PICTURES;
}

static glia_status keep_semantic(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    *(double *)context = glia_progress_value(p, "semantic");
    return GLIA_OK;
}

/* One epoch by plain descent; returns the model. */
static glia_model *descended(const char *settings, double lr, int64_t batch, double *semantic) {
    glia_model *model = small_model();
    glia_dataset *data = glia_data_strokes(PICTURES, 1, NULL);
    const glia_callback c = { .epoch_end = keep_semantic, .context = semantic };
    const glia_fit_opts o = { .batch = batch,
                              .optimizer = { .kind = GLIA_SGD, .lr = lr },
                              .callbacks = &c,
                              .n_callbacks = 1,
                              .seed = 3,
                              .threads = 1 };
    if (glia_train(model, data, "cyclegan", settings, o, &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_data_free(data);
    return model;
}

static float *bias_of(glia_model *model) {
    glia_array bias;
    assert_true(glia_store_find(glia_model_store(model), "to_b/out/bias", &bias));
    assert_int_equal(glia_shape_count(bias.shape), 1);
    return bias.data;
}

/* The mean of the epoch is that of all pictures, both ways; the difference that the weight makes to a step is the
 * gradient, as finite differences give it. */
static void the_class_term_and_its_gradient(void **state) {
    (void)state;
    static float a[PICTURES * SIZE], b[PICTURES * SIZE];
    glia_model *classifier = make_reader(GLIA_SHAPE(1, 28, 28), 10, 1);
    write_reader(GLIA_SHAPE(1, 28, 28), 10, 1);
    glia_dataset *first = glia_data_strokes(PICTURES, 1, NULL), *second = glia_data_strokes(PICTURES, 9, NULL);
    assert_int_equal(glia_data_read(first, 0, PICTURES, a, NULL, &error), GLIA_OK);
    assert_int_equal(glia_data_read(second, 0, PICTURES, b, NULL, &error), GLIA_OK);
    double semantic;
    glia_model *still = descended("other=strokes?n=12&seed=9 classifier=reader.safetensors", 1e-30, 4, &semantic);
    ASSERT_NEAR(semantic, consistency(still, classifier, a, false) + consistency(still, classifier, b, true), 2e-5);

    const double lr = 1e-3, step = 1e-2;
    double gradient = 0, slope = 0;
    for (int weight = 1; weight <= 2; weight++) {
        char settings[128];
        snprintf(settings, sizeof settings, "other=strokes?n=12&seed=9 classifier=reader.safetensors semantic=%d",
                 weight);
        glia_model *moved = descended(settings, lr, PICTURES, &semantic);
        gradient += (weight == 1 ? 1 : -1) * (double)*bias_of(moved) / lr;
        glia_model_free(moved);
    }
    const float bias = *bias_of(still);
    for (int side = -1; side <= 1; side += 2) {
        *bias_of(still) = bias + (float)(side * step);
        slope += side * consistency(still, classifier, a, false) / (2 * step);
    }
    assert_true(fabs(slope) > 1e-3);
    ASSERT_NEAR(gradient, slope, 0.02 * fabs(slope));
    glia_model_free(still);
    glia_model_free(classifier);
    glia_data_free(first);
    glia_data_free(second);
    assert_int_equal(unlink(reader), 0);
}

static void wrong_classifiers_are_named(void **state) {
    (void)state;
    const struct {
        glia_shape sample;
        int classes;
        const char *settings, *says;
    } cases[] = {
        { GLIA_SHAPE(1, 28, 28), 10, "classifier=nowhere", "classifier: nowhere" },
        { GLIA_SHAPE(1, 28, 28), 10, "semantic=2", "classifier=RUN" },
        { GLIA_SHAPE(1, 28, 28), 10, "semantic=0 classifier=reader.safetensors", "no effect with semantic=0" },
        { GLIA_SHAPE(1, 28, 28), 7, "classifier=reader.safetensors", "reader.safetensors tells 7 classes" },
        { GLIA_SHAPE(1, 16, 16), 10, "classifier=reader.safetensors", "reader.safetensors takes pictures of (1, 16" },
        { GLIA_SHAPE(1, 28, 28), 0, "classifier=reader.safetensors", "reader.safetensors is no classifier" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].classes) {
            write_reader(cases[i].sample, cases[i].classes, 1);
        } else { /* its output is a picture */
            glia_model *other = glia_model_create("other", NULL);
            glia_tensor x = glia_model_input(other, "x", GLIA_F32, cases[i].sample);
            glia_model_output(other, "y", glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 1, .kernel = 1 }));
            assert_int_equal(glia_model_init(other, 0, &error), GLIA_OK);
            assert_int_equal(glia_model_save(other, reader, &error), GLIA_OK);
            glia_model_free(other);
        }
        char settings[128];
        snprintf(settings, sizeof settings, "other=strokes?n=35&seed=9 %s", cases[i].settings);
        glia_model *model = small_model();
        assert_int_not_equal(train(model, settings, 1, false, 0, NULL), GLIA_OK);
        ASSERT_SAYS(cases[i].says);
        glia_model_free(model);
    }
    unlink(reader);
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3));
    glia_semantic_consistency(x, glia_input(g, "y", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 4)));
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("semantic_consistency");
    glia_graph_free(g);
}

/* Both ways, of other sizes too; a batch gives what its pictures give alone. */
static void pictures_are_converted(void **state) {
    (void)state;
    static float x[3 * SIZE], y[3 * SIZE], z[SIZE], small[16 * 16];
    glia_model *model = trained(1, NULL);
    for (int i = 0; i < 3 * SIZE; i++) x[i] = (float)(i % 97) / 96;
    for (int back = 0; back < 2; back++) {
        const glia_cyclegan_convert_opts how = { .back = back, .threads = 1 };
        assert_int_equal(glia_cyclegan_convert(model, x, 3, GLIA_SHAPE(1, 28, 28), how, y, &error), GLIA_OK);
        for (int i = 0; i < 3 * SIZE; i++) assert_true(y[i] >= 0 && y[i] <= 1);
        assert_int_equal(glia_cyclegan_convert(model, x + SIZE, 1, GLIA_SHAPE(1, 28, 28), how, z, &error), GLIA_OK);
        assert_memory_equal(y + SIZE, z, sizeof z);
        assert_int_equal(glia_cyclegan_convert(model, small, 1, GLIA_SHAPE(16, 16), how, z, &error), GLIA_OK);
    }
    glia_model_free(model);
}

static void classes_are_judged(void **state) {
    (void)state;
    glia_model *model = trained(1, NULL);
    glia_dataset *data = glia_data_strokes(20, 4, NULL);
    glia_assessment a;
    if (glia_assess(model, (glia_assess_opts){ .data = data, .threads = 1 }, &a, &error) != GLIA_OK)
        fail_msg("%s", error.message);
    assert_string_equal(a.values[0].name, "class_kept");
    assert_true(a.values[0].value >= 0 && a.values[0].value <= 1);
    assert_true(a.values[1].value > a.values[0].value); /* the generator has not learned anything yet */
    glia_data_free(data);
    glia_model_free(model);
}

static void mistakes_are_named(void **state) {
    (void)state;
    static float x[3 * 8 * 8], y[SIZE];
    glia_model *model = small_model();
    assert_int_equal(train(model, "", 1, false, 0, NULL), GLIA_E_ARGUMENT);
    ASSERT_SAYS("other=ADDRESS");
    assert_int_not_equal(train(model, "other=strokez", 1, false, 0, NULL), GLIA_OK);
    ASSERT_SAYS("did you mean \"strokes\"");
    assert_int_equal(train(model, "other=strokes?n=3", 1, false, 0, NULL), GLIA_E_ARGUMENT);
    ASSERT_SAYS("do not fill a batch of 4");
    assert_int_equal(train(model, "other=ring?n=50", 1, false, 0, NULL), GLIA_E_SHAPE);
    ASSERT_SAYS("pictures of (2)");
    const glia_cyclegan_convert_opts how = { .threads = 1 };
    assert_int_equal(glia_cyclegan_convert(model, x, 1, GLIA_SHAPE(1, 8, 8), how, y, &error), GLIA_E_UNSUPPORTED);
    glia_model_free(model);
    model = trained(1, NULL);
    assert_int_equal(glia_cyclegan_convert(model, x, 1, GLIA_SHAPE(3, 8, 8), how, y, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("(3, 8, 8)");
    glia_model_free(model);
    glia_graph *g = glia_graph_create();
    glia_cyclegan_generator(glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, 9, 8)), "g",
                            (glia_cyclegan_opts){ .halvings = 1 });
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_SHAPE);
    ASSERT_SAYS("divisible by 2");
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(resumed_training_equals_uninterrupted),
        cmocka_unit_test(resumed_training_has_the_same_classifier),
        cmocka_unit_test(the_buffer_matters),
        cmocka_unit_test(consistency_is_a_cross_entropy),
        cmocka_unit_test(the_class_term_and_its_gradient),
        cmocka_unit_test(wrong_classifiers_are_named),
        cmocka_unit_test(pictures_are_converted),
        cmocka_unit_test(classes_are_judged),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
