/* codes.c - values as spikes, and back.
 *
 *     code        spikes of x in T steps                        estimate                error
 *     binary      one if x >= 1/2                               0 or 1                  1/2
 *     poisson     each step by chance 1 - e^(-x m)              -log(1 - n/T) / m       sqrt((e^(x m) - 1) / T) / m
 *     bernoulli   each step by chance x m                       n / (T m)               sqrt(x m (1 - x m) / T) / m
 *     regular     floor((t+1) x m) > floor(t x m)               n / (T m)               1 / (T m)
 *     temporal    the bits of round(x (2^T - 1))                their sum               1 / (2 (2^T - 1))
 *     latency     one in step round((1 - x) (T - 1))            1 - t / (T - 1)         1 / (2 (T - 1))
 *     rank        one each, in the order of x                   decay^rank              only the order is kept
 *     phase       the 8 bits of round(x 255), again and again   their mean sum          1 / 510 for T >= 8
 *     delta       +1, -1 where x left the last level            the level               threshold
 *
 * m = rate dt is the number of spikes in a step for x = 1. The errors of the random codes are standard deviations: n is
 * binomial, so n/T has the variance p (1 - p) / T; that of the Poisson code follows by the derivative of the logarithm.
 * T bits in T steps make the temporal code the densest one, as the Thorpe counts of codes go: log2 of the number of
 * messages is T for it, log2(T) for latency, log2(T + 1) for a count.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "glia/spiking.h"

enum { PHASES = 8, MOST_BITS = 52 };

typedef struct plan {
    glia_code_kind kind;
    int64_t steps;
    double per_step, decay, threshold;
    glia_rng rng;
} plan;

static const char *const names[GLIA_CODE_COUNT] = { "binary",  "poisson", "bernoulli", "regular", "temporal",
                                                    "latency", "rank",    "phase",     "delta" };

const char *glia_code_name(glia_code_kind kind) { return (unsigned)kind < GLIA_CODE_COUNT ? names[kind] : NULL; }

/* ---- checks ----------------------------------------------------------------------------------- */

static glia_status check_steps(const glia_code *code, glia_error *error) {
    const int64_t least = code->kind == GLIA_CODE_LATENCY ? 2 : code->kind == GLIA_CODE_PHASE ? PHASES : 1;
    if (code->steps < least)
        return glia_fail(error, GLIA_E_ARGUMENT, "the %s code needs at least %lld steps, not %lld", names[code->kind],
                         (long long)least, (long long)code->steps);
    if (code->kind == GLIA_CODE_TEMPORAL && code->steps > MOST_BITS)
        return glia_fail(error, GLIA_E_ARGUMENT, "the temporal code has at most %d steps, not %lld", MOST_BITS,
                         (long long)code->steps);
    return GLIA_OK;
}

static glia_status make_plan(const glia_code *code, plan *p, glia_error *error) {
    enum { STREAM = 0x636F6465 };
    if (!glia_code_name(code->kind)) return glia_fail(error, GLIA_E_ARGUMENT, "there is no code %d", (int)code->kind);
    glia_status status = check_steps(code, error);
    if (status != GLIA_OK) return status;
    const double dt = glia_option(code->dt, 1), rate = glia_option(code->rate, 1000 / dt);
    *p = (plan){ .kind = code->kind,
                 .steps = code->steps,
                 .per_step = rate * dt / 1000,
                 .decay = glia_option(code->decay, 0.9),
                 .threshold = glia_option(code->threshold, 0.1),
                 .rng = { .seed = code->seed, .stream = STREAM } };
    if (!(isfinite(dt) && dt > 0)) return glia_fail(error, GLIA_E_ARGUMENT, "code: dt is %g ms", dt);
    if (!(p->per_step > 0 && p->per_step <= 1))
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "code: a rate of %g Hz is %g spikes in a step of %g ms; it must be in "
                         "(0, 1]",
                         rate, p->per_step, dt);
    if (!(p->decay > 0 && p->decay < 1))
        return glia_fail(error, GLIA_E_ARGUMENT, "code: decay is %g; it must be in (0, 1)", p->decay);
    if (!(isfinite(p->threshold) && p->threshold > 0))
        return glia_fail(error, GLIA_E_ARGUMENT, "code: threshold is %g; it must be above 0", p->threshold);
    return GLIA_OK;
}

