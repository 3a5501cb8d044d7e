/* match.c - reorders columns and classes to those of a model, matched by name.
 *
 * A model's inputs and scores have the order of its training data. Other data may have the same columns in another
 * order, or only some of the classes: a table with two of three classes numbers them 0 and 1. The view created here
 * has the model's order.
 */
#include <stdlib.h>
#include <string.h>

#include "data/sources/data.h"

typedef struct match_set {
    glia_dataset base;
    glia_dataset *of;
    int64_t *columns; /* source column of each value of x; NULL: unchanged */
    int32_t *labels;  /* new label for each label of the data; NULL: unchanged */
} match_set;

static void relabel(const match_set *set, void *y) {
    const glia_dataset *data = &set->base;
    for (int64_t i = 0; data->targets == GLIA_TARGETS_BOXES && i < data->y_shape.dim[0]; i++) {
        float *box = (float *)y + i * data->y_shape.dim[1];
        if (box[0] >= 0) box[0] = (float)set->labels[(int)box[0]];
    }
    if (data->targets == GLIA_TARGETS_BOXES) return;
    for (size_t i = 0; i < data->y_bytes / sizeof(int32_t); i++) {
        int32_t *label = (int32_t *)y + i;
        if (*label >= 0) *label = set->labels[*label];
    }
}

static glia_status match_read(const glia_dataset *data, int64_t index, float *x, void *y, bool raw,
                              glia_error *error) {
    const match_set *set = (const match_set *)data;
    const size_t n = data->x_count;
    float *row = x && set->columns ? malloc(n * sizeof *row) : x;
    if (x && !row) return glia_fail_nomem(error);
    glia_status status = set->of->kind->read(set->of, index, row, y, false, error);
    if (!status && row != x) {
        for (size_t i = 0; i < n; i++) x[i] = row[set->columns[i]];
    }
    if (row != x) free(row);
    if (status) return status;
    if (x && !raw) glia_data_apply_normal(data, x);
    if (y && set->labels) relabel(set, y);
    return GLIA_OK;
}

static void match_close(glia_dataset *data) {
    match_set *set = (match_set *)data;
    free(set->columns);
    free(set->labels);
    glia_data_free(set->of);
}

static bool match_has_ids(const glia_dataset *data) {
    const match_set *set = (const match_set *)data;
    return !set->columns && glia_data_has_ids(set->of);
}

static glia_status match_read_ids(const glia_dataset *data, int64_t index, int32_t *ids, glia_error *error) {
    const match_set *set = (const match_set *)data;
    return set->of->kind->read_ids(set->of, index, ids, error);
}

static const glia_data_kind match_kind = { match_read, match_close, match_has_ids, match_read_ids };

/* First index of `name` that is not taken, searching from `hint`, wrapping around; -1: none. */
static int64_t find(const char *name, const char *const *names, int64_t n, const bool *taken, int64_t hint) {
    for (int64_t k = 0; k < n; k++) {
        const int64_t i = (hint + k) % n;
        if (!(taken && taken[i]) && !strcmp(names[i], name)) return i;
    }
    return -1;
}

/* what: "column" or "class"; names: the names of the other side; the message suggests the nearest. */
static glia_status fail_name(const glia_dataset *data, const char *what, const char *name, const char *problem,
                             const char *const *names, int64_t n, glia_error *error) {
    const char *near = n <= INT32_MAX ? glia_nearest(name, names, (int)n) : NULL;
    return glia_fail(error, GLIA_E_NOT_FOUND, "%s: the %s \"%.100s\" %s%s%.100s%s", data->name, what, name, problem,
                     near ? "; the nearest is \"" : "", near ? near : "", near ? "\"" : "");
}

