/* wrappers.c - see wrappers.h. Statistics as Gymnasium's RunningMeanStd: moments of a batch are combined with those
 * so far, which begin with mean 0, variance 1 and a count of 1e-4. */
#include "data/environments/wrappers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double tiny = 1e-8, first_count = 1e-4;

static bool normalizes(const glia_env_wrappers *a) { return a->normalize_observations || a->normalize_rewards; }

bool glia_wrappers_are_on(const glia_env_wrappers *a) {
    return normalizes(a) || a->frames > 1 || a->clip_observations > 0 || a->clip_rewards > 0;
}

int64_t glia_wrappers_statistics(const glia_wrappers *w) {
    return normalizes(&w->asked) ? 2 * w->numbers + 4 + w->n : 0;
}

static double *count_of(const glia_wrappers *w) { return w->statistics + 2 * w->numbers; }
static double *reward_of(const glia_wrappers *w) { return count_of(w) + 1; } /* mean, variance, count */
static double *returns_of(const glia_wrappers *w) { return reward_of(w) + 3; }

static void begin_statistics(const glia_wrappers *w) {
    for (int64_t i = 0; i < w->numbers; i++) w->statistics[w->numbers + i] = 1;
    *count_of(w) = first_count;
    reward_of(w)[1] = 1;
    reward_of(w)[2] = first_count;
}

glia_status glia_wrappers_init(glia_wrappers *w, const char *name, int64_t n, glia_space *observation,
                               glia_error *error) {
    const glia_env_wrappers *a = &w->asked;
    const bool values = a->normalize_observations || a->clip_observations > 0;
    if (a->frames < 0 || a->frames > 1024 || !(a->clip_observations >= 0) || !(a->clip_rewards >= 0) ||
        !(a->gamma >= 0 && a->gamma < 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: wrappers outside their domain", name);
    }
    if (!glia_wrappers_are_on(a)) return GLIA_OK;
    if ((values && observation->dtype != GLIA_F32) || (a->frames > 1 && observation->kind == GLIA_SPACE_DISCRETE)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: its observations cannot be %s", name,
                         values ? "normalised or clipped" : "stacked");
    }
    w->n = n;
    w->numbers = observation->kind == GLIA_SPACE_BOX ? glia_shape_count(observation->shape) : 1;
    w->raw_bytes = glia_space_bytes(observation);
    if (a->frames > 1) {
        glia_shape *s = &observation->shape;
        if (s->rank != 3) {
            memmove(s->dim + 1, s->dim, (size_t)s->rank * sizeof *s->dim);
            s->dim[0] = 1;
            s->rank++;
        }
        s->dim[0] *= a->frames;
    }
    observation->low = observation->high = NULL;
    w->raw = calloc((size_t)n, w->raw_bytes);
    w->statistics = calloc((size_t)(2 * w->numbers + 4 + 2 * n), sizeof *w->statistics);
    if (!w->raw || !w->statistics) return glia_fail_nomem(error);
    begin_statistics(w);
    return GLIA_OK;
}

void glia_wrappers_free(glia_wrappers *w) {
    free(w->raw);
    free(w->statistics);
}

/* Combines mean and variance of `count` numbers with those of n more. */
static void combine(double *mean, double *variance, double count, const double *x, int64_t n) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    const double batch_mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (x[i] - batch_mean) * (x[i] - batch_mean);
    const double apart = batch_mean - *mean, total = count + (double)n;
    *variance = (*variance * count + squares + apart * apart * count * (double)n / total) / total;
    *mean += apart * (double)n / total;
}

/* Raw numbers, normalised and clipped in place. */
static void change_values(glia_wrappers *w) {
    const glia_env_wrappers *a = &w->asked;
    double *means = w->statistics, *variances = means + w->numbers;
    float *raw = (float *)(void *)w->raw;
    double *column = returns_of(w) + w->n; /* memory for one number of all copies */
    for (int64_t k = 0; k < w->numbers && a->normalize_observations; k++) {
        for (int64_t i = 0; i < w->n; i++) column[i] = (double)raw[i * w->numbers + k];
        if (!w->frozen) combine(&means[k], &variances[k], *count_of(w), column, w->n);
        for (int64_t i = 0; i < w->n; i++)
            raw[i * w->numbers + k] = (float)((column[i] - means[k]) / sqrt(variances[k] + tiny));
    }
    if (a->normalize_observations && !w->frozen) *count_of(w) += (double)w->n;
    const float most = (float)a->clip_observations;
    for (int64_t i = 0; i < w->n * w->numbers && most > 0; i++) raw[i] = fminf(fmaxf(raw[i], -most), most);
}

static void change_rewards(glia_wrappers *w, double *rewards, const bool *terminated, const bool *started) {
    const glia_env_wrappers *a = &w->asked;
    const double gamma = a->gamma > 0 ? a->gamma : 0.99;
    double *returns = returns_of(w), *rms = reward_of(w);
    if (a->normalize_rewards) {
        for (int64_t i = 0; i < w->n; i++)
            returns[i] = started[i] ? 0 : returns[i] * gamma * !terminated[i] + rewards[i];
        if (!w->frozen) {
            combine(&rms[0], &rms[1], rms[2], returns, w->n);
            rms[2] += (double)w->n;
        }
        for (int64_t i = 0; i < w->n; i++) rewards[i] /= sqrt(rms[1] + tiny);
    }
    for (int64_t i = 0; i < w->n && a->clip_rewards > 0; i++)
        rewards[i] = fmin(fmax(rewards[i], -a->clip_rewards), a->clip_rewards);
}

void glia_wrappers_apply(glia_wrappers *w, void *observations, double *rewards, const bool *terminated,
                         const bool *started) {
    const size_t frames = (size_t)GLIA_MAX(w->asked.frames, 1), bytes = w->raw_bytes;
    if (w->asked.normalize_observations || w->asked.clip_observations > 0) change_values(w);
    change_rewards(w, rewards, terminated, started);
    for (int64_t i = 0; i < w->n; i++) {
        uint8_t *seen = (uint8_t *)observations + (size_t)i * frames * bytes;
        const uint8_t *now = w->raw + (size_t)i * bytes;
        if (!started[i]) memmove(seen, seen + bytes, (frames - 1) * bytes);
        for (size_t k = started[i] ? 0 : frames - 1; k < frames; k++) memcpy(seen + k * bytes, now, bytes);
    }
}
