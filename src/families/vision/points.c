/* points.c - objects as points: what a detector should give for boxes, and its losses.
 *
 * Each class has a map of scores with a peak at the middle of each of its boxes (Zhou, Wang and Krähenbühl 2019,
 * "Objects as Points"). Around the peak a Gaussian, as wide as the box, lowers the loss of other points that would
 * give nearly the same box. Points near the middle learn the distances to the four sides of the box, weighted by the
 * Gaussian, by the generalised overlap (Liu et al. 2020, "Training-Time-Friendly Network"; Rezatofighi et al. 2019).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"
#include "families/vision/detector.h"

/* ---- ends ----------------------------------------------------------------------------------- */

glia_status glia_detector_find(const glia_graph *g, glia_detector_ends *e, glia_error *error) {
    *e = (glia_detector_ends){ glia_graph_find_leaf(g, "x"), glia_graph_find_output(g, "heat"),
                               glia_graph_find_output(g, "sides"),
                               0, 0, 0, 0, 0 };
    if (!e->x || !e->heat || !e->sides)
        return glia_fail(error, GLIA_E_ARGUMENT, "a detector is a model with an input 'x', outputs 'heat' and 'sides'");
    const glia_shape x = e->x->shape, heat = e->heat->shape, sides = e->sides->shape;
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (x.rank != 4 || heat.rank != 4 || sides.rank != 4 || sides.dim[1] != 4 || heat.dim[2] != sides.dim[2] ||
        heat.dim[3] != sides.dim[3] || x.dim[2] < 1 || x.dim[3] < 1 || heat.dim[1] < 1)
        return glia_fail(error, GLIA_E_SHAPE,
                         "a detector gives 'heat' (N, classes, h, w) and 'sides' (N, 4, h, w), not %s and %s",
                         glia_shape_format(heat, a), glia_shape_format(sides, b));
    e->classes = heat.dim[1], e->height = heat.dim[2], e->width = heat.dim[3];
    e->step_x = (double)x.dim[3] / (double)e->width;
    e->step_y = (double)x.dim[2] / (double)e->height;
    return GLIA_OK;
}

glia_status glia_detector_check(const glia_dataset *data, const glia_detector_ends *e, glia_error *error) {
    const glia_shape x = data->x_shape, in = e->x->shape;
    char a[GLIA_SHAPE_TEXT];
    if (data->targets != GLIA_TARGETS_BOXES)
        return glia_fail(error, GLIA_E_ARGUMENT, "a detector needs data with boxes, as boxes:...; '%s' has none",
                         data->name);
    if (x.rank != 3 || x.dim[0] != in.dim[1] || x.dim[1] != in.dim[2] || x.dim[2] != in.dim[3])
        return glia_fail(error, GLIA_E_SHAPE, "the data '%s' have pictures %s; the model takes %lldx%lldx%lld",
                         data->name, glia_shape_format(x, a), (long long)in.dim[1], (long long)in.dim[2],
                         (long long)in.dim[3]);
    if (data->classes <= e->classes) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the data '%s' have %d classes, the model %lld", data->name, data->classes,
                     (long long)e->classes);
}

/* ---- targets -------------------------------------------------------------------------------- */

/* A box on the maps, where the points lie at whole numbers. */
typedef struct aim {
    int64_t label, row, column;    /* of the peak */
    double wide, high;             /* deviations of the Gaussian, in points */
    double left, top, right, bottom; /* in pixels */
} aim;

enum { REACH = 3 }; /* deviations of the Gaussian, and how far points around the peak learn the sides, in them */
#define SHARE 0.09 /* of the side of a box that is a deviation: 0.54 / 6 in Liu et al. */
#define LEAST 0.4 /* deviation, in points: the neighbours of a small box count less too */

