/* scenes.c - captioned scenes: what they show, how they are drawn, and the data set of them (glia/scenes.h).
 *
 * A thing is drawn into a square of 16 pixels around its place's centre from its signed distance d to the object's
 * outline, in pixels: a pixel is covered by 1/2 - d, cut to [0, 1]. Digits are lines of a constant width. Places are
 * apart by 16 pixels, so two things never overlap.
 */
#include "data/sources/scenes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"
#include "glia/tensor.h"

/* ---- words -------------------------------------------------------------------------------------- */

enum {
    NOTHING,
    A,
    AT,
    IN,
    THE,
    OF,
    LARGE,
    SMALL,
    LEFT,
    RIGHT,
    TOP,
    BOTTOM,
    MIDDLE, /* as glia_scene_place */
    ABOVE,
    BELOW,
    COLOURS,
    OBJECTS = COLOURS + GLIA_SCENE_COLOURS,
    WORDS = OBJECTS + GLIA_SCENE_OBJECTS
};

static const char *const words[WORDS] = {
    "-",      "a",     "at",    "in",  "the",   "of",   "large",  "small",  "left",  "right",  "top",    "bottom",
    "middle", "above", "below", "red", "green", "blue", "yellow", "purple", "white", "circle", "square", "triangle",
    "cross",  "zero",  "one",   "two", "three", "four", "five",   "six",    "seven", "eight",  "nine",
};

const char *glia_scene_word(int id) { return id >= 0 && id < WORDS ? words[id] : NULL; }

static glia_status check(const glia_scene *s, glia_error *error) {
    bool good = (s->n == 1 || s->n == 2) && (unsigned)s->place < GLIA_SCENE_PLACES &&
                (s->n == 1 || s->place != GLIA_SCENE_MIDDLE);
    for (int i = 0; good && i < s->n; i++) {
        const glia_scene_thing *t = &s->things[i];
        good = (unsigned)t->object < GLIA_SCENE_OBJECTS && (unsigned)t->colour < GLIA_SCENE_COLOURS &&
               abs(t->x) <= GLIA_SCENE_SIDE && abs(t->y) <= GLIA_SCENE_SIDE;
    }
    return good ? GLIA_OK : glia_fail(error, GLIA_E_ARGUMENT, "a scene has a number outside its range");
}

static int add_thing(int32_t *ids, int n, const glia_scene_thing *t) {
    ids[n++] = A;
    ids[n++] = t->large ? LARGE : SMALL;
    ids[n++] = COLOURS + t->colour;
    ids[n++] = OBJECTS + t->object;
    return n;
}

glia_status glia_scene_caption(const glia_scene *s, int32_t *ids, glia_error *error) {
    if (!s || !ids) return glia_fail_null(error, s ? "ids" : "scene");
    const glia_status status = check(s, error);
    if (status != GLIA_OK) return status;
    memset(ids, 0, GLIA_SCENE_WORDS * sizeof *ids);
    int n = add_thing(ids, 0, &s->things[0]);
    if (s->n == 1) {
        ids[n++] = s->place == GLIA_SCENE_MIDDLE ? IN : AT;
        ids[n++] = THE;
        ids[n] = LEFT + (int32_t)s->place;
    } else {
        const bool beside = s->place == GLIA_SCENE_LEFT || s->place == GLIA_SCENE_RIGHT;
        ids[n++] = beside ? LEFT + (int32_t)s->place : s->place == GLIA_SCENE_TOP ? ABOVE : BELOW;
        if (beside) ids[n++] = OF;
        add_thing(ids, n, &s->things[1]);
    }
    return GLIA_OK;
}

static bool is_one_of(int32_t id, int first, int n) { return id >= first && id < first + n; }

/* Reads four words; false: they are no thing. */
static bool find_thing(const int32_t *ids, glia_scene_thing *t) {
    if (ids[0] != A || !is_one_of(ids[1], LARGE, 2) || !is_one_of(ids[2], COLOURS, GLIA_SCENE_COLOURS) ||
        !is_one_of(ids[3], OBJECTS, GLIA_SCENE_OBJECTS))
        return false;
    *t = (glia_scene_thing){ .object = ids[3] - OBJECTS, .colour = ids[2] - COLOURS, .large = ids[1] == LARGE };
    return true;
}

/* Reads what follows the first thing; false: it is neither a place nor a place and a second thing. */
static bool find_place(const int32_t *ids, glia_scene *s) {
    if (ids[0] == AT || ids[0] == IN) {
        if (ids[1] != THE || !is_one_of(ids[2], LEFT, GLIA_SCENE_PLACES)) return false;
        s->place = (glia_scene_place)(ids[2] - LEFT);
        return true;
    }
    s->n = 2;
    if (ids[0] == ABOVE || ids[0] == BELOW) {
        s->place = ids[0] == ABOVE ? GLIA_SCENE_TOP : GLIA_SCENE_BOTTOM;
        return find_thing(ids + 1, &s->things[1]);
    }
    s->place = ids[0] == LEFT ? GLIA_SCENE_LEFT : GLIA_SCENE_RIGHT;
    return (ids[0] == LEFT || ids[0] == RIGHT) && ids[1] == OF && find_thing(ids + 2, &s->things[1]);
}

