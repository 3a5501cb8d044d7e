/* environment.c - handles of environments: n copies of a record's state, stepped as arrays.
 *
 *     actions ──► for each copy: ended before? ──yes──► reset, `started`
 *                               └──no──► step ──► limit reached? `truncated`
 *                 then observe, and check that the numbers are finite
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "data/environments/wrappers.h"

/* Of one copy, as checkpoints have it. */
enum { FLAGS, SEED, STREAM, POSITION, COUNTERS };
enum { TERMINATED = 1, TRUNCATED = 2, STARTED = 4, BEGUN = 8, ALL_FLAGS = 15 };
enum { MOST_INFOS = 16, FIXED_ARRAYS = 6, MOST_ARRAYS = FIXED_ARRAYS + 2 };

struct glia_env {
    const glia_env_kind *kind;
    glia_arena texts;
    void *settings;
    glia_space observation, action;
    int64_t n, limit;
    size_t observation_bytes, action_bytes; /* of one copy */
    int info_numbers;                       /* of one copy */
    double *state;                          /* (n, kind->state) */
    int64_t *counters;                      /* (n, COUNTERS) */
    int64_t *lengths;                       /* (n) */
    double *returns, *rewards;              /* (n) */
    uint8_t *observations;                  /* (n, observation) */
    bool *flags;                            /* (3, n): terminated, truncated, started */
    double *info, *outcome_info;            /* (n, numbers) info by info; of one copy */
    glia_array info_arrays[MOST_INFOS];
    glia_wrappers wrappers;
    glia_env_lanes_fn movement; /* NULL: copies do not move side by side */
    bool opened;
};

/* ---- creating ------------------------------------------------------------------------------------ */

size_t glia_space_bytes(const glia_space *space) {
    return !space                               ? 0
           : space->kind == GLIA_SPACE_DISCRETE ? sizeof(int32_t)
                                                : glia_shape_bytes(space->shape, space->dtype);
}

void glia_space_read(const glia_space *space, const void *seen, int n, double *x, int apart) {
    if (space->kind == GLIA_SPACE_DISCRETE) {
        for (int i = 0; i < n; i++) x[i * apart] = i == *(const int32_t *)seen;
    } else if (space->dtype == GLIA_BOOL) {
        for (int i = 0; i < n; i++) x[i * apart] = ((const bool *)seen)[i];
    } else {
        for (int i = 0; i < n; i++) x[i * apart] = (double)((const float *)seen)[i];
    }
}

static bool is_good_space(const glia_space *s, bool observed) {
    if (s->kind == GLIA_SPACE_DISCRETE) return s->n > 0 && s->n <= INT32_MAX && s->dtype == GLIA_I32 && !s->shape.rank;
    const bool type = s->dtype == GLIA_F32 || (observed && s->dtype == GLIA_BOOL);
    return s->kind == GLIA_SPACE_BOX && type && s->shape.rank < GLIA_MAX_RANK && glia_space_bytes(s) > 0;
}

static glia_status check_kind(const glia_env_kind *kind, glia_error *error) {
    if (!kind->name || !kind->reset || !kind->step || !kind->observe || kind->state < 1) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the environment '%s' lacks its name, functions or state",
                         kind->name ? kind->name : "");
    }
    if (kind->n_infos < 0 || kind->n_infos > MOST_INFOS) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the environment '%s' has %d infos; %d are possible", kind->name,
                         kind->n_infos, MOST_INFOS);
    }
    return GLIA_OK;
}

static glia_status allocate(glia_env *e, glia_error *error) {
    const size_t n = (size_t)e->n;
    size_t states, observations;
    for (int i = 0; i < e->kind->n_infos; i++) e->info_numbers += e->kind->infos[i].n;
    if (!glia_mul_fits(n * sizeof(double), (size_t)e->kind->state, &states) ||
        !glia_mul_fits(n, e->observation_bytes, &observations)) {
        return glia_fail_nomem(error);
    }
    e->state = calloc(1, states);
    e->counters = calloc(n, COUNTERS * sizeof *e->counters);
    e->lengths = calloc(n, sizeof *e->lengths);
    e->returns = calloc(n, sizeof *e->returns);
    e->rewards = calloc(n, sizeof *e->rewards);
    e->observations = glia_alloc_aligned(observations);
    e->flags = calloc(3, n);
    e->info = calloc(n, ((size_t)e->info_numbers + 1) * sizeof *e->info);
    e->outcome_info = calloc((size_t)e->info_numbers + 1, sizeof *e->outcome_info);
    if (!e->state || !e->counters || !e->lengths || !e->returns || !e->rewards || !e->observations || !e->flags ||
        !e->info || !e->outcome_info) {
        return glia_fail_nomem(error);
    }
    double *at = e->info;
    for (int i = 0; i < e->kind->n_infos; i++) {
        const glia_env_info *info = &e->kind->infos[i];
        const glia_shape shape = info->n == 1 ? GLIA_SHAPE(e->n) : GLIA_SHAPE(e->n, info->n);
        e->info_arrays[i] = (glia_array){ .name = info->name, .dtype = GLIA_F64, .shape = shape, .data = at };
        at += e->n * info->n;
    }
    return GLIA_OK;
}

