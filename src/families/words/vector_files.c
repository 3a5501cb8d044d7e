/* vector_files.c - word vectors in files: word2vec's text and binary, GloVe's text, safetensors.
 *
 * Text and binary begin with a line "WORDS SIZE". A binary record is the word, a space and its floats, little-endian;
 * word2vec.c appends a line end, others do not, so line ends before a word are skipped. GloVe's text has no first line.
 * The format is detected from the bytes after the first word.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families/words/words.h"

typedef struct parse {
    const uint8_t *bytes;
    size_t length, at;
    int64_t line;
    int64_t words, size; /* of the header */
    int64_t limit;
    glia_word_table table;
    float *values;
    size_t capacity; /* of values */
    glia_error *error;
} parse;

static glia_status fail_at(const parse *p, const char *what) {
    return glia_fail(p->error, GLIA_E_FORMAT, "offset %zu: %s", p->at, what);
}

static glia_status fail_on_line(const parse *p, const char *what) {
    return glia_fail(p->error, GLIA_E_FORMAT, "line %lld (offset %zu): %s", (long long)p->line, p->at, what);
}

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t' || c == '\r'; }

/* The next field of the line: [p->at before the call, returned end); NULL at the line's end. */
static const char *field(parse *p, const char **end) {
    while (p->at < p->length && is_blank(p->bytes[p->at])) p->at++;
    if (p->at == p->length || p->bytes[p->at] == '\n') return NULL;
    const char *begin = (const char *)p->bytes + p->at;
    while (p->at < p->length && !is_blank(p->bytes[p->at]) && p->bytes[p->at] != '\n') p->at++;
    *end = (const char *)p->bytes + p->at;
    return begin;
}

static bool whole_number(const char *begin, const char *end, int64_t *number) {
    *number = 0;
    if (!begin || begin == end || end - begin > 15) return false;
    for (; begin < end; begin++) {
        if (*begin < '0' || *begin > '9') return false;
        *number = *number * 10 + (*begin - '0');
    }
    return true;
}

/* Reads the line "WORDS SIZE"; false, and rewinds, if there is none. */
static bool header(parse *p) {
    const char *end[3], *first = field(p, &end[0]), *second = first ? field(p, &end[1]) : NULL;
    const bool good = whole_number(first, end[0], &p->words) && second && whole_number(second, end[1], &p->size) &&
                      !field(p, &end[2]);
    if (good) {
        p->at += p->at < p->length;
        p->line = 2;
    } else {
        p->at = 0;
        p->words = p->size = -1;
    }
    return good;
}

/* ---- collecting vectors ------------------------------------------------------------------- */

/* Room for the vector of a word; *to NULL: the word is a duplicate. */
static glia_status add_word(parse *p, const char *word, size_t length, float **to) {
    int64_t number;
    const int64_t before = p->table.n;
    *to = NULL;
    if (memchr(word, 0, length)) return fail_at(p, "a word contains a zero byte");
    if (!glia_word_table_add(&p->table, word, length, &number)) return glia_fail_nomem(p->error);
    if (number < before) return GLIA_OK;
    const size_t used = (size_t)before * (size_t)p->size, wanted = used + (size_t)p->size;
    if (wanted > p->capacity) {
        const size_t capacity = GLIA_MAX(2 * p->capacity, GLIA_MAX(wanted, (size_t)4096));
        size_t bytes;
        float *grown = glia_mul_fits(capacity, sizeof(float), &bytes) ? realloc(p->values, bytes) : NULL;
        if (!grown) return glia_fail_nomem(p->error);
        p->values = grown;
        p->capacity = capacity;
    }
    *to = p->values + used;
    return GLIA_OK;
}

static bool enough(const parse *p) { return p->limit > 0 && p->table.n >= p->limit; }

/* ---- text --------------------------------------------------------------------------------- */

/* The number of fields on the line after the word. */
static int64_t count_fields(parse p) {
    const char *end;
    int64_t n = -1;
    while (field(&p, &end)) n++;
    return n;
}

static glia_status read_line(parse *p) {
    const char *end, *word = field(p, &end);
    float *to;
    glia_status status = word ? add_word(p, word, (size_t)(end - word), &to) : fail_on_line(p, "the line is empty");
    for (int64_t k = 0; k < p->size && !status; k++) {
        double value;
        const char *begin = field(p, &end);
        if (!begin) return fail_on_line(p, "the word has fewer numbers than the others");
        if (!glia_number_parse(begin, end, &value)) return fail_on_line(p, "the text is not a number");
        if (!isfinite((float)value)) return fail_on_line(p, "the number is too large for f32");
        if (to) to[k] = (float)value;
    }
    if (!status && field(p, &end)) return fail_on_line(p, "the word has more numbers than the others");
    p->at += p->at < p->length;
    p->line++;
    return status;
}

