/* tsne.c - t-distributed stochastic neighbour embedding (van der Maaten and Hinton 2008): exact, and for many points by
 * the Barnes-Hut approximation (barnes_hut.c).
 *
 * Affinities of points are a distribution p over pairs, from Gaussians around each point whose widths give every point
 * the same effective number of neighbours. Affinities of embedded points are a distribution q with the heavier tail 1 /
 * (1 + d^2). Gradient descent minimises the divergence of the two, with momentum and gains (Jacobs 1988) and early
 * exaggeration of attraction. One pass over pairs gives attraction, repulsion and the sum that normalises q. Each point
 * is one task that sums in a fixed order, so results are bitwise equal for any number of threads.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/projection/projection.h"

enum { EXACT_MOST = 500, MEMORY_MOST = 10000 }; /* points above which theta defaults to 0.5, and must not be 0 */

/* ---- affinities --------------------------------------------------------------------------- */

typedef struct affinities {
    const float *x;
    int64_t n, size;
    double perplexity, *p;
} affinities;

/* e^(-beta (d - least)) for row i except i itself; returns the sum, and the entropy in *entropy. */
static double spread(const double *distance, int64_t n, int64_t i, double least, double beta, double *row,
                     double *entropy) {
    double sum = 0, weighted = 0;
    for (int64_t j = 0; j < n; j++) {
        row[j] = j == i ? 0 : exp(-beta * (distance[j] - least));
        sum += row[j];
        weighted += row[j] * (distance[j] - least);
    }
    *entropy = log(sum) + beta * weighted / sum;
    return sum;
}

void glia_tsne_spread(const double *distance, int64_t n, int64_t self, double perplexity, double *row) {
    enum { ROUNDS = 200 };
    double least = INFINITY, mean = 0;
    for (int64_t j = 0; j < n; j++) {
        if (j != self) least = GLIA_MIN(least, distance[j]);
        mean += distance[j] / (double)(n - (self >= 0));
    }
    double beta = mean > least ? 1 / (mean - least) : 1, low = 0, high = INFINITY, entropy, sum = 1;
    const double wanted = log(perplexity);
    for (int round = 0; round < ROUNDS; round++) {
        sum = spread(distance, n, self, least, beta, row, &entropy);
        if (fabs(entropy - wanted) < 1e-12) break;
        if (entropy > wanted)
            low = beta;
        else
            high = beta;
        const double next = isinf(high) ? 2 * beta : (low + high) / 2;
        if (next == beta || isinf(next)) break;
        beta = next;
    }
    for (int64_t j = 0; j < n; j++) row[j] /= sum;
}

/* The distribution around point i. */
static void find_row(void *context, int64_t i, int worker) {
    const affinities *a = context;
    (void)worker;
    double *row = a->p + i * a->n, *distance = malloc((size_t)a->n * sizeof *distance);
    if (!distance) {
        row[i] = NAN; /* reported to the caller */
        return;
    }
    for (int64_t j = 0; j < a->n; j++) {
        double sum = 0;
        for (int64_t k = 0; k < a->size; k++) {
            const double by = (double)a->x[i * a->size + k] - (double)a->x[j * a->size + k];
            sum += by * by;
        }
        distance[j] = sum;
    }
    glia_tsne_spread(distance, a->n, i, a->perplexity, row);
    free(distance);
}

glia_status glia_tsne_affinities(glia_pool *pool, const float *x, int64_t n, int64_t size, double perplexity, double *p,
                                 glia_error *error) {
    affinities a = { .x = x, .n = n, .size = size, .perplexity = perplexity, .p = p };
    glia_parallel_for(pool, n, find_row, &a);
    for (int64_t i = 0; i < n; i++)
        if (isnan(p[i * n + i])) return glia_fail_nomem(error);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) p[i * n + j] = p[j * n + i] = (p[i * n + j] + p[j * n + i]) / (double)(2 * n);
    return GLIA_OK;
}

/* ---- the gradient ------------------------------------------------------------------------- */

typedef struct forces {
    const double *p, *y;
    int64_t n;
    double *sums; /* (n, 5): attraction x, y; repulsion x, y; of 1 / (1 + d^2) */
} forces;

