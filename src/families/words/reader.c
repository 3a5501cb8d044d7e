/* reader.c - text as a stream of words and line ends, from files of any length or from memory. */
#include <string.h>

#include "families/words/words.h"

void glia_word_reader_start(glia_word_reader *reader, glia_text_source source) {
    reader->source = source;
    reader->file = 0;
    reader->stream = NULL;
    reader->at = reader->filled = 0;
    reader->ended = true;
    reader->line_end = false;
}

void glia_word_reader_close(glia_word_reader *reader) {
    glia_stream_close(reader->stream);
    reader->stream = NULL;
}

/* ---- bytes -------------------------------------------------------------------------------- */

/* Opens the next file; *more: there was one. Memory counts as one file. */
static glia_status next_file(glia_word_reader *r, bool *more, glia_error *error) {
    glia_word_reader_close(r);
    r->at = r->filled = 0;
    const int files = r->source.n_files ? r->source.n_files : 1;
    *more = r->file < files;
    if (!*more) return GLIA_OK;
    const int file = r->file++;
    r->ended = false;
    if (!r->source.n_files) return GLIA_OK;
    r->stream = glia_stream_open(r->source.files[file], error);
    return r->stream ? GLIA_OK : error ? error->status : GLIA_E_IO;
}

/* Reads more bytes after the remaining ones. Text in memory is read from offset `length` of the source. */
static glia_status refill(glia_word_reader *r, glia_error *error) {
    memmove(r->buffer, r->buffer + r->at, r->filled - r->at);
    r->filled -= r->at;
    r->at = 0;
    size_t room = sizeof r->buffer - r->filled, got = 0;
    if (r->stream) {
        glia_status status = glia_stream_read(r->stream, r->buffer + r->filled, room, &got, error);
        if (status) return status;
    } else if (r->source.text) {
        got = GLIA_MIN(room, r->source.length);
        memcpy(r->buffer + r->filled, r->source.text, got);
        r->source.text += got;
        r->source.length -= got;
    }
    r->filled += got;
    r->ended = got == 0;
    return GLIA_OK;
}

/* ---- characters --------------------------------------------------------------------------- */

static uint32_t decode(const uint8_t *p, size_t length) {
    switch (length) {
    case 2: return (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    case 3: return (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    case 4: return (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
    default: return p[0];
    }
}

/* Everything beyond ASCII is a letter, except blocks of punctuation, symbols and pictographs. */
static bool is_letter(uint32_t c) {
    static const uint32_t others[][2] = {
        { 0x80, 0xA9 },     { 0xAB, 0xB4 },     { 0xB6, 0xB9 },       { 0xBB, 0xBF },     { 0xD7, 0xD7 },
        { 0xF7, 0xF7 },     { 0x2000, 0x206F }, { 0x20A0, 0x20CF },   { 0x2190, 0x2BFF }, { 0x3000, 0x3004 },
        { 0x3008, 0x3020 }, { 0xFE30, 0xFE4F }, { 0xFF00, 0xFF0F },   { 0xFF1A, 0xFF20 }, { 0xFF3B, 0xFF40 },
        { 0xFF5B, 0xFF65 }, { 0xFFF0, 0xFFFF }, { 0x1F000, 0x1FAFF },
    };
    if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    for (int i = 0; i < GLIA_COUNT(others); i++)
        if (c >= others[i][0] && c <= others[i][1]) return false;
    return true;
}

/* Lower case, for letters whose lower-case form has the same number of bytes. */
static uint32_t lower(uint32_t c) {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c >= 0xC0 && c <= 0xDE) return c == 0xD7 ? c : c + 32;
    if (c == 0x178) return 0xFF;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E)) return c + (c & 1);
    if (c >= 0x100 && c <= 0x177) return c == 0x130 || c == 0x131 || c == 0x138 ? c : c | 1;
    if (c >= 0x391 && c <= 0x3AB) return c == 0x3A2 ? c : c + 32;
    if (c == 0x386) return 0x3AC;
    if (c >= 0x388 && c <= 0x38A) return c + 37;
    if (c == 0x38C) return 0x3CC;
    if (c == 0x38E || c == 0x38F) return c + 63;
    if (c >= 0x410 && c <= 0x42F) return c + 32;
    return c >= 0x400 && c <= 0x40F ? c + 80 : c;
}

static void append(glia_word_reader *r, const uint8_t *p, size_t length) {
    if (r->length + length > GLIA_WORD_BYTES) return;
    const uint32_t c = decode(p, length), small = r->source.lowercase ? lower(c) : c;
    uint8_t *to = (uint8_t *)r->word + r->length;
    memcpy(to, p, length);
    if (small != c && length == 1) to[0] = (uint8_t)small;
    if (small != c && length == 2) to[0] = (uint8_t)(0xC0 | small >> 6), to[1] = (uint8_t)(0x80 | (small & 0x3F));
    r->length += length;
}

static bool is_blank(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == 0; }

/* ---- words -------------------------------------------------------------------------------- */

enum { LONGEST = 8 }; /* bytes of lookahead: an apostrophe of three and a letter of four */

/* Whether a word continues after its letters: by `*length` bytes, of which the first `skip` are an apostrophe. */
static bool goes_on(const glia_word_reader *r, size_t *length, size_t *skip) {
    const uint8_t *p = r->buffer + r->at;
    const size_t rest = r->filled - r->at;
    *skip = 0;
    if (r->source.rule == GLIA_WORDS_SPACES) {
        *length = r->source.lowercase && *p >= 0x80 ? GLIA_MAX(glia_utf8_length(p, rest), (size_t)1) : 1;
        return !is_blank(*p);
    }
    if (r->length && *p == '\'') *skip = 1;
    if (r->length && rest > 3 && !memcmp(p, "\xE2\x80\x99", 3)) *skip = 3;
    if (*skip >= rest) return false;
    *length = *p < 0x80 && !*skip ? 1 : glia_utf8_length(p + *skip, rest - *skip);
    return *length && is_letter(decode(p + *skip, *length));
}

glia_word_item glia_word_reader_next(glia_word_reader *reader, glia_error *error) {
    glia_word_reader *r = reader;
    r->length = 0;
    if (r->line_end) return r->line_end = false, GLIA_ITEM_LINE;
    for (;;) {
        if (r->filled - r->at < LONGEST && !r->ended && refill(r, error)) return GLIA_ITEM_FAILED;
        if (r->at == r->filled && r->ended) {
            bool more = false;
            const bool begun = r->file > 0;
            if (r->length) return r->word[r->length] = 0, GLIA_ITEM_WORD;
            if (next_file(r, &more, error)) return GLIA_ITEM_FAILED;
            if (!more) return GLIA_ITEM_END;
            if (begun) return GLIA_ITEM_LINE;
            continue;
        }
        if (r->at == r->filled) continue;
        size_t length = 1, skip = 0;
        if (goes_on(r, &length, &skip)) {
            if (skip) append(r, (const uint8_t *)"'", 1);
            append(r, r->buffer + r->at + skip, length);
            r->at += skip + length;
            continue;
        }
        const bool line = r->buffer[r->at] == '\n';
        r->at++;
        if (r->length) return r->line_end = line, r->word[r->length] = 0, GLIA_ITEM_WORD;
        if (line) return GLIA_ITEM_LINE;
    }
}
