/* image.c - images as (C, H, W) bytes: decoder selection, resizing, colour conversion, PGM and PPM, writing.
 *
 * Netpbm's formats need no library: "P5" (grey) or "P6" (colour), then width, height and maximum value as text, one
 * space, then the samples; "P2" and "P3" have the samples as text too. '#' starts a comment in the text part.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/formats/formats.h"

glia_status glia_image_create(int channels, int height, int width, glia_image *image, glia_error *error) {
    *image = (glia_image){ 0 };
    if ((channels != 1 && channels != 3) || height < 1 || width < 1 ||
        (int64_t)height * width > GLIA_IMAGE_MOST / channels) {
        return glia_fail(error, GLIA_E_ARGUMENT, "an image of %d channels and %d x %d pixels is not supported",
                         channels, width, height);
    }
    uint8_t *pixels = calloc((size_t)channels * (size_t)height, (size_t)width);
    if (!pixels) return glia_fail_nomem(error);
    *image = (glia_image){ channels, height, width, pixels };
    return GLIA_OK;
}

void glia_image_free(glia_image *image) {
    free(image->pixels);
    *image = (glia_image){ 0 };
}

/* ---- reading ------------------------------------------------------------------------------ */

glia_status glia_image_decode(const uint8_t *bytes, size_t length, glia_image *image, glia_error *error) {
    *image = (glia_image){ 0 };
    if (length >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1A\n", 8)) return glia_png_decode(bytes, length, image, error);
    if (length >= 3 && !memcmp(bytes, "\xFF\xD8\xFF", 3)) return glia_jpeg_decode(bytes, length, image, error);
    bool pnm = length >= 2 && bytes[0] == 'P' && strchr("2356", bytes[1]) && bytes[1];
    if (pnm) return glia_pnm_decode(bytes, length, image, error);
    return glia_fail(error, GLIA_E_FORMAT, "offset 0: the file is not PNG, JPEG, PGM or PPM");
}

glia_status glia_image_open(const char *path, glia_image *image, glia_error *error) {
    *image = (glia_image){ 0 };
    glia_file file;
    glia_status status = glia_file_open(&file, path, error);
    if (status) return status;
    status = glia_fail_at_path(error, path, glia_image_decode(file.bytes, file.length, image, error));
    glia_file_close(&file);
    return status;
}

/* Parses an unsigned number after spaces and comments at *at; -1 if there is none or it exceeds `most`. */
static int pnm_number(const uint8_t *bytes, size_t length, size_t *at, int most) {
    while (*at < length && (strchr(" \t\r\n\v\f", bytes[*at]) || bytes[*at] == '#')) {
        if (!bytes[*at]) return -1;
        bool comment = bytes[*at] == '#';
        while (comment && *at < length && bytes[*at] != '\n') ++*at;
        *at += *at < length;
    }
    int value = 0;
    size_t start = *at;
    for (; *at < length && bytes[*at] >= '0' && bytes[*at] <= '9'; ++*at) {
        value = value * 10 + (bytes[*at] - '0');
        if (value > most) return -1;
    }
    return *at > start ? value : -1;
}

/* Sample i of a binary file (1 or 2 bytes, big-endian), or the next of a text file; -1: missing or above maximum. */
static int pnm_sample(const uint8_t *bytes, size_t length, size_t *at, bool text, int maximum) {
    if (text) return pnm_number(bytes, length, at, maximum);
    int value = bytes[(*at)++];
    if (maximum > 255) value = value << 8 | bytes[(*at)++];
    return value <= maximum ? value : -1;
}

glia_status glia_pnm_decode(const uint8_t *bytes, size_t length, glia_image *image, glia_error *error) {
    *image = (glia_image){ 0 };
    if (length < 2) return glia_fail(error, GLIA_E_FORMAT, "offset 0: the file is not PGM or PPM");
    size_t at = 2;
    bool text = bytes[1] == '2' || bytes[1] == '3';
    int channels = bytes[1] == '2' || bytes[1] == '5' ? 1 : 3;
    int width = pnm_number(bytes, length, &at, 1 << 24),
        height = width < 1 ? -1 : pnm_number(bytes, length, &at, 1 << 24);
    int maximum = height < 1 ? -1 : pnm_number(bytes, length, &at, 65535);
    if (maximum < 1 || at >= length) {
        return glia_fail(error, GLIA_E_FORMAT,
                         "offset %zu: the PGM or PPM header has no valid width, height and maximum", at);
    }
    at++; /* the one space after the header */
    size_t count, bytes_each = maximum > 255 ? 2 : 1, there = length - at;
    bool fits = glia_mul_fits((size_t)width * (size_t)height, (size_t)channels, &count) && count <= GLIA_IMAGE_MOST;
    /* A text sample takes at least a digit and a space, the last one a digit. */
    if (!fits || (text ? there + 1 < count * 2 : there != count * bytes_each)) {
        return glia_fail(error, GLIA_E_FORMAT,
                         "offset %zu: %zu bytes of pixels do not match %d x %d pixels of %d channels", at, there, width,
                         height, channels);
    }
    glia_status status = glia_image_create(channels, height, width, image, error);
    if (status) return status;
    size_t plane = (size_t)width * (size_t)height;
    for (size_t i = 0; i < count; i++) {
        int value = pnm_sample(bytes, length, &at, text, maximum);
        if (value < 0) {
            glia_image_free(image);
            return glia_fail(error, GLIA_E_FORMAT, "offset %zu: a pixel is not a number from 0 to %d", at, maximum);
        }
        image->pixels[i % (size_t)channels * plane + i / (size_t)channels] =
            (uint8_t)((value * 255 + maximum / 2) / maximum);
    }
    while (text && at < length && bytes[at] && strchr(" \t\r\n\v\f", bytes[at])) at++;
    if (at == length) return GLIA_OK;
    glia_image_free(image);
    return glia_fail(error, GLIA_E_FORMAT, "offset %zu: there are bytes after the last pixel", at);
}

/* ---- resizing ----------------------------------------------------------------------------- */

/* The inputs of one output: `count` neighbours starting at `first`, with weights that sum to 1. */
typedef struct taps {
    int first, count;
    const float *weights;
} taps;

/* Computes the inputs and weights of n outputs from m inputs. Fills rows (n) and weights (n * (m / n + 3)). */
static void plan_axis(int m, int n, taps *rows, float *weights) {
    int room = m / n + 3;
    double step = (double)m / n;
    for (int i = 0; i < n; i++) {
        float *w = weights + (size_t)i * (size_t)room;
        rows[i].weights = w;
        if (step > 1) { /* the mean over [from, to) */
            double from = i * step, to = GLIA_MIN((i + 1) * step, (double)m);
            rows[i].first = GLIA_MIN((int)from, m - 1);
            rows[i].count = 0;
            for (int k = rows[i].first; k < m && k < to && rows[i].count < room; k++) {
                w[rows[i].count++] = (float)((GLIA_MIN(to, k + 1.0) - GLIA_MAX(from, (double)k)) / (to - from));
            }
        } else { /* linear interpolation between two centres */
            double at = GLIA_MIN(GLIA_MAX((i + 0.5) * step - 0.5, 0.0), m - 1.0);
            int k = GLIA_MIN((int)at, GLIA_MAX(m - 2, 0));
            rows[i].first = k;
            rows[i].count = GLIA_MIN(2, m);
            w[0] = m == 1 ? 1 : (float)(1 - (at - k));
            if (m > 1) w[1] = (float)(at - k);
        }
    }
}

/* Resizes rows first, into `across` (height_in, width), then columns. */
static void resize_plane(const uint8_t *in, int width_in, int height_in, const taps *tx, int width, const taps *ty,
                         int height, float *across, uint8_t *out) {
    for (int y = 0; y < height_in; y++) {
        for (int x = 0; x < width; x++) {
            float sum = 0;
            const uint8_t *p = in + (size_t)y * (size_t)width_in + tx[x].first;
            for (int k = 0; k < tx[x].count; k++) sum += tx[x].weights[k] * p[k];
            across[(size_t)y * (size_t)width + (size_t)x] = sum;
        }
    }
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            float sum = 0.5f;
            const float *p = across + (size_t)ty[y].first * (size_t)width + (size_t)x;
            for (int k = 0; k < ty[y].count; k++) sum += ty[y].weights[k] * p[(size_t)k * (size_t)width];
            out[(size_t)y * (size_t)width + (size_t)x] = (uint8_t)GLIA_MIN(sum, 255.0f);
        }
    }
}

