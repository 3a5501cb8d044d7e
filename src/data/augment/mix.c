/* mix.c - mixing pairs of samples: mixup and cutmix.
 *
 * The partner and the share are drawn from the stream of the sample and the step, so a mixed sample is also a function
 * of (seed, epoch, sample). The partner is augmented as it would be on its own. Targets are mixed with the same share,
 * giving class shares (soft labels).
 */
#include <math.h>

#include "data/augment/augment.h"

/* ---- Beta(alpha, alpha) ------------------------------------------------------------------- */

/* The logarithm of a Gamma(alpha, 1) draw: Marsaglia and Tsang 2000; for alpha < 1 with their boost, Gamma(alpha + 1)
 * U^(1 / alpha), whose logarithm cannot underflow. */
static double log_gamma_draw(glia_rng *rng, double alpha) {
    const double shape = alpha < 1 ? alpha + 1 : alpha, d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    double v, u, z;
    do {
        z = glia_rng_normal(rng);
        v = 1 + c * z;
        v = v * v * v;
        u = 1 - glia_rng_uniform(rng);
    } while (v <= 0 || log(u) >= 0.5 * z * z + d - d * v + d * log(v));
    const double log_draw = log(d) + log(v);
    return alpha < 1 ? log_draw + log(1 - glia_rng_uniform(rng)) / alpha : log_draw;
}

double glia_rng_beta(glia_rng *rng, double alpha) {
    const double a = log_gamma_draw(rng, alpha), b = log_gamma_draw(rng, alpha);
    return 1 / (1 + exp(b - a));
}

/* ---- transformations ---------------------------------------------------------------------- */

static void mixup_mix(const void *opts, glia_frame frame, glia_rng *rng, glia_mix *mix) {
    const glia_augment_mixup_opts *o = opts;
    (void)frame;
    mix->share = glia_rng_beta(rng, o->alpha);
}

/* Box of Yun et al.: centred at a random pixel, clipped at the edges; the share is computed from the clipped box. */
static void cutmix_mix(const void *opts, glia_frame frame, glia_rng *rng, glia_mix *mix) {
    const glia_augment_cutmix_opts *o = opts;
    const double side = sqrt(1 - glia_rng_beta(rng, o->alpha));
    const int width = (int)(frame.width * side), height = (int)(frame.height * side);
    const int x = (int)glia_rng_below(rng, (uint64_t)frame.width), y = (int)glia_rng_below(rng, (uint64_t)frame.height);
    glia_rectangle *part = &mix->part;
    part->left = GLIA_MAX(x - width / 2, 0);
    part->top = GLIA_MAX(y - height / 2, 0);
    part->width = GLIA_MAX(GLIA_MIN(x + width / 2, frame.width) - part->left, 0);
    part->height = GLIA_MAX(GLIA_MIN(y + height / 2, frame.height) - part->top, 0);
    mix->pasted = true;
    mix->share = 1 - (double)part->width * part->height / ((double)frame.width * frame.height);
}

static const glia_augment_field mixup_fields[] = {
    AUGMENT_FIELD(glia_augment_mixup_opts, REAL, alpha, 1e-3, 1e3, 0.2, 0),
    AUGMENT_P(glia_augment_mixup_opts),
};
const glia_augment_kind glia_augment_mixup_kind = {
    .name = "mixup",
    .of = GLIA_AUGMENT_ANY,
    .fields = mixup_fields,
    .n_fields = GLIA_COUNT(mixup_fields),
    .opts_bytes = sizeof(glia_augment_mixup_opts),
    .mix = mixup_mix,
};

static const glia_augment_field cutmix_fields[] = {
    AUGMENT_FIELD(glia_augment_cutmix_opts, REAL, alpha, 1e-3, 1e3, 1, 0),
    AUGMENT_P(glia_augment_cutmix_opts),
};
const glia_augment_kind glia_augment_cutmix_kind = {
    .name = "cutmix",
    .of = GLIA_AUGMENT_IMAGE,
    .fields = cutmix_fields,
    .n_fields = GLIA_COUNT(cutmix_fields),
    .opts_bytes = sizeof(glia_augment_cutmix_opts),
    .mix = cutmix_mix,
};

void glia_augment_mixup(glia_augment *augment, glia_augment_mixup_opts opts) {
    glia_augment_add(augment, &glia_augment_mixup_kind, &opts);
}

void glia_augment_cutmix(glia_augment *augment, glia_augment_cutmix_opts opts) {
    glia_augment_add(augment, &glia_augment_cutmix_kind, &opts);
}

/* ---- mixing ------------------------------------------------------------------------------- */

bool glia_augment_mixes(const glia_augment *augment) {
    for (int i = 0; augment && i < augment->n; i++)
        if (augment->steps[i].kind->mix) return true;
    return false;
}

bool glia_augment_draw_mix(const glia_augment *augment, glia_shape sample, uint64_t key, int64_t index, int64_t n,
                           glia_mix *mix) {
    double total = 0, at = -1;
    for (int i = 0; i < augment->n; i++)
        if (augment->steps[i].kind->mix) total += augment->steps[i].p;
    for (int i = 0; i < augment->n; i++) {
        const glia_augment_step *step = &augment->steps[i];
        if (!step->kind->mix) continue;
        glia_rng rng = glia_augment_rng(key, index, i);
        const double place = glia_rng_uniform(&rng); /* that of the first mixing step selects among all of them */
        if (at < 0) at = place * GLIA_MAX(total, 1);
        if (at < step->p) {
            *mix = (glia_mix){ .partner = (int64_t)glia_rng_below(&rng, (uint64_t)n) };
            step->kind->mix(step->opts, glia_augment_frame(step->kind, sample), &rng, mix);
            return true;
        }
        at -= step->p;
    }
    return false;
}

void glia_augment_mix(const glia_mix *mix, glia_shape sample, float *x, const float *partner) {
    if (!mix->pasted) {
        const size_t count = (size_t)glia_shape_count(sample);
        const float mine = (float)mix->share, other = (float)(1 - mix->share);
        for (size_t i = 0; i < count; i++) x[i] = mine * x[i] + other * partner[i];
        return;
    }
    const glia_frame frame = glia_augment_frame(&glia_augment_cutmix_kind, sample);
    const glia_rectangle *part = &mix->part;
    for (int c = 0; c < frame.channels; c++) {
        for (int y = part->top; y < part->top + part->height; y++) {
            const size_t row = ((size_t)c * (size_t)frame.height + (size_t)y) * (size_t)frame.width;
            for (int k = part->left; k < part->left + part->width; k++) x[row + (size_t)k] = partner[row + (size_t)k];
        }
    }
}
