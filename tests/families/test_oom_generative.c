/* test_oom_generative.c - fails every allocation (oom.h): a step of adversarial training, a step of a diffusion
 * model's, sampling, and training by the methods. */
#include "glia/glia.h"
#include "oom.h"

/* Runs every update of the graph once; `loss` is the output. */
static glia_status step(glia_graph *g, glia_tensor loss, glia_error *error) {
    glia_status status = glia_graph_check(g, error);
    if (status) return status;
    glia_backend *backend = glia_backend_open("cpu", 1, error);
    glia_store *store = backend ? glia_store_create(g, 1, error) : NULL;
    glia_compile_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = 2 };
    glia_program *program = store ? glia_compile(g, backend, opts, error) : NULL;
    glia_session *session = program ? glia_session_create(program, store, error) : NULL;
    status = session ? glia_session_run(session, error) : error->status;
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    return status;
}

static glia_status adversarial(glia_error *error) {
    glia_graph *g = glia_graph_create();
    const glia_dcgan_opts small = { .filters = 2, .norm = GLIA_GAN_LAYER_NORM };
    glia_tensor real = glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 1, 8, 8));
    glia_tensor fake = glia_dcgan_generator(glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 2)), "generator",
                                            GLIA_SHAPE(1, 8, 8), (glia_dcgan_opts){ .filters = 2 });
    glia_tensor of_real = glia_dcgan_critic(real, "critic", small), of_fake = glia_dcgan_critic(fake, "critic", small);
    glia_tensor loss = glia_gan_critic_loss(of_real, of_fake, GLIA_GAN_WASSERSTEIN);
    loss = glia_add(loss, glia_gradient_penalty(of_real, real, real, fake, (glia_gradient_penalty_opts){ .norm = 1 }));
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD }, "critic*", "critic");
    glia_gan_clip_weights(g, "critic*", 0.01, "critic");
    glia_minimize(glia_gan_generator_loss(of_fake, GLIA_GAN_WASSERSTEIN), (glia_optimizer){ .kind = GLIA_SGD },
                  "generator*", "generator");
    glia_status status = step(g, loss, error);
    glia_graph_free(g);
    return status;
}

static glia_tensor tiny_unet(glia_tensor x, glia_tensor t) {
    return glia_unet(x, t, "u", (glia_unet_opts){ .channels = 4, .multipliers = { 1, 2 }, .blocks = 1 });
}

static glia_status diffusion(glia_error *error) {
    glia_diffusion *d = glia_diffusion_create((glia_diffusion_opts){ .steps = 4 }, error);
    if (!d) return error->status;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_random_normal(g, GLIA_SHAPE(GLIA_BATCH, 1, 2, 2));
    glia_tensor t = glia_random_integers(g, GLIA_I32, GLIA_SHAPE(GLIA_BATCH), 0, 4);
    glia_tensor loss = glia_diffusion_loss(d, tiny_unet(x, t), x, t, x);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD }, NULL, NULL);
    glia_status status = step(g, loss, error);
    glia_graph_free(g);
    glia_diffusion_free(d);
    return status;
}

/* Only the graph: what compiles it is the same as above. */
static glia_status hybrid(glia_error *error) {
    glia_diffusion *d = glia_diffusion_create((glia_diffusion_opts){ .steps = 4 }, error);
    if (!d) return error->status;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, 2, 2));
    glia_tensor t = glia_input(g, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor shift = glia_reshape(glia_cast(t, GLIA_F32), GLIA_SHAPE(GLIA_BATCH, 1, 1, 1));
    glia_tensor both[] = { glia_add(x, shift), x };
    glia_diffusion_hybrid_loss(d, glia_concat(both, 2, 1), x, t, x, 0);
    const glia_status status = glia_graph_check(g, error);
    glia_graph_free(g);
    glia_diffusion_free(d);
    return status;
}

