/* progress.c - the progress bar, the line of an epoch, and signals. */
#include "terminal/progress.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "glia/glia.h"
#include "runs/record.h"
#include "terminal/json.h"

/* ---- signals ------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int signal_number) {
    (void)signal_number;
    stop_asked = 1;
}

static void catch_signal(int number, int flags) {
    struct sigaction action = { .sa_handler = ask_to_stop, .sa_flags = SA_RESTART | flags };
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void broken_writes_survive(void) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

void interrupt_catch(void) {
    struct sigaction old;
    catch_signal(SIGINT, SA_RESETHAND);
    catch_signal(SIGTERM, SA_RESETHAND);
    bool ignored = sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler == SIG_IGN; /* by nohup */
    if (!ignored) catch_signal(SIGHUP, 0);
}

bool interrupted(void) { return stop_asked != 0; }

static glia_status stop(const glia_progress *now, const char *checkpoint) {
    glia_error error;
    if (checkpoint && glia_training_save(now->training, checkpoint, &error) != GLIA_OK)
        fail("the checkpoint cannot be written, %s", error.message);
    return GLIA_E_INTERRUPTED;
}

/* Stops between steps; after the last step of an epoch, waits for the end of the epoch. */
static glia_status stop_at_step(const glia_progress *now, void *checkpoint, glia_error *error) {
    (void)error;
    return interrupted() && now->step != now->steps ? stop(now, checkpoint) : GLIA_OK;
}

static glia_status stop_at_epoch(const glia_progress *now, void *checkpoint, glia_error *error) {
    (void)error;
    return interrupted() && now->done != now->total ? stop(now, checkpoint) : GLIA_OK;
}

static void free_path(void *path) { free(path); }

glia_callback interrupt_watch(const char *checkpoint) {
    return (glia_callback){ .name = "interrupt",
                            .step_end = stop_at_step,
                            .epoch_end = stop_at_epoch,
                            .context = checkpoint ? duplicate(checkpoint) : NULL,
                            .free = free_path,
                            .after_others = true };
}

/* ---- display ----------------------------------------------------------------------------- */

bool voice_parse(const char *name, voice *out) {
    static const char *const names[] = { "bar", "lines", "json", "quiet" };
    *out = terminal_live() ? VOICE_BAR : VOICE_LINES;
    if (!name) return true;
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (voice)i;
        return true;
    }
    return false;
}

static bool for_people(const progress *p) { return p->voice == VOICE_BAR || p->voice == VOICE_LINES; }

/* The most columns of a line without wrapping. */
static int columns_of(voice v) { return v == VOICE_BAR ? terminal_columns() - 1 : 1000; }

void progress_say(const char *label, const char *words) {
    enum { INDENT = 9 };
    int columns = isatty(STDOUT_FILENO) ? terminal_columns() - 1 : 1 << 20, at = INDENT;
    if (*label)
        printf("%-*s", INDENT, label);
    else
        at = 0;
    for (const char *word = words; *word;) {
        int length = (int)strcspn(word, " "), indent = *label ? INDENT : 0;
        bool first = at == indent;
        if (!first && at + 1 + length > columns) {
            printf("\n%*s", indent, "");
            at = indent;
            first = true;
        }
        printf("%s%.*s", first ? "" : " ", length, word);
        at += length + !first;
        word += length + strspn(word + length, " ");
    }
    printf("\n");
    fflush(stdout);
}

typedef struct style {
    const char *dim, *bold, *good, *bar, *off;
} style;

