/* train.c - trains tokenizers on texts: counts pieces, trains the model of the given kind on the counts, writes a
 * tokenizer.json and parses it.
 *
 * Threads count shares of the texts whose bounds depend only on the number of texts. The counts are sorted by their
 * bytes. So the result does not depend on the number of threads or the order of the texts.
 */
#include <stdlib.h>
#include <string.h>

#include "data/text/text.h"

const char *glia_tokenizer_kind_name(glia_tokenizer_kind kind) {
    static const char *const names[] = { "characters", "words", "bpe", "wordpiece", "unigram" };
    return (int)kind >= 0 && (int)kind < GLIA_COUNT(names) ? names[kind] : NULL;
}

/* ---- counting ----------------------------------------------------------------------------- */

typedef struct tally {
    glia_string *words;
    int64_t *counts;
    glia_hash_table by_word;
    int n, capacity;
    glia_arena arena;
    glia_text key;
} tally;

static bool grow(tally *t) {
    const int capacity = t->capacity ? 2 * t->capacity : 256;
    glia_string *words = realloc(t->words, (size_t)capacity * sizeof *words);
    if (!words) return false;
    t->words = words;
    int64_t *counts = realloc(t->counts, (size_t)capacity * sizeof *counts);
    if (!counts) return false;
    t->counts = counts;
    t->capacity = capacity;
    return true;
}

static bool count_word(tally *t, const char *bytes, size_t length, int64_t times) {
    const uint32_t hash = glia_hash_u32(bytes, length);
    int32_t i;
    for (uint32_t at = hash; (i = glia_hash_next(&t->by_word, hash, &at)) >= 0;)
        if (t->words[i].length == length && !memcmp(t->words[i].bytes, bytes, length)) break;
    if (i < 0) {
        if (t->n == t->capacity && !grow(t)) return false;
        char *copy = glia_arena_alloc(&t->arena, length + 1);
        if (!copy || !glia_hash_add(&t->by_word, hash, t->n)) return false;
        memcpy(copy, bytes, length);
        i = t->n++;
        t->words[i] = (glia_string){ copy, length };
        t->counts[i] = 0;
    }
    t->counts[i] += times;
    return true;
}

/* Counts a piece. Pieces that contain NUL are skipped, since JSON strings cannot hold it here. */
static bool count_piece(void *context, const glia_glyph *text, int64_t n) {
    tally *t = context;
    t->key.length = 0;
    for (int64_t i = 0; i < n; i++) {
        char bytes[4];
        if (!text[i].c) return true;
        glia_text_append(&t->key, bytes, glia_utf8_put(text[i].c >= GLIA_RAW ? GLIA_REPLACEMENT : text[i].c, bytes));
    }
    return !t->key.failed && count_word(t, t->key.bytes, t->key.length, 1);
}

static void tally_free(tally *t) {
    free(t->words);
    free(t->counts);
    glia_hash_free(&t->by_word);
    free(t->key.bytes);
    glia_arena_free(&t->arena);
}

enum { SHARES = 32 };

typedef struct counting {
    const glia_tokenizer *shell; /* has the normaliser and pre-tokenizer */
    const glia_string *texts;
    int64_t n, each;
    tally tallies[SHARES];
    glia_status statuses[SHARES];
} counting;

static void count_share(void *context, int64_t share, int worker) {
    counting *c = context;
    glia_workspace w = { 0 };
    (void)worker;
    const int64_t end = GLIA_MIN(c->n, (share + 1) * c->each);
    for (int64_t i = share * c->each; i < end && !c->statuses[share]; i++)
        c->statuses[share] = glia_encode_pieces(c->shell, c->texts[i].bytes, c->texts[i].length, &w, count_piece,
                                                &c->tallies[share], NULL);
    glia_workspace_free(&w);
}

typedef struct counted {
    glia_string word;
    int64_t count;
} counted;

static int by_bytes(const void *a, const void *b) {
    const glia_string p = ((const counted *)a)->word, q = ((const counted *)b)->word;
    const int order = memcmp(p.bytes, q.bytes, GLIA_MIN(p.length, q.length));
    return order ? order : (p.length > q.length) - (p.length < q.length);
}

/* Sorts the merged counts. Takes ownership of the tally's words. */
static glia_status sort_counts(tally *all, glia_counts *out, glia_error *error) {
    counted *sorted = malloc((size_t)GLIA_MAX(all->n, 1) * sizeof *sorted);
    if (!sorted) return glia_fail_nomem(error);
    for (int i = 0; i < all->n; i++) sorted[i] = (counted){ all->words[i], all->counts[i] };
    if (all->n) qsort(sorted, (size_t)all->n, sizeof *sorted, by_bytes);
    for (int i = 0; i < all->n; i++) {
        all->words[i] = sorted[i].word;
        all->counts[i] = sorted[i].count;
    }
    free(sorted);
    *out = (glia_counts){ .words = all->words, .counts = all->counts, .n = all->n, .arena = all->arena };
    all->words = NULL;
    all->counts = NULL;
    all->arena = (glia_arena){ 0 };
    return GLIA_OK;
}

