/* lr_schedule.c - learning-rate schedules: closed forms, and their text. glia.h explains the formulas. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "glia/optim.h"

/* ---- names --------------------------------------------------------------------------------- */

static const char *const names[GLIA_LR_SCHEDULE_COUNT] = {
    [GLIA_LR_CONSTANT] = "constant",
    [GLIA_LR_LINEAR] = "linear",
    [GLIA_LR_POLYNOMIAL] = "polynomial",
    [GLIA_LR_COSINE] = "cosine",
    [GLIA_LR_STEP] = "step",
    [GLIA_LR_MULTISTEP] = "multistep",
    [GLIA_LR_EXPONENTIAL] = "exponential",
    [GLIA_LR_INVERSE_SQRT] = "inverse-sqrt",
    [GLIA_LR_TRIANGULAR] = "triangular",
    [GLIA_LR_TRIANGULAR2] = "triangular2",
    [GLIA_LR_EXP_RANGE] = "exp-range",
    [GLIA_LR_ONE_CYCLE] = "one-cycle",
};

const char *glia_lr_schedule_name(glia_lr_schedule_kind kind) {
    return (unsigned)kind < GLIA_LR_SCHEDULE_COUNT ? names[kind] : NULL;
}

/* The named numbers in a schedule's text, and their ranges. */
static const struct {
    const char *name;
    size_t offset;
    double least, most;
    bool above_zero;
} fields[] = {
    { "low", offsetof(glia_lr_schedule, low), 0, HUGE_VAL, false },
    { "power", offsetof(glia_lr_schedule, power), 0, HUGE_VAL, false },
    { "gamma", offsetof(glia_lr_schedule, gamma), 0, HUGE_VAL, false },
    { "period", offsetof(glia_lr_schedule, period), 0, HUGE_VAL, true }, /* or 0 for a cosine: no restarts */
    { "growth", offsetof(glia_lr_schedule, growth), 0, HUGE_VAL, true },
    { "rise", offsetof(glia_lr_schedule, rise), 0, 1, false },
    { "divide", offsetof(glia_lr_schedule, divide), 0, HUGE_VAL, true },
    { "divide-end", offsetof(glia_lr_schedule, divide_end), 0, HUGE_VAL, true },
    { "momentum-low", offsetof(glia_lr_schedule, momentum_low), 0, 1, false },
    { "warmup", offsetof(glia_lr_schedule, warmup), 0, HUGE_VAL, false },
};

enum { PERIOD = 3 };

static double *field(glia_lr_schedule *s, int i) { return (double *)(void *)((char *)s + fields[i].offset); }

glia_status glia_lr_schedule_check(const glia_lr_schedule *s, glia_error *error) {
    if (!s) return glia_fail_null(error, "schedule");
    if ((unsigned)s->kind >= GLIA_LR_SCHEDULE_COUNT) {
        return glia_fail(error, GLIA_E_ARGUMENT, "there is no schedule number %d", (int)s->kind);
    }
    const char *name = names[s->kind];
    glia_lr_schedule copy = *s;
    for (int i = 0; i < GLIA_COUNT(fields); i++) {
        double value = *field(&copy, i);
        if (value == GLIA_ZERO && fields[i].above_zero && !(s->kind == GLIA_LR_COSINE && i == PERIOD)) {
            return glia_fail(error, GLIA_E_ARGUMENT, "the schedule %s: %s cannot be 0", name, fields[i].name);
        }
        if (value >= fields[i].least && value <= fields[i].most && isfinite(value)) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "the schedule %s: %s is %g, which is not in [%g, %g]", name,
                         fields[i].name, value, fields[i].least, fields[i].most);
    }
    double before = 0;
    for (int i = 0; i < GLIA_MILESTONES && s->milestones[i] != 0; i++) {
        if (!(s->milestones[i] > before) || !isfinite(s->milestones[i])) {
            return glia_fail(error, GLIA_E_ARGUMENT, "the schedule %s: its milestones do not rise at %g", name,
                             s->milestones[i]);
        }
        before = s->milestones[i];
    }
    const bool cyclical = s->kind >= GLIA_LR_TRIANGULAR && s->kind <= GLIA_LR_EXP_RANGE;
    if (s->momentum_low != 0 && !cyclical && s->kind != GLIA_LR_ONE_CYCLE) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the schedule %s has no cycles for momentum-low", name);
    }
    const char *missing = cyclical && s->period == 0                                                          ? "period"
                          : (s->kind == GLIA_LR_EXPONENTIAL || s->kind == GLIA_LR_EXP_RANGE) && s->gamma == 0 ? "gamma"
                          : s->kind == GLIA_LR_MULTISTEP && s->milestones[0] == 0 ? "milestones"
                                                                                  : NULL;
    if (missing) return glia_fail(error, GLIA_E_ARGUMENT, "the schedule %s needs %s", name, missing);
    return GLIA_OK;
}

