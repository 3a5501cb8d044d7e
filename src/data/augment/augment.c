/* augment.c - augmentation pipelines: building, parsing and printing, running.
 *
 * A transformation is fully described by its record, so defaults, checks, printing and parsing loop over tables of
 * fields. Each step has its own Philox stream, selected by (seed, epoch, sample, index of the step). Draws of one step
 * therefore do not affect others, and results do not depend on the thread that runs it.
 */
#include "data/augment/augment.h"

#include <math.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const glia_augment_kind *const kinds[] = {
#define GLIA_AUGMENT_ROW(name) &glia_augment_##name##_kind,
#include "data/augment/augment.def"
#undef GLIA_AUGMENT_ROW
};

/* ---- fields ------------------------------------------------------------------------------- */

static const char *const edges[] = { "constant", "edge", "reflect", "wrap" };

static double field_at(const void *opts, const glia_augment_field *field, int which) {
    const char *at = (const char *)opts + field->offset;
    switch (field->kind) {
    case GLIA_AUGMENT_WHOLE: return *(const int *)at;
    case GLIA_AUGMENT_EDGE: return *(const glia_edge *)at;
    case GLIA_AUGMENT_LIST_OF: return ((const glia_augment_list *)at)->at[which];
    default: return ((const double *)at)[which];
    }
}

static void set_field(void *opts, const glia_augment_field *field, int which, double value) {
    char *at = (char *)opts + field->offset;
    switch (field->kind) {
    case GLIA_AUGMENT_WHOLE: *(int *)at = (int)value; break;
    case GLIA_AUGMENT_EDGE: *(glia_edge *)at = (glia_edge)value; break;
    case GLIA_AUGMENT_LIST_OF: ((glia_augment_list *)at)->at[which] = value; break;
    default: ((double *)at)[which] = value;
    }
}

static glia_augment_list *list_of(const void *opts, const glia_augment_field *field) {
    return (glia_augment_list *)((char *)(uintptr_t)opts + field->offset);
}

/* Number of values of the field. */
static int field_width(const void *opts, const glia_augment_field *field) {
    if (field->kind == GLIA_AUGMENT_LIST_OF) return list_of(opts, field)->n;
    return field->kind == GLIA_AUGMENT_RANGE ? 2 : 1;
}

static double fallback_of(const glia_augment_field *field, int which) {
    return which == 1 ? field->upper : field->fallback;
}

/* The effective value of a field: 0 for GLIA_ZERO and GLIA_NONE. */
static double exact(const glia_augment_field *field, double value) {
    if (field->kind == GLIA_AUGMENT_EDGE) return value;
    if (field->fallback < 0 && value < 0) return NAN; /* negative values only mark the default */
    return field->kind == GLIA_AUGMENT_WHOLE ? (double)glia_option_count((int64_t)value, 0) : glia_option(value, 0);
}

/* Replaces zeros by defaults, and GLIA_ZERO and GLIA_NONE by zeros. */
static void fill_defaults(const glia_augment_kind *kind, void *opts) {
    for (int f = 0; f < kind->n_fields; f++) {
        const glia_augment_field *field = &kind->fields[f];
        const int width = field_width(opts, field);
        bool zero = true;
        for (int i = 0; field->kind == GLIA_AUGMENT_LIST_OF && i < GLIA_MIN(width, GLIA_AUGMENT_LIST); i++)
            set_field(opts, field, i, exact(field, field_at(opts, field, i)));
        if (field->kind == GLIA_AUGMENT_LIST_OF && width != 0) continue;
        if (field->kind == GLIA_AUGMENT_LIST_OF)
            list_of(opts, field)->n = 1, list_of(opts, field)->at[0] = field->fallback;
        for (int i = 0; i < width; i++) zero = zero && field_at(opts, field, i) == 0;
        for (int i = 0; i < width; i++) {
            const double value = field_at(opts, field, i);
            set_field(opts, field, i, zero ? fallback_of(field, i) : exact(field, value));
        }
    }
}

