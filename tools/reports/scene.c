/* scene.c - see scene.h. */
#include "reports/scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAPER = 0xFFFFFF };

/* ---- pixels ------------------------------------------------------------------------------------ */

static double squared(double x) { return x * x; }

/* Is the centre of a pixel part of the mark? Lines are at least a pixel thick, or some would fall between centres. */
static bool covers(const glia_mark *m, double x, double y, double pixel) {
    const double ax = (double)m->ax, ay = (double)m->ay, bx = (double)m->bx, by = (double)m->by, size = (double)m->size;
    if (m->kind == GLIA_MARK_BOX)
        return x >= fmin(ax, bx) && x <= fmax(ax, bx) && y >= fmin(ay, by) && y <= fmax(ay, by);
    if (m->kind == GLIA_MARK_DISC) return squared(x - ax) + squared(y - ay) <= size * size;
    const double dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
    const double along = length > 0 ? fmin(fmax(((x - ax) * dx + (y - ay) * dy) / length, 0), 1) : 0;
    return squared(x - ax - along * dx) + squared(y - ay - along * dy) <= squared(fmax(size, 1.01 * pixel) / 2);
}

picture scene_pixels(const scene *s, int side) {
    picture p = { side, side, 3, allocate((size_t)side * (size_t)side, 3) };
    for (int i = 0; i < side * side; i++) {
        const double x = (i % side + 0.5) / side, y = 1 - (i / side + 0.5) / side;
        uint32_t colour = PAPER;
        for (int k = s->n - 1; k >= 0; k--) {
            if (!covers(&s->marks[k], x, y, 1.0 / side)) continue;
            colour = s->marks[k].colour;
            break;
        }
        for (int c = 0; c < 3; c++) p.pixels[3 * i + c] = (unsigned char)(colour >> (16 - 8 * c));
    }
    return p;
}

/* ---- SVG --------------------------------------------------------------------------------------- */

static void svg_mark(const glia_mark *m, double x, double y, text *out) {
    const double ax = x + 100 * (double)m->ax, ay = y + 100 * (1 - (double)m->ay);
    const double bx = x + 100 * (double)m->bx, by = y + 100 * (1 - (double)m->by), size = 100 * (double)m->size;
    if (m->kind == GLIA_MARK_BOX)
        text_add(out, "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='#%06x'/>", fmin(ax, bx), fmin(ay, by),
                 fabs(bx - ax), fabs(by - ay), m->colour);
    else if (m->kind == GLIA_MARK_DISC)
        text_add(out, "<circle cx='%.1f' cy='%.1f' r='%.1f' fill='#%06x'/>", ax, ay, size, m->colour);
    else
        text_add(out,
                 "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#%06x' stroke-width='%.2f' "
                 "stroke-linecap='round'/>",
                 ax, ay, bx, by, m->colour, size);
}

void scene_svg(const scene *frames, int n, int columns, text *out) {
    enum { FRAME = 100, GAP = 8 };
    const int across = n < columns ? n : columns, down = (n + columns - 1) / columns;
    text_add(out, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d'>\n", across * (FRAME + GAP) + GAP,
             down * (FRAME + GAP) + GAP);
    text_add(out, "<rect width='100%%' height='100%%' fill='#dddddd'/>\n");
    for (int i = 0; i < n; i++) {
        const double x = i % columns * (FRAME + GAP) + GAP, y = (double)(i / columns * (FRAME + GAP) + GAP);
        text_add(out, "<rect x='%.0f' y='%.0f' width='%d' height='%d' fill='#%06x'/>", x, y, FRAME, FRAME, PAPER);
        for (int k = 0; k < frames[i].n; k++) svg_mark(&frames[i].marks[k], x, y, out);
        text_add(out, "\n");
    }
    text_add(out, "</svg>\n");
}

/* ---- GIF ---------------------------------------------------------------------------------------- */

enum { COLOURS = 256, CODE_BITS = 8, CLEAR = 256, END = 257, CODES = 4096 };

/* The colours of all frames; those beyond 256 become the first. */
typedef struct palette {
    uint32_t colours[COLOURS];
    int n;
} palette;

static int index_of(palette *p, uint32_t colour) {
    for (int i = 0; i < p->n; i++)
        if (p->colours[i] == colour) return i;
    if (p->n == COLOURS) return 0;
    p->colours[p->n] = colour;
    return p->n++;
}

/* Writes codes of growing width, in blocks of at most 255 bytes. */
typedef struct codes {
    text *out;
    unsigned char block[255];
    int used, bits, held; /* bytes of the block; width of a code; bits that wait */
    uint32_t waiting;
} codes;

static void flush_block(codes *c) {
    if (c->used == 0) return;
    text_append(c->out, (unsigned char[]){ (unsigned char)c->used }, 1);
    text_append(c->out, c->block, (size_t)c->used);
    c->used = 0;
}

