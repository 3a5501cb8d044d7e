/* monitor.c - reads a monitored value and decides whether it improved. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "glia/metrics.h"
#include "train/callbacks/callbacks.h"

/* Losses and errors: smaller is better. Metrics: as the metric defines. Unknown names: larger is better. */
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

/* Reports an unknown name and lists the available values. */
static glia_status unknown(const glia_monitor *m, const char *who, const glia_progress *p, glia_error *error) {
    enum { MOST = 32 };
    const char *names[MOST];
    glia_text list = { 0 };
    int n = 0;
    for (int i = 0; i < p->n_values; i++) {
        glia_text_printf(&list, "%s%s", i ? ", " : "", p->values[i].name);
        if (n < MOST) names[n++] = p->values[i].name;
    }
    const char *near = glia_nearest(m->name, names, n);
    glia_status status =
        glia_fail(error, GLIA_E_ARGUMENT, "%s: there is no value '%s'%s%s%s; there are %s", who, m->name,
                  near ? "; did you mean " : "", near ? near : "", near ? "?" : "", list.bytes ? list.bytes : "none");
    free(list.bytes);
    return status;
}

static const glia_value *find(const glia_monitor *m, const glia_progress *p) {
    for (int i = 0; i < p->n_values; i++) {
        if (strcmp(p->values[i].name, m->name) == 0) return &p->values[i];
    }
    return NULL;
}

glia_status glia_monitor_check(const glia_monitor *m, const char *who, const glia_progress *p, glia_error *error) {
    return !m->name || find(m, p) ? GLIA_OK : unknown(m, who, p, error);
}

glia_status glia_monitor_read(const glia_monitor *m, const char *who, const glia_progress *p, double *value,
                              glia_error *error) {
    const glia_value *found = find(m, p);
    if (!found) return unknown(m, who, p, error);
    *value = found->value;
    return GLIA_OK;
}
