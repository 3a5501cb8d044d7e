/* progress.h - progress display and recording of a training.
 *
 * On a terminal a bar of its width is redrawn as samples go by and each epoch leaves a line; elsewhere there are only
 * the lines; with --log json an object for each epoch, and nothing else. Also records what the curves are drawn from:
 * in memory, and as it happens in the run folder's curves.csv (epochs) and steps.csv (steps, or stretches of them where
 * they are very many), from which a resumed training reads the rows up to its checkpoint.
 */
#ifndef GLIA_TOOL_PROGRESS_H
#define GLIA_TOOL_PROGRESS_H

#include <stdio.h>

#include "terminal/tool.h"

typedef enum voice { VOICE_BAR, VOICE_LINES, VOICE_JSON, VOICE_QUIET } voice;
/* --log NAME, or what suits stdout where that is NULL. False: there is no such name. */
bool voice_parse(const char *name, voice *out);
#define VOICE_NAMES "bar, lines, json or quiet"

/* Means over a stretch of steps that ends with `step`. */
typedef struct curve_point {
    int64_t step;
    double epoch; /* 1.5: half of the second one */
    double loss, accuracy, lr;
    double seconds; /* since training began */
} curve_point;

enum { METRICS = 16 };

typedef struct epoch_row {
    int64_t epoch, step, samples;
    double seconds; /* of training, without validation */
    glia_scores train, validation;
    double lr;
    double metrics[METRICS];
} epoch_row;

typedef struct history {
    epoch_row *epochs;
    int64_t n_epochs, epochs_capacity;
    curve_point *points;
    int64_t n_points, points_capacity;
    bool validated; /* there is validation data */
    char metrics[METRICS][64];
    int n_metrics;
    int64_t steps;
    double seconds; /* of all epochs */
    size_t activation_bytes, parameter_bytes;
} history;

/* The state of all this in a checkpoint: rows of the tables, and where the stretch that is not over began. */
typedef struct stretch {
    int64_t epochs, points;        /* rows of curves.csv and steps.csv */
    int64_t done, samples, steps;  /* samples of the epoch at its beginning; steps in it */
    double loss, accuracy_sum;     /* sum of losses in it; accuracy times samples of the epoch at its beginning */
    double seconds, epoch_seconds; /* so far; of the epoch's steps */
} stretch;

/* A table of the run folder. */
typedef struct table_file {
    char *path; /* NULL: none is kept */
    FILE *file;
    bool behind; /* rows are missing, since the disk was full */
} table_file;

typedef struct progress {
    voice voice;
    int64_t samples;    /* in an epoch */
    bool colours, utf8; /* what stdout can show */
    history history;
    stretch now;
    bool open;           /* what was before this training went on has been read */
    double drawn, began; /* when the bar was drawn last; when training began */
    double before;       /* seconds of it until it was interrupted */
    int64_t first;       /* steps that were done then */
    int64_t epoch, step; /* of the last step */
    table_file curves, steps;
} progress;

/* folder NULL: keep no files. */
void progress_begin(progress *p, voice how, int64_t samples_per_epoch, bool validated, const char *folder);
glia_callback progress_watch(progress *p);
void progress_end(progress *p); /* clears the bar */
void progress_free(progress *p);

/* Prints words behind a label of nine columns, in lines of the terminal's width. */
void progress_say(const char *label, const char *words);

/* From here on SIGINT (Ctrl-C), SIGTERM and SIGHUP ask training to end after the step in progress. A second SIGINT or
 * SIGTERM ends the program as usual; SIGHUP comes twice when a terminal is closed, and stays ignored under nohup. */
void interrupt_catch(void);
/* From here on SIGPIPE and SIGXFSZ are ignored: a write that fails is an error, not the end of the program. */
void broken_writes_survive(void);
bool interrupted(void);
/* Ends training then, after writing a checkpoint (path NULL: none); that it cannot be written is reported on stderr.
 * The last of the callbacks. */
glia_callback interrupt_watch(const char *checkpoint);

#endif
