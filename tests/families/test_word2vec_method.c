/* test_word2vec_method.c - word vectors by the method "word2vec": checkpoints, models, mistakes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "models.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const char path[] = "word2vec.checkpoint", previous[] = "word2vec.checkpoint.previous";
static glia_error error;

/* ---- text ----------------------------------------------------------------------------------------- */

enum { TOPICS = 4, WORDS = 8, SENTENCES = 6000, STEPS = 6, EPOCHS = 2 }; /* 54,000 words and line ends: 6 steps */

/* Sentences of eight words of one topic; "t2w5" is word 5 of topic 2. */
static const glia_text_source *topics(void) {
    static char text[SENTENCES * 8 * 5 + 1];
    static glia_text_source source;
    if (source.length) return &source;
    uint64_t seed = 1;
    size_t n = 0;
    for (int s = 0; s < SENTENCES; s++) {
        for (int w = 0; w < 8; w++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            n += (size_t)sprintf(text + n, "t%dw%d%c", s % TOPICS, (int)(seed >> 40) % WORDS, w < 7 ? ' ' : '\n');
        }
    }
    source = (glia_text_source){ .text = text, .length = n };
    return &source;
}

/* The same, with a file of counts that are too small, so that the text is not kept in memory. */
static const glia_text_source *long_topics(void) {
    static glia_text_source source;
    FILE *file = fopen("short.counts", "wb");
    assert_non_null(file);
    for (int i = 0; i < TOPICS * WORDS; i++) fprintf(file, "t%dw%d 5\n", i / WORDS, i % WORDS);
    fclose(file);
    source = *topics();
    source.vocabulary = "short.counts";
    return &source;
}

/* ---- the run -------------------------------------------------------------------------------------- */

static const struct {
    const char *settings;
    bool kept; /* in memory */
} hows[] = {
    { "size=20 sample=0", true },
    { "size=20 sample=0", false },
    { "size=16 architecture=cbow negative=3", true },
    { "size=33 architecture=cbow hierarchical_softmax=true", false },
    { "size=20 hierarchical_softmax=true negative=2 own_negatives=true", true },
};

static glia_status stop_here(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    assert_int_equal(p->steps, STEPS);
    return --*(int64_t *)context == 0 ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_model *empty(void) {
    glia_model *model = glia_model_create("words", &error);
    assert_non_null(model);
    return model;
}

static glia_fit_opts usual(const glia_text_source *text) {
    return (glia_fit_opts){ .text = text,
                            .epochs = EPOCHS,
                            .optimizer = { .lr = 0.1 },
                            .schedule = { .kind = GLIA_LR_LINEAR, .low = 1e-5 },
                            .seed = 3 };
}

/* Trains, with checkpoints after every 2 steps, for at most `stop` steps (0: to the end). */
static glia_status train(glia_model *model, int how, bool saves, int64_t stop) {
    glia_callback c[2];
    int n = 0;
    if (saves) c[n++] = glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 2 });
    c[n++] = (glia_callback){ .step_end = stop_here, .context = &stop, .after_others = true };
    glia_fit_opts o = usual(hows[how].kept ? topics() : long_topics());
    o.callbacks = c;
    o.n_callbacks = n;
    return glia_train(model, NULL, "word2vec", hows[how].settings, o, &error);
}

static glia_model *trained(int how) {
    glia_model *model = empty();
    if (train(model, how, false, 0) != GLIA_OK) fail_msg("%s", error.message);
    return model;
}

static void resumed_training_equals_uninterrupted(void **state) {
    (void)state;
    for (int how = 0; how < COUNT(hows); how++) {
        glia_model *whole = trained(how);
        for (int64_t stop = 3; stop < EPOCHS * STEPS; stop += 4) {
            unlink(path);
            unlink(previous);
            glia_model *model = empty();
            assert_int_equal(train(model, how, true, stop), GLIA_E_INTERRUPTED);
            glia_model_free(model);
            model = empty();
            if (train(model, how, true, 0) != GLIA_OK) fail_msg("%s", error.message);
            assert_same_model(whole, model);
            glia_model_free(model);
        }
        glia_model_free(whole);
    }
}

