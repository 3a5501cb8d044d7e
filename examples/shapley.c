/* shapley.c - Shapley's values of a function that is anything but additive: by all orders of its features, as he
 * defined them in 1953, and as explain.h has them.
 *     shapley [--quick] */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>

enum { M = 8, ROWS = 5 }; /* features; samples of the background */
static float x[M], background[ROWS * M];

static double f(const float *v) {
    double product = 1, most = v[0];
    for (int i = 0; i < M; i++) product *= 1 + 0.4 * (double)v[i], most = fmax(most, (i + 1) * (double)v[i]);
    return product + most + sin(3 * (double)(v[0] + v[M - 1]));
}

static glia_status rows_of_f(const float *rows, int64_t n, double *values, void *context, glia_error *error) {
    (void)context, (void)error;
    for (int64_t i = 0; i < n; i++) values[i] = f(rows + i * M);
    return GLIA_OK;
}

/* The mean of f with the features of `set` from x and the others from the background. */
static double worth(int set) {
    double sum = 0;
    for (int b = 0; b < ROWS; b++) {
        float v[M];
        for (int i = 0; i < M; i++) v[i] = set >> i & 1 ? x[i] : background[b * M + i];
        sum += f(v) / ROWS;
    }
    return sum;
}

/* Adds what each feature contributes where it comes in, over all orders that continue this one. */
static void by_orders(int set, double share, const double *worths, double *phi) {
    int left = M - __builtin_popcount((unsigned)set);
    for (int i = 0; i < M; i++) {
        if (set >> i & 1) continue;
        phi[i] += share / left * (worths[set | 1 << i] - worths[set]);
        by_orders(set | 1 << i, share / left, worths, phi);
    }
}

int main(void) {
    static double worths[1 << M];
    double phi[M] = { 0 }, largest = 0;
    for (int i = 0; i < M; i++) x[i] = (float)sin(i + 1);
    for (int i = 0; i < ROWS * M; i++) background[i] = (float)cos(2 * i);
    for (int set = 0; set < 1 << M; set++) worths[set] = worth(set);
    by_orders(0, 1, worths, phi);
    for (int i = 0; i < M; i++) largest = fmax(largest, fabs(phi[i]));
    static const char *const methods[][2] = { { "exact-shap", "" },
                                              { "kernel-shap", "samples=128 tolerance=0.005 most=100000" },
                                              { "permutation-shap", "tolerance=0.005 most=100000" },
                                              { "sampling-shap", "tolerance=0.01 most=100000" } };
    for (int k = 0; k < 4; k++) {
        glia_error e = { 0 };
        const glia_explain_opts opts = { .settings = methods[k][1], .background = background, .n_background = ROWS };
        glia_explainer *why = glia_explainer_of_function(rows_of_f, NULL, GLIA_SHAPE(M), 1, methods[k][0], opts, &e);
        glia_explanation got;
        if (!why || glia_explain(why, x, 0, &got, &e)) return fprintf(stderr, "shapley: %s\n", e.message), 1;
        double difference = 0;
        for (int i = 0; i < M; i++) difference = fmax(difference, fabs(got.values[i] - phi[i]));
        printf("%-16s differs by %.1e from the definition, standard error %.1e, residual %.1e, largest value %.3f\n",
               methods[k][0], difference, got.error, fabs(got.residual), largest);
        glia_explanation_free(&got), glia_explainer_free(why);
    }
    return 0;
}
