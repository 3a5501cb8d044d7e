/* film.h - drawings beside each other. */
#ifndef GLIA_SRC_FAMILIES_EVOLUTION_FILM_H
#define GLIA_SRC_FAMILIES_EVOLUTION_FILM_H

#include "base/base.h"

enum { GLIA_FRAME = 360, GLIA_FILM = 16 }; /* sides of a frame; frames of a film at most */

typedef struct glia_film {
    char *frames[GLIA_FILM];
    int n;
    bool failed; /* out of memory, or too many */
} glia_film;
/* Takes over an SVG of GLIA_FRAME by GLIA_FRAME; NULL: failed. */
void glia_film_add(glia_film *film, char *svg);
/* One SVG with all frames by rows of four, and frees them. NULL: it has failed. Release with free(). */
char *glia_film_end(glia_film *film, glia_error *error);

#endif
