/* tensorboard.c - writes metrics, histograms and the graph for TensorBoard, under Keras's names.
 *
 * LOG_DIR/train and LOG_DIR/validation are separate runs, so that TensorBoard draws both curves of a metric in one
 * chart. Tags: epoch_loss, epoch_accuracy, epoch_learning_rate, and metrics as epoch_f1; batch_loss and
 * batch_learning_rate with update_freq. Files are opened at the first value, after the state of a checkpoint has been
 * restored. The state holds the names and lengths of the two files: a resumed training truncates them to those lengths
 * and appends to them.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/formats/formats.h"
#include "glia/methods.h"
#include "train/callbacks/callbacks.h"
#include "train/events/events.h"

/* State of a file at the last flush. */
typedef struct event_file {
    char name[208]; /* "": no file yet, or its name is too long to reopen it */
    int64_t length;
} event_file;

typedef struct tensorboard {
    glia_watcher watcher;
    glia_tensorboard_opts opts;
    const char *folder, *train_folder, *validation_folder;
    glia_events *train, *validation;
    event_file files[2]; /* train and validation; the state */
    bool no_images;      /* this build cannot encode images */
} tensorboard;

/* ---- pictures ----------------------------------------------------------------------------------- */

/* True for the kernel (K, C, H, W) of a convolution on images. */
static bool is_visible(const glia_array *a) {
    return a->parameter && a->dtype == GLIA_F32 && a->shape.rank == 4 && a->shape.dim[2] > 1 && a->shape.dim[3] > 1 &&
           (a->shape.dim[1] == 1 || a->shape.dim[1] == 3);
}

/* Writes the pictures as one image. */
static glia_status write_pictures(tensorboard *b, const char *tag, int64_t epoch, glia_shape shape, const float *x,
                                  int64_t n, glia_image_save_opts opts, glia_error *error) {
    glia_image image;
    uint8_t *png = NULL;
    size_t length = 0;
    glia_error reason = { 0 };
    glia_status status = glia_image_sheet(shape, x, n, opts, &image, error);
    if (status != GLIA_OK) return status;
    status = glia_png_encode(&image, &png, &length, &reason);
    if (status == GLIA_OK)
        status = glia_events_image(b->train, tag, epoch, png, length, &reason);
    else if (status == GLIA_E_UNSUPPORTED)
        b->no_images = true, status = GLIA_OK;
    free(png);
    glia_image_free(&image);
    return status == GLIA_OK ? GLIA_OK : glia_fail(error, status, "%s", reason.message);
}

/* The kernels side by side; the smallest weight is black, the largest white. */
static glia_status write_kernels(tensorboard *b, const glia_array *a, int64_t epoch, glia_error *error) {
    const float *x = a->data;
    glia_image_save_opts opts = { .gap = 1, .scale = 8, .paper = 0.5 };
    double least = (double)x[0], most = least;
    for (int64_t i = 1; i < glia_shape_count(a->shape); i++) {
        least = fmin(least, (double)x[i]);
        most = fmax(most, (double)x[i]);
    }
    if (!(most > least)) least = isnan(least) ? 0 : least, most = least + 1;
    opts.low = least == 0 ? GLIA_ZERO : least;
    opts.high = most == 0 ? GLIA_ZERO : most;
    const glia_shape shape = GLIA_SHAPE(a->shape.dim[1], a->shape.dim[2], a->shape.dim[3]);
    return write_pictures(b, a->name, epoch, shape, x, a->shape.dim[0], opts, error);
}

/* ---- what the method shows ---------------------------------------------------------------------- */

typedef struct moment {
    tensorboard *board;
    int64_t epoch;
} moment;

static glia_status write_points(tensorboard *b, const glia_shown *s, int64_t epoch, glia_error *error) {
    enum { SIDE = 320 };
    float *dots = malloc(SIDE * SIDE * sizeof *dots);
    if (!dots) return glia_fail_nomem(error);
    glia_image_points(s->values, s->n, SIDE, dots);
    const glia_image_save_opts opts = { 0 };
    glia_status status = write_pictures(b, s->name, epoch, GLIA_SHAPE(1, SIDE, SIDE), dots, 1, opts, error);
    free(dots);
    return status;
}

