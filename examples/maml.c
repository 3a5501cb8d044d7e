/* maml.c - model-agnostic meta-learning, Finn et al. 2017, on sinusoids (section 5.1): weights from which a few steps
 * of gradient descent on a few points fit a new curve. The meta-gradient goes through these steps: second derivatives.
 *     maml [SHOTS] [--quick]      points of each curve, 10 or 5; 30,000 iterations, --quick: 200 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS = 25, STEPS = 5, WEIGHTS = 6 };

static glia_tensor uniform(glia_graph *g, int n, double low, double high) {
    return glia_add_scalar(glia_mul_scalar(glia_random_uniform(g, GLIA_SHAPE(TASKS, n, 1)), high - low), low);
}

static glia_tensor weight(glia_graph *g, const char *name, int rows, int columns, glia_init_kind init) {
    glia_tensor w = glia_parameter(g, name, GLIA_F32, GLIA_SHAPE(rows, columns), (glia_init){ .kind = init });
    return glia_broadcast(w, GLIA_SHAPE(TASKS, rows, columns)); /* each task has a copy, which its steps change */
}

int main(int argc, char **argv) {
    const int iterations = argc > 1 && !strcmp(argv[argc - 1], "--quick") ? 200 : 30000;
    const int shots = argc > 1 && atoi(argv[1]) > 0 ? atoi(argv[1]) : 10, units[] = { 1, 40, 40, 1 };
    const char *const names[] = { "kernel1", "bias1", "kernel2", "bias2", "kernel3", "bias3" };
    glia_graph *g = glia_graph_create();
    glia_tensor amplitude = uniform(g, 1, 0.1, 5), phase = uniform(g, 1, 0, 3.14159265);
    glia_tensor x = uniform(g, shots, -5, 5), y = glia_mul(amplitude, glia_sin(glia_sub(x, phase))), h = x;
    glia_tensor new_x = uniform(g, shots, -5, 5), new_y = glia_mul(amplitude, glia_sin(glia_sub(new_x, phase)));
    glia_tensor from[WEIGHTS + 2], to[WEIGHTS + 2], slopes[WEIGHTS], losses[STEPS + 1];
    for (int i = 0; i < WEIGHTS; i += 2) {
        from[i] = weight(g, names[i], units[i / 2 + 1], units[i / 2], GLIA_INIT_DEFAULT);
        from[i + 1] = weight(g, names[i + 1], 1, units[i / 2 + 1], GLIA_INIT_ZEROS);
        h = glia_add(glia_matmul_transposed(i ? glia_relu(h) : h, false, from[i], true), from[i + 1]);
    }
    glia_tensor loss = glia_mean(glia_square(glia_sub(h, y)), GLIA_SCALAR, false), fitted;
    memcpy(to, from, WEIGHTS * sizeof *to);
    from[WEIGHTS] = x, from[WEIGHTS + 1] = y, to[WEIGHTS] = new_x, to[WEIGHTS + 1] = new_y;
    for (int step = 0; step <= STEPS; step++) {
        glia_substitute(&loss, 1, from, to, WEIGHTS + 2, &losses[step]); /* on new points */
        glia_substitute(&loss, 1, from, to, WEIGHTS, &fitted);           /* on the few points */
        glia_grad(fitted, to, WEIGHTS, slopes); /* of each task's own weights: its share of the mean */
        for (int i = 0; i < WEIGHTS; i++) to[i] = glia_sub(to[i], glia_mul_scalar(slopes[i], 0.01 * TASKS));
    }
    glia_minimize(losses[STEPS], (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.001 }, NULL, NULL);
    glia_error error = { 0 };
    glia_array out[STEPS + 1];
    glia_backend *cpu = glia_backend_open("cpu", 1, &error);
    glia_store *weights = glia_store_create(g, 0, &error);
    glia_function_opts opts = { .outputs = losses, .n_outputs = STEPS + 1, .mode = GLIA_TRAIN };
    glia_function *learn = glia_function_create(g, cpu, weights, opts, &error);
    double sums[STEPS + 1] = { 0 }, every = iterations / 10; /* each iteration draws curves that it has not seen */
    for (int i = 1; !error.status && i <= iterations && !glia_function_call(learn, NULL, 0, out, &error); i++) {
        for (int step = 0; step <= STEPS; step++) sums[step] += (double)*(float *)out[step].data / every;
        if (i % (iterations / 10)) continue;
        printf("%6d: error %.3f, after 1 step %.3f, after %d %.3f\n", i, sums[0], sums[1], STEPS, sums[STEPS]);
        memset(sums, 0, sizeof sums);
    }
    if (error.status) fprintf(stderr, "maml: %s\n", error.message);
    glia_function_free(learn), glia_store_free(weights), glia_backend_close(cpu), glia_graph_free(g);
    return error.status != GLIA_OK;
}
