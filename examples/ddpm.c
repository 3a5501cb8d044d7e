/* ddpm.c - a diffusion model (Ho et al. 2020) learns MNIST at 14 x 14 and draws digits into ddpm.png. Without MNIST it
 * learns digits that the library draws. --quick: a few steps. */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 14, BATCH = 64, DRAWN = 64 };

static void die(const glia_error *error) {
    fprintf(stderr, "ddpm: %s\n", error->message);
    exit(1);
}

static void train(glia_function *step, glia_loader *loader, int steps) {
    glia_error error = { 0 };
    glia_batch batch;
    double sum = 0;
    for (int64_t epoch = 0, done = 0; done < steps; epoch++) {
        if (glia_loader_start(loader, epoch, &error)) die(&error);
        while (done < steps && glia_loader_next(loader, &batch)) {
            glia_array images = { .name = "images", .shape = GLIA_SHAPE(BATCH, 1, 28, 28), .data = (void *)batch.x },
                       loss;
            if (glia_function_call(step, &images, 1, &loss, &error)) die(&error);
            sum += (double)*(const float *)loss.data;
            if (++done % 100) continue;
            printf("step %5d  loss %.4f\n", (int)done, sum / 100);
            fflush(stdout);
            sum = 0;
        }
    }
}

/* Gives the parameters the values of their averages, which predict better than the last ones. */
static void take_averages(glia_store *store) {
    const char prefix[] = "train/ema/";
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array average = glia_store_at(store, i), parameter;
        if (strncmp(average.name, prefix, strlen(prefix)) != 0) continue;
        if (!glia_store_find(store, average.name + strlen(prefix), &parameter)) continue;
        memcpy(parameter.data, average.data, (size_t)glia_shape_count(average.shape) * sizeof(float));
    }
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && !strcmp(argv[1], "--quick");
    glia_error error = { 0 };
    glia_dataset *data =
        glia_data_open(glia_data_available("mnist", NULL) ? "mnist" : "strokes", "train", NULL, &error);
    const glia_loader_opts order = { .batch = BATCH, .shuffle = true, .drop_last = true };
    glia_loader *loader = data ? glia_loader_create(data, order, &error) : NULL;
    const glia_diffusion_opts schedule = { .steps = 500, .schedule = GLIA_BETA_COSINE };
    glia_diffusion *diffusion = glia_diffusion_create(schedule, &error);
    glia_backend *backend = glia_backend_open("cpu", 0, &error);
    if (!loader || !diffusion || !backend) die(&error);

    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, SIZE, SIZE));
    glia_tensor t = glia_input(g, "t", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    const glia_unet_opts small = { .channels = 32, .multipliers = { 1, 2 }, .blocks = 1, .attention = { 7 } };
    glia_tensor noise = glia_unet(x, t, "unet", small);
    glia_tensor images = glia_input(g, "images", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 1, 28, 28));
    glia_tensor halved = glia_avg_pool2d(images, (glia_pool_opts){ .size = 2 });
    glia_tensor x0 = glia_add_scalar(glia_mul_scalar(halved, 2), -1); /* in [-1, 1] */
    glia_tensor loss = glia_diffusion_loss(diffusion, noise, x, t, x0);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 2e-3, .clip_norm = 1, .ema = 0.995 }, NULL, NULL);

    glia_store *store = glia_store_create(g, 1, &error);
    if (!store) die(&error);
    const glia_function_opts training = { .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN },
                             drawing = { .outputs = &noise, .n_outputs = 1 };
    glia_function *step = glia_function_create(g, backend, store, training, &error);
    glia_function *net = glia_function_create(g, backend, store, drawing, &error);
    if (!step || !net) die(&error);
    train(step, loader, quick ? 2 : 2000);
    take_averages(store);
    static float digits[DRAWN * SIZE * SIZE];
    const glia_shape digit = GLIA_SHAPE(1, SIZE, SIZE);
    const glia_diffusion_sample_opts how = { .sampler = GLIA_DDIM, .steps = quick ? 2 : 50 };
    const glia_image_save_opts grid = { .scale = 4, .low = -1, .high = 1 };
    if (glia_diffusion_sample(diffusion, net, DRAWN, digit, how, digits, &error)) die(&error);
    if (glia_image_save("ddpm.png", digit, digits, DRAWN, grid, &error)) die(&error);
    printf("ddpm.png: %d digits\n", DRAWN);

    glia_function_free(step), glia_function_free(net), glia_store_free(store), glia_graph_free(g);
    glia_backend_close(backend), glia_diffusion_free(diffusion), glia_loader_free(loader), glia_data_free(data);
    return 0;
}
