/* wgan_gp.c - a Wasserstein GAN with gradient penalty (Gulrajani et al. 2017) learns eight Gaussians on a ring.
 * --quick: 20 steps of 10,000. */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 128, CRITIC_STEPS = 5, MODES = 8, SAMPLES = 2500 };

int main(int argc, char **argv) {
    const int steps = argc > 1 && !strcmp(argv[1], "--quick") ? 20 : 10000;
    const double radius = 2, stddev = 0.02, turn = 6.283185307179586 / MODES;
    const glia_gan_dense_opts net = { .units = 64, .layers = 3 };
    const glia_optimizer adam = { .kind = GLIA_ADAM, .lr = 2e-3, .beta1 = 0.5, .beta2 = 0.9 };
    double centres[MODES][2];
    for (int i = 0; i < MODES; i++) centres[i][0] = radius * cos(i * turn), centres[i][1] = radius * sin(i * turn);

    glia_graph *g = glia_graph_create();
    glia_tensor mode = glia_random_integers(g, GLIA_I32, GLIA_SHAPE(BATCH), 0, MODES);
    glia_tensor real = glia_gather(glia_constant(g, GLIA_F32, GLIA_SHAPE(MODES, 2), centres[0]), mode, 0);
    real = glia_add(real, glia_mul_scalar(glia_random_normal(g, GLIA_SHAPE(BATCH, 2)), stddev));
    glia_tensor noise = glia_random_normal(g, GLIA_SHAPE(BATCH, 8));
    glia_tensor fake = glia_gan_dense_generator(noise, "generator", GLIA_SHAPE(2), net);
    glia_tensor of_real = glia_gan_dense_critic(real, "critic", net),
                of_fake = glia_gan_dense_critic(fake, "critic", net);
    glia_tensor loss = glia_gan_critic_loss(of_real, of_fake, GLIA_GAN_WASSERSTEIN);
    glia_tensor penalty = glia_gradient_penalty(of_real, real, real, fake, (glia_gradient_penalty_opts){ .norm = 1 });
    glia_minimize(glia_add(loss, glia_mul_scalar(penalty, 0.1)), adam, "critic*", "critic");
    glia_minimize(glia_gan_generator_loss(of_fake, GLIA_GAN_WASSERSTEIN), adam, "generator*", "generator");

    glia_error error = { 0 };
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    glia_store *store = glia_store_create(g, 1, &error);
    glia_function_opts critic = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .updates = "critic" };
    glia_function_opts generator = { .mode = GLIA_TRAIN, .updates = "generator" },
                       samples = { .outputs = &fake, .n_outputs = 1 };
    glia_function *train_critic = glia_function_create(g, backend, store, critic, &error);
    glia_function *train_generator = glia_function_create(g, backend, store, generator, &error);
    glia_function *generate = glia_function_create(g, backend, store, samples, &error);
    float rate;
    glia_array rates[2] = { { .name = "critic/lr", .data = &rate }, { .name = "generator/lr", .data = &rate } }, x;
    for (int step = 0; step < steps && !error.status; step++) {
        rate = (float)(adam.lr * (steps - step) / steps);
        for (int i = 0; i < CRITIC_STEPS; i++) glia_function_call(train_critic, &rates[0], 1, &x, &error);
        glia_function_call(train_generator, &rates[1], 1, NULL, &error);
    }
    int good = 0, covered = 0, hits[MODES] = { 0 };
    for (int i = 0; i < SAMPLES && !error.status; i++) {
        if (i % BATCH == 0 && glia_function_call(generate, NULL, 0, &x, &error)) break;
        const float *at = (const float *)x.data + i % BATCH * 2;
        const int k = (int)(lround(atan2((double)at[1], (double)at[0]) / turn) + MODES) % MODES;
        if (hypot((double)at[0] - centres[k][0], (double)at[1] - centres[k][1]) < 3 * stddev) good++, hits[k]++;
    }
    for (int k = 0; k < MODES; k++) covered += hits[k] > 0;
    printf("%d of %d modes, %.1f %% good samples\n%s", covered, MODES, 100.0 * good / SAMPLES, error.message);
    glia_function_free(train_critic), glia_function_free(train_generator), glia_function_free(generate);
    glia_store_free(store), glia_backend_close(backend), glia_graph_free(g);
    return error.status != GLIA_OK;
}
