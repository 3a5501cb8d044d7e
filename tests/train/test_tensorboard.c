/* test_tensorboard.c - the callback's event files: their tags, steps and values. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"

enum { EPOCHS = 3, FIGURES = 8 };

typedef struct seen {
    glia_value values[EPOCHS][FIGURES];
    int n;
} seen;

static glia_status look(const glia_progress *p, void *context, glia_error *error) {
    (void)error;
    seen *s = context;
    s->n = p->n_values;
    assert_in_range(p->n_values, 1, FIGURES);
    memcpy(s->values[p->epoch - 1], p->values, (size_t)p->n_values * sizeof *p->values);
    return GLIA_OK;
}

/* The contents of the only file in a folder. */
static unsigned char *read_events(const char *folder, size_t *length) {
    char path[600] = "";
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        files++;
    }
    closedir(entries);
    assert_int_equal(files, 1);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char *bytes = malloc(1 << 20);
    *length = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    unlink(path);
    rmdir(folder);
    return bytes;
}

static const unsigned char *find(const unsigned char *in, size_t length, const void *what, size_t size) {
    for (size_t i = 0; i + size <= length; i++)
        if (memcmp(in + i, what, size) == 0) return in + i;
    return NULL;
}

/* Number of records with the tag. Unless `value` is NaN, the last one with the step must have that value. Records are
 * framed as TFRecord: length, its checksum, bytes, their checksum. */
static int records_of(const unsigned char *bytes, size_t length, const char *tag, int step, double value) {
    int n = 0;
    for (size_t at = 0; at + 16 <= length;) {
        uint64_t size;
        memcpy(&size, bytes + at, 8);
        const unsigned char *record = bytes + at + 12;
        assert_true(at + 16 + size <= length);
        at += 16 + size;
        char field[128]; /* the tag preceded by its length, so that it does not match part of another */
        size_t wide = (size_t)snprintf(field, sizeof field, "\x0a%c%s", (char)strlen(tag), tag);
        if (!find(record, size, field, wide)) continue;
        if (n++ != step || isnan(value)) continue;
        const float as_float = (float)value;
        if (!find(record, size, &as_float, 4)) fail_msg("%s is not %g in step %d", tag, value, step);
    }
    return n;
}

static glia_model *small(void) {
    glia_model *model = glia_model_create("small", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 5, .kernel = 3, .stride = 3, .activation = GLIA_RELU });
    glia_model_output(model, "y", glia_dense(glia_flatten(x), "logits", (glia_dense_opts){ .units = 10 }));
    return model;
}

static void test_scalars(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_dataset *data = glia_data_strokes(64, 1, &error), *held_out = glia_data_strokes(32, 2, &error);
    glia_model *model = small();
    seen s = { 0 };
    glia_callback callbacks[] = {
        glia_tensorboard((glia_tensorboard_opts){
            .log_dir = "logs/deep", .histogram_freq = 2, .write_graph = true, .write_images = true, .update_freq = 2 }),
        { .epoch_end = look, .context = &s },
    };
    glia_fit_opts opts = { .epochs = EPOCHS,
                           .batch = 16,
                           .validation = held_out,
                           .metrics = "f1",
                           .schedule = { .kind = GLIA_LR_COSINE },
                           .callbacks = callbacks,
                           .n_callbacks = 2 };
    if (glia_fit(model, data, opts, &error) != GLIA_OK) fail_msg("%s", error.message);

    size_t length[2];
    unsigned char *train = read_events("logs/deep/train", &length[0]);
    unsigned char *validation = read_events("logs/deep/validation", &length[1]);
    rmdir("logs/deep");
    rmdir("logs");
    assert_int_equal(s.n, 6);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        const glia_value *v = s.values[epoch];
        assert_int_equal(records_of(train, length[0], "epoch_loss", epoch, v[0].value), EPOCHS);
        assert_int_equal(records_of(train, length[0], "epoch_accuracy", epoch, v[1].value), EPOCHS);
        assert_int_equal(records_of(validation, length[1], "epoch_loss", epoch, v[2].value), EPOCHS);
        assert_int_equal(records_of(validation, length[1], "epoch_accuracy", epoch, v[3].value), EPOCHS);
        assert_int_equal(records_of(validation, length[1], "epoch_f1", epoch, v[4].value), EPOCHS);
        assert_int_equal(records_of(train, length[0], "epoch_learning_rate", epoch, v[5].value), EPOCHS);
    }
    assert_int_equal(records_of(train, length[0], "batch_loss", 0, NAN), EPOCHS * 4 / 2);
    /* In the graph, in histograms after epochs 0 and 2, and in images if libpng is available. */
    assert_int_equal(records_of(train, length[0], "logits/bias", 0, NAN), 1 + 2);
    const int kernels = records_of(train, length[0], "conv1/kernel", 0, NAN);
    assert_true(kernels == 1 + 2 || kernels == 1 + 2 + 2);
    free(train);
    free(validation);
    glia_model_free(model);
    glia_data_free(data);
    glia_data_free(held_out);
}

/* Generator and critic of one layer each. */
static glia_model *adversaries(void) {
    glia_model *model = glia_model_create("adversaries", NULL);
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(4));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    const glia_gan_dense_opts opts = { .units = 4, .layers = 1 };
    glia_model_output(model, "sample", glia_gan_dense_generator(z, "generator", GLIA_SHAPE(1, 28, 28), opts));
    glia_model_output(model, "score", glia_gan_dense_critic(x, "critic", opts));
    return model;
}

static void test_what_methods_show(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_dataset *data = glia_data_strokes(8, 1, &error);
    const char text[] = "a b c a b c a b c a b c a b c";
    const glia_text_source source = { .text = text, .length = sizeof text - 1 };
    for (int words = 0; words < 2; words++) {
        glia_model *model = words ? glia_model_create("words", &error) : adversaries();
        const glia_tensorboard_opts board = { .log_dir = "logs", .write_images = true };
        const glia_callback callback = glia_tensorboard(board);
        glia_fit_opts opts = { .epochs = EPOCHS, .batch = 4, .callbacks = &callback, .n_callbacks = 1 };
        if (words) opts.text = &source;
        const glia_status status = words ? glia_train(model, NULL, "word2vec", "size=4", opts, &error)
                                         : glia_train(model, data, "gan", "shown=5", opts, &error);
        if (status != GLIA_OK) fail_msg("%s", error.message);
        size_t length;
        unsigned char *train = read_events("logs/train", &length);
        rmdir("logs");
        const int n = records_of(train, length, words ? "neighbours" : "samples", 0, NAN);
        assert_true(n == EPOCHS || (n == 0 && !words)); /* without libpng there are no pictures */
        free(train);
        glia_model_free(model);
    }
    glia_data_free(data);
}

static void test_errors(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_dataset *data = glia_data_strokes(32, 1, &error);
    glia_model *model = small();
    fclose(fopen("in-the-way", "w"));
    glia_callback callback = glia_tensorboard((glia_tensorboard_opts){ .log_dir = "in-the-way/logs" });
    glia_fit_opts opts = { .callbacks = &callback, .n_callbacks = 1 };
    assert_int_equal(glia_fit(model, data, opts, &error), GLIA_E_IO);
    assert_non_null(strstr(error.message, "in-the-way"));
    unlink("in-the-way");
    callback = glia_tensorboard((glia_tensorboard_opts){ .update_freq = -1 });
    assert_int_equal(glia_fit(model, data, opts, &error), GLIA_E_ARGUMENT);
    glia_model_free(model);
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_scalars), cmocka_unit_test(test_what_methods_show),
                                        cmocka_unit_test(test_errors) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
