/* reservoir.c - echo state nets (Jaeger 2001) and liquid state machines (Maass, Natschläger and Markram 2002).
 *
 *     echo states    x = (1 - leak) x + leak tanh(W x + V u)
 *     liquid         v = (1 - leak) v + W s + V u,  s = v > 1 (then v = 0, and 2 steps of rest),  x = trace x + s
 *
 * W is sparse, with random normal weights. Its spectral radius is estimated by powers: the growth of a vector over many
 * products, a geometric mean that complex pairs of eigenvalues do not disturb.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/spiking/ridge.h"
#include "glia/spiking.h"

struct glia_reservoir {
    glia_reservoir_opts o; /* resolved */
    float *in;             /* (units, inputs) */
    float *weights;        /* by entry, row after row */
    int32_t *columns;
    int64_t *starts; /* (units + 1) */
};

void glia_reservoir_free(glia_reservoir *r) {
    if (!r) return;
    free(r->in);
    free(r->weights);
    free(r->columns);
    free(r->starts);
    free(r);
}

static bool check(const glia_reservoir_opts *o, glia_error *error) {
    enum { MOST = 1 << 15 };
    const bool shares =
        o->density > 0 && o->density <= 1 && o->leak > 0 && o->leak <= 1 && o->trace >= 0 && o->trace < 1;
    if (o->inputs >= 1 && o->inputs <= MOST && o->units >= 1 && o->units <= MOST && shares && isfinite(o->radius) &&
        isfinite(o->scale))
        return true;
    glia_fail(
        error, GLIA_E_ARGUMENT,
        "reservoir: %lld inputs, %lld units, radius %g, density %g, scale %g, leak %g, trace %g: shares must be in "
        "(0, 1]",
        (long long)o->inputs, (long long)o->units, o->radius, o->density, o->scale, o->leak, o->trace);
    return false;
}

/* y = W x */
static void product(const glia_reservoir *r, const float *x, float *y) {
    for (int64_t i = 0; i < r->o.units; i++) {
        float sum = 0;
        for (int64_t k = r->starts[i]; k < r->starts[i + 1]; k++) sum += r->weights[k] * x[r->columns[k]];
        y[i] = sum;
    }
}

static double radius_of(const glia_reservoir *r, float *x, float *y) {
    enum { PRODUCTS = 200, SKIPPED = 50 };
    double grown = 0;
    for (int64_t i = 0; i < r->o.units; i++) x[i] = 1 + (float)(i % 7);
    for (int p = 0; p < PRODUCTS; p++) {
        double length = 0;
        product(r, x, y);
        for (int64_t i = 0; i < r->o.units; i++) length += (double)y[i] * (double)y[i];
        length = sqrt(length);
        if (!(length > 0)) return 0;
        for (int64_t i = 0; i < r->o.units; i++) x[i] = (float)((double)y[i] / length);
        if (p >= SKIPPED) grown += log(length);
    }
    return exp(grown / (PRODUCTS - SKIPPED));
}

static void fill(glia_reservoir *r, glia_rng *rng) {
    const glia_reservoir_opts *o = &r->o;
    int64_t k = 0;
    for (int64_t i = 0; i < o->units * o->inputs; i++) r->in[i] = (float)(o->scale * (2 * glia_rng_uniform(rng) - 1));
    for (int64_t i = 0; i < o->units; i++) {
        r->starts[i] = k;
        for (int64_t j = 0; j < o->units; j++) {
            if (glia_rng_uniform(rng) >= o->density) continue;
            const double w = glia_rng_normal(rng);
            r->columns[k] = (int32_t)j;
            r->weights[k++] = (float)(!o->spiking ? w : j % 5 == 4 ? -fabs(w) : fabs(w) / 4);
        }
    }
    r->starts[o->units] = k;
}

