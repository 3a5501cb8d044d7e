/* source.c - the kinds of sources, and the one of methods that learn from nothing outside. */
#include "runs/source.h"

#include <math.h>
#include <stddef.h>

/* ---- nothing ------------------------------------------------------------------------------- */

/* The model is built as its row says. */
static void sizes(const training *t, glia_shape *x, int64_t *outputs) {
    *x = t->recipe->sample;
    *outputs = t->recipe->outputs;
}

static int nothing_to_do(training *t) {
    (void)t;
    return -1;
}

static int64_t samples(const training *t) {
    (void)t;
    return 0;
}

static void tell(const training *t) { (void)t; }
static void close_nothing(training *t) { (void)t; }

static const source source_nothing = { .open = nothing_to_do,
                                       .sizes = sizes,
                                       .prepare = nothing_to_do,
                                       .samples = samples,
                                       .tell = tell,
                                       .close = close_nothing };

/* ---- the kinds ----------------------------------------------------------------------------- */

#define SOURCE(name) extern const source source_##name;
#include "runs/sources.def"
#undef SOURCE

static const source *source_of(const glia_method_info *method) {
    static const source *const kinds[] = {
#define SOURCE(name) &source_##name,
#include "runs/sources.def"
#undef SOURCE
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (method->uses & kinds[i]->flag) return kinds[i];
    return &source_nothing;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* Refuses options that this kind of source does not have, and turns them off. */
static int check_options(training *t) {
    settings *a = &t->asked;
    const unsigned takes = t->source->takes;
    const struct {
        unsigned kind;
        bool set;
        const char *option;
    } rows[] = {
        { SOURCE_ADDRESS, a->data != NULL, "data" },
        { SOURCE_ADDRESS, a->data_folder != NULL, "data-folder" },
        { SOURCE_SAMPLES, a->validation > 0, "validation-split" },
        { SOURCE_SAMPLES, a->normalize > 0, "normalize" },
        { SOURCE_SAMPLES, a->augment != NULL, "augment" },
        { SOURCE_SAMPLES, a->stratified > 0, "stratified" },
        { SOURCE_SAMPLES, a->balanced > 0, "balanced" },
        { SOURCE_SAMPLES, a->class_weights != NULL, "class-weights" },
        { SOURCE_SAMPLES, a->workers > 0, "workers" },
        { SOURCE_ACTIONS, a->environment != NULL, "env" },
        { SOURCE_ACTIONS, a->copies > 0, "copies" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].set && !(takes & rows[i].kind)) {
            const char *instead = rows[i].kind == SOURCE_SAMPLES ? t->source->instead : NULL;
            return misuse("--%s: the method %s does not use it%s%s", rows[i].option, t->method->name,
                          instead ? "; " : "", instead ? instead : "");
        }
    if (!(takes & SOURCE_SAMPLES)) a->validation = a->normalize = a->stratified = a->balanced = 0;
    return -1;
}

int source_open(training *t) {
    t->source = source_of(t->method);
    const int status = check_options(t);
    return status < 0 ? t->source->open(t) : status;
}
