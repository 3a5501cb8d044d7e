/* window.c - the number of positions of a window, and the padding for GLIA_SAME. */
#include <stdio.h>
#include <string.h>

#include "core/ops/window.h"

/* Larger than any practical size, small enough that sums and products of two fit into 64 bits. */
static const int64_t largest = (int64_t)1 << 30;

char *glia_sizes_format(const int64_t *sizes, int n, char *text) {
    size_t at = 0;
    text[0] = 0;
    for (int i = 0; i < n && at < GLIA_SIZES_TEXT; i++) {
        int wrote = snprintf(text + at, GLIA_SIZES_TEXT - at, "%s%lld", i ? "x" : "", (long long)sizes[i]);
        at += (size_t)GLIA_MAX(wrote, 0);
    }
    return text;
}

static bool list_fits(glia_node *n, const char *name, const glia_shape *list, int axes, int64_t least) {
    if (list->rank != axes) return glia_node_fail(n, "%s has %d entries for %d spatial axes", name, list->rank, axes);
    for (int i = 0; i < axes; i++) {
        if (list->dim[i] < least || list->dim[i] > largest) {
            return glia_node_fail(n, "%s cannot be %lld", name, (long long)list->dim[i]);
        }
    }
    return true;
}

bool glia_window_places(glia_node *n, const glia_window *w, int64_t *out) {
    if (!list_fits(n, "stride", w->stride, w->axes, 1) || !list_fits(n, "padding", w->pad, w->axes, 0) ||
        !list_fits(n, "padding", w->pad_after, w->axes, 0) ||
        (w->dilation && !list_fits(n, "dilation", w->dilation, w->axes, 1))) {
        return false;
    }
    char size[GLIA_SIZES_TEXT], taps[GLIA_SIZES_TEXT], padded_text[GLIA_SIZES_TEXT];
    glia_sizes_format(w->size, w->axes, size);
    glia_sizes_format(w->taps, w->axes, taps);
    int64_t padded[GLIA_SPATIAL_AXES];
    bool fits = true, pads = false, dilated = false;
    for (int i = 0; i < w->axes; i++) {
        if (w->size[i] < 1 || w->size[i] > largest) {
            char text[GLIA_DIM_TEXT];
            return glia_node_fail(n, "a spatial size cannot be %s", glia_dim_format(w->size[i], text));
        }
        if (w->taps[i] < 1 || w->taps[i] > largest) return glia_node_fail(n, "the %s cannot be %s", w->name, taps);
        int64_t dilation = w->dilation ? w->dilation->dim[i] : 1, extent = dilation * (w->taps[i] - 1) + 1;
        padded[i] = w->pad->dim[i] + w->size[i] + w->pad_after->dim[i];
        pads = pads || padded[i] != w->size[i];
        dilated = dilated || dilation != 1;
        fits = fits && extent <= padded[i];
        out[i] = (padded[i] - extent) / w->stride->dim[i] + 1;
    }
    if (fits) return true;
    char dilation[GLIA_SIZES_TEXT] = "";
    if (dilated) glia_sizes_format(w->dilation->dim, w->axes, dilation);
    return glia_node_fail(n, "%s %s%s%s does not fit %s%s%s", w->name, taps, dilated ? " with dilation " : "", dilation,
                          size, pads ? " padded to " : "", pads ? glia_sizes_format(padded, w->axes, padded_text) : "");
}

void glia_window_same(int64_t size, int64_t taps, int64_t stride, int64_t dilation, int64_t *pad, int64_t *pad_after) {
    *pad = *pad_after = 0;
    if (size < 1 || taps < 1 || stride < 1 || dilation < 1) return;
    if (size > largest || taps > largest || stride > largest || dilation > largest) return;
    int64_t places = (size + stride - 1) / stride;
    int64_t total = (places - 1) * stride + dilation * (taps - 1) + 1 - size;
    if (total < 0) total = 0;
    *pad = total / 2;
    *pad_after = total - *pad;
}

void glia_spatial_three(const int64_t *from, int axes, int64_t fill, int64_t to[GLIA_SPATIAL_AXES]) {
    for (int i = 0; i < GLIA_SPATIAL_AXES; i++) to[i] = fill;
    memcpy(to + GLIA_SPATIAL_AXES - axes, from, (size_t)axes * sizeof *from);
}

glia_shape glia_channels_first(glia_shape shape, bool last) {
    if (!last || shape.rank < 3) return shape;
    glia_shape first = shape;
    first.dim[1] = shape.dim[shape.rank - 1];
    for (int i = 2; i < shape.rank; i++) first.dim[i] = shape.dim[i - 1];
    return first;
}

glia_shape glia_channels_last(glia_shape shape, bool last) {
    if (!last || shape.rank < 3) return shape;
    glia_shape result = shape;
    result.dim[shape.rank - 1] = shape.dim[1];
    for (int i = 2; i < shape.rank; i++) result.dim[i - 1] = shape.dim[i];
    return result;
}
