/* cutters.c - the pre-tokenizers, which cut a text into pieces; one table row each.
 *
 * The pieces are ranges of w->text. A pre-tokenizer splits them further and may change the text.
 */
#include <string.h>

#include "data/text/text.h"

static void add_piece(glia_workspace *w, int64_t from, int64_t n) {
    if (!n) return;
    if (!glia_grow((void **)&w->spare_pieces, w->n_spare, &w->spare_capacity, sizeof *w->spare_pieces)) {
        w->failed = true;
        return;
    }
    w->spare_pieces[w->n_spare++] = (glia_piece){ from, n };
}

static void swap_pieces(glia_workspace *w) {
    glia_piece *pieces = w->pieces;
    const int capacity = w->pieces_capacity;
    w->pieces = w->spare_pieces;
    w->pieces_capacity = w->spare_capacity;
    w->n_pieces = w->n_spare;
    w->spare_pieces = pieces;
    w->spare_capacity = capacity;
    w->n_spare = 0;
}

/* ---- splitting ---------------------------------------------------------------------------- */

/* Finds the next match in text[from, n); same contract as glia_regex_find(). */
typedef int (*finder)(const glia_step *s, const glia_glyph *text, int64_t n, int64_t from, glia_regex_stack *stack,
                      int64_t *begin, int64_t *end);

/* The current piece: the next range is joined to it or begins another. */
typedef struct joiner {
    glia_workspace *w;
    glia_behavior behavior;
    int64_t from, n; /* not added yet */
    bool match;      /* the piece ends in a match */
} joiner;

static void flush(joiner *j) {
    add_piece(j->w, j->from, j->n);
    j->n = 0;
}

static void join(joiner *j, int64_t from, int64_t n, bool match) {
    if (!n) return;
    bool with_last = false;
    switch (j->behavior) {
    case GLIA_REMOVED:
        if (match) return;
        break;
    case GLIA_MERGED_WITH_PREVIOUS: with_last = match && !j->match; break;
    case GLIA_MERGED_WITH_NEXT: with_last = j->match && !match; break;
    case GLIA_CONTIGUOUS: with_last = match == j->match; break;
    case GLIA_ISOLATED: break;
    }
    if (!with_last || !j->n) flush(j), j->from = from;
    j->n += n;
    j->match = match;
}

/* Splits every piece at its matches. */
static void split(const glia_step *s, glia_workspace *w, finder find, glia_behavior behavior, bool invert) {
    for (int i = 0; i < w->n_pieces; i++) {
        const glia_piece p = w->pieces[i];
        const glia_glyph *text = w->text.at + p.from;
        joiner j = { .w = w, .behavior = behavior };
        int64_t at = 0, begin, end;
        int found;
        for (int64_t from = 0; from <= p.n && (found = find(s, text, p.n, from, &w->stack, &begin, &end)) != 0;) {
            if (found < 0) {
                glia_give_up(w);
                return;
            }
            join(&j, p.from + at, begin - at, invert);
            join(&j, p.from + begin, end - begin, !invert);
            at = end;
            from = end > begin ? end : end + 1;
        }
        join(&j, p.from + at, p.n - at, invert);
        flush(&j);
    }
    swap_pieces(w);
}

/* ---- classes of characters ---------------------------------------------------------------- */

static bool is_punctuation(uint32_t c) {
    return glia_unicode_ascii_punctuation(c) || glia_unicode_in(c, GLIA_PUNCTUATION);
}

/* Defines a finder of single characters of a class. */
#define FIND_CLASS(name, test)                                                                                         \
    static int name(const glia_step *s, const glia_glyph *text, int64_t n, int64_t from, glia_regex_stack *stack,      \
                    int64_t *begin, int64_t *end) {                                                                    \
        (void)stack, (void)s;                                                                                          \
        while (from < n && !(test)) from++;                                                                            \
        *begin = from;                                                                                                 \
        *end = from + 1;                                                                                               \
        return from < n;                                                                                               \
    }
FIND_CLASS(find_space, glia_unicode_space(text[from].c))
FIND_CLASS(find_punctuation, is_punctuation(text[from].c))
FIND_CLASS(find_number, glia_unicode_in(text[from].c, GLIA_NUMBERS))
FIND_CLASS(find_delimiter, text[from].c == s->pattern.at[0].c)

/* \w+|[^\w\s]+ */
static int find_word(const glia_step *s, const glia_glyph *text, int64_t n, int64_t from, glia_regex_stack *stack,
                     int64_t *begin, int64_t *end) {
    (void)s, (void)stack;
    while (from < n && glia_unicode_space(text[from].c)) from++;
    if (from == n) return 0;
    *begin = from;
    const bool word = glia_unicode_word(text[from].c);
    while (from < n && glia_unicode_word(text[from].c) == word && (word || !glia_unicode_space(text[from].c))) from++;
    *end = from;
    return 1;
}

static void bert(const glia_step *s, glia_workspace *w, bool first) {
    (void)first;
    split(s, w, find_space, GLIA_REMOVED, false);
    split(s, w, find_punctuation, GLIA_ISOLATED, false);
}

