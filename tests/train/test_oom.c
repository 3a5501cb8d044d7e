/* test_oom.c - fails every allocation, from building a model to loading it (oom.h; sequences are in
 * test_oom_sequences.c).
 *
 * The same counter checks that a step allocates nothing.
 */
#include <unistd.h>

#include "files.h"
#include "oom.h"

#include "archives.h"
#include "glia/glia.h"

/* ---- scenarios ---------------------------------------------------------------------------- */

enum { SAMPLES = 6, SIDE = 4, CLASSES = 3, BATCH = 4 };

static glia_dataset *dataset(glia_error *error) {
    static float x[SAMPLES * SIDE * SIDE];
    static const int32_t label[SAMPLES] = { 0, 1, 2, 0, 1, 2 };
    for (int i = 0; i < SAMPLES * SIDE * SIDE; i++) x[i] = (float)(i * 7 % 11) / 11;
    glia_arrays arrays = {
        .n = SAMPLES, .x = x, .x_shape = GLIA_SHAPE(1, SIDE, SIDE), .y = label, .y_dtype = GLIA_I32
    };
    return glia_data_arrays(arrays, error);
}

static glia_model *build(glia_error *error) {
    glia_model *model = glia_model_create("tiny", error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE));
    x = glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 2, .kernel = 3, .activation = GLIA_RELU });
    x = glia_batch_norm(x, "bn", (glia_norm_opts){ 0 });
    x = glia_dropout(glia_flatten(x), 0.25);
    glia_model_output(model, "y",
                      glia_dense(x, "fc", (glia_dense_opts){ .units = CLASSES, .activation = GLIA_SOFTMAX }));
    return model;
}

/* A single step: build, compile, session, run. */
static glia_status compile_and_run(glia_error *error) {
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3)),
                y = glia_input(g, "y", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    const double class_weights[CLASSES] = { 1, 0.5, 2 };
    const glia_loss_value_opts how = { .loss = GLIA_CROSS_ENTROPY,
                                       .class_weights = class_weights,
                                       .weighted_mean = true };
    glia_tensor loss = glia_loss_value(glia_dense(x, "fc", (glia_dense_opts){ .units = CLASSES }), y, how);
    glia_tensor parameters[2] = { NULL }, gradients[2] = { NULL };
    const int n = glia_gradients(loss, NULL, parameters, gradients, 2);
    glia_apply_gradients((glia_optimizer){ .kind = GLIA_SGD, .momentum = 0.9 }, parameters, gradients, n, NULL);
    glia_moving_average(g, NULL, (glia_moving_average_opts){ .warmup = true }, NULL, parameters, gradients, 2);
    glia_backend *backend = glia_backend_open("cpu", 2, error);
    glia_store *store = backend ? glia_store_create(g, 1, error) : NULL;
    glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 2 };
    glia_program *program = store ? glia_compile(g, backend, opts, error) : NULL;
    glia_session *session = program ? glia_session_create(program, store, error) : NULL;
    glia_status status = session ? glia_session_run(session, error) : error->status;
    char *text = session ? glia_program_print(program) : NULL;
    free(text);
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
    return status;
}