static aim aim_of(const glia_detector_ends *e, const float *box) {
    aim a = { .label = (int64_t)box[0], .left = (double)box[1], .top = (double)box[2], .right = (double)box[3],
              .bottom = (double)box[4] };
    const double x = (a.left + a.right) / 2 / e->step_x, y = (a.top + a.bottom) / 2 / e->step_y;
    a.column = GLIA_MIN(GLIA_MAX((int64_t)floor(x), (int64_t)0), e->width - 1);
    a.row = GLIA_MIN(GLIA_MAX((int64_t)floor(y), (int64_t)0), e->height - 1);
    a.wide = fmax(SHARE * (a.right - a.left) / e->step_x, LEAST);
    a.high = fmax(SHARE * (a.bottom - a.top) / e->step_y, LEAST);
    return a;
}

static double gauss(const aim *a, int64_t row, int64_t column) {
    const double x = (double)(column - a->column) / a->wide, y = (double)(row - a->row) / a->high;
    return exp(-(x * x + y * y) / 2);
}

/* Calls that lie within the Gaussian's reach and the map. */
typedef struct window {
    int64_t top, left, bottom, right; /* the last included */
} window;

static window window_of(const glia_detector_ends *e, const aim *a) {
    const int64_t x = (int64_t)(REACH * a->wide), y = (int64_t)(REACH * a->high);
    return (window){ GLIA_MAX(a->row - y, (int64_t)0), GLIA_MAX(a->column - x, (int64_t)0),
                     GLIA_MIN(a->row + y, e->height - 1), GLIA_MIN(a->column + x, e->width - 1) };
}

/* negative (h, w) holds the largest Gaussian so far, positive a 1 at peaks. */
static void mark_heat(const glia_detector_ends *e, const aim *a, float *positive, float *negative) {
    const window w = window_of(e, a);
    for (int64_t i = w.top; i <= w.bottom; i++)
        for (int64_t j = w.left; j <= w.right; j++)
            negative[i * e->width + j] = fmaxf(negative[i * e->width + j], (float)gauss(a, i, j));
    positive[a->row * e->width + a->column] = 1;
}

/* Points that lie within the box learn its sides; the weights of a box sum to 1. */
static void mark_sides(const glia_detector_ends *e, const aim *a, float *sides, float *weight) {
    const window w = window_of(e, a);
    const int64_t plane = e->height * e->width;
    double sum = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = w.top; i <= w.bottom; i++) {
            for (int64_t j = w.left; j <= w.right; j++) {
                const double x = ((double)j + 0.5) * e->step_x, y = ((double)i + 0.5) * e->step_y;
                const double to[] = { x - a->left, y - a->top, a->right - x, a->bottom - y };
                if (!(to[0] > 0 && to[1] > 0 && to[2] > 0 && to[3] > 0)) continue;
                if (pass == 0) {
                    sum += gauss(a, i, j);
                    continue;
                }
                for (int k = 0; k < 4; k++) sides[k * plane + i * e->width + j] = (float)to[k];
                weight[i * e->width + j] = (float)(gauss(a, i, j) / sum);
            }
        }
    }
}

static int by_area(const void *p, const void *q) {
    const aim *a = p, *b = q;
    const double x = (a->right - a->left) * (a->bottom - a->top), y = (b->right - b->left) * (b->bottom - b->top);
    if (x != y) return x > y ? -1 : 1;
    if (a->row != b->row) return a->row < b->row ? -1 : 1;
    return (a->column > b->column) - (a->column < b->column);
}

/* One picture; where boxes share a point the smallest has it. Returns the number of boxes. */
static int64_t aim_picture(const glia_detector_ends *e, const float *boxes, int64_t most, aim *aims,
                           const glia_detector_targets *out) {
    const int64_t plane = e->height * e->width;
    int64_t n = 0;
    for (int64_t i = 0; i < most; i++)
        if (boxes[i * GLIA_BOX_NUMBERS] >= 0) aims[n++] = aim_of(e, boxes + i * GLIA_BOX_NUMBERS);
    qsort(aims, (size_t)n, sizeof *aims, by_area);
    for (int64_t i = 0; i < 4 * plane; i++) out->sides[i] = 1;
    memset(out->weight, 0, (size_t)plane * sizeof(float));
    memset(out->positive, 0, (size_t)(e->classes * plane) * sizeof(float));
    memset(out->negative, 0, (size_t)(e->classes * plane) * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        mark_heat(e, &aims[i], out->positive + aims[i].label * plane, out->negative + aims[i].label * plane);
        mark_sides(e, &aims[i], out->sides, out->weight);
    }
    return n;
}

