/* import_weights.c - values from files, by name: a map of names and of layout differences.
 *
 * A row of the table has two patterns, Glia's and the file's:
 *
 *     *   the path in front: empty, or names of layers, each followed by "/" (Glia) or "." (file)
 *     #   a layer's number
 *     @   the kind of tensor, by the family's list: kernel, scale or table is "weight" in PyTorch's files; those that
 *         are not in the list are called the same
 *
 * A row with several sources concatenates their rows; `from` and `to` select thirds of one source's rows.
 *
 * Everything is compared first, and what does not fit is listed; values are copied only if all is well.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"
#include "deploy/exchange/keras.h"
#include "glia/exchange.h"
#include "train/model/model.h"

enum { SOURCES = 3, NAME = 256 };

typedef struct rule {
    const char *ours, *theirs[SOURCES];
    int from, to; /* thirds; to 0: all */
    bool conv1d;  /* GPT-2's layout: a kernel is (F, units) */
} rule;

static const rule torch_rules[] = {
    { .ours = "*h#/attn/qkv/@", .theirs = { "*layers.#.self_attn.in_proj_@" } },
    { .ours = "*h#/attn/out/@", .theirs = { "*layers.#.self_attn.out_proj.@" } },
    { .ours = "*h#/cross/q/@", .theirs = { "*layers.#.multihead_attn.in_proj_@" }, .from = 0, .to = 1 },
    { .ours = "*h#/cross/kv/@", .theirs = { "*layers.#.multihead_attn.in_proj_@" }, .from = 1, .to = 3 },
    { .ours = "*h#/cross/out/@", .theirs = { "*layers.#.multihead_attn.out_proj.@" } },
    { .ours = "*h#/mlp/up/@", .theirs = { "*layers.#.linear1.@" } },
    { .ours = "*h#/mlp/down/@", .theirs = { "*layers.#.linear2.@" } },
    { .ours = "*h#/norm#/@", .theirs = { "*layers.#.norm#.@" } },
    { .ours = "*qkv/@", .theirs = { "*in_proj_@" } },
    { .ours = "*q/@", .theirs = { "*in_proj_@" }, .from = 0, .to = 1 },
    { .ours = "*kv/@", .theirs = { "*in_proj_@" }, .from = 1, .to = 3 },
    { .ours = "*out/@", .theirs = { "*out_proj.@" } },
    { .ours = "*@", .theirs = { "*@" } },
    { 0 },
};

static const rule gpt_rules[] = {
    { .ours = "wte/@", .theirs = { "wte.@" } },
    { .ours = "wpe/@", .theirs = { "wpe.@" } },
    { .ours = "h#/norm#/@", .theirs = { "h.#.ln_#.@" } },
    { .ours = "h#/attn/qkv/@", .theirs = { "h.#.attn.c_attn.@" }, .conv1d = true },
    { .ours = "h#/attn/out/@", .theirs = { "h.#.attn.c_proj.@" }, .conv1d = true },
    { .ours = "h#/mlp/up/@", .theirs = { "h.#.mlp.c_fc.@" }, .conv1d = true },
    { .ours = "h#/mlp/down/@", .theirs = { "h.#.mlp.c_proj.@" }, .conv1d = true },
    { .ours = "norm/@", .theirs = { "ln_f.@" } },
    { .ours = "head/@", .theirs = { "lm_head.@" } },
    { 0 },
};

