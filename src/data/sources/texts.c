/* texts.c - text as bytes: lines of a file, files in class folders, windows of one long text.
 *
 * A sample is `length` byte values from 0 to 255; longer text is truncated, shorter text is padded with zeros. Without
 * classes the targets are the same bytes shifted by one, for next-character prediction.
 */
#include <stdlib.h>
#include <string.h>

#include "data/sources/sources.h"

enum { BYTES = 256, LENGTH_USUAL = 1024 };

typedef struct piece {
    const uint8_t *bytes;
    size_t length;
    int32_t label;
} piece;

typedef struct text_set {
    glia_dataset base;
    glia_archive archive;
    glia_blob *blobs; /* of the tree's files */
    int n_blobs;
    tree tree;
    glia_file file;
    uint8_t *owned; /* inflated text */
    piece *pieces;
    int n, capacity;
    glia_encoding *encodings; /* of the pieces, if there is a tokenizer */
    int32_t pad;              /* its padding token */
} text_set;

/* Number i of a sample: an id or a byte, padded or truncated; a special token at the end is kept as the last id on
 * truncation. */
static int32_t id_at(const text_set *set, int64_t index, size_t i) {
    const size_t n = set->base.x_count;
    if (!set->encodings) return i < set->pieces[index].length ? set->pieces[index].bytes[i] : 0;
    const glia_encoding *e = &set->encodings[index];
    if (i == n - 1 && e->n > (int64_t)n && e->types[e->n - 1]) return e->ids[e->n - 1]; /* see tokenize() */
    return (int64_t)i < e->n ? e->ids[i] : set->pad;
}

static glia_status texts_read(const glia_dataset *data, int64_t index, float *x, void *y, bool raw, glia_error *error) {
    const text_set *set = (const text_set *)data;
    const piece *p = &set->pieces[index];
    (void)error;
    for (size_t i = 0; x && i < data->x_count; i++) x[i] = (float)id_at(set, index, i);
    if (x && !raw) glia_data_apply_normal(data, x);
    if (y && data->y_shape.rank == 0) memcpy(y, &p->label, sizeof p->label);
    for (size_t i = 0; y && data->y_shape.rank && i < data->x_count; i++) {
        ((int32_t *)y)[i] = i + 1 < p->length ? p->bytes[i + 1] : 0;
    }
    return GLIA_OK;
}

static void texts_close(glia_dataset *data) {
    text_set *set = (text_set *)data;
    for (int i = 0; i < set->n_blobs; i++) glia_blob_free(&set->blobs[i]);
    free(set->blobs);
    glia_tree_free(&set->tree);
    glia_archive_free(&set->archive);
    glia_file_close(&set->file);
    free(set->owned);
    free(set->pieces);
    for (int i = 0; set->encodings && i < set->n; i++) glia_encoding_free(&set->encodings[i]);
    free(set->encodings);
}

static bool texts_have_ids(const glia_dataset *data) {
    (void)data;
    return true;
}

static glia_status texts_read_ids(const glia_dataset *data, int64_t index, int32_t *ids, glia_error *error) {
    (void)error;
    for (size_t i = 0; i < data->x_count; i++) ids[i] = id_at((const text_set *)data, index, i);
    return GLIA_OK;
}

static const glia_data_kind texts_kind = { texts_read, texts_close, texts_have_ids, texts_read_ids };

static bool add_piece(text_set *set, piece p) {
    if (!glia_grow((void **)&set->pieces, set->n, &set->capacity, sizeof *set->pieces)) return false;
    set->pieces[set->n++] = p;
    return true;
}

/* The text of a file, inflated if it is gzipped. */
static glia_status read_text(text_set *set, const char *path, const uint8_t **text, size_t *length, glia_error *error) {
    glia_status status = glia_file_open(&set->file, path, error);
    if (status) return status;
    status = glia_gunzip_text(set->file.bytes, set->file.length, text, length, &set->owned, error);
    if (!status && *length == 0) status = glia_fail(error, GLIA_E_FORMAT, "offset 0: the file is empty");
    return glia_fail_at_path(error, path, status);
}

/* ---- classes by words --------------------------------------------------------------------- */

typedef struct word {
    const uint8_t *bytes;
    size_t length;
} word;

static int compare_words(const void *a, const void *b) {
    const word *p = a, *q = b;
    int order = memcmp(p->bytes, q->bytes, GLIA_MIN(p->length, q->length));
    return order ? order : (p->length > q->length) - (p->length < q->length);
}