static glia_status check_fields(const glia_augment_kind *kind, const void *opts, glia_error *error) {
    for (int f = 0; f < kind->n_fields; f++) {
        const glia_augment_field *field = &kind->fields[f];
        const int width = field_width(opts, field);
        if (field->kind == GLIA_AUGMENT_LIST_OF && (width < 1 || width > GLIA_AUGMENT_LIST)) {
            return glia_fail(error, GLIA_E_ARGUMENT, "augmentation: %s's %s has %d values; it needs 1 to %d",
                             kind->name, field->name, width, GLIA_AUGMENT_LIST);
        }
        for (int i = 0; i < width; i++) {
            double value = field_at(opts, field, i);
            if (value >= field->least && value <= field->most) continue; /* false for NaN */
            return glia_fail(error, GLIA_E_ARGUMENT, "augmentation: %s's %s is %g, but must be from %g to %g",
                             kind->name, field->name, value, field->least, field->most);
        }
        if (field->kind == GLIA_AUGMENT_RANGE && field_at(opts, field, 0) > field_at(opts, field, 1)) {
            return glia_fail(error, GLIA_E_ARGUMENT, "augmentation: %s's %s begins at %g and ends at %g", kind->name,
                             field->name, field_at(opts, field, 0), field_at(opts, field, 1));
        }
    }
    return GLIA_OK;
}

/* ---- building ----------------------------------------------------------------------------- */

glia_augment *glia_augment_create(glia_error *error) {
    glia_augment *augment = calloc(1, sizeof *augment);
    if (!augment) glia_fail_nomem(error);
    return augment;
}

void glia_augment_free(glia_augment *augment) {
    if (!augment) return;
    glia_arena_free(&augment->arena);
    free(augment->steps);
    free(augment);
}

void glia_augment_add(glia_augment *augment, const glia_augment_kind *kind, const void *opts) {
    if (!augment || augment->mistake.status) return;
    void *copy = glia_arena_alloc(&augment->arena, kind->opts_bytes);
    if (!copy || !glia_grow((void **)&augment->steps, augment->n, &augment->capacity, sizeof *augment->steps)) {
        glia_fail_nomem(&augment->mistake);
        return;
    }
    memcpy(copy, opts, kind->opts_bytes);
    fill_defaults(kind, copy);
    if (check_fields(kind, copy, &augment->mistake)) return;
    glia_augment_step step = { .kind = kind, .opts = copy, .p = 1 };
    for (int f = 0; f < kind->n_fields; f++)
        if (!strcmp(kind->fields[f].name, "p")) step.p = field_at(copy, &kind->fields[f], 0);
    augment->steps[augment->n++] = step;
}

glia_frame glia_augment_frame(const glia_augment_kind *kind, glia_shape sample) {
    glia_frame frame = { .channels = 1, .height = 1, .width = 1, .count = 1 };
    for (int i = 0; i < sample.rank; i++) frame.count *= (size_t)sample.dim[i];
    if (sample.rank == 3 && kind->of != GLIA_AUGMENT_SERIES) {
        frame.channels = (int)sample.dim[0];
        frame.height = (int)sample.dim[1];
        frame.width = (int)sample.dim[2];
    } else if (sample.rank == 2 && kind->of == GLIA_AUGMENT_SERIES) {
        frame.channels = (int)sample.dim[0];
        frame.width = (int)sample.dim[1];
    } else {
        frame.width = (int)frame.count;
    }
    return frame;
}

static glia_status check_step(const glia_augment_step *step, glia_shape sample, glia_error *error) {
    static const char *const wanted[] = { "", "images (C, H, W)", "series (T) or (C, T)" };
    const glia_augment_kind *kind = step->kind;
    bool fits = kind->of == GLIA_AUGMENT_ANY || (kind->of == GLIA_AUGMENT_IMAGE && sample.rank == 3) ||
                (kind->of == GLIA_AUGMENT_SERIES && (sample.rank == 1 || sample.rank == 2));
    if (!fits) {
        char text[GLIA_SHAPE_TEXT];
        return glia_fail(error, GLIA_E_SHAPE, "augmentation: %s needs %s, but the samples have shape %s", kind->name,
                         wanted[kind->of], glia_shape_format(sample, text));
    }
    return kind->check ? kind->check(step->opts, glia_augment_frame(kind, sample), error) : GLIA_OK;
}