glia_status glia_scene_of_caption(const int32_t *ids, glia_scene *s, glia_error *error) {
    if (!ids || !s) return glia_fail_null(error, ids ? "scene" : "ids");
    *s = (glia_scene){ .n = 1 };
    if (find_thing(ids, &s->things[0]) && find_place(ids + 4, s)) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "the words are no caption of a scene");
}

/* ---- outlines ------------------------------------------------------------------------------------- */

enum { HALF = GLIA_SCENE_PATCH / 2, POINTS_MOST = 18 };

/* Lines on a grid of 6 x 10, x to the right and y down: pairs x, y in halves. END is the end. */
enum { UP = 126, END = 127 };
static const int8_t digits[10][2 * POINTS_MOST] = {
    { 2, 0, 10, 0, 12, 4, 12, 16, 10, 20, 2, 20, 0, 16, 0, 4, 2, 0, END },
    { 2, 4, 6, 0, 6, 20, UP, 1, 20, 11, 20, END },
    { 0, 4, 2, 0, 10, 0, 12, 4, 12, 8, 0, 20, 12, 20, END },
    { 0, 0, 12, 0, 5, 8, 10, 9, 12, 13, 12, 16, 10, 20, 2, 20, 0, 17, END },
    { 9, 20, 9, 0, 0, 14, 12, 14, END },
    { 12, 0, 1, 0, 0, 9, 9, 8, 12, 11, 12, 17, 9, 20, 0, 20, END },
    { 10, 0, 4, 2, 0, 10, 0, 17, 3, 20, 9, 20, 12, 17, 12, 12, 9, 9, 3, 9, 0, 12, END },
    { 0, 0, 12, 0, 4, 20, END },
    { 3, 0,  9,  0,  12, 3,  12, 7,  9, 10, 3, 10, 0, 13, 0, 17, 3,  20,
      9, 20, 12, 17, 12, 13, 9,  10, 3, 10, 0, 7,  0, 3,  3, 0,  END },
    { 2, 20, 8, 18, 12, 10, 12, 3, 9, 0, 3, 0, 0, 3, 0, 8, 3, 11, 9, 11, 12, 8, END },
};

static double to_line(double x, double y, double ax, double ay, double bx, double by) {
    const double dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
    const double along = length > 0 ? fmin(fmax(((x - ax) * dx + (y - ay) * dy) / length, 0), 1) : 0;
    return hypot(x - ax - along * dx, y - ay - along * dy);
}

/* Of a digit of this half height, its lines' width included. */
static double to_digit(int digit, double x, double y, double half) {
    const double width = half / 7, unit = (half - width) / 10; /* half of the width; a step of the grid */
    double d = INFINITY;
    const int8_t *at = digits[digit];
    for (bool down = false; *at != END; at += *at == UP ? 1 : 2) {
        if (*at != UP && down)
            d = fmin(d,
                     to_line(x, y, (at[-2] - 6) * unit, (at[-1] - 10) * unit, (at[0] - 6) * unit, (at[1] - 10) * unit));
        down = *at != UP;
    }
    return d - width;
}

static double to_box(double x, double y, double w, double h) {
    const double dx = fabs(x) - w, dy = fabs(y) - h;
    return hypot(fmax(dx, 0), fmax(dy, 0)) + fmin(fmax(dx, dy), 0);
}

/* Of an object between -half and half; negative inside. */
static double distance_to(int object, double x, double y, double half) {
    switch (object) {
    case 0: return hypot(x, y) - half;
    case 1: return to_box(x, y, half * 0.88, half * 0.88);
    case 2: return fmax(y - half * 0.85, (2 * fabs(x) - (y + half * 0.95)) / 2.23606797749979); /* slopes of 2 */
    case 3: return fmin(to_box(x, y, half, half * 0.3), to_box(x, y, half * 0.3, half));
    default: return to_digit(object - 4, x, y, half);
    }
}

void glia_scene_cover(int object, bool large, float patch[GLIA_SCENE_PATCH * GLIA_SCENE_PATCH]) {
    const double half = large ? 7 : 4.5;
    for (int i = 0; i < GLIA_SCENE_PATCH * GLIA_SCENE_PATCH; i++) {
        const double x = i % GLIA_SCENE_PATCH - HALF + 0.5, y = i / GLIA_SCENE_PATCH - HALF + 0.5;
        patch[i] = (float)fmin(fmax(0.5 - distance_to(object, x, y, half), 0), 1);
    }
}

/* ---- drawing -------------------------------------------------------------------------------------- */

const float glia_scene_colours[GLIA_SCENE_COLOURS][3] = { { 1, 0.15f, 0.15f }, { 0.1f, 0.8f, 0.2f }, { 0.2f, 0.4f, 1 },
                                                          { 1, 0.9f, 0.1f },   { 0.8f, 0.2f, 1 },    { 1, 1, 1 } };

