/* input.c - reads the inputs of predictions: pictures, samples of data sets. */
#include "runs/input.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/picture.h"

/* ---- pictures ----------------------------------------------------------------------------- */

enum { FINE = 140 }; /* side of the picture searched for ink */

static bool border_is_lighter(const float *x, int height, int width) {
    double border = 0, inside = 0;
    int n = 0;
    for (int r = 0; r < height; r++) {
        for (int c = 0; c < width; c++) {
            bool edge = r == 0 || c == 0 || r == height - 1 || c == width - 1;
            *(edge ? &border : &inside) += (double)x[r * width + c];
            n += edge;
        }
    }
    return border / n > inside / (height * width - n);
}

typedef struct box {
    int top, left, bottom, right; /* bottom and right exclusive */
} box;

/* The bounding box of the ink: pixels of at least a quarter of the maximum. */
static box find_ink(const float *x) {
    float most = 0;
    for (int i = 0; i < FINE * FINE; i++) most = fmaxf(most, x[i]);
    box b = { FINE, FINE, 0, 0 };
    for (int i = 0; i < FINE * FINE && most > 0; i++) {
        int r = i / FINE, c = i % FINE;
        if (x[i] < most / 4) continue;
        if (r < b.top) b.top = r;
        if (c < b.left) b.left = c;
        if (r >= b.bottom) b.bottom = r + 1;
        if (c >= b.right) b.right = c + 1;
    }
    return b;
}

/* Mean of x over [top, bottom) x [left, right), with fractional bounds; outside is 0. */
static double area(const float *x, double top, double left, double bottom, double right) {
    double sum = 0;
    for (int r = (int)floor(top); r < bottom; r++) {
        double high = fmin(bottom, r + 1) - fmax(top, r);
        for (int c = (int)floor(left); c < right; c++) {
            if (r < 0 || c < 0 || r >= FINE || c >= FINE) continue;
            sum += high * (fmin(right, c + 1) - fmax(left, c)) * (double)x[r * FINE + c];
        }
    }
    return sum / ((bottom - top) * (right - left));
}

/* Scales and centres the ink of `fine` into out (height, width). */
static void lay_ink(const float *fine, float *out, int height, int width) {
    box b = find_ink(fine);
    if (b.top >= b.bottom) return;
    double mass = 0, row = 0, column = 0, most = 0;
    for (int r = b.top; r < b.bottom; r++) {
        for (int c = b.left; c < b.right; c++) {
            double ink = (double)fine[r * FINE + c];
            mass += ink;
            row += ink * (r + 0.5);
            column += ink * (c + 0.5);
            most = fmax(most, ink);
        }
    }
    int longer = b.bottom - b.top > b.right - b.left ? b.bottom - b.top : b.right - b.left;
    int shorter = height < width ? height : width;
    double pixel = longer / (shorter * 20.0 / 28.0); /* size of an output pixel in pixels of `fine` */
    double top = row / mass - pixel * height / 2, left = column / mass - pixel * width / 2;
    for (int r = 0; r < height; r++)
        for (int c = 0; c < width; c++)
            out[r * width + c] = (float)fmin(
                1, area(fine, top + r * pixel, left + c * pixel, top + (r + 1) * pixel, left + (c + 1) * pixel) / most);
}

/* -1: x is read. `note`: the preprocessing applied. */
static int read_picture(const saved *s, const input_how *how, const char *path, float *x, const char **note) {
    if (!picture_possible(s->sample)) {
        char shape[SHORT];
        return fail("%s: the model takes %s numbers, not images", path, shape_text(s->sample, shape));
    }
    double least, most;
    if (!saved_takes_pixels(s, &least, &most))
        return fail("%s: the model was trained on numbers from %g to %g, images have 0 to 1", path, least, most);
    if (how->digit && s->sample.dim[0] != 1) return fail("--digit: the model takes colour images");
    glia_error error;
    bool ink = how->digit;
    glia_shape shape = ink ? GLIA_SHAPE(1, FINE, FINE) : s->sample;
    float *fine = ink ? allocate(FINE * FINE, sizeof *fine) : x;
    int status = glia_image_load(path, shape, fine, &error) == GLIA_OK ? -1 : fail("%s", error.message);
    if (status < 0 && ink) {
        bool inverted = border_is_lighter(fine, FINE, FINE);
        for (int i = 0; inverted && i < FINE * FINE; i++) fine[i] = 1 - fine[i];
        memset(x, 0, (size_t)glia_shape_count(s->sample) * sizeof *x);
        lay_ink(fine, x, (int)s->sample.dim[1], (int)s->sample.dim[2]);
        *note = inverted ? "inverted and centred" : "centred";
    }
    if (ink) free(fine);
    if (status < 0) saved_normalize_sample(s, x);
    return status;
}

/* ---- samples of data ---------------------------------------------------------------------- */

size_t input_address(const char *input, int64_t *index) {
    const char *hash = strrchr(input, '#');
    if (!hash || hash == input || !hash[1]) return 0;
    char *end;
    *index = strtoll(hash + 1, &end, 10);
    return *end ? 0 : (size_t)(hash - input);
}

static int read_sample(const saved *s, const input_how *how, const char *address, int64_t index, float *x,
                       char **truth) {
    glia_error error;
    glia_dataset *data;
    int status = saved_data(s, address, "test", how->folder, &data);
    if (status >= 0) return status;
    int32_t label = -1;
    if (sample_class(data, index, x, &label, &error) != GLIA_OK)
        status = fail("%s", error.message);
    else if (glia_data_class_name(data, label))
        *truth = duplicate(glia_data_class_name(data, label));
    glia_data_free(data);
    return status;
}

int input_read(const saved *s, const input_how *how, const char *input, float *x, char **truth, const char **note) {
    char *address = duplicate(input);
    int64_t index = 0;
    size_t length = input_address(input, &index);
    address[length] = '\0';
    int status = length ? read_sample(s, how, address, index, x, truth) : read_picture(s, how, input, x, note);
    free(address);
    return status;
}
