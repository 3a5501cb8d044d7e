/* strokes.c - synthetic handwritten digits, for machines without data files or a network.
 *
 * A drawing starts from one of several templates for its digit: strokes, each a list of points along the pen's path, on
 * a grid of 100 x 100. The variations of handwriting are then applied at random:
 *
 *     points jittered -> ends shortened or extended -> smooth curves (Catmull and Rom 1974) -> displacement by a
 *     smooth random field (elastic distortion; Simard, Steinkraus and Platt 2003) -> width, slant, rotation ->
 *     fitted into about 20 x 20 of 28 x 28 pixels around the centre of mass (as in MNIST) -> inked by distance to
 *     the pen's path, whose width follows the pressure -> slight blur, uneven paper and ink
 *
 * A drawing is a pure function of (seed, index): random words are Philox's with the index in the counter. Only sums,
 * products, quotients and square roots are used, so a drawing does not depend on a library's sine.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"

enum { SIZE = 28, STRIDE = 40, MARGIN = 4, PARTS = 6, POINTS_MOST = 24, PATH_MOST = 256, GRID = 6, PIECE = 64 };

/* ---- digit templates ---------------------------------------------------------------------- */

/* Pairs x, y, x to the right and y down. A repeated point is a corner; UP lifts the pen, END is the end. */
enum { UP = 126, END = 127 };

typedef struct way {
    int digit, weight; /* relative frequency among the templates of the digit */
    int8_t points[2 * POINTS_MOST + 4];
} way;

static const way ways[] = {
    { 0, 4, { 58, 2, 34, 6, 12, 30, 9, 62, 26, 92, 52, 100, 80, 88, 92, 54, 84, 20, 62, 3, 46, 5, END } },
    { 0, 3, { 76, 14, 50, 0, 20, 18, 10, 55, 30, 95, 60, 97, 88, 66, 86, 26, 66, 6, 42, 12, END } },
    { 0, 2, { 40, 4, 14, 28, 10, 66, 34, 99, 70, 94, 90, 60, 82, 18, 52, 1, 36, 10, END } },
    { 1, 5, { 50, 0, 50, 33, 50, 66, 50, 100, END } },
    { 1, 4, { 62, 0, 54, 33, 46, 66, 38, 100, END } },
    { 1, 2, { 30, 24, 54, 1, 54, 1, 52, 50, 50, 100, END } },
    { 1, 1, { 28, 24, 54, 1, 54, 1, 52, 50, 50, 98, UP, 22, 99, 50, 98, 80, 97, END } },
    { 2, 4, { 12, 25, 26, 6, 54, 0, 80, 14, 78, 38, 55, 62, 28, 85, 8, 98, 8, 98, 50, 95, 94, 96, END } },
    { 2, 4, { 14, 22, 38, 2, 70, 6, 82, 30, 62, 62, 34, 88, 14, 97, 8, 86, 26, 78, 56, 90, 96, 94, END } },
    { 2, 2, { 16, 16, 46, 2, 78, 10, 80, 36, 52, 68, 14, 96, 14, 96, 48, 88, 92, 100, END } },
    { 3, 4, { 15, 12, 45, 0, 78, 12, 72, 36, 40, 47, 40, 47, 80, 58, 86, 82, 54, 100, 10, 90, END } },
    { 3, 2, { 12, 5, 46, 4, 80, 4, 80, 4, 44, 42, 44, 42, 82, 58, 82, 86, 46, 100, 10, 90, END } },
    { 3, 3, { 14, 18, 44, 0, 74, 12, 70, 34, 44, 46, 36, 45, 46, 43, 78, 58, 80, 84, 46, 100, 12, 92, END } },
    { 4, 4, { 20, 4, 14, 34, 12, 57, 12, 57, 50, 55, 90, 50, UP, 74, 10, 70, 52, 66, 100, END } },
    { 4, 2, { 62, 0, 38, 28, 8, 62, 8, 62, 50, 63, 96, 60, UP, 63, 2, 62, 50, 60, 100, END } },
    { 4, 3, { 18, 5, 12, 36, 28, 56, 60, 50, 82, 28, 86, 4, 86, 4, 80, 50, 74, 100, END } },
    { 4, 2, { 30, 0, 20, 26, 8, 52, 8, 52, 44, 54, 88, 44, UP, 80, 0, 62, 48, 50, 100, END } },
    { 5, 4, { 30, 5, 22, 42, 22, 42, 54, 38, 84, 56, 80, 86, 46, 100, 10, 90, UP, 30, 5, 58, 5, 92, 2, END } },
    { 5, 3, { 88, 4, 56, 4, 32, 6, 32, 6, 24, 42, 24, 42, 56, 40, 82, 60, 76, 88, 44, 100, 10, 94, END } },
    { 5, 2, { 88, 4, 54, 2, 30, 16, 34, 40, 66, 54, 80, 76, 54, 98, 12, 94, END } },
    { 6, 4, { 72, 2, 40, 20, 14, 56, 18, 88, 48, 100, 80, 84, 78, 60, 50, 54, 22, 72, END } },
    { 6, 3, { 56, 0, 36, 34, 20, 70, 32, 97, 62, 98, 80, 80, 64, 62, 40, 68, 26, 86, END } },
    { 6, 2, { 44, 0, 24, 32, 14, 70, 36, 99, 72, 92, 78, 70, 54, 58, 30, 70, 22, 82, END } },
    { 7, 4, { 8, 8, 50, 6, 88, 5, 88, 5, 62, 45, 40, 100, END } },
    { 7, 2, { 8, 8, 50, 6, 88, 5, 88, 5, 62, 45, 42, 100, UP, 30, 54, 56, 50, 82, 48, END } },
    { 7, 2, { 12, 24, 14, 6, 14, 6, 50, 7, 90, 5, 90, 5, 62, 48, 50, 100, END } },
    { 7, 3, { 8, 14, 40, 4, 78, 6, 84, 18, 60, 56, 46, 100, END } },
    { 8, 4, { 74, 14, 46, 0, 20, 16, 34, 40, 66, 58, 80, 80, 50, 100, 18, 82, 36, 56, 68, 36, 80, 16, 64, 4, END } },
    { 8,
      2,
      { 52, 46, 24, 34, 28, 8, 54, 0, 78, 14, 74, 36, 52, 46, 22, 64, 20, 90, 50, 100, 82, 88, 80, 62, 50, 45, END } },
    { 8, 2, { 82, 10, 54, 4, 28, 18, 36, 42, 64, 60, 70, 84, 44, 100, 22, 82, 40, 58, 66, 38, 86, 8, END } },
    { 9, 4, { 80, 16, 54, 2, 22, 14, 18, 38, 44, 50, 74, 36, 84, 12, 84, 12, 80, 55, 72, 100, END } },
    { 9, 3, { 80, 20, 52, 0, 20, 18, 24, 42, 52, 48, 80, 26, 82, 42, 74, 78, 50, 100, 20, 92, END } },
    { 9, 3, { 76, 14, 48, 2, 20, 20, 32, 44, 62, 38, 80, 12, 68, 56, 50, 100, END } },
};

