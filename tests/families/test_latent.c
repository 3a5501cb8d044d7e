/* test_latent.c - the method ldm: same bits at any number of threads and after resuming, its two stages, prompts. */
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
#include "models.h"

static glia_error error;
static const char path[] = "latent.checkpoint", previous[] = "latent.checkpoint.previous";

enum { SAMPLES = 24, BATCH = 4, STEPS = 2 * SAMPLES / BATCH, FIRST = 5, NUMBERS = 3 * 32 * 32, LENGTH = 12 };
static const char usual[] = "timesteps=20 sampling_steps=2 shown=3 autoencoder=0.42"; /* of 12 steps: 5 */

static glia_model *small_model(void) {
    const glia_latent_opts latent = { .channels = 2, .filters = 2, .halvings = 3 };
    glia_model *model = glia_model_create("small", NULL);
    glia_model_set(model, "words.count", "35", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(3, 32, 32));
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(2, 4, 4));
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    glia_tensor words = glia_model_input(model, "words", GLIA_I32, GLIA_SHAPE(LENGTH));
    const glia_vae_code code = glia_latent_encoder(x, "encoder", latent);
    glia_tensor text =
        glia_caption_encoder(words, "text", (glia_caption_opts){ .vocabulary = 35, .units = 8, .heads = 2 });
    glia_model_output(model, "mean", code.mean);
    glia_model_output(model, "logvar", code.logvar);
    glia_model_output(model, "decoded", glia_latent_decoder(z, "decoder", 3, latent));
    const glia_unet_opts unet = { .channels = 4, .multipliers = { 1, 2 }, .blocks = 1, .context = text };
    glia_model_output(model, "prediction", glia_unet(z, t, "unet", unet));
    return model;
}

static glia_dataset *scenes(void) {
    glia_dataset *data = glia_data_open("scenes?n=24", "train", NULL, &error);
    assert_non_null(data);
    return data;
}

static glia_status stop_here(const glia_progress *p, void *context, glia_error *e) {
    (void)p, (void)e;
    return --*(int64_t *)context == 0 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status count_shown(void *context, const glia_shown *shown, glia_error *e) {
    (void)e;
    if (shown->kind == GLIA_SHOWN_PICTURES) {
        for (int64_t i = 0; i < shown->n * NUMBERS; i++) assert_true(shown->values[i] >= 0 && shown->values[i] <= 1);
    } else {
        assert_int_equal(strncmp(shown->text, "a ", 2), 0);
    }
    ++*(int *)context;
    return GLIA_OK;
}
static glia_status show(const glia_progress *p, void *context, glia_error *e) {
    return glia_training_show(p->training, count_shown, context, e);
}

static glia_status train(glia_model *model, int threads, bool saves, int64_t stop, int64_t most, int *shown) {
    glia_dataset *data = scenes();
    glia_callback c[4];
    int n = 0;
    c[n++] = glia_swap_ema_weights(true);
    if (saves) c[n++] = glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 2 });
    if (shown) c[n++] = (glia_callback){ .epoch_end = show, .context = shown };
    if (stop) c[n++] = (glia_callback){ .step_end = stop_here, .context = &stop, .after_others = true };
    const glia_fit_opts o = { .epochs = 2,
                              .batch = BATCH,
                              .max_steps = most,
                              .optimizer = { .kind = GLIA_ADAM, .lr = 1e-2, .ema = 0.9 },
                              .callbacks = c,
                              .n_callbacks = n,
                              .seed = 3,
                              .threads = threads };
    const glia_status status = glia_train(model, data, "ldm", usual, o, &error);
    glia_data_free(data);
    return status;
}

static glia_model *trained(int threads, int64_t most, int *shown) {
    glia_model *model = small_model();
    if (train(model, threads, false, 0, most, shown) != GLIA_OK) fail_msg("%s", error.message);
    return model;
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    int shown = 0;
    glia_model *one = trained(1, 0, &shown);
    assert_int_equal(shown, 6); /* after each epoch reconstructions, samples and captions */
    for (int threads = 2; threads <= 3; threads++) {
        glia_model *more = trained(threads, 0, NULL);
        assert_same_model(one, more);
        glia_model_free(more);
    }
    glia_model_free(one);
}

