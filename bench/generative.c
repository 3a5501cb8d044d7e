/* generative.c - the worker of bench/generative.py: steps of generative models, or samples, for as long as it is told.
 *
 *     bench_generative dcgan|ddpm|vae|ddim
 *
 * dcgan: a critic's and a generator's step of 28 x 28, 32 filters, batch 64. ddpm: a step of a UNet of 32, 64 and 128
 * channels, 28 x 28, batch 64. vae: a step of 784-200-200-50 and back, batch 100. ddim: 64 pictures by that UNet and
 * DDIM with 50 steps. Adam; one thread. The protocol is that of worker.h.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"

enum { PROGRAMS = 2, SAMPLES = 64, STEPS = 50 };

/* Sessions that a run calls in turn, or a net that samples. */
typedef struct work {
    glia_graph *graph;
    glia_backend *backend;
    glia_store *store;
    glia_session *sessions[PROGRAMS];
    glia_diffusion *diffusion;
    glia_function *net;
} work;

static void check(glia_status status, const glia_error *error) {
    if (status == GLIA_OK) return;
    fprintf(stderr, "bench_generative: %s\n", error->message);
    exit(1);
}

/* A program of the updates of a group; its input x is filled with the same numbers in each step. */
static void compile(work *w, int index, glia_tensor loss, const char *group, int64_t batch) {
    glia_error error = { 0 };
    const glia_compile_opts opts = {
        .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .updates = group, .batch = batch
    };
    if (!w->store) w->store = glia_store_create(w->graph, 1, &error);
    glia_program *program = w->store ? glia_compile(w->graph, w->backend, opts, &error) : NULL;
    w->sessions[index] = program ? glia_session_create(program, w->store, &error) : NULL;
    if (!w->sessions[index]) check(GLIA_E_ARGUMENT, &error);
    glia_array x = { 0 };
    float *values = glia_session_input(w->sessions[index], "x", &x, NULL);
    for (int64_t i = 0; values && i < glia_shape_count(x.shape); i++) values[i] = (float)((i * 7919) % 1000) / 1000;
}

static void dcgan(work *w) {
    const glia_dcgan_opts nets = { .filters = 32 };
    const glia_optimizer adam = { .kind = GLIA_ADAM, .lr = 2e-4, .beta1 = 0.5 };
    glia_tensor x = glia_input(w->graph, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, 28, 28));
    glia_tensor z = glia_random_normal(w->graph, GLIA_SHAPE(GLIA_BATCH, 100));
    glia_tensor fake = glia_dcgan_generator(z, "generator", GLIA_SHAPE(1, 28, 28), nets);
    glia_tensor of_fake = glia_dcgan_critic(fake, "critic", nets), of_real = glia_dcgan_critic(x, "critic", nets);
    glia_tensor critic = glia_gan_critic_loss(of_real, of_fake, GLIA_GAN_NON_SATURATING);
    glia_tensor generator = glia_gan_generator_loss(of_fake, GLIA_GAN_NON_SATURATING);
    glia_minimize(critic, adam, "critic*", "critic");
    glia_minimize(generator, adam, "generator*", "generator");
    compile(w, 0, critic, "critic", 64);
    compile(w, 1, generator, "generator", 64);
}

static void vae(work *w) {
    const glia_vae_opts nets = { .latent = 50, .units = { 200, 200 } };
    glia_tensor x = glia_input(w->graph, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 784));
    const glia_vae_code code = glia_vae_dense_encoder(x, "encoder", nets);
    glia_tensor z = glia_vae_latent(code.mean, code.logvar);
    glia_tensor decoded = glia_vae_dense_decoder(z, "decoder", GLIA_SHAPE(784), nets);
    glia_tensor likelihood = glia_vae_log_likelihood(decoded, x, GLIA_VAE_BERNOULLI, 0);
    glia_tensor loss = glia_mean(glia_sub(glia_vae_kl(code.mean, code.logvar), likelihood), GLIA_SCALAR, false);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 1e-3 }, NULL, NULL);
    compile(w, 0, loss, NULL, 100);
}

static void diffusion(work *w, bool samples) {
    glia_error error = { 0 };
    glia_tensor x = glia_input(w->graph, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, 28, 28));
    glia_tensor t = glia_input(w->graph, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    const glia_unet_opts opts = { .channels = 32, .multipliers = { 1, 2, 4 }, .blocks = 1, .attention = { 14 } };
    glia_tensor noise = glia_unet(x, t, "unet", opts);
    w->diffusion = glia_diffusion_create((glia_diffusion_opts){ 0 }, &error);
    if (samples) {
        const glia_function_opts how = {
            .outputs = &noise, .n_outputs = 1, .mode = GLIA_INFER, .frozen = true, .changing = ""
        };
        w->store = glia_store_create(w->graph, 1, &error);
        w->net = w->store ? glia_function_create(w->graph, w->backend, w->store, how, &error) : NULL;
        check(w->net ? GLIA_OK : GLIA_E_ARGUMENT, &error);
        return;
    }
    glia_tensor loss = glia_diffusion_loss(w->diffusion, noise, x, t, x);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 1e-3 }, NULL, NULL);
    compile(w, 0, loss, NULL, 64);
}

static long run(void *context) {
    const work *w = context;
    static float pictures[SAMPLES * 784];
    glia_error error = { 0 };
    const glia_diffusion_sample_opts ddim = { .sampler = GLIA_DDIM, .steps = STEPS, .batch = SAMPLES };
    if (w->net) {
        check(glia_diffusion_sample(w->diffusion, w->net, SAMPLES, GLIA_SHAPE(1, 28, 28), ddim, pictures, &error),
              &error);
    }
    for (int i = 0; i < PROGRAMS && w->sessions[i]; i++) check(glia_session_run(w->sessions[i], &error), &error);
    return 1;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "dcgan";
    glia_error error = { 0 };
    work w = { .graph = glia_graph_create(), .backend = glia_backend_open("cpu", 1, &error) };
    check(error.status, &error);
    if (strcmp(mode, "dcgan") == 0)
        dcgan(&w);
    else if (strcmp(mode, "vae") == 0)
        vae(&w);
    else if (strcmp(mode, "ddpm") == 0 || strcmp(mode, "ddim") == 0)
        diffusion(&w, strcmp(mode, "ddim") == 0);
    else
        return fprintf(stderr, "bench_generative: the mode is dcgan, ddpm, vae or ddim, not %s\n", mode), 1;
    if (!w.net) run(&w);
    serve(run, &w);
    return 0;
}