/* A loop with all features, its gradient, steps that must not allocate, and writing and parsing its text. */
static glia_status loop_and_run(glia_error *error) {
    glia_model *model = glia_model_create("loop", error);
    if (!model) return error->status;
    glia_graph *g = glia_model_graph(model);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(3, 2));
    glia_tensor lengths = glia_model_input(model, "lengths", GLIA_I32, GLIA_SCALAR), all;
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ .lengths = lengths, .reverse = true });
    glia_tensor both[] = { glia_dropout(glia_loop_input(loop, x), 0.25), glia_loop_state_zeros(loop, GLIA_SHAPE(2)) };
    glia_tensor next = glia_dense(glia_concat(both, 2, 1), "cell", (glia_dense_opts){ .units = 2 });
    glia_loop_next(loop, both[1], next);
    glia_loop_end(loop, &next, 1, &all);
    glia_model_output(model, "y", glia_loop_last(loop, both[1]));
    glia_tensor loss = glia_mean(glia_square(all), GLIA_SCALAR, false);
    glia_status status = glia_model_init(model, 1, error);
    if (status == GLIA_OK) status = glia_model_save(model, "oom.safetensors", error);
    glia_model *again = status == GLIA_OK ? glia_model_load("oom.safetensors", error) : NULL;
    if (status == GLIA_OK && !again) status = error->status;
    if (status == GLIA_OK) glia_minimize(loss, (glia_optimizer){ 0 }, NULL, NULL);
    glia_backend *backend = status == GLIA_OK ? glia_backend_open("cpu", 2, error) : NULL;
    glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 2 };
    glia_store *store = backend ? glia_store_create(g, 1, error) : NULL;
    glia_program *program = store ? glia_compile(g, backend, opts, error) : NULL;
    glia_session *session = program ? glia_session_create(program, store, error) : NULL;
    if (status == GLIA_OK) status = session ? GLIA_OK : error->status;
    const long before = atomic_load(&calls);
    for (int i = 0; i < 3 && status == GLIA_OK; i++) status = glia_session_run(session, error);
    if (status == GLIA_OK) assert_int_equal(atomic_load(&calls), before);
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_model_free(again);
    glia_model_free(model);
    unlink("oom.safetensors");
    unlink("oom.safetensors.tmp");
    return status;
}

/* Recurrent layers with all options, their gradient, steps that must not allocate, and weights from a file. */
static glia_status recur_and_run(glia_error *error) {
    glia_model *model = glia_model_create("recurrent", error);
    if (!model) return error->status;
    glia_graph *g = glia_model_graph(model);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(4, 3));
    glia_recurrent_opts opts = { .lengths = glia_model_input(model, "lengths", GLIA_I32, GLIA_SCALAR) };
    opts.units = 5;
    glia_tensor y = glia_lstm(x, "net", opts);
    opts.layers = 2, opts.bidirectional = true, opts.dropout = 0.5;
    y = glia_gru(y, "top", opts);
    y = glia_lstm(y, "normed", (glia_recurrent_opts){ .units = 3, .layer_norm = true, .lengths = opts.lengths });
    glia_tensor loss = glia_mean(glia_square(y), GLIA_SCALAR, false);
    glia_model_output(model, "y", y);
    glia_status status =
        glia_model_load_torch_recurrent(model, "net", GLIA_GOLDEN_DIR "/recurrent/lstm.safetensors", "net.", error);
    if (status == GLIA_OK) glia_minimize(loss, (glia_optimizer){ 0 }, NULL, NULL);
    glia_backend *backend = status == GLIA_OK ? glia_backend_open("cpu", 2, error) : NULL;
    glia_compile_opts how = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 2 };
    glia_program *program = backend ? glia_compile(g, backend, how, error) : NULL;
    if (program) status = glia_store_add(glia_model_store(model), g, 1, error);
    glia_session *session =
        program && status == GLIA_OK ? glia_session_create(program, glia_model_store(model), error) : NULL;
    if (status == GLIA_OK) status = session ? GLIA_OK : error->status;
    const long before = atomic_load(&calls);
    for (int i = 0; i < 3 && status == GLIA_OK; i++) status = glia_session_run(session, error);
    if (status == GLIA_OK) assert_int_equal(atomic_load(&calls), before);
    glia_session_free(session);
    glia_program_free(program);
    glia_backend_close(backend);
    glia_model_free(model);
    return status;
}

/* A frozen program, run and refreshed. */
static glia_status freeze_and_run(glia_error *error) {
    glia_model *model = build(error);
    glia_status status = model ? glia_model_init(model, 1, error) : error->status;
    glia_backend *backend = status == GLIA_OK ? glia_backend_open("cpu", 2, error) : NULL;
    glia_tensor y = glia_model_output_at(model, 0, NULL);
    glia_compile_opts opts = { .outputs = &y, .n_outputs = 1, .batch = 2, .frozen = true };
    glia_program *program = backend ? glia_compile(glia_model_graph(model), backend, opts, error) : NULL;
    glia_session *session = program ? glia_session_create(program, glia_model_store(model), error) : NULL;
    status = session ? glia_session_run(session, error) : error->status;
    if (session && status == GLIA_OK) status = glia_session_refresh(session, error);
    glia_session_free(session);
    glia_program_free(program);
    glia_backend_close(backend);
    glia_model_free(model);
    return status;
}