glia_status glia_detector_aim(const glia_detector_ends *e, const float *boxes, int64_t n, int64_t most,
                              const glia_detector_targets *out, glia_error *error) {
    const int64_t plane = e->height * e->width;
    int64_t total = 0;
    aim *aims = malloc((size_t)most * sizeof *aims);
    if (!aims) return glia_fail_nomem(error);
    for (int64_t i = 0; i < n; i++) {
        const glia_detector_targets one = { out->positive + i * e->classes * plane,
                                            out->negative + i * e->classes * plane, out->sides + i * 4 * plane,
                                            out->weight + i * plane };
        total += aim_picture(e, boxes + i * most * GLIA_BOX_NUMBERS, most, aims, &one);
    }
    free(aims);
    const float share = 1 / (float)GLIA_MAX(total, (int64_t)1);
    for (int64_t i = 0; i < n * e->classes * plane; i++) {
        const float away = 1 - out->negative[i];
        out->negative[i] = out->positive[i] > 0 ? 0 : away * away * away * away * share;
        out->positive[i] *= share;
    }
    for (int64_t i = 0; i < n * plane; i++) out->weight[i] *= share;
    return GLIA_OK;
}

/* ---- losses --------------------------------------------------------------------------------- */

static glia_tensor target(const glia_detector_ends *e, const char *name, int64_t channels) {
    return glia_input(e->heat->graph, name, GLIA_F32, GLIA_SHAPE(GLIA_BATCH, channels, e->height, e->width));
}

static glia_tensor side(glia_tensor sides, int k) {
    const glia_shape s = sides->shape;
    return glia_slice(sides, GLIA_SHAPE(0, k, 0, 0), GLIA_SHAPE(s.dim[0], k + 1, s.dim[2], s.dim[3]),
                      GLIA_SHAPE(1, 1, 1, 1));
}

static glia_tensor area(glia_tensor left, glia_tensor top, glia_tensor right, glia_tensor bottom) {
    return glia_mul(glia_add(left, right), glia_add(top, bottom));
}

/* 1 - GIoU of two boxes around the same point: 1 - both / either + (hull - either) / hull. */
static glia_tensor missed_overlap(glia_tensor sides, glia_tensor wanted) {
    glia_tensor a[4], b[4], low[4], high[4];
    for (int k = 0; k < 4; k++) {
        a[k] = side(sides, k), b[k] = side(wanted, k);
        low[k] = glia_minimum(a[k], b[k]), high[k] = glia_maximum(a[k], b[k]);
    }
    glia_tensor both = area(low[0], low[1], low[2], low[3]), hull = area(high[0], high[1], high[2], high[3]);
    glia_tensor either =
        glia_sub(glia_add(area(a[0], a[1], a[2], a[3]), area(b[0], b[1], b[2], b[3])), both);
    glia_tensor giou = glia_add(glia_div(both, either), glia_add_scalar(glia_div(either, hull), -1));
    return glia_add_scalar(glia_neg(giou), 1);
}

/* -positive (1 - p)^2 log p - negative p^2 log(1 - p), p = sigmoid(heat) */
void glia_detector_losses(const glia_detector_ends *e, glia_tensor *heat, glia_tensor *overlap) {
    glia_tensor z = e->heat, p = glia_sigmoid(z), rest = glia_sigmoid(glia_neg(z));
    glia_tensor found = glia_mul(glia_square(rest), glia_softplus(glia_neg(z)));
    glia_tensor refused = glia_mul(glia_square(p), glia_softplus(z));
    *heat = glia_sum(glia_add(glia_mul(target(e, "target/positive", e->classes), found),
                              glia_mul(target(e, "target/negative", e->classes), refused)),
                     GLIA_SHAPE(0, 1, 2, 3), false);
    glia_tensor missed = missed_overlap(e->sides, target(e, "target/sides", 4));
    *overlap = glia_sum(glia_mul(target(e, "target/weight", 1), missed), GLIA_SHAPE(0, 1, 2, 3), false);
}
