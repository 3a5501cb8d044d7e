/* environment.c - the source of methods that learn by acting: copies of an environment. */
#include <stdlib.h>
#include <string.h>

#include "runs/source.h"

static int open_environment(training *t) {
    settings *a = &t->asked;
    const char *named = a->environment ? a->environment : t->recipe->data;
    if (!named) return misuse("%s needs --env: `glia envs` lists environments", t->recipe->name);
    if (!a->copies) a->copies = 1;
    glia_error error;
    t->environment = glia_env_create(named, (glia_env_opts){ .copies = a->copies }, &error);
    if (!t->environment) return error.status == GLIA_E_NOMEM ? fail("%s", error.message) : misuse("%s", error.message);
    char *address = glia_env_address(t->environment, &error);
    if (!address) return fail("%s", error.message);
    a->environment = settings_keep(a, address);
    free(address);
    return -1;
}

/* One-hot for discrete observations. */
static void sizes(const training *t, glia_shape *x, int64_t *outputs) {
    const glia_space seen = glia_env_observation_space(t->environment), action = glia_env_action_space(t->environment);
    *x = seen.kind == GLIA_SPACE_DISCRETE ? GLIA_SHAPE(seen.n) : seen.shape;
    *outputs = action.kind == GLIA_SPACE_DISCRETE ? action.n : glia_shape_count(action.shape);
}

static int prepare(training *t) {
    (void)t;
    return -1;
}

static int64_t samples(const training *t) {
    (void)t;
    return 0;
}

static void tell(const training *t) {
    text words = { 0 };
    text_add(&words, "%s", t->asked.environment);
    if (t->asked.copies > 1) text_add(&words, ", %lld copies", (long long)t->asked.copies);
    progress_say("acts in", words.bytes);
    free(words.bytes);
}

static void assess(const training *t, glia_assess_opts *opts) { opts->environment = t->environment; }

static void close_environment(training *t) {
    glia_env_free(t->environment);
    t->environment = NULL;
}

const source source_environment = { .flag = GLIA_USES_ENVIRONMENT,
                                    .takes = SOURCE_ACTIONS,
                                    .open = open_environment,
                                    .sizes = sizes,
                                    .prepare = prepare,
                                    .samples = samples,
                                    .tell = tell,
                                    .assess = assess,
                                    .close = close_environment };