glia_status glia_image_resize(const glia_image *image, int height, int width, glia_image *out, glia_error *error) {
    glia_status status = glia_image_create(image->channels, height, width, out, error);
    if (status) return status;
    taps *tx = malloc((size_t)width * sizeof *tx), *ty = malloc((size_t)height * sizeof *ty);
    float *wx = malloc((size_t)width * ((size_t)(image->width / width) + 3) * sizeof *wx);
    float *wy = malloc((size_t)height * ((size_t)(image->height / height) + 3) * sizeof *wy);
    float *across = malloc((size_t)image->height * (size_t)width * sizeof *across);
    if (tx && ty && wx && wy && across) {
        plan_axis(image->width, width, tx, wx);
        plan_axis(image->height, height, ty, wy);
        for (int c = 0; c < image->channels; c++) {
            const uint8_t *from = image->pixels + (size_t)c * (size_t)image->height * (size_t)image->width;
            uint8_t *to = out->pixels + (size_t)c * (size_t)height * (size_t)width;
            resize_plane(from, image->width, image->height, tx, width, ty, height, across, to);
        }
    } else {
        glia_image_free(out);
        status = glia_fail_nomem(error);
    }
    free(tx);
    free(ty);
    free(wx);
    free(wy);
    free(across);
    return status;
}