/* Two training steps with all options, validation, and an evaluation. */
static glia_status train(glia_error *error) {
    glia_dataset *data = dataset(error);
    glia_model *model = data ? build(error) : NULL;
    glia_fit_opts opts = { .batch = BATCH,
                           .validation = data,
                           .threads = 2,
                           .optimizer = { .kind = GLIA_ADAM, .clip_norm = 1, .weight_decay = 0.01 } };
    glia_status status = model ? glia_fit(model, data, opts, error) : error->status;
    int64_t confusion[CLASSES * CLASSES];
    glia_evaluate_opts how = { .batch = BATCH, .threads = 2, .confusion = confusion };
    if (status == GLIA_OK) status = glia_evaluate(model, data, how, NULL, error);
    glia_model_free(model);
    glia_data_free(data);
    return status;
}

/* Training of one layer with all callbacks, checkpoints after each step, and resuming from one. */
static glia_status train_watched(glia_error *error) {
    glia_dataset *data = dataset(error);
    glia_model *model = data ? glia_model_create("layer", error) : NULL;
    glia_status status = model ? GLIA_OK : error->status;
    if (model) {
        glia_tensor x = glia_flatten(glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE)));
        glia_model_output(model, "y", glia_dense(x, "dense", (glia_dense_opts){ .units = CLASSES }));
    }
    for (int pass = 0; pass < 2 && status == GLIA_OK; pass++) {
        glia_callback callbacks[] = {
            glia_early_stopping((glia_early_stopping_opts){ .monitor = "val_f1", .restore_best_weights = true }),
            glia_reduce_lr_on_plateau((glia_reduce_lr_on_plateau_opts){ 0 }),
            glia_csv_logger("oom.csv", false),
            glia_swap_ema_weights(true),
            glia_swa((glia_swa_opts){ .data = data }),
            glia_terminate_on_nan(),
            glia_model_checkpoint((glia_model_checkpoint_opts){ .path = "oom-{epoch}.safetensors" }),
            glia_backup_and_restore((glia_backup_and_restore_opts){ .path = "oom.checkpoint", .keep = pass == 0 }),
        };
        glia_fit_opts opts = { .epochs = pass + 1,
                               .batch = glia_data_count(data),
                               .validation = data,
                               .metrics = "f1",
                               .threads = 1,
                               .workers = -1,
                               .optimizer = { .ema = 0.9 },
                               .callbacks = callbacks,
                               .n_callbacks = sizeof callbacks / sizeof callbacks[0] };
        status = glia_fit(model, data, opts, error);
    }
    glia_model_free(model);
    glia_data_free(data);
    const char *const made[] = { "oom.csv",        "oom-1.safetensors",       "oom-2.safetensors",
                                 "oom.checkpoint", "oom.checkpoint.previous", "oom.checkpoint.tmp" };
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) unlink(made[i]);
    return status;
}

/* Saves, loads and summarises. */
static glia_status save_and_load(glia_error *error) {
    glia_model *model = build(error), *again = NULL;
    char *summary = NULL;
    glia_status status = model ? glia_model_set(model, "classes", "a\nb\nc", error) : error->status;
    if (status == GLIA_OK) status = glia_model_save(model, "oom.safetensors", error);
    if (status == GLIA_OK) {
        again = glia_model_load("oom.safetensors", error);
        if (!again) status = error->status;
    }
    if (status == GLIA_OK) status = glia_model_load_weights(again, "oom.safetensors", NULL, error);
    if (status == GLIA_OK) {
        summary = glia_model_summary(again, 2, error);
        if (!summary) status = error->status;
    }
    float x[SIDE * SIDE] = { 0 }, y[CLASSES];
    if (status == GLIA_OK) status = glia_predict(again, x, 1, y, NULL, error);
    if (status == GLIA_OK) status = glia_predict(again, x, 1, y, NULL, error); /* with the cached program */
    free(summary);
    glia_model_free(again);
    glia_model_free(model);
    unlink("oom.safetensors");
    unlink("oom.safetensors.tmp");
    return status;
}