static glia_status match_columns(match_set *set, const char *const *names, int64_t n, glia_error *error) {
    const glia_dataset *data = set->of;
    if (!names || n < 1 || !data->column_names) return GLIA_OK;
    const int64_t there = data->x_shape.dim[0];
    const char *const *own = (const char *const *)data->column_names;
    bool *taken = calloc((size_t)there, sizeof *taken);
    set->columns = calloc((size_t)n + 1, sizeof *set->columns);
    glia_status status = taken && set->columns ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; i < n && !status; i++) {
        const int64_t at = find(names[i], own, there, taken, i % there);
        if (at < 0) {
            status = fail_name(data, "column", names[i], "is missing", own, there, error);
        } else {
            taken[at] = true;
            set->columns[i] = at;
        }
    }
    for (int64_t i = 0; i < there && !status; i++) {
        if (!taken[i])
            status = fail_name(data, "column", own[i], "is unknown to the model (drop= leaves it out)", names, n,
                               error);
    }
    free(taken);
    set->base.x_shape = GLIA_SHAPE(n);
    return status;
}

static glia_status match_classes(match_set *set, const char *const *names, int n, glia_error *error) {
    const glia_dataset *data = set->of;
    if (!names || n < 1 || !data->classes) return GLIA_OK;
    set->base.classes = n;
    if (data->numbered) {
        if (data->classes <= n) return GLIA_OK;
        return glia_fail(error, GLIA_E_ARGUMENT, "%s has %d classes, but the model has %d", data->name, data->classes,
                         n);
    }
    set->labels = malloc((size_t)data->classes * sizeof *set->labels);
    if (!set->labels) return glia_fail_nomem(error);
    for (int i = 0; i < data->classes; i++) {
        const int64_t at = find(data->class_names[i], names, n, NULL, i % n);
        if (at >= 0) {
            set->labels[i] = (int32_t)at;
        } else {
            return fail_name(data, "class", data->class_names[i], "is unknown to the model", names, n, error);
        }
    }
    return GLIA_OK;
}

static glia_status check_tokenizer(const glia_dataset *data, const char *tokenizer, glia_error *error) {
    if (!tokenizer == !data->tokenizer && (!tokenizer || !strcmp(tokenizer, data->tokenizer))) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "%s: %s", data->name,
                     !tokenizer         ? "the samples are token ids, but the model was trained without a tokenizer"
                     : !data->tokenizer ? "the samples are not ids of the model's tokenizer (see tokenizer=)"
                                        : "the samples are ids of another tokenizer than the model's");
}

static glia_status fill(match_set *set, const glia_data_names *names, glia_error *error) {
    glia_status status = check_tokenizer(set->of, names->tokenizer, error);
    if (!status) status = match_columns(set, names->columns, names->n_columns, error);
    if (!status) status = glia_data_init(&set->base, error);
    if (!status) status = match_classes(set, names->classes, names->n_classes, error);
    if (status) return status;
    const bool renamed = set->base.classes && names->classes && names->n_classes > 0;
    if (renamed) status = glia_data_name_classes(&set->base, names->classes, error);
    if (!status && set->columns) status = glia_data_name_columns(&set->base, names->columns, error);
    return status;
}

glia_dataset *glia_data_match(glia_dataset *data, const glia_data_names *names, glia_error *error) {
    if (!data || !names) {
        glia_fail_null(error, data ? "names" : "data");
        return NULL;
    }
    match_set *set = calloc(1, sizeof *set);
    if (!set) {
        glia_fail_nomem(error);
        glia_data_free(data);
        return NULL;
    }
    set->of = data;
    set->base = (glia_dataset){ .kind = &match_kind,
                                .name = data->name,
                                .n = data->n,
                                .x_shape = data->x_shape,
                                .y_shape = data->y_shape,
                                .y_dtype = data->y_dtype,
                                .targets = data->targets,
                                .classes = data->classes,
                                .class_names = data->class_names,
                                .column_names = data->column_names,
                                .numbered = data->numbered,
                                .is_split = data->is_split,
                                .tokenizer = data->tokenizer };
    if (!fill(set, names, error)) return &set->base;
    glia_data_free(&set->base);
    return NULL;
}
