/* regex.c - regular expressions for pre-tokenizers.
 *
 * A backtracking matcher over characters with the preference order of Perl and Oniguruma: the first alternative that
 * leads to a match wins. A pattern is compiled to a small program (Cox 2009, "Regular Expression Matching: the Virtual
 * Machine Approach"). Backtracking points are on an explicit stack; a run of one class, the most common construct of
 * pre-tokenizers, takes a single entry with a range. Supported: alternatives, groups (also (?:...), (?i:...), (?>...)),
 * classes with \p{..}, [:..:], \s, \d, \w, \h, ranges, negation and &&, ., ^, $, \A, \z, \b, the quantifiers
 * ? * + {m,n}, lazy and possessive, lookahead (?=...) (?!...), and lookbehind by one class (?<=...) (?<!...). Captures
 * are not recorded.
 */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

enum { STEPS_MOST = 1 << 24, REPEAT_MOST = 1000, PROGRAM_MOST = 1 << 14, DEPTH_MOST = 50 };

/* A class of characters: those in any item (`every`: in all items), or the complement if `negated`. */
typedef struct item {
    uint32_t low, high;
    glia_property property;
    enum { RANGE, PROPERTY, SPACE, WORD, NESTED } kind;
    bool negated;
    const struct set *set;
} item;

typedef struct set {
    item *items;
    int n, capacity;
    bool negated, any_case, every;
} set;

typedef enum code {
    ONE,    /* one character of the set */
    RUN,    /* `least` to `most` characters of the set; lazy: as few as possible, possessive: no backtracking */
    FORK,   /* continue at a; if that fails, at b */
    JUMP,   /* to a */
    LOOK,   /* the program at a .. b - 1 matches here (negated: does not); continue at b */
    BEHIND, /* the previous character is in the set (negated: is not, or there is none) */
    ATOMIC, /* the program at a .. b - 1, without backtracking into it; continue at b */
    BEGIN,
    END,
    EDGE, /* word boundary */
    DONE
} code;

typedef struct instruction {
    code code;
    int a, b;
    bool negated, lazy, possessive, lines;
    int64_t least, most;
    const set *set;
} instruction;

struct glia_regex {
    instruction *program;
    int n;
};

struct glia_regex_frame {
    int at;
    int64_t place, least; /* RUN: `place` can go back (lazy: forward) to `least` */
    const instruction *run;
};

/* ---- parsing ------------------------------------------------------------------------------ */

typedef struct parser {
    const glia_glyph *p, *end;
    glia_arena *arena;
    instruction *program;
    int n, capacity, depth;
    bool any_case;
    const char *wrong;
} parser;

static void alternatives(parser *p);

static bool fail(parser *p, const char *what) {
    if (!p->wrong) p->wrong = what;
    return false;
}

static bool peek(const parser *p, uint32_t c) { return p->p < p->end && p->p->c == c; }
static bool take(parser *p, uint32_t c) { return peek(p, c) && (p->p++, true); }

static bool take_word(parser *p, const char *word) {
    const glia_glyph *at = p->p;
    for (; *word; word++, at++)
        if (at >= p->end || at->c != (uint8_t)*word) return false;
    p->p = at;
    return true;
}

static int emit(parser *p, instruction i) {
    if (p->n >= PROGRAM_MOST) return fail(p, "the pattern is too long"), 0;
    if (!glia_grow((void **)&p->program, p->n, &p->capacity, sizeof *p->program)) return fail(p, "memory"), 0;
    p->program[p->n] = i;
    return p->n++;
}

static set *new_set(parser *p) {
    set *s = glia_arena_alloc(p->arena, sizeof *s);
    if (!s) return fail(p, "memory"), NULL;
    s->any_case = p->any_case;
    return s;
}

static void add_item(parser *p, set *s, item i) {
    if (s->n == s->capacity) {
        const int capacity = 2 * s->capacity + 4;
        item *grown = glia_arena_alloc(p->arena, (size_t)capacity * sizeof *grown);
        if (!grown) {
            fail(p, "memory");
            return;
        }
        if (s->n) memcpy(grown, s->items, (size_t)s->n * sizeof *grown);
        s->items = grown;
        s->capacity = capacity;
    }
    s->items[s->n++] = i;
}