static glia_status fill(glia_env *e, const glia_env_opts *opts, glia_error *error) {
    const glia_env_kind *kind = e->kind;
    const glia_setting_table table = { "environment", kind->name, kind->settings, kind->n_settings };
    e->settings = calloc(1, GLIA_MAX(kind->bytes, (size_t)1));
    if (!e->settings) return glia_fail_nomem(error);
    glia_status status = glia_settings_parse(&table, opts->settings, e->settings, &e->texts, error);
    if (status != GLIA_OK) return status;
    e->observation = kind->observation;
    e->action = kind->action;
    if (kind->open) {
        status = kind->open(e->settings, e->n, error);
        if (status != GLIA_OK) return status;
        e->opened = true;
    }
    if (kind->spaces) kind->spaces(e->settings, &e->observation, &e->action);
    if (!is_good_space(&e->observation, true) || !is_good_space(&e->action, false)) {
        return glia_fail(error, GLIA_E_SHAPE, "the environment '%s' has no possible space of %s", kind->name,
                         is_good_space(&e->observation, true) ? "actions" : "observations");
    }
    e->wrappers.asked = opts->wrappers;
    status = glia_wrappers_init(&e->wrappers, kind->name, e->n, &e->observation, error);
    if (status != GLIA_OK) return status;
    const bool floats = e->observation.kind == GLIA_SPACE_BOX && e->observation.dtype == GLIA_F32;
    if (kind->side_by_side && floats && !e->wrappers.raw && !kind->n_infos) e->movement = kind->side_by_side();
    e->observation_bytes = glia_space_bytes(&e->observation);
    e->action_bytes = glia_space_bytes(&e->action);
    return allocate(e, error);
}

glia_env *glia_env_create_kind(const glia_env_kind *kind, glia_env_opts opts, glia_error *error) {
    if (!kind) return glia_fail_null(error, "kind"), NULL;
    if (check_kind(kind, error) != GLIA_OK) return NULL;
    const int64_t n = opts.copies ? opts.copies : 1, limit = glia_option_count(opts.limit, kind->limit);
    if (n < 1 || n > INT32_MAX || limit < 0) {
        glia_fail(error, GLIA_E_ARGUMENT, "%s: %lld copies with a limit of %lld steps are not possible", kind->name,
                  (long long)n, (long long)limit);
        return NULL;
    }
    glia_env *e = calloc(1, sizeof *e);
    if (!e) return glia_fail_nomem(error), NULL;
    e->kind = kind;
    e->n = n;
    e->limit = limit;
    if (fill(e, &opts, error) == GLIA_OK) return e;
    glia_env_free(e);
    return NULL;
}

void glia_env_free(glia_env *e) {
    if (!e) return;
    if (e->opened && e->kind->close) e->kind->close(e->settings);
    glia_arena_free(&e->texts);
    glia_wrappers_free(&e->wrappers);
    free(e->settings);
    free(e->state);
    free(e->counters);
    free(e->lengths);
    free(e->returns);
    free(e->rewards);
    free(e->observations);
    free(e->flags);
    free(e->info);
    free(e->outcome_info);
    free(e);
}

const glia_env_kind *glia_env_kind_of(const glia_env *e) { return e ? e->kind : NULL; }
glia_space glia_env_observation_space(const glia_env *e) { return e ? e->observation : (glia_space){ 0 }; }
glia_space glia_env_action_space(const glia_env *e) { return e ? e->action : (glia_space){ 0 }; }
int64_t glia_env_copies(const glia_env *e) { return e ? e->n : 0; }
int64_t glia_env_limit(const glia_env *e) { return e ? e->limit : 0; }

