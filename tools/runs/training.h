/* training.h - one run of training, from settings to a run folder. Used by `glia train` and `glia demo`. */
#ifndef GLIA_TOOL_TRAINING_H
#define GLIA_TOOL_TRAINING_H

#include "glia/glia.h"
#include "runs/folder.h"
#include "runs/history.h"
#include "runs/settings.h"
#include "terminal/progress.h"
#include "terminal/tool.h"

enum { PARAMETER_GROUPS = 16 };

struct source;
typedef struct training {
    settings asked; /* with defaults filled in; sufficient to repeat the run */
    const glia_recipe *recipe;
    const glia_method_info *method;
    const char *method_settings; /* all of them; "": it has none */
    const struct source *source; /* see source.h */
    glia_dataset *all, *train, *validation, *test; /* NULL: none; train NULL: it is `all` */
    glia_env *environment; /* NULL: none */
    glia_graph_data *graphs;   /* NULL: the method uses none */
    glia_model *model;
    glia_backend *backend;
    glia_optimizer optimizer;
    glia_parameter_group groups[PARAMETER_GROUPS];
    glia_parameter_group *depth_groups, *all_groups; /* of --depth-decay; NULL: none */
    bool new_classes;      /* the data have other classes than the model of --from */
    const char *from_note; /* what was taken from there; NULL: nothing */
    glia_lr_schedule schedule;
    glia_precision precision;
    glia_loss loss;
    glia_augment *augment;  /* NULL: none */
    double *class_weights;  /* NULL: none */
    double *sample_weights; /* NULL: none */
    struct corpus *corpus;  /* text; NULL: none */
    double *mean, *stddev;
    int n_normal;
    char started[SHORT]; /* "2026-01-31 12:00" */
    run_folder place;
    char *folder;        /* its path; NULL: the run has none */
    char id[RUN_ID];     /* of the run; "": written by a version without ids */
    bool resumed;        /* continues in its folder */
    bool begun;          /* the folder was changed */
    history_log *log;    /* in the run history; NULL: none */
    progress progress;
    bool stopped;       /* by a signal */
    glia_scores scores; /* on the test data */
    bool tested;
    int classes;        /* 0: not a classification */
    int64_t *confusion; /* (classes, classes), rows are true classes */
    int32_t *predicted; /* of each test sample */
    glia_assessment assessment; /* of the finished model, by its method */
    bool assessed;
} training;

/* These return -1 to go on, or the exit status after printing an error. Call order: */
int training_open(training *t, settings asked);                 /* data, model, backend; takes over the settings */
/* Takes the folder `out` (NULL: a new one); nothing in it is changed before training begins. */
int training_folder(training *t, const char *out, bool resume, bool force);
int training_run(training *t, voice how);                       /* fits; a signal sets `stopped` */
int training_test(training *t);                                 /* evaluates on the test data, or assesses, if it can */
int training_keep(training *t);                                 /* model, run.json, report.html */
void training_close(training *t);

const glia_dataset *training_data(const training *t); /* the training split */
const glia_text_source *training_text(const training *t); /* NULL: it learns from none */
const char *training_source(const training *t);       /* address of its dataset or environment; else "" */
bool training_has_targets(const training *t); /* the method learns from targets: labels or values */
glia_fit_opts training_fit_opts(const training *t);   /* without callbacks */
int64_t training_labels(const training *t);  /* of a sample: 1 for a class, T for a sequence, 0 for values */
int64_t training_answers(const training *t); /* labels of the test data */
int64_t training_mistakes(const training *t);         /* on the test data */
void training_headline(const training *t);            /* prints model, data and settings */

/* keep.c */
typedef enum run_state { RUN_RUNNING, RUN_FINISHED, RUN_STOPPED, RUN_FAILED } run_state;
void training_json(const training *t, run_state state, text *out, bool epochs); /* the figures of a run as an object */
/* Writes this object to run.json. */
glia_status training_note(const training *t, run_state state, glia_error *error);
/* A callback that creates the files of the run when training begins. */
glia_callback training_begins(training *t);
char *training_file(const training *t, const char *name); /* its path in the run folder; to be freed */
/* gallery.c: a callback that writes what the method shows after each epoch into the folder `samples`. */
glia_callback training_gallery(const training *t);

/* transfer.c: --from, and what concerns it: --freeze, --train-last, --depth-decay, --fixed-norms. */
int transfer_load(training *t);
int transfer_prepare(training *t);

/* groups.c: parses "PATTERN(lr=0.1, weight-decay=0) ..." into at most PARAMETER_GROUPS groups; `keeper` owns the
 * patterns. */
int groups_parse(const char *words, glia_parameter_group *groups, int *n, settings *keeper);

#endif