/* Numbers the labels of the pieces, in byte order of the label words. */
static glia_status number_words(text_set *set, const word *labels, glia_error *error) {
    word *sorted = malloc((size_t)set->n * sizeof *sorted);
    if (!sorted) return glia_fail_nomem(error);
    memcpy(sorted, labels, (size_t)set->n * sizeof *sorted);
    qsort(sorted, (size_t)set->n, sizeof *sorted, compare_words);
    int classes = 0;
    for (int i = 0; i < set->n; i++) {
        if (i == 0 || compare_words(&sorted[i], &sorted[classes - 1])) sorted[classes++] = sorted[i];
    }
    glia_status status = GLIA_OK;
    if (classes > 65535) status = glia_fail(error, GLIA_E_FORMAT, "offset 0: more than 65,535 different labels");
    char **names = status ? NULL : glia_arena_alloc(&set->base.arena, (size_t)classes * sizeof *names);
    if (!status && !names) status = glia_fail_nomem(error);
    for (int i = 0; i < classes && !status; i++) {
        names[i] = glia_arena_alloc(&set->base.arena, sorted[i].length + 1);
        if (names[i]) memcpy(names[i], sorted[i].bytes, sorted[i].length);
        if (!names[i]) status = glia_fail_nomem(error);
    }
    for (int i = 0; i < set->n && !status; i++) {
        const word *found = bsearch(&labels[i], sorted, (size_t)classes, sizeof *sorted, compare_words);
        set->pieces[i].label = (int32_t)(found - sorted);
    }
    free(sorted);
    set->base.classes = classes;
    return status ? status : glia_data_name_classes(&set->base, (const char *const *)names, error);
}

static bool valid_word(word w) {
    for (size_t i = 0, n; i < w.length; i += n) {
        n = w.bytes[i] ? glia_utf8_length(w.bytes + i, w.length - i) : 0;
        if (!n) return false;
    }
    return w.length > 0;
}

/* ---- lines -------------------------------------------------------------------------------- */

/* Removes the label from a line: the text before the first separator, or after the last. */
static bool cut_label(piece *line, glia_text_opts opts, word *label) {
    const uint8_t *at = NULL;
    for (size_t i = 0; i < line->length && !(at && opts.label < 0); i++) {
        if (line->bytes[i] == (uint8_t)opts.separator) at = line->bytes + i;
    }
    if (!at) return false;
    size_t before = (size_t)(at - line->bytes), behind = line->length - before - 1;
    *label = opts.label < 0 ? (word){ line->bytes, before } : (word){ at + 1, behind };
    if (opts.label < 0) line->bytes = at + 1;
    line->length = opts.label < 0 ? behind : before;
    return valid_word(*label);
}

