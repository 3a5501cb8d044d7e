/* foreign.c - parameters from files of other frameworks: a map of names and of layout differences.
 *
 * A row of the table has two patterns, Glia's and the file's:
 *
 *     *   the path in front: empty, or names of layers, each followed by "/" (Glia) or "." (file)
 *     #   a layer's number
 *     @   the kind of tensor: kernel, scale or table is "weight" in the file, bias or shift is "bias"
 *
 * A row with several sources concatenates their rows; `from` and `to` select thirds of one source's rows.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"
#include "glia/transformers.h"
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

/* Prefixes that may precede the names besides the caller's: the name of the net within a larger one. */
static const struct family {
    const char *name;
    const rule *rules;
    const char *within;
    bool conv1d;
} families[] = { { "torch", torch_rules, "", false },
                 { "nanogpt", gpt_rules, "transformer.", false },
                 { "gpt2", gpt_rules, "transformer.", true },
                 { "bert", bert_rules, "bert.", false } };

/* ---- names --------------------------------------------------------------------------------- */

enum { NUMBERS = 4 };

typedef struct match {
    const char *path; /* a prefix of Glia's name, path_length bytes */
    int path_length, n_numbers;
    const char *numbers[NUMBERS];
    int digits[NUMBERS];
    bool weight;
} match;

/* Whether the end of Glia's name gives the kind of tensor. */
static bool match_kind(const char *name, match *m) {
    static const char *const weights[] = { "kernel", "scale", "table" }, *const biases[] = { "bias", "shift" };
    for (int i = 0; i < GLIA_COUNT(weights); i++) {
        if (strcmp(name, weights[i]) == 0) return m->weight = true;
    }
    m->weight = false;
    for (int i = 0; i < GLIA_COUNT(biases); i++) {
        if (strcmp(name, biases[i]) == 0) return true;
    }
    return false;
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
            for (; *at; at++) *at = *at == '/' ? '.' : *at;
        } else if (*pattern == '#') {
            length += snprintf(at, room, "%.*s", m->digits[number], m->numbers[number]);
            number++;
        } else if (*pattern == '@') {
            length += snprintf(at, room, "%s", m->weight ? "weight" : "bias");
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
    const char *prefix;
} work;

/* Finds the sources of a rule for Glia's name; 0 if the file lacks one of them. */
static int find_sources(const work *k, const rule *r, const match *m, const glia_safetensor *sources[SOURCES]) {
    const char *within[] = { "", k->family->within };
    for (int attempt = 0; attempt < 4; attempt++) {
        int n = 0;
        for (; n < SOURCES && r->theirs[n]; n++) {
            char name[NAME];
            if (!spell(r->theirs[n], m, attempt < 2, k->prefix, within[attempt % 2], name)) return 0;
            sources[n] = glia_safetensors_find(k->file, name);
            if (!sources[n]) break;
        }
        if (n == SOURCES || (n > 0 && !r->theirs[n])) return n;
    }
    return 0;
}

/* Copies rows [first, first + rows) of one source, each of `columns` values, to f32 or f64. */
static void copy_rows(const glia_safetensor *from, int64_t first, int64_t rows, int64_t columns, bool transposed,
                      glia_dtype dtype, char *to) {
    const size_t size = glia_dtype_size(from->dtype), own = glia_dtype_size(dtype);
    const int64_t stride = from->shape.dim[from->shape.rank - 1];
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

/* Fills `to` from its sources. */
static glia_status take(const glia_safetensor *const *sources, int n, const rule *r, bool transposed, glia_array *to,
                        glia_error *error) {
    const int64_t columns = to->shape.rank == 2 ? to->shape.dim[1] : 1, rows = to->shape.dim[0];
    int64_t filled = 0;
    for (int i = 0; i < n; i++) {
        const glia_safetensor *s = sources[i];
        const bool flips = transposed && s->shape.rank == 2;
        const int64_t theirs = s->shape.rank ? s->shape.dim[flips ? 1 : 0] : 0;
        const int64_t wide = s->shape.rank == 2 ? s->shape.dim[flips ? 0 : 1] : 1;
        const int64_t first = r->to ? theirs / 3 * r->from : 0, last = r->to ? theirs / 3 * r->to : theirs;
        if (s->shape.rank != to->shape.rank || to->shape.rank < 1 || to->shape.rank > 2 || wide != columns ||
            filled + last - first > rows || (r->to && theirs % 3)) {
            filled = -1;
            break;
        }
        copy_rows(s, first, last - first, columns, flips, to->dtype,
                  (char *)to->data + (size_t)(filled * columns) * glia_dtype_size(to->dtype));
        filled += last - first;
    }
    if (filled == rows) return GLIA_OK;
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    return glia_fail(error, GLIA_E_SHAPE, "offset %zu: tensor '%s' %s does not match '%s' %s", sources[0]->offset,
                     sources[0]->name, glia_shape_format(sources[0]->shape, a), to->name,
                     glia_shape_format(to->shape, b));
}

static glia_status load_one(const work *k, glia_array *to, glia_error *error) {
    const glia_safetensor *sources[SOURCES];
    match m;
    for (const rule *r = k->family->rules; r->ours; r++) {
        if (!match_name(r->ours, to->name, &m)) continue;
        const int n = find_sources(k, r, &m, sources);
        if (n > 0) return take(sources, n, r, k->family->conv1d && r->conv1d, to, error);
    }
    return glia_fail(error, GLIA_E_NOT_FOUND, "has no tensor for the parameter '%s' with the names of %s", to->name,
                     k->family->name);
}

static glia_status load(const glia_store *store, const work *k, glia_error *error) {
    glia_status status = GLIA_OK;
    for (int i = 0; status == GLIA_OK && i < glia_store_count(store); i++) {
        glia_array to = glia_store_entry(store, i);
        if (to.parameter) status = load_one(k, &to, error);
    }
    glia_store_touch(store);
    return status;
}

glia_status glia_model_load_foreign(glia_model *model, const char *path, const char *family, const char *prefix,
                                    glia_error *error) {
    work k = { .prefix = prefix ? prefix : "" };
    for (int i = 0; family && i < GLIA_COUNT(families); i++) {
        if (strcmp(family, families[i].name) == 0) k.family = &families[i];
    }
    if (!k.family) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_model_load_foreign: '%s' is not torch, nanogpt, gpt2 or bert",
                         family ? family : "");
    }
    glia_status status = glia_model_ready(model, 0, error);
    glia_file bytes;
    if (status == GLIA_OK) status = glia_file_open(&bytes, path, error);
    if (status != GLIA_OK) return status;
    glia_safetensors file;
    glia_error reason = { 0 };
    status = glia_safetensors_parse(bytes.bytes, bytes.length, &file, &reason);
    if (status == GLIA_OK) {
        k.file = &file;
        status = load(model->store, &k, &reason);
        glia_safetensors_free(&file);
    }
    glia_file_close(&bytes);
    return status == GLIA_OK ? GLIA_OK : glia_fail(error, status, "%s: %s", path, reason.message);
}
