/* perceptron.c - the threshold unit of McCulloch and Pitts (1943) and Rosenblatt's perceptron (1958). The perceptron
 * learns and and or, but not xor, which is not linearly separable. */
#include <glia/glia.h>
#include <stdio.h>

static const double corners[4][2] = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } };

static void learn(const char *name, const int labels[4], int64_t epochs) {
    double weights[2] = { 0 };
    glia_perceptron unit = { .inputs = 2, .weights = weights };
    glia_perceptron_result result;
    glia_error error;
    glia_perceptron_opts opts = { .epochs = epochs };
    if (glia_perceptron_train(&unit, corners[0], labels, 4, opts, &result, &error) != GLIA_OK) {
        fprintf(stderr, "perceptron: %s\n", error.message);
        return;
    }
    printf("%-3s  %s after %lld epochs and %lld mistakes: w = (%g, %g), b = %g\n", name,
           result.converged ? "learned" : "not learned", (long long)result.epochs, (long long)result.mistakes,
           weights[0], weights[1], unit.bias);
}

int main(int argc, char **argv) {
    (void)argv;
    printf("McCulloch and Pitts 1943: weights set by hand\n  a b   and or  not a\n");
    for (int i = 0; i < 4; i++) {
        const bool in[] = { i & 2, i & 1 };
        printf("  %d %d    %d  %d     %d\n", in[0], in[1], glia_mp_fires(glia_mp_and(2), in),
               glia_mp_fires(glia_mp_or(2), in), glia_mp_fires(glia_mp_not(), in));
    }
    printf("\nRosenblatt 1958: weights learned from mistakes\n");
    learn("and", (const int[]){ -1, -1, -1, 1 }, 0);
    learn("or", (const int[]){ -1, 1, 1, 1 }, 0);
    learn("xor", (const int[]){ -1, 1, 1, -1 },
          argc > 1 ? 1000 : 1000000); /* not linearly separable: does not converge */
    return 0;
}