/* Copies a model, mixes and swaps the values of the two, packs and unpacks. */
static glia_status copy_and_blend(glia_error *error) {
    glia_model *model = build(error), *copy = NULL;
    glia_status status = model ? glia_model_set(model, "classes", "a", error) : error->status;
    if (status == GLIA_OK) status = glia_model_init(model, 1, error);
    if (status == GLIA_OK) {
        copy = glia_model_copy(model, error);
        if (!copy) status = error->status;
    }
    glia_store *a = copy ? glia_model_store(model) : NULL, *b = copy ? glia_model_store(copy) : NULL;
    if (status == GLIA_OK) status = glia_store_blend(a, "", b, "", 0.5, error);
    if (status == GLIA_OK) status = glia_store_swap(a, "fc/", b, "fc/", error);
    float flat[200];
    const int64_t n = status == GLIA_OK ? glia_store_pack_size(a, "fc/*,conv/*", error) : 0;
    if (n < 0) status = error->status;
    if (status == GLIA_OK) status = glia_store_pack(a, "fc/*,conv/*", flat, n, error);
    if (status == GLIA_OK) status = glia_store_unpack(b, "fc/*,conv/*", flat, n, error);
    glia_model_free(copy);
    glia_model_free(model);
    return status;
}

static void test_copy_and_blend(void **state) {
    (void)state;
    every_allocation(copy_and_blend, "copy and blend");
}

static void test_compile_and_run(void **state) {
    (void)state;
    every_allocation(compile_and_run, "compile and run");
    every_allocation(freeze_and_run, "freeze and run");
}

static void test_loop_and_run(void **state) {
    (void)state;
    every_allocation(loop_and_run, "loop and run");
}

static void test_recurrent_and_run(void **state) {
    (void)state;
    every_allocation(recur_and_run, "recur and run");
}

static void test_train(void **state) {
    (void)state;
    every_allocation(train, "train");
}

static void test_train_with_callbacks(void **state) {
    (void)state;
    every_allocation(train_watched, "train, watched");
}

static void test_save_and_load(void **state) {
    (void)state;
    every_allocation(save_and_load, "save and load");
}

/* Draws, shuffles and loads samples. */
static glia_status load_data(glia_error *error) {
    glia_dataset *data = glia_data_strokes(20, 1, error);
    glia_dataset *part = data ? glia_data_range(data, 2, 18, error) : NULL;
    glia_loader *loader =
        part ? glia_loader_create(part, (glia_loader_opts){ .batch = 5, .shuffle = true, .workers = 2 }, error) : NULL;
    glia_status status = loader ? glia_loader_start(loader, 0, error) : error->status;
    glia_batch batch;
    while (status == GLIA_OK && glia_loader_next(loader, &batch)) continue;
    if (status == GLIA_OK) status = glia_loader_check(loader, error);
    glia_loader_free(loader);
    glia_data_free(part);
    glia_data_free(data);
    return status;
}

/* A replay is filled, drawn from in three ways, saved and restored. */
static glia_status keep_replay(glia_error *error) {
    static const glia_replay_field fields[] = { { "x", GLIA_F32, { 0 } }, { "y", GLIA_I32, { 0 } } };
    const glia_replay_opts opts = { .capacity = 4, .prioritized = true, .weights = "w" };
    float x[3] = { 1, 2, 3 };
    int32_t y[3] = { 1, 2, 3 };
    const glia_array rows[] = { { "x", GLIA_F32, GLIA_SHAPE(3), x, false },
                                { "y", GLIA_I32, GLIA_SHAPE(3), y, false } };
    glia_replay_batch batch;
    glia_array state[5];
    glia_replay *r = glia_replay_create(fields, 2, opts, error), *plain = NULL;
    glia_status status = r ? glia_replay_add(r, rows, 2, error) : error->status;
    if (status == GLIA_OK) status = glia_replay_sample(r, 5, (glia_replay_draw){ 0 }, &batch, error);
    if (status == GLIA_OK) status = glia_replay_prioritize(r, batch.rows, x, 3, error);
    if (status == GLIA_OK) status = glia_replay_restore(r, state, glia_replay_state(r, state, 5), error);
    if (status == GLIA_OK) plain = glia_replay_create(fields, 2, (glia_replay_opts){ .capacity = 2 }, error);
    if (status == GLIA_OK) status = plain ? glia_replay_add(plain, rows, 2, error) : error->status;
    const glia_replay_draw shuffled = { .shuffled = true };
    if (status == GLIA_OK) status = glia_replay_sample(plain, 2, shuffled, &batch, error);
    glia_replay_free(r);
    glia_replay_free(plain);
    return status;
}

