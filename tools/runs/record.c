/* record.c - records the figures of steps and epochs, in memory and in two tables of the run folder.
 *
 * Rows are written at once, so a killed run leaves its tables. The checkpoint has the number of rows; resumed training
 * keeps these and drops the rest, partial rows too. Values in memory are rounded as in the tables, so results do not
 * depend on whether they were read back.
 */
#include "runs/record.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"

enum { MOST_ROWS = 10000 }; /* of steps.csv */

static void *grow(void *items, int64_t n, int64_t *capacity, size_t size) {
    if (n < *capacity) return items;
    *capacity = *capacity ? 2 * *capacity : 32;
    void *larger = realloc(items, (size_t)*capacity * size);
    if (!larger) exit(fail("out of memory"));
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
    const float rounded = (float)value; /* so that values read from a table are written unchanged */
    for (int precision = 6; !isnan(value) && precision <= 9; precision++) { /* the shortest that reads back as it */
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
    text_add(out, ",%.6f\n", p->seconds);
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
    text_add(out, ",%.6f,%lld", row->seconds, (long long)row->samples);
    text_add(out, row->seconds > 0 ? ",%.1f\n" : ",\n", (double)row->samples / row->seconds);
}

/* Copies the next field of a line, without the comma that ends it (commas in parentheses do not). False: there is
 * none. */
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

/* Calls `take` with the header and at most `rows` complete lines after it. */
static void each_line(const char *path, progress *p, int64_t rows,
                      void (*take)(progress *p, const char *head, const char *line)) {
    text content = { 0 };
    if (!read_file(path, &content)) return;
    const char *head = content.bytes ? content.bytes : "";
    const char *line = strchr(head, '\n');
    for (; rows > 0 && line && strchr(line + 1, '\n'); line = strchr(line + 1, '\n'), rows--) take(p, head, line + 1);
    free(content.bytes);
}

static curve_point parse_point(const char *line) {
    double values[6] = { NAN, NAN, NAN, NAN, NAN, NAN };
    char field[64];
    for (int i = 0; i < 6 && next_field(&line, field); i++) values[i] = number(field);
    return (curve_point){ (int64_t)values[0], values[1], values[2], values[3], values[4], values[5] };
}

static void take_point(progress *p, const char *head, const char *line) {
    (void)head;
    *add_point(&p->history) = parse_point(line);
}

static void parse_epoch(history *h, epoch_row *row, const char *head, const char *line) {
    char name[64], field[64];
    while (next_field(&head, name) && next_field(&line, field)) set_epoch_field(h, row, name, number(field));
    row->train.samples = row->samples;
}

/* Columns of every table; others are metrics of the run. */
static bool is_metric(const char *name) {
    static const char *const known[] = { "epoch",        "step", "loss",    "accuracy", "val_loss",
                                         "val_accuracy", "lr",   "seconds", "samples",  "samples_per_second" };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i]) == 0) return false;
    return *name != '\0';
}

static void take_epoch(progress *p, const char *head, const char *line) {
    history *h = &p->history;
    char name[64];
    for (const char *at = head; h->n_epochs == 0 && h->n_metrics < METRICS && next_field(&at, name);)
        if (is_metric(name)) memcpy(h->metrics[h->n_metrics++], name, sizeof name);
    parse_epoch(h, add_epoch(h), head, line);
}

static void print_points(const history *h, text *out) {
    text_add(out, "step,epoch,loss,accuracy,lr,seconds\n");
    for (int64_t i = 0; i < h->n_points; i++) point_line(out, &h->points[i]);
}

static void print_epochs(const history *h, text *out) {
    epoch_head(out, h);
    for (int64_t i = 0; i < h->n_epochs; i++) epoch_line(out, h, &h->epochs[i]);
}

static void fall_behind(table_file *table) {
    if (!table->behind) fail("%s: %s; training goes on", table->path, strerror(errno));
    table->behind = true;
    if (table->file) fclose(table->file);
    table->file = NULL;
}

