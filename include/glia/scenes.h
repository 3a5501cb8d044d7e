/* scenes.h - captioned pictures that the library draws, to see whether a model of pictures follows words.
 *
 * A scene is one or two things of an object (a shape or a digit), a colour and a size on black:
 *
 *     "a large red seven above a small blue circle"     "a small white cross at the left"
 *
 * The data set "scenes" (data.h) has pictures (3, 32, 32) with captions as targets: GLIA_SCENE_WORDS ids of words,
 * whose names are those of the classes; shorter captions end with zeros. Each object has one colour that its training
 * split never shows, and its test split shows only these: the captions of the test are combinations of known words that
 * no picture of the training had.
 */
#ifndef GLIA_SCENES_H
#define GLIA_SCENES_H

#include "glia/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { GLIA_SCENE_SIDE = 32, GLIA_SCENE_WORDS = 10, GLIA_SCENE_OBJECTS = 14, GLIA_SCENE_COLOURS = 6 };

typedef enum glia_scene_place {
    GLIA_SCENE_LEFT, /* of a thing alone; of two, of the first: left of the second */
    GLIA_SCENE_RIGHT,
    GLIA_SCENE_TOP, /* above the second */
    GLIA_SCENE_BOTTOM,
    GLIA_SCENE_MIDDLE, /* of a thing alone */
    GLIA_SCENE_PLACES
} glia_scene_place;

typedef struct glia_scene_thing {
    int object; /* 0-3: circle, square, triangle, cross; 4-13: the digits 0-9 */
    int colour; /* red, green, blue, yellow, purple, white */
    bool large;
    int x, y; /* pixels from the place's centre */
} glia_scene_thing;

typedef struct glia_scene {
    glia_scene_place place; /* of the first */
    int n;                  /* things: 1 or 2 */
    glia_scene_thing things[2];
} glia_scene;

/* Scene `index` of a seed. held_out: its things have the colours that other scenes of this seed do not give them:
 * number (object + seed) mod 6. */
GLIA_API glia_scene glia_scene_at(uint64_t seed, uint64_t index, bool held_out);
/* pixels (3, 32, 32) in [0, 1]. GLIA_E_ARGUMENT: a number of the scene is outside its range. */
GLIA_API glia_status glia_scene_draw(const glia_scene *scene, float *pixels, glia_error *error);
/* The name of a word; NULL: there is none of this id. 0, "-", is no word. */
GLIA_API const char *glia_scene_word(int id);
/* The caption's ids (GLIA_SCENE_WORDS). */
GLIA_API glia_status glia_scene_caption(const glia_scene *scene, int32_t *ids, glia_error *error);
/* The scene that a caption describes, things in the centres of their places. GLIA_E_ARGUMENT: it is no caption. */
GLIA_API glia_status glia_scene_of_caption(const int32_t *ids, glia_scene *scene, glia_error *error);

/* Reads pixels (3, 32, 32): the scene whose picture is nearest by the sum of squares, over all scenes. Of two things
 * the first is the left or the upper one. Returns what is left of the picture's sum of squares, as a share: 0 for a
 * scene drawn by the library, near 1 for other pictures; NaN: an argument is NULL. */
GLIA_API double glia_scene_read(const float *pixels, glia_scene *scene);

#ifdef __cplusplus
}
#endif

#endif
