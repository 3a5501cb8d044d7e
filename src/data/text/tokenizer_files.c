/* tokenizer_files.c - loads tokenizers from tokenizer.json and from older formats, GPT-2's vocab.json with merges.txt
 * and BERT's vocab.txt, which are first converted to tokenizer.json; trains tokenizers on files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/text/text.h"

static void append(glia_text *out, const char *words) { glia_text_append(out, words, strlen(words)); }

/* Reads the next line, without its line end; false: end of the text. */
static bool next_line(const char **at, const char *end, glia_string *line) {
    if (*at >= end) return false;
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    *line = (glia_string){ *at, (size_t)((stop ? stop : end) - *at) };
    *at = stop ? stop + 1 : end;
    while (line->length && line->bytes[line->length - 1] == '\r') line->length--;
    return true;
}

static bool valid(glia_string s) {
    for (size_t i = 0, n; i < s.length; i += n) {
        n = s.bytes[i] ? glia_utf8_length((const uint8_t *)s.bytes + i, s.length - i) : 0;
        if (!n) return false;
    }
    return true;
}

/* ---- BERT's vocab.txt --------------------------------------------------------------------- */

typedef struct lines {
    glia_arena arena;
    const char **tokens;
    int n, capacity;
    glia_vocabulary vocabulary;
} lines;

static void lines_free(lines *l) {
    free(l->tokens);
    glia_vocabulary_free(&l->vocabulary);
    glia_arena_free(&l->arena);
}

static glia_status read_lines(lines *l, const char *at, const char *end, glia_error *error) {
    for (glia_string line; next_line(&at, end, &line);) {
        const int number = l->n + 1;
        if (!valid(line) || !line.length)
            return glia_fail(error, GLIA_E_FORMAT, "line %d: %s", number,
                             line.length ? "the token is not valid UTF-8" : "the token is empty");
        if (glia_vocabulary_find(&l->vocabulary, line.bytes, line.length) >= 0)
            return glia_fail(error, GLIA_E_FORMAT, "line %d: the token \"%.*s\" is given twice", number,
                             (int)GLIA_MIN(line.length, (size_t)60), line.bytes);
        char *copy = glia_arena_alloc(&l->arena, line.length + 1);
        if (!copy || !glia_grow((void **)&l->tokens, l->n, &l->capacity, sizeof *l->tokens))
            return glia_fail_nomem(error);
        memcpy(copy, line.bytes, line.length);
        if (!glia_vocabulary_set(&l->vocabulary, copy, line.length, l->n)) return glia_fail_nomem(error);
        l->tokens[l->n++] = copy;
    }
    return l->n ? GLIA_OK : glia_fail(error, GLIA_E_FORMAT, "line 1: there are no tokens");
}

/* By the path ("uncased", "cased"); else uncased if no token but those with [ has an upper-case letter. */
static bool uncased(const char *path, const lines *l) {
    if (strstr(path, "uncased")) return true;
    if (strstr(path, "cased")) return false;
    for (int i = 0; i < l->n; i++) {
        if (l->tokens[i][0] == '[') continue;
        for (const char *p = l->tokens[i]; *p; p++)
            if (*p >= 'A' && *p <= 'Z') return false;
    }
    return true;
}

/* Selects those of `names` that are in the vocabulary. */
static int known_specials(const glia_vocabulary *v, const char *const *names, int n, const char **specials,
                          int32_t *ids) {
    int found = 0;
    for (int i = 0; i < n; i++) {
        const int32_t id = glia_vocabulary_find(v, names[i], strlen(names[i]));
        if (id < 0) continue;
        specials[found] = names[i];
        ids[found++] = id;
    }
    return found;
}

