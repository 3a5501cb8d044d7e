/* tokenizer.c - builds a tokenizer from tokenizer.json, the format of Hugging Face.
 *
 * The settings of truncation and padding are ignored; both are left to the code that makes batches.
 */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

static glia_status status_of(const glia_step_reader *r) { return r->error->status; }

/* The member; NULL if absent or null. */
static const glia_json *part_of(const glia_json *root, const char *key) {
    const glia_json *v = glia_json_member(root, key);
    return v && v->kind != GLIA_JSON_NULL ? v : NULL;
}

/* ---- added tokens ------------------------------------------------------------------------- */

static glia_status read_added(glia_tokenizer *t, const glia_json *item, glia_added *a, glia_step_reader *r) {
    int64_t id = -1;
    const char *content = NULL;
    glia_status status = glia_read_text(r, item, "content", &content);
    if (!status) status = glia_read_int(r, item, "id", &id);
    if (!status && (!content || id < 0 || id > 1 << 25 || id > 4096 + 16 * (int64_t)t->model.vocabulary.n))
        status = glia_fail_json(r->error, GLIA_E_FORMAT, item, "an added token needs \"content\" and an \"id\"");
    if (status) return status;
    a->id = (int32_t)id;
    a->content = content;
    a->length = strlen(content);
    if (!status) status = glia_read_flag(r, item, "special", &a->special);
    a->normalized = !a->special;
    if (!status) status = glia_read_flag(r, item, "single_word", &a->single_word);
    if (!status) status = glia_read_flag(r, item, "lstrip", &a->lstrip);
    if (!status) status = glia_read_flag(r, item, "rstrip", &a->rstrip);
    if (!status) status = glia_read_flag(r, item, "normalized", &a->normalized);
    return status;
}

/* Sets the pattern of a token: its content, normalised if it is searched in normalised text. */
static glia_status find_pattern(glia_tokenizer *t, glia_added *a, glia_step_reader *r) {
    glia_workspace w = { 0 };
    glia_glyphs_decode(&w.text, a->content, a->length);
    if (a->normalized && t->normalizer && w.text.n) t->normalizer->kind->run.normalize(t->normalizer, &w);
    const bool failed = w.text.failed || w.spare.failed;
    a->pattern = w.text;
    w.text = (glia_glyphs){ 0 };
    glia_workspace_free(&w);
    if (failed) return glia_fail_nomem(r->error);
    if (a->pattern.n) t->added_first[a->normalized][GLIA_MIN(a->pattern.at[0].c, 128u)] = 1;
    return GLIA_OK;
}

static glia_status read_all_added(glia_tokenizer *t, const glia_json *list, glia_step_reader *r) {
    if (list && list->kind != GLIA_JSON_ARRAY)
        return glia_fail_json(r->error, GLIA_E_FORMAT, list, "\"added_tokens\" must be an array");
    const int n = list ? list->count : 0;
    t->added = calloc((size_t)n + 1, sizeof *t->added);
    if (!t->added) return glia_fail_nomem(r->error);
    for (const glia_json *item = list ? list->first : NULL; item; item = item->next) {
        glia_added *a = &t->added[t->n_added++];
        glia_status status = read_added(t, item, a, r);
        if (!status) status = find_pattern(t, a, r);
        if (status) return status;
    }
    return GLIA_OK;
}

/* Combines the tokens of the model and the added ones. */
static glia_status join_vocabularies(glia_tokenizer *t, glia_step_reader *r) {
    const glia_vocabulary *v = &t->model.vocabulary;
    for (int32_t id = 0; id < v->n; id++)
        if (v->tokens[id] && !glia_vocabulary_set(&t->all, v->tokens[id], v->lengths[id], id))
            return glia_fail_nomem(r->error);
    for (int i = 0; i < t->n_added; i++)
        if (!glia_vocabulary_set(&t->all, t->added[i].content, t->added[i].length, t->added[i].id))
            return glia_fail_nomem(r->error);
    t->special = calloc((size_t)t->all.n + 1, sizeof *t->special);
    if (!t->special) return glia_fail_nomem(r->error);
    for (int i = 0; i < t->n_added; i++)
        if (t->added[i].special) t->special[t->added[i].id] = true;
    return GLIA_OK;
}

/* ---- post-processors ---------------------------------------------------------------------- */

enum { SLOTS_MOST = 1024 };

static glia_status add_slot(glia_tokenizer *t, glia_template *list, glia_slot slot, glia_step_reader *r) {
    const int capacity = list->n & (list->n + 1) ? 0 : 2 * list->n + 1; /* grows at n = 0, 1, 3, 7, ... */
    if (list->n == SLOTS_MOST) return glia_fail(r->error, GLIA_E_UNSUPPORTED, "offset 0: a template has 1024 items");
    if (capacity) {
        glia_slot *grown = glia_arena_alloc(&t->arena, (size_t)capacity * sizeof *grown);
        if (!grown) return glia_fail_nomem(r->error);
        if (list->n) memcpy(grown, list->slots, (size_t)list->n * sizeof *grown);
        list->slots = grown;
    }
    list->slots[list->n++] = slot;
    return GLIA_OK;
}

