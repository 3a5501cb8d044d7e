/* checkpoint.c - saves the whole state of a training in a safetensors file and restores it.
 *
 *     NAME ...                       the model's parameters and states, including the random state
 *     train/...                      the method's states, such as the optimiser's
 *     checkpoint/place               i64: epoch, step, done, samples in the epoch's means, whether a callback stopped
 * it,
 *                                    whether the epoch has ended
 *     checkpoint/figures             f64: factor and fixed learning rate, seconds of the epoch
 *     checkpoint/means               f64 (2, means): sums of the epoch's means, and their weights
 *     checkpoint/method/NAME         what else the method keeps
 *     checkpoint/callback/I/NAME     u8: the state of callback I
 *
 * The metadata hold the method and the training's options as lines "key=value", and a checksum: the sum of a hash of
 * each tensor (name, dtype, shape, bytes) and of those lines. It does not depend on the order of tensors.
 *
 * Saving replaces the newest checkpoint only after the new one is complete on disk:
 *
 *     link PATH to PATH.previous.tmp, rename that to PATH.previous     the newest has two names
 *     write PATH.tmp, sync, rename it to PATH                          file.c
 *
 * If the process is killed at any moment, PATH is complete. If the checksum shows that PATH is damaged, it is renamed
 * to PATH.damaged, and PATH.previous is read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/formats/formats.h"
#include "train/run/training.h"

struct glia_restored {
    glia_tensor_file file;
};

enum { PLACE = 6, FIGURES = 3 };
static const char place_name[] = "checkpoint/place", figures_name[] = "checkpoint/figures",
                  means_name[] = "checkpoint/means", method_prefix[] = "checkpoint/method/";

/* ---- contents -------------------------------------------------------------------------------- */

/* The file's tensors, and storage for the numeric ones. */
typedef struct contents {
    glia_array *arrays;
    int n;
    glia_arena names;
    int64_t place[PLACE];
    double figures[FIGURES], means[2 * GLIA_RUN_MEANS];
} contents;

static void add(contents *c, const char *name, glia_dtype dtype, int64_t count, void *data) {
    c->arrays[c->n++] = (glia_array){ .name = name, .dtype = dtype, .shape = GLIA_SHAPE(count), .data = data };
}

/* The name under which a callback's state is saved; NULL: out of memory. */
static const char *state_name(glia_arena *arena, const glia_callback *c, int index) {
    return glia_arena_printf(arena, "checkpoint/callback/%d/%s", index, c->name ? c->name : "");
}

/* The sums of the means, then their weights; returns how many numbers. */
static int64_t copy_means(const glia_training *t, double out[2 * GLIA_RUN_MEANS]) {
    memcpy(out, t->sums, (size_t)t->n_means * sizeof *out);
    memcpy(out + t->n_means, t->weights, (size_t)t->n_means * sizeof *out);
    return 2 * (int64_t)t->n_means;
}

/* Adds what the method keeps, under names with a prefix. */
static glia_status gather_method(glia_training *t, contents *c, glia_error *error) {
    if (!t->method->arrays) return GLIA_OK;
    const int n = t->method->arrays(t, c->arrays + c->n, GLIA_RUN_ARRAYS);
    for (int i = 0; i < n; i++) {
        glia_array *a = &c->arrays[c->n++];
        a->name = glia_arena_printf(&c->names, "%s%s", method_prefix, a->name);
        if (!a->name) return glia_fail_nomem(error);
    }
    return GLIA_OK;
}

static glia_status gather_callbacks(const glia_training *t, contents *c, glia_error *error) {
    for (int i = 0; i < t->opts.n_callbacks; i++) {
        const glia_callback *callback = &t->callbacks[i];
        size_t bytes = 0;
        void *state = callback->state ? callback->state(callback->context, &bytes) : NULL;
        if (!state || bytes == 0) continue;
        const char *name = state_name(&c->names, callback, i);
        if (!name) return glia_fail_nomem(error);
        add(c, name, GLIA_U8, (int64_t)bytes, state);
    }
    return GLIA_OK;
}

static int store_count(const glia_store *store) { return store ? glia_store_count(store) : 0; }

