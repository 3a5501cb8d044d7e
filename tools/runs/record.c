/* record.c - what happens in a training, step by step and epoch by epoch: in memory and in two tables of the run folder.
 *
 * A row goes to disk as it comes, so a run that is killed leaves its tables. A training that goes on from a checkpoint
 * reads them, leaves out what came after that, and writes on.
 */
#include "runs/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 10000 }; /* of steps.csv */

static void *grow(void *items, int64_t n, int64_t *capacity, size_t size) {
    if (n < *capacity) return items;
    *capacity = *capacity ? 2 * *capacity : 32;
    void *larger = realloc(items, (size_t)*capacity * size);
    if (!larger) exit(fail("memory ran out"));
    return larger;
}

static curve_point *add_point(history *h) {
    h->points = grow(h->points, h->n_points, &h->points_capacity, sizeof *h->points);
    return &h->points[h->n_points++];
}

static epoch_row *add_epoch(history *h) {
    h->epochs = grow(h->epochs, h->n_epochs, &h->epochs_capacity, sizeof *h->epochs);
    epoch_row *row = &h->epochs[h->n_epochs++];
    *row = (epoch_row){ .validation = { .loss = NAN, .accuracy = NAN },
                        .train = { .loss = NAN, .accuracy = NAN },
                        .lr = NAN };
    for (int i = 0; i < METRICS; i++) row->metrics[i] = NAN;
    return row;
}

/* ---- tables ------------------------------------------------------------------------------- */

static void add_number(text *out, double value) {
    char digits[SHORT] = "";
    const float rounded = (float)value; /* first, so that what was read from a table is written as it stood there */
    for (int precision = 6; !isnan(value) && precision <= 9; precision++) { /* the shortest that is the same f32 */
        snprintf(digits, sizeof digits, "%.*g", precision, (double)rounded);
        if (strtof(digits, NULL) == rounded) break;
    }
    text_add(out, ",%s", digits);
}

static void point_line(text *out, const curve_point *p) {
    text_add(out, "%lld,%.6f", (long long)p->step, p->epoch);
    add_number(out, p->loss);
    add_number(out, p->accuracy);
    add_number(out, p->lr);
    text_add(out, ",%.3f\n", p->seconds);
}

static void epoch_head(text *out, const history *h) {
    text_add(out, "epoch,step,loss,accuracy,val_loss,val_accuracy");
    for (int i = 0; i < h->n_metrics; i++) text_add(out, ",%s", h->metrics[i]);
    text_add(out, ",lr,seconds,samples,samples_per_second\n");
}

static void epoch_line(text *out, const history *h, const epoch_row *row) {
    text_add(out, "%lld,%lld", (long long)row->epoch, (long long)row->step);
    add_number(out, row->train.loss);
    add_number(out, row->train.accuracy);
    add_number(out, row->validation.loss);
    add_number(out, row->validation.accuracy);
    for (int i = 0; i < h->n_metrics; i++) add_number(out, row->metrics[i]);
    add_number(out, row->lr);
    text_add(out, ",%.3f,%lld", row->seconds, (long long)row->samples);
    text_add(out, row->seconds > 0 ? ",%.1f\n" : ",\n", (double)row->samples / row->seconds);
}

static void put(FILE *file, text *line) {
    if (file) {
        fwrite(line->bytes, 1, line->length, file);
        fflush(file);
    }
    free(line->bytes);
}

/* Copies the next field of a line, without the comma that ends it (commas in parentheses do not). False: there is none. */
static bool next_field(const char **line, char out[64]) {
    const char *at = *line;
    if (*at == '\0' || *at == '\n') return false;
    size_t n = 0;
    for (int depth = 0; *at && *at != '\n' && (*at != ',' || depth); at++) {
        depth += (*at == '(') - (*at == ')');
        if (n < 63) out[n++] = *at;
    }
    out[n] = '\0';
    *line = at + (*at == ',');
    return true;
}

static double number(const char *field) { return *field ? strtod(field, NULL) : NAN; }

static void set_epoch_field(history *h, epoch_row *row, const char *name, double value) {
    const struct {
        const char *name;
        double *to;
    } fields[] = { { "loss", &row->train.loss },
                   { "accuracy", &row->train.accuracy },
                   { "val_loss", &row->validation.loss },
                   { "val_accuracy", &row->validation.accuracy },
                   { "lr", &row->lr },
                   { "seconds", &row->seconds } };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (strcmp(name, fields[i].name) == 0) *fields[i].to = value;
    if (strcmp(name, "epoch") == 0) row->epoch = (int64_t)value;
    if (strcmp(name, "step") == 0) row->step = (int64_t)value;
    if (strcmp(name, "samples") == 0) row->samples = (int64_t)value;
    for (int i = 0; i < h->n_metrics; i++)
        if (strcmp(name, h->metrics[i]) == 0) row->metrics[i] = value;
}

/* Calls `take` with each whole line but the first, which is passed along too. */
static void each_line(const char *path, progress *p, void (*take)(progress *p, const char *head, const char *line)) {
    text content = { 0 };
    if (!read_file(path, &content)) return;
    const char *head = content.bytes ? content.bytes : "";
    for (const char *line = strchr(head, '\n'); line && strchr(line + 1, '\n'); line = strchr(line + 1, '\n'))
        take(p, head, line + 1);
    free(content.bytes);
}