static glia_status check_values(const plan *p, const double *x, int64_t n, glia_error *error) {
    const bool signal = p->kind == GLIA_CODE_DELTA;
    const int64_t numbers = signal ? n * p->steps : n;
    for (int64_t i = 0; i < numbers; i++) {
        if (signal ? isfinite(x[i]) : x[i] >= 0 && x[i] <= 1) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "the %s code: x[%lld] is %g, which is not %s", names[p->kind],
                         (long long)i, x[i], signal ? "finite" : "in [0, 1]");
    }
    return GLIA_OK;
}

/* ---- encoding --------------------------------------------------------------------------------- */

/* The top `bits` bits of x in [0, 1], as a whole number. */
static uint64_t bits_of(double x, int bits) { return (uint64_t)llround(x * (double)(((uint64_t)1 << bits) - 1)); }

static void encode_one(plan *p, double x, int8_t *s) {
    const int64_t T = p->steps;
    const double chance = p->kind == GLIA_CODE_POISSON ? -expm1(-x * p->per_step) : x * p->per_step;
    memset(s, 0, (size_t)T);
    switch (p->kind) {
    case GLIA_CODE_BINARY: s[0] = x >= 0.5; break;
    case GLIA_CODE_POISSON:
    case GLIA_CODE_BERNOULLI:
        for (int64_t t = 0; t < T; t++) s[t] = glia_rng_uniform(&p->rng) < chance;
        break;
    case GLIA_CODE_REGULAR:
        for (int64_t t = 0; t < T; t++) s[t] = floor((double)(t + 1) * chance) > floor((double)t * chance);
        break;
    case GLIA_CODE_TEMPORAL:
        for (int64_t t = 0; t < T; t++) s[t] = bits_of(x, (int)T) >> (T - 1 - t) & 1;
        break;
    case GLIA_CODE_LATENCY:
        if (x > 0) s[llround((1 - x) * (double)(T - 1))] = 1;
        break;
    default: /* phase */
        for (int64_t t = 0; t < T; t++) s[t] = bits_of(x, PHASES) >> (PHASES - 1 - t % PHASES) & 1;
    }
}

/* The level follows x by whole thresholds, at most one in a step. */
static void encode_signal(const plan *p, const double *x, int8_t *s) {
    double level = 0;
    for (int64_t t = 0; t < p->steps; t++) {
        s[t] = (int8_t)(x[t] >= level + p->threshold ? 1 : x[t] <= level - p->threshold ? -1 : 0);
        level += s[t] * p->threshold;
    }
}

typedef struct ranked {
    double x;
    int64_t index;
} ranked;

static int by_value(const void *a, const void *b) {
    const ranked *p = a, *q = b;
    return p->x != q->x ? (p->x < q->x ? 1 : -1) : (p->index > q->index) - (p->index < q->index);
}

static glia_status encode_ranks(const plan *p, const double *x, int64_t n, int8_t *s, glia_error *error) {
    if (n > p->steps)
        return glia_fail(error, GLIA_E_ARGUMENT, "the rank code needs a step for each of %lld values, not %lld",
                         (long long)n, (long long)p->steps);
    ranked *order = malloc((size_t)GLIA_MAX(n, (int64_t)1) * sizeof *order);
    if (!order) return glia_fail_nomem(error);
    for (int64_t i = 0; i < n; i++) order[i] = (ranked){ x[i], i };
    qsort(order, (size_t)n, sizeof *order, by_value);
    memset(s, 0, (size_t)(n * p->steps));
    for (int64_t i = 0; i < n; i++) s[order[i].index * p->steps + i] = 1;
    free(order);
    return GLIA_OK;
}