static void pull(void *context, int64_t i, int worker) {
    const forces *f = context;
    (void)worker;
    const double *p = f->p + i * f->n, x = f->y[2 * i], y = f->y[2 * i + 1];
    double ax = 0, ay = 0, rx = 0, ry = 0, all = 0;
    for (int64_t j = 0; j < f->n; j++) {
        const double dx = x - f->y[2 * j], dy = y - f->y[2 * j + 1], q = 1 / (1 + dx * dx + dy * dy);
        const double near = p[j] * q, far = q * q;
        ax += near * dx;
        ay += near * dy;
        rx += far * dx;
        ry += far * dy;
        all += q;
    }
    memcpy(f->sums + 5 * i, (const double[]){ ax, ay, rx, ry, all - 1 }, 5 * sizeof(double)); /* excluding itself */
}

static double walk(glia_pool *pool, const double *p, int64_t n, const double *y, double *sums) {
    forces f = { .p = p, .y = y, .n = n, .sums = sums };
    glia_parallel_for(pool, n, pull, &f);
    double all = 0;
    for (int64_t i = 0; i < n; i++) all += sums[5 * i + 4];
    return all;
}

void glia_tsne_join(const double *sums, int64_t n, double all, double exaggeration, double *gradient) {
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < 2; k++)
            gradient[2 * i + k] = 4 * (exaggeration * sums[5 * i + k] - sums[5 * i + 2 + k] / all);
    }
}

void glia_tsne_gradient(glia_pool *pool, const double *p, int64_t n, double exaggeration, const double *y,
                        double *gradient, double *scratch) {
    const double all = walk(pool, p, n, y, scratch);
    glia_tsne_join(scratch, n, all, exaggeration, gradient);
}

double glia_tsne_divergence(glia_pool *pool, const double *p, int64_t n, const double *y, double *scratch) {
    const double all = walk(pool, p, n, y, scratch);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            const double dx = y[2 * i] - y[2 * j], dy = y[2 * i + 1] - y[2 * j + 1];
            if (p[i * n + j] > 0) sum += p[i * n + j] * log(p[i * n + j] * all * (1 + dx * dx + dy * dy));
        }
    }
    return sum;
}

/* ---- optimisation ------------------------------------------------------------------------- */

/* The embedded points and their affinities: all pairs in p, or neighbours and a tree. */
typedef struct embedding {
    glia_pool *pool;
    int64_t n;
    double *p; /* NULL: near, tree and theta instead */
    glia_neighbours near;
    glia_quadtree *tree;
    double theta;
} embedding;

static glia_status embedding_open(embedding *e, const float *x, int64_t size, const glia_tsne_opts *o,
                                  glia_error *error) {
    if (o->theta <= 0) {
        e->p = malloc((size_t)e->n * (size_t)e->n * sizeof *e->p);
        if (!e->p) return glia_fail_nomem(error);
        return glia_tsne_affinities(e->pool, x, e->n, size, o->perplexity, e->p, error);
    }
    e->theta = o->theta;
    e->tree = glia_quadtree_create(e->n);
    if (!e->tree) return glia_fail_nomem(error);
    return glia_tsne_neighbours(e->pool, x, e->n, size, o->perplexity, &e->near, error);
}

static void embedding_close(embedding *e) {
    free(e->p);
    glia_neighbours_free(&e->near);
    glia_quadtree_free(e->tree);
}

static void slope(const embedding *e, double exaggeration, const double *y, double *gradient, double *scratch) {
    if (e->p)
        glia_tsne_gradient(e->pool, e->p, e->n, exaggeration, y, gradient, scratch);
    else
        glia_tsne_tree_gradient(e->pool, &e->near, e->tree, e->theta, exaggeration, y, gradient, scratch);
}

static double divergence_of(const embedding *e, const double *y, double *scratch) {
    return e->p ? glia_tsne_divergence(e->pool, e->p, e->n, y, scratch)
                : glia_tsne_tree_divergence(e->pool, &e->near, e->tree, e->theta, y, scratch);
}

/* The initial embedding: the first two components scaled so that the first has deviation 1e-4; or normal random numbers
 * of that deviation. */
static glia_status begin(const float *x, int64_t n, int64_t size, glia_tsne_opts opts, double *y, glia_error *error) {
    glia_rng rng = { .seed = opts.seed, .stream = 0x74736E65 };
    const bool random = opts.random_start || size < 2;
    double variance[2] = { 0 };
    if (!random) {
        glia_status status = glia_pca(x, n, size, 2, (glia_pca_result){ .y = y, .variance = variance }, error);
        if (status) return status;
    }
    for (int64_t i = 0; i < 2 * n; i++) {
        if (random || variance[0] == 0)
            y[i] = 1e-4 * glia_rng_normal(&rng);
        else
            y[i] *= 1e-4 / sqrt(variance[0]);
    }
    return GLIA_OK;
}