/* ---- rates --------------------------------------------------------------------------------- */

/* Replaces zeros by defaults, and GLIA_ZERO by 0. */
static glia_lr_schedule resolved(glia_lr_schedule s) {
    const bool steps = s.kind == GLIA_LR_STEP || s.kind == GLIA_LR_MULTISTEP;
    s.low = glia_option(s.low, 0);
    s.power = glia_option(s.power, 1);
    s.gamma = glia_option(s.gamma, steps ? 0.1 : 0);
    s.period = glia_option(s.period, s.kind == GLIA_LR_STEP || s.kind == GLIA_LR_EXPONENTIAL);
    s.growth = glia_option(s.growth, 1);
    s.rise = glia_option(s.rise, 0.3);
    s.divide = glia_option(s.divide, 25);
    s.divide_end = glia_option(s.divide_end, 1e4);
    s.momentum_low = glia_option(s.momentum_low, 0);
    s.warmup = glia_option(s.warmup, 0);
    return s;
}

/* Half a cosine from `from` to `to`, at fraction x in [0, 1]. */
static double along_cosine(double from, double to, double x) { return to + (from - to) * (1 + cos(M_PI * x)) / 2; }

/* The elapsed fraction of the current period of a cosine with restarts. */
static double share_of_period(double t, double period, double growth) {
    if (growth == 1) return fmod(t, period) / period;
    while (t >= period && period > 0 && isfinite(period)) {
        t -= period;
        period *= growth;
    }
    return period > 0 ? t / period : 1;
}

/* Smith 2017: the height within the cycle, from 0 to 1 to 0; *cycle counts from 0. */
static double triangle(double t, double period, double *cycle) {
    *cycle = floor(t / period);
    return 1 - fabs(2 * (t / period - *cycle) - 1);
}

/* From `start` to `peak` and then to `end`, along half cosines. */
static double one_cycle(const glia_lr_schedule *s, double start, double peak, double end, double t, double length) {
    const double last = fmax(length - 1, 1), top = s->rise * length - 1;
    if (t <= top) return along_cosine(start, peak, top > 0 ? t / top : 1);
    return along_cosine(peak, end, fmin((t - top) / fmax(last - top, 1e-9), 1));
}

double glia_lr_schedule_rate(const glia_lr_schedule *schedule, double lr, int64_t step, int64_t total,
                             int64_t epoch_steps) {
    if (!schedule) return lr;
    const glia_lr_schedule whole = resolved(*schedule), *s = &whole;
    const double unit = s->in_epochs ? (double)epoch_steps : 1;
    const double warmup = s->warmup * unit, period = s->period * unit, now = (double)step;
    const double t = fmax(now - warmup, 0), length = fmax((double)total - warmup, 1), share = fmin(t / length, 1);
    double cycle = 0;
    if (now < warmup) return lr * fmin((now + 1) / warmup, 1);
    switch (s->kind) {
    case GLIA_LR_LINEAR: return lr + (s->low - lr) * share;
    case GLIA_LR_POLYNOMIAL: return s->low + (lr - s->low) * pow(1 - share, s->power);
    case GLIA_LR_COSINE:
        return along_cosine(lr, s->low, period > 0 ? share_of_period(t, period, s->growth) : share);
    case GLIA_LR_STEP: return lr * pow(s->gamma, floor(now / period));
    case GLIA_LR_MULTISTEP: {
        int passed = 0;
        while (passed < GLIA_MILESTONES && s->milestones[passed] > 0 && s->milestones[passed] * unit <= now) passed++;
        return lr * pow(s->gamma, passed);
    }
    case GLIA_LR_EXPONENTIAL: return lr * pow(s->gamma, now / period);
    case GLIA_LR_INVERSE_SQRT: {
        double width = fmax(warmup, 1);
        return lr * sqrt(width / fmax(now + 1, width));
    }
    case GLIA_LR_TRIANGULAR: return s->low + (lr - s->low) * triangle(t, period, &cycle);
    case GLIA_LR_TRIANGULAR2: {
        double height = triangle(t, period, &cycle);
        return s->low + (lr - s->low) * height / exp2(cycle);
    }
    case GLIA_LR_EXP_RANGE: return s->low + (lr - s->low) * triangle(t, period, &cycle) * pow(s->gamma, t);
    case GLIA_LR_ONE_CYCLE: {
        const double start = lr / s->divide;
        return one_cycle(s, start, lr, start / s->divide_end, t, length);
    }
    default: return lr;
    }
}

