/* text_augment.c - easy data augmentation (EDA) of text (Wei and Zou 2019), and its synonym dictionary.
 *
 * Words are separated by whitespace. Only ASCII whitespace, letters and punctuation are interpreted, so any UTF-8 text
 * works. For lookup, surrounding punctuation is stripped and ASCII letters are lower-cased.
 *
 * Synonyms are sorted pairs of words. WordNet's data files list synsets, sets of words with the same meaning; the
 * synonyms of a word are all words that share a synset with it.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/augment/augment.h"

/* ---- synonyms ----------------------------------------------------------------------------- */

typedef struct pair {
    const char *word, *synonym;
} pair;

struct glia_synonyms {
    pair *pairs; /* sorted, without duplicates */
    int n, capacity;
    glia_arena arena;
};

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }
static bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

/* A lower-case copy without surrounding whitespace; underscores become spaces. */
static char *clean(glia_arena *arena, const char *begin, const char *end) {
    while (begin < end && blank(*begin)) begin++;
    while (end > begin && blank(end[-1])) end--;
    char *copy = glia_arena_alloc(arena, (size_t)(end - begin) + 1);
    for (char *at = copy; copy && begin < end; begin++) *at++ = *begin == '_' ? ' ' : lower(*begin);
    return copy;
}

static glia_status add_pair(glia_synonyms *s, const char *word, const char *synonym, glia_error *error) {
    if (!word || !synonym) return glia_fail_nomem(error);
    if (!*word || !*synonym || !strcmp(word, synonym)) return GLIA_OK;
    if (!glia_grow((void **)&s->pairs, s->n, &s->capacity, sizeof *s->pairs)) return glia_fail_nomem(error);
    s->pairs[s->n++] = (pair){ word, synonym };
    return GLIA_OK;
}

/* Parses "word: synonym, synonym"; skips empty lines and # comments. */
static glia_status add_line(glia_synonyms *s, const char *at, const char *end, int number, glia_error *error) {
    const char *colon = memchr(at, ':', (size_t)(end - at)), *p = at;
    while (p < end && blank(*p)) p++;
    if (p == end || *p == '#') return GLIA_OK;
    if (!colon) return glia_fail(error, GLIA_E_FORMAT, "line %d is not \"word: synonym, synonym\"", number);
    const char *word = clean(&s->arena, at, colon);
    glia_status status = GLIA_OK;
    for (at = colon + 1; at <= end && !status; at++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        comma = comma ? comma : end;
        status = add_pair(s, word, clean(&s->arena, at, comma), error);
        at = comma;
    }
    return status;
}

/* Finds the next field of a line; returns its length, 0 at the end. */
static int next_field(const char **at, const char *end, const char **field) {
    while (*at < end && **at == ' ') ++*at;
    *field = *at;
    while (*at < end && **at != ' ') ++*at;
    return (int)(*at - *field);
}

/* Parses a synset: offset, file number, type, number of words in hexadecimal, then each word with a digit (wndb(5WN)).
 * An adjective may have a position marker: "galore(ip)". Lines that begin with a space are the licence. */
static glia_status add_synset(glia_synonyms *s, const char *at, const char *end, int number, glia_error *error) {
    enum { MOST = 64 };
    const char *field, *words[MOST];
    if (at == end || *at == ' ') return GLIA_OK;
    char count[8] = { 0 };
    int length = 0;
    for (int i = 0; i < 4; i++) length = next_field(&at, end, &field);
    if (length < 1 || length > 4) return glia_fail(error, GLIA_E_FORMAT, "line %d is not a synset of WordNet", number);
    memcpy(count, field, (size_t)length);
    char *rest;
    const long n = strtol(count, &rest, 16);
    if (*rest || n < 1) return glia_fail(error, GLIA_E_FORMAT, "line %d is not a synset of WordNet", number);
    int kept = 0;
    for (long i = 0; i < n; i++) {
        const char *word, *digit;
        length = next_field(&at, end, &word);
        if (!length || !next_field(&at, end, &digit)) {
            return glia_fail(error, GLIA_E_FORMAT, "line %d ends before its %ld words", number, n);
        }
        const char *mark = memchr(word, '(', (size_t)length);
        if (kept == MOST || n == 1) continue;
        words[kept] = clean(&s->arena, word, mark ? mark : word + length);
        if (!words[kept++]) return glia_fail_nomem(error);
    }
    glia_status status = GLIA_OK;
    for (int i = 0; i < kept && !status; i++)
        for (int k = 0; k < kept && !status; k++) status = add_pair(s, words[i], words[k], error);
    return status;
}