glia_status glia_vocab_txt_json(const char *path, const uint8_t *bytes, size_t length, glia_text *out,
                                glia_error *error) {
    static const char *const names[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" };
    lines l = { 0 };
    const char *specials[GLIA_COUNT(names)];
    int32_t ids[GLIA_COUNT(names)];
    glia_status status = read_lines(&l, (const char *)bytes, (const char *)bytes + length, error);
    if (!status) {
        const int n = known_specials(&l.vocabulary, names, GLIA_COUNT(names), specials, ids);
        glia_write_shell(out, GLIA_TOKENIZER_WORDPIECE, uncased(path, &l), specials, ids, n);
        append(out, "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
                    "\"max_input_chars_per_word\":100,\"vocab\":{");
        for (int i = 0; i < l.n; i++) {
            append(out, i ? ",\n" : "\n");
            glia_json_write_string(out, l.tokens[i]);
            glia_text_printf(out, ":%d", i);
        }
        append(out, "}}}\n");
        if (out->failed) status = glia_fail_nomem(error);
    }
    lines_free(&l);
    return status;
}

/* ---- GPT-2's vocab.json and merges.txt ---------------------------------------------------- */

/* Each line is "left right"; a first line "#version" is skipped. */
static glia_status write_merges(const glia_file *file, glia_text *out, glia_error *error) {
    const char *at = (const char *)file->bytes, *end = at + file->length;
    int number = 0, n = 0;
    append(out, ",\"merges\":[");
    for (glia_string line; next_line(&at, end, &line);) {
        if (++number == 1 && line.length >= 8 && !memcmp(line.bytes, "#version", 8)) continue;
        if (!line.length) continue;
        const char *space = memchr(line.bytes, ' ', line.length);
        const size_t rest = space ? (size_t)(line.bytes + line.length - space) - 1 : 0;
        if (!rest || space == line.bytes || memchr(space + 1, ' ', rest) || !valid(line))
            return glia_fail(error, GLIA_E_FORMAT, "line %d: a merge must be two tokens separated by a space",
                             number);
        char *copy = strndup(line.bytes, line.length);
        if (!copy) return glia_fail_nomem(error);
        append(out, n++ ? ",\n" : "\n");
        glia_json_write_string(out, copy);
        free(copy);
    }
    append(out, "]");
    return GLIA_OK;
}

/* Finds the special tokens of GPT-2 and related models in the vocabulary; writes all but the merges. */
static glia_status write_gpt2(const glia_file *vocab, glia_text *out, glia_error *error) {
    static const char *const names[] = { "<|endoftext|>", "<s>", "<pad>", "</s>", "<unk>", "<mask>" };
    const char *specials[GLIA_COUNT(names)];
    int32_t ids[GLIA_COUNT(names)];
    glia_arena arena = { 0 };
    int n = 0;
    const glia_json *json = glia_json_parse(&arena, vocab->bytes, vocab->length, 0, error);
    glia_status status = json ? GLIA_OK : error->status;
    if (json && json->kind != GLIA_JSON_OBJECT)
        status = glia_fail_json(error, GLIA_E_FORMAT, json, "expected an object of tokens and their ids");
    for (int i = 0; !status && i < GLIA_COUNT(names); i++) {
        int64_t id;
        if (!glia_json_int(glia_json_member(json, names[i]), &id) || id < 0 || id > INT32_MAX) continue;
        specials[n] = names[i];
        ids[n++] = (int32_t)id;
    }
    glia_arena_free(&arena);
    if (status) return status;
    glia_write_shell(out, GLIA_TOKENIZER_BPE, false, specials, ids, n);
    append(out, "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
                "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,"
                "\"vocab\":");
    glia_text_append(out, (const char *)vocab->bytes, vocab->length);
    return GLIA_OK;
}

glia_status glia_gpt2_json(const char *vocab_path, const char *merges_path, glia_text *out, glia_error *error) {
    glia_file vocab, merges;
    glia_error own = { 0 };
    glia_status status = glia_file_open(&vocab, vocab_path, error);
    if (status) return status;
    status = glia_fail_at_path(&own, vocab_path, write_gpt2(&vocab, out, &own));
    glia_file_close(&vocab);
    if (!status) {
        status = glia_file_open(&merges, merges_path, &own);
        if (!status) {
            status = glia_fail_at_path(&own, merges_path, write_merges(&merges, out, &own));
            glia_file_close(&merges);
        }
    }
    append(out, "}}\n");
    if (!status && out->failed) status = glia_fail_nomem(&own);
    if (status && error) *error = own;
    return status;
}

/* ---- loading ------------------------------------------------------------------------------ */

static bool is_folder(const char *path) {
    struct stat about;
    return !stat(path, &about) && S_ISDIR(about.st_mode);
}

static bool exists(const char *path) {
    struct stat about;
    return path && !stat(path, &about);
}

static bool ends_with(const char *path, const char *end) {
    const size_t n = strlen(path), m = strlen(end);
    return n >= m && !strcmp(path + n - m, end);
}

/* The path of `name` in the folder of `path`, or in `path` itself if that is a folder. */
static char *beside(glia_arena *arena, const char *path, bool folder, const char *name) {
    const char *slash = strrchr(path, '/');
    if (folder) return glia_arena_printf(arena, "%s/%s", path, name);
    return slash ? glia_arena_printf(arena, "%.*s/%s", (int)(slash - path), path, name)
                 : glia_arena_strdup(arena, name);
}

static glia_tokenizer *parse_text(const char *path, glia_text *json, glia_status status, glia_error *error) {
    glia_error own = { 0 };
    glia_tokenizer *t = status ? NULL : glia_tokenizer_parse(json->bytes, json->length, &own);
    free(json->bytes);
    if (t || status) return t;
    glia_fail_at_path(&own, path, own.status);
    if (error) *error = own;
    return NULL;
}

static glia_tokenizer *load_file(const char *path, glia_error *error) {
    glia_file file;
    glia_text json = { 0 };
    glia_error own = { 0 };
    glia_status status = glia_file_open(&file, path, error);
    if (status) return NULL;
    if (ends_with(path, ".txt")) {
        status = glia_fail_at_path(&own, path, glia_vocab_txt_json(path, file.bytes, file.length, &json, &own));
    } else {
        glia_text_append(&json, (const char *)file.bytes, file.length);
        if (json.failed) status = glia_fail_nomem(&own);
    }
    glia_file_close(&file);
    if (status && error) *error = own;
    return parse_text(path, &json, status, error);
}

glia_tokenizer *glia_tokenizer_load(const char *path, glia_error *error) {
    if (!path) return glia_fail_null(error, "path"), NULL;
    glia_arena arena = { 0 };
    glia_tokenizer *t = NULL;
    const bool folder = is_folder(path);
    const char *whole = folder ? beside(&arena, path, true, "tokenizer.json") : path;
    const char *merges = beside(&arena, path, folder, "merges.txt");
    const char *vocab = folder ? beside(&arena, path, true, "vocab.json") : path;
    const char *words = folder ? beside(&arena, path, true, "vocab.txt") : path;
    const bool parts = ends_with(path, "vocab.json") || (folder && !exists(whole) && exists(vocab));
    if (!whole || !merges || !vocab || !words) {
        glia_fail_nomem(error);
    } else if (parts) {
        glia_text json = { 0 };
        const glia_status status = glia_gpt2_json(vocab, merges, &json, error);
        t = parse_text(vocab, &json, status, error);
    } else if (folder && !exists(whole) && !exists(words)) {
        glia_fail(error, GLIA_E_NOT_FOUND, "%s has no tokenizer.json, vocab.json or vocab.txt", path);
    } else {
        t = load_file(folder && !exists(whole) ? words : whole, error);
    }
    glia_arena_free(&arena);
    return t;
}

/* ---- training from files ------------------------------------------------------------------ */

typedef struct sources {
    glia_file *files;
    uint8_t **owned; /* decompressed contents */
    int n;
    glia_string *texts;
    int n_texts, capacity;
} sources;

/* Adds each line of a file, with its line end, as a text. */
static glia_status read_source(sources *s, const char *path, glia_error *error) {
    const uint8_t *text;
    size_t length;
    const int i = s->n;
    glia_status status = glia_file_open(&s->files[i], path, error);
    if (status) return status;
    s->n++;
    status = glia_fail_at_path(
        error, path, glia_gunzip_text(s->files[i].bytes, s->files[i].length, &text, &length, &s->owned[i], error));
    for (size_t at = 0; at < length && !status;) {
        const uint8_t *stop = memchr(text + at, '\n', length - at);
        const size_t end = stop ? (size_t)(stop - text) + 1 : length;
        if (!glia_grow((void **)&s->texts, s->n_texts, &s->capacity, sizeof *s->texts))
            status = glia_fail_nomem(error);
        else
            s->texts[s->n_texts++] = (glia_string){ (const char *)text + at, end - at };
        at = end;
    }
    return status;
}

glia_tokenizer *glia_tokenizer_train_files(glia_tokenizer_kind kind, glia_tokenizer_opts opts, const char *const *paths,
                                           int n, glia_error *error) {
    if (n > 0 && !paths) return glia_fail_null(error, "paths"), NULL;
    sources s = { .files = calloc((size_t)n + 1, sizeof *s.files), .owned = calloc((size_t)n + 1, sizeof *s.owned) };
    glia_status status = s.files && s.owned ? GLIA_OK : glia_fail_nomem(error);
    for (int i = 0; i < n && !status; i++) status = read_source(&s, paths[i], error);
    glia_tokenizer *t = status ? NULL : glia_tokenizer_train(kind, opts, s.texts, s.n_texts, error);
    for (int i = 0; i < s.n; i++) {
        free(s.owned[i]);
        glia_file_close(&s.files[i]);
    }
    free(s.files);
    free(s.owned);
    free(s.texts);
    return t;
}
