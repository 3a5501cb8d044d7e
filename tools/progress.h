/* progress.h - training, as it is watched.
 *
 * On a terminal a bar of its width is redrawn as samples go by and each epoch leaves a line; elsewhere there are only
 * the lines; with --json an object for each epoch, and nothing else. Also records what the curves are drawn from.
 */
#ifndef GLIA_TOOL_PROGRESS_H
#define GLIA_TOOL_PROGRESS_H

#include "tool.h"

typedef enum voice { VOICE_PEOPLE, VOICE_JSON, VOICE_QUIET } voice;

/* Means over a stretch of training that ends at `epoch` (1.5: half of the second one). */
typedef struct curve_point {
    double epoch, loss, accuracy;
} curve_point;

typedef struct epoch_row {
    int64_t epoch, samples;
    double seconds; /* of training, without validation */
    glia_scores train, validation;
} epoch_row;

typedef struct history {
    epoch_row *epochs;
    int64_t n_epochs, epochs_capacity;
    curve_point *points;
    int64_t n_points, points_capacity;
    bool validated; /* there is validation data */
    int64_t steps;
    double seconds; /* of all epochs */
    size_t activation_bytes, parameter_bytes;
} history;

typedef struct progress {
    voice voice;
    int64_t samples;         /* in an epoch */
    bool bar, colours, utf8; /* what stdout can show */
    history history;
    double drawn, began; /* when the bar was drawn last, when training began */
    curve_point mark;    /* samples, and sums over them, at the last point of the curve */
    int64_t epoch, step; /* of the last step */
} progress;

void progress_begin(progress *p, voice how, int64_t samples_per_epoch, bool validated);
glia_callback progress_watch(progress *p);
void progress_end(progress *p);                              /* clears the bar */
void progress_free(progress *p);

/* From here on Ctrl-C ends training after the step in progress; a second one ends the program as usual. */
void interrupt_catch(void);
bool interrupted(void);

#endif