static void threads_of_the_backend_change_nothing(void **state) {
    (void)state;
    glia_model *one = trained(0), *more = empty();
    glia_fit_opts o = usual(topics());
    o.threads = 3;
    assert_int_equal(glia_train(more, NULL, "word2vec", hows[0].settings, o, &error), GLIA_OK);
    assert_same_model(one, more);
    glia_model_free(one);
    glia_model_free(more);
}

static void one_call_is_the_same_training(void **state) {
    (void)state;
    glia_model *model = empty();
    const glia_fit_opts o = { .text = topics(), .epochs = 5, .seed = 7,
                              .schedule = { .kind = GLIA_LR_LINEAR, .low = 0.025e-4 } };
    assert_int_equal(glia_train(model, NULL, "word2vec", "window=3", o, &error), GLIA_OK);
    glia_vectors *a = glia_vectors_from_model(model, &error);
    glia_vectors *b = glia_word2vec_train(
        *topics(), (glia_word2vec_opts){ .model = GLIA_SKIP_GRAM, .window = 3, .seed = 7 }, &error);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(glia_vectors_words(a), TOPICS * WORDS);
    assert_int_equal(glia_vectors_size(a), 100);
    assert_memory_equal(glia_vectors_at(a, 0), glia_vectors_at(b, 0), TOPICS * WORDS * 100 * sizeof(float));
    glia_vectors_free(a);
    glia_vectors_free(b);
    glia_model_free(model);
}

static glia_status keep_loss(const glia_progress *p, void *context, glia_error *e) {
    (void)e;
    double *loss = context;
    loss[p->step > 1] = p->loss;
    return GLIA_OK;
}

/* While the output tables are zero, each node of the path has the loss log 2; of four words equally frequent, paths
 * have two. */
static void the_first_loss_is_that_of_a_coin(void **state) {
    (void)state;
    static char text[4 * 4 * 3000 + 1];
    size_t n = 0;
    for (int i = 0; i < 3000; i++) n += (size_t)sprintf(text + n, "%s\n", i % 2 ? "a b a b" : "c d c d");
    const glia_text_source source = { .text = text, .length = n };
    double loss[2];
    const glia_callback watch = { .step_end = keep_loss, .context = loss };
    const glia_fit_opts o = { .text = &source, .epochs = 5, .callbacks = &watch, .n_callbacks = 1 };
    glia_model *model = empty();
    assert_int_equal(glia_train(model, NULL, "word2vec", "hierarchical_softmax=true size=8 sample=0",
                                (glia_fit_opts){ .text = &source, .callbacks = &watch, .n_callbacks = 1,
                                                 .max_steps = 1 },
                                &error),
                     GLIA_OK);
    assert_true(fabs(loss[0] - 2 * log(2)) < 1e-6);
    glia_model_free(model);
    model = empty();
    assert_int_equal(glia_train(model, NULL, "word2vec", "hierarchical_softmax=true size=8 sample=0", o, &error),
                     GLIA_OK);
    assert_true(loss[1] < 1.2 * log(2)); /* two words remain */
    glia_model_free(model);
}

/* ---- the model ------------------------------------------------------------------------------------ */