/* Writes the whole table and keeps it open for appending. */
static void rewrite(table_file *table, const history *h, void (*print)(const history *h, text *out)) {
    text content = { 0 };
    print(h, &content);
    if (table->file) fclose(table->file);
    table->file = write_file(table->path, content.bytes, content.length) ? fopen(table->path, "ab") : NULL;
    if (table->file)
        table->behind = false;
    else
        fall_behind(table);
    free(content.bytes);
}

/* Appends a line; after a failure rows are only kept in memory, until the table is rewritten. */
static void put(table_file *table, text *line) {
    if (table->file && (fwrite(line->bytes, 1, line->length, table->file) != line->length || fflush(table->file) != 0))
        fall_behind(table);
    free(line->bytes);
}

void record_open(progress *p) {
    if (p->open) return;
    p->open = true;
    p->first = p->now.done;
    p->before = p->now.seconds;
    history *h = &p->history;
    h->steps = p->now.done;
    h->seconds = p->now.seconds;
    if (!p->curves.path) return;
    each_line(p->steps.path, p, p->now.points, take_point);
    each_line(p->curves.path, p, p->now.epochs, take_epoch);
    p->now.points = h->n_points;
    p->now.epochs = h->n_epochs;
    rewrite(&p->steps, h, print_points);
    if (h->n_epochs > 0)
        rewrite(&p->curves, h, print_epochs);
    else
        remove(p->curves.path); /* created when the first epoch ends and its columns are known */
}

void record_close(progress *p) {
    if (p->steps.behind) rewrite(&p->steps, &p->history, print_points);
    if (p->curves.behind) rewrite(&p->curves, &p->history, print_epochs);
    if (p->steps.file) fclose(p->steps.file);
    if (p->curves.file) fclose(p->curves.file);
    p->steps.file = p->curves.file = NULL;
}

/* ---- steps and epochs ----------------------------------------------------------------------- */

/* now->train has means over the epoch so far; the stretch has their values, times samples, at its own beginning. */
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
    *point = parse_point(line.bytes);
    put(&p->steps, &line);
    *s = (stretch){ .epochs = s->epochs,
                    .points = p->history.n_points,
                    .done = s->done,
                    .samples = now->samples,
                    .accuracy_sum = sum,
                    .seconds = s->seconds,
                    .epoch_seconds = s->epoch_seconds };
}

static epoch_row row_of(const progress *p, const glia_progress *now) {
    const history *h = &p->history;
    epoch_row row = { .epoch = now->epoch,
                      .step = now->done,
                      .samples = now->samples,
                      .seconds = p->now.epoch_seconds,
                      .train = now->train,
                      .validation = now->validation,
                      .lr = now->lr };
    for (int i = 0; i < METRICS; i++) row.metrics[i] = i < h->n_metrics ? glia_progress_value(now, h->metrics[i]) : NAN;
    return row;
}

void record_epoch(progress *p, const glia_progress *now) {
    history *h = &p->history;
    for (int i = 0; h->n_epochs == 0 && i < now->n_values && h->n_metrics < METRICS; i++) {
        if (!is_metric(now->values[i].name)) continue;
        snprintf(h->metrics[h->n_metrics++], sizeof h->metrics[0], "%s", now->values[i].name);
    }
    h->seconds = p->now.seconds = p->before + seconds_now() - p->began;
    const bool again =
        h->n_epochs > 0 && h->epochs[h->n_epochs - 1].epoch == now->epoch; /* ended before by max_steps */
    h->n_epochs -= again;
    epoch_row *row = add_epoch(h);
    *row = row_of(p, now);
    text head = { 0 }, line = { 0 };
    epoch_head(&head, h);
    epoch_line(&line, h, row);
    parse_epoch(h, row, head.bytes, line.bytes);
    free(head.bytes);
    put(&p->curves, &line);
    if (p->curves.path && (h->n_epochs == 1 || again || p->curves.behind)) rewrite(&p->curves, h, print_epochs);
    if (p->steps.behind) rewrite(&p->steps, h, print_points);
    p->now.epochs = h->n_epochs;
}