static glia_status cut_lines(text_set *set, const uint8_t *text, size_t length, glia_text_opts opts,
                             glia_error *error) {
    word *labels = NULL;
    int capacity = 0;
    glia_status status = GLIA_OK;
    int64_t number = 0;
    for (size_t at = 0; at < length && !status;) {
        const uint8_t *end = memchr(text + at, '\n', length - at);
        piece line = { .bytes = text + at, .length = end ? (size_t)(end - text) - at : length - at };
        size_t start = at;
        at += line.length + 1;
        number++;
        if (line.length && line.bytes[line.length - 1] == '\r') line.length--;
        if (line.length == 0) continue;
        word label = { 0 };
        if (opts.label && !cut_label(&line, opts, &label)) {
            status = glia_fail(error, GLIA_E_FORMAT, "line %lld (offset %zu): there is no UTF-8 label %s a separator",
                               (long long)number, start, opts.label < 0 ? "before" : "after");
        } else if (opts.label && !glia_grow((void **)&labels, set->n, &capacity, sizeof *labels)) {
            status = glia_fail_nomem(error);
        } else {
            if (opts.label) labels[set->n] = label;
            if (!add_piece(set, line)) status = glia_fail_nomem(error);
        }
    }
    if (!status && !set->n) status = glia_fail(error, GLIA_E_FORMAT, "offset 0: all lines are empty");
    if (!status && opts.label) status = number_words(set, labels, error);
    free(labels);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------ */

static text_set *create(const char *name, glia_error *error) {
    text_set *set = calloc(1, sizeof *set);
    if (!set) return glia_fail_nomem(error), NULL;
    set->base = (glia_dataset){ .kind = &texts_kind, .y_dtype = GLIA_I32 };
    set->base.name = (char *)(uintptr_t)name; /* glia_data_init() copies it */
    return set;
}

/* Sets the shapes. With classes y is a label, else the next bytes. */
static glia_dataset *finish(text_set *set, glia_status status, int64_t length, glia_error *error) {
    size_t longest = 1;
    for (int i = 0; i < set->n; i++) longest = GLIA_MAX(longest, set->pieces[i].length);
    if (!length) length = (int64_t)GLIA_MIN(longest, (size_t)LENGTH_USUAL);
    set->base.n = set->n;
    set->base.x_shape = GLIA_SHAPE(length);
    if (!set->base.classes) set->base.y_shape = GLIA_SHAPE(length);
    if (!status) status = glia_data_init(&set->base, error);
    if (!status && !set->base.classes) {
        set->base.classes = BYTES;
        status = glia_data_name_classes(&set->base, NULL, error);
    }
    if (!status) return &set->base;
    glia_data_free(&set->base);
    return NULL;
}

glia_dataset *glia_data_open_lines(const char *path, glia_text_opts opts, const char *name, glia_error *error) {
    text_set *set = create(name, error);
    if (!set) return NULL;
    const uint8_t *text;
    size_t length;
    glia_status status = read_text(set, path, &text, &length, error);
    if (!status) status = glia_fail_at_path(error, path, cut_lines(set, text, length, opts, error));
    return finish(set, status, opts.length, error);
}

glia_dataset *glia_data_open_text(const char *path, glia_text_opts opts, const char *name, glia_error *error) {
    text_set *set = create(name, error);
    if (!set) return NULL;
    const uint8_t *text;
    size_t length, window = (size_t)(opts.length ? opts.length : 64), step = opts.step ? (size_t)opts.step : window;
    glia_status status = read_text(set, path, &text, &length, error);
    if (!status && length < window + 1) {
        status = glia_fail(error, GLIA_E_FORMAT,
                           "%s: offset %zu: the text is shorter than a window of %zu bytes and its target", path,
                           length, window);
    }
    for (size_t at = 0; !status && at + window < length; at += step) {
        if (!add_piece(set, (piece){ .bytes = text + at, .length = window + 1 })) status = glia_fail_nomem(error);
    }
    return finish(set, status, (int64_t)window, error);
}

/* Encodes the pieces as ids. The last element of types is set to whether the last token is special. */
static glia_status tokenize(text_set *set, glia_tokenizer_source source, int64_t *longest, glia_error *error) {
    static const char *const pads[] = { "[PAD]", "<pad>", "<|pad|>", "<|endoftext|>" };
    glia_tokenizer *t = glia_tokenizer_of_source(source, error);
    if (!t) return error ? error->status : GLIA_E_FORMAT;
    glia_string *texts = malloc((size_t)set->n * sizeof *texts);
    set->encodings = calloc((size_t)set->n, sizeof *set->encodings);
    glia_status status = texts && set->encodings ? GLIA_OK : glia_fail_nomem(error);
    for (int i = 0; i < set->n && !status; i++)
        texts[i] = (glia_string){ (const char *)set->pieces[i].bytes, set->pieces[i].length };
    if (!status)
        status = glia_tokenizer_encode_batch(t, texts, set->n, (glia_encode_opts){ .specials = true }, 0,
                                             set->encodings, error);
    for (int i = GLIA_COUNT(pads) - 1; i >= 0; i--)
        if (glia_tokenizer_id(t, pads[i]) >= 0) set->pad = (int32_t)glia_tokenizer_id(t, pads[i]);
    for (int i = 0; i < set->n && !status; i++) {
        glia_encoding *e = &set->encodings[i];
        bool special = false;
        if (e->n) glia_tokenizer_token(t, e->ids[e->n - 1], &special);
        if (e->n) e->types[e->n - 1] = special;
        *longest = GLIA_MAX(*longest, e->n);
    }
    if (!status) status = glia_data_keep_tokenizer(&set->base, t, error);
    free(texts);
    glia_tokenizer_free(t);
    return status;
}

/* Reads all files of the tree, into memory or mapped. */
static glia_status read_files(text_set *set, glia_error *error) {
    glia_status status = GLIA_OK;
    set->blobs = calloc((size_t)set->tree.n, sizeof *set->blobs);
    if (!set->blobs) return glia_fail_nomem(error);
    for (int i = 0; i < set->tree.n && !status; i++) {
        glia_blob *blob = &set->blobs[set->n_blobs++];
        int member = set->tree.members[i];
        status = glia_archive_fail(&set->archive, member, error, glia_archive_read(&set->archive, member, blob, error));
        if (status) return status;
        piece p = { .bytes = blob->bytes, .length = blob->length, .label = set->tree.labels[i] };
        if (!add_piece(set, p)) status = glia_fail_nomem(error);
    }
    return status;
}

glia_dataset *glia_data_open_texts(const char *path, int split, glia_text_opts opts, const char *name,
                                   glia_error *error) {
    static const char *const endings[] = { ".txt", ".text", NULL }, *const none[] = { NULL };
    text_set *set = create(name, error);
    if (!set) return NULL;
    glia_status status = glia_archive_open(path, &set->archive, error);
    if (opts.whole) split = TREE_TRAIN;
    if (!status) status = glia_tree_read(&set->archive, endings, none, split, &set->tree, error);
    if (!status && opts.whole && set->tree.has_test) {
        status = glia_fail(error, GLIA_E_ARGUMENT,
                           "%s: test= cannot be used, because the data have train and test folders", path);
    }
    if (!status) status = read_files(set, error);
    if (!status) {
        set->base.is_split = set->tree.has_test;
        set->base.classes = set->tree.classes;
        status = glia_data_name_classes(&set->base, (const char *const *)set->tree.class_names, error);
    }
    int64_t longest = 1;
    const bool ids = opts.tokenizer.path || opts.tokenizer.text;
    if (!status && ids) status = tokenize(set, opts.tokenizer, &longest, error);
    if (!status && ids && !opts.length) opts.length = GLIA_MIN(longest, LENGTH_USUAL);
    return finish(set, status, opts.length, error);
}
