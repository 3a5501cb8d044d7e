/* test_checkpoint.c - training resumed from a checkpoint is bit-identical to uninterrupted training. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "models.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const char path[] = "training.checkpoint", previous[] = "training.checkpoint.previous";

static void clean(void) {
    unlink(path);
    unlink(previous);
    unlink("training.checkpoint.damaged");
    unlink("log.csv");
}

/* Convolution, batch norm and dropout: has parameters, states and random numbers. */
static glia_model *net(void) {
    glia_model *model = glia_model_create("net", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    x = glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 4, .kernel = 5, .stride = 3 });
    x = glia_relu(glia_batch_norm(x, "bn", (glia_norm_opts){ 0 }));
    x = glia_dropout(glia_flatten(x), 0.25);
    glia_model_output(model, "logits", glia_dense(x, "fc", (glia_dense_opts){ .units = 10 }));
    return model;
}

/* ---- a training run ----------------------------------------------------------------------------- */

/* Stops the training after the given number of steps, as if it were killed. */
static glia_status stop_here(const glia_progress *p, void *context, glia_error *error) {
    (void)p, (void)error;
    int64_t *left = context;
    return --*left == 0 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

typedef struct how {
    glia_optimizer optimizer;
    glia_lr_schedule schedule;
    bool augmented, stratified, extras;
} how;

enum { N = 150, BATCH = 16, EPOCHS = 3, EPOCH_STEPS = 10, STEPS = EPOCHS * EPOCH_STEPS };

/* Trains `model`, saving after every `every` steps (0: never), for at most `stop` steps (0: to the end). */
static glia_status train(glia_model *model, const how *h, int threads, int64_t every, int64_t stop, glia_error *error) {
    glia_dataset *data = glia_data_strokes(N, 5, NULL), *held = glia_data_strokes(40, 6, NULL);
    glia_augment *augment = h->augmented ? glia_augment_parse("crop(pad=2) rotate(10)", error) : NULL;
    int64_t left = stop;
    int n = 0;
    glia_callback c[6];
    if (every) {
        c[n++] = glia_backup_and_restore(
            (glia_backup_and_restore_opts){ .path = path, .save_freq = every == EPOCH_STEPS ? 0 : every });
    }
    if (h->extras) {
        c[n++] = glia_early_stopping((glia_early_stopping_opts){ .patience = 2, .restore_best_weights = true });
        c[n++] = glia_reduce_lr_on_plateau((glia_reduce_lr_on_plateau_opts){ .patience = 1, .min_delta = 0.5 });
        c[n++] = glia_swap_ema_weights(false);
        c[n++] = glia_csv_logger("log.csv", false);
    }
    if (stop) c[n++] = (glia_callback){ .step_end = stop_here, .context = &left, .after_others = true };
    glia_fit_opts o = { .epochs = EPOCHS,
                        .batch = BATCH,
                        .optimizer = h->optimizer,
                        .schedule = h->schedule,
                        .validation = held,
                        .augment = augment,
                        .stratified = h->stratified,
                        .callbacks = c,
                        .n_callbacks = n,
                        .seed = 7,
                        .threads = threads };
    glia_status status = glia_fit(model, data, o, error);
    glia_augment_free(augment);
    glia_data_free(data);
    glia_data_free(held);
    return status;
}

static char *whole_file(const char *name) {
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    static char text[16384];
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

/* Removes the epoch times, which vary between runs. */
static void drop_seconds(char *csv) {
    char *to = csv;
    for (char *line = csv; *line;) {
        char *end = line + strcspn(line, "\n"), *comma = end;
        while (comma > line && *comma != ',') comma--;
        memmove(to, line, (size_t)(comma - line));
        to += comma - line;
        *to++ = '\n';
        line = *end ? end + 1 : end;
    }
    *to = 0;
}

/* Trains with checkpoints every `every` steps, interrupts after `stop` steps and resumes to the end. */
static void resume(const how *h, int threads, int64_t every, int64_t stop, glia_model *whole, const char *csv) {
    glia_error error;
    clean();
    glia_model *model = net();
    assert_int_equal(train(model, h, threads, every, stop, &error), GLIA_E_INTERRUPTED);
    glia_model_free(model); /* only the file remains */
    model = net();
    if (train(model, h, threads, every, 0, &error) != GLIA_OK) fail_msg("%s", error.message);
    assert_same_model(whole, model);
    if (h->extras) {
        char *again = whole_file("log.csv");
        drop_seconds(again);
        assert_string_equal(csv, again);
    }
    assert_int_equal(access(path, F_OK), -1); /* deleted when training finishes */
    glia_model_free(model);
}

static void resumed_training_equals_uninterrupted(void **state) {
    (void)state;
    const how hows[] = {
        { .optimizer = { .kind = GLIA_ADAM }, .schedule = { .kind = GLIA_LR_COSINE, .warmup = 4 } },
        { .optimizer = { .kind = GLIA_SGD, .lr = 0.05, .momentum = 0.9, .accumulate = 3 }, .augmented = true },
        { .optimizer = { .kind = GLIA_ADAMW, .ema = 0.9 }, .stratified = true, .extras = true },
    };
    for (int i = 0; i < COUNT(hows); i++) {
        for (int threads = 1; threads <= 2; threads++) {
            clean();
            glia_error error;
            glia_model *whole = net();
            if (train(whole, &hows[i], threads, 0, 0, &error) != GLIA_OK) fail_msg("%s", error.message);
            static char csv[16384];
            if (hows[i].extras) strcpy(csv, whole_file("log.csv"));
            drop_seconds(csv);
            /* a step, mid-epoch, end of epoch, first step of an epoch, last step but one */
            for (int64_t stop = 1; stop < STEPS; stop += stop == 1 ? 6 : 7) {
                resume(&hows[i], threads, 1, stop, whole, csv);
                resume(&hows[i], threads, 4, stop + (stop == 1 ? 4 : 0), whole, csv);
            }
            resume(&hows[i], threads, EPOCH_STEPS, 2 * EPOCH_STEPS + 3, whole, csv);
            resume(&hows[i], threads, 1, STEPS, whole, csv); /* after the last step, before the end of its epoch */
            glia_model_free(whole);
        }
    }
}

/* Counts steps; stop_early() ends training after the first epoch. */
static glia_status count_step(const glia_progress *p, void *context, glia_error *error) {
    (void)p, (void)error;
    ++*(int *)context;
    return GLIA_OK;
}

static glia_status stop_early(const glia_progress *p, void *context, glia_error *error) {
    (void)context, (void)error;
    glia_training_stop(p->training);
    return GLIA_OK;
}

static void training_stopped_by_callback_is_not_resumed(void **state) {
    (void)state;
    clean();
    glia_dataset *data = glia_data_strokes(N, 5, NULL);
    glia_model *models[2];
    for (int pass = 0; pass < 2; pass++) {
        int steps = 0;
        const glia_callback c[] = {
            { .step_end = count_step, .epoch_end = stop_early, .context = &steps },
            glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .keep = pass == 0 }),
        };
        glia_fit_opts o = { .epochs = EPOCHS, .batch = BATCH, .callbacks = c, .n_callbacks = 2 };
        glia_error error;
        models[pass] = net();
        if (glia_fit(models[pass], data, o, &error) != GLIA_OK) fail_msg("%s", error.message);
        assert_int_equal(steps, pass == 0 ? EPOCH_STEPS : 0);
        assert_int_equal(access(path, F_OK), pass == 0 ? 0 : -1);
    }
    assert_same_model(models[0], models[1]);
    glia_model_free(models[0]);
    glia_model_free(models[1]);
    glia_data_free(data);
    clean();
}