glia_status glia_augment_check(const glia_augment *augment, glia_shape sample, glia_error *error) {
    if (!augment) return glia_fail_null(error, "augment");
    if (!augment) return glia_fail_nomem(error);
    if (augment->mistake.status) return glia_fail(error, augment->mistake.status, "%s", augment->mistake.message);
    if (sample.rank == 0) return GLIA_OK;
    int64_t count = glia_shape_count(sample);
    if (count < 1 || count > INT32_MAX) {
        return glia_fail(error, GLIA_E_SHAPE, "augmentation: a sample of %lld values is not supported",
                         (long long)count);
    }
    glia_status status = GLIA_OK;
    for (int i = 0; i < augment->n && !status; i++) status = check_step(&augment->steps[i], sample, error);
    return status;
}

/* ---- text --------------------------------------------------------------------------------- */

/* The shortest decimal that reads back as the same number. */
static void print_number(double value, glia_text *text) {
    char digits[40];
    for (int precision = 1; precision <= 17; precision++) {
        if (value == rint(value) && fabs(value) < 1e15)
            snprintf(digits, sizeof digits, "%.0f", value);
        else
            snprintf(digits, sizeof digits, "%.*g", precision, value);
        for (char *p = digits; *p; p++) *p = *p == ',' ? '.' : *p; /* decimal comma of some locales */
        double back;
        if (glia_number_parse(digits, digits + strlen(digits), &back) && back == value) break;
    }
    glia_text_printf(text, "%s", digits);
}

static bool is_default(const void *opts, const glia_augment_field *field) {
    bool same = field->kind != GLIA_AUGMENT_LIST_OF || list_of(opts, field)->n == 1;
    for (int i = 0; same && i < field_width(opts, field); i++)
        same = same && field_at(opts, field, i) == fallback_of(field, i);
    return same;
}

static void print_step(const glia_augment_step *step, glia_text *text) {
    glia_text_printf(text, "%s%s", text->length ? " " : "", step->kind->name);
    int told = 0;
    for (int f = 0; f < step->kind->n_fields; f++) {
        const glia_augment_field *field = &step->kind->fields[f];
        if (is_default(step->opts, field)) continue;
        glia_text_printf(text, "%s%s=", told++ ? ", " : "(", field->name);
        if (field->kind == GLIA_AUGMENT_EDGE) {
            glia_text_printf(text, "%s", edges[(int)field_at(step->opts, field, 0)]);
            continue;
        }
        for (int i = 0; i < field_width(step->opts, field); i++) {
            if (i) glia_text_printf(text, "%s", field->kind == GLIA_AUGMENT_RANGE ? ".." : "/");
            print_number(field_at(step->opts, field, i), text);
        }
    }
    if (told) glia_text_append(text, ")", 1);
}

char *glia_augment_print(const glia_augment *augment) {
    if (!augment) return NULL;
    glia_text text = { 0 };
    glia_text_append(&text, "", 0);
    for (int i = 0; i < augment->n; i++) print_step(&augment->steps[i], &text);
    if (!text.failed) return text.bytes;
    free(text.bytes);
    return NULL;
}

typedef struct reader {
    const char *text, *at;
    glia_error *error;
} reader;