/* Adds the ids of a special token of a template: {"NAME": {"ids": [...]}} */
static glia_status add_specials(glia_tokenizer *t, glia_template *list, const glia_json *specials,
                                const glia_json *name, uint8_t type, glia_step_reader *r) {
    const glia_json *ids = glia_json_member(glia_json_member(specials, name->text), "ids");
    if (!ids || ids->kind != GLIA_JSON_ARRAY)
        return glia_fail_json(r->error, GLIA_E_FORMAT, name, "the special token is not in \"special_tokens\"");
    for (const glia_json *v = ids->first; v; v = v->next) {
        int64_t id;
        if (!glia_json_int(v, &id) || id < 0 || id > INT32_MAX)
            return glia_fail_json(r->error, GLIA_E_FORMAT, v, "expected an id");
        const glia_status status = add_slot(t, list, (glia_slot){ .id = (int32_t)id, .type = type }, r);
        if (status) return status;
    }
    return GLIA_OK;
}

static glia_status read_template(glia_tokenizer *t, const glia_json *json, const char *key, glia_template *list,
                                 glia_step_reader *r) {
    const glia_json *items = glia_json_member(json, key);
    if (!items || items->kind != GLIA_JSON_ARRAY)
        return glia_fail_json(r->error, GLIA_E_FORMAT, items ? items : json, "a template must be an array");
    list->n = 0;
    for (const glia_json *item = items->first; item; item = item->next) {
        const glia_json *special = glia_json_member(item, "SpecialToken"),
                        *sequence = glia_json_member(item, "Sequence");
        const glia_json *id = glia_json_member(special ? special : sequence, "id");
        int64_t type = 0;
        glia_status status = glia_read_int(r, special ? special : sequence, "type_id", &type);
        if (status) return status;
        if (!id || id->kind != GLIA_JSON_STRING || type < 0 || type > 255)
            return glia_fail_json(r->error, GLIA_E_FORMAT, item, "an item of a template needs an \"id\"");
        if (special)
            status = add_specials(t, list, glia_json_member(json, "special_tokens"), id, (uint8_t)type, r);
        else
            status =
                add_slot(t, list, (glia_slot){ .source = strcmp(id->text, "B") ? 1 : 2, .type = (uint8_t)type }, r);
        if (status) return status;
    }
    return GLIA_OK;
}

/* ["[SEP]", 102] */
static glia_status read_named(const glia_json *json, const char *key, int32_t *id, glia_step_reader *r) {
    const glia_json *pair = glia_json_member(json, key);
    int64_t value;
    if (!pair || pair->kind != GLIA_JSON_ARRAY || pair->count != 2 || !glia_json_int(pair->first->next, &value) ||
        value < 0 || value > INT32_MAX)
        return glia_fail_json(r->error, GLIA_E_FORMAT, pair ? pair : json, "expected a token and its id");
    *id = (int32_t)value;
    return GLIA_OK;
}

/* [CLS] A [SEP] B [SEP], or RoBERTa's <s> A </s> </s> B </s>. */
static glia_status read_bert(glia_tokenizer *t, const glia_json *json, bool roberta, glia_step_reader *r) {
    int32_t sep = 0, cls = 0;
    glia_status status = read_named(json, "sep", &sep, r);
    if (!status) status = read_named(json, "cls", &cls, r);
    const uint8_t second = !roberta;
    const glia_slot a[] = { { .id = cls }, { .source = 1 }, { .id = sep } };
    const glia_slot b[] = { { .id = sep }, { .source = 2, .type = second }, { .id = sep, .type = second } };
    t->single.n = t->pair.n = 0;
    for (int i = 0; i < 3 && !status; i++) {
        status = add_slot(t, &t->single, a[i], r);
        if (!status) status = add_slot(t, &t->pair, a[i], r);
    }
    for (int i = !roberta; i < 3 && !status; i++) status = add_slot(t, &t->pair, b[i], r);
    if (!roberta || status) return status;
    t->trim = t->trim_prefix = true;
    status = glia_read_flag(r, json, "trim_offsets", &t->trim);
    return status ? status : glia_read_flag(r, json, "add_prefix_space", &t->trim_prefix);
}

static glia_status read_processor(glia_tokenizer *t, const glia_json *json, int depth, glia_step_reader *r) {
    const char *type = "";
    glia_status status = glia_read_text(r, json, "type", &type);
    if (status) return status;
    if (!strcmp(type, "TemplateProcessing")) {
        status = read_template(t, json, "single", &t->single, r);
        return status ? status : read_template(t, json, "pair", &t->pair, r);
    }
    if (!strcmp(type, "BertProcessing") || !strcmp(type, "RobertaProcessing"))
        return read_bert(t, json, type[0] == 'R', r);
    if (!strcmp(type, "ByteLevel")) {
        t->trim = t->trim_prefix = true;
        status = glia_read_flag(r, json, "trim_offsets", &t->trim);
        return status ? status : glia_read_flag(r, json, "add_prefix_space", &t->trim_prefix);
    }
    const glia_json *list = glia_json_member(json, "processors");
    if (strcmp(type, "Sequence") || !list || list->kind != GLIA_JSON_ARRAY || depth > 4)
        return glia_fail(r->error, GLIA_E_UNSUPPORTED, "offset %zu: the post-processor \"%.60s\" is not supported",
                         json->offset, type);
    for (const glia_json *item = list->first; item && !status; item = item->next)
        status = read_processor(t, item, depth + 1, r);
    return status;
}