/* ---- one copy ------------------------------------------------------------------------------------ */

static int64_t *counters_of(const glia_env *e, int64_t copy) { return e->counters + copy * COUNTERS; }

static glia_env_at at_copy(const glia_env *e, int64_t copy, glia_env_random *random) {
    return (glia_env_at){ e->settings, e->state + copy * e->kind->state, random, copy };
}

/* Where a copy's observation is written. */
static void *observation_of(const glia_env *e, int64_t copy) {
    const glia_wrappers *w = &e->wrappers;
    return w->raw ? w->raw + (size_t)copy * w->raw_bytes : e->observations + (size_t)copy * e->observation_bytes;
}

static void wrap(glia_env *e) {
    if (e->wrappers.raw) glia_wrappers_apply(&e->wrappers, e->observations, e->rewards, e->flags, e->flags + 2 * e->n);
}

static void set_flags(glia_env *e, int64_t copy) {
    const int64_t flags = counters_of(e, copy)[FLAGS];
    e->flags[copy] = (flags & TERMINATED) != 0;
    e->flags[e->n + copy] = (flags & TRUNCATED) != 0;
    e->flags[2 * e->n + copy] = (flags & STARTED) != 0;
}

/* Moves a copy's info to the arrays. */
static void spread_info(glia_env *e, int64_t copy) {
    const double *from = e->outcome_info;
    for (int i = 0; i < e->kind->n_infos; i++) {
        const int n = e->kind->infos[i].n;
        memcpy((double *)e->info_arrays[i].data + copy * n, from, (size_t)n * sizeof *from);
        from += n;
    }
}

/* Takes a reset or step of one copy into the arrays. */
static glia_status take(glia_env *e, const glia_env_at *at, const glia_env_outcome *out, int64_t flags,
                        glia_error *error) {
    const int64_t copy = at->copy;
    int64_t *c = counters_of(e, copy);
    c[POSITION] = (int64_t)at->random->rng.position;
    const bool started = flags & STARTED;
    const int64_t length = e->lengths[copy] = started ? 0 : e->lengths[copy] + 1;
    if (!started && e->limit && length >= e->limit) flags |= TRUNCATED;
    c[FLAGS] = flags | BEGUN;
    e->rewards[copy] = started ? 0 : out->reward;
    e->returns[copy] = started ? 0 : e->returns[copy] + out->reward;
    set_flags(e, copy);
    if (e->info_numbers) spread_info(e, copy);
    float *o = observation_of(e, copy);
    e->kind->observe(at, o);
    if (e->observation.dtype == GLIA_F32) {
        float sum = 0; /* not finite if a number is not */
        for (size_t i = 0; i < (e->wrappers.raw ? e->wrappers.raw_bytes : e->observation_bytes) / sizeof *o; i++)
            sum += 0 * o[i];
        if (!(sum == 0)) {
            return glia_fail(error, GLIA_E_ARGUMENT, "%s, copy %lld: an observation after %lld steps is not finite",
                             e->kind->name, (long long)copy, (long long)length);
        }
    }
    if (isfinite(e->rewards[copy])) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "%s, copy %lld: the reward of step %lld is not finite", e->kind->name,
                     (long long)copy, (long long)length);
}

static glia_status begin_episode(glia_env *e, int64_t copy, glia_error *error) {
    const int64_t *c = counters_of(e, copy);
    glia_env_random random = { { (uint64_t)c[SEED], (uint64_t)c[STREAM], (uint64_t)c[POSITION] }, NULL };
    const glia_env_at at = at_copy(e, copy, &random);
    glia_env_outcome out = { .info = e->outcome_info };
    glia_status status = e->kind->reset(&at, &out, error);
    return status == GLIA_OK ? take(e, &at, &out, STARTED, error) : status;
}

/* ---- acting --------------------------------------------------------------------------------------- */

static void fill_result(const glia_env *e, glia_env_result *result) {
    *result = (glia_env_result){ .n = e->n,
                                 .observations = e->observations,
                                 .rewards = e->rewards,
                                 .terminated = e->flags,
                                 .truncated = e->flags + e->n,
                                 .started = e->flags + 2 * e->n,
                                 .returns = e->returns,
                                 .lengths = e->lengths,
                                 .info = e->info_arrays,
                                 .n_info = e->kind->n_infos };
}