#define SELF "encoder.layer.#.attention.self."
static const rule bert_rules[] = {
    { .ours = "embed/word/@", .theirs = { "embeddings.word_embeddings.@" } },
    { .ours = "embed/position/@", .theirs = { "embeddings.position_embeddings.@" } },
    { .ours = "embed/segment/@", .theirs = { "embeddings.token_type_embeddings.@" } },
    { .ours = "embed/norm/@", .theirs = { "embeddings.LayerNorm.@" } },
    { .ours = "h#/attn/qkv/@", .theirs = { SELF "query.@", SELF "key.@", SELF "value.@" } },
    { .ours = "h#/attn/out/@", .theirs = { "encoder.layer.#.attention.output.dense.@" } },
    { .ours = "h#/norm1/@", .theirs = { "encoder.layer.#.attention.output.LayerNorm.@" } },
    { .ours = "h#/mlp/up/@", .theirs = { "encoder.layer.#.intermediate.dense.@" } },
    { .ours = "h#/mlp/down/@", .theirs = { "encoder.layer.#.output.dense.@" } },
    { .ours = "h#/norm2/@", .theirs = { "encoder.layer.#.output.LayerNorm.@" } },
    { .ours = "pooler/@", .theirs = { "pooler.dense.@" } },
    { .ours = "mlm/dense/@", .theirs = { "cls.predictions.transform.dense.@" } },
    { .ours = "mlm/norm/@", .theirs = { "cls.predictions.transform.LayerNorm.@" } },
    { .ours = "mlm/@", .theirs = { "cls.predictions.@" } },
    { .ours = "nsp/@", .theirs = { "cls.seq_relationship.@" } },
    { .ours = "classifier/@", .theirs = { "classifier.@" } },
    { .ours = "qa/@", .theirs = { "qa_outputs.@" } },
    { 0 },
};

/* The vision transformer of timm; its other nets have torchvision's names. */
#define LAYER "encoder/layers/encoder_layer_#/"
static const rule timm_rules[] = {
    { .ours = "class_token@", .theirs = { "cls_token@" } },
    { .ours = "conv_proj/@", .theirs = { "patch_embed.proj.@" } },
    { .ours = "encoder/pos_embedding@", .theirs = { "pos_embed@" } },
    { .ours = LAYER "ln_#/@", .theirs = { "blocks.#.norm#.@" } },
    { .ours = LAYER "self_attention/qkv/@", .theirs = { "blocks.#.attn.qkv.@" } },
    { .ours = LAYER "self_attention/out/@", .theirs = { "blocks.#.attn.proj.@" } },
    { .ours = LAYER "mlp/0/@", .theirs = { "blocks.#.mlp.fc1.@" } },
    { .ours = LAYER "mlp/3/@", .theirs = { "blocks.#.mlp.fc2.@" } },
    { .ours = "encoder/ln/@", .theirs = { "norm.@" } },
    { .ours = "heads/head/@", .theirs = { "head.@" } },
    { .ours = "*@", .theirs = { "*@" } },
    { 0 },
};

/* Of the files of Keras 3, and of Keras 2, which repeat the layer: "conv/conv/kernel:0". */
static const rule keras_rules[] = {
    { .ours = "*@", .theirs = { "*@" } },
    { .ours = "*@", .theirs = { "*@:0" } },
    { .ours = "*@", .theirs = { "**@:0" } },
    { 0 },
};

/* Kinds of tensors: Glia's and the file's. */
typedef struct kind {
    const char *ours, *theirs;
} kind;
static const kind torch_kinds[] = { { "kernel", "weight" }, { "scale", "weight" }, { "table", "weight" },
                                    { "bias", "bias" },     { "shift", "bias" },   { NULL, NULL } };
static const kind keras_kinds[] = { { "scale", "gamma" },
                                    { "shift", "beta" },
                                    { "table", "embeddings" },
                                    { "running_mean", "moving_mean" },
                                    { "running_var", "moving_variance" },
                                    { NULL, NULL } };

/* Prefixes that may precede the names besides the caller's: the name of the net within a larger one. */
static const struct family {
    const char *name;
    const rule *rules;
    const char *within;
    bool conv1d;
    bool keras; /* its kinds and layouts; values without names in the model's order */
} families[] = { { "torch", torch_rules, "", false, false },
                 { "nanogpt", gpt_rules, "transformer.", false, false },
                 { "gpt2", gpt_rules, "transformer.", true, false },
                 { "bert", bert_rules, "bert.", false, false },
                 { "timm", timm_rules, "", false, false },
                 { "keras", keras_rules, "", false, true } };

/* ---- names --------------------------------------------------------------------------------- */

enum { NUMBERS = 4 };