/* Records whether the file exists at the end of each epoch. */
typedef struct looks {
    const char *path;
    int64_t save_at; /* the epoch after which a checkpoint is saved */
    bool seen[EPOCHS + 1];
} looks;

static glia_status look_for_file(const glia_progress *p, void *context, glia_error *error) {
    looks *l = context;
    if (p->epoch == l->save_at) {
        glia_status status = glia_training_save(p->training, "other.checkpoint", error);
        if (status != GLIA_OK) return status;
    }
    l->seen[p->epoch] = access(l->path, F_OK) == 0;
    return GLIA_OK;
}

/* With an interval of an hour nothing is saved at the end of an epoch. */
static void checkpoints_respect_interval(void **state) {
    (void)state;
    glia_dataset *data = glia_data_strokes(N, 5, NULL);
    for (int kind = 0; kind < 2; kind++) {
        clean();
        unlink("best.safetensors");
        looks l = { .path = kind ? "best.safetensors" : path, .save_at = 2 };
        const glia_callback waits =
            kind ? glia_model_checkpoint((glia_model_checkpoint_opts){
                       .path = l.path, .monitor = "loss", .save_best_only = true, .min_seconds = 3600 })
                 : glia_backup_and_restore(
                       (glia_backup_and_restore_opts){ .path = path, .min_seconds = 3600, .keep = true });
        const glia_callback c[] = { waits, { .epoch_end = look_for_file, .context = &l, .after_others = true } };
        glia_fit_opts o = { .epochs = EPOCHS, .batch = BATCH, .callbacks = c, .n_callbacks = 2, .optimizer.lr = 0.1 };
        glia_error error;
        glia_model *model = net();
        if (glia_fit(model, data, o, &error) != GLIA_OK) fail_msg("%s", error.message);
        assert_false(l.seen[1]);
        assert_int_equal(l.seen[2], kind); /* saving a checkpoint writes the best model first */
        if (kind) {                        /* the last epoch was the best; saved when training ends */
            glia_model *best = glia_model_load("best.safetensors", &error);
            assert_non_null(best);
            assert_same_model(model, best);
            glia_model_free(best);
        }
        glia_model_free(model);
    }
    glia_data_free(data);
    clean();
    unlink("best.safetensors");
    unlink("other.checkpoint");
    unlink("other.checkpoint.previous");
}

