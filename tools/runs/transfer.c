/* transfer.c - what --from and the options beside it do to a model: values of another one, a new head, freezing, rates
 * by depth, batch norms with fixed statistics. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runs/saved.h"
#include "runs/training.h"

/* Values by name. The last layer begins anew if it has another shape, or if the data have other classes than it. */
static int load_values(training *t, const char *path) {
    glia_error error;
    glia_weights_report report;
    const glia_weights_opts opts = { .partial = true, .new_head = true, .fresh_head = t->new_classes };
    const glia_status status = glia_model_import_weights(t->model, path, opts, &report, &error);
    if (status == GLIA_OK) {
        text words = { 0 };
        text_add(&words, "%d values from %s", report.loaded, t->asked.from);
        if (report.reset) text_add(&words, "; a new head of %d", report.reset);
        if (report.missing) text_add(&words, "; %d not in the file begin anew", report.missing);
        if (report.unexpected) text_add(&words, "; %d of the file are not used", report.unexpected);
        t->from_note = settings_keep(&t->asked, words.bytes);
        free(words.bytes);
    } else if (report.list) {
        fputs(report.list, stderr);
    }
    free(report.list);
    return status == GLIA_OK ? -1 : fail("%s", error.message);
}

int transfer_load(training *t) {
    char *path = saved_path(t->asked.from);
    glia_error error;
    int status = -1;
    if (glia_model_output_at(t->model, 0, NULL)) {
        status = load_values(t, path);
    } else { /* its method builds it, or goes on with a whole one */
        glia_model_free(t->model);
        t->model = glia_model_load(path, &error);
        if (!t->model) status = fail("%s", error.message);
    }
    free(path);
    return status;
}

/* The groups of --groups come first, then one for each block. */
static int add_rates(training *t, double decay) {
    glia_parameter_group *groups, *all;
    int n;
    glia_error error;
    if (glia_model_depth_rates(t->model, decay, &groups, &n, &error) != GLIA_OK)
        return misuse("--depth-decay: %s", error.message);
    t->depth_groups = groups;
    all = allocate((size_t)(n + t->optimizer.n_groups), sizeof *all);
    for (int i = 0; i < t->optimizer.n_groups; i++) all[i] = t->optimizer.groups[i];
    memcpy(all + t->optimizer.n_groups, groups, (size_t)n * sizeof *all);
    t->all_groups = all;
    t->optimizer.groups = all;
    t->optimizer.n_groups += n;
    return -1;
}

int transfer_prepare(training *t) {
    settings *a = &t->asked;
    glia_error error;
    if (a->freeze && glia_freeze(glia_model_graph(t->model), a->freeze, true) == 0)
        return fail("--freeze %s matches no parameter; `glia summary %s` lists them", a->freeze, t->recipe->name);
    if (a->train_last && a->freeze) return misuse("--train-last and --freeze exclude each other");
    if (a->train_last && glia_model_freeze_blocks(t->model, (int)a->train_last, &error) != GLIA_OK)
        return misuse("--train-last: %s", error.message);
    a->fixed_norms = a->fixed_norms > 0;
    if (a->fixed_norms && !a->from)
        return misuse("--fixed-norms needs --from: the statistics are to be those of a model");
    if (a->fixed_norms && glia_model_fix_norms(t->model, NULL, &error) != GLIA_OK)
        return misuse("--fixed-norms: %s", error.message);
    if (isnan(a->depth_decay)) return -1;
    return add_rates(t, a->depth_decay);
}
