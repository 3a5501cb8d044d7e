/* vae.c - variational autoencoder, Kingma and Welling 2014: an encoder q(z | x) = N(mean, std^2) and a decoder p(x | z)
 * of black and white pixels are trained on the ELBO, log p(x | z) - KL(q(z | x), N(0, 1)). Each time a pixel is drawn
 * anew, white with its grey as probability.    vae [--quick]: MNIST, or drawn digits; each epoch's -ELBO in nats */
#include <glia/glia.h>
#include <stdio.h>

enum { BATCH = 100, PIXELS = 784, LATENT = 20, EPOCHS = 10 };

int main(int argc, char **argv) {
    const char *name = argc == 1 && argv[0] && glia_data_available("mnist", NULL) ? "mnist" : "strokes?n=2000";
    glia_dense_opts hidden = { .units = 500, .activation = GLIA_RELU }, latent = { .units = LATENT };
    glia_error e = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor grey = glia_input(g, "grey", GLIA_F32, GLIA_SHAPE(BATCH, PIXELS));
    glia_tensor x = glia_cast(glia_less(glia_random_uniform(g, GLIA_SHAPE(BATCH, PIXELS)), grey), GLIA_F32);
    glia_tensor h = glia_dense(x, "encoder", hidden), noise = glia_random_normal(g, GLIA_SHAPE(BATCH, LATENT));
    glia_tensor mean = glia_dense(h, "mean", latent), log_std = glia_dense(h, "log_std", latent);
    glia_tensor z = glia_add(mean, glia_mul(glia_exp(log_std), noise)), kl = glia_normal_kl(mean, log_std, NULL, NULL);
    glia_tensor y = glia_dense(glia_dense(z, "decoder", hidden), "pixels", (glia_dense_opts){ .units = PIXELS });
    glia_tensor loss = glia_add(glia_mul_scalar(glia_binary_cross_entropy(y, x), PIXELS),
                                glia_mul_scalar(glia_mean(kl, GLIA_SCALAR, false), LATENT));
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.001 }, NULL, NULL);

    glia_backend *cpu = glia_backend_open("cpu", 0, &e);
    glia_store *w = glia_store_create(g, 0, &e);
    glia_dataset *data[] = { glia_data_open(name, "train", NULL, &e), glia_data_open(name, "test", NULL, &e) };
    for (int turn = 0; turn < 2 * EPOCHS && !e.status; turn++) { /* training and testing in turn */
        const bool test = turn % 2;
        glia_function_opts opts = { .outputs = &loss, .n_outputs = 1, .mode = test ? GLIA_INFER : GLIA_TRAIN };
        glia_function *f = glia_function_create(g, cpu, w, opts, &e);
        glia_loader_opts batches = { .batch = BATCH, .shuffle = true, .drop_last = true };
        glia_loader *loader = glia_loader_create(data[test], batches, &e);
        glia_batch batch;
        double sum = 0;
        glia_loader_start(loader, turn / 2, &e);
        while (!e.status && glia_loader_next(loader, &batch)) {
            glia_array in = { .name = "grey", .shape = GLIA_SHAPE(BATCH, PIXELS), .data = (void *)batch.x }, out;
            if (!glia_function_call(f, &in, 1, &out, &e)) sum += (double)*(float *)out.data;
        }
        printf(test ? ", test %.2f\n" : "-ELBO: train %.2f", sum / (double)glia_loader_batches(loader));
        glia_function_free(f), glia_loader_free(loader);
    }
    glia_data_free(data[0]), glia_data_free(data[1]), glia_store_free(w), glia_backend_close(cpu), glia_graph_free(g);
    return e.status ? fprintf(stderr, "vae: %s\n", e.message), 1 : 0;
}