/* ---- the tokenizer ------------------------------------------------------------------------ */

/* Whether utf8proc is required. Not if characters are only looked up: no normaliser, and Split or WhitespaceSplit. */
static bool needs_unicode(const glia_tokenizer *t) {
    if (t->normalizer) return true;
    return !t->cutter || (strcmp(t->cutter->kind->name, "Split") && strcmp(t->cutter->kind->name, "WhitespaceSplit"));
}

static glia_status read_steps(glia_tokenizer *t, const glia_json *root, glia_step_reader *r) {
    const glia_json *normalizer = part_of(root, "normalizer"), *cutter = part_of(root, "pre_tokenizer"),
                    *decoder = part_of(root, "decoder");
    if (normalizer && !(t->normalizer = glia_step_read(r, glia_normalizers, "normalizer", normalizer)))
        return status_of(r);
    if (cutter && !(t->cutter = glia_step_read(r, glia_cutters, "pre-tokenizer", cutter))) return status_of(r);
    if (decoder && !(t->decoder = glia_step_read(r, glia_decoders, "decoder", decoder))) return status_of(r);
    return needs_unicode(t) ? glia_unicode_ready(r->error) : GLIA_OK;
}

static glia_status read_all(glia_tokenizer *t, const glia_json *root, glia_step_reader *r) {
    const glia_json *model = part_of(root, "model"), *added = part_of(root, "added_tokens"),
                    *processor = part_of(root, "post_processor");
    if (!model || model->kind != GLIA_JSON_OBJECT)
        return glia_fail_json(r->error, GLIA_E_FORMAT, root, "there is no \"model\"; this is not a tokenizer.json");
    glia_status status = read_steps(t, root, r);
    if (!status) status = glia_token_model_read(&t->model, model, r);
    if (!status) status = read_all_added(t, added, r);
    if (!status) status = join_vocabularies(t, r);
    if (!status && processor) status = read_processor(t, processor, 0, r);
    return status;
}

glia_tokenizer *glia_tokenizer_parse(const char *bytes, size_t length, glia_error *error) {
    if (length > 0 && !bytes) return glia_fail_null(error, "bytes"), NULL;
    glia_error own = { 0 };
    glia_tokenizer *t = calloc(1, sizeof *t);
    char *copy = t ? malloc(length + 1) : NULL;
    if (!copy) {
        free(t);
        glia_fail_nomem(error);
        return NULL;
    }
    if (length > 0) memcpy(copy, bytes, length);
    copy[length] = 0;
    t->json = copy;
    t->json_length = length;
    glia_step_reader r = { .arena = &t->arena, .error = &own };
    const glia_json *root = glia_json_parse(&t->arena, (const uint8_t *)bytes, length, 0, &own);
    if (root && !read_all(t, root, &r)) return t;
    if (error) *error = own;
    glia_tokenizer_free(t);
    return NULL;
}

void glia_tokenizer_free(glia_tokenizer *t) {
    if (!t) return;
    glia_step_free(t->normalizer);
    glia_step_free(t->cutter);
    glia_step_free(t->decoder);
    glia_token_model_free(&t->model);
    for (int i = 0; i < t->n_added; i++) free(t->added[i].pattern.at);
    free(t->added);
    glia_vocabulary_free(&t->all);
    free(t->special);
    free(t->json);
    glia_arena_free(&t->arena);
    free(t);
}

glia_status glia_tokenizer_save(const glia_tokenizer *t, const char *path, glia_error *error) {
    if (!t) return glia_fail_null(error, "tokenizer");
    if (!path) return glia_fail_null(error, "path");
    const glia_span whole = { t->json, t->json_length };
    return glia_file_replace(path, &whole, 1, error);
}

const char *glia_tokenizer_json(const glia_tokenizer *t, size_t *length) {
    if (!t) return NULL;
    if (length) *length = t->json_length;
    return t->json;
}

int64_t glia_tokenizer_size(const glia_tokenizer *t) { return t ? t->all.n : 0; }

int64_t glia_tokenizer_id(const glia_tokenizer *t, const char *token) {
    if (!t || !token) return -1;
    return glia_vocabulary_find(&t->all, token, strlen(token));
}

const char *glia_tokenizer_token(const glia_tokenizer *t, int64_t id, bool *special) {
    if (!t) return NULL;
    if (id < 0 || id >= t->all.n) return NULL;
    if (special) *special = t->special[id];
    return t->all.tokens[id];
}