static glia_status sampling(glia_error *error) {
    glia_diffusion *d = glia_diffusion_create((glia_diffusion_opts){ .steps = 4 }, error);
    if (!d) return error->status;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3));
    glia_tensor t = glia_input(g, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor y = glia_add(x, glia_reshape(glia_cast(t, GLIA_F32), GLIA_SHAPE(GLIA_BATCH, 1)));
    glia_backend *backend = glia_backend_open("cpu", 1, error);
    glia_store *store = backend ? glia_store_create(g, 1, error) : NULL;
    glia_function_opts opts = { .outputs = &y, .n_outputs = 1 };
    glia_function *net = store ? glia_function_create(g, backend, store, opts, error) : NULL;
    glia_status status = net ? GLIA_OK : error->status;
    float out[9];
    for (int k = 0; status == GLIA_OK && k < GLIA_SAMPLER_COUNT; k++) {
        glia_diffusion_sample_opts how = { .sampler = (glia_diffusion_sampler)k, .batch = 2 };
        status = glia_diffusion_sample(d, net, 3, GLIA_SHAPE(3), how, out, error);
    }
    glia_function_free(net);
    glia_store_free(store);
    glia_backend_close(backend);
    glia_graph_free(g);
    glia_diffusion_free(d);
    return status;
}

static glia_status look(void *context, const glia_shown *shown, glia_error *error) {
    (void)context, (void)shown, (void)error;
    return GLIA_OK;
}

static glia_status show(const glia_progress *p, void *context, glia_error *error) {
    return glia_training_show(p->training, look, context, error);
}

/* A step, what it shows, and samples, of a model on points in the plane. */
static glia_status train(glia_model *model, const char *method, const char *settings, glia_error *error) {
    static const float points[8] = { 0, 0, 1, 1, 0, 0.5f, 1, 1.5f };
    static const int32_t labels[4] = { 0, 1, 0, 1 };
    const glia_callback watch = { .epoch_end = show };
    const glia_arrays arrays = {
        .n = 4, .x = points, .x_shape = GLIA_SHAPE(2), .y = labels, .y_dtype = GLIA_I32, .classes = 2
    };
    glia_dataset *data = model ? glia_data_arrays(arrays, error) : NULL;
    const bool validates = strcmp(method, "gan") != 0;
    const glia_fit_opts o = { .batch = 4,
                              .optimizer = { .kind = GLIA_ADAM },
                              .validation = validates ? data : NULL,
                              .callbacks = &watch,
                              .n_callbacks = 1,
                              .workers = GLIA_NONE,
                              .threads = 1 };
    float out[4];
    glia_status status = data ? glia_train(model, data, method, settings, o, error) : error->status;
    if (status == GLIA_OK) status = glia_sample(model, 2, (glia_sample_opts){ .threads = 1 }, out, error);
    glia_data_free(data);
    glia_model_free(model);
    return status;
}

static glia_status gan(glia_error *error) {
    glia_model *model = glia_model_create("gan", error);
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    const glia_gan_dense_opts small = { .units = 2, .layers = 1 };
    glia_model_output(model, "sample", glia_gan_dense_generator(z, "generator", GLIA_SHAPE(2), small));
    glia_model_output(model, "score", glia_gan_dense_critic(x, "critic", small));
    return train(model, "gan", "shown=2 loss=wgan judged=4", error);
}

static glia_status ddpm(glia_error *error) {
    glia_model *model = glia_model_create("ddpm", error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    glia_tensor both[] = { x, glia_reshape(glia_cast(t, GLIA_F32), GLIA_SHAPE(GLIA_BATCH, 1)) };
    glia_model_output(model, "noise", glia_dense(glia_concat(both, 2, 1), "out", (glia_dense_opts){ .units = 2 }));
    return train(model, "ddpm", "timesteps=4 sampling_steps=2 shown=2", error);
}

static glia_status vae(glia_error *error) {
    glia_model *model = glia_model_create("vae", error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(3));
    const glia_vae_opts opts = { .latent = 3, .units = { 2 } };
    const glia_vae_code code = glia_vae_dense_encoder(x, "encoder", opts);
    glia_model_output(model, "mean", code.mean);
    glia_model_output(model, "logvar", code.logvar);
    glia_model_output(model, "decoded", glia_vae_dense_decoder(z, "decoder", GLIA_SHAPE(2), opts));
    return train(model, "vae", "likelihood=gaussian shown=2", error);
}

/* Two pictures of 4 x 4 as a NumPy file, for the second data set. */
static void write_pictures(const char *path) {
    static const float pixels[2 * 16] = { 0.25f, 1, 0.5f };
    char header[128];
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\1\0\x76\0", 10);
    const char *words = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 4, 4), }";
    memcpy(header + 10, words, strlen(words));
    header[127] = '\n';
    assert_int_equal(fwrite(header, 1, sizeof header, file), sizeof header);
    assert_int_equal(fwrite(pixels, 1, sizeof pixels, file), sizeof pixels);
    fclose(file);
}

