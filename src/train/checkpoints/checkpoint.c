/* checkpoint.c - saves the whole state of a training in a safetensors file and restores it.
 *
 *     NAME ...                       the model's parameters and states, including the random state
 *     train/...                      the optimiser's states
 *     checkpoint/place               i64: epoch, step, done, samples in the epoch's means, whether a callback stopped
 *                                    it, whether the epoch has ended
 *     checkpoint/figures             f64: sums of loss, accuracy and their weights, factor and fixed learning rate,
 *                                    seconds of the epoch
 *     checkpoint/callback/I/NAME     u8: the state of callback I
 *
 * The metadata hold the training's options as lines "key=value", and a checksum: the sum of a hash of each tensor
 * (name, dtype, shape, bytes) and of those lines. It does not depend on the order of tensors.
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
#include "train/fit/fit.h"

struct glia_restored {
    glia_file bytes;
    glia_safetensors file;
};

enum { PLACE = 6, FIGURES = 6 };
static const char place_name[] = "checkpoint/place", figures_name[] = "checkpoint/figures";

/* ---- contents -------------------------------------------------------------------------------- */

/* The file's tensors, and storage for the numeric ones. */
typedef struct contents {
    glia_array *arrays;
    int n;
    glia_arena names;
    int64_t place[PLACE];
    double figures[FIGURES];
} contents;

static void add(contents *c, const char *name, glia_dtype dtype, int64_t count, void *data) {
    c->arrays[c->n++] = (glia_array){ .name = name, .dtype = dtype, .shape = GLIA_SHAPE(count), .data = data };
}

/* The name under which a callback's state is saved; NULL: out of memory. */
static const char *state_name(glia_arena *arena, const glia_callback *c, int index) {
    return glia_arena_printf(arena, "checkpoint/callback/%d/%s", index, c->name ? c->name : "");
}

static glia_status gather(const glia_training *t, contents *c, glia_error *error) {
    const glia_store *model = t->train.model->store, *states = t->train.store;
    size_t most = (size_t)glia_store_count(model) + (size_t)glia_store_count(states) + (size_t)t->opts.n_callbacks + 2;
    c->arrays = malloc(most * sizeof *c->arrays);
    if (!c->arrays) return glia_fail_nomem(error);
    for (int i = 0; i < glia_store_count(model); i++) c->arrays[c->n++] = glia_store_entry(model, i);
    for (int i = 0; i < glia_store_count(states); i++) c->arrays[c->n++] = glia_store_entry(states, i);
    memcpy(c->place, (int64_t[PLACE]){ t->epoch, t->step, t->done, t->tally.samples, t->stop, t->ended },
           sizeof c->place);
    const double seconds = t->step ? t->progress.seconds : 0;
    const double figures[FIGURES] = {
        t->tally.loss, t->tally.accuracy, t->tally.weight, t->scale, t->fixed_lr, seconds
    };
    memcpy(c->figures, figures, sizeof figures);
    add(c, place_name, GLIA_I64, PLACE, c->place);
    add(c, figures_name, GLIA_F64, FIGURES, c->figures);
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
    char number[GLIA_NUMBER_TEXT];
    glia_text_printf(text, "samples=%lld\n", (long long)glia_data_count(t->data));
    describe_names("columns", glia_data_column_name, t->data, text);
    describe_names("classes", class_name, t->data, text);
    glia_text_printf(text, "batch=%lld\n", (long long)t->opts.batch);
    glia_text_printf(text, "seed=%llu\n", (unsigned long long)t->opts.seed);
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
    glia_status status = glia_file_open(&r->bytes, path, error);
    if (status != GLIA_OK) return status;
    status = glia_safetensors_parse(r->bytes.bytes, r->bytes.length, &r->file, error);
    if (status != GLIA_OK) {
        glia_file_close(&r->bytes);
        return glia_fail_at_path(error, path, status);
    }
    const char *asked = glia_safetensors_get(&r->file, "glia.checkpoint");
    const char *checksum = glia_safetensors_get(&r->file, "glia.checksum");
    if (!asked || !checksum) {
        status = glia_fail(error, GLIA_E_FORMAT, "%s: is not a training checkpoint", path);
    } else {
        uint64_t sum = glia_hash_bytes(asked, strlen(asked), 0);
        for (int i = 0; i < r->file.n; i++) {
            const glia_safetensor *x = &r->file.tensors[i];
            sum += hash_tensor(x->name, x->dtype, &x->shape, x->data);
        }
        char found[17];
        print_checksum(sum, found);
        if (strcmp(found, checksum)) {
            status =
                glia_fail(error, GLIA_E_FORMAT, "%s: is damaged: its checksum is %s, not %.16s", path, found, checksum);
        }
    }
    if (status != GLIA_OK) {
        glia_safetensors_free(&r->file);
        glia_file_close(&r->bytes);
    }
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
    const char *a = glia_safetensors_get(&r->file, "glia.checkpoint"), *b = text.bytes;
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
    const glia_safetensor *x = glia_safetensors_find(&r->file, name);
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

static glia_status take(glia_training *t, const struct glia_restored *r, glia_error *error) {
    glia_status status = check_asked(t, r, error);
    if (status == GLIA_OK) status = take_store(t->train.model->store, r, false, error);
    if (status == GLIA_OK) status = take_store(t->train.store, r, false, error);
    if (status == GLIA_OK) status = take_states(t, r, t->begun, false, error);
    if (status != GLIA_OK) return status;
    const glia_safetensor *place = wanted(r, place_name, GLIA_I64, &GLIA_SHAPE(PLACE), error);
    const glia_safetensor *figures = place ? wanted(r, figures_name, GLIA_F64, &GLIA_SHAPE(FIGURES), error) : NULL;
    if (!figures) return GLIA_E_ARGUMENT;
    int64_t at[PLACE];
    double sums[FIGURES];
    memcpy(at, place->data, sizeof at);
    memcpy(sums, figures->data, sizeof sums);
    if (at[0] < 0 || at[1] < 0 || at[1] > t->epoch_steps || at[2] < 0 || at[3] < 0) {
        return glia_fail(error, GLIA_E_FORMAT, "epoch %lld, step %lld is out of range", (long long)at[0],
                         (long long)at[1]);
    }
    take_store(t->train.model->store, r, true, NULL);
    take_store(t->train.store, r, true, NULL);
    glia_store_touch(t->train.store);
    t->epoch = at[0], t->step = at[1], t->done = at[2], t->stop = at[4] != 0, t->ended = at[5] != 0;
    t->tally = (glia_tally){ .loss = sums[0], .accuracy = sums[1], .weight = sums[2], .samples = at[3] };
    t->scale = sums[3], t->fixed_lr = sums[4], t->seconds = sums[5];
    return GLIA_OK;
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
    glia_safetensors_free(&r->file);
    glia_file_close(&r->bytes);
    free(r);
}