static glia_status gather(glia_training *t, contents *c, glia_error *error) {
    const glia_store *stores[] = { t->model->store, t->states };
    size_t most = (size_t)store_count(stores[0]) + (size_t)store_count(stores[1]) + (size_t)t->opts.n_callbacks +
                  GLIA_RUN_ARRAYS + 3;
    c->arrays = malloc(most * sizeof *c->arrays);
    if (!c->arrays) return glia_fail_nomem(error);
    for (int k = 0; k < GLIA_COUNT(stores); k++) {
        for (int i = 0; i < store_count(stores[k]); i++) c->arrays[c->n++] = glia_store_entry(stores[k], i);
    }
    memcpy(c->place, (int64_t[PLACE]){ t->epoch, t->step, t->done, t->samples, t->stop, t->ended }, sizeof c->place);
    const double figures[FIGURES] = { t->scale, t->fixed_lr, t->step ? t->progress.seconds : 0 };
    memcpy(c->figures, figures, sizeof figures);
    add(c, place_name, GLIA_I64, PLACE, c->place);
    add(c, figures_name, GLIA_F64, FIGURES, c->figures);
    add(c, means_name, GLIA_F64, copy_means(t, c->means), c->means);
    glia_status status = gather_method(t, c, error);
    return status == GLIA_OK ? gather_callbacks(t, c, error) : status;
}

/* Writes the names as a line: in full if short, else as a hash. Without names there is no line. */
static void describe_names(const char *key, const char *(*name_of)(const glia_dataset *, int64_t),
                           const glia_dataset *data, glia_text *text) {
    enum { LONGEST = 120 };
    glia_text names = { 0 };
    for (int64_t i = 0; name_of(data, i); i++) {
        const char *name = name_of(data, i);
        if (i) glia_text_append(&names, ",", 1);
        for (; *name; name++) glia_text_append(&names, *name == '\n' ? " " : name, 1);
    }
    if (names.length > LONGEST)
        glia_text_printf(text, "%s=%016llx\n", key,
                         (unsigned long long)glia_hash_bytes(names.bytes, names.length, 0));
    else if (names.length)
        glia_text_printf(text, "%s=%s\n", key, names.bytes);
    text->failed |= names.failed;
    free(names.bytes);
}

static const char *class_name(const glia_dataset *data, int64_t i) { return glia_data_class_name(data, (int)i); }

/* Describes the options that must be equal when a training resumes. */
static void describe(const glia_training *t, glia_text *text) {
    const glia_optimizer *o = &t->opts.optimizer;
    const glia_method_info *method = &t->method->about;
    char number[GLIA_NUMBER_TEXT];
    glia_text_printf(text, "method=%s\n", method->name);
    if (method->n_settings) {
        glia_text_printf(text, "settings=");
        const glia_setting_table table = glia_method_table(method);
        glia_settings_print(&table, t->memory, text);
        glia_text_printf(text, "\n");
    }
    if (t->data) {
        glia_text_printf(text, "samples=%lld\n", (long long)glia_data_count(t->data));
        describe_names("columns", glia_data_column_name, t->data, text);
        describe_names("classes", class_name, t->data, text);
    }
    if (t->opts.environment) {
        char *address = glia_env_address(t->opts.environment, NULL);
        text->failed |= !address;
        glia_text_printf(text, "environment=%lld x %s\n", (long long)glia_env_copies(t->opts.environment),
                         address ? address : "");
        free(address);
    }
    glia_text_printf(text, "batch=%lld\n", (long long)t->opts.batch);
    glia_text_printf(text, "seed=%llu\n", (unsigned long long)t->opts.seed);
    for (int i = 0; i < t->opts.n_phases; i++) {
        const glia_phase *p = &t->opts.phases[i];
        glia_text_printf(text, "phase=%s of %s, %lld steps by %s, learning rate %s\n", p->group, p->loss,
                         (long long)GLIA_MAX(p->steps, 1), glia_optimizer_name(p->optimizer.kind),
                         glia_number_print(p->optimizer.lr, number));
    }
    if (!(method->uses & GLIA_USES_OPTIMIZER)) return;
    glia_text_printf(text, "optimizer=%s\n", glia_optimizer_name(o->kind));
    glia_text_printf(text, "accumulate=%lld\n", (long long)GLIA_MAX(o->accumulate, 1));
    glia_text_printf(text, "learning rate=%s\n", glia_number_print(t->full_lr, number));
}

/* ---- the checksum --------------------------------------------------------------------------- */

static uint64_t hash_tensor(const char *name, glia_dtype dtype, const glia_shape *shape, const void *data) {
    uint64_t hash = glia_hash_bytes(name, strlen(name), (uint64_t)dtype);
    hash = glia_hash_bytes(shape->dim, (size_t)shape->rank * sizeof shape->dim[0], hash);
    return glia_hash_bytes(data, glia_shape_bytes(*shape, dtype), hash);
}

static void print_checksum(uint64_t sum, char out[17]) { snprintf(out, 17, "%016llx", (unsigned long long)sum); }