/* A classifier of such pictures. */
static void write_classifier(const char *path) {
    glia_model *model = glia_model_create("classifier", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 4, 4));
    x = glia_dense(glia_dropout(glia_flatten(x), 0.5), "logits", (glia_dense_opts){ .units = 2 });
    glia_model_output(model, "logits", x);
    assert_int_equal(glia_model_init(model, 0, NULL), GLIA_OK);
    assert_int_equal(glia_model_save(model, path, NULL), GLIA_OK);
    glia_model_free(model);
}

static glia_status cyclegan(glia_error *error) {
    static const float pixels[2 * 16] = { 1, 0.5f };
    const glia_cyclegan_opts small = { .filters = 1, .halvings = 1, .blocks = 1 };
    const glia_callback watch = { .epoch_end = show };
    glia_model *model = glia_model_create("cyclegan", error);
    glia_tensor a = glia_model_input(model, "a", GLIA_F32, GLIA_SHAPE(1, 4, 4));
    glia_tensor b = glia_model_input(model, "b", GLIA_F32, GLIA_SHAPE(1, 4, 4));
    glia_model_output(model, "to_b", glia_cyclegan_generator(a, "to_b", small));
    glia_model_output(model, "to_a", glia_cyclegan_generator(b, "to_a", small));
    glia_model_output(model, "score_a", glia_cyclegan_critic(a, "critic_a", small));
    glia_model_output(model, "score_b", glia_cyclegan_critic(b, "critic_b", small));
    const glia_arrays arrays = { .n = 2, .x = pixels, .x_shape = GLIA_SHAPE(1, 4, 4) };
    glia_dataset *data = model ? glia_data_arrays(arrays, error) : NULL;
    const glia_fit_opts o = { .batch = 2,
                              .optimizer = { .kind = GLIA_SGD },
                              .callbacks = &watch,
                              .n_callbacks = 1,
                              .workers = GLIA_NONE,
                              .threads = 1 };
    static const char settings[] = "other=npy:pictures.npy classifier=classifier.safetensors buffer=1 shown=1";
    float out[16];
    glia_status status = data ? glia_train(model, data, "cyclegan", settings, o, error) : error->status;
    const glia_cyclegan_convert_opts how = { .threads = 1 };
    if (status == GLIA_OK) status = glia_cyclegan_convert(model, pixels, 1, GLIA_SHAPE(1, 4, 4), how, out, error);
    glia_data_free(data);
    glia_model_free(model);
    return status;
}