/* Adds the set of this name; `posix`: it was written [:name:]. */
static bool add_property(parser *p, set *s, const char *name, bool posix, bool negated) {
    item i = { .kind = PROPERTY, .negated = negated };
    if (glia_property_find(name, &i.property)) {
        if (posix && !strcmp(name, "punct")) i.property.categories |= GLIA_SYMBOLS;
    } else if (!strcmp(name, "word") || !strcmp(name, "Word")) {
        i.kind = WORD;
    } else {
        return fail(p, "the character property is not supported");
    }
    add_item(p, s, i);
    return true;
}

/* Parses \p{Lu}, \p{^L}, \pL, after the p. */
static bool property(parser *p, set *s, bool negated) {
    char name[64] = { 0 };
    size_t n = 0;
    if (take(p, '{')) {
        if (take(p, '^')) negated = !negated;
        while (p->p < p->end && !peek(p, '}') && n < sizeof name - 1) name[n++] = (char)(p->p++)->c;
        if (!take(p, '}')) return fail(p, "the } of the property is missing");
    } else if (p->p < p->end) {
        name[n++] = (char)(p->p++)->c;
    }
    return add_property(p, s, name, false, negated);
}

/* Parses [:alpha:] and [:^alpha:], after the first bracket. false: not a POSIX class. */
static bool posix_class(parser *p, set *s) {
    char name[24] = { 0 };
    size_t n = 0;
    const glia_glyph *at = p->p;
    if (at >= p->end || at->c != ':') return false;
    const bool negated = ++at < p->end && at->c == '^';
    for (at += negated; at < p->end && at->c >= 'a' && at->c <= 'z' && n < sizeof name - 1; at++)
        name[n++] = (char)at->c;
    if (p->end - at < 2 || at[0].c != ':' || at[1].c != ']') return false;
    p->p = at + 2;
    add_property(p, s, name, true, negated);
    return true;
}

static bool hexadecimal(parser *p, int digits, uint32_t *c) {
    const bool braces = take(p, '{');
    *c = 0;
    int n = 0;
    for (; p->p < p->end && n < (braces ? 6 : digits); n++, p->p++) {
        const uint32_t d = p->p->c;
        if (d >= '0' && d <= '9')
            *c = *c * 16 + (d - '0');
        else if ((d | 32) >= 'a' && (d | 32) <= 'f')
            *c = *c * 16 + ((d | 32) - 'a' + 10);
        else
            break;
    }
    if (braces && !take(p, '}')) return fail(p, "the } of the code is missing");
    return n > 0 || fail(p, "the code has no digits");
}