/* ---- saving --------------------------------------------------------------------------------- */

/* Links `path`, if it exists, to PATH.previous; renames it where links are not supported. */
static glia_status keep_previous(const char *path, glia_error *error) {
    glia_arena arena = { 0 };
    const char *previous = glia_arena_printf(&arena, "%s.previous", path);
    const char *link_name = glia_arena_printf(&arena, "%s.previous.tmp", path);
    glia_status status = previous && link_name ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        unlink(link_name); /* left by a killed process */
        bool moved = link(path, link_name) == 0 ? rename(link_name, previous) == 0 : errno == ENOENT;
        if (!moved) {
            unlink(link_name);
            moved = rename(path, previous) == 0 || errno == ENOENT;
        }
        if (!moved) status = glia_fail(error, GLIA_E_IO, "%s: %s", previous, strerror(errno));
    }
    glia_arena_free(&arena);
    return status;
}

glia_status glia_training_save(glia_training *t, const char *path, glia_error *error) {
    if (!t) return glia_fail_null(error, "training");
    if (!path) return glia_fail_null(error, "path");
    if (!path || !path[0]) return glia_fail(error, GLIA_E_ARGUMENT, "glia_training_save: path is missing");
    contents c = { 0 };
    glia_text asked = { 0 };
    char checksum[17];
    glia_status status = glia_training_save_begin(t, error);
    if (status != GLIA_OK) return status;
    describe(t, &asked);
    status = gather(t, &c, error);
    if (status == GLIA_OK && asked.failed) status = glia_fail_nomem(error);
    if (status == GLIA_OK) {
        uint64_t sum = glia_hash_bytes(asked.bytes, asked.length, 0);
        for (int i = 0; i < c.n; i++) {
            sum += hash_tensor(c.arrays[i].name, c.arrays[i].dtype, &c.arrays[i].shape, c.arrays[i].data);
        }
        print_checksum(sum, checksum);
        glia_pair pairs[] = { { "glia.version", glia_version() },
                              { "glia.checkpoint", asked.bytes },
                              { "glia.checksum", checksum } };
        status = keep_previous(path, error);
        if (status == GLIA_OK) status = glia_safetensors_write(path, c.arrays, c.n, pairs, GLIA_COUNT(pairs), error);
    }
    free(asked.bytes);
    free(c.arrays);
    glia_arena_free(&c.names);
    return status;
}

/* ---- restoring ------------------------------------------------------------------------------ */

static glia_status open_checkpoint(const char *path, struct glia_restored *r, glia_error *error) {
    glia_status status = glia_tensors_open(path, &r->file, error);
    if (status != GLIA_OK) return status;
    const glia_safetensors *file = &r->file.tensors;
    const char *asked = glia_safetensors_get(file, "glia.checkpoint");
    const char *checksum = glia_safetensors_get(file, "glia.checksum");
    if (!asked || !checksum) {
        status = glia_fail(error, GLIA_E_FORMAT, "%s: is not a training checkpoint", path);
    } else {
        uint64_t sum = glia_hash_bytes(asked, strlen(asked), 0);
        for (int i = 0; i < file->n; i++) {
            const glia_safetensor *x = &file->tensors[i];
            sum += hash_tensor(x->name, x->dtype, &x->shape, x->data);
        }
        char found[17];
        print_checksum(sum, found);
        if (strcmp(found, checksum)) {
            status =
                glia_fail(error, GLIA_E_FORMAT, "%s: is damaged: its checksum is %s, not %.16s", path, found, checksum);
        }
    }
    if (status != GLIA_OK) glia_tensors_close(&r->file);
    return status;
}

/* Compares the options; the error names the first line that differs. */
static glia_status check_asked(const glia_training *t, const struct glia_restored *r, glia_error *error) {
    glia_text text = { 0 };
    describe(t, &text);
    if (text.failed) {
        free(text.bytes);
        return glia_fail_nomem(error);
    }
    const char *a = glia_safetensors_get(&r->file.tensors, "glia.checkpoint"), *b = text.bytes;
    glia_status status = GLIA_OK;
    while (status == GLIA_OK && (*a || *b)) {
        size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
        if (n != m || memcmp(a, b, n)) {
            status = glia_fail(error, GLIA_E_ARGUMENT, "was made with %.*s, and this training has %.*s",
                               (int)GLIA_MIN(n, 200), a, (int)m, b);
        }
        a += n + (a[n] != 0);
        b += m + (b[m] != 0);
    }
    free(text.bytes);
    return status;
}

