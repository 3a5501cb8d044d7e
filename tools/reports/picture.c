/* picture.c - converts samples to pictures: PNG, base64, sheets, terminal output. */
#include "reports/picture.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool picture_possible(glia_shape shape) {
    if (shape.rank != 3 || (shape.dim[0] != 1 && shape.dim[0] != 3)) return false;
    return shape.dim[1] > 1 && shape.dim[2] > 1 && shape.dim[1] <= 1024 && shape.dim[2] <= 1024;
}

static float unit(float value) { return value > 0 ? fminf(value, 1) : 0; }

picture picture_of_sample(const float *x, glia_shape shape) {
    picture p = { .channels = (int)shape.dim[0], .height = (int)shape.dim[1], .width = (int)shape.dim[2] };
    size_t plane = (size_t)p.height * (size_t)p.width, channels = (size_t)p.channels;
    p.pixels = allocate(plane, channels);
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < plane; i++)
            p.pixels[i * channels + c] = (unsigned char)lrintf(255 * unit(x[c * plane + i]));
    return p;
}

/* ---- PNG ---------------------------------------------------------------------------------- */

static void big_endian(text *out, uint32_t value) {
    unsigned char bytes[] = { (unsigned char)(value >> 24), (unsigned char)(value >> 16), (unsigned char)(value >> 8),
                              (unsigned char)value };
    text_append(out, bytes, sizeof bytes);
}

uint32_t crc32_of(uint32_t sum, const void *bytes, size_t length) {
    static const uint32_t table[16] = { 0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
                                        0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                        0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C };
    const unsigned char *p = bytes;
    sum = ~sum;
    for (size_t i = 0; i < length; i++) {
        sum = table[(sum ^ p[i]) & 15] ^ sum >> 4;
        sum = table[(sum ^ (uint32_t)(p[i] >> 4)) & 15] ^ sum >> 4;
    }
    return ~sum;
}

