/* token_models.c - reads the models that cut a piece of text into tokens from JSON; implements whole words and
 * WordPiece.
 *
 * A model reads the bytes of the piece from w->bytes and the offsets of its characters from w->starts. It adds tokens
 * with glia_token_add(), with begin and end in characters.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

void glia_token_add(glia_workspace *w, int32_t id, int64_t begin, int64_t end) {
    if (!glia_grow((void **)&w->tokens, w->n_tokens, &w->tokens_capacity, sizeof *w->tokens)) {
        w->failed = true;
        return;
    }
    w->tokens[w->n_tokens++] = (glia_token){ id, (uint32_t)begin, (uint32_t)end };
}

/* ---- reading ------------------------------------------------------------------------------ */

static glia_status set_token(glia_token_model *m, const char *token, int64_t id, size_t offset, glia_step_reader *r) {
    if (id < 0 || id > 1 << 25) return glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: the id is out of range", offset);
    if (id < m->vocabulary.n && m->vocabulary.tokens[id])
        return glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: two tokens have the id %lld", offset, (long long)id);
    if (!glia_vocabulary_set(&m->vocabulary, token, strlen(token), (int32_t)id)) return glia_fail_nomem(r->error);
    return GLIA_OK;
}

/* {"token": id, ...} */
static glia_status read_vocabulary(glia_token_model *m, const glia_json *json, glia_step_reader *r) {
    const glia_json *vocab = glia_json_member(json, "vocab");
    if (!vocab || vocab->kind != GLIA_JSON_OBJECT)
        return glia_fail_json(r->error, GLIA_E_FORMAT, vocab ? vocab : json, "\"vocab\" must be an object");
    for (const glia_json *item = vocab->first; item; item = item->next) {
        int64_t id;
        if (!glia_json_int(item, &id)) return glia_fail_json(r->error, GLIA_E_FORMAT, item, "expected an id");
        if (id > 64 + 16 * (int64_t)vocab->count)
            return glia_fail_json(r->error, GLIA_E_FORMAT, item, "the id is far larger than the number of tokens");
        glia_status status = set_token(m, item->key, id, item->offset, r);
        if (status) return status;
    }
    return GLIA_OK;
}

/* [["token", score], ...] */
static glia_status read_scores(glia_token_model *m, const glia_json *json, glia_step_reader *r) {
    const glia_json *vocab = glia_json_member(json, "vocab");
    if (!vocab || vocab->kind != GLIA_JSON_ARRAY || !vocab->count)
        return glia_fail_json(r->error, GLIA_E_FORMAT, vocab ? vocab : json, "\"vocab\" must be an array of pairs");
    m->scores = calloc((size_t)vocab->count, sizeof *m->scores);
    if (!m->scores) return glia_fail_nomem(r->error);
    int64_t id = 0;
    m->least = INFINITY;
    for (const glia_json *item = vocab->first; item; item = item->next, id++) {
        const glia_json *token = item->kind == GLIA_JSON_ARRAY && item->count == 2 ? item->first : NULL;
        if (!token || token->kind != GLIA_JSON_STRING || token->next->kind != GLIA_JSON_NUMBER)
            return glia_fail_json(r->error, GLIA_E_FORMAT, item, "expected a token and its score");
        m->scores[id] = token->next->number;
        m->least = fmin(m->least, m->scores[id]);
        const glia_status status = set_token(m, token->text, id, item->offset, r);
        if (status) return status;
    }
    return GLIA_OK;
}

/* Finds the length of the longest token, in characters. */
static void measure(glia_token_model *m) {
    for (int32_t i = 0; i < m->vocabulary.n; i++) {
        int64_t n = 0;
        for (uint32_t k = 0; k < m->vocabulary.lengths[i]; k++) n += (m->vocabulary.tokens[i][k] & 0xC0) != 0x80;
        m->longest = GLIA_MAX(m->longest, n);
    }
}

static void find_bytes(glia_token_model *m) {
    static const char digits[] = "0123456789ABCDEF";
    for (int b = 0; b < 256; b++) {
        const char name[] = { '<', '0', 'x', digits[b >> 4], digits[b & 15], '>' };
        m->bytes[b] = glia_vocabulary_find(&m->vocabulary, name, sizeof name);
    }
}

/* Finds the unknown token, if the vocabulary has it. */
static glia_status read_unknown(glia_token_model *m, const glia_json *json, glia_step_reader *r) {
    const char *name = NULL;
    const glia_status status = glia_read_text(r, json, "unk_token", &name);
    m->unknown = name ? glia_vocabulary_find(&m->vocabulary, name, strlen(name)) : -1;
    return status;
}

static glia_status read_words(glia_token_model *m, const glia_json *json, glia_step_reader *r) {
    const glia_status status = read_vocabulary(m, json, r);
    return status ? status : read_unknown(m, json, r);
}

static glia_status read_wordpiece(glia_token_model *m, const glia_json *json, glia_step_reader *r) {
    m->prefix = "##";
    m->word_most = 100;
    glia_status status = read_words(m, json, r);
    if (!status) status = glia_read_text(r, json, "continuing_subword_prefix", &m->prefix);
    if (!status) status = glia_read_int(r, json, "max_input_chars_per_word", &m->word_most);
    measure(m);
    return status;
}

