/* csv_logger.c - writes the metrics of each epoch as a line of a CSV file.
 *
 * The state is the length of the file. A resumed training truncates the file to the length in the checkpoint. The file
 * is therefore opened at the first line, after the state has been restored.
 */
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "train/callbacks/callbacks.h"

typedef struct csv_logger {
    glia_watcher watcher;
    const char *path;
    bool append, open;
    glia_log_file log;
    int64_t length; /* of the lines written; the state */
} csv_logger;

static glia_status begin(const glia_progress *p, void *context, glia_error *error) {
    csv_logger *l = context;
    struct stat info;
    if (l->append && l->path && stat(l->path, &info) == 0) l->length = (int64_t)info.st_size;
    return glia_watcher_begin(p, context, error);
}

/* If the file was removed since the checkpoint, starts a new one. */
static glia_status open_log(csv_logger *l, glia_error *error) {
    glia_error reason = { 0 };
    glia_status status = glia_log_file_open(&l->log, l->path, l->length, &reason);
    if (status == GLIA_E_NOT_FOUND && l->length > 0) status = glia_log_file_open(&l->log, l->path, 0, &reason);
    l->open = status == GLIA_OK;
    l->length = l->log.length;
    if (status == GLIA_E_NOT_FOUND) status = GLIA_E_IO;
    return l->open ? GLIA_OK : glia_fail(error, status, "%s", reason.message);
}

static void add_line(const glia_progress *p, glia_text *line) {
    char number[GLIA_NUMBER_TEXT];
    glia_text_printf(line, "%lld,%lld", (long long)p->epoch, (long long)p->done);
    for (int i = 0; i < p->n_values; i++) {
        const double value = p->values[i].value;
        glia_text_printf(line, ",%s", isnan(value) ? "" : glia_number_print((double)(float)value, number));
    }
    glia_text_printf(line, ",%.6f\n", p->seconds);
}

static glia_status epoch_end(const glia_progress *p, void *context, glia_error *error) {
    csv_logger *l = context;
    glia_status status = l->open ? GLIA_OK : open_log(l, error);
    if (status != GLIA_OK) return status;
    glia_text line = { 0 };
    if (l->length == 0) {
        glia_text_printf(&line, "epoch,step");
        for (int i = 0; i < p->n_values; i++) glia_text_printf(&line, ",%s", p->values[i].name);
        glia_text_printf(&line, ",seconds\n");
    }
    add_line(p, &line);
    status =
        line.failed ? glia_fail_nomem(error) : glia_log_file_append(&l->log, l->path, line.bytes, line.length, error);
    l->length = l->log.length;
    free(line.bytes);
    return status;
}

static void *state(void *context, size_t *bytes) {
    *bytes = sizeof(int64_t);
    return &((csv_logger *)context)->length;
}

static void release(void *context) {
    csv_logger *l = context;
    if (l->open) glia_log_file_close(&l->log);
    glia_watcher_free(context);
}

glia_callback glia_csv_logger(const char *path, bool append) {
    glia_callback c = glia_watcher_create("CSVLogger", sizeof(csv_logger));
    csv_logger *l = c.context;
    if (!l) return c;
    l->path = glia_watcher_text(&l->watcher, path);
    l->append = append;
    if (!path || !path[0]) glia_watcher_fail(&l->watcher, GLIA_E_ARGUMENT, "a CSV logger needs a path");
    c.train_begin = begin;
    c.epoch_end = epoch_end;
    c.state = state;
    c.free = release;
    return c;
}
