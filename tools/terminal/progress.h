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
/* Parses --log NAME; NULL: chosen by the kind of stdout. False: the name is unknown. */
bool voice_parse(const char *name, voice *out);
#define VOICE_NAMES "bar, lines, json or quiet"

/* Means over a stretch of steps ending with `step`. */
typedef struct curve_point {
    int64_t step;
    double epoch; /* 1.5: in the middle of the second epoch */
    double loss, accuracy, lr;
    double seconds; /* since training began */
} curve_point;

enum { METRICS = 16 };
/* The name of a metric without "val_". */
const char *metric_label(const char *name);

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

/* The state in a checkpoint: the rows of the tables, and the beginning of the current stretch. */
typedef struct stretch {
    int64_t epochs, points;        /* rows of curves.csv and steps.csv */
    int64_t done, samples, steps;  /* samples of the epoch before the stretch; steps in the stretch */
    double loss, accuracy_sum;     /* sum of its losses; accuracy times samples of the epoch before the stretch */
    double seconds, epoch_seconds; /* so far; of the epoch's steps */
} stretch;

/* A table of the run folder. */
typedef struct table_file {
    char *path; /* NULL: no file */
    FILE *file;
    bool behind; /* rows are missing because a write failed */
} table_file;

typedef struct progress {
    voice voice;
    int64_t samples;    /* in an epoch */
    bool colours, utf8; /* supported by stdout */
    history history;
    stretch now;
    bool open;           /* the tables are open, with the rows of a resumed training read */
    double drawn, began; /* time of the last drawing of the bar; start time of training */
    double before;       /* seconds of a resumed training before the interruption */
    int64_t first;       /* its steps before the interruption */
    int64_t epoch, step; /* of the last step */
    table_file curves, steps;
} progress;

/* folder NULL: keep no files. */
void progress_begin(progress *p, voice how, int64_t samples_per_epoch, bool validated, const char *folder);
glia_callback progress_watch(progress *p);
void progress_end(progress *p); /* clears the bar */
void progress_free(progress *p);

/* Prints words after a label of nine columns, wrapped to the terminal's width. */
void progress_say(const char *label, const char *words);

/* Installs handlers: SIGINT (Ctrl-C), SIGTERM and SIGHUP end training after the current step. A second SIGINT or
 * SIGTERM ends the program as usual. A second SIGHUP does not, because closing a terminal sends two; under nohup it
 * stays ignored. */
void interrupt_catch(void);
/* Ignores SIGPIPE and SIGXFSZ, so that a failing write is an error and does not end the program. */
void broken_writes_survive(void);
bool interrupted(void);
/* Ends training then, after writing a checkpoint (path NULL: none); that it cannot be written is reported on stderr.
 * The last of the callbacks. */
glia_callback interrupt_watch(const char *checkpoint);

#endif
