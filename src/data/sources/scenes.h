/* scenes.h - what drawing and reading scenes share. */
#ifndef GLIA_SRC_DATA_SOURCES_SCENES_H
#define GLIA_SRC_DATA_SOURCES_SCENES_H

#include "glia/data.h"
#include "glia/scenes.h"

/* A side of the square into which a thing is drawn, and how far its centre lies from the place's at most. */
enum { GLIA_SCENE_PATCH = 16, GLIA_SCENE_REACH = 1 };

extern const float glia_scene_colours[GLIA_SCENE_COLOURS][3];
/* x and y of a place's centre. */
void glia_scene_centre(glia_scene_place place, int centre[2]);
/* How much of each pixel an object covers whose centre is the patch's. */
void glia_scene_cover(int object, bool large, float patch[GLIA_SCENE_PATCH * GLIA_SCENE_PATCH]);

/* The first n scenes of `seed`; held_out as in glia_scene_at(). */
glia_dataset *glia_scenes_create(bool held_out, int64_t n, uint64_t seed, const char *name, glia_error *error);

#endif