glia_status glia_env_reset(glia_env *e, uint64_t seed, glia_env_result *result, glia_error *error) {
    if (!e) return glia_fail_null(error, "env");
    for (int64_t i = 0; i < e->n; i++) {
        int64_t *c = counters_of(e, i);
        c[SEED] = (int64_t)seed;
        c[STREAM] = GLIA_ENV_STREAM + i;
        c[POSITION] = 0;
        memset(e->state + i * e->kind->state, 0, (size_t)e->kind->state * sizeof *e->state);
        glia_status status = begin_episode(e, i, error);
        if (status != GLIA_OK) return status;
    }
    wrap(e);
    if (result) fill_result(e, result);
    return GLIA_OK;
}

static glia_status check_actions(const glia_env *e, const void *actions, glia_error *error) {
    if (!(e->counters[FLAGS] & BEGUN)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: a step before the first reset", e->kind->name);
    }
    if (e->action.kind == GLIA_SPACE_DISCRETE) {
        const int32_t *asked = actions;
        for (int64_t i = 0; i < e->n; i++) {
            if ((uint64_t)(int64_t)asked[i] < (uint64_t)e->action.n) continue;
            return glia_fail(error, GLIA_E_ARGUMENT, "%s, copy %lld: there is no action %d; the last one is %lld",
                             e->kind->name, (long long)i, (int)asked[i], (long long)e->action.n - 1);
        }
        return GLIA_OK;
    }
    const float *asked = actions;
    const int64_t each = (int64_t)(e->action_bytes / sizeof *asked);
    for (int64_t i = 0; i < e->n * each; i++) {
        if (isfinite(asked[i])) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "%s, copy %lld: an action is not finite", e->kind->name,
                         (long long)(i / each));
    }
    return GLIA_OK;
}

static glia_status step_copy(glia_env *e, int64_t copy, const void *action, glia_error *error) {
    const int64_t *c = counters_of(e, copy);
    if (c[FLAGS] & (TERMINATED | TRUNCATED)) return begin_episode(e, copy, error);
    glia_env_random random = { { (uint64_t)c[SEED], (uint64_t)c[STREAM], (uint64_t)c[POSITION] }, NULL };
    const glia_env_at at = at_copy(e, copy, &random);
    glia_env_outcome out = { .info = e->outcome_info };
    glia_status status = e->kind->step(&at, action, &out, error);
    const int64_t flags = (out.terminated ? TERMINATED : 0) | (out.truncated ? TRUNCATED : 0);
    return status == GLIA_OK ? take(e, &at, &out, flags, error) : status;
}

glia_status glia_env_step(glia_env *e, const void *actions, glia_env_result *result, glia_error *error) {
    if (!e) return glia_fail_null(error, "env");
    if (!actions) return glia_fail_null(error, "actions");
    glia_status status = check_actions(e, actions, error);
    for (int64_t i = 0; i < e->n && status == GLIA_OK; i++) {
        status = step_copy(e, i, (const uint8_t *)actions + (size_t)i * e->action_bytes, error);
    }
    if (status != GLIA_OK) return status;
    wrap(e);
    if (result) fill_result(e, result);
    return GLIA_OK;
}

glia_status glia_env_last(const glia_env *e, glia_env_result *result, glia_error *error) {
    if (!e) return glia_fail_null(error, "env");
    if (!result) return glia_fail_null(error, "result");
    fill_result(e, result);
    return GLIA_OK;
}

/* ---- states --------------------------------------------------------------------------------------- */

static bool is_possible(const glia_env *e, int64_t copy, const double *state) {
    for (int i = 0; i < e->kind->state; i++) {
        if (!isfinite(state[i])) return false;
    }
    double *unchanged = (double *)(uintptr_t)state; /* valid() only reads */
    const glia_env_at at = { e->settings, unchanged, NULL, copy };
    return !e->kind->valid || e->kind->valid(&at);
}