/* Draws the net. */
static bool draw(glia_reservoir *r) {
    enum { STREAM = 0x726573 };
    const glia_reservoir_opts *o = &r->o;
    const size_t units = (size_t)o->units, entries = units * units; /* at most: 2^30 */
    glia_rng rng = { .seed = o->seed, .stream = STREAM };
    r->in = malloc(units * (size_t)o->inputs * sizeof *r->in);
    r->weights = malloc(entries * sizeof *r->weights);
    r->columns = malloc(entries * sizeof *r->columns);
    r->starts = malloc((units + 1) * sizeof *r->starts);
    float *x = malloc(units * sizeof *x), *y = malloc(units * sizeof *y);
    const bool made = r->in && r->weights && r->columns && r->starts && x && y;
    if (made) {
        fill(r, &rng);
        const double radius = o->spiking ? sqrt(o->density * (double)o->units) : radius_of(r, x, y);
        for (int64_t k = 0; radius > 0 && k < r->starts[o->units]; k++) r->weights[k] *= (float)(o->radius / radius);
    }
    free(x);
    free(y);
    return made;
}

glia_reservoir *glia_reservoir_create(glia_reservoir_opts o, glia_error *error) {
    o.radius = glia_option(o.radius, 0.9);
    o.density = glia_option(o.density, 0.1);
    o.scale = glia_option(o.scale, 1);
    o.leak = glia_option(o.leak, o.spiking ? 0.05 : 1);
    o.trace = glia_option(o.trace, 0.97);
    if (!check(&o, error)) return NULL;
    glia_reservoir *r = calloc(1, sizeof *r);
    if (r) r->o = o;
    if (r && draw(r)) return r;
    glia_reservoir_free(r);
    glia_fail_nomem(error);
    return NULL;
}

/* ---- running ---------------------------------------------------------------------------------------- */

static void add_input(const glia_reservoir *r, const float *u, float *y) {
    for (int64_t i = 0; i < r->o.units; i++) {
        float sum = y[i];
        for (int64_t k = 0; k < r->o.inputs; k++) sum += r->in[i * r->o.inputs + k] * u[k];
        y[i] = sum;
    }
}

/* Moves spiking units by their drive: membranes v, steps of rest that are left, spikes s, traces. Returns the number of
 * spikes. */
static int64_t move_liquid(const glia_reservoir *r, const float *drive, float *v, int32_t *held, float *s,
                           float *trace) {
    int64_t spikes = 0;
    for (int64_t i = 0; i < r->o.units; i++) {
        v[i] = held[i] > 0 ? 0 : (float)(1 - r->o.leak) * v[i] + drive[i];
        held[i] -= held[i] > 0;
        s[i] = v[i] > 1 ? 1.0f : 0.0f;
        if (v[i] > 1) {
            v[i] = 0;
            held[i] = 2;
            spikes++;
        }
        trace[i] = (float)r->o.trace * trace[i] + s[i];
    }
    return spikes;
}

glia_status glia_reservoir_run(const glia_reservoir *r, const float *x, int64_t steps, float *states, int64_t *spikes,
                               glia_error *error) {
    if (!r) return glia_fail_null(error, "reservoir");
    if (!x) return glia_fail_null(error, "x");
    if (!states) return glia_fail_null(error, "states");
    if (steps < 1) return glia_fail(error, GLIA_E_ARGUMENT, "reservoir: %lld steps", (long long)steps);
    const size_t units = (size_t)r->o.units;
    float *now = calloc(4 * units, sizeof *now), *drive = now ? now + units : NULL, *v = now ? now + 2 * units : NULL;
    int32_t *held = calloc(units, sizeof *held);
    int64_t all = 0;
    const float leak = (float)r->o.leak;
    for (int64_t t = 0; now && held && t < steps; t++) {
        float *state = states + t * r->o.units;
        product(r, now, drive);
        add_input(r, x + t * r->o.inputs, drive);
        if (r->o.spiking) {
            float *trace = now + 3 * units;
            all += move_liquid(r, drive, v, held, now, trace);
            memcpy(state, trace, units * sizeof *state);
            continue;
        }
        for (size_t i = 0; i < units; i++) now[i] = (1 - leak) * now[i] + leak * tanhf(drive[i]);
        memcpy(state, now, units * sizeof *state);
    }
    const bool made = now && held;
    free(now);
    free(held);
    if (spikes) *spikes = all;
    return made ? GLIA_OK : glia_fail_nomem(error);
}

/* ---- the read-out ------------------------------------------------------------------------------------- */

/* a = L L^T in place (lower part), n x n; false: not positive definite. */
static bool factor(double *a, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = j; i < n; i++) {
            double sum = a[i * n + j];
            for (int64_t k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0)) return false;
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    }
    return true;
}