/* Parses what follows a backslash: a class, added to s (*class is true), or one character in *c. */
static bool escaped(parser *p, set *s, bool *class, uint32_t *c) {
    if (p->p >= p->end) return fail(p, "there is a \\ at the end");
    const uint32_t e = (p->p++)->c;
    *class = true;
    switch (e) {
    case 'p':
    case 'P': return property(p, s, e == 'P');
    case 's':
    case 'S': return add_item(p, s, (item){ .kind = SPACE, .negated = e == 'S' }), true;
    case 'w':
    case 'W': return add_item(p, s, (item){ .kind = WORD, .negated = e == 'W' }), true;
    case 'd':
    case 'D': return add_property(p, s, "digit", false, e == 'D');
    case 'h':
    case 'H': return add_property(p, s, "xdigit", false, e == 'H');
    default: break;
    }
    *class = false;
    static const char names[] = "nrtfvae", codes[] = "\n\r\t\f\v\a\033";
    const char *name = e && e < 0x80 ? strchr(names, (int)e) : NULL;
    if (name) return *c = (uint8_t)codes[name - names], true;
    if (e == 'x') return hexadecimal(p, 2, c);
    if (e == 'u') return hexadecimal(p, 4, c);
    if (e < 0x80 && ((e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z') || (e >= '0' && e <= '9')))
        return fail(p, "the escape is not supported");
    *c = e;
    return true;
}

static const set *bracket(parser *p);

/* Parses one item of [...]; the first may be a ]. */
static void bracket_item(parser *p, set *s) {
    if (take(p, '[')) {
        if (posix_class(p, s)) return;
        const set *inner = bracket(p);
        if (inner) add_item(p, s, (item){ .kind = NESTED, .set = inner });
        return;
    }
    bool class = false;
    uint32_t low = (p->p++)->c, high;
    if (low == '\\' && !escaped(p, s, &class, &low)) return;
    if (class) return;
    high = low;
    if (peek(p, '-') && p->p + 1 < p->end && p->p[1].c != ']') {
        p->p++;
        high = (p->p++)->c;
        if (high == '\\' && (!escaped(p, s, &class, &high) || class)) {
            fail(p, "the range is not supported");
            return;
        }
        if (high < low) fail(p, "the range ends before it begins");
    }
    add_item(p, s, (item){ .kind = RANGE, .low = low, .high = high });
}

/* Parses [...], after the bracket. && is the intersection of the classes around it. */
static const set *bracket(parser *p) {
    set *part = new_set(p), *all = NULL;
    if (!part) return NULL;
    if (++p->depth > DEPTH_MOST) return fail(p, "the brackets are nested too deeply"), NULL;
    const bool negated = take(p, '^');
    for (bool first = true; !p->wrong && (first || !take(p, ']')); first = false) {
        if (p->p >= p->end) return fail(p, "the ] of this [ is missing"), NULL;
        if (!take_word(p, "&&")) {
            bracket_item(p, part);
            continue;
        }
        if (!all && !(all = new_set(p))) return NULL;
        add_item(p, all, (item){ .kind = NESTED, .set = part });
        part = new_set(p);
        if (!part) return NULL;
    }
    p->depth--;
    if (all) {
        add_item(p, all, (item){ .kind = NESTED, .set = part });
        all->every = true;
        all->any_case = false; /* handled in its parts */
        part = all;
    }
    part->negated = negated;
    return p->wrong ? NULL : part;
}

/* Parses a single-character atom and returns its set; NULL: none here, or an error. */
static const set *single(parser *p) {
    if (p->p >= p->end) return NULL;
    const uint32_t c = p->p->c;
    if (c == '[') return p->p++, bracket(p);
    if (c && c < 0x80 && strchr("()|*+?^$", (int)c)) return NULL;
    if (c == '\\' && p->p + 1 < p->end && p->p[1].c < 0x80 && p->p[1].c && strchr("bBAzZG", (int)p->p[1].c))
        return NULL;
    set *s = new_set(p);
    if (!s) return NULL;
    bool class = false;
    uint32_t one = c;
    p->p++;
    if (c == '.') {
        s->negated = true;
        one = '\n';
    } else if (c == '\\' && !escaped(p, s, &class, &one)) {
        return NULL;
    }
    if (!class) add_item(p, s, (item){ .kind = RANGE, .low = one, .high = one });
    return s;
}

static bool number(parser *p, int64_t *value) {
    int64_t v = 0;
    const glia_glyph *start = p->p;
    while (p->p < p->end && p->p->c >= '0' && p->p->c <= '9' && v <= REPEAT_MOST) v = v * 10 + (p->p++)->c - '0';
    *value = v;
    return p->p > start;
}

/* Parses ? * + {m,n} and a lazy or possessive suffix; false: none here. */
static bool quantifier(parser *p, instruction *q) {
    q->least = q->most = 1;
    if (take(p, '?')) {
        q->least = 0;
    } else if (take(p, '*')) {
        q->least = 0, q->most = INT64_MAX;
    } else if (take(p, '+')) {
        q->most = INT64_MAX;
    } else if (peek(p, '{')) {
        const glia_glyph *brace = p->p++;
        bool low = number(p, &q->least), comma = take(p, ','), high = false;
        q->most = comma ? INT64_MAX : q->least;
        if (comma) high = number(p, &q->most);
        if (comma && !high) q->most = INT64_MAX;
        if (!low) q->least = 0;
        if (!(low || high) || !take(p, '}')) return p->p = brace, q->least = q->most = 1, false; /* a literal brace */
        if (q->least > REPEAT_MOST || (high && q->most > REPEAT_MOST) || q->most < q->least)
            return fail(p, "the number of repetitions is out of range");
    } else {
        return false;
    }
    if (take(p, '?'))
        q->lazy = true;
    else if (take(p, '+'))
        q->possessive = true;
    return true;
}

/* Appends a copy of the program from..to - 1. */
static void copy_program(parser *p, int from, int to) {
    const int shift = p->n - from;
    for (int i = from; i < to && !p->wrong; i++) {
        instruction c = p->program[i];
        if (c.code == FORK || c.code == JUMP || c.code == LOOK || c.code == ATOMIC) c.a += shift, c.b += shift;
        emit(p, c);
    }
}

static void make_room(parser *p, int at) {
    emit(p, (instruction){ .code = JUMP });
    if (p->wrong) return;
    memmove(p->program + at + 1, p->program + at, (size_t)(p->n - 1 - at) * sizeof *p->program);
    for (int i = at + 1; i < p->n; i++) {
        instruction *c = &p->program[i];
        if (c->code == FORK || c->code == JUMP || c->code == LOOK || c->code == ATOMIC) c->a++, c->b++;
    }
}

static instruction fork_to(int into, int past, bool lazy) {
    return (instruction){ .code = FORK, .a = lazy ? past : into, .b = lazy ? into : past };
}

/* Applies the quantifier to the program that begins at `from`. */
static void repeat(parser *p, int from, instruction q) {
    const int to = p->n, body = to - from;
    if (q.possessive) {
        make_room(p, from);
        if (p->wrong) return;
        q.possessive = false;
        repeat(p, from + 1, q);
        emit(p, (instruction){ .code = DONE });
        if (!p->wrong) p->program[from] = (instruction){ .code = ATOMIC, .a = from + 1, .b = p->n };
        return;
    }
    for (int64_t i = 1; i < q.least && !p->wrong; i++) copy_program(p, from, to);
    if (q.most == INT64_MAX) {
        const int last = q.least ? p->n - body : from; /* the copy of the body that loops */
        make_room(p, q.least ? p->n : last);
        if (p->wrong) return;
        if (q.least) {
            p->program[p->n - 1] = fork_to(last, p->n, q.lazy);
        } else {
            p->program[last] = fork_to(last + 1, p->n + 1, q.lazy);
            emit(p, (instruction){ .code = JUMP, .a = last });
        }
        return;
    }
    const int64_t more = q.most - GLIA_MAX(q.least, (int64_t)1);
    if (!q.least) {
        make_room(p, from);
        if (p->wrong) return;
        p->program[from] = fork_to(from + 1, p->n, q.lazy);
    }
    const int first = q.least ? from : from + 1;
    for (int64_t i = 0; i < more && !p->wrong; i++) {
        const int fork = emit(p, (instruction){ .code = FORK });
        copy_program(p, first, first + body);
        if (!p->wrong) p->program[fork] = fork_to(fork + 1, p->n, q.lazy);
    }
}

static void look(parser *p, bool negated) {
    const int at = emit(p, (instruction){ .code = LOOK, .negated = negated });
    alternatives(p);
    emit(p, (instruction){ .code = DONE });
    if (!p->wrong) p->program[at].a = at + 1, p->program[at].b = p->n;
}

/* Parses (...), after the parenthesis. */
static void group(parser *p) {
    const bool outer = p->any_case;
    if (++p->depth > DEPTH_MOST) fail(p, "the groups are nested too deeply");
    if (take_word(p, "?=")) {
        look(p, false);
    } else if (take_word(p, "?!")) {
        look(p, true);
    } else if (take_word(p, "?<=") || take_word(p, "?<!")) {
        const bool negated = p->p[-1].c == '!';
        const set *s = single(p);
        if (!s) fail(p, "lookbehind of more than one character is not supported");
        emit(p, (instruction){ .code = BEHIND, .set = s, .negated = negated });
    } else if (take_word(p, "?>")) {
        const int at = emit(p, (instruction){ .code = ATOMIC });
        alternatives(p);
        emit(p, (instruction){ .code = DONE });
        if (!p->wrong) p->program[at].a = at + 1, p->program[at].b = p->n;
    } else {
        if (take_word(p, "?i:"))
            p->any_case = true;
        else if (!take_word(p, "?:") && peek(p, '?'))
            fail(p, "the kind of group is not supported");
        alternatives(p);
    }
    p->any_case = outer;
    p->depth--;
    if (!p->wrong && !take(p, ')')) fail(p, "the ) of this ( is missing");
}

/* Parses an atom and its quantifier. */
static void atom(parser *p) {
    const int from = p->n;
    instruction q = { .code = ONE };
    const set *s = single(p);
    if (p->wrong) return;
    if (s) {
        q.set = s;
        if (quantifier(p, &q)) q.code = RUN;
        if (!p->wrong) emit(p, q);
        return;
    }
    if (take(p, '('))
        group(p);
    else if (take(p, '^'))
        emit(p, (instruction){ .code = BEGIN, .lines = true });
    else if (take(p, '$'))
        emit(p, (instruction){ .code = END, .lines = true });
    else if (take_word(p, "\\A"))
        emit(p, (instruction){ .code = BEGIN });
    else if (take_word(p, "\\z") || take_word(p, "\\Z"))
        emit(p, (instruction){ .code = END });
    else if (take_word(p, "\\b") || take_word(p, "\\B"))
        emit(p, (instruction){ .code = EDGE, .negated = p->p[-1].c == 'B' });
    else
        fail(p, "the construct is not supported");
    if (!p->wrong && quantifier(p, &q) && !p->wrong) repeat(p, from, q);
}

static void alternatives(parser *p) {
    const int from = p->n;
    while (!p->wrong && p->p < p->end && !peek(p, '|') && !peek(p, ')')) atom(p);
    if (p->wrong || !take(p, '|')) return;
    make_room(p, from);
    const int jump = emit(p, (instruction){ .code = JUMP });
    if (p->wrong) return;
    p->program[from] = (instruction){ .code = FORK, .a = from + 1, .b = p->n };
    alternatives(p);
    if (!p->wrong) p->program[jump].a = p->n;
}

/* ---- matching ----------------------------------------------------------------------------- */

static bool in_set(const set *s, uint32_t c);

/* \w as in Oniguruma: includes numbers of Latin-1 (superscripts, fractions), but no joiners. */
static bool is_word(uint32_t c) {
    if (c == 0xB2 || c == 0xB3 || c == 0xB9 || (c >= 0xBC && c <= 0xBE)) return true;
    return c != 0x200C && c != 0x200D && glia_unicode_word(c);
}

static bool in_item(const item *i, uint32_t c) {
    switch (i->kind) {
    case RANGE: return c >= i->low && c <= i->high;
    case PROPERTY: return glia_property_has(&i->property, c) != i->negated;
    case SPACE: return glia_unicode_space(c) != i->negated;
    case WORD: return is_word(c) != i->negated;
    default: return in_set(i->set, c);
    }
}

static bool in_set(const set *s, uint32_t c) {
    bool found = s->every;
    for (int i = 0; i < s->n && found == s->every; i++) found = in_item(&s->items[i], c);
    if (!found && s->any_case) {
        uint32_t lower[3], upper = c >= 'a' && c <= 'z' ? c - 32 : c == 0x17F ? 'S' : c;
        glia_unicode_lower(c, lower);
        if (c == 0x17F) lower[0] = 's'; /* long s and the Kelvin sign fold to ASCII */
        for (int i = 0; i < s->n && !found; i++)
            found = in_item(&s->items[i], lower[0]) || in_item(&s->items[i], upper);
    }
    return found != s->negated;
}

typedef struct matcher {
    const glia_regex *regex;
    const glia_glyph *text;
    int64_t n, steps;
    glia_regex_stack *stack;
    int depth;
} matcher;

static bool push(matcher *m, struct glia_regex_frame f) {
    glia_regex_stack *s = m->stack;
    if (!glia_grow((void **)&s->frames, s->n, &s->capacity, sizeof *s->frames)) return !(s->failed = true);
    s->frames[s->n++] = f;
    return true;
}

/* Counts the consecutive characters of the set from `at`, up to `most`. */
static int64_t run_length(const matcher *m, const set *s, int64_t at, int64_t most) {
    int64_t n = 0;
    while (n < most && at + n < m->n && in_set(s, m->text[at + n].c)) n++;
    return n;
}

static bool edge(const matcher *m, int64_t at) {
    const bool before = at > 0 && is_word(m->text[at - 1].c);
    return before != (at < m->n && is_word(m->text[at].c));
}

/* Backtracks to the top stack entry: where to continue. false: none above `bottom`. */
static bool back(matcher *m, int bottom, int *at, int64_t *place) {
    if (m->stack->n <= bottom) return false;
    struct glia_regex_frame *f = &m->stack->frames[m->stack->n - 1];
    *at = f->at;
    *place = f->place;
    if (!f->run) {
        m->stack->n--;
    } else if (f->run->lazy) { /* one more, if possible */
        const instruction *run = f->run;
        const bool more = f->place < f->least && f->place < m->n && in_set(run->set, m->text[f->place].c);
        if (!more) return m->stack->n--, back(m, bottom, at, place);
        *place = ++f->place;
    } else { /* one less */
        *place = --f->place;
        if (f->place <= f->least) m->stack->n--;
    }
    return true;
}

/* Matches a run at `place` and pushes its backtracking points. */
static bool start_run(matcher *m, const instruction *i, int at, int64_t *place, bool *failed) {
    const int64_t n = run_length(m, i->set, *place, i->lazy ? i->least : i->most);
    if (n < i->least) return false;
    const int64_t start = *place;
    *place = start + n;
    struct glia_regex_frame f = { .at = at + 1, .place = *place, .least = start + i->least, .run = i };
    if (i->lazy) f.least = i->most == INT64_MAX ? INT64_MAX : start + i->most;
    if (!i->possessive && (i->lazy || n > i->least) && !push(m, f)) *failed = true;
    return true;
}

/* Runs the program from `at` on text from *end on. 1: match, up to *end; 0: no match; -1: memory or steps ran out. */
static int run(matcher *m, int at, int64_t *end) {
    const int bottom = m->stack->n;
    int64_t place = *end;
    if (++m->depth > DEPTH_MOST) return -1;
    for (bool failed = false;;) {
        if (++m->steps > STEPS_MOST + 64 * m->n || failed) return -1;
        const instruction *i = &m->regex->program[at];
        bool good = true;
        int next = at + 1;
        switch (i->code) {
        case ONE: good = place < m->n && in_set(i->set, m->text[place].c), place += good; break;
        case RUN: good = start_run(m, i, at, &place, &failed); break;
        case FORK:
            failed = !push(m, (struct glia_regex_frame){ .at = i->b, .place = place });
            next = i->a;
            break;
        case JUMP: next = i->a; break;
        case BEHIND: good = (place > 0 && in_set(i->set, m->text[place - 1].c)) != i->negated; break;
        case BEGIN: good = place == 0 || (i->lines && m->text[place - 1].c == '\n'); break;
        case END: good = place == m->n || (i->lines && m->text[place].c == '\n'); break;
        case EDGE: good = edge(m, place) != i->negated; break;
        case LOOK:
        case ATOMIC: {
            int64_t there = place;
            const int inner = run(m, i->a, &there);
            if (inner < 0) return -1;
            good = (inner == 1) != i->negated;
            if (good && i->code == ATOMIC) place = there;
            next = i->b;
            break;
        }
        case DONE:
            m->stack->n = bottom;
            m->depth--;
            *end = place;
            return 1;
        }
        at = next;
        if (!good && !back(m, bottom, &at, &place)) return m->depth--, 0;
    }
}

int glia_regex_find(const glia_regex *regex, const glia_glyph *text, int64_t n, int64_t from, glia_regex_stack *stack,
                    int64_t *begin, int64_t *end) {
    matcher m = { .regex = regex, .text = text, .n = n, .stack = stack };
    stack->n = 0;
    stack->failed = false;
    for (int64_t at = from; at <= n; at++) {
        m.depth = 0;
        int64_t stop = at;
        const int found = run(&m, 0, &stop);
        if (found < 0) return -1;
        if (!found) continue;
        *begin = at;
        *end = stop;
        return 1;
    }
    return 0;
}

glia_regex *glia_regex_compile(glia_arena *arena, const char *pattern, glia_error *error) {
    glia_glyphs g = { 0 };
    glia_glyphs_decode(&g, pattern, strlen(pattern));
    glia_regex *r = g.failed ? NULL : glia_arena_alloc(arena, sizeof *r);
    parser p = { .p = g.at, .end = g.at ? g.at + g.n : NULL, .arena = arena }; /* an empty pattern has no glyphs */
    if (!r) p.wrong = "memory";
    if (!p.wrong) alternatives(&p);
    if (!p.wrong && p.p < p.end) fail(&p, "the ( of this ) is missing");
    emit(&p, (instruction){ .code = DONE });
    const size_t place = p.p < p.end ? p.p->begin : strlen(pattern);
    if (!p.wrong) {
        r->program = glia_arena_alloc(arena, (size_t)p.n * sizeof *r->program);
        r->n = p.n;
        if (r->program)
            memcpy(r->program, p.program, (size_t)p.n * sizeof *r->program);
        else
            p.wrong = "memory";
    }
    free(p.program);
    free(g.at);
    if (!p.wrong) return r;
    if (!strcmp(p.wrong, "memory"))
        glia_fail_nomem(error);
    else
        glia_fail(error, GLIA_E_UNSUPPORTED, "the pattern \"%.200s\", at its byte %zu: %s", pattern, place,
                  p.wrong);
    return NULL;
}
