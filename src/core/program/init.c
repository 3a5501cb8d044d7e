/* init.c - initial values of parameters and states.
 *
 * Every leaf draws from its own Philox stream, keyed by (seed, hash of the leaf's name). Its values depend neither on
 * the rest of the graph nor on the order of construction, so adding a layer does not change the others.
 *
 * The orthogonal initialiser (Saxe, McClelland, Ganguli 2014) takes the kernel as a matrix of dim[0] rows, fills it
 * with N(0, 1) and orthonormalises whichever of rows and columns are fewer, by modified Gram-Schmidt done twice
 * ("twice is enough", Giraud et al. 2005). That is the Q of a QR decomposition whose R has a positive diagonal, so Q is
 * uniformly distributed over the orthogonal matrices (Mezzadri 2007) without further change of signs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/store.h"

glia_fans glia_fans_of(glia_shape shape) {
    if (shape.rank == 0) return (glia_fans){ 1, 1 };
    if (shape.rank == 1) return (glia_fans){ (double)shape.dim[0], (double)shape.dim[0] };
    double taps = 1;
    for (int i = 2; i < shape.rank; i++) taps *= (double)shape.dim[i];
    return (glia_fans){ (double)shape.dim[1] * taps, (double)shape.dim[0] * taps };
}

/* The distribution that a leaf's values are drawn from. */
typedef struct draw {
    enum { CONSTANT, UNIFORM, NORMAL, TRUNCATED } from;
    double a, b; /* the constant; low and high; mean and standard deviation */
} draw;

static draw uniform(double limit) { return (draw){ UNIFORM, -limit, limit }; }
static draw normal(double stddev) { return (draw){ NORMAL, 0, stddev }; }

/* The distribution of an initialiser for this shape; not for the orthogonal one. */
static draw draw_of(const glia_leaf *leaf, glia_init_kind kind, glia_shape shape) {
    glia_fans fan = glia_fans_of(shape);
    if (leaf->fan_in > 0) fan.in = leaf->fan_in;
    if (leaf->fan_out > 0) fan.out = leaf->fan_out;
    double stddev = glia_option(leaf->stddev, 1);
    switch (kind) {
    case GLIA_INIT_CONSTANT: return (draw){ CONSTANT, leaf->value, 0 };
    case GLIA_INIT_UNIFORM: return (draw){ UNIFORM, leaf->low, leaf->high };
    case GLIA_INIT_NORMAL: return (draw){ NORMAL, leaf->mean, stddev };
    case GLIA_INIT_TRUNCATED_NORMAL: return (draw){ TRUNCATED, leaf->mean, stddev };
    case GLIA_INIT_GLOROT_UNIFORM: return uniform(sqrt(6 / (fan.in + fan.out)));
    case GLIA_INIT_GLOROT_NORMAL: return normal(sqrt(2 / (fan.in + fan.out)));
    case GLIA_INIT_HE_UNIFORM: return uniform(sqrt(6 / fan.in));
    case GLIA_INIT_HE_NORMAL: return normal(sqrt(2 / fan.in));
    case GLIA_INIT_LECUN_UNIFORM: return uniform(sqrt(3 / fan.in));
    case GLIA_INIT_LECUN_NORMAL: return normal(sqrt(1 / fan.in));
    case GLIA_INIT_FAN_IN_UNIFORM: return uniform(1 / sqrt(fan.in));
    default: return (draw){ CONSTANT, 0, 0 };
    }
}

static double truncated(glia_rng *rng) {
    double z = glia_rng_normal(rng);
    while (fabs(z) > 2) z = glia_rng_normal(rng); /* rejects one draw in 22 */
    return z;
}

static void draw_values(draw d, glia_rng *rng, double *out, int64_t n) {
    double scale = d.b;
    switch (d.from) {
    case CONSTANT:
        for (int64_t i = 0; i < n; i++) out[i] = d.a;
        return;
    case UNIFORM:
        scale = d.b - d.a;
        glia_rng_uniforms(rng, out, n);
        break;
    case NORMAL: glia_rng_normals(rng, out, n); break;
    case TRUNCATED:
        for (int64_t i = 0; i < n; i++) out[i] = truncated(rng);
        break;
    }
    for (int64_t i = 0; i < n; i++) out[i] = d.a + scale * out[i];
}

static void fill(draw d, glia_rng rng, glia_dtype dtype, char *data, int64_t count) {
    double chunk[256];
    for (int64_t i = 0; i < count;) {
        int64_t n = GLIA_MIN(count - i, GLIA_COUNT(chunk));
        draw_values(d, &rng, chunk, n);
        glia_from_double(dtype, chunk, data + (size_t)i * glia_dtype_size(dtype), n);
        i += n;
    }
}

/* Fills with the leaf's value from element low n to element high n, with 0 elsewhere. */
static void fill_part(const glia_leaf *leaf, char *data, int64_t n) {
    const double from = leaf->low * (double)n, to = leaf->high * (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double value = (double)i >= from && (double)i < to ? leaf->value : 0;
        glia_from_double(leaf->dtype, &value, data + (size_t)i * glia_dtype_size(leaf->dtype), 1);
    }
}