static void test_replay(void **state) {
    (void)state;
    every_allocation(keep_replay, "keep a replay");
}

static void test_load_data(void **state) {
    (void)state;
    every_allocation(load_data, "load data");
}

/* Opens files of every format and reads a sample. */
static const char *file_address;

static glia_status open_file(glia_error *error) {
    static float x[256];
    static int32_t y[256];
    glia_dataset *data = glia_data_open(file_address, NULL, NULL, error);
    glia_status status = data ? glia_data_get(data, 0, x, y, error) : error->status;
    glia_data_free(data);
    return status;
}

static void test_open_files(void **state) {
    (void)state;
    static const char golden[] = GLIA_GOLDEN_DIR "/data/";
    glia_text tar = { 0 };
    for (int i = 0; i < 40; i++) {
        char name[64];
        snprintf(name, sizeof name, "train/c%d/%d.%s", i % 3, i, i % 2 ? "pgm" : "txt");
        tar_put(&tar, '0', name, "P5 2 1 9\n\1\2", 11);
    }
    tar_end(&tar);
    write_file("all.tar", tar.bytes, tar.length);
    write_file("some.txt", "a\tb\nc\td\n", 8);
    write_file("some.csv", "1,,0\n,2,1\n", 10);
    static const struct {
        const char *scheme, *file, *options;
        bool golden;
    } files[] = { { "npy", "fortran.npy", "", true },
                  { "npz", "plain.npz", "?x=features&y=value", true },
                  { "libsvm", "from_one.svm", "", true },
                  { "libsvm", "values.svm", "?test=0.5", true },
                  { "images", "all.tar", "?size=3&channels=3", false },
                  { "texts", "all.tar", "", false },
                  { "lines", "some.txt", "?label=first", false },
                  { "text", "some.txt", "?length=2", false },
                  { "raw", "some.txt", "?shape=3&label=u8", false },
                  { "csv", "some.csv", "?sparse=1&header=0", false } };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char address[2000];
        snprintf(address, sizeof address, "%s:%s%s%s", files[i].scheme, files[i].golden ? golden : "", files[i].file,
                 files[i].options);
        file_address = address;
        every_allocation(open_file, address);
    }
    free(tar.bytes);
    assert_true(!unlink("all.tar") && !unlink("some.txt") && !unlink("some.csv"));
}

/* Augments, mixes and splits; text with synonyms. */
static glia_status augment_data(glia_error *error) {
    glia_augment *augment = glia_augment_parse("rotate elastic(3, 2) noise normalize(mean=0.1) mixup", error);
    glia_dataset *data = augment ? glia_data_strokes(20, 1, error) : NULL, *train = NULL, *rest = NULL;
    glia_status status = data ? glia_data_fold(data, 4, 1, true, 3, &train, &rest, error) : error->status;
    double weights[20];
    if (status == GLIA_OK) status = glia_data_sample_weights(train, weights, error);
    for (int way = 0; way < 2 && status == GLIA_OK; way++) {
        const glia_loader_opts opts = {
            .batch = 4, .augment = augment, .weights = way ? weights : NULL, .stratified = !way
        };
        glia_loader *loader = glia_loader_create(train, opts, error);
        status = loader ? glia_loader_start_at(loader, 1, 2, error) : error->status;
        glia_batch batch;
        while (status == GLIA_OK && glia_loader_next(loader, &batch)) continue;
        if (status == GLIA_OK) status = glia_loader_check(loader, error);
        glia_loader_free(loader);
    }
    if (status == GLIA_OK) {
        char *text = glia_augment_print(augment);
        if (!text) status = glia_fail_nomem(error);
        free(text);
    }
    glia_data_free(rest);
    glia_data_free(train);
    glia_data_free(data);
    glia_augment_free(augment);
    return status;
}

static void test_augment_data(void **state) {
    (void)state;
    every_allocation(augment_data, "augment data");
}