static glia_status add_file(glia_synonyms *s, const char *path, bool wordnet, glia_error *error) {
    glia_file file;
    glia_status status = glia_file_open(&file, path, error);
    if (status) return status;
    const char *at = (const char *)file.bytes, *end = at + file.length;
    for (int number = 1; at < end && !status; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        status = wordnet ? add_synset(s, at, stop, number, error) : add_line(s, at, stop, number, error);
        at = stop + 1;
    }
    glia_file_close(&file);
    return glia_fail_at_path(error, path, status);
}

static glia_status add_wordnet(glia_synonyms *s, const char *folder, glia_error *error) {
    static const char *const names[] = { "noun", "verb", "adj", "adv" };
    glia_status status = GLIA_OK;
    for (int i = 0; i < GLIA_COUNT(names) && !status; i++) {
        char *path = glia_arena_printf(&s->arena, "%s/data.%s", folder, names[i]);
        status = path ? add_file(s, path, true, error) : glia_fail_nomem(error);
    }
    return status;
}

static int in_order(const void *a, const void *b) {
    const pair *p = a, *q = b;
    const int by_word = strcmp(p->word, q->word);
    return by_word ? by_word : strcmp(p->synonym, q->synonym);
}

glia_synonyms *glia_synonyms_open(const char *path, glia_error *error) {
    if (!path) return glia_fail_null(error, "path"), NULL;
    glia_synonyms *s = calloc(1, sizeof *s);
    if (!s) return glia_fail_nomem(error), NULL;
    struct stat about;
    const bool folder = stat(path, &about) == 0 && S_ISDIR(about.st_mode);
    glia_status status = folder ? add_wordnet(s, path, error) : add_file(s, path, false, error);
    if (!status && s->n == 0) status = glia_fail(error, GLIA_E_FORMAT, "%s has no synonyms", path);
    if (status) {
        glia_synonyms_free(s);
        return NULL;
    }
    qsort(s->pairs, (size_t)s->n, sizeof *s->pairs, in_order);
    int kept = 1;
    for (int i = 1; i < s->n; i++)
        if (in_order(&s->pairs[kept - 1], &s->pairs[i])) s->pairs[kept++] = s->pairs[i];
    s->n = kept;
    return s;
}

void glia_synonyms_free(glia_synonyms *s) {
    if (!s) return;
    free(s->pairs);
    glia_arena_free(&s->arena);
    free(s);
}