static style style_of(const progress *p) {
    if (!p->colours) return (style){ "", "", "", "", "" };
    return (style){ "\x1b[2m", "\x1b[1m", "\x1b[32m", "\x1b[36m", "\x1b[0m" };
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

/* Draws the logarithm of the loss so far in `width` columns of eight heights. */
static void draw_curve(text *t, const history *h, int width) {
    static const char *const heights[] = { "\u2581", "\u2582", "\u2583", "\u2584",
                                           "\u2585", "\u2586", "\u2587", "\u2588" };
    double values[64], least = INFINITY, most = -INFINITY;
    for (int i = 0; i < width; i++) {
        int64_t from = i * h->n_points / width, to = (i + 1) * h->n_points / width;
        double sum = 0;
        for (int64_t k = from; k < to; k++) sum += h->points[k].loss;
        values[i] = log(fmax(sum / (double)(to - from), 1e-9));
        least = fmin(least, values[i]);
        most = fmax(most, values[i]);
    }
    for (int i = 0; i < width; i++) {
        double share = most > least ? (values[i] - least) / (most - least) : 0;
        text_add(t, "%s", heights[(int)(7.99 * share)]);
    }
}

/* epoch 2/10 ━━━━━━━━━╺━━━━━━━━━━  46 %  5,120/s  0:08 left  █▅▃▂▂▁▁▁  loss 0.0712  accuracy  97.81 %
 *
 * The texts right of the bar have a fixed width, so its length does not change; a narrow terminal shows fewer. */
static void show_bar(progress *p, const glia_progress *now) {
    enum { BAR = 10, WIDEST = 60, CURVE = 12, PARTS = 6 };
    double clock = seconds_now();
    if (clock - p->drawn < 0.08 && now->step > 1 && now->step < now->steps) return;
    p->drawn = clock;
    style s = style_of(p);
    double share = now->steps > 0 ? (double)now->step / (double)now->steps : 0;
    double rate = now->seconds > 0 ? (double)now->samples / now->seconds : 0;
    int64_t taken = now->done - p->first;
    double left = taken > 0 ? (clock - p->began) * (double)(now->total - now->done) / (double)taken : 0;
    const int columns = columns_of(VOICE_BAR);

    char number[SHORT], time[SHORT], head[2 * SHORT], parts[PARTS][SHORT * 2] = { "" };
    int digits = snprintf(number, sizeof number, "%lld", (long long)now->epochs);
    int used = snprintf(head, sizeof head, "epoch %*lld/%lld ", digits, (long long)now->epoch, (long long)now->epochs);
    if (used > columns) used = 0, head[0] = '\0';
    enum { PERCENT, LOSS, LEFT, ACCURACY, SMALL_CURVE, SPEED }; /* the last ones are dropped first */
    snprintf(parts[PERCENT], sizeof parts[0], " %3.0f %%", 100 * share);
    if (!isnan(now->train.loss))
        snprintf(parts[LOSS], sizeof parts[0], "  loss %s", loss_text(now->train.loss, number));
    snprintf(parts[LEFT], sizeof parts[0], "  %5s left", duration(left, time));
    if (!isnan(now->train.accuracy))
        snprintf(parts[ACCURACY], sizeof parts[0], "  accuracy %6.2f %%", 100 * now->train.accuracy);
    if (p->utf8) snprintf(parts[SMALL_CURVE], sizeof parts[0], "  %*s", CURVE, "");
    snprintf(parts[SPEED], sizeof parts[0], "  %7s/s", grouped((int64_t)rate, number));
    const int order[PARTS] = { PERCENT, SPEED, LEFT, SMALL_CURVE, LOSS, ACCURACY };
    bool shown[PARTS] = { false };
    for (int i = 0; i < PARTS && used + (int)strlen(parts[i]) + (i ? BAR : 0) <= columns; i++) {
        shown[i] = true;
        used += (int)strlen(parts[i]);
    }
    text line = { 0 };
    text_add(&line, "\r\x1b[K%s", head);
    int width = columns - used < WIDEST ? columns - used : WIDEST;
    if (width > 0) draw_bar(&line, p, width, share, s);
    for (int i = 0; i < PARTS; i++) {
        if (!shown[order[i]]) continue;
        if (order[i] == SMALL_CURVE && p->utf8 && p->history.n_points >= CURVE) {
            text_add(&line, "  %s", s.bar);
            draw_curve(&line, &p->history, CURVE);
            text_add(&line, "%s", s.off);
        } else {
            text_add(&line, "%s", parts[order[i]]);
        }
    }
    fwrite(line.bytes, 1, line.length, stdout);
    fflush(stdout);
    free(line.bytes);
}

const char *metric_label(const char *name) { return strncmp(name, "val_", 4) == 0 ? name + 4 : name; }

/* How much an epoch's line says; the first that fits the terminal is taken. */
typedef enum detail { WITH_METRICS, BROAD, MIDDLE, NARROW, TINY, LEAST } detail;

/* Some methods have no loss. */
static void scores_text(text *t, const glia_scores *scores, style s, detail d) {
    char loss[SHORT];
    if (!isnan(scores->loss)) text_add(t, "%sloss%s %s", s.dim, s.off, loss_text(scores->loss, loss));
    if (isnan(scores->accuracy) || d == LEAST) return;
    if (d <= BROAD) text_add(t, "  %saccuracy%s", s.dim, s.off);
    text_add(t, " %6.2f %%", 100 * scores->accuracy);
}

/* epoch 2/10   12 s   5,120/s   loss 0.0712  accuracy  97.81 %   validation loss 0.0601  accuracy  98.20 % */
static void epoch_text(const progress *p, const glia_progress *now, style s, detail d, text *line) {
    const history *h = &p->history;
    const epoch_row *row = &h->epochs[h->n_epochs - 1];
    char number[SHORT], time[SHORT];
    int digits = snprintf(number, sizeof number, "%lld", (long long)now->epochs);
    double rate = row->seconds > 0 ? (double)row->samples / row->seconds : 0;
    text_add(line, d == LEAST ? "%*lld/%lld" : "epoch %*lld/%lld", digits, (long long)now->epoch,
             (long long)now->epochs);
    if (d <= MIDDLE) text_add(line, "  %6s", duration(row->seconds, time));
    if (d <= BROAD) text_add(line, "  %7s/s ", grouped((int64_t)rate, number));
    if (d <= MIDDLE || !h->validated) {
        text_add(line, "  ");
        scores_text(line, &now->train, s, d);
    }
    if (h->validated) {
        text_add(line, "%s%s%s%s", d <= BROAD ? "   " : "  ", s.good, d < TINY ? "validation " : "", s.off);
        scores_text(line, &now->validation, s, d);
    }
    for (int i = 0; d == WITH_METRICS && i < h->n_metrics; i++)
        if (!isnan(row->metrics[i]))
            text_add(line, "  %s%s%s %.4f", s.dim, metric_label(h->metrics[i]), s.off, row->metrics[i]);
}

static void show_epoch(const progress *p, const glia_progress *now) {
    text line = { 0 };
    detail d = WITH_METRICS;
    for (; d <= LEAST; d++) {
        line.length = 0;
        epoch_text(p, now, (style){ "", "", "", "", "" }, d, &line);
        if ((int)line.length <= columns_of(p->voice) || d == LEAST) break;
    }
    line.length = 0;
    epoch_text(p, now, style_of(p), d, &line);
    printf("%s%s\n", p->voice == VOICE_BAR ? "\r\x1b[K" : "", line.bytes);
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
    json_int(&j, "step", now->done);
    for (int i = 0; i < now->n_values; i++) json_real(&j, now->values[i].name, now->values[i].value);
    json_real(&j, "seconds", row->seconds);
    json_real(&j, "samples_per_second", row->seconds > 0 ? (double)row->samples / row->seconds : NAN);
    json_close(&j, '}');
    printf("%s\n", out.bytes);
    fflush(stdout);
    free(out.bytes);
}

/* Prints the planned memory before the first step. */
static void show_memory(const history *h) {
    char step[SHORT], values[SHORT], words[3 * SHORT];
    snprintf(words, sizeof words, "%s for a step, %s of parameters and states", byte_size(h->activation_bytes, step),
             byte_size(h->parameter_bytes, values));
    progress_say("memory", words);
}

/* ---- the callback ------------------------------------------------------------------------- */

void progress_begin(progress *p, voice how, int64_t samples_per_epoch, bool validated, const char *folder) {
    *p = (progress){ .voice = how,
                     .samples = samples_per_epoch,
                     .colours = how == VOICE_BAR && terminal_colours(),
                     .utf8 = terminal_utf8() };
    p->history.validated = validated;
    text curves = { 0 }, steps = { 0 };
    if (!folder) return;
    text_add(&curves, "%s/curves.csv", folder);
    text_add(&steps, "%s/steps.csv", folder);
    p->curves.path = curves.bytes;
    p->steps.path = steps.bytes;
}

static glia_status watch_begin(const glia_progress *now, void *context, glia_error *error) {
    (void)error;
    progress *p = context;
    p->history.activation_bytes = now->activation_bytes;
    p->history.parameter_bytes = now->parameter_bytes;
    p->began = seconds_now();
    if (for_people(p)) show_memory(&p->history);
    return GLIA_OK;
}

static glia_status watch_step(const glia_progress *now, void *context, glia_error *error) {
    (void)error;
    progress *p = context;
    p->epoch = now->epoch;
    p->step = now->step;
    record_open(p);
    record_step(p, now);
    if (p->voice == VOICE_BAR) show_bar(p, now);
    return GLIA_OK;
}

static glia_status watch_epoch(const glia_progress *now, void *context, glia_error *error) {
    (void)error;
    progress *p = context;
    record_open(p);
    record_epoch(p, now);
    if (for_people(p)) show_epoch(p, now);
    if (p->voice == VOICE_JSON) show_json(p, now);
    return GLIA_OK;
}

static void *watch_state(void *context, size_t *bytes) {
    progress *p = context;
    *bytes = sizeof p->now;
    return &p->now;
}

glia_callback progress_watch(progress *p) {
    return (glia_callback){ .name = "progress",
                            .train_begin = watch_begin,
                            .step_end = watch_step,
                            .epoch_end = watch_epoch,
                            .state = watch_state,
                            .context = p };
}

void progress_end(progress *p) {
    if (p->voice != VOICE_BAR) return;
    printf("\r\x1b[K");
    fflush(stdout);
}

void progress_free(progress *p) {
    if (p->curves.file) fclose(p->curves.file);
    if (p->steps.file) fclose(p->steps.file);
    free(p->curves.path);
    free(p->steps.path);
    free(p->history.epochs);
    free(p->history.points);
    *p = (progress){ 0 };
}