/* ---- damaged files ------------------------------------------------------------------------------ */

static const how plain = { .optimizer = { .kind = GLIA_ADAM } };

/* The contents of a file; free with free(). */
typedef struct bytes {
    char *data;
    size_t n;
} bytes;

static bytes load(const char *name) {
    struct stat info;
    assert_int_equal(stat(name, &info), 0);
    bytes b = { malloc((size_t)info.st_size), (size_t)info.st_size };
    FILE *f = fopen(name, "rb");
    assert_int_equal(fread(b.data, 1, b.n, f), b.n);
    fclose(f);
    return b;
}

static void store(const char *name, const char *data, size_t n) {
    FILE *f = fopen(name, "wb");
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

/* Any flipped bit or truncation is detected; the file is renamed and the previous checkpoint used. */
static void corruption_is_detected(void **state) {
    (void)state;
    clean();
    glia_error error;
    glia_model *whole = net(), *model = net();
    assert_int_equal(train(whole, &plain, 1, 0, 0, &error), GLIA_OK);
    assert_int_equal(train(model, &plain, 1, 2, 12, &error), GLIA_E_INTERRUPTED);
    glia_model_free(model);
    bytes last = load(path), before = load(previous);
    for (size_t k = 0; k < 60; k++) {
        clean();
        store(previous, before.data, before.n);
        size_t at = k * 2654435761u % last.n;
        if (k < 8) at = k; /* including the header's length */
        if (k % 3 == 2) {
            store(path, last.data, at); /* truncated */
        } else {
            last.data[at] ^= (char)(1 << k % 8);
            store(path, last.data, last.n);
            last.data[at] ^= (char)(1 << k % 8);
        }
        model = net();
        if (train(model, &plain, 1, 2, 0, &error) != GLIA_OK) fail_msg("byte %zu: %s", at, error.message);
        assert_same_model(whole, model);
        assert_int_equal(access("training.checkpoint.damaged", F_OK), 0);
        glia_model_free(model);
    }
    /* Without a previous checkpoint this is an error, and nothing is trained. */
    clean();
    last.data[last.n / 2] ^= 1;
    store(path, last.data, last.n);
    model = net();
    assert_int_equal(train(model, &plain, 1, 2, 0, &error), GLIA_E_FORMAT);
    assert_non_null(strstr(error.message, "training.checkpoint: is damaged"));
    glia_model_free(model);
    glia_model_free(whole);
    free(last.data);
    free(before.data);
    clean();
}

static void checkpoints_of_other_trainings_are_rejected(void **state) {
    (void)state;
    clean();
    glia_error error;
    glia_model *model = net();
    assert_int_equal(train(model, &plain, 1, 2, 12, &error), GLIA_E_INTERRUPTED);
    glia_model_free(model);
    const how others[] = { { .optimizer = { .kind = GLIA_ADAM, .lr = 0.5 } }, { .optimizer = { .kind = GLIA_SGD } } };
    const char *messages[] = { "learning rate=0.001", "optimizer=" };
    for (int i = 0; i < 2; i++) {
        model = net();
        assert_int_equal(train(model, &others[i], 1, 2, 0, &error), GLIA_E_ARGUMENT);
        assert_non_null(strstr(error.message, messages[i]));
        glia_model_free(model);
    }
    model = glia_model_create("other", NULL);
    glia_tensor x = glia_flatten(glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28)));
    glia_model_output(model, "y", glia_dense(x, "dense", (glia_dense_opts){ .units = 10 }));
    assert_int_equal(train(model, &plain, 1, 2, 0, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "belongs to another training"));
    glia_model_free(model);
    clean();
}

/* ---- write errors -------------------------------------------------------------------------------- */

static void a_missing_folder_is_an_error(void **state) {
    (void)state;
    glia_error error;
    glia_model *model = net();
    glia_callback c[] = { glia_backup_and_restore((glia_backup_and_restore_opts){ .path = "no/such/folder/x" }) };
    glia_dataset *data = glia_data_strokes(20, 5, NULL);
    assert_int_equal(glia_fit(model, data, (glia_fit_opts){ .callbacks = c, .n_callbacks = 1 }, &error),
                     GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "no/such/folder/x"));
    glia_model_free(model);
    glia_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumed_training_equals_uninterrupted),
        cmocka_unit_test(training_stopped_by_callback_is_not_resumed),
        cmocka_unit_test(checkpoints_respect_interval),
        cmocka_unit_test(corruption_is_detected),
        cmocka_unit_test(checkpoints_of_other_trainings_are_rejected),
        cmocka_unit_test(a_missing_folder_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