double glia_lr_schedule_momentum(const glia_lr_schedule *schedule, double momentum, int64_t step, int64_t total,
                                 int64_t epoch_steps) {
    if (!schedule || schedule->momentum_low == 0) return momentum;
    const glia_lr_schedule whole = resolved(*schedule), *s = &whole;
    const double unit = s->in_epochs ? (double)epoch_steps : 1;
    const double warmup = s->warmup * unit, t = fmax((double)step - warmup, 0), length = (double)total - warmup;
    if (s->kind == GLIA_LR_ONE_CYCLE) return one_cycle(s, momentum, s->momentum_low, momentum, t, length);
    double cycle, height = triangle(t, s->period * unit, &cycle);
    if (s->kind == GLIA_LR_TRIANGULAR2) height /= exp2(cycle);
    if (s->kind == GLIA_LR_EXP_RANGE) height *= pow(s->gamma, t);
    return momentum + (s->momentum_low - momentum) * height;
}

/* ---- text ---------------------------------------------------------------------------------- */

/* The end of a word in [at, end), and the position after the blanks that follow. */
static const char *word_end(const char *at, const char *end) {
    while (at < end && !strchr("(),=: ", *at)) at++;
    return at;
}

static const char *skip(const char *at, const char *end) {
    while (at < end && *at == ' ') at++;
    return at;
}

static bool is_word(const char *word, size_t length, const char *name) {
    return strlen(name) == length && memcmp(word, name, length) == 0;
}

static glia_status bad_text(glia_error *error, const char *text, const char *at, const char *what) {
    return glia_fail(error, GLIA_E_ARGUMENT, "the schedule '%.80s', character %d: %s", text, (int)(at - text) + 1,
                     what);
}

/* "100:150": increasing numbers. */
static bool parse_milestones(const char *at, const char *end, glia_lr_schedule *s) {
    for (int n = 0; n < GLIA_MILESTONES; n++) {
        const char *stop = word_end(at, end);
        if (!glia_number_parse(at, stop, &s->milestones[n])) return false;
        if (stop == end) return true;
        if (*stop != ':') return false;
        at = stop + 1;
    }
    return false;
}

/* One "name=value" or "in-epochs" in [at, end). */
static glia_status parse_field(const char *text, const char *at, const char *end, glia_lr_schedule *s,
                               glia_error *error) {
    while (end > at && end[-1] == ' ') end--;
    const char *stop = word_end(at, end);
    const size_t length = (size_t)(stop - at);
    if (is_word(at, length, "in-epochs") && stop == end) {
        s->in_epochs = true;
        return GLIA_OK;
    }
    const char *value = skip(stop, end);
    if (value == end || *value != '=') {
        return bad_text(error, text, value, "expected in-epochs, or a name, '=' and a number");
    }
    value = skip(value + 1, end);
    if (is_word(at, length, "milestones")) {
        return parse_milestones(value, end, s)
                   ? GLIA_OK
                   : bad_text(error, text, value, "expected at most 16 milestones like 100:150");
    }
    const char *candidates[GLIA_COUNT(fields) + 2] = { "milestones", "in-epochs" };
    for (int i = 0; i < GLIA_COUNT(fields); i++) {
        candidates[i + 2] = fields[i].name;
        if (!is_word(at, length, fields[i].name)) continue;
        if (!glia_number_parse(value, end, field(s, i))) return bad_text(error, text, value, "expected a number");
        if (*field(s, i) == 0) *field(s, i) = GLIA_ZERO;
        return GLIA_OK;
    }
    char word[48], message[160];
    snprintf(word, sizeof word, "%.*s", (int)length, at);
    const char *near = glia_nearest(word, candidates, GLIA_COUNT(candidates));
    snprintf(message, sizeof message, "a schedule has no '%s'%s%s%s", word, near ? "; did you mean " : "",
             near ? near : "", near ? "?" : "");
    return bad_text(error, text, at, message);
}

