/* progress.c - the live bar, the line of an epoch, the curve's points, and Ctrl-C. */
#include "progress.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* ---- Ctrl-C ------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int signal_number) {
    (void)signal_number;
    stop_asked = 1;
}

void interrupt_catch(void) {
    struct sigaction action = { .sa_handler = ask_to_stop, .sa_flags = SA_RESETHAND | SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupted(void) { return stop_asked != 0; }

/* ---- the curve ---------------------------------------------------------------------------- */

enum {
    POINTS = 24,      /* of the curve in an epoch, at most */
    ALL_POINTS = 120, /* of the curve, about at most */
    STRETCH = 1000    /* samples between two, at least */
};

static void *grow(void *items, int64_t n, int64_t *capacity, size_t size) {
    if (n < *capacity) return items;
    *capacity = *capacity ? 2 * *capacity : 32;
    void *larger = realloc(items, (size_t)*capacity * size);
    if (!larger) exit(fail("memory ran out"));
    return larger;
}

/* now->train has means since the epoch began; the mark has them times samples at the last point, so that the difference
 * belongs to the stretch between. */
static void record_point(progress *p, const glia_progress *now) {
    double steps = (double)(now->steps > 0 ? now->steps : 1), share = (double)now->step / steps;
    if (now->step == 1) p->mark = (curve_point){ 0 };
    double points = fmin(POINTS, floor((double)ALL_POINTS / (double)now->epochs));
    points = fmax(1, fmin(points, floor((double)p->samples / STRETCH)));
    bool due = floor(share * points) > floor((double)(now->step - 1) / steps * points);
    double samples = (double)now->samples, stretch = samples - p->mark.epoch;
    if (!due || stretch <= 0) return;
    history *h = &p->history;
    curve_point total = { .epoch = samples,
                          .loss = now->train.loss * samples,
                          .accuracy = now->train.accuracy * samples };
    h->points = grow(h->points, h->n_points, &h->points_capacity, sizeof *h->points);
    h->points[h->n_points++] = (curve_point){
        .epoch = (double)(now->epoch - 1) + share,
        .loss = (total.loss - p->mark.loss) / stretch,
        .accuracy = (total.accuracy - p->mark.accuracy) / stretch,
    };
    p->mark = total;
}

static void record_epoch(progress *p, const glia_progress *now) {
    history *h = &p->history;
    h->epochs = grow(h->epochs, h->n_epochs, &h->epochs_capacity, sizeof *h->epochs);
    h->epochs[h->n_epochs++] = (epoch_row){ .epoch = now->epoch,
                                            .samples = now->samples,
                                            .seconds = now->train.seconds,
                                            .train = now->train,
                                            .validation = now->validation };
}

/* ---- what people see ---------------------------------------------------------------------- */

typedef struct style {
    const char *dim, *bold, *good, *bar, *off;
} style;

static style style_of(const progress *p) {
    if (!p->colours) return (style){ "", "", "", "", "" };
    return (style){ "\x1b[2m", "\x1b[1m", "\x1b[32m", "\x1b[36m", "\x1b[0m" };
}

typedef enum breadth { NARROW = 72, MIDDLE = 108, BROAD } breadth; /* of an epoch's line: columns that it needs */

static void scores_text(text *t, const glia_scores *scores, style s, breadth room) {
    text_add(t, "%sloss%s %.4f", s.dim, s.off, scores->loss);
    if (isnan(scores->accuracy)) return;
    if (room == BROAD) text_add(t, "  %saccuracy%s", s.dim, s.off);
    text_add(t, " %6.2f %%", 100 * scores->accuracy);
}

static void draw_bar(text *t, const progress *p, int width, double share, style s) {
    static const char *const full[] = { "#", "\u2501" }, *const half[] = { "-", "\u257a" },
                             *const rest[] = { "-", "\u2501" };
    int filled = (int)(share * width);
    text_add(t, "%s", s.bar);
    for (int i = 0; i < filled; i++) text_add(t, "%s", full[p->utf8]);
    text_add(t, "%s%s", s.off, s.dim);
    if (filled < width) text_add(t, "%s", half[p->utf8]);
    for (int i = filled + 1; i < width; i++) text_add(t, "%s", rest[p->utf8]);
    text_add(t, "%s", s.off);
}

/* epoch 2/10 ━━━━━━━━━╺━━━━━━━━━━  46 %  5,120/s  0:08 left  loss 0.0712  accuracy  97.81 %
 *
 * The words right of the bar have a fixed width so that it does not tremble; the narrower the terminal, the fewer. */
static void show_bar(progress *p, const glia_progress *now) {
    double clock = seconds_now();
    if (clock - p->drawn < 0.08 && now->step > 1 && now->step < now->steps) return;
    p->drawn = clock;
    style s = style_of(p);
    double share = now->steps > 0 ? (double)now->step / (double)now->steps : 0;
    double rate = now->seconds > 0 ? (double)now->samples / now->seconds : 0;
    double left = share > 0 ? now->seconds * (1 - share) / share : 0;
    int columns = terminal_columns() - 1;

    char number[SHORT], time[SHORT], words[2 * SHORT];
    int digits = snprintf(number, sizeof number, "%lld", (long long)now->epochs);
    int head =
        snprintf(words, sizeof words, "epoch %*lld/%lld ", digits, (long long)now->epoch, (long long)now->epochs);
    text line = { 0 };
    text_add(&line, "\r\x1b[K%s", words);

    char percent[SHORT], speed[SHORT], eta[SHORT], loss[SHORT], accuracy[SHORT];
    snprintf(percent, sizeof percent, " %3.0f %%", 100 * share);
    snprintf(speed, sizeof speed, "  %7s/s", grouped((int64_t)rate, number));
    snprintf(eta, sizeof eta, "  %5s left", duration(left, time));
    snprintf(loss, sizeof loss, "  loss %.4f", now->train.loss);
    bool classes = !isnan(now->train.accuracy);
    snprintf(accuracy, sizeof accuracy, "  accuracy %6.2f %%", 100 * (classes ? now->train.accuracy : 0));
    const char *parts[] = { percent, loss, classes ? accuracy : "", eta, speed }; /* the last ones go first */
    const int order[] = { 0, 4, 3, 1, 2 };                                        /* as they are shown */
    enum { BAR = 10 };
    int used = head, shown = 0;
    while (shown < 5 && used + (int)strlen(parts[shown]) + BAR <= columns) used += (int)strlen(parts[shown++]);
    int width = columns - used;
    if (width > 60) width = 60;
    if (width > 0) draw_bar(&line, p, width, share, s);
    for (int i = 0; i < 5; i++)
        if (order[i] < shown) text_add(&line, "%s", parts[order[i]]);
    fwrite(line.bytes, 1, line.length, stdout);
    fflush(stdout);
    free(line.bytes);
}

/* epoch 2/10   12 s   5,120/s   loss 0.0712  accuracy  97.81 %   validation loss 0.0601  accuracy  98.20 % */
static void show_epoch(const progress *p, const glia_progress *now) {
    style s = style_of(p);
    int columns = p->bar ? terminal_columns() : 1000;
    breadth room = columns < NARROW ? NARROW : columns < MIDDLE ? MIDDLE : BROAD;
    char number[SHORT], time[SHORT];
    int digits = snprintf(number, sizeof number, "%lld", (long long)now->epochs);
    const epoch_row *row = &p->history.epochs[p->history.n_epochs - 1];
    double rate = row->seconds > 0 ? (double)row->samples / row->seconds : 0;
    text line = { 0 };
    if (p->bar) text_add(&line, "\r\x1b[K");
    text_add(&line, "epoch %*lld/%lld", digits, (long long)now->epoch, (long long)now->epochs);
    if (room != NARROW) text_add(&line, "  %6s", duration(row->seconds, time));
    if (room == BROAD) text_add(&line, "  %7s/s ", grouped((int64_t)rate, number));
    if (room != NARROW || !p->history.validated) {
        text_add(&line, "  ");
        scores_text(&line, &now->train, s, room);
    }
    if (p->history.validated) {
        text_add(&line, "%s%svalidation%s ", room == BROAD ? "   " : "  ", s.good, s.off);
        scores_text(&line, &now->validation, s, room);
    }
    printf("%s\n", line.bytes);
    fflush(stdout);
    free(line.bytes);
}

static void show_json(const progress *p, const glia_progress *now) {
    const epoch_row *row = &p->history.epochs[p->history.n_epochs - 1];
    text out = { 0 };
    json j = { .out = &out };
    json_open(&j, NULL, '{');
    json_int(&j, "epoch", now->epoch);
    json_int(&j, "epochs", now->epochs);
    json_real(&j, "loss", now->train.loss);
    json_real(&j, "accuracy", now->train.accuracy);
    if (p->history.validated) {
        json_real(&j, "validation_loss", now->validation.loss);
        json_real(&j, "validation_accuracy", now->validation.accuracy);
    }
    json_real(&j, "seconds", row->seconds);
    json_real(&j, "samples_per_second", row->seconds > 0 ? (double)row->samples / row->seconds : NAN);
    json_close(&j, '}');
    printf("%s\n", out.bytes);
    fflush(stdout);
    free(out.bytes);
}

/* The planned bytes, before the first step. */
static void show_memory(const history *h) {
    char step[SHORT], values[SHORT];
    printf("memory   %s for a step, %s of parameters and states\n", byte_size(h->activation_bytes, step),
           byte_size(h->parameter_bytes, values));
    fflush(stdout);
}

/* ---- the callback ------------------------------------------------------------------------- */

void progress_begin(progress *p, voice how, int64_t samples_per_epoch, bool validated) {
    bool people = how == VOICE_PEOPLE;
    *p = (progress){ .voice = how,
                     .samples = samples_per_epoch,
                     .bar = people && terminal_live(),
                     .colours = people && terminal_colours(),
                     .utf8 = terminal_utf8(),
                     .began = seconds_now() };
    p->history.validated = validated;
}

static glia_status watch_begin(const glia_progress *now, void *context, glia_error *error) {
    (void)error;
    progress *p = context;
    p->history.activation_bytes = now->activation_bytes;
    p->history.parameter_bytes = now->parameter_bytes;
    if (p->voice == VOICE_PEOPLE) show_memory(&p->history);
    return GLIA_OK;
}

static glia_status watch_step(const glia_progress *now, void *context, glia_error *error) {
    (void)error;
    progress *p = context;
    p->history.seconds = seconds_now() - p->began;
    p->epoch = now->epoch;
    p->step = now->step;
    p->history.steps++;
    record_point(p, now);
    if (p->bar) show_bar(p, now);
    return interrupted() ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static glia_status watch_epoch(const glia_progress *now, void *context, glia_error *error) {
    (void)error;
    progress *p = context;
    p->history.seconds = seconds_now() - p->began;
    record_epoch(p, now);
    if (p->voice == VOICE_PEOPLE) show_epoch(p, now);
    if (p->voice == VOICE_JSON) show_json(p, now);
    return interrupted() ? GLIA_E_INTERRUPTED : GLIA_OK;
}

glia_callback progress_watch(progress *p) {
    return (glia_callback){
        .name = "progress", .train_begin = watch_begin, .step_end = watch_step, .epoch_end = watch_epoch, .context = p
    };
}

void progress_end(progress *p) {
    if (!p->bar) return;
    printf("\r\x1b[K");
    fflush(stdout);
}

void progress_free(progress *p) {
    free(p->history.epochs);
    free(p->history.points);
    *p = (progress){ 0 };
}