/* The file's tensor, which must have this dtype and shape; NULL: see error. */
static const glia_safetensor *wanted(const struct glia_restored *r, const char *name, glia_dtype dtype,
                                     const glia_shape *shape, glia_error *error) {
    const glia_safetensor *x = glia_safetensors_find(&r->file.tensors, name);
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    if (x && x->dtype == dtype && glia_shape_equal(x->shape, *shape)) return x;
    if (!x) {
        glia_fail(error, GLIA_E_ARGUMENT, "has no '%s': it belongs to another training", name);
    } else {
        glia_fail(error, GLIA_E_ARGUMENT, "has '%s' %s%s, and this training %s%s", name, glia_dtype_name(x->dtype),
                  glia_shape_format(x->shape, a), glia_dtype_name(dtype), glia_shape_format(*shape, b));
    }
    return NULL;
}

/* Checks or copies a store's values. */
static glia_status take_store(const glia_store *store, const struct glia_restored *r, bool copy, glia_error *error) {
    for (int i = 0; i < glia_store_count(store); i++) {
        glia_array a = glia_store_entry(store, i);
        const glia_safetensor *x = wanted(r, a.name, a.dtype, &a.shape, error);
        if (!x) return GLIA_E_ARGUMENT;
        if (copy) memcpy(a.data, x->data, x->bytes);
    }
    return GLIA_OK;
}

/* Checks or copies the states of the first n callbacks. */
static glia_status take_states(const glia_training *t, const struct glia_restored *r, int n, bool copy,
                               glia_error *error) {
    glia_arena names = { 0 };
    glia_status status = GLIA_OK;
    for (int i = 0; i < n && status == GLIA_OK; i++) {
        const glia_callback *callback = &t->callbacks[i];
        size_t bytes = 0;
        void *state = callback->state ? callback->state(callback->context, &bytes) : NULL;
        if (!state || bytes == 0) continue;
        const char *name = state_name(&names, callback, i);
        const glia_safetensor *x = name ? wanted(r, name, GLIA_U8, &GLIA_SHAPE((int64_t)bytes), error) : NULL;
        if (!x) status = name ? GLIA_E_ARGUMENT : glia_fail_nomem(error);
        if (x && copy) memcpy(state, x->data, bytes);
    }
    glia_arena_free(&names);
    return status;
}

/* Checks or restores what the method keeps, from the tensors whose names begin with its prefix. */
static glia_status take_method(glia_training *t, const struct glia_restored *r, bool copy, glia_error *error) {
    if (!t->method->arrays) return GLIA_OK;
    const size_t prefix = strlen(method_prefix);
    glia_array arrays[GLIA_RUN_ARRAYS];
    int n = 0;
    if (t->method->restore) {
        for (int i = 0; i < r->file.tensors.n && n < GLIA_RUN_ARRAYS; i++) {
            const glia_safetensor *x = &r->file.tensors.tensors[i];
            if (strncmp(x->name, method_prefix, prefix) != 0) continue;
            /* restore() only reads them */
            arrays[n++] = (glia_array){
                .name = x->name + prefix, .dtype = x->dtype, .shape = x->shape, .data = (void *)(uintptr_t)x->data
            };
        }
        return t->method->restore(t, arrays, n, !copy, error);
    }
    n = t->method->arrays(t, arrays, GLIA_RUN_ARRAYS);
    glia_arena names = { 0 };
    glia_status status = GLIA_OK;
    for (int i = 0; i < n && status == GLIA_OK; i++) {
        const char *name = glia_arena_printf(&names, "%s%s", method_prefix, arrays[i].name);
        const glia_safetensor *x = name ? wanted(r, name, arrays[i].dtype, &arrays[i].shape, error) : NULL;
        if (!x) status = name ? GLIA_E_ARGUMENT : glia_fail_nomem(error);
        if (x && copy) memcpy(arrays[i].data, x->data, x->bytes);
    }
    glia_arena_free(&names);
    return status;
}

/* Checks or copies everything but the position. */
static glia_status take_values(glia_training *t, const struct glia_restored *r, bool copy, glia_error *error) {
    glia_status status = take_store(t->model->store, r, copy, error);
    if (status == GLIA_OK && t->states) status = take_store(t->states, r, copy, error);
    return status == GLIA_OK ? take_method(t, r, copy, error) : status;
}