static void a_saved_model_has_the_vectors(void **state) {
    (void)state;
    glia_model *model = trained(3);
    glia_vectors *v = glia_vectors_from_model(model, &error);
    assert_non_null(v);
    assert_int_equal(glia_vectors_size(v), 33);
    assert_int_equal(glia_model_save(model, "words.safetensors", &error), GLIA_OK);
    glia_model *loaded = glia_model_load("words.safetensors", &error);
    assert_non_null(loaded);
    glia_vectors *w = glia_vectors_from_model(loaded, &error);
    if (!w) fail_msg("%s", error.message);
    assert_memory_equal(glia_vectors_at(v, 0), glia_vectors_at(w, 0), TOPICS * WORDS * 33 * sizeof(float));
    assert_string_equal(glia_vectors_word(w, 5), glia_vectors_word(v, 5));
    assert_int_equal(glia_vectors_count(w, 5), 5);
    float y[2 * 33];
    assert_int_equal(glia_predict_ids(loaded, (const int32_t[]){ 4, 1 }, 2, y, NULL, &error), GLIA_OK);
    assert_memory_equal(y, glia_vectors_at(v, 4), 33 * sizeof(float));
    assert_memory_equal(y + 33, glia_vectors_at(v, 1), 33 * sizeof(float));
    static const char *const damaged[] = { "a\nb", "\n", "", "a\\x00b\nc" };
    for (int i = 0; i < COUNT(damaged); i++) {
        assert_int_equal(glia_model_set(loaded, "words", damaged[i], &error), GLIA_OK);
        assert_null(glia_vectors_from_model(loaded, &error));
        assert_non_null(strstr(error.message, "is damaged"));
    }
    glia_model_free(loaded);
    loaded = empty();
    assert_null(glia_vectors_from_model(loaded, &error));
    assert_non_null(strstr(error.message, "not trained by the method word2vec"));
    glia_model_free(loaded);
    glia_vectors_free(v);
    glia_vectors_free(w);
    glia_model_free(model);
}

static void words_may_be_any_bytes(void **state) {
    (void)state;
    static const char text[] = "caf\xE9 na\xEFve a\\b \xC3\xA9 caf\xE9 na\xEFve a\\b \xC3\xA9";
    const glia_text_source source = { .text = text, .length = sizeof text - 1 };
    const glia_fit_opts o = { .text = &source };
    glia_model *model = empty();
    assert_int_equal(glia_train(model, NULL, "word2vec", "min_count=1 size=4", o, &error), GLIA_OK);
    if (glia_model_save(model, "words.safetensors", &error) != GLIA_OK) fail_msg("%s", error.message);
    glia_model *loaded = glia_model_load("words.safetensors", &error);
    assert_non_null(loaded);
    glia_vectors *v = glia_vectors_from_model(loaded, &error);
    assert_non_null(v);
    static const char *const words[] = { "caf\xE9", "na\xEFve", "a\\b", "\xC3\xA9" };
    for (int i = 0; i < 4; i++) assert_int_equal(glia_vectors_find(v, words[i]), i);
    glia_vectors_free(v);
    glia_model_free(model);
    glia_model_free(loaded);
}

/* The words, the one with the smallest share of neighbours of its own topic being at `least`. */
static double least_share(const char *text) {
    double least = 1;
    while (*text) {
        int same = 0, n = 0;
        const char topic = text[1];
        for (text = strchr(text, ':') + 1; *text != '\n'; text += 5, n++) same += text[2] == topic;
        least = fmin(least, (double)same / n);
        text++;
    }
    return least;
}

static glia_status keep_share(void *context, const glia_shown *shown, glia_error *e) {
    (void)e;
    assert_int_equal(shown->kind, GLIA_SHOWN_TEXT);
    *(double *)context = least_share(shown->text);
    return GLIA_OK;
}

static glia_status show(const glia_progress *p, void *context, glia_error *e) {
    return glia_training_show(p->training, keep_share, context, e);
}

static void neighbours_are_of_the_same_topic_and_training_goes_on(void **state) {
    (void)state;
    double share = 0;
    const glia_callback watch = { .epoch_end = show, .context = &share };
    glia_fit_opts o = usual(topics());
    o.callbacks = &watch;
    o.n_callbacks = 1;
    glia_model *model = empty();
    assert_int_equal(glia_train(model, NULL, "word2vec", "size=20 sample=0 shown=5", o, &error), GLIA_OK);
    assert_true(share == 1);
    o.epochs = 1;
    o.optimizer.lr = 1e-9; /* keeps the vectors */
    assert_int_equal(glia_train(model, NULL, "word2vec", "size=20 sample=0", o, &error), GLIA_OK);
    assert_true(share == 1);
    glia_model_free(model);
}