typedef struct match {
    const char *path; /* a prefix of Glia's name, path_length bytes */
    int path_length, n_numbers;
    const char *numbers[NUMBERS];
    int digits[NUMBERS];
    const char *kind; /* of tensor, as the file calls it */
    bool keras;       /* the family's kinds and its "/" */
} match;

/* The kind of tensor that the end of Glia's name gives. */
static bool match_kind(const char *name, match *m) {
    m->kind = name;
    for (const kind *k = m->keras ? keras_kinds : torch_kinds; k->ours; k++) {
        if (strcmp(name, k->ours) == 0) m->kind = k->theirs;
    }
    return !strchr(name, '/');
}

static bool match_rest(const char *pattern, const char *name, match *m) {
    m->n_numbers = 0;
    for (; *pattern && *pattern != '@'; pattern++) {
        if (*pattern != '#') {
            if (*name++ != *pattern) return false;
            continue;
        }
        int digits = 0;
        while (isdigit((unsigned char)name[digits])) digits++;
        if (digits == 0 || m->n_numbers == NUMBERS) return false;
        m->numbers[m->n_numbers] = name;
        m->digits[m->n_numbers++] = digits;
        name += digits;
    }
    return *pattern == '@' && match_kind(name, m);
}

static bool match_name(const char *pattern, const char *name, match *m) {
    m->path = name;
    m->path_length = 0;
    if (*pattern != '*') return match_rest(pattern, name, m);
    for (int at = 0;; at++) {
        if (at == 0 || name[at - 1] == '/') {
            m->path_length = at;
            if (match_rest(pattern + 1, name + at, m)) return true;
        }
        if (!name[at]) return false;
    }
}

/* Writes the file's name; false: it is too long. */
static bool spell(const char *pattern, const match *m, bool with_path, const char *before, const char *within,
                  char out[NAME]) {
    int length = snprintf(out, NAME, "%s%s", before, within), number = 0;
    for (; *pattern && length >= 0 && length < NAME; pattern++) {
        char *at = out + length;
        const size_t room = (size_t)(NAME - length);
        if (*pattern == '*') {
            if (!with_path) continue;
            length += snprintf(at, room, "%.*s", m->path_length, m->path);
            for (; *at && !m->keras; at++) *at = *at == '/' ? '.' : *at;
        } else if (*pattern == '#') {
            length += snprintf(at, room, "%.*s", m->digits[number], m->numbers[number]);
            number++;
        } else if (*pattern == '@') {
            length += snprintf(at, room, "%s", m->kind);
        } else {
            length += snprintf(at, room, "%c", *pattern);
        }
    }
    return length >= 0 && length < NAME;
}

/* ---- values -------------------------------------------------------------------------------- */

typedef struct work {
    const struct family *family;
    const glia_safetensors *file;
    const glia_model *model;
    const char *prefix;
    bool own;       /* the file may have Glia's own names */
    bool *used;     /* of the file's tensors */
    glia_weights_opts opts;
    glia_weights_report *report;
    glia_text list;
    glia_error *error;
} work;