static void resumed_training_equals_uninterrupted(void **state) {
    (void)state;
    glia_model *whole = trained(1, 0, NULL);
    for (int64_t stop = 2; stop < STEPS; stop += stop == FIRST - 1 ? 1 : 2) {
        unlink(path);
        unlink(previous);
        glia_model *model = small_model();
        assert_int_equal(train(model, 1, true, stop, 0, NULL), GLIA_E_INTERRUPTED);
        glia_model_free(model);
        model = small_model();
        if (train(model, 1, true, 0, 0, NULL) != GLIA_OK) fail_msg("%s", error.message);
        assert_same_model(whole, model);
        glia_model_free(model);
    }
    glia_model_free(whole);
}

/* Whether all values under the prefix are the same. */
static bool same_part(glia_model *x, glia_model *y, const char *prefix) {
    int n = 0;
    for (int i = 0; i < glia_store_count(glia_model_store(x)); i++) {
        const glia_array a = glia_store_at(glia_model_store(x), i);
        glia_array b;
        if (strncmp(a.name, prefix, strlen(prefix)) != 0) continue;
        assert_true(glia_store_find(glia_model_store(y), a.name, &b));
        n++;
        if (memcmp(a.data, b.data, (size_t)glia_shape_count(a.shape) * sizeof(float))) return false;
    }
    assert_true(n > 0);
    return true;
}

static float scale_of(glia_model *model) {
    glia_array scale;
    assert_true(glia_store_find(glia_model_store(model), "decoder/scale", &scale));
    return *(float *)scale.data;
}

static void each_stage_trains_its_nets(void **state) {
    (void)state;
    glia_model *first = trained(1, FIRST, NULL), *begun = trained(1, 1, NULL), *both = trained(1, 0, NULL);
    assert_true(same_part(first, begun, "unet/") && same_part(first, begun, "text/"));
    assert_false(same_part(first, begun, "encoder/"));
    assert_true(same_part(first, both, "encoder/") && same_part(first, both, "decoder/in"));
    assert_false(same_part(first, both, "unet/") || same_part(first, both, "text/"));
    assert_true(scale_of(first) == 1 && scale_of(both) != 1 && scale_of(both) > 0);
    glia_model_free(first);
    glia_model_free(begun);
    glia_model_free(both);
}

/* ---- samples -------------------------------------------------------------------------------------- */

