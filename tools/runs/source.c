/* source.c - the kinds of sources, and the one of methods that learn from nothing outside. */
#include "runs/source.h"

#include <math.h>
#include <stddef.h>

int source_refuse_dataset(training *t) {
    settings *a = &t->asked;
    const struct {
        bool set;
        const char *option;
    } refused[] = {
        { a->data != NULL, "data" },
        { a->data_folder != NULL, "data-folder" },
        { a->validation > 0, "validation-split" },
        { a->normalize > 0, "normalize" },
        { a->augment != NULL, "augment" },
        { a->stratified > 0, "stratified" },
        { a->balanced > 0, "balanced" },
        { a->class_weights != NULL, "class-weights" },
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (refused[i].set) return misuse("--%s: the method %s does not use it", refused[i].option, t->method->name);
    a->validation = 0;
    a->normalize = a->stratified = a->balanced = 0;
    return -1;
}

int source_refuse_environment(training *t) {
    const settings *a = &t->asked;
    if (!a->environment && !a->copies) return -1;
    return misuse("--%s: the method %s does not act in an environment", a->environment ? "env" : "copies",
                  t->method->name);
}

/* ---- nothing ------------------------------------------------------------------------------- */

/* The model is built as its row says. */
static void sizes(const training *t, glia_shape *x, int64_t *outputs) {
    *x = t->recipe->sample;
    *outputs = t->recipe->outputs;
}

static int prepare(training *t) { return source_refuse_environment(t); }

static int64_t samples(const training *t) {
    (void)t;
    return 0;
}

static void tell(const training *t) { (void)t; }
static void close_nothing(training *t) { (void)t; }

static const source source_nothing = { .open = source_refuse_dataset,
                                       .sizes = sizes,
                                       .prepare = prepare,
                                       .samples = samples,
                                       .tell = tell,
                                       .close = close_nothing };

/* ---- the kinds ----------------------------------------------------------------------------- */

#define SOURCE(name) extern const source source_##name;
#include "runs/sources.def"
#undef SOURCE

const source *source_of(const glia_method_info *method) {
    static const source *const kinds[] = {
#define SOURCE(name) &source_##name,
#include "runs/sources.def"
#undef SOURCE
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (method->uses & kinds[i]->flag) return kinds[i];
    return &source_nothing;
}