/* Returns the number of pairs of a word, which start at *first. */
static int find(const glia_synonyms *s, const char *word, int *first) {
    int low = 0, high = s->n;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (strcmp(s->pairs[middle].word, word) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    int n = 0;
    while (low + n < s->n && !strcmp(s->pairs[low + n].word, word)) n++;
    *first = low;
    return n;
}

int glia_synonyms_find(const glia_synonyms *s, const char *word, const char **out, int capacity) {
    if (!s || !word) return 0;
    if (!out) capacity = 0;
    int first;
    const int n = find(s, word, &first);
    for (int i = 0; i < n && i < capacity; i++) out[i] = s->pairs[first + i].synonym;
    return n;
}

/* ---- words -------------------------------------------------------------------------------- */

typedef struct words {
    const char **at;
    int n, capacity;
    const glia_synonyms *synonyms;
    glia_rng rng;
    glia_arena arena;
} words;

/* EDA's stop words, which are never replaced. Sorted. */
static const char *const stop_words[] = {
    "a",       "about",  "above",   "after",  "again",  "against",    "all",        "am",        "an",    "and",
    "any",     "are",    "as",      "at",     "be",     "because",    "been",       "before",    "being", "below",
    "between", "both",   "but",     "by",     "can",    "did",        "do",         "does",      "doing", "don",
    "down",    "during", "each",    "few",    "for",    "from",       "further",    "had",       "has",   "have",
    "having",  "he",     "her",     "here",   "hers",   "herself",    "him",        "himself",   "his",   "how",
    "i",       "if",     "in",      "into",   "is",     "it",         "its",        "itself",    "just",  "me",
    "more",    "most",   "my",      "myself", "no",     "nor",        "not",        "now",       "of",    "off",
    "on",      "once",   "only",    "or",     "other",  "our",        "ours",       "ourselves", "out",   "over",
    "own",     "s",      "same",    "she",    "should", "so",         "some",       "such",      "t",     "than",
    "that",    "the",    "their",   "theirs", "them",   "themselves", "then",       "there",     "these", "they",
    "this",    "those",  "through", "to",     "too",    "under",      "until",      "up",        "very",  "was",
    "we",      "were",   "what",    "when",   "where",  "which",      "while",      "who",       "whom",  "why",
    "will",    "with",   "you",     "your",   "yours",  "yourself",   "yourselves",
};

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static bool is_stop_word(const char *word) {
    return bsearch(&word, stop_words, GLIA_COUNT(stop_words), sizeof *stop_words, by_text) != NULL;
}

static bool insert(words *w, int at, const char *word) {
    if (!word || !glia_grow((void **)&w->at, w->n, &w->capacity, sizeof *w->at)) return false;
    memmove(w->at + at + 1, w->at + at, (size_t)(w->n++ - at) * sizeof *w->at);
    w->at[at] = word;
    return true;
}

static bool cut(words *w, const char *text) {
    for (const char *p = text; *p;) {
        const char *begin = p;
        while (*p && !blank(*p)) p++;
        if (p > begin) {
            char *copy = glia_arena_alloc(&w->arena, (size_t)(p - begin) + 1);
            if (copy) memcpy(copy, begin, (size_t)(p - begin));
            if (!insert(w, w->n, copy)) return false;
        }
        while (blank(*p)) p++;
    }
    return true;
}

/* The word without surrounding punctuation: word[*begin, *end). */
static void core(const char *word, size_t *begin, size_t *end) {
    *begin = 0;
    *end = strlen(word);
    while (*begin < *end && ispunct((unsigned char)word[*begin]) && !(word[*begin] & 0x80)) ++*begin;
    while (*end > *begin && ispunct((unsigned char)word[*end - 1]) && !(word[*end - 1] & 0x80)) --*end;
}

static char *core_of(words *w, const char *word) {
    size_t begin, end;
    core(word, &begin, &end);
    return clean(&w->arena, word + begin, word + end);
}

/* Replaces the word's core by the synonym; keeps punctuation and an initial capital. */
static const char *dress(words *w, const char *word, const char *synonym) {
    size_t begin, end;
    core(word, &begin, &end);
    char *out = glia_arena_printf(&w->arena, "%.*s%s%s", (int)begin, word, synonym, word + end);
    if (out && word[begin] >= 'A' && word[begin] <= 'Z' && out[begin] >= 'a' && out[begin] <= 'z') {
        out[begin] = (char)(out[begin] - 'a' + 'A');
    }
    return out;
}

/* A random synonym; NULL: none. */
static const char *draw_synonym(words *w, const char *plain) {
    int first;
    const int n = find(w->synonyms, plain, &first);
    return n ? w->synonyms->pairs[first + (int)glia_rng_below(&w->rng, (uint64_t)n)].synonym : NULL;
}

/* ---- operations --------------------------------------------------------------------------- */

/* Draws up to `most` distinct words that are not stop words and replaces all their occurrences by a synonym. */
static bool replace(words *w, int most) {
    const int n = w->n;
    const char **plain = glia_arena_alloc(&w->arena, (size_t)n * sizeof *plain);
    int64_t *order = glia_arena_alloc(&w->arena, (size_t)n * sizeof *order);
    bool *done = glia_arena_alloc(&w->arena, (size_t)n * sizeof *done);
    if (!plain || !order || !done) return false;
    for (int i = 0; i < n; i++) {
        order[i] = i;
        plain[i] = core_of(w, w->at[i]);
        if (!plain[i]) return false;
    }
    for (int i = n - 1; i > 0; i--) {
        const int other = (int)glia_rng_below(&w->rng, (uint64_t)i + 1);
        const int64_t swap = order[i];
        order[i] = order[other];
        order[other] = swap;
    }
    for (int i = 0; i < n && most > 0; i++) {
        const char *word = plain[order[i]];
        if (done[order[i]] || is_stop_word(word)) continue;
        const char *synonym = draw_synonym(w, word);
        if (!synonym) continue;
        for (int k = 0; k < n; k++) {
            if (strcmp(plain[k], word)) continue;
            done[k] = true;
            w->at[k] = dress(w, w->at[k], synonym);
            if (!w->at[k]) return false;
        }
        most--;
    }
    return true;
}

/* `times` times, inserts a synonym of a random word at a random place; ten trials to find a word that has one. */
static bool insert_synonyms(words *w, int times) {
    for (int i = 0; i < times; i++) {
        const char *synonym = NULL;
        for (int trial = 0; trial < 10 && !synonym; trial++) {
            const char *plain = core_of(w, w->at[glia_rng_below(&w->rng, (uint64_t)w->n)]);
            if (!plain) return false;
            synonym = draw_synonym(w, plain);
        }
        if (!synonym) return true;
        if (!insert(w, (int)glia_rng_below(&w->rng, (uint64_t)w->n + 1), synonym)) return false;
    }
    return true;
}

static void swap_words(words *w, int times) {
    for (int i = 0; i < times && w->n > 1; i++) {
        const int a = (int)glia_rng_below(&w->rng, (uint64_t)w->n);
        int b = (int)glia_rng_below(&w->rng, (uint64_t)w->n - 1);
        b += b >= a;
        const char *word = w->at[a];
        w->at[a] = w->at[b];
        w->at[b] = word;
    }
}

/* Deletes each word with probability p; at least one remains. */
static void delete_words(words *w, double p) {
    const char *last = w->at[glia_rng_below(&w->rng, (uint64_t)w->n)];
    int kept = 0;
    for (int i = 0; i < w->n; i++)
        if (glia_rng_uniform(&w->rng) >= p) w->at[kept++] = w->at[i];
    if (!kept) w->at[kept++] = last;
    w->n = kept;
}

static int times_of(const words *w, double share) { return share > 0 ? GLIA_MAX(1, (int)(share * w->n)) : 0; }

static bool operate(words *w, const glia_text_augment_opts *o) {
    const int replaced = times_of(w, o->replace), inserted = times_of(w, o->insert), swapped = times_of(w, o->swap);
    if (replaced && !replace(w, replaced)) return false;
    if (inserted && !insert_synonyms(w, inserted)) return false;
    swap_words(w, swapped);
    if (o->remove > 0) delete_words(w, o->remove);
    return true;
}

/* The words joined by spaces; NULL: out of memory. */
static char *join(const words *w) {
    glia_text text = { 0 };
    glia_text_append(&text, "", 0);
    for (int i = 0; i < w->n; i++) glia_text_printf(&text, "%s%s", i ? " " : "", w->at[i]);
    if (!text.failed) return text.bytes;
    free(text.bytes);
    return NULL;
}

char *glia_text_augment(const char *text, glia_text_augment_opts o, glia_error *error) {
    if (!text) return glia_fail_null(error, "text"), NULL;
    const double shares[] = { o.replace, o.insert, o.swap, o.remove };
    bool none = true;
    for (int i = 0; i < 4; i++) {
        none = none && shares[i] == 0;
        if (shares[i] >= 0 && shares[i] <= 1) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "text augmentation: the share %g is not in [0, 1]", shares[i]), NULL;
    }
    if ((o.replace > 0 || o.insert > 0) && !o.synonyms) {
        return glia_fail(error, GLIA_E_ARGUMENT, "text augmentation: replacing and inserting need synonyms"), NULL;
    }
    words w = { .synonyms = o.synonyms,
                .rng = glia_augment_rng(glia_augment_key(o.seed, (uint64_t)o.epoch), o.index, 0) };
    if (none) { /* one random operation of the four, or of the two that need no synonyms */
        double *const all[] = { &o.swap, &o.remove, &o.replace, &o.insert };
        *all[glia_rng_below(&w.rng, o.synonyms ? 4 : 2)] = 0.1;
    }
    bool done = cut(&w, text);
    if (done && w.n) done = operate(&w, &o);
    char *out = done ? join(&w) : NULL;
    if (!out) glia_fail_nomem(error);
    free(w.at);
    glia_arena_free(&w.arena);
    return out;
}