/* ---- random numbers ----------------------------------------------------------------------- */

typedef struct chance {
    uint32_t key[2], counter[4], word[4];
    int left;
} chance;

static uint32_t bits(chance *c) {
    if (c->left == 0) {
        glia_philox(c->key, c->counter, c->word);
        c->counter[0]++;
        c->left = 4;
    }
    return c->word[--c->left];
}

static float between(chance *c, float low, float high) { return low + (high - low) * (float)(bits(c) >> 8) * 0x1p-24f; }

/* Approximately N(0, stddev): the sum of four uniform numbers, bounded by 3.5 standard deviations. */
static float about(chance *c, float stddev) {
    uint32_t a = bits(c), b = bits(c);
    int32_t sum = (int32_t)((a & 0xFFFF) + (a >> 16) + (b & 0xFFFF) + (b >> 16)) - 2 * 0xFFFF;
    return (float)sum * (1.7320508f / 65535) * stddev;
}

/* ---- the pen's path ----------------------------------------------------------------------- */

typedef struct spot {
    float x, y, pressure;
    bool down; /* ink between the previous spot and this one */
} spot;

typedef struct path {
    spot spots[PATH_MOST];
    int n;
} path;

/* Parameters of a handwriting. */
typedef struct hand {
    float jitter, tension;       /* jitter of points; tension of curves: 0.5 is Catmull-Rom, lower is more angular */
    float xx, xy, yx, yy;        /* matrix of width, slant and rotation */
    float size, radius, edge;    /* in pixels: digit size, pen radius, softness of the pen's edge */
    float pressure;              /* standard deviation along a stroke */
    float gain, blur, grain;     /* of the ink */
    float field[2][GRID * GRID]; /* elastic displacement at the knots of a B-spline */
} hand;