static void centre(double *y, int64_t n) {
    for (int k = 0; k < 2; k++) {
        double mean = 0;
        for (int64_t i = 0; i < n; i++) mean += y[2 * i + k] / (double)n;
        for (int64_t i = 0; i < n; i++) y[2 * i + k] -= mean;
    }
}

/* One step. memory: gradient, velocity and gains (2 n each), scratch (5 n). */
static void move(const embedding *e, glia_tsne_opts o, double *y, double *memory) {
    const int64_t n = e->n;
    double *gradient = memory, *speed = memory + 2 * n, *gain = memory + 4 * n, *scratch = memory + 6 * n;
    const int early = GLIA_MIN(250, o.iterations / 4);
    for (int64_t i = 0; i < 2 * n; i++) speed[i] = 0, gain[i] = 1;
    for (int step = 0; step < o.iterations; step++) {
        slope(e, step < early ? o.exaggeration : 1, y, gradient, scratch);
        const double momentum = step < early ? 0.5 : 0.8;
        for (int64_t i = 0; i < 2 * n; i++) {
            gain[i] = gradient[i] * speed[i] < 0 ? gain[i] + 0.2 : GLIA_MAX(gain[i] * 0.8, 0.01);
            speed[i] = momentum * speed[i] - o.rate * gain[i] * gradient[i];
            y[i] += speed[i];
        }
        centre(y, n);
    }
}

static glia_status settle(glia_tsne_opts *o, int64_t n, int64_t size, glia_error *error) {
    if (n < 4 || n > GLIA_TSNE_MOST || size < 1) {
        return glia_fail(error, GLIA_E_ARGUMENT, "t-SNE: %lld points of size %lld; there must be 4 to %d points",
                         (long long)n, (long long)size, GLIA_TSNE_MOST);
    }
    o->perplexity = glia_option(o->perplexity, GLIA_MIN(30.0, (double)(n - 1) / 3));
    if (!o->iterations) o->iterations = 1000;
    o->theta = glia_option(o->theta, n > EXACT_MOST ? 0.5 : 0);
    if (!(o->theta >= 0 && o->theta < 2))
        return glia_fail(error, GLIA_E_ARGUMENT, "t-SNE: theta is %g, which is not in [0, 2)", o->theta);
    if (o->theta == 0 && n > MEMORY_MOST)
        return glia_fail(error, GLIA_E_ARGUMENT, "t-SNE: the exact method takes at most %d points", MEMORY_MOST);
    o->exaggeration = glia_option(o->exaggeration, 12);
    if (!(o->perplexity >= 1) || o->perplexity > (double)(n - 1))
        return glia_fail(error, GLIA_E_ARGUMENT, "t-SNE: the perplexity %g is not possible for %lld points",
                         o->perplexity, (long long)n);
    if (!(o->exaggeration >= 1) || !isfinite(o->exaggeration) || o->iterations < 0 || !(o->rate >= 0) ||
        !isfinite(o->rate))
        return glia_fail(error, GLIA_E_ARGUMENT, "t-SNE: %d iterations, exaggeration %g or rate %g are out of range",
                         o->iterations, o->exaggeration, o->rate);
    if (o->rate == GLIA_ZERO) return glia_fail(error, GLIA_E_ARGUMENT, "t-SNE: the rate cannot be 0");
    if (o->rate == 0) o->rate = GLIA_MAX((double)n / o->exaggeration / 4, 50.0);
    return GLIA_OK;
}

glia_status glia_tsne(const float *x, int64_t n, int64_t size, glia_tsne_opts opts, double *y, double *divergence,
                      glia_error *error) {
    glia_status status = settle(&opts, n, size, error);
    if (status) return status;
    for (int64_t i = 0; i < n * size; i++) {
        if (!isfinite(x[i])) {
            return glia_fail(error, GLIA_E_ARGUMENT, "t-SNE: value %lld of point %lld is not finite",
                             (long long)(i % size), (long long)(i / size));
        }
    }
    glia_pool *pool = glia_pool_create(opts.threads, error);
    if (!pool) return error ? error->status : GLIA_E_NOMEM;
    embedding e = { .pool = pool, .n = n };
    double *memory = malloc(11 * (size_t)n * sizeof *memory);
    if (!memory) status = glia_fail_nomem(error);
    if (!status) status = begin(x, n, size, opts, y, error);
    if (!status) status = embedding_open(&e, x, size, &opts, error);
    if (!status) {
        move(&e, opts, y, memory);
        if (divergence) *divergence = divergence_of(&e, y, memory);
    }
    embedding_close(&e);
    free(memory);
    glia_pool_free(pool);
    return status;
}