/* An epoch of augmented samples, with and without workers. */
static void test_loading_allocates_nothing(void **state) {
    (void)state;
    glia_error error;
    glia_augment *augment = glia_augment_parse(
        "crop flip rotate shear elastic jitter(0.1, 0.1) resized_crop blur erase noise mixup cutmix", &error);
    glia_dataset *data = glia_data_strokes(60, 1, &error);
    assert_true(augment && data);
    for (int workers = -1; workers <= 2; workers += 3) {
        const glia_loader_opts opts = { .batch = 4, .augment = augment, .stratified = true, .workers = workers };
        glia_loader *loader = glia_loader_create(data, opts, &error);
        if (!loader) fail_msg("%s", error.message);
        atomic_store(&calls, 0);
        for (int epoch = 0; epoch < 2; epoch++) {
            glia_batch batch;
            assert_int_equal(glia_loader_start(loader, epoch, &error), GLIA_OK);
            while (glia_loader_next(loader, &batch)) continue;
        }
        assert_int_equal(atomic_load(&calls), 0);
        glia_loader_free(loader);
    }
    glia_data_free(data);
    glia_augment_free(augment);
}

static glia_status augment_text(glia_error *error) {
    glia_synonyms *synonyms = glia_synonyms_open("synonyms.txt", error);
    if (!synonyms) return error->status;
    const glia_text_augment_opts opts = { .synonyms = synonyms, .replace = 0.5, .insert = 0.5, .swap = 0.2 };
    char *text = glia_text_augment("A quick fox, and a Quick one.", opts, error);
    const glia_status status = text ? GLIA_OK : error->status;
    free(text);
    glia_synonyms_free(synonyms);
    return status;
}

static void test_augment_text(void **state) {
    (void)state;
    FILE *file = fopen("synonyms.txt", "w");
    assert_non_null(file);
    fputs("quick: fast, rapid\nfox: vixen\n", file);
    fclose(file);
    every_allocation(augment_text, "augment text");
}

/* ---- steps -------------------------------------------------------------------------------- */

static void count_steps(const char *backend_name) {
    glia_model *model = build(NULL);
    glia_graph *g = glia_model_graph(model);
    glia_tensor labels = glia_input(g, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor loss = glia_nll(glia_log(glia_model_output_at(model, 0, NULL)), labels);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .clip_norm = 1 }, NULL, NULL);
    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open(backend_name, 2, &error);
    glia_store *store = glia_store_create(g, 1, &error);
    glia_program *program = glia_compile(
        g, backend, (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 4 }, &error);
    glia_session *session = program ? glia_session_create(program, store, &error) : NULL;
    if (!session) fail_msg("%s", error.message);
    atomic_store(&calls, 0);
    for (int i = 0; i < 10; i++) assert_int_equal(glia_session_run(session, NULL), GLIA_OK);
    assert_int_equal(atomic_load(&calls), 0);
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_model_free(model);
}

/* Queries and plots the vectors of the words a, b and others. */
static glia_status ask_words(const glia_vectors *v, glia_error *error) {
    enum { WORDS = 6 };
    glia_neighbour near[3];
    glia_analogies analogies;
    glia_similarities similarities;
    int32_t group[WORDS];
    double places[2 * WORDS];
    const char *const word[] = { "a", "b" };
    const glia_nearest_opts opts = { .plus = word, .n_plus = 2 };
    if (glia_vectors_nearest(v, opts, near, 3, error) < 0) return error->status;
    glia_status status = glia_vectors_groups(v, 2, group, error);
    if (!status) status = glia_vectors_analogies(v, "oom.questions", 0, 2, &analogies, error);
    if (!status) status = glia_vectors_similarities(v, "oom.pairs", 0, &similarities, error);
    if (!status) status = glia_tsne(glia_vectors_at(v, 0), WORDS, glia_vectors_size(v),
                                    (glia_tsne_opts){ .iterations = 3, .threads = 2 }, places, NULL, error);
    if (!status) status = glia_tsne(glia_vectors_at(v, 0), WORDS, glia_vectors_size(v),
                                    (glia_tsne_opts){ .iterations = 3, .theta = 0.5 }, places, NULL, error);
    char *svg = status ? NULL : glia_map_svg(places, WORDS, (glia_map_opts){ .groups = group }, error);
    if (!status && !svg) status = error->status;
    free(svg);
    return status;
}

