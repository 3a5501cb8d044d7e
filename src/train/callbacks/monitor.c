/* monitor.c - a figure that is watched, and whether it has improved. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "glia/metrics.h"
#include "train/callbacks/callbacks.h"

/* Losses and errors are better small; what has a metric's name, as the metric says; what nobody knows, large. */
static bool larger_is_better(glia_watcher *w, const char *name) {
    if (strncmp(name, "val_", 4) == 0) name += 4;
    if (strcmp(name, "loss") == 0 || strcmp(name, "lr") == 0) return false;
    glia_error error = { 0 };
    glia_metric *metric = glia_metric_create(name, 2, &error);
    if (error.status == GLIA_E_NOMEM) glia_watcher_fail(w, error.status, "%s", error.message);
    bool larger = metric ? glia_metric_larger_is_better(metric) : true;
    glia_metric_free(metric);
    return larger;
}

glia_monitor glia_monitor_create(glia_watcher *w, const char *name, glia_monitor_mode mode, double min_delta) {
    if (!(min_delta >= 0)) glia_watcher_fail(w, GLIA_E_ARGUMENT, "min_delta is %g, which is negative", min_delta);
    name = glia_watcher_text(w, name ? name : "val_loss");
    return (glia_monitor){ .name = name,
                           .larger =
                               mode == GLIA_MONITOR_AUTO ? name && larger_is_better(w, name) : mode == GLIA_MONITOR_MAX,
                           .min_delta = min_delta };
}

double glia_monitor_worst(const glia_monitor *m) { return m->larger ? -HUGE_VAL : HUGE_VAL; }

bool glia_monitor_better(const glia_monitor *m, double value, double best) {
    return m->larger ? value - m->min_delta > best : value + m->min_delta < best;
}

glia_status glia_monitor_read(const glia_monitor *m, const char *who, const glia_progress *p, double *value,
                              glia_error *error) {
    for (int i = 0; i < p->n_values; i++) {
        if (strcmp(p->values[i].name, m->name)) continue;
        *value = p->values[i].value;
        return GLIA_OK;
    }
    glia_text list = { 0 };
    for (int i = 0; i < p->n_values; i++) glia_text_printf(&list, "%s%s", i ? ", " : "", p->values[i].name);
    glia_status status = glia_fail(error, GLIA_E_ARGUMENT, "%s: there is no figure '%s'; there are %s", who, m->name,
                                   list.bytes ? list.bytes : "none");
    free(list.bytes);
    return status;
}
