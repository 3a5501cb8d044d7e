/* slic.c - SLIC superpixels (Achanta et al. 2012): k-means of (colour, place) near a grid of centres, and parts that
 * are too small joined to a neighbour.
 *
 *     distance^2 = |colour - colour of centre|^2 + (compactness / S)^2 |place - place of centre|^2,  S: the grid's step
 *
 * Colours are CIELAB (D65); grey values are L.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/explain/explain.h"

typedef struct centre {
    double colour[3], y, x;
} centre;

typedef struct slic {
    int64_t height, width;
    int channels;
    double *colours; /* (H W, channels) */
    centre *centres;
    int n;
    double step, spread; /* S; compactness / S */
    double *distance;    /* (H W) */
    int32_t *groups;
} slic;

static double linear_light(double v) { return v > 0.04045 ? pow((v + 0.055) / 1.055, 2.4) : v / 12.92; }
static double lab_curve(double t) { return t > 0.008856451679 ? cbrt(t) : 7.787037037 * t + 16.0 / 116; }

static void to_lab(double r, double g, double b, double *lab) {
    r = linear_light(r), g = linear_light(g), b = linear_light(b);
    const double x = lab_curve((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
    const double y = lab_curve(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
    const double z = lab_curve((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
    lab[0] = 116 * y - 16, lab[1] = 500 * (x - y), lab[2] = 200 * (y - z);
}

static void take_colours(slic *s, const float *x) {
    const int64_t places = s->height * s->width;
    for (int64_t i = 0; i < places; i++) {
        if (s->channels == 1) s->colours[i] = 100 * (double)x[i];
        if (s->channels == 3) {
            to_lab((double)x[i], (double)x[places + i], (double)x[2 * places + i], s->colours + 3 * i);
        }
    }
}

static void place_centres(slic *s, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) {
            centre *at = &s->centres[s->n++];
            at->y = ((double)r + 0.5) * (double)s->height / (double)rows - 0.5;
            at->x = ((double)c + 0.5) * (double)s->width / (double)columns - 0.5;
            const int64_t place = (int64_t)at->y * s->width + (int64_t)at->x;
            memcpy(at->colour, s->colours + place * s->channels, (size_t)s->channels * sizeof *at->colour);
        }
    }
}

static double squared(double v) { return v * v; }

/* Gives the places within 2 S of a centre to it, if it is the nearest so far. */
static void claim(slic *s, int k) {
    const centre *c = &s->centres[k];
    const int64_t reach = (int64_t)ceil(2 * s->step), cy = (int64_t)c->y, cx = (int64_t)c->x;
    for (int64_t y = GLIA_MAX(cy - reach, 0); y < GLIA_MIN(cy + reach + 1, s->height); y++) {
        for (int64_t x = GLIA_MAX(cx - reach, 0); x < GLIA_MIN(cx + reach + 1, s->width); x++) {
            const int64_t i = y * s->width + x;
            double d = squared(s->spread) * (squared((double)y - c->y) + squared((double)x - c->x));
            for (int a = 0; a < s->channels; a++) d += squared(s->colours[i * s->channels + a] - c->colour[a]);
            if (d < s->distance[i]) s->distance[i] = d, s->groups[i] = k;
        }
    }
}

static glia_status move_centres(slic *s, glia_error *error) {
    double *count = calloc((size_t)s->n, sizeof *count);
    centre *sum = calloc((size_t)s->n, sizeof *sum);
    for (int64_t i = 0; count && sum && i < s->height * s->width; i++) {
        const int k = s->groups[i];
        for (int a = 0; a < s->channels; a++) sum[k].colour[a] += s->colours[i * s->channels + a];
        sum[k].y += (double)(i / s->width), sum[k].x += (double)(i % s->width);
        count[k]++;
    }
    for (int k = 0; count && sum && k < s->n; k++) {
        if (count[k] == 0) continue;
        for (int a = 0; a < 3; a++) sum[k].colour[a] /= count[k];
        sum[k].y /= count[k], sum[k].x /= count[k];
        s->centres[k] = sum[k];
    }
    const bool memory = count && sum;
    free(count);
    free(sum);
    return memory ? GLIA_OK : glia_fail_nomem(error);
}

/* Fills the part of equal groups around place `start` with the new number; returns its size, its places in `queue`.
 * *beside: the new number of a part that it touches, -1: none. */
static int64_t flood(const slic *s, int32_t *renamed, int64_t start, int32_t number, int64_t *queue, int32_t *beside) {
    int64_t n = 1;
    queue[0] = start;
    renamed[start] = number;
    *beside = -1;
    for (int64_t at = 0; at < n; at++) {
        const int64_t y = queue[at] / s->width, x = queue[at] % s->width;
        const int64_t next[4][2] = { { y, x + 1 }, { y + 1, x }, { y, x - 1 }, { y - 1, x } };
        for (int k = 0; k < 4; k++) {
            if (next[k][0] < 0 || next[k][0] >= s->height || next[k][1] < 0 || next[k][1] >= s->width) continue;
            const int64_t i = next[k][0] * s->width + next[k][1];
            if (renamed[i] >= 0 && renamed[i] != number) *beside = renamed[i];
            if (renamed[i] >= 0 || s->groups[i] != s->groups[start]) continue;
            renamed[i] = number;
            queue[n++] = i;
        }
    }
    return n;
}

/* Numbers connected parts from 0; those of less than a quarter of a cell join a part beside them. */
static int connect(slic *s, glia_error *error) {
    const int64_t places = s->height * s->width;
    int32_t *renamed = malloc((size_t)places * sizeof *renamed), beside, parts = 0;
    int64_t *queue = malloc((size_t)places * sizeof *queue);
    if (!renamed || !queue) {
        free(renamed);
        free(queue);
        glia_fail_nomem(error);
        return -1;
    }
    memset(renamed, 0xff, (size_t)places * sizeof *renamed);
    for (int64_t i = 0; i < places; i++) {
        if (renamed[i] >= 0) continue;
        const int64_t n = flood(s, renamed, i, parts, queue, &beside);
        const bool joins = (double)n < 0.25 * s->step * s->step && beside >= 0;
        for (int64_t k = 0; joins && k < n; k++) renamed[queue[k]] = beside;
        parts += !joins;
    }
    memcpy(s->groups, renamed, (size_t)places * sizeof *renamed);
    free(renamed);
    free(queue);
    return parts;
}

static int run(slic *s, const float *x, glia_slic_opts o, glia_error *error) {
    const int64_t places = s->height * s->width;
    const int64_t wanted = GLIA_MIN(o.segments ? o.segments : 50, places);
    s->step = sqrt((double)places / (double)wanted);
    s->spread = glia_option(o.compactness, 10) / s->step;
    const int64_t rows = GLIA_MAX((int64_t)lrint((double)s->height / s->step), 1);
    const int64_t columns = GLIA_MAX((int64_t)lrint((double)s->width / s->step), 1);
    s->colours = malloc((size_t)(places * s->channels) * sizeof *s->colours);
    s->distance = malloc((size_t)places * sizeof *s->distance);
    s->centres = calloc((size_t)(rows * columns), sizeof *s->centres);
    if (!s->colours || !s->distance || !s->centres) {
        glia_fail_nomem(error);
        return -1;
    }
    take_colours(s, x);
    place_centres(s, rows, columns);
    for (int round = 0; round < (o.iterations ? o.iterations : 10); round++) {
        for (int64_t i = 0; i < places; i++) s->distance[i] = INFINITY, s->groups[i] = 0;
        for (int k = 0; k < s->n; k++) claim(s, k);
        if (move_centres(s, error) != GLIA_OK) return -1;
    }
    return connect(s, error);
}

int glia_slic(const float *x, glia_shape shape, glia_slic_opts opts, int32_t *groups, glia_error *error) {
    if (!x || !groups || shape.rank != 3 || (shape.dim[0] != 1 && shape.dim[0] != 3) || glia_shape_count(shape) < 1 ||
        glia_shape_count(shape) > 1 << 28 || opts.segments < 0 || opts.iterations < 0 ||
        !(opts.compactness >= 0 && opts.compactness < 1e9)) {
        glia_fail(error, GLIA_E_ARGUMENT,
                  "glia_slic: needs a picture (1 or 3, H, W), segments, compactness and "
                  "iterations of at least 0");
        return -1;
    }
    slic s = { .height = shape.dim[1], .width = shape.dim[2], .channels = (int)shape.dim[0], .groups = groups };
    const int n = run(&s, x, opts, error);
    free(s.colours);
    free(s.distance);
    free(s.centres);
    return n;
}