static hand choose_hand(chance *c) {
    hand h = { .jitter = between(c, 1.5f, 5), .tension = between(c, 0.36f, 0.56f) };
    float width = between(c, 0.5f, 1), slant = about(c, 0.23f) - 0.13f, turn = about(c, 0.115f);
    float sine = turn - turn * turn * turn / 6, cosine = 1 - turn * turn / 2; /* for small angles */
    h.xx = cosine * width;
    h.xy = cosine * slant - sine;
    h.yx = sine * width;
    h.yy = cosine + sine * slant;
    h.size = 19.2f + about(c, 0.8f);
    float heavy = between(c, 0, 1);
    h.radius = 0.92f + 0.8f * heavy * (0.35f + 0.65f * heavy) + about(c, 0.08f);
    h.edge = between(c, 0.95f, 1.6f);
    h.pressure = between(c, 0.02f, 0.16f);
    h.gain = between(c, 1.0f, 1.35f);
    h.blur = between(c, 0, 0.11f);
    h.grain = between(c, 0, 0.08f);
    float strength = between(c, 2, 14);
    for (int i = 0; i < GRID * GRID; i++) h.field[0][i] = about(c, strength), h.field[1][i] = about(c, strength);
    return h;
}

/* Uniform cubic B-spline weights of four neighbouring knots; t in [0, 1] is the position between the inner two. */
static void spline_weights(float t, float w[4]) {
    float s = 1 - t;
    w[0] = s * s * s / 6;
    w[1] = (3 * t * t * t - 6 * t * t + 4) / 6;
    w[2] = (3 * s * s * s - 6 * s * s + 4) / 6;
    w[3] = t * t * t / 6;
}

/* Displaces a spot by the field, which spans [0, 100] x [0, 100]. */
static void displace(const hand *h, spot *p) {
    const float cells = GRID - 3;
    float u = GLIA_MIN(GLIA_MAX(p->x * (cells / 100), 0), cells - 0.001f),
          v = GLIA_MIN(GLIA_MAX(p->y * (cells / 100), 0), cells - 0.001f);
    int iu = (int)u, iv = (int)v;
    float wu[4], wv[4], dx = 0, dy = 0;
    spline_weights(u - (float)iu, wu);
    spline_weights(v - (float)iv, wv);
    for (int j = 0; j < 4; j++) {
        for (int i = 0; i < 4; i++) {
            int knot = (iv + j) * GRID + iu + i;
            dx += wu[i] * wv[j] * h->field[0][knot];
            dy += wu[i] * wv[j] * h->field[1][knot];
        }
    }
    p->x += dx;
    p->y += dy;
}

static void add_spot(path *p, spot s) {
    if (p->n < PATH_MOST) p->spots[p->n++] = s;
}

/* Adds the cubic Hermite curve through n points, PARTS pieces per segment. The tangent at a point is `tension` times
 * the difference of its neighbours. A repeated point is a corner: it ends one curve and starts the next. */
static void add_curve(path *p, const spot *points, int n, float tension) {
    add_spot(p, (spot){ points[0].x, points[0].y, points[0].pressure, false });
    for (int i = 0; i + 1 < n; i++) {
        const spot *a = &points[i], *b = &points[i + 1], *before = &points[GLIA_MAX(i - 1, 0)],
                   *after = &points[GLIA_MIN(i + 2, n - 1)];
        if (a->x == b->x && a->y == b->y) continue;
        float ax = tension * (b->x - before->x), ay = tension * (b->y - before->y);
        float bx = tension * (after->x - a->x), by = tension * (after->y - a->y);
        for (int k = 1; k <= PARTS; k++) {
            float t = (float)k / PARTS, s = 1 - t;
            float wa = s * s * (1 + 2 * t), wb = t * t * (1 + 2 * s), ta = s * s * t, tb = -t * t * s;
            add_spot(p, (spot){ wa * a->x + wb * b->x + ta * ax + tb * bx, wa * a->y + wb * b->y + ta * ay + tb * by,
                                s * a->pressure + t * b->pressure, true });
        }
    }
}

/* Adds one stroke of a template: points jittered, ends moved along their direction. Returns the end of its points. */
static const int8_t *add_stroke(path *p, const int8_t *at, const hand *h, chance *c) {
    spot points[POINTS_MOST];
    int n = 0;
    for (const int8_t *start = at; *at < UP && n < POINTS_MOST; at += 2) {
        if (at > start && at[0] == at[-2] && at[1] == at[-1]) {
            points[n] = points[n - 1];
        } else {
            points[n] =
                (spot){ at[0] + about(c, h->jitter), at[1] + about(c, h->jitter), 1 + about(c, h->pressure), true };
        }
        n++;
    }
    float first = about(c, 0.13f), last = about(c, 0.13f); /* above 0: longer */
    spot *a = &points[0], *b = &points[n - 1], next = points[1], before = points[n - 2];
    a->x += first * (a->x - next.x), a->y += first * (a->y - next.y);
    b->x += last * (b->x - before.x), b->y += last * (b->y - before.y);
    add_curve(p, points, n, h->tension);
    return at;
}