static glia_status learn_words(glia_error *error) {
    static const char text[] = "a b c d e f\nb a d c f e\na b c d e f\nb c a e f d\na b f\n";
    const char *const files[] = { "oom.words" };
    glia_text_source source = { .text = text, .length = sizeof text - 1, .rule = GLIA_WORDS_LETTERS };
    const glia_phrases_opts rare = { .min_count = 1, .threshold = 1e9 };
    glia_status status = glia_word_phrases(source, rare, "oom.words", NULL, error);
    if (status) return status;
    const glia_word2vec_opts opts = {
        .size = 5, .min_count = 1, .hierarchical_softmax = true, .negative = 2, .threads = 2
    };
    glia_vectors *v = glia_word2vec_train((glia_text_source){ .files = files, .n_files = 1 }, opts, error);
    if (!v) return error->status;
    static const char *const paths[] = { "oom.txt", "oom.bin", "oom.safetensors" };
    for (int i = 0; i < 3 && !status; i++) {
        status = glia_vectors_save(v, paths[i], GLIA_VECTORS_DEFAULT, error);
        glia_vectors *again = status ? NULL : glia_vectors_load(paths[i], GLIA_VECTORS_DEFAULT, 0, error);
        if (!status && !again) status = error->status;
        glia_vectors_free(again);
        unlink(paths[i]);
    }
    if (!status) status = ask_words(v, error);
    glia_vectors_free(v);
    return status;
}

static void test_learn_words(void **state) {
    (void)state;
    static const char questions[] = ": x\na b c d\n", pairs[] = "a b 1\nb c 2\n";
    FILE *file = fopen("oom.questions", "w");
    assert_true(file && fwrite(questions, 1, sizeof questions - 1, file) && !fclose(file));
    file = fopen("oom.pairs", "w");
    assert_true(file && fwrite(pairs, 1, sizeof pairs - 1, file) && !fclose(file));
    every_allocation(learn_words, "learn words");
}

static void test_steps_allocate_nothing(void **state) {
    (void)state;
    count_steps("ref");
    count_steps("cpu");
}

/* Predictions allocate nothing after the first of their size. */
static void test_predictions_allocate_nothing(void **state) {
    (void)state;
    float x[BATCH * SIDE * SIDE] = { 0 }, y[BATCH * CLASSES];
    glia_model *model = build(NULL);
    for (int64_t n = 1; n <= BATCH; n += BATCH - 1) assert_int_equal(glia_predict(model, x, n, y, NULL, NULL), GLIA_OK);
    atomic_store(&calls, 0);
    for (int i = 0; i < 10; i++) assert_int_equal(glia_predict(model, x, i % 2 ? 1 : BATCH, y, NULL, NULL), GLIA_OK);
    assert_int_equal(atomic_load(&calls), 0);
    glia_model_free(model);
}

/* The training loop: a hundred epochs allocate no more memory than one. */
static void test_epochs_allocate_nothing(void **state) {
    (void)state;
    long asked[2];
    for (int i = 0; i < 2; i++) {
        glia_dataset *data = dataset(NULL);
        glia_model *model = build(NULL);
        atomic_store(&calls, 0);
        glia_fit_opts opts = { .epochs = i ? 100 : 1, .batch = BATCH, .threads = 2, .validation = data };
        assert_int_equal(glia_fit(model, data, opts, NULL), GLIA_OK);
        asked[i] = atomic_load(&calls);
        glia_model_free(model);
        glia_data_free(data);
    }
    assert_int_equal(asked[0], asked[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_allocate_nothing),
        cmocka_unit_test(test_predictions_allocate_nothing),
        cmocka_unit_test(test_epochs_allocate_nothing),
        cmocka_unit_test(test_copy_and_blend), cmocka_unit_test(test_compile_and_run),
        cmocka_unit_test(test_loop_and_run),
        cmocka_unit_test(test_recurrent_and_run),
        cmocka_unit_test(test_load_data),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_augment_data),
        cmocka_unit_test(test_augment_text),
        cmocka_unit_test(test_learn_words),
        cmocka_unit_test(test_loading_allocates_nothing),
        cmocka_unit_test(test_open_files),
        cmocka_unit_test(test_train),
        cmocka_unit_test(test_train_with_callbacks),
        cmocka_unit_test(test_save_and_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