static glia_status parse_text(parse *p, bool has_header) {
    if (!has_header) p->size = count_fields(*p);
    if (p->size < 1) return fail_on_line(p, "no numbers after the first word");
    if ((uint64_t)p->size > p->length) return fail_on_line(p, "the file is too short for vectors of this size");
    glia_status status = GLIA_OK;
    int64_t lines = 0;
    for (; p->at < p->length && !enough(p) && !status && (!has_header || lines < p->words); lines++)
        status = read_line(p);
    if (!status && has_header && lines < p->words && !enough(p))
        return glia_fail(p->error, GLIA_E_FORMAT, "line %lld (offset %zu): %lld words, but the first line says %lld",
                         (long long)p->line, p->at, (long long)lines, (long long)p->words);
    while (!status && !enough(p) && p->at < p->length) {
        const uint8_t c = p->bytes[p->at];
        if (c != '\n' && !is_blank(c)) return fail_on_line(p, "there are more words than the first line says");
        p->at++;
    }
    return status;
}

/* ---- binary ------------------------------------------------------------------------------- */

static float little_float(const uint8_t *p) {
    const uint32_t bits = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static glia_status read_record(parse *p) {
    while (p->at < p->length && p->bytes[p->at] == '\n') p->at++;
    const size_t begin = p->at, bytes = (size_t)p->size * 4;
    while (p->at < p->length && p->bytes[p->at] != ' ') p->at++;
    if (p->at == begin) return fail_at(p, p->at == p->length ? "the file is truncated" : "the word is empty");
    if (p->length - p->at < 1 + bytes) return fail_at(p, "the file is truncated");
    float *to;
    glia_status status = add_word(p, (const char *)p->bytes + begin, p->at - begin, &to);
    p->at++;
    for (int64_t k = 0; k < p->size && !status; k++) {
        const float value = little_float(p->bytes + p->at + 4 * k);
        if (!isfinite(value)) return fail_at(p, "a number is not finite");
        if (to) to[k] = value;
    }
    p->at += bytes;
    return status;
}

static glia_status parse_binary(parse *p, bool has_header) {
    if (!has_header) return fail_at(p, "the first line is not \"WORDS SIZE\"");
    if (p->size < 1 || (uint64_t)p->size > p->length / 4) return fail_at(p, "the file is too short for its vectors");
    glia_status status = GLIA_OK;
    for (int64_t i = 0; i < p->words && !status && !enough(p); i++) status = read_record(p);
    while (!status && !enough(p) && p->at < p->length) {
        if (p->bytes[p->at] != '\n') return fail_at(p, "bytes after the last word");
        p->at++;
    }
    return status;
}

/* Detects binary data by the bytes after the first word: numbers in text use few characters. */
static bool looks_binary(parse p) {
    enum { LOOK = 64 };
    while (p.at < p.length && (is_blank(p.bytes[p.at]) || p.bytes[p.at] == '\n')) p.at++;
    while (p.at < p.length && p.bytes[p.at] != ' ' && p.bytes[p.at] != '\t' && p.bytes[p.at] != '\n') p.at++;
    const size_t bytes = p.size > 0 ? (size_t)GLIA_MIN(p.size * 2, (int64_t)LOOK) : LOOK;
    for (size_t i = 0; i < bytes && p.at < p.length && p.bytes[p.at] != '\n'; i++, p.at++) {
        const uint8_t c = p.bytes[p.at];
        if (!(c >= '0' && c <= '9') && !is_blank(c) && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E')
            return true;
    }
    return false;
}

/* ---- safetensors -------------------------------------------------------------------------- */

static glia_status read_words(parse *p, const glia_safetensor *words, int64_t n) {
    const char *text = words->data;
    size_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const char *end = memchr(text + at, '\n', words->bytes - at);
        int64_t number;
        p->at = words->offset + at;
        if (!end) return fail_at(p, "there are fewer words than vectors");
        const size_t length = (size_t)(end - text) - at;
        if (!length || memchr(text + at, 0, length)) return fail_at(p, "a word is empty or contains a zero byte");
        if (!glia_word_table_add(&p->table, text + at, length, &number)) return glia_fail_nomem(p->error);
        if (number != i) return fail_at(p, "a duplicate word");
        at += length + 1;
    }
    p->at = words->offset + at;
    return at == words->bytes || p->limit ? GLIA_OK : fail_at(p, "there are more words than vectors");
}

static glia_status take_tensors(parse *p, const glia_safetensors *file) {
    const glia_safetensor *values = glia_safetensors_find(file, "vectors"),
                          *words = glia_safetensors_find(file, "words"),
                          *counts = glia_safetensors_find(file, "counts");
    if (!values || values->dtype != GLIA_F32 || values->shape.rank != 2)
        return fail_at(p, "there is no tensor \"vectors\" of f32 (words, size)");
    if (!words || words->dtype != GLIA_U8 || words->shape.rank != 1)
        return fail_at(p, "there is no tensor \"words\" of u8");
    const int64_t all = values->shape.dim[0], n = p->limit > 0 ? GLIA_MIN(p->limit, all) : all;
    p->size = values->shape.dim[1];
    if (p->size < 1) return fail_at(p, "the vectors have size 0");
    if (counts && (counts->dtype != GLIA_I64 || counts->shape.rank != 1 || counts->shape.dim[0] != all))
        return fail_at(p, "\"counts\" are not i64, one for each word");
    glia_status status = read_words(p, words, n);
    if (status) return status;
    const size_t bytes = (size_t)n * (size_t)p->size * sizeof(float);
    p->values = malloc(bytes + 1);
    if (!p->values) return glia_fail_nomem(p->error);
    memcpy(p->values, values->data, bytes);
    for (size_t i = 0; i < bytes / sizeof(float); i++) {
        p->at = values->offset + 4 * i;
        if (!isfinite(p->values[i])) return fail_at(p, "a number is not finite");
    }
    for (int64_t i = 0; i < n && counts; i++)
        memcpy(&p->table.counts[i], (const char *)counts->data + 8 * i, sizeof(int64_t));
    return GLIA_OK;
}

static glia_status parse_safetensors(parse *p) {
    glia_safetensors file;
    glia_status status = glia_safetensors_parse(p->bytes, p->length, &file, p->error);
    if (status) return status;
    status = take_tensors(p, &file);
    glia_safetensors_free(&file);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------ */

static glia_status parse_all(parse *p, glia_vectors_format format) {
    if (format == GLIA_VECTORS_DEFAULT && p->length > 9 && p->bytes[8] == '{') format = GLIA_VECTORS_SAFETENSORS;
    if (format == GLIA_VECTORS_SAFETENSORS) return parse_safetensors(p);
    uint8_t *owned;
    const uint8_t *text;
    glia_status status = glia_gunzip_text(p->bytes, p->length, &text, &p->length, &owned, p->error);
    if (status) return status;
    p->bytes = text;
    const bool has_header = header(p);
    if (format == GLIA_VECTORS_DEFAULT) format = looks_binary(*p) ? GLIA_VECTORS_BINARY : GLIA_VECTORS_TEXT;
    status = format == GLIA_VECTORS_TEXT ? parse_text(p, has_header) : parse_binary(p, has_header);
    free(owned);
    return status;
}

glia_status glia_vectors_parse(const uint8_t *bytes, size_t length, glia_vectors_format format, int64_t limit,
                               glia_vectors **vectors, glia_error *error) {
    glia_error own;
    parse p = { .bytes = bytes, .length = length, .line = 1, .limit = limit, .error = error ? error : &own };
    *vectors = NULL;
    glia_status status = parse_all(&p, format);
    if (!status && !p.table.n) status = glia_fail(p.error, GLIA_E_FORMAT, "offset 0: the file has no words");
    if (status) {
        glia_word_table_free(&p.table);
        free(p.values);
        return status;
    }
    *vectors = glia_vectors_take(&p.table, p.values, p.size, p.error);
    return *vectors ? GLIA_OK : GLIA_E_NOMEM;
}

glia_vectors *glia_vectors_load(const char *path, glia_vectors_format format, int64_t limit, glia_error *error) {
    glia_file file;
    glia_vectors *vectors = NULL;
    glia_status status = glia_file_open(&file, path, error);
    if (status) return NULL;
    status = glia_vectors_parse(file.bytes, file.length, format, limit, &vectors, error);
    glia_file_close(&file);
    glia_fail_at_path(error, path, status);
    return vectors;
}

/* ---- writing ------------------------------------------------------------------------------ */

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* The shortest decimal that reads back as the same float. */
static void append_float(glia_text *out, float value) {
    char text[GLIA_NUMBER_TEXT];
    double back;
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        for (char *c = text; *c; c++) /* the host program's locale may have a decimal comma */
            if (*c == ',') *c = '.';
        if (glia_number_parse(text, text + strlen(text), &back) && (float)back == value) break;
    }
    glia_text_append(out, " ", 1);
    glia_text_append(out, text, strlen(text));
}

static void append_little_float(glia_text *out, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint8_t bytes[4] = { (uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16), (uint8_t)(bits >> 24) };
    glia_text_append(out, (const char *)bytes, sizeof bytes);
}

static glia_status save_words(const glia_vectors *v, const char *path, bool binary, glia_error *error) {
    glia_text out = { 0 };
    glia_text_printf(&out, "%lld %lld\n", (long long)v->table.n, (long long)v->size);
    for (int64_t i = 0; i < v->table.n && !out.failed; i++) {
        const char *word = v->table.words[i];
        if (strpbrk(word, " \t\r\n")) {
            free(out.bytes);
            return glia_fail(error, GLIA_E_ARGUMENT,
                             "%s: the word \"%.100s\" has white space; use the format safetensors", path, word);
        }
        glia_text_append(&out, word, strlen(word));
        if (binary) glia_text_append(&out, " ", 1);
        for (int64_t k = 0; k < v->size; k++) {
            const float value = v->values[i * v->size + k];
            if (binary)
                append_little_float(&out, value);
            else
                append_float(&out, value);
        }
        glia_text_append(&out, "\n", 1);
    }
    const glia_span span = { out.bytes, out.length };
    glia_status status = out.failed ? glia_fail_nomem(error) : glia_file_replace(path, &span, 1, error);
    free(out.bytes);
    return status;
}

static glia_status save_safetensors(const glia_vectors *v, const char *path, glia_error *error) {
    glia_text words = { 0 };
    for (int64_t i = 0; i < v->table.n; i++) {
        const char *word = v->table.words[i];
        if (strchr(word, '\n')) {
            free(words.bytes);
            return glia_fail(error, GLIA_E_ARGUMENT, "%s: a word contains a line end", path);
        }
        glia_text_append(&words, word, strlen(word));
        glia_text_append(&words, "\n", 1);
    }
    const glia_pair metadata[] = { { "format", "glia word vectors" } };
    const glia_array arrays[] = {
        { .name = "vectors", .dtype = GLIA_F32, .shape = GLIA_SHAPE(v->table.n, v->size), .data = v->values },
        { .name = "words", .dtype = GLIA_U8, .shape = GLIA_SHAPE((int64_t)words.length), .data = words.bytes },
        { .name = "counts", .dtype = GLIA_I64, .shape = GLIA_SHAPE(v->table.n), .data = v->table.counts },
    };
    glia_status status = words.failed ? glia_fail_nomem(error)
                                      : glia_safetensors_write(path, arrays, GLIA_COUNT(arrays), metadata, 1, error);
    free(words.bytes);
    return status;
}

glia_status glia_vectors_save(const glia_vectors *vectors, const char *path, glia_vectors_format format,
                              glia_error *error) {
    if (!vectors) return glia_fail_null(error, "vectors");
    if (!path) return glia_fail_null(error, "path");
    if (format == GLIA_VECTORS_DEFAULT) {
        format = ends_with(path, ".safetensors") ? GLIA_VECTORS_SAFETENSORS
                 : ends_with(path, ".bin")       ? GLIA_VECTORS_BINARY
                                                 : GLIA_VECTORS_TEXT;
    }
    if (format == GLIA_VECTORS_SAFETENSORS) return save_safetensors(vectors, path, error);
    return save_words(vectors, path, format == GLIA_VECTORS_BINARY, error);
}

glia_status glia_vectors_save_counts(const glia_vectors *vectors, const char *path, glia_error *error) {
    if (!vectors) return glia_fail_null(error, "vectors");
    if (!path) return glia_fail_null(error, "path");
    glia_text out = { 0 };
    for (int64_t i = 0; i < vectors->table.n; i++)
        glia_text_printf(&out, "%s %lld\n", vectors->table.words[i], (long long)vectors->table.counts[i]);
    const glia_span span = { out.bytes, out.length };
    glia_status status = out.failed ? glia_fail_nomem(error) : glia_file_replace(path, &span, 1, error);
    free(out.bytes);
    return status;
}