/* ---- mistakes ------------------------------------------------------------------------------------- */

static void assert_fails(glia_model *model, const char *settings, glia_fit_opts o, const char *part) {
    assert_int_not_equal(glia_train(model, NULL, "word2vec", settings, o, &error), GLIA_OK);
    if (!strstr(error.message, part)) fail_msg("\"%s\" does not have \"%s\"", error.message, part);
}

static void mistakes_are_named(void **state) {
    (void)state;
    glia_model *model = empty();
    glia_fit_opts o = usual(topics());
    assert_fails(model, NULL, (glia_fit_opts){ 0 }, "training by word2vec: needs text");
    assert_fails(model, "negative=0", o, "negative sampling or hierarchical softmax is needed");
    assert_fails(model, "architecture=cbow own_negatives=true", o, "a setting of skip-gram");
    assert_fails(model, "windows=3", o, "did you mean 'window'?");
    assert_fails(model, "min_count=1000000", o, "that is too few");
    o.optimizer.momentum = 0.9;
    assert_fails(model, NULL, o, "learns by sgd with a learning rate alone");
    o.optimizer = (glia_optimizer){ .kind = GLIA_ADAM };
    assert_fails(model, NULL, o, "learns by sgd with a learning rate alone");
    o = usual(topics());
    assert_int_equal(glia_train(model, NULL, "word2vec", "size=20", o, &error), GLIA_OK);
    assert_fails(model, "size=40", o, "needs an empty model, or one that was trained on the same words");
    const glia_text_source other = { .text = "a b a b a b a b a b", .length = 19 };
    assert_fails(model, "size=20", usual(&other), "needs an empty model");
    glia_dataset *data = glia_data_strokes(20, 1, &error);
    assert_int_equal(glia_train(model, data, "word2vec", NULL, o, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "does not use data"));
    assert_int_equal(glia_fit(model, data, o, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "the method fit does not use text"));
    glia_data_free(data);
    glia_model_free(model);
}

static void a_checkpoint_of_another_text_is_refused(void **state) {
    (void)state;
    unlink(path);
    unlink(previous);
    glia_model *model = empty();
    assert_int_equal(train(model, 0, true, 3), GLIA_E_INTERRUPTED);
    glia_model_free(model);
    static char text[40 * TOPICS * WORDS + 1]; /* as many words, in another order */
    size_t n = 0;
    for (int i = 0; i < 5 * TOPICS * WORDS; i++)
        n += (size_t)sprintf(text + n, "t%dw%d ", i % 32 / WORDS, i % WORDS);
    const glia_text_source other = { .text = text, .length = n };
    const glia_callback c = glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 2 });
    glia_fit_opts o = usual(&other);
    o.callbacks = &c;
    o.n_callbacks = 1;
    model = empty();
    assert_fails(model, hows[0].settings, o, "was made with another text");
    glia_model_free(model);
    model = empty(); /* the file was left as it is */
    assert_int_equal(train(model, 0, true, 0), GLIA_OK);
    glia_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumed_training_equals_uninterrupted),
        cmocka_unit_test(threads_of_the_backend_change_nothing),
        cmocka_unit_test(one_call_is_the_same_training),
        cmocka_unit_test(the_first_loss_is_that_of_a_coin),
        cmocka_unit_test(a_saved_model_has_the_vectors),
        cmocka_unit_test(words_may_be_any_bytes),
        cmocka_unit_test(neighbours_are_of_the_same_topic_and_training_goes_on),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_checkpoint_of_another_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
