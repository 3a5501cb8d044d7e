/* spiking.c - a spiking net learns by surrogate gradients (Neftci et al. 2019): 784-1000-10 leaky integrate-and-fire
 * units see a digit for 25 steps; the output unit with the most spikes is the class. In the gradient a spike, whose
 * derivative is zero or infinite, has that of an arctangent (Fang et al. 2021). The net of snnTorch's tutorial 5.
 *
 *     spiking [--quick]      one epoch of MNIST; --quick, or without MNIST: drawn digits
 */
#include <glia/glia.h>
#include <stdio.h>

enum { STEPS = 25, HIDDEN = 1000, CLASSES = 10 };

/* 1 where the membrane's potential exceeds the threshold of 1. */
static glia_tensor spikes(glia_tensor membrane) {
    glia_tensor u = glia_add_scalar(membrane, -1), fired = glia_cast(glia_greater(u, glia_like(u, 0)), GLIA_F32);
    glia_tensor slope = glia_reciprocal(glia_add_scalar(glia_square(glia_mul_scalar(u, 3.14159265)), 1));
    return glia_custom_gradient(fired, u, slope); /* 1 / (1 + (pi u)^2) */
}

/* The potential in the next step: it leaks, has lost 1 if it fired, and takes up the current. */
static glia_tensor leaky(glia_tensor membrane, glia_tensor current) {
    glia_tensor reset = glia_stop_gradient(spikes(membrane));
    return glia_add(glia_sub(glia_mul_scalar(membrane, 0.95), reset), current);
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && argv[1], mnist = !quick && glia_data_available("mnist", NULL);
    glia_error error = { 0 };
    glia_dataset *train = glia_data_open(mnist ? "mnist" : "strokes?n=2000", "train", NULL, &error);
    glia_dataset *test = glia_data_open(mnist ? "mnist" : "strokes?n=2000", "test", NULL, &error);
    glia_model *model = glia_model_create("spiking", &error);
    glia_graph *g = glia_model_graph(model);
    glia_tensor x = glia_flatten(glia_model_input(model, "image", GLIA_F32, GLIA_SHAPE(1, 28, 28)));
    glia_tensor current = glia_dense(x, "hidden", (glia_dense_opts){ .units = HIDDEN }); /* the same in each step */

    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ .steps = STEPS });
    glia_tensor hidden = glia_loop_state(loop, glia_like(current, 0));
    glia_tensor output = glia_loop_state_zeros(loop, GLIA_SHAPE(CLASSES));
    glia_tensor next = leaky(hidden, current);
    glia_tensor out = leaky(output, glia_dense(spikes(next), "output", (glia_dense_opts){ .units = CLASSES }));
    glia_loop_next(loop, hidden, next);
    glia_loop_next(loop, output, out);
    glia_tensor fired = spikes(out), all;
    glia_loop_end(loop, &fired, 1, &all);
    glia_model_output(model, "spikes", glia_sum(all, GLIA_SHAPE(1), false));

    glia_fit_opts how = { .batch = 128, .optimizer = { .kind = GLIA_ADAM, .lr = 5e-4 } };
    glia_scores scores;
    if (error.status || glia_fit(model, train, how, &error) ||
        glia_evaluate(model, test, (glia_evaluate_opts){ 0 }, &scores, &error))
        return fprintf(stderr, "spiking: %s\n", error.message), 1;
    printf("%.2f %% of %lld test digits right\n", 100 * scores.accuracy, (long long)scores.samples);
    glia_model_free(model), glia_data_free(train), glia_data_free(test);
    return 0;
}
