/* tokens.c - windows of one long text as token ids, for language models.
 *
 * A sample is `length` ids; its targets are the same ids shifted by one. Windows begin every `step` ids. With step =
 * length each id is a target once per epoch. With step = 1 every position is a sample; a shuffled epoch then visits
 * windows at random positions without repetition, which is equivalent to training on random offsets. The test split is
 * the last tenth of the text by default.
 */
#include <stdlib.h>
#include <string.h>

#include "data/sources/sources.h"

typedef struct token_set {
    glia_dataset base;
    int32_t *ids; /* of the split */
    int64_t n, step;
} token_set;

static glia_status tokens_read(const glia_dataset *data, int64_t index, float *x, void *y, bool raw,
                               glia_error *error) {
    const token_set *set = (const token_set *)data;
    const int32_t *ids = set->ids + index * set->step;
    (void)error;
    for (size_t i = 0; x && i < data->x_count; i++) x[i] = (float)ids[i];
    if (x && !raw) glia_data_apply_normal(data, x);
    if (y) memcpy(y, ids + 1, data->y_bytes);
    return GLIA_OK;
}

static void tokens_close(glia_dataset *data) { free(((token_set *)data)->ids); }

static bool tokens_have_ids(const glia_dataset *data) {
    (void)data;
    return true;
}

static glia_status tokens_read_ids(const glia_dataset *data, int64_t index, int32_t *ids, glia_error *error) {
    const token_set *set = (const token_set *)data;
    (void)error;
    memcpy(ids, set->ids + index * set->step, data->x_count * sizeof *ids);
    return GLIA_OK;
}

static const glia_data_kind tokens_kind = { tokens_read, tokens_close, tokens_have_ids, tokens_read_ids };

bool glia_data_is_tokens(const glia_dataset *data) { return data->kind == &tokens_kind; }

/* Sets the classes: one per token. */
static glia_status name_tokens(glia_dataset *data, const glia_tokenizer *t, glia_error *error) {
    data->classes = (int)glia_tokenizer_size(t);
    const char **names = calloc((size_t)data->classes, sizeof *names);
    if (!names) return glia_fail_nomem(error);
    for (int i = 0; i < data->classes; i++) {
        names[i] = glia_tokenizer_token(t, i, NULL);
        if (!names[i]) names[i] = "";
    }
    const glia_status status = glia_data_name_classes(data, names, error);
    free(names);
    return status;
}

/* Copies the ids of the requested split. */
static glia_status take_split(token_set *set, const glia_encoding *e, glia_token_opts o, glia_error *error) {
    const int64_t test = (int64_t)((double)e->n * o.test + 0.5), train = e->n - test;
    const int32_t *from = o.split_test && test ? e->ids + train : e->ids;
    set->base.is_split = test > 0;
    set->n = !test ? e->n : o.split_test ? test : train;
    if (set->n < o.length + 1)
        return glia_fail(error, GLIA_E_FORMAT, "offset 0: %lld tokens are fewer than a window of %lld and its target",
                         (long long)set->n, (long long)o.length);
    set->ids = malloc((size_t)set->n * sizeof *set->ids);
    if (!set->ids) return glia_fail_nomem(error);
    memcpy(set->ids, from, (size_t)set->n * sizeof *set->ids);
    set->base.n = (set->n - 1 - o.length) / o.step + 1;
    return GLIA_OK;
}

glia_tokenizer *glia_tokenizer_of_source(glia_tokenizer_source source, glia_error *error) {
    if (!source.text) return glia_tokenizer_load(source.path, error);
    glia_tokenizer *t = glia_tokenizer_parse(source.text, strlen(source.text), error);
    glia_tokenizer *other = t && source.path ? glia_tokenizer_load(source.path, NULL) : NULL; /* the file may be gone */
    if (other && strcmp(glia_tokenizer_json(t, NULL), glia_tokenizer_json(other, NULL)) != 0) {
        glia_fail(error, GLIA_E_ARGUMENT, "%s is not the model's tokenizer", source.path);
        glia_tokenizer_free(t);
        t = NULL;
    }
    glia_tokenizer_free(other);
    return t;
}

/* The tokenizer given by the options, or a character tokenizer built from the text. */
static glia_tokenizer *tokenizer_of(glia_token_opts o, glia_string text, glia_error *error) {
    if (o.tokenizer.path || o.tokenizer.text) return glia_tokenizer_of_source(o.tokenizer, error);
    return glia_tokenizer_train(GLIA_TOKENIZER_CHARACTERS, (glia_tokenizer_opts){ .threads = 1 }, &text, 1, error);
}

static glia_status fill(token_set *set, glia_string text, glia_token_opts o, glia_error *error) {
    glia_tokenizer *t = tokenizer_of(o, text, error);
    if (!t) return error ? error->status : GLIA_E_FORMAT;
    glia_encoding e = { 0 };
    glia_status status = glia_tokenizer_encode(t, text.bytes, text.length, (glia_encode_opts){ 0 }, &e, error);
    if (!status) status = take_split(set, &e, o, error);
    set->step = o.step;
    set->base.x_shape = set->base.y_shape = GLIA_SHAPE(o.length);
    if (!status) status = glia_data_init(&set->base, error);
    if (!status) status = name_tokens(&set->base, t, error);
    if (!status) status = glia_data_keep_tokenizer(&set->base, t, error);
    glia_encoding_free(&e);
    glia_tokenizer_free(t);
    return status;
}

glia_dataset *glia_data_open_tokens(const char *path, glia_token_opts o, const char *name, glia_error *error) {
    glia_file file;
    glia_error own = { 0 };
    const uint8_t *text;
    size_t length;
    uint8_t *owned = NULL;
    if (!o.length) o.length = 64;
    if (!o.step) o.step = o.length;
    if (glia_file_open(&file, path, error)) return NULL;
    token_set *set = calloc(1, sizeof *set);
    glia_status status =
        set ? glia_gunzip_text(file.bytes, file.length, &text, &length, &owned, &own) : glia_fail_nomem(&own);
    if (set) {
        set->base = (glia_dataset){ .kind = &tokens_kind, .y_dtype = GLIA_I32 };
        set->base.name = (char *)(uintptr_t)name; /* glia_data_init() copies it */
    }
    if (!status) status = fill(set, (glia_string){ (const char *)text, length }, o, &own);
    free(owned);
    glia_file_close(&file);
    if (!status) return &set->base;
    glia_fail_at_path(&own, path, status);
    if (error) *error = own;
    if (set) glia_data_free(&set->base);
    return NULL;
}