static const way *choose_way(int digit, chance *c) {
    int total = 0;
    for (int i = 0; i < GLIA_COUNT(ways); i++) total += ways[i].digit == digit ? ways[i].weight : 0;
    int pick = (int)((uint64_t)bits(c) * (uint64_t)total >> 32);
    const way *w = ways;
    while (w->digit != digit || (pick -= w->weight) >= 0) w++;
    return w;
}

/* Transforms the path to pixels: scaled so that path and pen fill `size`, centre of mass in the middle. */
static void fit(path *p, const hand *h, chance *c) {
    float left = 1e9f, right = -1e9f, top = 1e9f, bottom = -1e9f;
    for (int i = 0; i < p->n; i++) {
        spot *s = &p->spots[i];
        displace(h, s);
        float x = h->xx * s->x + h->xy * s->y, y = h->yx * s->x + h->yy * s->y;
        s->x = x, s->y = y;
        left = GLIA_MIN(left, x), right = GLIA_MAX(right, x), top = GLIA_MIN(top, y), bottom = GLIA_MAX(bottom, y);
    }
    float scale = (h->size - 2 * h->radius) / GLIA_MAX(GLIA_MAX(right - left, bottom - top), 1.0f);
    float mass = 0, mx = 0, my = 0;
    for (int i = 1; i < p->n; i++) {
        const spot *a = &p->spots[i - 1], *b = &p->spots[i];
        float dx = b->x - a->x, dy = b->y - a->y, m = b->down ? sqrtf(dx * dx + dy * dy) : 0;
        mass += m, mx += m * (a->x + b->x) / 2, my += m * (a->y + b->y) / 2;
    }
    float x0 = SIZE / 2.0f + about(c, 0.7f) - scale * mx / GLIA_MAX(mass, 1.0f);
    float y0 = SIZE / 2.0f + about(c, 0.7f) - scale * my / GLIA_MAX(mass, 1.0f);
    float near = 1.5f + 1.2f * h->radius, far = SIZE - near; /* keeps the drawing inside */
    x0 += GLIA_MAX(near - (x0 + scale * left), 0) - GLIA_MAX(x0 + scale * right - far, 0);
    y0 += GLIA_MAX(near - (y0 + scale * top), 0) - GLIA_MAX(y0 + scale * bottom - far, 0);
    for (int i = 0; i < p->n; i++) {
        p->spots[i].x = x0 + scale * p->spots[i].x, p->spots[i].y = y0 + scale * p->spots[i].y;
    }
}

/* ---- ink ---------------------------------------------------------------------------------- */

/* MARGIN extra rows and columns on each side. */
typedef struct paper {
    float ink[SIZE + 2 * MARGIN][STRIDE];
} paper;

/* Inks pixels within `radius` of the line from a to b. The signed distance to the edge of a pixel at distance d is
 * approximated by (r^2 - d^2) / 2r, which is close to r - d near the edge and needs no square root. */
static void ink_line(paper *page, const spot *a, const spot *b, float radius, float edge) {
    float reach = radius + edge / 2;
    int top = (int)(GLIA_MIN(a->y, b->y) - reach), bottom = (int)(GLIA_MAX(a->y, b->y) + reach);
    int left = (int)(GLIA_MIN(a->x, b->x) - reach), right = (int)(GLIA_MAX(a->x, b->x) + reach);
    top = GLIA_MAX(top, -MARGIN), bottom = GLIA_MIN(bottom, SIZE + MARGIN - 1);
    left = GLIA_MAX(left, -MARGIN), right = GLIA_MIN(right, SIZE + MARGIN - 1);
    float dx = b->x - a->x, dy = b->y - a->y, length2 = dx * dx + dy * dy, inverse = length2 > 0 ? 1 / length2 : 0;
    float slope = 1 / (2 * radius * edge), r2 = radius * radius;
    for (int y = top; y <= bottom; y++) {
        float py = (float)y + 0.5f - a->y;
        for (int x = left; x <= right; x += 4) {
            float *ink = &page->ink[y + MARGIN][x + MARGIN];
            float px = (float)x + 0.5f - a->x;
            for (int k = 0; k < 4; k++) {
                float qx = px + (float)k, t = (qx * dx + py * dy) * inverse;
                t = t > 0 ? t : 0;
                t = t < 1 ? t : 1;
                float ex = qx - t * dx, ey = py - t * dy;
                float cover = 0.5f + (r2 - (ex * ex + ey * ey)) * slope;
                ink[k] = cover > ink[k] ? cover : ink[k];
            }
        }
    }
}

