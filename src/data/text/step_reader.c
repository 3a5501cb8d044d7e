/* step_reader.c - reads the steps of a tokenizer from JSON; helpers shared by the steps. */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

/* ---- options ------------------------------------------------------------------------------ */

glia_status glia_fail_json(glia_error *error, glia_status status, const glia_json *at, const char *what) {
    return glia_fail(error, status, "offset %zu: %s", at->offset, what);
}

static glia_status fail_member(glia_error *error, const glia_json *at, const char *key, const char *what) {
    return glia_fail(error, GLIA_E_FORMAT, "offset %zu: \"%s\" must be %s", at->offset, key, what);
}

glia_status glia_read_flag(glia_step_reader *r, const glia_json *object, const char *key, bool *flag) {
    const glia_json *v = glia_json_member(object, key);
    if (!v || v->kind == GLIA_JSON_NULL) return GLIA_OK;
    if (v->kind != GLIA_JSON_BOOL) return fail_member(r->error, v, key, "true or false");
    *flag = v->number != 0;
    return GLIA_OK;
}

glia_status glia_read_text(glia_step_reader *r, const glia_json *object, const char *key, const char **text) {
    const glia_json *v = glia_json_member(object, key);
    if (!v || v->kind == GLIA_JSON_NULL) return GLIA_OK;
    if (v->kind != GLIA_JSON_STRING) return fail_member(r->error, v, key, "a string");
    *text = v->text;
    return GLIA_OK;
}

glia_status glia_read_int(glia_step_reader *r, const glia_json *object, const char *key, int64_t *value) {
    const glia_json *v = glia_json_member(object, key);
    if (!v || v->kind == GLIA_JSON_NULL) return GLIA_OK;
    return glia_json_int(v, value) ? GLIA_OK : fail_member(r->error, v, key, "an integer");
}

glia_status glia_read_pattern(glia_step_reader *r, const glia_json *object, const char *key, glia_step *step) {
    const glia_json *v = glia_json_member(object, key);
    const glia_json *text = glia_json_member(v, "String"), *regex = glia_json_member(v, "Regex");
    if (v && v->kind == GLIA_JSON_STRING) text = v;
    if (text && text->kind == GLIA_JSON_STRING) {
        step->text = text->text;
        step->text_length = strlen(text->text);
        glia_glyphs_decode(&step->pattern, text->text, step->text_length);
        return step->pattern.failed ? glia_fail_nomem(r->error) : GLIA_OK;
    }
    if (!regex || regex->kind != GLIA_JSON_STRING)
        return fail_member(r->error, v ? v : object, key, "{\"String\": ...} or {\"Regex\": ...}");
    glia_error why = { 0 };
    step->regex = glia_regex_compile(r->arena, regex->text, &why);
    if (step->regex) return GLIA_OK;
    if (why.status == GLIA_E_NOMEM) return glia_fail_nomem(r->error);
    return glia_fail(r->error, why.status, "offset %zu: %s", regex->offset, why.message);
}

/* ---- steps -------------------------------------------------------------------------------- */

const glia_step *glia_step_read(glia_step_reader *r, const glia_step_kind *table, const char *what,
                                const glia_json *json) {
    const glia_json *type = glia_json_member(json, "type");
    if (!type || type->kind != GLIA_JSON_STRING) {
        glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: the %s has no type", json->offset, what);
        return NULL;
    }
    const glia_step_kind *kind = table;
    while (kind->name && strcmp(kind->name, type->text)) kind++;
    if (!kind->name) {
        glia_fail(r->error, GLIA_E_UNSUPPORTED, "offset %zu: the %s \"%.60s\" is not supported", type->offset, what,
                  type->text);
        return NULL;
    }
    glia_step *step = glia_arena_alloc(r->arena, sizeof *step);
    if (!step) return glia_fail_nomem(r->error), NULL;
    step->kind = kind;
    if (kind->read && kind->read(r, json, step)) {
        glia_step_free(step);
        return NULL;
    }
    return step;
}

glia_status glia_read_steps(glia_step_reader *r, const glia_step_kind *table, const char *what, const glia_json *object,
                            const char *key, glia_step *step) {
    const glia_json *list = glia_json_member(object, key);
    if (!list || list->kind != GLIA_JSON_ARRAY) return fail_member(r->error, list ? list : object, key, "an array");
    if (list->count > GLIA_COUNT(step->steps))
        return glia_fail_json(r->error, GLIA_E_UNSUPPORTED, list, "a sequence has more than 16 steps");
    for (const glia_json *item = list->first; item; item = item->next) {
        const glia_step *inner = glia_step_read(r, table, what, item);
        if (!inner) return r->error ? r->error->status : GLIA_E_FORMAT;
        step->steps[step->n_steps++] = inner;
    }
    return GLIA_OK;
}

void glia_step_free(const glia_step *step) {
    if (!step) return;
    free(step->pattern.at);
    free(step->filler.at);
    for (int i = 0; i < step->n_steps; i++) glia_step_free(step->steps[i]);
}

static bool here(const glia_step *step, const glia_glyph *text) {
    for (int64_t k = 0; k < step->pattern.n; k++)
        if (text[k].c != step->pattern.at[k].c) return false;
    return true;
}

int glia_step_find(const glia_step *step, const glia_glyph *text, int64_t n, int64_t from, glia_regex_stack *stack,
                   int64_t *begin, int64_t *end) {
    if (step->regex) return glia_regex_find(step->regex, text, n, from, stack, begin, end);
    if (!step->pattern.n) return 0;
    for (int64_t at = from; at + step->pattern.n <= n; at++) {
        if (!here(step, text + at)) continue;
        *begin = at;
        *end = at + step->pattern.n;
        return 1;
    }
    return 0;
}

void glia_give_up(glia_workspace *w) {
    if (w->stack.failed)
        w->failed = true;
    else
        w->complaint = "the pattern backtracks too much";
}

/* ---- GPT-2's characters for bytes --------------------------------------------------------- */

/* Bytes that are printable in Latin-1 map to themselves, the others to characters from U+0100 on. */
uint32_t glia_byte_character(uint8_t b) {
    if ((b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE) return b;
    return b <= 0x20 ? 0x100u + b : b <= 0xA0 ? 0x100u + 33 + (b - 0x7Fu) : 0x143;
}

int glia_character_byte(uint32_t c) {
    if ((c >= '!' && c <= '~') || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF)) return (int)c;
    if (c >= 0x100 && c <= 0x120) return (int)c - 0x100;
    if (c >= 0x121 && c <= 0x142) return (int)(c - 0x121) + 0x7F;
    return c == 0x143 ? 0xAD : -1;
}