void glia_scene_centre(glia_scene_place place, int centre[2]) {
    static const int at[GLIA_SCENE_PLACES][2] = { { 8, 16 }, { 24, 16 }, { 16, 8 }, { 16, 24 }, { 16, 16 } };
    centre[0] = at[place][0], centre[1] = at[place][1];
}

/* Left and right, top and bottom are one another's. */
static glia_scene_place place_of(const glia_scene *s, int thing) {
    return thing ? (glia_scene_place)((int)s->place ^ 1) : s->place;
}

glia_status glia_scene_draw(const glia_scene *s, float *pixels, glia_error *error) {
    enum { SIDE = GLIA_SCENE_SIDE };
    if (!s || !pixels) return glia_fail_null(error, s ? "pixels" : "scene");
    const glia_status status = check(s, error);
    if (status != GLIA_OK) return status;
    memset(pixels, 0, sizeof(float) * 3 * SIDE * SIDE);
    for (int i = 0; i < s->n; i++) {
        const glia_scene_thing *t = &s->things[i];
        float patch[GLIA_SCENE_PATCH * GLIA_SCENE_PATCH];
        int centre[2];
        glia_scene_cover(t->object, t->large, patch);
        glia_scene_centre(place_of(s, i), centre);
        for (int k = 0; k < GLIA_SCENE_PATCH * GLIA_SCENE_PATCH; k++) {
            const int x = centre[0] + t->x - HALF + k % GLIA_SCENE_PATCH,
                      y = centre[1] + t->y - HALF + k / GLIA_SCENE_PATCH;
            if (x < 0 || x >= SIDE || y < 0 || y >= SIDE || patch[k] == 0) continue;
            for (int c = 0; c < 3; c++) pixels[(c * SIDE + y) * SIDE + x] = patch[k] * glia_scene_colours[t->colour][c];
        }
    }
    return GLIA_OK;
}

/* ---- which scenes ----------------------------------------------------------------------------------- */

static glia_scene_thing choose_thing(glia_rng *rng, uint64_t seed, bool held_out) {
    glia_scene_thing t = { .object = (int)glia_rng_below(rng, GLIA_SCENE_OBJECTS) };
    const int held = (int)(((uint64_t)t.object + seed % GLIA_SCENE_COLOURS) % GLIA_SCENE_COLOURS);
    const int other = (held + 1 + (int)glia_rng_below(rng, GLIA_SCENE_COLOURS - 1)) % GLIA_SCENE_COLOURS;
    t.colour = held_out ? held : other;
    t.large = glia_rng_below(rng, 2) == 1;
    return t;
}

glia_scene glia_scene_at(uint64_t seed, uint64_t index, bool held_out) {
    enum { STREAM = 0x73636E65, ALONE = 4 }; /* one scene of four has one thing */
    glia_rng rng = { .seed = seed, .stream = (uint64_t)(STREAM + held_out) << 32 ^ index };
    glia_scene s = { .n = glia_rng_below(&rng, ALONE) == 0 ? 1 : 2 };
    s.place = (glia_scene_place)glia_rng_below(&rng, s.n == 1 ? GLIA_SCENE_PLACES : GLIA_SCENE_PLACES - 1);
    for (int i = 0; i < s.n; i++) {
        s.things[i] = choose_thing(&rng, seed, held_out);
        s.things[i].x = (int)glia_rng_below(&rng, 2 * GLIA_SCENE_REACH + 1) - GLIA_SCENE_REACH;
        s.things[i].y = (int)glia_rng_below(&rng, 2 * GLIA_SCENE_REACH + 1) - GLIA_SCENE_REACH;
    }
    return s;
}

glia_dataset *glia_scenes_create(bool held_out, int64_t n, uint64_t seed, const char *name, glia_error *error) {
    enum { NUMBERS = 3 * GLIA_SCENE_SIDE * GLIA_SCENE_SIDE };
    uint8_t *x = malloc((size_t)n * NUMBERS);
    int32_t *y = malloc((size_t)n * GLIA_SCENE_WORDS * sizeof *y);
    if (!x || !y) {
        free(x);
        free(y);
        glia_fail_nomem(error);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++) {
        float pixels[NUMBERS];
        const glia_scene scene = glia_scene_at(seed, (uint64_t)i, held_out);
        glia_scene_draw(&scene, pixels, NULL);
        glia_scene_caption(&scene, y + i * GLIA_SCENE_WORDS, NULL);
        for (int k = 0; k < NUMBERS; k++) x[i * NUMBERS + k] = (uint8_t)lrintf(255 * pixels[k]);
    }
    const glia_arrays arrays = { .n = n,
                                 .x = x,
                                 .x_dtype = GLIA_U8,
                                 .x_shape = GLIA_SHAPE(3, GLIA_SCENE_SIDE, GLIA_SCENE_SIDE),
                                 .y = y,
                                 .y_dtype = GLIA_I32,
                                 .y_shape = GLIA_SHAPE(GLIA_SCENE_WORDS),
                                 .classes = WORDS };
    return glia_data_take(arrays, name, words, error);
}
