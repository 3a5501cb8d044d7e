/* train.c - `glia train`: a model on data, kept in a run folder. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs/training.h"

typedef struct request {
    settings settings;
    const char *config, *resume, *out, *log;
    option_list set;
    bool quiet, no_validation, force;
    voice voice;
} request;

/* Reads the command line over what the settings already hold. */
static int read_options(request *r, int argc, char **argv, int *n) {
    const option own[] = {
        { .help = "where settings come from, and what comes out" },
        { "config", OPTION_TEXT, &r->config, "FILE|RUN", "all settings of a run; options change some of them", 0, 0 },
        { "set", OPTION_LIST, &r->set, "NAME=VALUE", "one of config.json's settings, by its name there", 0, 0 },
        { "resume", OPTION_TEXT, &r->resume, "RUN", "go on with a run that was interrupted, in its folder", 0, 0 },
        { "no-validation", OPTION_FLAG, &r->no_validation, NULL, 
          "train on all samples: none to validate, nor to test unless the data say which", 0, 0 },
        { "out", OPTION_TEXT, &r->out, "FOLDER", "of the run (runs/MODEL-DATE-N)", 0, 0 },
        { "force", OPTION_FLAG, &r->force, NULL, "replace the run that is in the folder of --out", 0, 0 },
        { "log", OPTION_TEXT, &r->log, "HOW", "bar, lines, json (an object for each epoch) or quiet", 0, 0 },
        { "quiet", OPTION_FLAG, &r->quiet, NULL, "print nothing but errors", 0, 0 },
    };
    option table[SETTINGS_OPTIONS];
    int rows = settings_options(&r->settings, table);
    memcpy(table + rows, own, sizeof own);
    rows += (int)(sizeof own / sizeof own[0]);
    const options what = { "train", table, rows, 0, 1, "the name of a model" };
    return options_parse(&what, argc, argv, n);
}

static int check_request(request *r) {
    if (r->log && r->quiet) return misuse("--log and --quiet exclude each other");
    if (!voice_parse(r->quiet ? "quiet" : r->log, &r->voice))
        return misuse("--log is %s, not \"%s\"", VOICE_NAMES, r->log);
    if (r->resume && (r->config || r->out)) return misuse("--resume takes the run's own settings and folder");
    if (r->force && !r->out) return misuse("--force is for --out");
    if (r->resume && !*r->resume) return misuse("--resume names no run");
    if (r->config && !*r->config) return misuse("--config names no file");
    return -1;
}

/* Settings are, in this order and the later over the earlier: the configuration, options, --set. So the options are read
 * twice, first only to know which configuration. */
static int read_request(request *r, int argc, char **argv) {
    request first = { .settings = settings_default() };
    char **copy = allocate((size_t)argc + 1, sizeof *copy); /* reading shuffles them */
    memcpy(copy, argv, (size_t)argc * sizeof *copy);
    int n, status = read_options(&first, argc, copy, &n);
    free(copy);
    settings_free(&first.settings);
    if (status < 0) status = check_request(&first);
    if (status >= 0) return status;
    const char *from = first.resume ? first.resume : first.config;
    if (!from && n == 0) return misuse("train wants the name of a model; `glia help train` says more");
    if (from) status = settings_read(&r->settings, from);
    if (status < 0) status = read_options(r, argc, argv, &n);
    if (status < 0) status = check_request(r);
    if (status >= 0) return status;
    if (r->no_validation) r->settings.validation = 0;
    if (n == 1) r->settings.model = argv[1];
    for (int i = 0; i < r->set.n; i++) {
        status = settings_set(&r->settings, r->set.items[i]);
        if (status >= 0) return status;
    }
    return r->settings.model ? -1 : misuse("%s names no model", from);
}

/* What came out of it, for people. */
static void tell(const training *t) {
    char samples[SHORT], errors[SHORT];
    text words = { 0 };
    if (t->tested) text_add(&words, "test: loss %s", loss_text(t->scores.loss, samples));
    if (!t->tested) text_add(&words, "no test: no samples were held out for one");
    if (t->tested && training_labels(t) > 1) text_add(&words, ", perplexity %.3g", exp(t->scores.loss));
    if (t->tested && t->classes) {
        text_add(&words, ", accuracy %.2f %%: %s of %s wrong", 100 * t->scores.accuracy,
                 grouped(training_mistakes(t), errors), grouped(training_answers(t), samples));
    }
    progress_say("", words.bytes);
    words.length = 0;
    text_add(&words, "kept in %s: model.safetensors, config.json, run.json, curves.csv, steps.csv, report.html",
             t->folder);
    progress_say("", words.bytes);
    free(words.bytes);
}

static int run(training *t, const request *r) {
    broken_writes_survive(); /* before the first line */
    int status = training_folder(t, r->resume ? r->resume : r->out, r->resume != NULL, r->force);
    if (status >= 0) return status;
    bool people = r->voice == VOICE_BAR || r->voice == VOICE_LINES;
    if (people) training_headline(t);
    status = training_run(t, r->voice);
    glia_error error;
    if (status >= 0 && t->begun) training_note(t, RUN_FAILED, &error); /* what failed has been said */
    if (status < 0) status = training_test(t);
    if (status < 0) status = training_keep(t);
    if (status >= 0) return status;
    if (people) tell(t);
    if (r->voice == VOICE_JSON) {
        text out = { 0 };
        training_json(t, t->stopped ? RUN_STOPPED : RUN_FINISHED, &out, false);
        fputs(out.bytes, stdout);
        free(out.bytes);
    }
    if (!t->stopped) return EXIT_OK;
    return fail("interrupted in epoch %lld, after step %lld; the model so far is kept in %s%s%s",
                (long long)t->progress.epoch, (long long)t->progress.step, t->folder,
                t->asked.checkpoint ? ", and goes on with: glia train --resume " : "",
                t->asked.checkpoint ? t->folder : "");
}

int command_train(int argc, char **argv) {
    request r = { .settings = settings_default() };
    int status = read_request(&r, argc, argv);
    if (status >= 0) {
        settings_free(&r.settings);
        return status;
    }
    if (r.out) status = folder_check(r.out, r.force); /* before data are read, which may take long */
    if (status >= 0) {
        settings_free(&r.settings);
        return status;
    }
    training t;
    status = training_open(&t, r.settings);
    if (status < 0) status = run(&t, &r);
    training_close(&t);
    return status;
}