static bool ends(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

/* What a value of the model is made of. */
typedef struct source {
    const rule *rule; /* NULL: the tensor of the same name */
    const glia_safetensor *parts[SOURCES];
    int n; /* 0: none */
} source;

/* Finds the parts for a rule and Glia's name; 0 if the file lacks one of them. */
static int find_parts(const work *k, const rule *r, const match *m, const glia_safetensor *parts[SOURCES]) {
    const char *within[] = { "", k->family->within };
    for (int attempt = 0; attempt < 4; attempt++) {
        int n = 0;
        for (; n < SOURCES && r->theirs[n]; n++) {
            char name[NAME];
            if (!spell(r->theirs[n], m, attempt < 2, k->prefix, within[attempt % 2], name)) return 0;
            parts[n] = glia_safetensors_find(k->file, name);
            if (!parts[n]) break;
        }
        if (n == SOURCES || (n > 0 && !r->theirs[n])) return n;
    }
    return 0;
}

/* Values that a model cannot do without: its parameters and running statistics. States of random operations and the
 * like begin anew. */
static bool is_needed(const glia_array *a) {
    return a->parameter || ends(a->name, "running_mean") || ends(a->name, "running_var");
}

/* The place of a value's layer: that of the first value with the same path. */
static int layer_place(const glia_store *store, const char *name) {
    const char *slash = strrchr(name, '/');
    const size_t n = slash ? (size_t)(slash - name) + 1 : strlen(name) + 1;
    int at = 0;
    while (strncmp(glia_store_entry(store, at).name, name, n) != 0) at++;
    return at;
}

/* The array that numpy.savez(file, *model.get_weights()) has for this value: "arr_0", "arr_1", ... layer by layer. */
static const glia_safetensor *find_by_order(const work *k, const char *name) {
    const glia_store *store = k->model->store;
    const int layer = layer_place(store, name);
    int before = 0;
    bool passed = false;
    for (int i = 0; i < glia_store_count(store); i++) {
        const glia_array a = glia_store_entry(store, i);
        if (strcmp(a.name, name) == 0 && !is_needed(&a)) return NULL;
        passed |= strcmp(a.name, name) == 0;
        const int other = is_needed(&a) ? layer_place(store, a.name) : INT32_MAX;
        before += other < layer || (other == layer && !passed);
    }
    char number[32];
    snprintf(number, sizeof number, "%sarr_%d", k->prefix, before);
    return glia_safetensors_find(k->file, number);
}

static source find_source(const work *k, const char *name) {
    source s = { 0 };
    match m = { .keras = k->family->keras };
    char own[NAME];
    const int length = snprintf(own, sizeof own, "%s%s", k->prefix, name);
    if (k->own && length < NAME && (s.parts[0] = glia_safetensors_find(k->file, own))) s.n = 1;
    for (const rule *r = k->family->rules; r->ours && s.n == 0; r++) {
        if (!match_name(r->ours, name, &m)) continue;
        s.rule = r;
        s.n = find_parts(k, r, &m, s.parts);
    }
    if (s.n == 0 && k->family->keras && (s.parts[0] = find_by_order(k, name))) s.n = 1;
    for (int i = 0; i < s.n; i++) k->used[s.parts[i] - k->file->tensors] = true;
    return s;
}

/* Copies rows [first, first + rows) of one tensor, each of `columns` values, and converts them. */
static void copy_rows(const glia_safetensor *from, int64_t first, int64_t rows, int64_t columns, bool transposed,
                      glia_dtype dtype, char *to) {
    const size_t size = glia_dtype_size(from->dtype), own = glia_dtype_size(dtype);
    const int64_t stride = transposed ? from->shape.dim[1] : columns;
    if (!transposed && dtype == from->dtype) {
        memcpy(to, (const char *)from->data + (size_t)(first * columns) * size, (size_t)(rows * columns) * size);
        return;
    }
    for (int64_t i = 0; i < rows * columns; i++) {
        const int64_t row = first + i / columns, column = i % columns;
        unsigned char bytes[8];
        memcpy(bytes,
               (const char *)from->data + (size_t)(transposed ? column * stride + row : row * columns + column) * size,
               size);
        double value;
        glia_to_double(from->dtype, bytes, &value, 1);
        glia_from_double(dtype, &value, to + (size_t)i * own, 1);
    }
}

/* Whether one number of each may become the other: of the same kind, or both real. */
static bool converts(glia_dtype from, glia_dtype to) {
    return from == to || (glia_dtype_is_float(from) && glia_dtype_is_float(to));
}

/* Fills `to` from its parts; false: they do not fit. With `only_check` nothing is written. */
static bool take(const work *k, const source *s, const glia_array *to, bool only_check) {
    if (k->family->keras && s->n == 1)
        return glia_keras_take(s->parts[0], to, glia_keras_picture(k->model->graph, to->name), only_check);
    const int64_t rows = to->shape.rank ? to->shape.dim[0] : 1;
    int64_t columns = 1, filled = 0;
    for (int i = 1; i < to->shape.rank; i++) columns *= to->shape.dim[i];
    for (int i = 0; i < s->n; i++) {
        const glia_safetensor *t = s->parts[i];
        const bool flips = s->rule && s->rule->conv1d && k->family->conv1d && t->shape.rank == 2;
        if (t->shape.rank != to->shape.rank || !converts(t->dtype, to->dtype)) return false;
        const int64_t theirs = t->shape.rank ? t->shape.dim[flips ? 1 : 0] : 1;
        bool equal = !flips || t->shape.dim[0] == columns;
        for (int d = 1; d < t->shape.rank && !flips; d++) equal &= t->shape.dim[d] == to->shape.dim[d];
        const int thirds = s->rule ? s->rule->to : 0;
        const int64_t first = thirds ? theirs / 3 * s->rule->from : 0, last = thirds ? theirs / 3 * thirds : theirs;
        if (!equal || filled + last - first > rows || (thirds && theirs % 3)) return false;
        if (!only_check)
            copy_rows(t, first, last - first, columns, flips, to->dtype,
                      (char *)to->data + (size_t)(filled * columns) * glia_dtype_size(to->dtype));
        filled += last - first;
    }
    return filled == rows;
}

/* ---- what does not fit ---------------------------------------------------------------------- */

/* Whether a value belongs to the layer of the model's last parameter. */
static bool is_of_head(const glia_store *store, const char *name) {
    const char *last = "";
    for (int i = 0; i < glia_store_count(store); i++) {
        const glia_array a = glia_store_entry(store, i);
        if (a.parameter) last = a.name;
    }
    const char *slash = strrchr(last, '/');
    return slash && !strncmp(name, last, (size_t)(slash - last) + 1);
}

static void note_shape(work *k, const source *s, const glia_array *to) {
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    const glia_safetensor *t = s->parts[0];
    glia_text_printf(&k->list, "offset %zu: tensor '%s' %s%s does not match '%s' %s%s\n", t->offset, t->name,
                     glia_dtype_name(t->dtype), glia_shape_format(t->shape, a), to->name, glia_dtype_name(to->dtype),
                     glia_shape_format(to->shape, b));
}

/* Compares the model with the file; lists everything that is on one side only or has another shape. */
static void compare(work *k, const glia_store *store) {
    glia_weights_report *r = k->report;
    for (int i = 0; i < glia_store_count(store); i++) {
        const glia_array to = glia_store_entry(store, i);
        if (k->opts.pattern && !glia_glob(k->opts.pattern, to.name)) continue;
        const source s = find_source(k, to.name);
        if (k->opts.fresh_head && is_of_head(store, to.name)) {
            r->reset++;
        } else if (s.n == 0 && is_needed(&to)) {
            r->missing++;
            glia_text_printf(&k->list, "missing in the file: '%s'\n", to.name);
        } else if (s.n > 0 && take(k, &s, &to, true)) {
            r->loaded++;
        } else if (s.n > 0 && k->opts.new_head && is_of_head(store, to.name)) {
            r->reset++;
        } else if (s.n > 0) {
            r->misshapen++;
            note_shape(k, &s, &to);
        }
    }
    for (int i = 0; i < k->file->n && !k->opts.pattern; i++) {
        if (k->used[i] || ends(k->file->tensors[i].name, "num_batches_tracked")) continue;
        r->unexpected++;
        glia_text_printf(&k->list, "unexpected in the file: '%s'\n", k->file->tensors[i].name);
    }
}

static glia_status judge(const work *k) {
    const glia_weights_report *r = k->report;
    if (k->list.failed) return glia_fail_nomem(k->error);
    const bool lacks = r->missing > 0 && !k->opts.partial, more = r->unexpected > 0 && k->opts.strict;
    if (r->misshapen == 0 && !lacks && !more && r->loaded > 0) return GLIA_OK;
    const glia_status status = r->misshapen ? GLIA_E_SHAPE : GLIA_E_NOT_FOUND;
    glia_text words = { 0 };
    if (r->loaded == 0 && r->misshapen == 0) glia_text_printf(&words, "the file has no tensor of the model: ");
    glia_text_printf(&words, "%d missing, %d unexpected, %d of another shape: %s", r->missing, r->unexpected,
                     r->misshapen, k->list.bytes ? k->list.bytes : "");
    for (size_t i = 0; i < words.length; i++) {
        if (words.bytes[i] == '\n') words.bytes[i] = i + 1 < words.length ? ';' : 0;
    }
    glia_fail(k->error, status, "%s", words.failed ? "the tensors of the file and of the model differ" : words.bytes);
    free(words.bytes);
    return status;
}

static glia_status load(glia_store *store, work *k) {
    k->used = calloc((size_t)k->file->n + 1, sizeof *k->used);
    if (!k->used) return glia_fail_nomem(k->error);
    compare(k, store);
    glia_status status = judge(k);
    for (int i = 0; status == GLIA_OK && i < glia_store_count(store); i++) {
        const glia_array to = glia_store_entry(store, i);
        if (k->opts.pattern && !glia_glob(k->opts.pattern, to.name)) continue;
        if (k->opts.fresh_head && is_of_head(store, to.name)) continue;
        const source s = find_source(k, to.name);
        if (s.n > 0 && take(k, &s, &to, true)) take(k, &s, &to, false);
    }
    glia_store_touch(store);
    free(k->used);
    return status;
}

/* ---- from a file ---------------------------------------------------------------------------- */

static glia_status load_file(glia_model *model, const char *path, work *k, glia_error *error) {
    glia_weights_report local, *report = k->report ? k->report : &local;
    *report = (glia_weights_report){ 0 };
    k->report = report;
    if (!path || !path[0]) return glia_fail(error, GLIA_E_ARGUMENT, "loading weights: there is no path");
    glia_status status = glia_model_ready(model, 0, error);
    if (status == GLIA_OK && k->opts.pattern)
        status = glia_store_check_pattern(model->store, k->opts.pattern, "loading weights", error);
    glia_tensor_file file;
    if (status == GLIA_OK) status = glia_tensors_open(path, &file, error);
    if (status != GLIA_OK) return status;
    const bool npz = glia_npz_is(file.bytes.bytes, file.bytes.length);
    for (int i = 0; npz && k->own && i < GLIA_COUNT(families); i++)
        if (families[i].keras) k->family = &families[i];
    glia_error reason = { 0 };
    k->error = &reason;
    k->file = &file.tensors;
    status = load(model->store, k);
    glia_tensors_close(&file);
    if (report == &local || !k->list.length) {
        free(k->list.bytes);
    } else {
        report->list = k->list.bytes;
    }
    if (status == GLIA_OK) return GLIA_OK;
    report->loaded = 0;
    return glia_fail(error, status, "%s: %s", path, reason.message);
}

glia_status glia_model_import_weights(glia_model *model, const char *path, glia_weights_opts opts,
                                      glia_weights_report *report, glia_error *error) {
    if (!model) return glia_fail_null(error, "glia_model_import_weights: model");
    work k = { .model = model, .opts = opts, .report = report, .own = !opts.family };
    k.prefix = opts.prefix ? opts.prefix : "";
    const char *family = opts.family ? opts.family : "torch", *names[GLIA_COUNT(families)];
    for (int i = 0; i < GLIA_COUNT(families); i++) {
        names[i] = families[i].name;
        if (strcmp(family, families[i].name) == 0) k.family = &families[i];
    }
    if (k.family) return load_file(model, path, &k, error);
    if (report) *report = (glia_weights_report){ 0 };
    const char *near = glia_nearest(family, names, GLIA_COUNT(families));
    return glia_fail(error, GLIA_E_ARGUMENT,
                     "loading weights: '%s' is not torch, timm, keras, nanogpt, gpt2 or bert%s%s%s", family,
                     near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

glia_status glia_model_load_foreign(glia_model *model, const char *path, const char *family, const char *prefix,
                                    glia_error *error) {
    const glia_weights_opts opts = { .family = family ? family : "", .prefix = prefix };
    return glia_model_import_weights(model, path, opts, NULL, error);
}

glia_status glia_model_load_weights(glia_model *model, const char *path, int *loaded, glia_error *error) {
    glia_weights_report report = { 0 };
    const glia_weights_opts opts = { .partial = true };
    const glia_status status = glia_model_import_weights(model, path, opts, &report, error);
    free(report.list);
    if (loaded) *loaded = report.loaded;
    return status;
}