glia_status glia_encode(const glia_code *code, const double *x, int64_t n, int8_t *spikes, glia_error *error) {
    if (!code) return glia_fail_null(error, "code");
    if (!x) return glia_fail_null(error, "x");
    if (!spikes) return glia_fail_null(error, "spikes");
    if (n < 0) return glia_fail(error, GLIA_E_ARGUMENT, "code: n is %lld", (long long)n);
    plan p;
    glia_status status = make_plan(code, &p, error);
    if (status == GLIA_OK) status = check_values(&p, x, n, error);
    if (status != GLIA_OK) return status;
    if (p.kind == GLIA_CODE_RANK) return encode_ranks(&p, x, n, spikes, error);
    for (int64_t i = 0; i < n; i++) {
        if (p.kind == GLIA_CODE_DELTA)
            encode_signal(&p, x + i * p.steps, spikes + i * p.steps);
        else
            encode_one(&p, x[i], spikes + i * p.steps);
    }
    return GLIA_OK;
}

/* ---- decoding --------------------------------------------------------------------------------- */

static double decode_one(const plan *p, const int8_t *s) {
    const int64_t T = p->steps;
    int64_t count = 0, first = -1;
    double bits = 0;
    for (int64_t t = 0; t < T; t++) {
        count += s[t] != 0;
        if (s[t] && first < 0) first = t;
        if (p->kind == GLIA_CODE_TEMPORAL) bits = 2 * bits + (s[t] != 0);
        if (p->kind == GLIA_CODE_PHASE && s[t]) bits += (double)(1 << (PHASES - 1 - t % PHASES));
    }
    switch (p->kind) {
    case GLIA_CODE_BINARY: return first == 0;
    case GLIA_CODE_POISSON: return count == T ? 1 : fmin(-log1p(-(double)count / (double)T) / p->per_step, 1);
    case GLIA_CODE_TEMPORAL: return bits / (double)(((uint64_t)1 << T) - 1);
    case GLIA_CODE_LATENCY: return first < 0 ? 0 : 1 - (double)first / (double)(T - 1);
    case GLIA_CODE_RANK: return first < 0 ? 0 : pow(p->decay, (double)first);
    case GLIA_CODE_PHASE: return bits / (double)(T / PHASES * ((1 << PHASES) - 1));
    default: return (double)count / ((double)T * p->per_step);
    }
}

glia_status glia_decode(const glia_code *code, const int8_t *spikes, int64_t n, double *x, glia_error *error) {
    if (!code) return glia_fail_null(error, "code");
    if (!spikes) return glia_fail_null(error, "spikes");
    if (!x) return glia_fail_null(error, "x");
    if (n < 0) return glia_fail(error, GLIA_E_ARGUMENT, "code: n is %lld", (long long)n);
    plan p;
    glia_status status = make_plan(code, &p, error);
    if (status != GLIA_OK) return status;
    if (p.kind == GLIA_CODE_PHASE) p.steps -= p.steps % PHASES; /* whole periods */
    for (int64_t i = 0; i < n; i++) {
        const int8_t *s = spikes + i * code->steps;
        if (p.kind != GLIA_CODE_DELTA) {
            x[i] = decode_one(&p, s);
            continue;
        }
        double level = 0;
        for (int64_t t = 0; t < p.steps; t++) x[i * p.steps + t] = level += s[t] * p.threshold;
    }
    return GLIA_OK;
}

double glia_code_error(const glia_code *code, double x) {
    plan p;
    if (!code || make_plan(code, &p, NULL) != GLIA_OK) return NAN;
    const double T = (double)p.steps, m = p.per_step;
    switch (p.kind) {
    case GLIA_CODE_BINARY: return 0.5;
    case GLIA_CODE_POISSON: return sqrt(expm1(x * m) / T) / m;
    case GLIA_CODE_BERNOULLI: return sqrt(x * m * (1 - x * m) / T) / m;
    case GLIA_CODE_REGULAR: return 1 / (T * m);
    case GLIA_CODE_TEMPORAL: return 0.5 / (double)(((uint64_t)1 << p.steps) - 1);
    case GLIA_CODE_LATENCY: return 0.5 / (T - 1);
    case GLIA_CODE_PHASE: return 0.5 / ((1 << PHASES) - 1);
    case GLIA_CODE_DELTA: return p.threshold;
    default: return NAN;
    }
}