glia_status glia_image_convert(const glia_image *image, int channels, glia_image *out, glia_error *error) {
    glia_status status = glia_image_create(channels, image->height, image->width, out, error);
    if (status) return status;
    size_t plane = (size_t)image->height * (size_t)image->width;
    const uint8_t *p = image->pixels;
    for (int c = 0; c < channels && (image->channels == channels || image->channels == 1); c++) {
        memcpy(out->pixels + (size_t)c * plane, p + (image->channels == channels ? (size_t)c * plane : 0), plane);
    }
    if (image->channels == 3 && channels == 1) { /* BT.601: 0.299 R + 0.587 G + 0.114 B, in 65,536ths */
        for (size_t i = 0; i < plane; i++) {
            out->pixels[i] =
                (uint8_t)((19595u * p[i] + 38470u * p[plane + i] + 7471u * p[2 * plane + i] + 32768u) >> 16);
        }
    }
    return GLIA_OK;
}

/* ---- writing ------------------------------------------------------------------------------ */

static glia_status write_pnm(const char *path, const glia_image *image, glia_error *error) {
    char header[64];
    int n =
        snprintf(header, sizeof header, "P%d\n%d %d\n255\n", image->channels == 1 ? 5 : 6, image->width, image->height);
    size_t plane = (size_t)image->height * (size_t)image->width, channels = (size_t)image->channels;
    uint8_t *mixed = malloc(plane * channels);
    if (!mixed) return glia_fail_nomem(error);
    for (size_t i = 0; i < plane * channels; i++) mixed[i] = image->pixels[i % channels * plane + i / channels];
    glia_span pieces[] = { { header, (size_t)n }, { mixed, plane * channels } };
    glia_status status = glia_file_replace(path, pieces, 2, error);
    free(mixed);
    return status;
}

glia_status glia_image_write(const char *path, const glia_image *image, glia_error *error) {
    const char *end = strrchr(path, '.');
    int wanted = !end ? 0 : !strcasecmp(end, ".pgm") ? 1 : !strcasecmp(end, ".ppm") ? 3 : 0;
    if (wanted && wanted != image->channels) {
        glia_image other;
        glia_status status = glia_image_convert(image, wanted, &other, error);
        if (!status) status = write_pnm(path, &other, error);
        if (other.pixels) glia_image_free(&other);
        return status;
    }
    if (wanted) return write_pnm(path, image, error);
    if (!end || strcasecmp(end, ".png")) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "%s: the extension must be .png, .pgm or .ppm", path);
    }
    uint8_t *bytes;
    size_t length;
    glia_status status = glia_fail_at_path(error, path, glia_png_encode(image, &bytes, &length, error));
    if (status) return status;
    status = glia_file_replace(path, &(glia_span){ bytes, length }, 1, error);
    free(bytes);
    return status;
}