static void whitespace(const glia_step *s, glia_workspace *w, bool first) {
    (void)first;
    split(s, w, find_word, GLIA_REMOVED, true);
}

static void whitespace_split(const glia_step *s, glia_workspace *w, bool first) {
    (void)first;
    split(s, w, find_space, GLIA_REMOVED, false);
}

/* ---- with options ------------------------------------------------------------------------- */

static glia_status read_behavior(glia_step_reader *r, const glia_json *json, glia_step *s) {
    static const char *const names[] = { "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous" };
    const char *name = names[s->behavior];
    glia_status status = glia_read_text(r, json, "behavior", &name);
    if (status) return status;
    for (int i = 0; i < GLIA_COUNT(names); i++)
        if (!strcmp(name, names[i])) return s->behavior = (glia_behavior)i, GLIA_OK;
    return glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: there is no behavior \"%.40s\"", json->offset, name);
}

static glia_status read_punctuation(glia_step_reader *r, const glia_json *json, glia_step *s) {
    s->behavior = GLIA_ISOLATED;
    return read_behavior(r, json, s);
}

static void punctuation(const glia_step *s, glia_workspace *w, bool first) {
    (void)first;
    split(s, w, find_punctuation, s->behavior, false);
}

static glia_status read_digits(glia_step_reader *r, const glia_json *json, glia_step *s) {
    return glia_read_flag(r, json, "individual_digits", &s->flags[0]);
}

static void digits(const glia_step *s, glia_workspace *w, bool first) {
    (void)first;
    split(s, w, find_number, s->flags[0] ? GLIA_ISOLATED : GLIA_CONTIGUOUS, false);
}

/* Reads one character at `key`. */
static glia_status read_character(glia_step_reader *r, const glia_json *json, const char *key, glia_step *s) {
    const glia_json *v = glia_json_member(json, key);
    if (v && v->kind == GLIA_JSON_STRING) glia_glyphs_decode(&s->pattern, v->text, strlen(v->text));
    if (s->pattern.failed) return glia_fail_nomem(r->error);
    if (s->pattern.n == 1) return GLIA_OK;
    return glia_fail(r->error, GLIA_E_FORMAT, "offset %zu: \"%s\" must be one character",
                     v ? v->offset : json->offset, key);
}

static glia_status read_delimiter(glia_step_reader *r, const glia_json *json, glia_step *s) {
    return read_character(r, json, "delimiter", s);
}

static void delimiter(const glia_step *s, glia_workspace *w, bool first) {
    (void)first;
    split(s, w, find_delimiter, GLIA_REMOVED, false);
}

static glia_status read_split(glia_step_reader *r, const glia_json *json, glia_step *s) {
    glia_status status = glia_read_pattern(r, json, "pattern", s);
    if (!status) status = read_behavior(r, json, s);
    return status ? status : glia_read_flag(r, json, "invert", &s->invert);
}

static void split_pattern(const glia_step *s, glia_workspace *w, bool first) {
    (void)first;
    split(s, w, glia_step_find, s->behavior, s->invert);
}

/* ---- Metaspace ---------------------------------------------------------------------------- */

enum { ALWAYS, NEVER, FIRST };

static glia_status read_metaspace(glia_step_reader *r, const glia_json *json, glia_step *s) {
    const char *scheme = "always";
    bool prefix = true;
    s->flags[0] = true;
    glia_status status = glia_json_member(json, "replacement") ? read_character(r, json, "replacement", s) : GLIA_OK;
    if (!s->pattern.n) glia_glyphs_add(&s->pattern, 0x2581, 0, 0);
    if (!status) status = glia_read_flag(r, json, "add_prefix_space", &prefix);
    if (!status) status = glia_read_text(r, json, "prepend_scheme", &scheme);
    if (!status) status = glia_read_flag(r, json, "split", &s->flags[0]);
    if (status) return status;
    s->first = !prefix || !strcmp(scheme, "never") ? NEVER : !strcmp(scheme, "first") ? FIRST : ALWAYS;
    return GLIA_OK;
}

/* Rebuilds the text: calls `change` for each piece, which appends its new text to w->spare. */
static void rebuild(const glia_step *s, glia_workspace *w,
                    void (*change)(const glia_step *, glia_workspace *, const glia_glyph *, int64_t)) {
    w->spare.n = 0;
    for (int i = 0; i < w->n_pieces; i++) {
        const int64_t from = w->spare.n;
        change(s, w, w->text.at + w->pieces[i].from, w->pieces[i].n);
        add_piece(w, from, w->spare.n - from);
    }
    glia_glyphs_swap(&w->text, &w->spare);
    swap_pieces(w);
}

/* Does the piece contain offset 0 of the text? Not only its first character is checked, as marks may be reordered. */
static bool holds_start(const glia_glyph *text, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (text[i].begin == 0) return true;
    return false;
}

static void mark_spaces(const glia_step *s, glia_workspace *w, const glia_glyph *text, int64_t n) {
    const uint32_t mark = s->pattern.at[0].c;
    const bool start = s->first == ALWAYS || (s->first == FIRST && holds_start(text, n));
    if (start && text[0].c != ' ' && text[0].c != mark) glia_glyphs_add(&w->spare, mark, text[0].begin, text[0].begin);
    for (int64_t i = 0; i < n; i++)
        glia_glyphs_add(&w->spare, text[i].c == ' ' ? mark : text[i].c, text[i].begin, text[i].end);
}