static glia_status read_bpe(glia_token_model *m, const glia_json *json, glia_step_reader *r) {
    glia_status status = read_words(m, json, r);
    if (!status) status = glia_read_text(r, json, "continuing_subword_prefix", &m->prefix);
    if (!status) status = glia_read_text(r, json, "end_of_word_suffix", &m->suffix);
    if (!status) status = glia_read_flag(r, json, "fuse_unk", &m->fuse_unknown);
    if (!status) status = glia_read_flag(r, json, "byte_fallback", &m->byte_fallback);
    if (!status) status = glia_read_flag(r, json, "ignore_merges", &m->ignore_merges);
    if (m->prefix && !*m->prefix) m->prefix = NULL;
    if (m->suffix && !*m->suffix) m->suffix = NULL;
    find_bytes(m);
    return status ? status : glia_bpe_read(m, json, r);
}

static glia_status read_unigram(glia_token_model *m, const glia_json *json, glia_step_reader *r) {
    int64_t unknown = -1;
    glia_status status = read_scores(m, json, r);
    if (!status) status = glia_read_int(r, json, "unk_id", &unknown);
    if (!status) status = glia_read_flag(r, json, "byte_fallback", &m->byte_fallback);
    if (status) return status;
    if (unknown >= m->vocabulary.n)
        return glia_fail_json(r->error, GLIA_E_FORMAT, json, "\"unk_id\" is not a token of the vocabulary");
    m->unknown = unknown < 0 ? -1 : (int32_t)unknown;
    find_bytes(m);
    measure(m);
    return GLIA_OK;
}

/* ---- whole words -------------------------------------------------------------------------- */

static void complain(glia_workspace *w, const char *what, const glia_glyph *at) {
    if (w->complaint) return;
    w->complaint = what;
    w->place = at->begin;
}

static void cut_words(const glia_token_model *m, const glia_glyph *text, int64_t n, glia_workspace *w) {
    const int32_t id = glia_vocabulary_find(&m->vocabulary, w->bytes.bytes, w->bytes.length);
    if (id < 0 && m->unknown < 0)
        complain(w, "the text is not in the vocabulary, which has no unknown token", text);
    else
        glia_token_add(w, id < 0 ? m->unknown : id, 0, n);
}

/* ---- WordPiece (Wu et al. 2016; as in BERT) ----------------------------------------------- */

/* Takes the longest matching token, repeatedly. If no token matches some part, the whole word is unknown. */
static void cut_wordpiece(const glia_token_model *m, const glia_glyph *text, int64_t n, glia_workspace *w) {
    const int first = w->n_tokens;
    const size_t prefix = m->prefix ? strlen(m->prefix) : 0;
    bool known = n <= m->word_most;
    const int64_t most = GLIA_MAX(m->longest, (int64_t)1);
    char *word = glia_workspace_room(w, prefix + w->bytes.length + 1);
    if (!word) return;
    for (int64_t at = 0, end; known && at < n; at = end) {
        int32_t id = -1;
        const size_t before = at ? prefix : 0;
        const char *from = w->bytes.bytes + w->starts[at];
        if (before) memcpy(word, m->prefix, before);
        end = GLIA_MIN(n, at + most);
        memcpy(word + before, from, w->starts[end] - w->starts[at]);
        for (; end > at; end--) {
            id = glia_vocabulary_find(&m->vocabulary, word, before + w->starts[end] - w->starts[at]);
            if (id >= 0) break;
        }
        known = id >= 0;
        if (known) glia_token_add(w, id, at, end);
    }
    if (known) return;
    w->n_tokens = first;
    if (m->unknown < 0)
        complain(w, "a word is not in the vocabulary, which has no unknown token", text);
    else
        glia_token_add(w, m->unknown, 0, n);
}

/* ---- the table ---------------------------------------------------------------------------- */

const glia_token_model_kind glia_token_model_kinds[] = {
    { "BPE", read_bpe, glia_bpe_cut },
    { "WordPiece", read_wordpiece, cut_wordpiece },
    { "Unigram", read_unigram, glia_unigram_cut },
    { "WordLevel", read_words, cut_words },
    { NULL, NULL, NULL },
};

/* Infers the type of a model from old files, which do not name it. */
static const char *guess(const glia_json *json) {
    const glia_json *vocab = glia_json_member(json, "vocab");
    if (glia_json_member(json, "merges")) return "BPE";
    if (vocab && vocab->kind == GLIA_JSON_ARRAY) return "Unigram";
    return glia_json_member(json, "max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

glia_status glia_token_model_read(glia_token_model *m, const glia_json *json, glia_step_reader *r) {
    const char *type = guess(json);
    const glia_status status = glia_read_text(r, json, "type", &type);
    if (status) return status;
    m->unknown = -1;
    memset(m->single, 0xFF, sizeof m->single);
    memset(m->bytes, 0xFF, sizeof m->bytes);
    const glia_token_model_kind *kind = glia_token_model_kinds;
    while (kind->name && strcmp(kind->name, type)) kind++;
    if (!kind->name)
        return glia_fail(r->error, GLIA_E_UNSUPPORTED, "offset %zu: the model \"%.60s\" is not supported", json->offset,
                         type);
    m->kind = kind;
    return kind->read(m, json, r);
}

void glia_token_model_free(glia_token_model *m) {
    glia_vocabulary_free(&m->vocabulary);
    free(m->merges);
    free(m->scores);
}