static void take_point(progress *p, const char *head, const char *line) {
    (void)head;
    double values[6] = { NAN, NAN, NAN, NAN, NAN, NAN };
    char field[64];
    for (int i = 0; i < 6 && next_field(&line, field); i++) values[i] = number(field);
    if (!(values[0] <= (double)p->now.done)) return;
    *add_point(&p->history) =
        (curve_point){ (int64_t)values[0], values[1], values[2], values[3], values[4], values[5] };
}

static void take_epoch(progress *p, const char *head, const char *line) {
    history *h = &p->history;
    char name[64], field[64];
    for (const char *at = head; h->n_epochs == 0 && h->n_metrics < METRICS && next_field(&at, name);)
        if (strncmp(name, "val_", 4) == 0 && strcmp(name, "val_loss") != 0 && strcmp(name, "val_accuracy") != 0)
            memcpy(h->metrics[h->n_metrics++], name, sizeof name);
    epoch_row *row = add_epoch(h);
    while (next_field(&head, name) && next_field(&line, field)) set_epoch_field(h, row, name, number(field));
    if (row->step > p->now.done) h->n_epochs--;
}

/* A table with what is in memory, open for more. */
static FILE *rewrite(const char *path, text *content) {
    bool written = write_file(path, content->bytes, content->length);
    free(content->bytes);
    return written ? fopen(path, "ab") : NULL;
}

void record_open(progress *p) {
    if (p->open) return;
    p->open = true;
    p->first = p->now.done;
    p->before = p->now.seconds;
    history *h = &p->history;
    h->steps = p->now.done;
    if (!p->curves_path) return;
    if (p->now.done > 0) {
        each_line(p->steps_path, p, take_point);
        each_line(p->curves_path, p, take_epoch);
    }
    text points = { 0 };
    text_add(&points, "step,epoch,loss,accuracy,lr,seconds\n");
    for (int64_t i = 0; i < h->n_points; i++) point_line(&points, &h->points[i]);
    p->steps = rewrite(p->steps_path, &points);
    if (h->n_epochs == 0) return; /* the columns are known when the first epoch ends */
    text epochs = { 0 };
    epoch_head(&epochs, h);
    for (int64_t i = 0; i < h->n_epochs; i++) epoch_line(&epochs, h, &h->epochs[i]);
    p->curves = rewrite(p->curves_path, &epochs);
}

/* ---- steps and epochs ----------------------------------------------------------------------- */

/* now->train has means since the epoch began; the stretch has what they were, times samples, at its beginning. */
void record_step(progress *p, const glia_progress *now) {
    stretch *s = &p->now;
    if (now->step == 1) s->samples = 0, s->accuracy_sum = 0;
    s->done = now->done;
    s->seconds = p->before + seconds_now() - p->began;
    s->epoch_seconds = now->seconds;
    s->loss += now->loss;
    s->steps++;
    p->history.steps = now->done;
    p->history.seconds = s->seconds;
    int64_t stride = (now->total + MOST_ROWS - 1) / MOST_ROWS;
    if (now->done % stride != 0 && now->step != now->steps) return;
    double sum = now->train.accuracy * (double)now->samples, steps = (double)(now->steps > 0 ? now->steps : 1);
    curve_point *point = add_point(&p->history);
    *point = (curve_point){ .step = now->done,
                            .epoch = (double)(now->epoch - 1) + (double)now->step / steps,
                            .loss = s->loss / (double)s->steps,
                            .accuracy = (sum - s->accuracy_sum) / (double)(now->samples - s->samples),
                            .lr = now->lr,
                            .seconds = s->seconds };
    text line = { 0 };
    point_line(&line, point);
    put(p->steps, &line);
    *s = (stretch){ .done = s->done,
                    .samples = now->samples,
                    .accuracy_sum = sum,
                    .seconds = s->seconds,
                    .epoch_seconds = s->epoch_seconds };
}

void record_epoch(progress *p, const glia_progress *now) {
    history *h = &p->history;
    if (h->n_epochs == 0 && h->n_metrics == 0) {
        for (int i = 0; i < now->n_values && h->n_metrics < METRICS; i++) {
            const char *name = now->values[i].name;
            if (strncmp(name, "val_", 4) != 0 || !strcmp(name, "val_loss") || !strcmp(name, "val_accuracy")) continue;
            snprintf(h->metrics[h->n_metrics++], sizeof h->metrics[0], "%s", name);
        }
    }
    h->seconds = p->now.seconds = p->before + seconds_now() - p->began;
    epoch_row *row = add_epoch(h);
    row->epoch = now->epoch;
    row->step = now->done;
    row->samples = now->samples;
    row->seconds = p->now.epoch_seconds;
    row->train = now->train;
    row->validation = now->validation;
    row->lr = now->lr;
    for (int i = 0; i < h->n_metrics; i++)
        for (int k = 0; k < now->n_values; k++)
            if (strcmp(now->values[k].name, h->metrics[i]) == 0) row->metrics[i] = now->values[k].value;
    text line = { 0 };
    if (p->curves_path && !p->curves && h->n_epochs == 1) {
        epoch_head(&line, h);
        p->curves = fopen(p->curves_path, "wb");
    }
    epoch_line(&line, h, row);
    put(p->curves, &line);
}