static void solve(const double *l, int64_t n, double *b) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++) b[i] -= l[i * n + k] * b[k];
        b[i] /= l[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++) b[i] -= l[k * n + i] * b[k];
        b[i] /= l[i * n + i];
    }
}

glia_status glia_ridge_open(glia_ridge *r, int64_t features, int64_t outputs, glia_error *error) {
    const int64_t f = features + 1;
    *r = (glia_ridge){ .features = features, .outputs = outputs };
    r->a = calloc((size_t)(f * f), sizeof *r->a);
    r->b = calloc((size_t)(outputs * f), sizeof *r->b);
    return r->a && r->b ? GLIA_OK : glia_fail_nomem(error);
}

void glia_ridge_close(glia_ridge *r) {
    free(r->a);
    free(r->b);
}

/* Samples to be added, and the sums. */
typedef struct addition {
    glia_ridge *r;
    const float *x, *y;
    int64_t n;
} addition;

enum { ROWS = 16 }; /* of the sums, added up by one thread */

static void add_rows(void *context, int64_t piece, int worker) {
    const addition *d = context;
    const glia_ridge *r = d->r;
    const int64_t f = r->features + 1;
    (void)worker;
    for (int64_t s = 0; s < d->n; s++) {
        const float *row = d->x + s * r->features;
        for (int64_t i = piece * ROWS; i < GLIA_MIN((piece + 1) * ROWS, f); i++) {
            const double xi = i < r->features ? (double)row[i] : 1;
            if (xi == 0) continue;
            double *to = r->a + i * f;
            for (int64_t k = 0; k < GLIA_MIN(i + 1, r->features); k++) to[k] += xi * (double)row[k];
            if (i == r->features) to[i] += 1;
            for (int64_t o = 0; o < r->outputs; o++) r->b[o * f + i] += xi * (double)d->y[s * r->outputs + o];
        }
    }
}

void glia_ridge_add(glia_ridge *r, const float *x, const float *y, int64_t n, glia_pool *pool) {
    addition d = { r, x, y, n };
    glia_parallel_for(pool, (r->features + ROWS) / ROWS, add_rows, &d);
}

glia_status glia_ridge_solve(const glia_ridge *r, double ridge, float *w, glia_error *error) {
    const int64_t f = r->features + 1;
    double *a = malloc((size_t)(f * f) * sizeof *a), *b = malloc((size_t)f * sizeof *b);
    glia_status status = a && b ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) memcpy(a, r->a, (size_t)(f * f) * sizeof *a);
    for (int64_t i = 0; status == GLIA_OK && i < r->features; i++) a[i * f + i] += ridge;
    if (status == GLIA_OK && !factor(a, f))
        status = glia_fail(error, GLIA_E_ARGUMENT, "ridge: the features depend on each other; a larger ridge helps");
    for (int64_t o = 0; status == GLIA_OK && o < r->outputs; o++) {
        memcpy(b, r->b + o * f, (size_t)f * sizeof *b);
        solve(a, f, b);
        for (int64_t i = 0; i < f; i++) w[o * f + i] = (float)b[i];
    }
    free(a);
    free(b);
    return status;
}

glia_status glia_ridge_fit(const float *x, const float *y, int64_t n, int64_t features, int64_t outputs, double ridge,
                           float *w, glia_error *error) {
    if (!x) return glia_fail_null(error, "x");
    if (!y) return glia_fail_null(error, "y");
    if (!w) return glia_fail_null(error, "w");
    enum { MOST = 1 << 14 };
    if (n < 1 || features < 1 || features > MOST || outputs < 1 || !(ridge >= 0))
        return glia_fail(error, GLIA_E_ARGUMENT, "ridge: %lld samples, %lld features, %lld outputs, ridge %g",
                         (long long)n, (long long)features, (long long)outputs, ridge);
    glia_ridge r = { 0 };
    glia_status status = glia_ridge_open(&r, features, outputs, error);
    if (status == GLIA_OK) glia_ridge_add(&r, x, y, n, NULL);
    if (status == GLIA_OK) status = glia_ridge_solve(&r, ridge, w, error);
    glia_ridge_close(&r);
    return status;
}