static glia_status take_position(glia_training *t, const struct glia_restored *r, bool copy, glia_error *error) {
    const int64_t n_means = 2 * (int64_t)t->n_means;
    const glia_safetensor *place = wanted(r, place_name, GLIA_I64, &GLIA_SHAPE(PLACE), error);
    const glia_safetensor *figures = place ? wanted(r, figures_name, GLIA_F64, &GLIA_SHAPE(FIGURES), error) : NULL;
    const glia_safetensor *means = figures ? wanted(r, means_name, GLIA_F64, &GLIA_SHAPE(n_means), error) : NULL;
    if (!means) return GLIA_E_ARGUMENT;
    int64_t at[PLACE];
    double numbers[FIGURES];
    memcpy(at, place->data, sizeof at);
    memcpy(numbers, figures->data, sizeof numbers);
    if (at[0] < 0 || at[1] < 0 || at[1] > t->epoch_steps || at[2] < 0 || at[3] < 0) {
        return glia_fail(error, GLIA_E_FORMAT, "epoch %lld, step %lld is out of range", (long long)at[0],
                         (long long)at[1]);
    }
    if (!copy) return GLIA_OK;
    t->epoch = at[0], t->step = at[1], t->done = at[2], t->stop = at[4] != 0, t->ended = at[5] != 0;
    t->samples = at[3];
    memcpy(t->sums, means->data, (size_t)t->n_means * sizeof(double));
    memcpy(t->weights, (const char *)means->data + (size_t)t->n_means * sizeof(double),
           (size_t)t->n_means * sizeof(double));
    t->scale = numbers[0], t->fixed_lr = numbers[1], t->seconds = numbers[2];
    return GLIA_OK;
}

static glia_status take(glia_training *t, const struct glia_restored *r, glia_error *error) {
    glia_status status = check_asked(t, r, error);
    if (status == GLIA_OK) status = take_values(t, r, false, error);
    if (status == GLIA_OK) status = take_states(t, r, t->begun, false, error);
    if (status == GLIA_OK) status = take_position(t, r, false, error);
    if (status == GLIA_OK) status = take_values(t, r, true, error);
    if (status != GLIA_OK) return status;
    glia_store_touch(t->model->store);
    if (t->states) glia_store_touch(t->states);
    return take_position(t, r, true, error);
}

/* Opens PATH, or PATH.previous if PATH is missing or damaged. */
static glia_status open_either(const char *path, struct glia_restored *r, glia_error *error) {
    glia_error first = { 0 };
    glia_status status = open_checkpoint(path, r, &first);
    if (status == GLIA_OK || status == GLIA_E_NOMEM || status == GLIA_E_IO) {
        return status == GLIA_OK ? GLIA_OK : glia_fail(error, status, "%s", first.message);
    }
    glia_arena arena = { 0 };
    const char *previous = glia_arena_printf(&arena, "%s.previous", path);
    const char *damaged = glia_arena_printf(&arena, "%s.damaged", path);
    glia_status second = previous && damaged ? open_checkpoint(previous, r, NULL) : GLIA_E_NOMEM;
    if (second == GLIA_OK && status == GLIA_E_FORMAT) rename(path, damaged);
    glia_arena_free(&arena);
    return second == GLIA_OK ? GLIA_OK : glia_fail(error, status, "%s", first.message);
}

glia_status glia_training_restore(glia_training *t, const char *path, glia_checkpoint_info *info, glia_error *error) {
    if (!t) return glia_fail_null(error, "training");
    if (!path) return glia_fail_null(error, "path");
    if (!path || !path[0]) return glia_fail(error, GLIA_E_ARGUMENT, "glia_training_restore: path is missing");
    if (t->begun == t->opts.n_callbacks) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_training_restore: training has begun; call it from train_begin");
    }
    struct glia_restored *r = calloc(1, sizeof *r);
    if (!r) return glia_fail_nomem(error);
    glia_status status = open_either(path, r, error);
    if (status != GLIA_OK) {
        free(r);
        return status;
    }
    glia_error reason = { 0 };
    status = take(t, r, &reason);
    if (status != GLIA_OK) {
        glia_restored_free(r);
        return glia_fail(error, status, "%s: %s", path, reason.message);
    }
    glia_restored_free(t->restored);
    t->restored = r;
    if (info) *info = (glia_checkpoint_info){ .epoch = t->epoch, .step = t->step, .done = t->done };
    return GLIA_OK;
}

glia_status glia_training_restore_callbacks(glia_training *t, glia_error *error) {
    if (!t->restored) return GLIA_OK;
    glia_status status = take_states(t, t->restored, t->opts.n_callbacks, true, error);
    glia_restored_free(t->restored);
    t->restored = NULL;
    return status;
}

void glia_restored_free(struct glia_restored *r) {
    if (!r) return;
    glia_tensors_close(&r->file);
    free(r);
}