glia_status glia_env_put(glia_env *e, int64_t copy, const double *state, int n, glia_error *error) {
    if (!e) return glia_fail_null(error, "env");
    if (!state) return glia_fail_null(error, "state");
    if (copy < 0 || copy >= e->n || n != e->kind->state || !is_possible(e, copy, state)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: %d numbers are not a possible state of copy %lld", e->kind->name,
                         n, (long long)copy);
    }
    const int64_t *c = counters_of(e, copy);
    glia_env_random random = { { (uint64_t)c[SEED], (uint64_t)c[STREAM], (uint64_t)c[POSITION] }, NULL };
    const glia_env_at at = at_copy(e, copy, &random);
    const glia_env_outcome out = { .info = e->outcome_info };
    if (e->wrappers.raw) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "%s: states cannot be put behind wrappers", e->kind->name);
    }
    memcpy(at.state, state, (size_t)n * sizeof *state);
    return take(e, &at, &out, STARTED, error);
}

const double *glia_env_state(const glia_env *e, int64_t copy) {
    return e && copy >= 0 && copy < e->n ? e->state + copy * e->kind->state : NULL;
}

/* Everything that later steps and the next result depend on. */
static int list(const glia_env *e, glia_array out[MOST_ARRAYS]) {
    glia_shape observations = GLIA_SHAPE(e->n);
    for (int i = 0; i < e->observation.shape.rank; i++) {
        observations.dim[observations.rank++] = e->observation.shape.dim[i];
    }
    const glia_array all[] = {
        { .name = "environment/state", .dtype = GLIA_F64, .shape = GLIA_SHAPE(e->n, e->kind->state), .data = e->state },
        { .name = "environment/counters", .dtype = GLIA_I64, .shape = GLIA_SHAPE(e->n, COUNTERS), .data = e->counters },
        { .name = "environment/lengths", .dtype = GLIA_I64, .shape = GLIA_SHAPE(e->n), .data = e->lengths },
        { .name = "environment/returns", .dtype = GLIA_F64, .shape = GLIA_SHAPE(e->n), .data = e->returns },
        { .name = "environment/rewards", .dtype = GLIA_F64, .shape = GLIA_SHAPE(e->n), .data = e->rewards },
        { .name = "environment/observations",
          .dtype = e->observation.dtype,
          .shape = observations,
          .data = e->observations },
        { .name = "environment/info", .dtype = GLIA_F64, .shape = GLIA_SHAPE(e->n, e->info_numbers), .data = e->info },
    };
    int n = FIXED_ARRAYS + (e->info_numbers > 0);
    memcpy(out, all, (size_t)n * sizeof *all);
    const int64_t statistics = glia_wrappers_statistics(&e->wrappers);
    if (statistics > 0) {
        out[n++] = (glia_array){ .name = "environment/statistics",
                                 .dtype = GLIA_F64,
                                 .shape = GLIA_SHAPE(statistics),
                                 .data = e->wrappers.statistics };
    }
    return n;
}

int glia_env_save(const glia_env *e, glia_array *out, int capacity) {
    glia_array all[MOST_ARRAYS];
    if (!e || !out || e->kind->open) return 0;
    const int n = list(e, all);
    for (int i = 0; i < GLIA_MIN(n, capacity); i++) out[i] = all[i];
    return n;
}

static const glia_array *find(const glia_array *arrays, int n, const char *name) {
    for (int i = 0; i < n; i++) {
        if (arrays[i].name && arrays[i].data && !strcmp(arrays[i].name, name)) return &arrays[i];
    }
    return NULL;
}

static glia_status check_saved(const glia_env *e, const glia_array *mine, int n, const glia_array *const *from,
                               glia_error *error) {
    for (int i = 0; i < n; i++) {
        if (!from[i]) {
            return glia_fail(error, GLIA_E_FORMAT, "%s: the array '%s' is missing", e->kind->name, mine[i].name);
        }
        if (from[i]->dtype != mine[i].dtype || !glia_shape_equal(from[i]->shape, mine[i].shape)) {
            return glia_fail(error, GLIA_E_SHAPE, "%s: the array '%s' is that of another environment", e->kind->name,
                             mine[i].name);
        }
    }
    const double *states = from[0]->data;
    const int64_t *c = from[1]->data, *lengths = from[2]->data;
    for (int64_t i = 0; i < e->n; i++) {
        const bool good = lengths[i] >= 0 && c[i * COUNTERS + FLAGS] >= 0 && c[i * COUNTERS + FLAGS] <= ALL_FLAGS &&
                          is_possible(e, i, states + i * e->kind->state);
        if (!good) {
            return glia_fail(error, GLIA_E_FORMAT, "%s: the saved state of copy %lld is not possible", e->kind->name,
                             (long long)i);
        }
    }
    return GLIA_OK;
}