static glia_status complain(const reader *r, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static glia_status complain(const reader *r, const char *at, const char *format, ...) {
    char words[200];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return glia_fail(r->error, GLIA_E_FORMAT, "augmentation, character %d: %s", (int)(at - r->text) + 1, words);
}

static void skip_blanks(reader *r) { r->at += strspn(r->at, " \t\r\n"); }

/* Length of a name of small letters, digits and underscores; 0: none. */
static int word_length(const char *at) { return (int)strspn(at, "abcdefghijklmnopqrstuvwxyz_0123456789"); }

static glia_status parse_edge(const reader *r, const char *end, double *value) {
    for (int i = 0; i < GLIA_COUNT(edges); i++) {
        *value = i;
        if (strlen(edges[i]) == (size_t)(end - r->at) && !strncmp(edges[i], r->at, (size_t)(end - r->at)))
            return GLIA_OK;
    }
    return complain(r, r->at, "\"%.*s\" is not an edge mode: use constant, edge, reflect or wrap",
                    (int)GLIA_MIN(end - r->at, 40), r->at);
}

/* Parses numbers in [at, end) separated by `separator`; returns how many, 0: none, too many, or invalid. */
static int parse_numbers(const char *at, const char *end, const char *separator, double *out, int most) {
    const size_t gap = strlen(separator);
    for (int n = 0; n < most; n++) {
        const char *stop = at;
        while (stop < end && !((size_t)(end - stop) >= gap && !strncmp(stop, separator, gap))) stop++;
        if (!glia_number_parse(at, stop, &out[n])) return 0;
        if (stop == end) return n + 1;
        at = stop + gap;
    }
    return 0;
}

/* Parses the value in [r->at, end). */
static glia_status parse_value(reader *r, const char *end, const glia_augment_kind *kind,
                               const glia_augment_field *field, void *opts) {
    static const char *const what[] = { "a number", "a range LOW..HIGH", "an integer", "", "numbers A/B/C" };
    const glia_augment_field_kind is = field->kind;
    double value[GLIA_AUGMENT_LIST] = { 0 };
    int n = 1;
    if (is == GLIA_AUGMENT_EDGE) {
        glia_status status = parse_edge(r, end, value);
        if (status) return status;
    } else {
        const int most = is == GLIA_AUGMENT_LIST_OF ? GLIA_AUGMENT_LIST : is == GLIA_AUGMENT_RANGE ? 2 : 1;
        n = parse_numbers(r->at, end, is == GLIA_AUGMENT_RANGE ? ".." : "/", value, most);
    }
    bool right = n > 0 && (is != GLIA_AUGMENT_RANGE || n == 2);
    if (is == GLIA_AUGMENT_WHOLE && (value[0] != floor(value[0]) || fabs(value[0]) > 1e9)) right = false;
    if (!right) {
        return complain(r, r->at, "%s's %s is \"%.*s\", but must be %s", kind->name, field->name,
                        (int)GLIA_MIN(end - r->at, 40), r->at, what[is]);
    }
    if (is == GLIA_AUGMENT_LIST_OF) {
        list_of(opts, field)->n = n;
    }
    if (is == GLIA_AUGMENT_WHOLE && value[0] == GLIA_NONE)
        return complain(r, r->at, "%s's %s cannot be -1", kind->name, field->name);
    const double zero = is == GLIA_AUGMENT_EDGE ? 0 : is == GLIA_AUGMENT_WHOLE ? GLIA_NONE : GLIA_ZERO;
    for (int i = 0; i < n; i++) set_field(opts, field, i, value[i] == 0 ? zero : value[i]);
    r->at = end;
    return GLIA_OK;
}

/* Parses [NAME=]VALUE; a value without a name sets field *next. */
static glia_status parse_argument(reader *r, const glia_augment_kind *kind, int *next, uint32_t *given, void *opts) {
    skip_blanks(r);
    int length = word_length(r->at), index = *next;
    const char *begin = r->at, *after = r->at + length;
    after += strspn(after, " \t\r\n");
    if (length && *after == '=') {
        for (index = 0; index < kind->n_fields; index++) {
            const char *name = kind->fields[index].name;
            if (strlen(name) == (size_t)length && !strncmp(name, begin, (size_t)length)) break;
        }
        if (index == kind->n_fields)
            return complain(r, begin, "%s has no option %.*s", kind->name, GLIA_MIN(length, 40), begin);
        r->at = after + 1;
        skip_blanks(r);
    }
    if (index >= kind->n_fields) return complain(r, begin, "too many values for %s", kind->name);
    if (*given & 1u << index) return complain(r, begin, "%s's %s again", kind->name, kind->fields[index].name);
    *given |= 1u << index;
    *next = index + 1;
    const char *stop = r->at + strcspn(r->at, ",)"), *end = stop;
    while (end > r->at && strchr(" \t\r\n", end[-1])) end--;
    glia_status status = parse_value(r, end, kind, &kind->fields[index], opts);
    r->at = stop;
    return status;
}

static glia_status parse_step(reader *r, glia_augment *augment) {
    const char *begin = r->at;
    int length = word_length(begin);
    const glia_augment_kind *kind = NULL;
    for (int i = 0; i < GLIA_COUNT(kinds); i++)
        if (strlen(kinds[i]->name) == (size_t)length && !strncmp(kinds[i]->name, begin, (size_t)length))
            kind = kinds[i];
    if (!kind) {
        char word[40];
        const char *names[GLIA_COUNT(kinds)];
        for (int i = 0; i < GLIA_COUNT(kinds); i++) names[i] = kinds[i]->name;
        snprintf(word, sizeof word, "%.*s", length ? GLIA_MIN(length, 39) : 1, begin);
        const char *near = glia_nearest(word, names, GLIA_COUNT(kinds));
        return complain(r, begin, "there is no transformation \"%s\"%s%s%s", word, near ? "; did you mean " : "",
                        near ? near : "", near ? "?" : "");
    }
    r->at += length;
    alignas(max_align_t) char opts[GLIA_AUGMENT_OPTS_MOST] = { 0 };
    int next = 0;
    uint32_t given = 0;
    if (*r->at == '(') {
        r->at++;
        skip_blanks(r);
        for (bool more = *r->at != ')'; more; more = *r->at == ',', r->at += more) {
            glia_status status = parse_argument(r, kind, &next, &given, opts);
            if (status) return status;
        }
        if (*r->at != ')') return complain(r, r->at, "\")\" is missing after %s(", kind->name);
        r->at++;
    }
    if (*r->at && !strchr(" \t\r\n", *r->at)) return complain(r, r->at, "a space is missing after %s", kind->name);
    glia_augment_add(augment, kind, opts);
    if (!augment->mistake.status) return GLIA_OK;
    return glia_fail(r->error, augment->mistake.status, "%s", augment->mistake.message);
}

glia_augment *glia_augment_parse(const char *text, glia_error *error) {
    if (!text) return glia_fail_null(error, "text"), NULL;
    glia_augment *augment = glia_augment_create(error);
    if (!augment) return NULL;
    reader r = { .text = text, .at = text, .error = error };
    glia_status status = GLIA_OK;
    for (skip_blanks(&r); *r.at && !status; skip_blanks(&r)) status = parse_step(&r, augment);
    if (!status) return augment;
    glia_augment_free(augment);
    return NULL;
}

/* ---- running ------------------------------------------------------------------------------ */

void glia_augment_exchange(glia_augment_work *work) {
    float *x = work->x;
    work->x = work->spare;
    work->spare = x;
}

size_t glia_augment_scratch(const glia_augment *augment, glia_shape sample) {
    size_t count = (size_t)glia_shape_count(sample), most = 0;
    for (int i = 0; i < augment->n; i++) {
        const glia_augment_step *step = &augment->steps[i];
        size_t extra = step->kind->extra ? step->kind->extra(step->opts, glia_augment_frame(step->kind, sample)) : 0;
        most = GLIA_MAX(most, extra);
    }
    return count + most;
}

uint64_t glia_augment_key(uint64_t seed, uint64_t epoch) {
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    const uint32_t counter[4] = { (uint32_t)epoch, (uint32_t)(epoch >> 32), 0x4155474Du, 0 }; /* "AUGM" */
    uint32_t word[4];
    glia_philox(key, counter, word);
    return (uint64_t)word[1] << 32 | word[0];
}

glia_rng glia_augment_rng(uint64_t key, int64_t index, int step) {
    return (glia_rng){ .seed = key, .stream = ((uint64_t)step << 40) + (uint64_t)index };
}

static const glia_motion stay = { .m = { 1, 0, 0, 0, 1, 0 } };

/* Applies the accumulated map and resets it. */
static void settle(glia_motion *motion, glia_frame frame, glia_augment_work *work, const glia_target *target) {
    const double *m = motion->m;
    if (memcmp(m, stay.m, sizeof stay.m)) glia_augment_move_target(target, frame, motion, work->spare);
    if (motion->sampled && memcmp(m, stay.m, sizeof stay.m)) {
        glia_augment_move(work->x, work->spare, frame, motion);
        glia_augment_exchange(work);
    } else if (!motion->sampled) {
        if (m[0] < 0) glia_augment_mirror(work->x, frame);
        if (m[4] < 0) glia_augment_overturn(work->x, frame);
    }
    *motion = stay;
}

/* Composes a step with the accumulated map; applies that first if both sample with a different edge or fill. */
static void gather(const glia_augment_step *step, glia_frame frame, glia_rng *rng, glia_motion *motion,
                   glia_augment_work *work, const glia_target *target) {
    glia_motion next = stay;
    step->kind->move(step->opts, frame, rng, &next);
    const bool other = next.edge != motion->edge || next.fill != motion->fill;
    if (motion->sampled && next.sampled && other) settle(motion, frame, work, target);
    *motion = glia_motion_join(*motion, next);
}

/* Changes the sample, and then the target with the same random numbers. */
static void run_step(const glia_augment_step *step, glia_frame frame, glia_rng rng, glia_augment_work *work,
                     const glia_target *target) {
    const glia_augment_kind *kind = step->kind;
    glia_rng same = rng;
    kind->run(step->opts, frame, &rng, work);
    if (kind->follow && target->kind != GLIA_TARGETS_ELSEWHERE) {
        glia_motion motion = stay;
        kind->follow(step->opts, frame, &same, &motion);
        if (motion.sampled) glia_augment_move_target(target, frame, &motion, work->spare);
    } else if (kind->displaces && target->kind == GLIA_TARGETS_MASK) {
        const float *field = work->extra;
        glia_augment_displace_mask(target->y, frame, field, field + (size_t)frame.height * (size_t)frame.width,
                                   kind->edge(step->opts), (int32_t *)(void *)work->spare);
    }
}

glia_status glia_augment_check_targets(const glia_augment *augment, glia_targets kind, glia_error *error) {
    for (int i = 0; kind == GLIA_TARGETS_BOXES && i < augment->n; i++)
        if (augment->steps[i].kind->displaces)
            return glia_fail(error, GLIA_E_UNSUPPORTED, "augmentation: boxes cannot follow %s",
                             augment->steps[i].kind->name);
    return GLIA_OK;
}

void glia_augment_run(const glia_augment *augment, glia_shape sample, uint64_t key, int64_t index, float *x,
                      const glia_target *target, float *scratch) {
    const size_t count = (size_t)glia_shape_count(sample);
    glia_augment_work work = { .x = x, .spare = scratch, .extra = scratch + count };
    glia_motion motion = stay;
    glia_frame moved = { 0 };
    for (int i = 0; i < augment->n; i++) {
        const glia_augment_step *step = &augment->steps[i];
        if (step->kind->mix) continue;
        glia_rng rng = glia_augment_rng(key, index, i);
        if (step->p < 1 && glia_rng_uniform(&rng) >= step->p) continue;
        const glia_frame frame = glia_augment_frame(step->kind, sample);
        if (step->kind->move) {
            moved = frame;
            gather(step, frame, &rng, &motion, &work, target);
        } else {
            settle(&motion, moved, &work, target);
            run_step(step, frame, rng, &work, target);
        }
    }
    settle(&motion, moved, &work, target);
    if (work.x != x) memcpy(x, work.x, count * sizeof *x);
}

glia_status glia_augment_apply(const glia_augment *augment, glia_shape sample, uint64_t seed, int64_t epoch,
                               int64_t index, float *x, glia_error *error) {
    if (!augment) return glia_fail_null(error, "augment");
    if (!x) return glia_fail_null(error, "x");
    glia_status status = glia_augment_check(augment, sample, error);
    if (status) return status;
    if (sample.rank == 0) return glia_fail(error, GLIA_E_SHAPE, "augmentation: a scalar is not a sample");
    float *scratch = malloc(glia_augment_scratch(augment, sample) * sizeof *scratch);
    if (!scratch) return glia_fail_nomem(error);
    glia_augment_run(augment, sample, glia_augment_key(seed, (uint64_t)epoch), index, x, &(glia_target){ 0 },
                     scratch);
    free(scratch);
    return GLIA_OK;
}