static glia_status write_shown(void *context, const glia_shown *s, glia_error *error) {
    enum { SMALL = 64 };
    const moment *m = context;
    tensorboard *b = m->board;
    if (s->kind == GLIA_SHOWN_DRAWING) return GLIA_OK; /* TensorBoard shows no SVG */
    if (s->kind == GLIA_SHOWN_TEXT) return glia_events_text(b->train, s->name, m->epoch, s->text, error);
    if (b->no_images) return GLIA_OK;
    if (s->kind == GLIA_SHOWN_POINTS) return write_points(b, s, m->epoch, error);
    const int64_t width = s->sample.dim[s->sample.rank - 1];
    const glia_image_save_opts opts = { .scale = width < SMALL ? (int)(SMALL / width) : 1 };
    return write_pictures(b, s->name, m->epoch, s->sample, s->values, s->n, opts, error);
}

/* ---- parameters ----------------------------------------------------------------------------------- */

static glia_status write_parameters(tensorboard *b, const glia_progress *p, int64_t epoch, glia_error *error) {
    const glia_store *store = p->model->store;
    glia_status status = GLIA_OK;
    for (int i = 0; i < glia_store_count(store) && status == GLIA_OK; i++) {
        glia_array a = glia_store_entry(store, i);
        if (!a.parameter || a.dtype != GLIA_F32) continue;
        status = glia_events_histogram(b->train, a.name, epoch, a.data, glia_shape_count(a.shape), error);
        if (status == GLIA_OK && b->opts.write_images && !b->no_images && is_visible(&a)) {
            status = write_kernels(b, &a, epoch, error);
        }
    }
    return status;
}

/* ---- the callback ----------------------------------------------------------------------------- */

/* Creates the folder and its parents. */
static glia_status make_folders(const char *path, glia_error *error) {
    glia_text copy = { 0 };
    glia_text_printf(&copy, "%s", path);
    if (copy.failed || !copy.bytes) return glia_fail_nomem(error);
    glia_status status = GLIA_OK;
    for (char *at = copy.bytes + 1; status == GLIA_OK; at++) {
        const char c = *at;
        if (c && c != '/') continue;
        *at = 0;
        if (mkdir(copy.bytes, 0777) && errno != EEXIST) {
            status = glia_fail(error, GLIA_E_IO, "%s: %s", copy.bytes, strerror(errno));
        }
        *at = c;
        if (!c) break;
    }
    free(copy.bytes);
    return status;
}

/* Removes the event files in the folder. */
static void remove_files(const char *folder) {
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        if (strncmp(entry->d_name, glia_events_prefix, strlen(glia_events_prefix)) != 0) continue;
        unlinkat(dirfd(entries), entry->d_name, 0);
    }
    if (entries) closedir(entries);
}

/* Reopens the file named in the state. If there is none, or it was removed or damaged, creates a new one and sets
 * *is_new. */
static glia_status open_file(const tensorboard *b, const char *folder, event_file *file, glia_events **events,
                             bool *is_new, glia_error *error) {
    glia_error reason = { 0 };
    *events = file->name[0] ? glia_events_reopen(folder, file->name, file->length, &reason) : NULL;
    *is_new = false;
    if (*events) return GLIA_OK;
    if (reason.status != GLIA_OK && reason.status != GLIA_E_NOT_FOUND && reason.status != GLIA_E_FORMAT)
        return glia_fail(error, reason.status, "%s", reason.message);
    if (b->opts.own_folder) remove_files(folder);
    *events = glia_events_open(folder, &reason);
    *is_new = *events != NULL;
    if (!*events) return glia_fail(error, reason.status, "%s", reason.message);
    if (strlen(glia_events_name(*events)) < sizeof file->name) strcpy(file->name, glia_events_name(*events));
    return GLIA_OK;
}

static glia_status open_train(tensorboard *b, const glia_progress *p, glia_error *error) {
    if (b->train) return GLIA_OK;
    bool is_new;
    glia_status status = make_folders(b->folder, error);
    if (status == GLIA_OK) status = open_file(b, b->train_folder, &b->files[0], &b->train, &is_new, error);
    if (status != GLIA_OK || !is_new || !b->opts.write_graph) return status;
    return glia_events_graph(b->train, p->model->graph, error);
}

/* Writes pending records, so that the state matches the files. */
static glia_status flush(tensorboard *b, glia_error *error) {
    glia_events *const events[2] = { b->train, b->validation };
    glia_status status = GLIA_OK;
    for (int i = 0; i < 2; i++) {
        if (!events[i]) continue;
        glia_status flushed = glia_events_flush(events[i], status == GLIA_OK ? error : NULL);
        if (status == GLIA_OK) status = flushed;
        b->files[i].length = glia_events_length(events[i]);
    }
    return status;
}