static glia_status count_texts(const glia_tokenizer *shell, const glia_string *texts, int64_t n, glia_pool *pool,
                               glia_counts *out, glia_error *error) {
    counting *c = calloc(1, sizeof *c);
    if (!c) return glia_fail_nomem(error);
    *c = (counting){ .shell = shell, .texts = texts, .n = n, .each = GLIA_MAX((n + SHARES - 1) / SHARES, (int64_t)1) };
    const int64_t shares = (n + c->each - 1) / c->each;
    glia_parallel_for(pool, shares, count_share, c);
    glia_status status = GLIA_OK;
    for (int64_t s = 0; s < shares && !status; s++) {
        const tally *t = &c->tallies[s];
        if (c->statuses[s])
            status = c->statuses[s] == GLIA_E_NOMEM
                         ? glia_fail_nomem(error)
                         : glia_fail(error, c->statuses[s], "a text cannot be split into words");
        for (int i = 0; s > 0 && i < t->n && !status; i++)
            if (!count_word(&c->tallies[0], t->words[i].bytes, t->words[i].length, t->counts[i]))
                status = glia_fail_nomem(error);
    }
    if (!status) status = sort_counts(&c->tallies[0], out, error);
    for (int s = 0; s < SHARES; s++) tally_free(&c->tallies[s]);
    free(c);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void append(glia_text *out, const char *words) { glia_text_append(out, words, strlen(words)); }

static int32_t special_id(const char *name, const char *const *specials, const int32_t *ids, int n) {
    for (int i = 0; i < n; i++)
        if (!strcmp(specials[i], name)) return ids ? ids[i] : i;
    return -1;
}

/* Writes the template [CLS] A [SEP] B [SEP]. */
static void write_bert_template(glia_text *out, int32_t cls, int32_t sep) {
    static const char slot[] = "{\"SpecialToken\":{\"id\":\"%s\",\"type_id\":%d}}";
    static const char text[] = "{\"Sequence\":{\"id\":\"%s\",\"type_id\":%d}}";
    append(out, "{\"type\":\"TemplateProcessing\",");
    for (int pair = 0; pair < 2; pair++) {
        append(out, pair ? "\"pair\":[" : "\"single\":[");
        glia_text_printf(out, slot, "[CLS]", 0);
        append(out, ",");
        glia_text_printf(out, text, "A", 0);
        append(out, ",");
        glia_text_printf(out, slot, "[SEP]", 0);
        if (pair) {
            append(out, ",");
            glia_text_printf(out, text, "B", 1);
            append(out, ",");
            glia_text_printf(out, slot, "[SEP]", 1);
        }
        append(out, "],");
    }
    glia_text_printf(out,
                     "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[%d],\"tokens\":[\"[CLS]\"]},"
                     "\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[%d],\"tokens\":[\"[SEP]\"]}}}",
                     (int)cls, (int)sep);
}

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,\"trim_offsets\":%s,\"use_regex\":true}"
#define METASPACE                                                                                                      \
    "{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"always\",\"split\":true}"
#define BARE                                                                                                           \
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":\"Lowercase\"},{\"type\":\"StripAccents\"}]" \
    "}"

/* Normaliser, pre-tokenizer and decoder of each kind. */
static const struct {
    const char *normalizer, *lowercase, *cutter, *decoder;
} shells[] = {
    [GLIA_TOKENIZER_CHARACTERS] = { "null", BARE,
                                    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[\\\\s\\\\S]\"},\"behavior\":"
                                    "\"Isolated\","
                                    "\"invert\":false}",
                                    "{\"type\":\"Fuse\"}" },
    [GLIA_TOKENIZER_WORDS] = { "null", BARE, "{\"type\":\"WhitespaceSplit\"}", "null" },
    [GLIA_TOKENIZER_BPE] = { "null", BARE,
                             "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":"
                             "true}",
                             "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":"
                             "true}" },
    [GLIA_TOKENIZER_WORDPIECE] = { "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
                                   "\"strip_accents\":null,\"lowercase\":false}",
                                   "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
                                   "\"strip_accents\":null,\"lowercase\":true}",
                                   "{\"type\":\"BertPreTokenizer\"}",
                                   "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}" },
    [GLIA_TOKENIZER_UNIGRAM] = { "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Nmt\"},{\"type\":\"NFKC\"},"
                                 "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}]}",
                                 "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Nmt\"},{\"type\":\"NFKC\"},"
                                 "{\"type\":\"Lowercase\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},"
                                 "\"content\":\" \"}]}",
                                 METASPACE, METASPACE },
};

void glia_write_shell(glia_text *out, glia_tokenizer_kind kind, bool lowercase, const char *const *specials,
                      const int32_t *ids, int n) {
    append(out, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[");
    for (int i = 0; i < n; i++) {
        glia_text_printf(out, "%s{\"id\":%d,\"content\":", i ? "," : "", (int)(ids ? ids[i] : i));
        glia_json_write_string(out, specials[i]);
        append(out, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}");
    }
    append(out, "],\n\"normalizer\":");
    append(out, lowercase ? shells[kind].lowercase : shells[kind].normalizer);
    append(out, ",\n\"pre_tokenizer\":");
    append(out, shells[kind].cutter);
    append(out, ",\n\"post_processor\":");
    const int32_t cls = special_id("[CLS]", specials, ids, n), sep = special_id("[SEP]", specials, ids, n);
    if (kind == GLIA_TOKENIZER_WORDPIECE && cls >= 0 && sep >= 0)
        write_bert_template(out, cls, sep);
    else if (kind == GLIA_TOKENIZER_BPE)
        glia_text_printf(out, BYTE_LEVEL, "true", "false");
    else
        append(out, "null");
    append(out, ",\n\"decoder\":");
    append(out, shells[kind].decoder);
    append(out, ",\n\"model\":");
}

/* Writes a model of whole words: the special tokens, then `words`. */
static void write_words(const glia_trainer *t, const glia_string *words, int64_t n, const char *unknown,
                        glia_text *out) {
    append(out, "{\"type\":\"WordLevel\",\"vocab\":{");
    for (int i = 0; i < t->n_specials; i++) {
        append(out, i ? "," : "");
        glia_json_write_string(out, t->specials[i]);
        glia_text_printf(out, ":%d", i);
    }
    int64_t id = t->n_specials;
    for (int64_t i = 0; i < n; i++) {
        if (special_id(words[i].bytes, t->specials, NULL, t->n_specials) >= 0) continue;
        append(out, id ? ",\n" : "\n");
        glia_json_write_string(out, words[i].bytes);
        glia_text_printf(out, ":%lld", (long long)id++);
    }
    append(out, "},\"unk_token\":");
    glia_json_write_string(out, unknown);
    append(out, "}");
}

/* ---- whole words -------------------------------------------------------------------------- */

static int by_count(const void *a, const void *b) {
    const counted *p = a, *q = b;
    return p->count != q->count ? (p->count < q->count ? 1 : -1) : by_bytes(a, b);
}

/* Keeps the most frequent entries. Characters stay sorted by bytes; words are sorted by count. */
static glia_status train_words(const glia_trainer *t, bool words, glia_text *out) {
    const glia_counts *c = t->counts;
    counted *list = malloc((size_t)GLIA_MAX(c->n, 1) * sizeof *list);
    glia_string *kept = malloc((size_t)GLIA_MAX(c->n, 1) * sizeof *kept);
    int64_t n = 0;
    const int64_t room = t->opts.vocabulary ? t->opts.vocabulary - t->n_specials : c->n;
    for (int32_t i = 0; list && kept && i < c->n; i++)
        if (c->counts[i] >= t->opts.minimum) list[n++] = (counted){ c->words[i], c->counts[i] };
    if (list && kept && n && (words || n > room)) qsort(list, (size_t)n, sizeof *list, by_count);
    n = GLIA_MIN(n, GLIA_MAX(room, (int64_t)0));
    if (list && kept && n && !words) qsort(list, (size_t)n, sizeof *list, by_bytes);
    for (int64_t i = 0; list && kept && i < n; i++) kept[i] = list[i].word;
    const char *unknown = "";
    for (int i = 0; i < t->n_specials; i++)
        if (!strcmp(t->specials[i], "[UNK]") || !strcmp(t->specials[i], "<unk>")) unknown = t->specials[i];
    if (list && kept) write_words(t, kept, n, unknown, out);
    const bool failed = !list || !kept;
    free(list);
    free(kept);
    return failed ? glia_fail_nomem(t->error) : GLIA_OK;
}

/* ---- training ----------------------------------------------------------------------------- */

/* Splits the comma-separated special tokens; modifies `copy`. */
static glia_status read_specials(glia_trainer *t, glia_tokenizer_kind kind, char *copy) {
    for (char *at = copy; *at;) {
        char *end = at + strcspn(at, ",");
        const bool last = !*end;
        *end = 0;
        if (t->n_specials == GLIA_COUNT(t->specials))
            return glia_fail(t->error, GLIA_E_ARGUMENT, "more than %d special tokens", GLIA_COUNT(t->specials));
        if (special_id(at, t->specials, NULL, t->n_specials) >= 0 || !*at)
            return glia_fail(t->error, GLIA_E_ARGUMENT, "the special token \"%s\" is empty or given twice", at);
        t->specials[t->n_specials++] = at;
        at = last ? end : end + 1;
    }
    const char *needed = kind == GLIA_TOKENIZER_WORDPIECE ? "[UNK]" : kind == GLIA_TOKENIZER_UNIGRAM ? "<unk>" : NULL;
    if (needed && special_id(needed, t->specials, NULL, t->n_specials) < 0)
        return glia_fail(t->error, GLIA_E_ARGUMENT, "a %s tokenizer needs %s among its special tokens",
                         glia_tokenizer_kind_name(kind), needed);
    return GLIA_OK;
}

static const char *usual_specials(glia_tokenizer_kind kind) {
    if (kind == GLIA_TOKENIZER_WORDS) return "[UNK]";
    if (kind == GLIA_TOKENIZER_WORDPIECE) return "[PAD],[UNK],[CLS],[SEP],[MASK]";
    return kind == GLIA_TOKENIZER_UNIGRAM ? "<unk>" : "";
}

/* Trains the model of this kind and appends it. */
static glia_status train_model(const glia_trainer *t, glia_tokenizer_kind kind, glia_text *out) {
    if (kind == GLIA_TOKENIZER_BPE || kind == GLIA_TOKENIZER_WORDPIECE)
        return glia_train_bpe(t, kind == GLIA_TOKENIZER_WORDPIECE, out);
    if (kind == GLIA_TOKENIZER_UNIGRAM) return glia_train_unigram(t, out);
    return train_words(t, kind == GLIA_TOKENIZER_WORDS, out);
}

/* A tokenizer with normaliser and pre-tokenizer but no vocabulary, to cut the texts. */
static glia_tokenizer *create_shell(glia_tokenizer_kind kind, bool lowercase, glia_error *error) {
    glia_text json = { 0 };
    glia_write_shell(&json, kind, lowercase, NULL, NULL, 0);
    append(&json, "{\"type\":\"WordLevel\",\"vocab\":{},\"unk_token\":\"\"}}");
    glia_tokenizer *shell = json.failed ? NULL : glia_tokenizer_parse(json.bytes, json.length, error);
    if (json.failed) glia_fail_nomem(error);
    free(json.bytes);
    return shell;
}

static glia_tokenizer *train(glia_trainer *t, glia_tokenizer_kind kind, char *specials, const glia_string *texts,
                             int64_t n) {
    glia_text json = { 0 };
    glia_counts counts = { 0 };
    glia_tokenizer *made = NULL, *shell = NULL;
    glia_status status = read_specials(t, kind, specials);
    if (!status) shell = create_shell(kind, t->opts.lowercase, t->error);
    if (shell) t->pool = glia_pool_create(t->opts.threads, t->error);
    if (t->pool && !count_texts(shell, texts, n, t->pool, &counts, t->error)) {
        t->counts = &counts;
        glia_write_shell(&json, kind, t->opts.lowercase, t->specials, NULL, t->n_specials);
        status = train_model(t, kind, &json);
        append(&json, "}\n");
        if (!status && json.failed) status = glia_fail_nomem(t->error);
        if (!status) made = glia_tokenizer_parse(json.bytes, json.length, t->error);
    }
    glia_pool_free(t->pool);
    glia_tokenizer_free(shell);
    free(json.bytes);
    free(counts.words);
    free(counts.counts);
    glia_arena_free(&counts.arena);
    return made;
}

glia_tokenizer *glia_tokenizer_train(glia_tokenizer_kind kind, glia_tokenizer_opts opts, const glia_string *texts,
                                     int64_t n, glia_error *error) {
    if (n > 0 && !texts) return glia_fail_null(error, "texts"), NULL;
    if (!glia_tokenizer_kind_name(kind))
        return glia_fail(error, GLIA_E_ARGUMENT, "the kind of tokenizer is unknown"), NULL;
    if (opts.vocabulary < 0 || opts.vocabulary > 1 << 24 || opts.minimum < 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "a vocabulary of %lld tokens is not possible",
                         (long long)opts.vocabulary),
               NULL;
    if (!opts.vocabulary && kind != GLIA_TOKENIZER_CHARACTERS) opts.vocabulary = 8192;
    opts.minimum = GLIA_MAX(opts.minimum, 1);
    char *specials = strdup(opts.specials ? opts.specials : usual_specials(kind));
    if (!specials) return glia_fail_nomem(error), NULL;
    glia_error own = { 0 };
    glia_trainer t = { .opts = opts, .error = error ? error : &own };
    glia_tokenizer *made = train(&t, kind, specials, texts, n);
    free(specials);
    return made;
}
