/* train.c - `glia train`: trains a model and saves it in a run folder. */
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

/* Reads the command line into settings that may hold values already. */
static int read_options(request *r, int argc, char **argv, int *n) {
    const option own[] = {
        { .help = "configuration and output" },
        { "config", OPTION_TEXT, &r->config, "FILE|RUN", "settings from a file or run; options override them", 0, 0 },
        { "set", OPTION_LIST, &r->set, "NAME=VALUE", "set a setting by its name in config.json", 0, 0 },
        { "resume", OPTION_TEXT, &r->resume, "RUN", "resume an interrupted run in its folder", 0, 0 },
        { "no-validation", OPTION_FLAG, &r->no_validation, NULL, 
          "train on all samples; no validation split, test split only if the data have one", 0, 0 },
        { "out", OPTION_TEXT, &r->out, "FOLDER", "run folder (runs/MODEL-DATE-N)", 0, 0 },
        { "force", OPTION_FLAG, &r->force, NULL, "overwrite the run in the folder of --out", 0, 0 },
        { "log", OPTION_TEXT, &r->log, "HOW", "bar, lines, json (an object per epoch) or quiet", 0, 0 },
        { "quiet", OPTION_FLAG, &r->quiet, NULL, "print only errors", 0, 0 },
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
        return misuse("--log must be %s, not \"%s\"", VOICE_NAMES, r->log);
    if (r->resume && (r->config || r->out)) return misuse("--resume excludes --config and --out");
    if (r->force && !r->out) return misuse("--force needs --out");
    if (r->resume && !*r->resume) return misuse("--resume needs a run");
    if (r->config && !*r->config) return misuse("--config needs a file");
    return -1;
}

/* Settings come from the configuration, the options and --set; later ones override. So the options are read twice, the
 * first time only to find the configuration. */
static int read_request(request *r, int argc, char **argv) {
    request first = { .settings = settings_default() };
    char **copy = allocate((size_t)argc + 1, sizeof *copy); /* options_parse() reorders them */
    memcpy(copy, argv, (size_t)argc * sizeof *copy);
    int n, status = read_options(&first, argc, copy, &n);
    free(copy);
    settings_free(&first.settings);
    if (status < 0) status = check_request(&first);
    if (status >= 0) return status;
    const char *from = first.resume ? first.resume : first.config;
    if (!from && n == 0) return misuse("train needs a model name; see `glia help train`");
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
    return r->settings.model ? -1 : misuse("%s has no model", from);
}

/* Prints the result. */
static void tell(const training *t) {
    char samples[SHORT], errors[SHORT];
    text words = { 0 };
    if (t->tested) text_add(&words, "test: loss %s", loss_text(t->scores.loss, samples));
    if (!t->tested && (t->method->uses & GLIA_USES_TARGETS))
        text_add(&words, "not tested: there is no test split");
    if (!t->tested && t->method->samples) text_add(&words, "draw samples with: glia sample %s", t->folder);
    if (t->tested && training_labels(t) > 1 && glia_data_x_shape(t->test).rank != 3)
        text_add(&words, ", perplexity %.3g", exp(t->scores.loss));
    if (t->tested && t->classes) {
        text_add(&words, ", accuracy %.2f %%: %s of %s wrong", 100 * t->scores.accuracy,
                 grouped(training_mistakes(t), errors), grouped(training_answers(t), samples));
    }
    for (int i = 0; t->assessed && i < t->assessment.n; i++)
        text_add(&words, "%s%s %.5g", i ? ", " : "test: ", t->assessment.values[i].name, t->assessment.values[i].value);
    if (words.length) progress_say("", words.bytes);
    words.length = 0;
    text_add(&words, "saved in %s: model.safetensors, config.json, run.json, curves.csv, steps.csv, report.html",
             t->folder);
    progress_say("", words.bytes);
    free(words.bytes);
}

static int run(training *t, const request *r) {
    broken_writes_survive(); /* before the first output */
    int status = training_folder(t, r->resume ? r->resume : r->out, r->resume != NULL, r->force);
    if (status >= 0) return status;
    bool people = r->voice == VOICE_BAR || r->voice == VOICE_LINES;
    if (people) training_headline(t);
    status = training_run(t, r->voice);
    glia_error error;
    if (status >= 0 && t->begun) training_note(t, RUN_FAILED, &error); /* already reported */
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
    return fail("interrupted in epoch %lld, after step %lld; the model so far is saved in %s%s%s",
                (long long)t->progress.epoch, (long long)t->progress.step, t->folder,
                t->asked.checkpoint ? "; continue with: glia train --resume " : "",
                t->asked.checkpoint ? t->folder : "");
}

int command_train(int argc, char **argv) {
    request r = { .settings = settings_default() };
    int status = read_request(&r, argc, argv);
    if (status >= 0) {
        settings_free(&r.settings);
        return status;
    }
    if (r.out) status = folder_check(r.out, r.force); /* before the data are read, which may take long */
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
