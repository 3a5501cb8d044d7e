/* csv_logger.c - the figures of each epoch as a line of a CSV file. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/formats/formats.h"
#include "train/callbacks/callbacks.h"

typedef struct csv_logger {
    glia_watcher watcher;
    const char *path;
    bool append;
    FILE *file;
    int64_t
        length; /* of what is written; a checkpoint keeps it, and what a lost stretch of training wrote is cut off */
} csv_logger;

static glia_status io_error(const csv_logger *l, glia_error *error) {
    return glia_fail(error, GLIA_E_IO, "%s: %s", l->path, strerror(errno));
}

/* The file, where the next line goes. Opened at the first line: only then is known whether a checkpoint was restored. */
static glia_status open_file(csv_logger *l, glia_error *error) {
    int fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return io_error(l, error);
    if (l->append && l->length == 0) l->length = (int64_t)lseek(fd, 0, SEEK_END);
    if (ftruncate(fd, (off_t)l->length) || lseek(fd, 0, SEEK_END) < 0 || !(l->file = fdopen(fd, "r+"))) {
        glia_status status = io_error(l, error);
        close(fd);
        return status;
    }
    fseek(l->file, 0, SEEK_END);
    return GLIA_OK;
}

static glia_status epoch_end(const glia_progress *p, void *context, glia_error *error) {
    csv_logger *l = context;
    glia_status status = l->file ? GLIA_OK : open_file(l, error);
    if (status != GLIA_OK) return status;
    glia_text line = { 0 };
    char number[GLIA_NUMBER_TEXT];
    if (l->length == 0) {
        glia_text_printf(&line, "epoch,step");
        for (int i = 0; i < p->n_values; i++) glia_text_printf(&line, ",%s", p->values[i].name);
        glia_text_printf(&line, ",seconds\n");
    }
    glia_text_printf(&line, "%lld,%lld", (long long)p->epoch, (long long)p->done);
    for (int i = 0; i < p->n_values; i++) {
        const double value = p->values[i].value;
        glia_text_printf(&line, ",%s", isnan(value) ? "" : glia_number_print((double)(float)value, number));
    }
    glia_text_printf(&line, ",%.3f\n", p->seconds);
    if (line.failed) status = glia_fail_nomem(error);
    if (!line.failed && (fwrite(line.bytes, 1, line.length, l->file) != line.length || fflush(l->file))) {
        status = io_error(l, error);
    }
    l->length += (int64_t)line.length;
    free(line.bytes);
    return status;
}

static void *state(void *context, size_t *bytes) {
    *bytes = sizeof(int64_t);
    return &((csv_logger *)context)->length;
}

static void release(void *context) {
    csv_logger *l = context;
    if (l->file) fclose(l->file);
    glia_watcher_free(context);
}

glia_callback glia_csv_logger(const char *path, bool append) {
    glia_callback c = glia_watcher_create("CSVLogger", sizeof(csv_logger));
    csv_logger *l = c.context;
    if (!l) return c;
    l->path = glia_watcher_text(&l->watcher, path);
    l->append = append;
    if (!path || !path[0]) glia_watcher_fail(&l->watcher, GLIA_E_ARGUMENT, "a CSV logger needs a path");
    c.epoch_end = epoch_end;
    c.state = state;
    c.free = release;
    return c;
}