/* Gates in the order i, f, g, o. */
static glia_status fill_chrono(const glia_leaf *leaf, glia_rng rng, char *data, int64_t n, glia_error *error) {
    const size_t size = glia_dtype_size(leaf->dtype);
    if (n % 4 || !(leaf->value > 2)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "%s: chrono initialisation is for the bias of an LSTM and more than 2 steps", leaf->name);
    }
    memset(data, 0, (size_t)n * size);
    for (int64_t i = 0; i < n / 4; i++) {
        const double remembers = log(1 + (leaf->value - 2) * glia_rng_uniform(&rng)), ignores = -remembers;
        glia_from_double(leaf->dtype, &ignores, data + (size_t)i * size, 1);
        glia_from_double(leaf->dtype, &remembers, data + (size_t)(n / 4 + i) * size, 1);
    }
    return GLIA_OK;
}

/* ---- orthogonal ----------------------------------------------------------------------------- */

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Makes `count` vectors of length n >= count, one after the other in v, orthonormal. */
static void orthonormalize(double *v, int64_t count, int64_t n) {
    for (int64_t i = 0; i < count; i++) {
        double *vi = v + i * n;
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t j = 0; j < i; j++) {
                const double *vj = v + j * n;
                double c = dot(vi, vj, n);
                for (int64_t k = 0; k < n; k++) vi[k] -= c * vj[k];
            }
            double norm = sqrt(dot(vi, vi, n));
            for (int64_t k = 0; k < n; k++) vi[k] /= norm;
        }
    }
}

static glia_status fill_orthogonal(const glia_leaf *leaf, glia_shape shape, glia_rng rng, char *data,
                                   glia_error *error) {
    if (shape.rank < 2) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: an orthogonal initialiser needs a matrix or a kernel",
                         leaf->name);
    }
    int64_t rows = shape.dim[0], columns = glia_shape_count(shape) / rows;
    int64_t count = GLIA_MIN(rows, columns), n = GLIA_MAX(rows, columns);
    double *v = malloc((size_t)rows * (size_t)columns * sizeof *v), *row = malloc((size_t)columns * sizeof *row);
    if (v && row) {
        double gain = glia_option(leaf->value, 1);
        glia_rng_normals(&rng, v, count * n);
        orthonormalize(v, count, n);
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t c = 0; c < columns; c++) row[c] = gain * (rows <= columns ? v[r * n + c] : v[c * n + r]);
            glia_from_double(leaf->dtype, row, data + (size_t)(r * columns) * glia_dtype_size(leaf->dtype), columns);
        }
    }
    glia_status status = v && row ? GLIA_OK : glia_fail_nomem(error);
    free(v);
    free(row);
    return status;
}

/* Kinds of numbers that are mostly between -1 and 1. */
static bool is_fractional(glia_init_kind kind) {
    return (kind >= GLIA_INIT_GLOROT_UNIFORM && kind <= GLIA_INIT_FAN_IN_UNIFORM) || kind == GLIA_INIT_CHRONO;
}

glia_status glia_init_fill(const glia_leaf *leaf, glia_shape shape, uint64_t seed, void *data, glia_error *error) {
    if (!glia_shape_valid(shape) || glia_shape_symbolic(shape)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: a parameter or state needs a fixed shape", leaf->name);
    }
    if (leaf->init < GLIA_INIT_DEFAULT || leaf->init > GLIA_INIT_CHRONO) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: there is no initialiser %lld", leaf->name, (long long)leaf->init);
    }
    glia_init_kind kind = (glia_init_kind)leaf->init;
    const bool whole = !glia_dtype_is_float(leaf->dtype);
    if (kind == GLIA_INIT_DEFAULT) kind = shape.rank >= 2 && !whole ? GLIA_INIT_GLOROT_UNIFORM : GLIA_INIT_ZEROS;
    if (whole && is_fractional(kind)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: this initialiser is for floats; it would be zeros as %s",
                         leaf->name, glia_dtype_name(leaf->dtype));
    }
    glia_rng rng = { .seed = seed, .stream = glia_hash_bytes(leaf->name, strlen(leaf->name), 0) };
    if (kind == GLIA_INIT_ORTHOGONAL) return fill_orthogonal(leaf, shape, rng, data, error);
    if (kind == GLIA_INIT_CHRONO) return fill_chrono(leaf, rng, data, glia_shape_count(shape), error);
    if (kind == GLIA_INIT_PART) {
        fill_part(leaf, data, glia_shape_count(shape));
        return GLIA_OK;
    }
    fill(draw_of(leaf, kind, shape), rng, leaf->dtype, data, glia_shape_count(shape));
    if (kind == GLIA_INIT_SEED) {
        double low = (double)(seed & (((uint64_t)1 << 53) - 1));
        glia_from_double(leaf->dtype, &low, data, 1);
    }
    return GLIA_OK;
}