static uint32_t adler32(const void *bytes, size_t length) {
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < length; i++) {
        a = (a + ((const unsigned char *)bytes)[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static void chunk(text *out, const char *type, const void *bytes, size_t length) {
    big_endian(out, (uint32_t)length);
    size_t begin = out->length;
    text_append(out, type, 4);
    text_append(out, bytes, length);
    big_endian(out, crc32_of(0, out->bytes + begin, out->length - begin));
}

/* A zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4), at most 65,535 bytes each. */
static void store(text *out, const unsigned char *bytes, size_t length) {
    text_append(out, "\x78\x01", 2);
    for (size_t begin = 0; begin < length || length == 0;) {
        size_t n = length - begin < 65535 ? length - begin : 65535;
        unsigned char head[] = { begin + n == length, (unsigned char)n, (unsigned char)(n >> 8), (unsigned char)~n,
                                 (unsigned char)(~n >> 8) };
        text_append(out, head, sizeof head);
        text_append(out, bytes + begin, n);
        begin += n;
        if (begin == length) break;
    }
    big_endian(out, adler32(bytes, length));
}

static void signature_and_header(const picture *p, text *out) {
    text header = { 0 };
    big_endian(&header, (uint32_t)p->width);
    big_endian(&header, (uint32_t)p->height);
    const unsigned char kind[] = { 8, p->channels == 3 ? 2 : 0, 0, 0,
                                   0 }; /* bits, colour; the other fields have one possible value */
    text_append(&header, kind, sizeof kind);
    text_append(out, "\x89PNG\r\n\x1a\n", 8);
    chunk(out, "IHDR", header.bytes, header.length);
    free(header.bytes);
}

/* Appends the contents of a data chunk. */
static void image_data(const picture *p, text *out) {
    text rows = { 0 };
    size_t stride = (size_t)p->width * (size_t)p->channels;
    for (int y = 0; y < p->height; y++) {
        text_append(&rows, "", 1); /* filter: none */
        text_append(&rows, p->pixels + (size_t)y * stride, stride);
    }
    store(out, (const unsigned char *)rows.bytes, rows.length);
    free(rows.bytes);
}

void picture_png(const picture *p, text *out) {
    text data = { 0 };
    image_data(p, &data);
    signature_and_header(p, out);
    chunk(out, "IDAT", data.bytes, data.length);
    chunk(out, "IEND", "", 0);
    free(data.bytes);
}

void picture_apng(const picture *frames, int n, int hundredths, text *out) {
    uint32_t number = 0; /* of control and frame data chunks together */
    signature_and_header(frames, out);
    text part = { 0 };
    big_endian(&part, (uint32_t)n);
    big_endian(&part, 0); /* repetitions: no end */
    chunk(out, "acTL", part.bytes, part.length);
    for (int i = 0; i < n; i++) {
        const unsigned char delay[] = { (unsigned char)(hundredths >> 8), (unsigned char)hundredths, 0, 100, 0, 0 };
        part.length = 0;
        big_endian(&part, number++);
        big_endian(&part, (uint32_t)frames[i].width);
        big_endian(&part, (uint32_t)frames[i].height);
        big_endian(&part, 0);
        big_endian(&part, 0);
        text_append(&part, delay, sizeof delay);
        chunk(out, "fcTL", part.bytes, part.length);
        part.length = 0;
        if (i) big_endian(&part, number++);
        image_data(&frames[i], &part);
        chunk(out, i ? "fdAT" : "IDAT", part.bytes, part.length);
    }
    chunk(out, "IEND", "", 0);
    free(part.bytes);
}

void base64(const void *bytes, size_t length, text *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = bytes;
    for (size_t i = 0; i < length; i += 3) {
        size_t n = length - i;
        uint32_t bits = (uint32_t)from[i] << 16 | (n > 1 ? (uint32_t)from[i + 1] << 8 : 0) | (n > 2 ? from[i + 2] : 0u);
        char four[] = { digits[bits >> 18], digits[bits >> 12 & 63], n > 1 ? digits[bits >> 6 & 63] : '=',
                        n > 2 ? digits[bits & 63] : '=' };
        text_append(out, four, sizeof four);
    }
}

void picture_base64(const picture *p, text *out) {
    text png = { 0 };
    picture_png(p, &png);
    base64(png.bytes, png.length, out);
    free(png.bytes);
}

/* ---- sheets and letters ------------------------------------------------------------------- */

picture picture_sheet(const picture *samples, int n, int columns, int gap, int scale, unsigned char paper) {
    int rows = (n + columns - 1) / columns, channels = samples[0].channels;
    int width = samples[0].width * scale, height = samples[0].height * scale;
    picture sheet = { .width = columns * (width + gap) + gap,
                      .height = rows * (height + gap) + gap,
                      .channels = channels };
    size_t stride = (size_t)sheet.width * (size_t)channels;
    sheet.pixels = allocate((size_t)sheet.height, stride);
    memset(sheet.pixels, paper, (size_t)sheet.height * stride);
    for (int i = 0; i < n; i++) {
        int left = gap + i % columns * (width + gap), top = gap + i / columns * (height + gap);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                memcpy(sheet.pixels + (size_t)(top + y) * stride + (size_t)(left + x) * (size_t)channels,
                       samples[i].pixels + (size_t)(y / scale * samples[i].width + x / scale) * (size_t)channels,
                       (size_t)channels);
    }
    return sheet;
}

picture picture_grid(const float *values, int64_t n, glia_shape sample, int columns) {
    enum { GAP = 2, SMALL = 64, PAPER = 255 };
    if (columns < 1) columns = (int)ceil(sqrt((double)n));
    picture *samples = allocate((size_t)n, sizeof *samples);
    for (int64_t i = 0; i < n; i++) samples[i] = picture_of_sample(values + i * glia_shape_count(sample), sample);
    const int scale = samples[0].width < SMALL ? SMALL / samples[0].width : 1;
    picture sheet = picture_sheet(samples, (int)n, columns, GAP, scale, PAPER);
    for (int64_t i = 0; i < n; i++) free(samples[i].pixels);
    free(samples);
    return sheet;
}

picture picture_points(const float *points, int64_t n, int side) {
    float *dots = allocate((size_t)side * (size_t)side, sizeof *dots);
    glia_image_points(points, n, side, dots);
    const picture p = picture_of_sample(dots, GLIA_SHAPE(1, side, side));
    free(dots);
    return p;
}

/* Half blocks show two pixels, one above the other, each in one of the 24 greys of a 256-colour terminal. */
static void print_colours(const float *x, int width, int height, int indent) {
    for (int y = 0; y < height; y += 2) {
        printf("%*s", indent, "");
        for (int i = 0; i < width; i++) {
            float below = y + 1 < height ? x[(y + 1) * width + i] : 0;
            printf("\x1b[38;5;%dm\x1b[48;5;%dm\u2580", 232 + (int)(23 * unit(x[y * width + i])),
                   232 + (int)(23 * unit(below)));
        }
        printf("\x1b[0m\n");
    }
}

void picture_print(const float *x, glia_shape shape, int indent) {
    int height = (int)shape.dim[1], width = (int)shape.dim[2];
    if (terminal_colours() && terminal_utf8()) {
        print_colours(x, width, height, indent);
        return;
    }
    static const char shades[] = " .:-=+*#%@";
    for (int y = 0; y + 1 < height; y += 2) {
        printf("%*s", indent, "");
        for (int i = 0; i < width; i++) {
            float grey = unit((x[y * width + i] + x[(y + 1) * width + i]) / 2);
            putchar(shades[(int)(grey * 9.999f)]);
        }
        putchar('\n');
    }
}