static glia_status write_step(tensorboard *b, const glia_progress *p, glia_error *error) {
    if (b->opts.update_freq == 0 || p->done % b->opts.update_freq) return GLIA_OK;
    glia_status status = glia_events_scalar(b->train, "batch_loss", p->done, p->loss, error);
    return status == GLIA_OK ? glia_events_scalar(b->train, "batch_learning_rate", p->done, p->lr, error) : status;
}

static glia_status step_end(const glia_progress *p, void *context, glia_error *error) {
    tensorboard *b = context;
    glia_status status = open_train(b, p, error);
    if (status == GLIA_OK) status = write_step(b, p, error);
    return status == GLIA_OK ? flush(b, error) : status;
}

/* Writes a value of the epoch: "val_loss" is epoch_loss of the validation run. */
static glia_status write_figure(tensorboard *b, const glia_value *figure, int64_t epoch, glia_error *error) {
    const bool validated = strncmp(figure->name, "val_", 4) == 0;
    const char *name = figure->name + (validated ? 4 : 0);
    if (validated && !b->validation) {
        bool is_new;
        glia_status status = open_file(b, b->validation_folder, &b->files[1], &b->validation, &is_new, error);
        if (status != GLIA_OK) return status;
    }
    char tag[96];
    snprintf(tag, sizeof tag, "epoch_%s", strcmp(name, "lr") == 0 ? "learning_rate" : name);
    return glia_events_scalar(validated ? b->validation : b->train, tag, epoch, figure->value, error);
}

static glia_status epoch_end(const glia_progress *p, void *context, glia_error *error) {
    tensorboard *b = context;
    const int64_t epoch = p->epoch - 1; /* Keras counts from 0 */
    glia_status status = open_train(b, p, error);
    for (int i = 0; i < p->n_values && status == GLIA_OK; i++) status = write_figure(b, &p->values[i], epoch, error);
    if (status == GLIA_OK && b->opts.histogram_freq > 0 && epoch % b->opts.histogram_freq == 0) {
        status = write_parameters(b, p, epoch, error);
    }
    moment m = { .board = b, .epoch = epoch };
    if (status == GLIA_OK && b->opts.write_images) status = glia_training_show(p->training, write_shown, &m, error);
    return status == GLIA_OK ? flush(b, error) : status;
}

static void *state(void *context, size_t *bytes) {
    tensorboard *b = context;
    *bytes = sizeof b->files;
    return b->files;
}

static glia_status end(const glia_progress *p, void *context, glia_error *error) {
    (void)p;
    tensorboard *b = context;
    glia_status status = glia_events_close(b->train, error);
    glia_status after = glia_events_close(b->validation, status == GLIA_OK ? error : NULL);
    b->train = b->validation = NULL;
    return status == GLIA_OK ? after : status;
}

static void release(void *context) {
    tensorboard *b = context;
    glia_events_close(b->train, NULL);
    glia_events_close(b->validation, NULL);
    glia_watcher_free(context);
}

glia_callback glia_tensorboard(glia_tensorboard_opts opts) {
    glia_callback c = glia_watcher_create("TensorBoard", sizeof(tensorboard));
    tensorboard *b = c.context;
    if (!b) return c;
    b->opts = opts;
    b->folder = glia_watcher_text(&b->watcher, opts.log_dir && opts.log_dir[0] ? opts.log_dir : "logs");
    if (b->folder) {
        b->train_folder = glia_arena_printf(&b->watcher.arena, "%s/train", b->folder);
        b->validation_folder = glia_arena_printf(&b->watcher.arena, "%s/validation", b->folder);
    }
    if (!b->train_folder || !b->validation_folder) {
        glia_watcher_fail(&b->watcher, GLIA_E_NOMEM, "out of memory");
    }
    if (opts.histogram_freq < 0 || opts.update_freq < 0) {
        glia_watcher_fail(&b->watcher, GLIA_E_ARGUMENT,
                          "TensorBoard: histogram_freq and update_freq cannot be negative");
    }
    c.step_end = step_end;
    c.epoch_end = epoch_end;
    c.train_end = end;
    c.state = state;
    c.free = release;
    return c;
}
