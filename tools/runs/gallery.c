/* gallery.c - what the method shows after each epoch, as files of the run folder:
 *
 *     samples/NAME-0003.png     pictures as a grid, points as dots
 *     samples/NAME-0003.txt     text
 *     samples/NAME-0003.svg     a drawing
 *
 * The number is the epoch. The report shows some of them. The same training writes the same files, so those of a killed
 * and resumed run are those of an unbroken one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reports/picture.h"
#include "runs/training.h"

typedef struct moment {
    const training *run;
    int64_t epoch;
} moment;

static glia_status keep_shown(const moment *m, const char *name, const char *ending, const void *bytes, size_t length,
                              glia_error *error) {
    char *folder = training_file(m->run, "samples");
    text path = { 0 };
    text_add(&path, "%s/%s-%04lld.%s", folder, name, (long long)m->epoch, ending);
    mkdir(folder, 0777);
    const bool written = write_file(path.bytes, bytes, length);
    if (!written) {
        error->status = GLIA_E_IO;
        snprintf(error->message, sizeof error->message, "%s: %s", path.bytes, strerror(errno));
    }
    free(path.bytes);
    free(folder);
    return written ? GLIA_OK : GLIA_E_IO;
}

static glia_status keep_picture(const moment *m, const char *name, picture p, glia_error *error) {
    text png = { 0 };
    picture_png(&p, &png);
    free(p.pixels);
    const glia_status status = keep_shown(m, name, "png", png.bytes, png.length, error);
    free(png.bytes);
    return status;
}

static glia_status show(void *context, const glia_shown *s, glia_error *error) {
    enum { SIDE = 320 };
    const moment *m = context;
    switch (s->kind) {
    case GLIA_SHOWN_PICTURES: return keep_picture(m, s->name, picture_grid(s->values, s->n, s->sample, 0), error);
    case GLIA_SHOWN_POINTS: return keep_picture(m, s->name, picture_points(s->values, s->n, SIDE), error);
    case GLIA_SHOWN_DRAWING: return keep_shown(m, s->name, "svg", s->text, strlen(s->text), error);
    default: return keep_shown(m, s->name, "txt", s->text, strlen(s->text), error);
    }
}

static glia_status epoch_end(const glia_progress *now, void *context, glia_error *error) {
    moment m = { .run = context, .epoch = now->epoch };
    return glia_training_show(now->training, show, &m, error);
}

glia_callback training_gallery(const training *t) {
    return (glia_callback){ .name = "gallery", .epoch_end = epoch_end, .context = (void *)(uintptr_t)t };
}