static void metaspace(const glia_step *s, glia_workspace *w, bool first) {
    (void)first;
    rebuild(s, w, mark_spaces);
    if (s->flags[0]) split(s, w, find_delimiter, GLIA_MERGED_WITH_NEXT, false);
}

/* ---- ByteLevel (GPT-2) -------------------------------------------------------------------- */

enum { PREFIX, REGEX };

static glia_status read_byte_level(glia_step_reader *r, const glia_json *json, glia_step *s) {
    s->flags[PREFIX] = s->flags[REGEX] = true;
    glia_status status = glia_read_flag(r, json, "add_prefix_space", &s->flags[PREFIX]);
    return status ? status : glia_read_flag(r, json, "use_regex", &s->flags[REGEX]);
}

static void prefix_space(const glia_step *s, glia_workspace *w, const glia_glyph *text, int64_t n) {
    (void)s;
    if (n && text[0].c != ' ') glia_glyphs_add(&w->spare, ' ', text[0].begin, text[0].begin);
    glia_glyphs_append(&w->spare, text, n);
}

enum { OTHER, LETTER, NUMBER, SPACE };

static int class_of(uint32_t c) {
    if (c < 0x80) {
        if ((c | 32) >= 'a' && (c | 32) <= 'z') return LETTER;
        if (c >= '0' && c <= '9') return NUMBER;
        return c == ' ' || (c >= 9 && c <= 13) ? SPACE : OTHER;
    }
    if (glia_unicode_space(c)) return SPACE;
    const uint32_t category = 1u << glia_unicode_category(c);
    return category & GLIA_LETTERS ? LETTER : category & GLIA_NUMBERS ? NUMBER : OTHER;
}

/* Length of the contraction at text[0]: 's 't 'm 'd 're 've 'll; 0: none. */
static int64_t contraction(const glia_glyph *text, int64_t n) {
    if (n < 2 || text[0].c != '\'') return 0;
    const uint32_t a = text[1].c, b = n > 2 ? text[2].c : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+  Matches at every position. */
static int find_gpt2(const glia_step *s, const glia_glyph *text, int64_t n, int64_t from, glia_regex_stack *stack,
                     int64_t *begin, int64_t *end) {
    (void)s, (void)stack;
    if (from >= n) return 0;
    *begin = from;
    *end = from + contraction(text + from, n - from);
    if (*end > from) return 1;
    int64_t at = from + (text[from].c == ' ' && from + 1 < n);
    int class = class_of(text[at].c);
    if (class == SPACE) {
        at = from;
        while (at < n && class_of(text[at].c) == SPACE) at++;
        *end = at < n && at - from > 1 ? at - 1 : at; /* the last one belongs to the next word */
        return 1;
    }
    while (at < n && class_of(text[at].c) == class) at++;
    *end = at;
    return 1;
}

static void to_bytes(const glia_step *s, glia_workspace *w, const glia_glyph *text, int64_t n) {
    (void)s;
    for (int64_t i = 0; i < n; i++) {
        char bytes[4];
        const size_t length = glia_utf8_put(text[i].c, bytes);
        for (size_t k = 0; k < length; k++)
            glia_glyphs_add(&w->spare, glia_byte_character((uint8_t)bytes[k]), text[i].begin, text[i].end);
    }
}

static void byte_level(const glia_step *s, glia_workspace *w, bool first) {
    (void)first;
    if (s->flags[PREFIX]) rebuild(s, w, prefix_space);
    if (s->flags[REGEX]) split(s, w, find_gpt2, GLIA_ISOLATED, false);
    rebuild(s, w, to_bytes);
}

/* ---- sequences ---------------------------------------------------------------------------- */

static glia_status read_sequence(glia_step_reader *r, const glia_json *json, glia_step *s) {
    return glia_read_steps(r, glia_cutters, "pre-tokenizer", json, "pretokenizers", s);
}

static void sequence(const glia_step *s, glia_workspace *w, bool first) {
    for (int i = 0; i < s->n_steps; i++) s->steps[i]->kind->run.cut(s->steps[i], w, first);
}

const glia_step_kind glia_cutters[] = {
    { "ByteLevel", read_byte_level, { .cut = byte_level } },
    { "BertPreTokenizer", NULL, { .cut = bert } },
    { "Whitespace", NULL, { .cut = whitespace } },
    { "WhitespaceSplit", NULL, { .cut = whitespace_split } },
    { "Metaspace", read_metaspace, { .cut = metaspace } },
    { "Punctuation", read_punctuation, { .cut = punctuation } },
    { "Digits", read_digits, { .cut = digits } },
    { "CharDelimiterSplit", read_delimiter, { .cut = delimiter } },
    { "Split", read_split, { .cut = split_pattern } },
    { "Sequence", read_sequence, { .cut = sequence } },
    { NULL, NULL, { NULL } },
};