static void put_code(codes *c, int code) {
    c->waiting |= (uint32_t)code << c->held;
    for (c->held += c->bits; c->held >= 8; c->held -= 8, c->waiting >>= 8) {
        c->block[c->used++] = (unsigned char)c->waiting;
        if (c->used == (int)sizeof c->block) flush_block(c);
    }
}

/* Lempel, Ziv and Welch's compression as GIF has it: a trie of seen strings, children by colour. */
static void compress(const unsigned char *pixels, size_t n, text *out) {
    uint16_t(*child)[COLOURS] = allocate(CODES, sizeof *child);
    codes c = { .out = out, .bits = CODE_BITS + 1 };
    int next = END + 1, at = pixels[0];
    put_code(&c, CLEAR);
    for (size_t i = 1; i < n; i++) {
        const int pixel = pixels[i];
        if (child[at][pixel]) {
            at = child[at][pixel];
            continue;
        }
        put_code(&c, at);
        if (next == CODES) {
            put_code(&c, CLEAR);
            memset(child, 0, CODES * sizeof *child);
            next = END + 1;
            c.bits = CODE_BITS + 1;
        } else {
            if (next == 1 << c.bits) c.bits++;
            child[at][pixel] = (uint16_t)next++;
        }
        at = pixel;
    }
    put_code(&c, at);
    put_code(&c, END);
    if (c.held > 0) c.block[c.used++] = (unsigned char)c.waiting;
    flush_block(&c);
    text_append(out, "", 1);
    free(child);
}

static void put16(text *out, int value) {
    const unsigned char bytes[] = { (unsigned char)value, (unsigned char)(value >> 8) };
    text_append(out, bytes, sizeof bytes);
}

static void gif_head(const palette *colours, int side, text *out) {
    text_append(out, "GIF89a", 6);
    put16(out, side);
    put16(out, side);
    text_append(out, "\xF7\0\0", 3); /* 256 colours for all frames */
    for (int i = 0; i < COLOURS; i++) {
        const uint32_t colour = i < colours->n ? colours->colours[i] : 0;
        for (int k = 16; k >= 0; k -= 8) text_append(out, (unsigned char[]){ (unsigned char)(colour >> k) }, 1);
    }
    text_append(out, "\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0", 19); /* again and again */
}

static void gif_frame(const unsigned char *pixels, int side, int hundredths, text *out) {
    text_append(out, "\x21\xF9\x04\0", 4);
    put16(out, hundredths);
    text_append(out, "\0\0\x2C\0\0\0\0", 7);
    put16(out, side);
    put16(out, side);
    text_append(out, "\0\x08", 2);
    compress(pixels, (size_t)side * (size_t)side, out);
}

void scene_gif(const scene *frames, int n, int side, int hundredths, text *out) {
    const size_t all = (size_t)side * (size_t)side;
    palette colours = { .n = 0 };
    unsigned char *pixels = allocate((size_t)n, all);
    for (int i = 0; i < n; i++) {
        picture p = scene_pixels(&frames[i], side);
        for (size_t k = 0; k < all; k++) {
            const unsigned char *rgb = p.pixels + 3 * k;
            const uint32_t colour = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
            pixels[(size_t)i * all + k] = (unsigned char)index_of(&colours, colour);
        }
        free(p.pixels);
    }
    gif_head(&colours, side, out);
    for (int i = 0; i < n; i++) gif_frame(pixels + (size_t)i * all, side, hundredths, out);
    text_append(out, ";", 1);
    free(pixels);
}

/* ---- the terminal --------------------------------------------------------------------------------- */

static void print_letters(const unsigned char *upper, const unsigned char *lower) {
    static const char shades[] = " .:+*#@";
    const int dark = 6 * 255 - upper[0] - upper[1] - upper[2] - lower[0] - lower[1] - lower[2];
    putchar(shades[dark * (int)(sizeof shades - 2) / (6 * 255)]);
}

void scene_print(const scene *s, int side) {
    picture p = scene_pixels(s, side);
    const bool coloured = terminal_colours() && terminal_utf8();
    for (int row = 0; row + 1 < side; row += 2) {
        for (int column = 0; column < side; column++) {
            const unsigned char *upper = p.pixels + 3 * (row * side + column), *lower = upper + 3 * side;
            if (coloured)
                printf("\x1b[38;2;%d;%d;%dm\x1b[48;2;%d;%d;%dm\xe2\x96\x80", upper[0], upper[1], upper[2], lower[0],
                       lower[1], lower[2]);
            else
                print_letters(upper, lower);
        }
        printf(coloured ? "\x1b[0m\n" : "\n");
    }
    free(p.pixels);
}
