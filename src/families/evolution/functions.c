/* functions.c - functions to test searches on, of the kinds of BBOB (Hansen et al. 2010), without its rotations. */
#include <math.h>
#include <string.h>

#include "families/evolution/search.h"

static const double pi = 3.14159265358979323846;

static double sphere(const double *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    return sum;
}

static double part(int i, int n) { return n > 1 ? (double)i / (n - 1) : 0; }

static double ellipsoid(const double *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += pow(1e6, part(i, n)) * x[i] * x[i];
    return sum;
}

static double cigar(const double *x, int n) { return x[0] * x[0] + 1e6 * sphere(x + 1, n - 1); }
static double discus(const double *x, int n) { return 1e6 * x[0] * x[0] + sphere(x + 1, n - 1); }

static double different_powers(const double *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += pow(fabs(x[i]), 2 + 4 * part(i, n));
    return sum;
}

static double rosenbrock(const double *x, int n) {
    double sum = 0;
    for (int i = 0; i + 1 < n; i++) {
        const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        sum += 100 * a * a + b * b;
    }
    return sum;
}

static double rastrigin(const double *x, int n) {
    double sum = 10 * n;
    for (int i = 0; i < n; i++) sum += x[i] * x[i] - 10 * cos(2 * pi * x[i]);
    return sum;
}

static double ackley(const double *x, int n) {
    double waves = 0;
    for (int i = 0; i < n; i++) waves += cos(2 * pi * x[i]);
    return 20 - 20 * exp(-0.2 * sqrt(sphere(x, n) / n)) + exp(1) - exp(waves / n);
}

static double griewank(const double *x, int n) {
    double product = 1;
    for (int i = 0; i < n; i++) product *= cos(x[i] / sqrt(i + 1));
    return 1 + sphere(x, n) / 4000 - product;
}

static double step(const double *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += floor(x[i] + 0.5) * floor(x[i] + 0.5);
    return sum;
}

static const struct {
    const char *name;
    double (*value)(const double *x, int n);
} functions[] = {
    { "ackley", ackley },       { "cigar", cigar },           { "different-powers", different_powers },
    { "discus", discus },       { "ellipsoid", ellipsoid },   { "griewank", griewank },
    { "rastrigin", rastrigin }, { "rosenbrock", rosenbrock }, { "sphere", sphere },
    { "step", step },
};

const char *glia_test_function_at(int index) {
    return index >= 0 && index < GLIA_COUNT(functions) ? functions[index].name : NULL;
}

double glia_test_function(const char *name, const double *x, int n) {
    for (int i = 0; name && x && n > 0 && i < GLIA_COUNT(functions); i++) {
        if (strcmp(functions[i].name, name) == 0) return functions[i].value(x, n);
    }
    return NAN;
}
