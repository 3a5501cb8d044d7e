/* scene_reader.c - glia_scene_read(): the scene whose picture is nearest.
 *
 * A thing with the cover C (16 x 16) and the colour v at some position adds C v to the picture x, so the sum of squares
 * |x - C v|^2 is less than |x|^2 by
 *
 *     2 sum C (x . v) - |v|^2 sum C^2
 *
 * and as two things never overlap, what they take away adds up. So the best thing of each place is found by itself.
 */
#include <math.h>
#include <string.h>

#include "data/sources/scenes.h"

enum { SIDE = GLIA_SCENE_SIDE, PATCH = GLIA_SCENE_PATCH, HALF = PATCH / 2, PIXELS = SIDE * SIDE };

typedef struct reader {
    float by_colour[GLIA_SCENE_COLOURS][SIDE][SIDE]; /* x . v */
    float lengths[GLIA_SCENE_COLOURS];               /* |v|^2 */
} reader;

/* A place's best thing, and by how much it makes the sum of squares less. */
typedef struct finding {
    glia_scene_thing thing;
    double gain;
} finding;

static double gain_of(const reader *r, int colour, int left, int top, const float *cover, float squares) {
    float sum = 0;
    for (int y = 0; y < PATCH; y++) {
        if (top + y < 0 || top + y >= SIDE) continue;
        for (int x = 0; x < PATCH; x++)
            if (left + x >= 0 && left + x < SIDE) sum += cover[y * PATCH + x] * r->by_colour[colour][top + y][left + x];
    }
    return 2 * (double)sum - (double)(r->lengths[colour] * squares);
}

static void try_object(const reader *r, glia_scene_place place, int object, bool large, finding *best) {
    float cover[PATCH * PATCH], squares = 0;
    enum { REACH = GLIA_SCENE_REACH };
    int centre[2];
    glia_scene_cover(object, large, cover);
    glia_scene_centre(place, centre);
    for (int i = 0; i < PATCH * PATCH; i++) squares += cover[i] * cover[i];
    for (int y = -REACH; y <= REACH; y++) {
        for (int x = -REACH; x <= REACH; x++) {
            for (int colour = 0; colour < GLIA_SCENE_COLOURS; colour++) {
                const double gain = gain_of(r, colour, centre[0] + x - HALF, centre[1] + y - HALF, cover, squares);
                if (gain > best->gain) *best = (finding){ { object, colour, large, x, y }, gain };
            }
        }
    }
}

double glia_scene_read(const float *pixels, glia_scene *scene) {
    if (!pixels || !scene) return NAN;
    reader r = { 0 };
    finding best[GLIA_SCENE_PLACES];
    double whole = 0;
    for (int i = 0; i < 3 * PIXELS; i++) whole += (double)pixels[i] * (double)pixels[i];
    for (int c = 0; c < GLIA_SCENE_COLOURS; c++) {
        for (int k = 0; k < 3; k++) {
            const float v = glia_scene_colours[c][k];
            r.lengths[c] += v * v;
            for (int i = 0; i < PIXELS; i++) r.by_colour[c][i / SIDE][i % SIDE] += v * pixels[k * PIXELS + i];
        }
    }
    for (int p = 0; p < GLIA_SCENE_PLACES; p++) {
        best[p] = (finding){ .gain = -INFINITY };
        for (int i = 0; i < 2 * GLIA_SCENE_OBJECTS; i++)
            try_object(&r, (glia_scene_place)p, i / 2, i % 2 == 1, &best[p]);
    }
    double gain = -INFINITY;
    for (int p = 0; p < GLIA_SCENE_PLACES; p++) {
        if (!(best[p].gain > gain)) continue;
        gain = best[p].gain;
        *scene = (glia_scene){ (glia_scene_place)p, 1, { best[p].thing } };
    }
    for (int p = 0; p < GLIA_SCENE_MIDDLE; p += 2) {
        if (!(best[p].gain + best[p + 1].gain > gain)) continue;
        gain = best[p].gain + best[p + 1].gain;
        *scene = (glia_scene){ (glia_scene_place)p, 2, { best[p].thing, best[p + 1].thing } };
    }
    return whole > 0 ? (whole - gain) / whole : 1;
}