static void assert_refused(glia_model *model, glia_sample_opts opts, const char *says) {
    float *x = malloc(NUMBERS * sizeof *x);
    opts.threads = 1;
    assert_int_equal(glia_sample(model, 1, opts, x, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS(says);
    free(x);
}

static void prompts_are_words_that_the_model_knows(void **state) {
    (void)state;
    glia_model *model = trained(1, 0, NULL);
    assert_true(glia_shape_equal(glia_sample_shape(model), GLIA_SHAPE(3, 32, 32)));
    float *x = malloc(sizeof(float) * 3 * 2 * NUMBERS);
    const char *const prompts[] = { "a large red circle above a small blue square",
                                    " a large  red circle above a small blue square.",
                                    "a small white nine at the top" };
    for (int i = 0; i < 3; i++) {
        const glia_sample_opts how = { .seed = 5, .prompt = prompts[i], .threads = i + 1 };
        assert_int_equal(glia_sample(model, 2, how, x + 2 * i * NUMBERS, &error), GLIA_OK);
    }
    assert_memory_equal(x, x + 2 * NUMBERS, 2 * NUMBERS * sizeof *x);
    assert_memory_not_equal(x, x + 4 * NUMBERS, 2 * NUMBERS * sizeof *x);
    assert_int_equal(glia_sample(model, 2, (glia_sample_opts){ .seed = 5, .threads = 1 }, x, &error), GLIA_OK);
    free(x);
    assert_refused(model, (glia_sample_opts){ .prompt = "a large red circel" },
                   "has not learned the word 'circel'; did you mean 'circle'?");
    assert_refused(model, (glia_sample_opts){ .prompt = "-" }, "has not learned the word '-'");
    assert_refused(model, (glia_sample_opts){ .prompt = " " }, "the prompt has no words");
    assert_refused(model, (glia_sample_opts){ .prompt = "a a a a a a a a a a a a a" },
                   "more words than the model takes, 12");
    assert_refused(model, (glia_sample_opts){ .settings = "sampling_steps=21" }, "21 steps of a schedule that has 20");
    assert_refused(model, (glia_sample_opts){ .prompt = "a", .settings = "drop_words=0" },
                   "trained with some samples without their words");
    glia_model_free(model);
}

/* The bits of the data's own pictures are read without mistakes; those of this model are not right. */
static void pictures_are_judged_by_their_captions(void **state) {
    (void)state;
    glia_model *model = trained(1, 0, NULL);
    glia_dataset *data = scenes(), *strokes = glia_data_strokes(20, 1, NULL);
    glia_assessment a;
    assert_int_equal(glia_assess(model, (glia_assess_opts){ .data = data, .count = 6, .threads = 2 }, &a, &error),
                     GLIA_OK);
    double right = NAN, real = NAN, unexplained = NAN;
    for (int i = 0; i < a.n; i++) {
        if (!strcmp(a.values[i].name, "right")) right = a.values[i].value;
        if (!strcmp(a.values[i].name, "right_real")) real = a.values[i].value;
        if (!strcmp(a.values[i].name, "unexplained")) unexplained = a.values[i].value;
    }
    assert_true(real == 1 && right == 0 && unexplained > 0.3);
    assert_int_not_equal(glia_assess(model, (glia_assess_opts){ .data = strokes }, &a, &error), GLIA_OK);
    ASSERT_SAYS("needs pictures with captions");
    glia_data_free(data);
    glia_data_free(strokes);
    glia_model_free(model);
}

/* ---- mistakes --------------------------------------------------------------------------------------- */

static void assert_train_fails(glia_model *model, const char *address, const char *says) {
    glia_dataset *data = glia_data_open(address, "train", NULL, &error);
    assert_int_not_equal(glia_train(model, data, "ldm", NULL, (glia_fit_opts){ .batch = 4 }, &error), GLIA_OK);
    ASSERT_SAYS(says);
    glia_data_free(data);
}

static void mistakes_are_named(void **state) {
    (void)state;
    glia_model *model = small_model(), *other = glia_model_create("other", NULL);
    glia_tensor x = glia_model_input(other, "x", GLIA_F32, GLIA_SHAPE(3, 32, 32));
    glia_model_output(other, "mean", x);
    assert_train_fails(other, "scenes?n=8", "inputs 'x', 'z', 't' and 'words'");
    assert_train_fails(model, "strokes?n=8", "needs pictures with captions as targets");
    assert_train_fails(model, "scenes?n=3", "do not fill a batch of 4");
    glia_model_set(model, "words.count", "12", NULL);
    assert_train_fails(model, "scenes?n=8", "takes captions of 12 words out of 12; 'scenes?n=8' has 10 out of 35");
    glia_model_set(model, "words.count", "", NULL);
    assert_train_fails(model, "scenes?n=8", "no metadata \"words.count\"");
    glia_model_free(model);
    glia_model_free(other);
    glia_graph *g = glia_graph_create();
    glia_tensor picture = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3, 30, 32));
    glia_latent_encoder(picture, "encoder", (glia_latent_opts){ 0 });
    assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
    ASSERT_SAYS("H and W divisible by 4");
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(resumed_training_equals_uninterrupted),
        cmocka_unit_test(each_stage_trains_its_nets),
        cmocka_unit_test(prompts_are_words_that_the_model_knows),
        cmocka_unit_test(pictures_are_judged_by_their_captions),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
