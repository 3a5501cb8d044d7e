/* training.h - one run of training, from settings to a run folder. `glia train` and `glia demo` are made of it. */
#ifndef GLIA_TOOL_TRAINING_H
#define GLIA_TOOL_TRAINING_H

#include "history.h"
#include "progress.h"
#include "tool.h"

/* What was asked for; settings_default() first. Numbers that are NaN or 0 and texts that are NULL: the model's
 * default. */
typedef struct settings {
    const char *model, *data, *data_folder;
    int64_t epochs, batch, seed, threads, workers, max_steps;
    const char *optimizer, *schedule, *precision;
    double lr, momentum, weight_decay, clip_norm, label_smoothing;
    int64_t warmup;
    bool nesterov;
    double validation; /* below 1: share of the training data; else samples; NaN: a tenth, at most 5,000 */
    int normalize;     /* -1: the model's default */
    const char *freeze, *from, *out;
} settings;
settings settings_default(void);

typedef struct training {
    settings asked; /* with defaults filled in */
    char *address;  /* what asked.data points at */
    const glia_recipe *recipe;
    glia_dataset *all, *train, *validation, *test; /* validation NULL: none; train NULL: it is `all` */
    glia_model *model;
    glia_backend *backend;
    glia_optimizer optimizer;
    glia_lr_schedule schedule;
    glia_precision precision;
    glia_loss loss;
    double *mean, *stddev;
    int n_normal;
    char started[SHORT]; /* "2026-01-31 12:00" */
    char *folder;        /* of the run; NULL: none */
    history_log *log;    /* in the history of runs; NULL: it is not kept */
    progress progress;
    bool stopped;       /* by Ctrl-C */
    glia_scores scores; /* on the test data */
    int classes;        /* 0: not a classification */
    int64_t *confusion; /* (classes, classes), rows the truth */
    int32_t *predicted; /* of each test sample */
} training;

/* These return -1 to go on, or the exit status after saying what is wrong. In order: */
int training_open(training *t, settings asked, voice how); /* data, model, backend */
int training_folder(training *t);                          /* makes the run folder */
int training_run(training *t);                             /* fits; Ctrl-C sets `stopped` */
int training_test(training *t);                            /* reads the test data, once */
int training_keep(training *t);                            /* model, run.json, curves.csv, report.html */
void training_close(training *t);

const glia_dataset *training_data(const training *t); /* what is trained on */
int64_t training_mistakes(const training *t);         /* on the test data */
const char *precision_name(glia_precision precision);
void training_json(const training *t, text *out, bool epochs); /* the figures of a run as an object */
void training_headline(const training *t);                     /* prints what is about to happen */

#endif
