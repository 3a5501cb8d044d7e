/* cifar_net.c - the small CIFAR-10 net of PyTorch's introduction, with a custom training loop.
 *
 *     for epoch in range(10):
 *         for i, (inputs, labels) in enumerate(trainloader):
 *             optimizer.zero_grad()
 *             loss = criterion(net(inputs), labels)
 *             loss.backward()
 *             optimizer.step()
 *
 * Here zero_grad, forward, backward and step are one compiled program; glia_fit() could run this loop too. Uses
 * CIFAR-10 if its binary files are found, else synthetic colour images. --quick: 500 steps.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 4, PIXELS = 3 * 32 * 32 };

static void die(const glia_error *error) {
    fprintf(stderr, "cifar_net: %s\n", error->message);
    exit(1);
}

/* A faint square at a random position on noise; colour and size depend on the class. */
static glia_dataset *stand_in(int n, glia_error *error) {
    uint8_t *x = malloc((size_t)n * PIXELS);
    int32_t *y = malloc((size_t)n * sizeof *y);
    for (int i = 0; x && y && i < n; i++) {
        int label = rand() % 10, side = label < 5 ? 8 : 12, top = rand() % (32 - side), left = rand() % (32 - side);
        y[i] = label;
        for (int k = 0; k < PIXELS; k++) {
            int c = k / 1024, row = k / 32 % 32 - top, column = k % 32 - left;
            bool inside = row >= 0 && row < side && column >= 0 && column < side;
            x[(size_t)i * PIXELS + k] = (uint8_t)(rand() % 200 + (inside && ((label % 5 + 1) >> c & 1) ? 55 : 0));
        }
    }
    glia_arrays arrays = {
        .n = n, .x = x, .x_dtype = GLIA_U8, .x_shape = GLIA_SHAPE(3, 32, 32), .y = y, .y_dtype = GLIA_I32, .classes = 10
    };
    glia_dataset *data = glia_data_arrays(arrays, error);
    free(x);
    free(y);
    return data;
}

static glia_tensor net(glia_tensor x) {
    x = glia_conv2d(x, "conv1", (glia_conv_opts){ .filters = 6, .kernel = 5, .activation = GLIA_RELU });
    x = glia_max_pool2d(x, (glia_pool_opts){ .size = 2 });
    x = glia_conv2d(x, "conv2", (glia_conv_opts){ .filters = 16, .kernel = 5, .activation = GLIA_RELU });
    x = glia_flatten(glia_max_pool2d(x, (glia_pool_opts){ .size = 2 }));
    x = glia_dense(x, "fc1", (glia_dense_opts){ .units = 120, .activation = GLIA_RELU });
    x = glia_dense(x, "fc2", (glia_dense_opts){ .units = 84, .activation = GLIA_RELU });
    return glia_dense(x, "fc3", (glia_dense_opts){ .units = 10 });
}

static void feed(glia_session *session, const glia_batch *batch) {
    memcpy(glia_session_input(session, "images", NULL, NULL), batch->x, sizeof(float) * BATCH * PIXELS);
    memcpy(glia_session_input(session, "labels", NULL, NULL), batch->y, sizeof(int32_t) * BATCH);
}

/* The data sets, normalised as in PyTorch's introduction. */
static glia_dataset *open_data(const char *split, bool quick) {
    glia_error error;
    const bool cifar = !quick && glia_data_available("cifar10", NULL), train = strcmp(split, "train") == 0;
    const int stand_ins = !train ? 1000 : quick ? 2000 : 20000;
    const double half[] = { 0.5, 0.5, 0.5 };
    glia_dataset *data = cifar ? glia_data_open("cifar10", split, NULL, &error) : stand_in(stand_ins, &error);
    if (!data || glia_data_normalize(data, half, half, 3, &error)) die(&error);
    return data;
}

static void train(glia_session *session, glia_loader *loader, bool quick) {
    glia_error error;
    glia_batch batch;
    for (int epoch = 0; epoch < (quick ? 1 : 10); epoch++) {
        int every = quick ? 100 : 2000, i = 0;
        double running_loss = 0;
        if (glia_loader_start(loader, epoch, &error)) die(&error);
        while (glia_loader_next(loader, &batch)) {
            feed(session, &batch);
            if (glia_session_run(session, &error)) die(&error);
            running_loss += *(const float *)glia_session_output(session, 0).data;
            if (++i % every) continue;
            printf("[%d, %5d] loss: %.3f\n", epoch + 1, i, running_loss / every);
            running_loss = 0;
        }
    }
}

/* Accuracy. */
static double test(glia_session *session, glia_loader *loader) {
    glia_error error;
    glia_batch batch;
    double correct = 0;
    if (glia_loader_start(loader, 0, &error)) die(&error);
    while (glia_loader_next(loader, &batch)) {
        feed(session, &batch);
        if (glia_session_run(session, &error)) die(&error);
        correct += *(const float *)glia_session_output(session, 0).data;
    }
    return correct / (double)glia_loader_batches(loader);
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    glia_error error;
    glia_dataset *train_data = open_data("train", quick), *test_data = open_data("test", quick);

    glia_graph *graph = glia_graph_create();
    glia_tensor images = glia_input(graph, "images", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3, 32, 32));
    glia_tensor labels = glia_input(graph, "labels", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor outputs = net(images);
    glia_tensor loss = glia_cross_entropy(outputs, labels, 0), accuracy = glia_accuracy(outputs, labels);
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.001, .momentum = 0.9 }, NULL, NULL);

    glia_backend *backend = glia_backend_open("cpu", 0, &error);
    if (!backend) die(&error);
    glia_program *step = glia_compile(
        graph, backend, (glia_compile_opts){ .outputs = &loss, .n_outputs = 1, .mode = GLIA_TRAIN, .batch = BATCH },
        &error);
    if (!step) die(&error);
    glia_program *check = glia_compile(
        graph, backend, (glia_compile_opts){ .outputs = &accuracy, .n_outputs = 1, .batch = BATCH }, &error);
    if (!check) die(&error);
    glia_store *weights = glia_store_create(graph, 0, &error);
    if (!weights) die(&error);
    glia_session *training = glia_session_create(step, weights, &error),
                 *testing = glia_session_create(check, weights, &error);
    glia_loader *batches = glia_loader_create(
        train_data, (glia_loader_opts){ .batch = BATCH, .shuffle = true, .drop_last = true, .workers = 2 }, &error);
    glia_loader *tests =
        glia_loader_create(test_data, (glia_loader_opts){ .batch = BATCH, .drop_last = true }, &error);
    if (!training || !testing || !batches || !tests) die(&error);

    train(training, batches, quick);
    const double accurate = test(testing, tests);
    printf("accuracy on %lld test images: %.1f %%\n", (long long)glia_data_count(test_data), 100 * accurate);

    glia_loader_free(tests);
    glia_loader_free(batches);
    glia_session_free(testing);
    glia_session_free(training);
    glia_program_free(check);
    glia_program_free(step);
    glia_store_free(weights);
    glia_backend_close(backend);
    glia_graph_free(graph);
    glia_data_free(test_data);
    glia_data_free(train_data);
    return 0;
}