/* Blurs with (b, 1 - 2b, b) along both axes, adds ink noise and rounds to bytes. */
static void finish(paper *page, const hand *h, chance *c, uint8_t pixels[SIZE * SIZE]) {
    float across[SIZE + 2][SIZE], b = h->blur, m = 1 - 2 * b;
    for (int y = 0; y < SIZE + 2; y++) {
        float *row = page->ink[y + MARGIN - 1] + MARGIN;
        for (int x = -1; x <= SIZE; x++) row[x] = row[x] < 1 ? row[x] : 1;
        for (int x = 0; x < SIZE; x++) across[y][x] = m * row[x] + b * (row[x - 1] + row[x + 1]);
    }
    float scale = 255 * h->gain, grain = h->grain * 0x1p-7f;
    for (int y = 0; y < SIZE; y++) {
        for (int x = 0; x < SIZE; x += 4) {
            uint32_t noise = bits(c);
            for (int k = 0; k < 4; k++, noise >>= 8) {
                float ink = m * across[y + 1][x + k] + b * (across[y][x + k] + across[y + 2][x + k]);
                float v = scale * ink * (1 + grain * ((float)(noise & 255) - 160)) + 0.5f;
                pixels[y * SIZE + x + k] = (uint8_t)(v < 255 ? v : 255);
            }
        }
    }
}

int glia_strokes_draw(uint64_t seed, uint64_t index, uint8_t pixels[SIZE * SIZE]) {
    chance c = { .key = { (uint32_t)seed ^ 0x4B525453u,
                          (uint32_t)(seed >> 32) }, /* distinct from other uses of the seed */
                 .counter = { 0, 0, (uint32_t)index, (uint32_t)(index >> 32) } };
    int digit = (int)((uint64_t)bits(&c) * 10 >> 32);
    const way *w = choose_way(digit, &c);
    hand h = choose_hand(&c);
    path p;
    p.n = 0;
    for (const int8_t *at = w->points; *at != END; at += *at == UP) at = add_stroke(&p, at, &h, &c);
    fit(&p, &h, &c);

    paper page = { 0 };
    for (int i = 1; i < p.n; i++) {
        const spot *a = &p.spots[i - 1], *b = &p.spots[i];
        float pressure = GLIA_MAX((a->pressure + b->pressure) / 2, 0.5f);
        if (b->down) ink_line(&page, a, b, GLIA_MAX(h.radius * pressure, 0.55f), h.edge);
    }
    finish(&page, &h, &c, pixels);
    return digit;
}

/* ---- data sets ---------------------------------------------------------------------------- */

typedef struct batch {
    uint64_t seed;
    int64_t first, n;
    uint8_t *pixels;
    int32_t *labels;
} batch;

static void draw_piece(void *context, int64_t piece, int worker) {
    const batch *b = context;
    (void)worker;
    for (int64_t i = piece * PIECE; i < GLIA_MIN((piece + 1) * PIECE, b->n); i++) {
        b->labels[i] = glia_strokes_draw(b->seed, (uint64_t)(b->first + i), b->pixels + i * SIZE * SIZE);
    }
}

glia_dataset *glia_strokes_create(int64_t first, int64_t n, uint64_t seed, const char *name, glia_error *error) {
    if (n < 1 || n > (int64_t)1 << 31) {
        glia_fail(error, GLIA_E_ARGUMENT, "%lld drawings; the number must be from 1 to 2^31", (long long)n);
        return NULL;
    }
    glia_pool *pool = glia_pool_create(0, error);
    if (!pool) return NULL;
    batch b = { seed, first, n, malloc((size_t)n * SIZE * SIZE), malloc((size_t)n * sizeof *b.labels) };
    glia_dataset *data = NULL;
    if (b.pixels && b.labels) {
        glia_parallel_for(pool, (n + PIECE - 1) / PIECE, draw_piece, &b);
        glia_arrays arrays = { .n = n,
                               .x = b.pixels,
                               .x_dtype = GLIA_U8,
                               .x_shape = GLIA_SHAPE(1, SIZE, SIZE),
                               .y = b.labels,
                               .y_dtype = GLIA_I32,
                               .classes = 10 };
        data = glia_data_take(arrays, name, NULL, error);
    } else {
        glia_fail_nomem(error);
        free(b.pixels);
        free(b.labels);
    }
    glia_pool_free(pool);
    return data;
}

glia_dataset *glia_data_strokes(int64_t n, uint64_t seed, glia_error *error) {
    return glia_strokes_create(0, n, seed, "strokes", error);
}