/* Finds and checks the saved counterparts `from` of the handle's own arrays; *n: how many there are. */
static glia_status match_saved(const glia_env *e, const glia_array *arrays, int n_arrays, glia_array *mine,
                               const glia_array **from, int *n, glia_error *error) {
    if (!e) return glia_fail_null(error, "env");
    if (!arrays) return glia_fail_null(error, "arrays");
    if (e->kind->open) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "the environment %s cannot be saved and restored", e->kind->name);
    }
    *n = list(e, mine);
    for (int i = 0; i < *n; i++) from[i] = find(arrays, n_arrays, mine[i].name);
    return check_saved(e, mine, *n, from, error);
}

glia_status glia_env_check(const glia_env *e, const glia_array *arrays, int n, glia_error *error) {
    glia_array mine[MOST_ARRAYS];
    const glia_array *from[MOST_ARRAYS] = { 0 };
    int own = 0;
    return match_saved(e, arrays, n, mine, from, &own, error);
}

glia_status glia_env_restore(glia_env *e, const glia_array *arrays, int n, glia_error *error) {
    glia_array mine[MOST_ARRAYS];
    const glia_array *from[MOST_ARRAYS] = { 0 };
    int own = 0;
    glia_status status = match_saved(e, arrays, n, mine, from, &own, error);
    if (status != GLIA_OK) return status;
    for (int i = 0; i < own; i++) memmove(mine[i].data, from[i]->data, glia_shape_bytes(mine[i].shape, mine[i].dtype));
    for (int64_t i = 0; i < e->n; i++) set_flags(e, i);
    return GLIA_OK;
}

glia_env *glia_env_like(const glia_env *e, int64_t copies, glia_error *error) {
    if (!e) return glia_fail_null(error, "env"), NULL;
    const glia_setting_table table = { "environment", e->kind->name, e->kind->settings, e->kind->n_settings };
    glia_text text = { 0 }; /* the new handle reads the same settings from it */
    glia_settings_print(&table, e->settings, &text);
    glia_env *like = NULL;
    if (text.failed) {
        glia_fail_nomem(error);
    } else {
        const glia_env_opts opts = { text.bytes, copies, e->limit ? e->limit : GLIA_NONE, e->wrappers.asked };
        like = glia_env_create_kind(e->kind, opts, error);
    }
    free(text.bytes);
    if (like && glia_wrappers_statistics(&e->wrappers) > 0) {
        const size_t shared = (size_t)(2 * e->wrappers.numbers + 4); /* without the copies' own returns */
        memcpy(like->wrappers.statistics, e->wrappers.statistics, shared * sizeof(double));
        like->wrappers.frozen = true;
    }
    return like;
}

glia_env *glia_env_clone(const glia_env *e, glia_error *error) {
    glia_array all[MOST_ARRAYS], from[MOST_ARRAYS] = { 0 };
    if (!e) return glia_fail_null(error, "env"), NULL;
    if (e->kind->open) {
        glia_fail(error, GLIA_E_UNSUPPORTED, "the environment %s cannot be cloned", e->kind->name);
        return NULL;
    }
    glia_env *copy = glia_env_like(e, e->n, error);
    if (!copy) return NULL;
    copy->wrappers.frozen = e->wrappers.frozen;
    const int n = list(e, from);
    list(copy, all);
    for (int i = 0; i < n; i++) memcpy(all[i].data, from[i].data, glia_shape_bytes(all[i].shape, all[i].dtype));
    for (int64_t i = 0; i < copy->n; i++) set_flags(copy, i);
    return copy;
}

void glia_env_print_settings(const glia_env *e, glia_text *out) {
    const glia_setting_table table = { "environment", e->kind->name, e->kind->settings, e->kind->n_settings };
    glia_settings_print(&table, e->settings, out);
}

glia_env_lanes_fn glia_env_movement_of(const glia_env *e) { return e->movement; }
const void *glia_env_settings_of(const glia_env *e) { return e->settings; }

const glia_wrappers *glia_env_wrappers_of(const glia_env *e) { return &e->wrappers; }

int glia_env_draw(const glia_env *e, int64_t copy, glia_mark *marks, int capacity) {
    if (!e || !marks || copy < 0 || copy >= e->n || capacity < 0 || !e->kind->draw) return 0;
    const glia_env_at at = at_copy(e, copy, NULL);
    return e->kind->draw(&at, marks, capacity);
}