glia_status glia_lr_schedule_parse(const char *text, glia_lr_schedule *schedule, glia_error *error) {
    if (!text) return glia_fail(error, GLIA_E_ARGUMENT, "glia_lr_schedule_parse: there is no text");
    glia_lr_schedule s = { .kind = GLIA_LR_SCHEDULE_COUNT };
    const char *end = text + strlen(text), *at = skip(text, end), *stop = word_end(at, end);
    for (int i = 0; i < GLIA_LR_SCHEDULE_COUNT; i++) {
        if (is_word(at, (size_t)(stop - at), names[i])) s.kind = (glia_lr_schedule_kind)i;
    }
    if (s.kind == GLIA_LR_SCHEDULE_COUNT) {
        char word[48];
        snprintf(word, sizeof word, "%.*s", (int)(stop - at), at);
        const char *near = glia_nearest(word, names, GLIA_LR_SCHEDULE_COUNT);
        glia_text list = { 0 };
        for (int i = 0; i < GLIA_LR_SCHEDULE_COUNT; i++) glia_text_printf(&list, "%s%s", i ? ", " : "", names[i]);
        glia_status status = glia_fail(error, GLIA_E_ARGUMENT, "there is no schedule \"%s\"%s%s%s; there are %s", word,
                                       near ? "; did you mean " : "", near ? near : "", near ? "?" : "",
                                       list.bytes ? list.bytes : "...");
        free(list.bytes);
        return status;
    }
    at = skip(stop, end);
    if (at < end && *at == '(') {
        for (bool more = true; more; at = stop + 1) {
            at = skip(at + (*at == '('), end);
            stop = at + strcspn(at, ",)");
            if (!*stop) return bad_text(error, text, stop, "expected ')'");
            more = *stop == ',';
            if (at == stop && !more) continue; /* "()" */
            glia_status status = parse_field(text, at, stop, &s, error);
            if (status != GLIA_OK) return status;
        }
        at = skip(at, end);
    }
    if (at < end) return bad_text(error, text, at, "expected the end");
    glia_status status = glia_lr_schedule_check(&s, error);
    if (status == GLIA_OK) *schedule = s;
    return status;
}

void glia_lr_schedule_print(const glia_lr_schedule *schedule, char *out, size_t capacity) {
    if (!schedule || !out) return;
    glia_lr_schedule s = *schedule;
    glia_text text = { 0 };
    char number[GLIA_NUMBER_TEXT];
    glia_text_printf(&text, "%s(", glia_lr_schedule_name(s.kind) ? glia_lr_schedule_name(s.kind) : "?");
    const size_t head = text.length;
    for (int i = 0; i < GLIA_COUNT(fields); i++) {
        if (*field(&s, i) == 0) continue;
        glia_text_printf(&text, "%s%s=%s", text.length > head ? ", " : "", fields[i].name,
                         glia_number_print(glia_option(*field(&s, i), 0), number));
    }
    for (int i = 0; i < GLIA_MILESTONES && s.milestones[i] != 0; i++) {
        const char *before = i ? ":" : text.length > head ? ", milestones=" : "milestones=";
        glia_text_printf(&text, "%s%s", before, glia_number_print(s.milestones[i], number));
    }
    if (s.in_epochs) glia_text_printf(&text, "%sin-epochs", text.length > head ? ", " : "");
    if (text.length == head) {
        if (text.bytes) text.bytes[--text.length] = 0;
    } else {
        glia_text_printf(&text, ")");
    }
    if (capacity) snprintf(out, capacity, "%s", text.bytes && !text.failed ? text.bytes : "");
    free(text.bytes);
}