/* One step of each stage of latent diffusion, and a sample for a prompt. */
static glia_status ldm(glia_error *error) {
    static const float pixels[2 * 16] = { 1, 0.5f };
    static const int32_t captions[2 * 2] = { 1, 0, 1, 1 };
    const glia_latent_opts small = { .channels = 1, .filters = 1, .halvings = 1 };
    const glia_callback watch = { .epoch_end = show };
    glia_model *model = glia_model_create("ldm", error);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 4, 4));
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(1, 2, 2));
    glia_tensor t = glia_model_input(model, "t", GLIA_I32, GLIA_SCALAR);
    glia_tensor words = glia_model_input(model, "words", GLIA_I32, GLIA_SHAPE(2));
    const glia_conv_opts half = { .filters = 1, .kernel = 2, .stride = 2 };
    glia_tensor text = glia_embedding(words, "text", (glia_embedding_opts){ .vocabulary = 2, .units = 4 });
    glia_tensor shift = glia_reshape(glia_cast(t, GLIA_F32), GLIA_SHAPE(GLIA_BATCH, 1, 1, 1));
    text = glia_reshape(glia_sum(text, GLIA_SHAPE(1), false), GLIA_SHAPE(GLIA_BATCH, 1, 2, 2));
    glia_model_output(model, "mean", glia_conv2d(x, "encoder/mean", half));
    glia_model_output(model, "logvar", glia_conv2d(x, "encoder/logvar", half));
    glia_model_output(model, "decoded", glia_latent_decoder(z, "decoder", 1, small));
    glia_model_output(model, "prediction", glia_add(glia_mul(z, text), shift));
    const glia_arrays arrays = { .n = 2,
                                 .x = pixels,
                                 .x_shape = GLIA_SHAPE(1, 4, 4),
                                 .y = captions,
                                 .y_dtype = GLIA_I32,
                                 .y_shape = GLIA_SHAPE(2),
                                 .classes = 2 };
    glia_dataset *data = model ? glia_data_arrays(arrays, error) : NULL;
    glia_status status = data ? glia_model_set(model, "words.count", "2", error) : error->status;
    const glia_fit_opts o = { .batch = 1,
                              .optimizer = { .kind = GLIA_SGD },
                              .callbacks = &watch,
                              .n_callbacks = 1,
                              .workers = GLIA_NONE,
                              .threads = 1 };
    const char *settings = "timesteps=4 sampling_steps=1 shown=1 autoencoder=0.5";
    float out[16];
    if (status == GLIA_OK) status = glia_train(model, data, "ldm", settings, o, error);
    const glia_sample_opts how = { .prompt = "1", .threads = 1 };
    if (status == GLIA_OK) status = glia_sample(model, 1, how, out, error);
    glia_data_free(data);
    glia_model_free(model);
    return status;
}

/* Modes of points; the likelihood of a VAE. */
static glia_status assessed(glia_error *error) {
    static const float points[16] = { 0, 0, 1, 1, 0, 0.5f, 1, 1.5f };
    static const int32_t labels[8] = { 0, 1, 0, 1, 0, 1, 0, 1 };
    const glia_arrays arrays = {
        .n = 8, .x = points, .x_shape = GLIA_SHAPE(2), .y = labels, .y_dtype = GLIA_I32, .classes = 2, .borrow = true
    };
    glia_model *model = glia_model_create("gan", error);
    glia_tensor z = glia_model_input(model, "z", GLIA_F32, GLIA_SHAPE(2));
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(2));
    glia_model_output(model, "sample", glia_mul_scalar(z, 1));
    glia_model_output(model, "score", glia_sum(x, GLIA_SHAPE(1), false));
    glia_dataset *data = model ? glia_data_arrays(arrays, error) : NULL;
    glia_status status = data ? glia_model_set(model, "method", "gan", error) : error->status;
    glia_assessment a;
    if (status == GLIA_OK) status = glia_assess(model, (glia_assess_opts){ .data = data, .threads = 1 }, &a, error);
    glia_data_free(data);
    glia_model_free(model);
    return status;
}

static void test_cyclegan(void **state) {
    (void)state;
    write_pictures("pictures.npy");
    write_classifier("classifier.safetensors");
    every_allocation(cyclegan, "the method cyclegan");
}
static void test_ldm(void **state) { (void)state, every_allocation(ldm, "the method ldm"); }
static void test_assessed(void **state) { (void)state, every_allocation(assessed, "assessing points"); }
static void test_vae(void **state) { (void)state, every_allocation(vae, "the method vae"); }
static void test_gan(void **state) { (void)state, every_allocation(gan, "the method gan"); }
static void test_ddpm(void **state) { (void)state, every_allocation(ddpm, "the method ddpm"); }
static void test_adversarial(void **state) { (void)state, every_allocation(adversarial, "adversarial step"); }
static void test_diffusion(void **state) { (void)state, every_allocation(diffusion, "diffusion step"); }
static void test_hybrid(void **state) { (void)state, every_allocation(hybrid, "learned variances"); }
static void test_sampling(void **state) { (void)state, every_allocation(sampling, "sampling"); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adversarial), cmocka_unit_test(test_diffusion), cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_gan),         cmocka_unit_test(test_ddpm),      cmocka_unit_test(test_vae),
        cmocka_unit_test(test_cyclegan),    cmocka_unit_test(test_assessed),  cmocka_unit_test(test_ldm),
        cmocka_unit_test(test_hybrid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
