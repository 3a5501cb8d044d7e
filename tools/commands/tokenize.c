/* tokenize.c - `glia tokenize`: trains tokenizers, encodes text, decodes ids, shows tokens. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"
#include "terminal/options.h"
#include "terminal/tool.h"

typedef struct request {
    const char *out, *specials, *text, *pair;
    int64_t vocabulary, minimum, threads;
    bool lowercase, with_specials, offsets;
} request;

/* ---- training ------------------------------------------------------------------------------ */

static int kind_of(const char *name) {
    const char *names[8];
    int n = 0;
    while ((names[n] = glia_tokenizer_kind_name((glia_tokenizer_kind)n))) {
        if (strcmp(name, names[n]) == 0) return n;
        n++;
    }
    const char *near = glia_name_nearest(name, names, n);
    misuse("unknown kind of tokenizer \"%s\"; %s%s%s", name, near ? "did you mean " : "known are ",
           near ? near : "characters, words, bpe, wordpiece and unigram", near ? "?" : "");
    return -1;
}

static int train(const request *q, int n, char **arguments) {
    if (n < 2) return misuse("tokenize train needs a kind and files, as in `glia tokenize train bpe FILE -o T.json`");
    const int kind = kind_of(arguments[0]);
    if (kind < 0) return EXIT_USAGE;
    const glia_tokenizer_opts opts = { .vocabulary = q->vocabulary,
                                       .minimum = q->minimum,
                                       .specials = q->specials,
                                       .lowercase = q->lowercase,
                                       .threads = (int)q->threads };
    glia_error error;
    const double start = seconds_now();
    glia_tokenizer *t = glia_tokenizer_train_files((glia_tokenizer_kind)kind, opts,
                                                   (const char *const *)(arguments + 1), n - 1, &error);
    if (!t) return fail("%s", error.message);
    const char *path = q->out ? q->out : "tokenizer.json";
    int status = EXIT_OK;
    char size[SHORT], time[SHORT];
    if (glia_tokenizer_save(t, path, &error))
        status = fail("%s", error.message);
    else
        printf("%s: %s tokens, in %s\n", path, grouped(glia_tokenizer_size(t), size),
               duration(seconds_now() - start, time));
    glia_tokenizer_free(t);
    return status;
}

/* ---- texts --------------------------------------------------------------------------------- */

static bool read_stream(FILE *f, text *content) {
    char block[1 << 16];
    size_t n;
    while ((n = fread(block, 1, sizeof block, f)) > 0) text_append(content, block, n);
    return !ferror(f);
}

/* Reads --text, the file or standard input. Returns the exit status, -1 to go on. */
static int read_input(const request *q, int n, char **arguments, text *content) {
    if (n > 2) return misuse("tokenize takes one file; unexpected argument \"%s\"", arguments[2]);
    text_append(content, "", 0);
    if (q->text) {
        text_append(content, q->text, strlen(q->text));
        return -1;
    }
    const bool file = n == 2 && strcmp(arguments[1], "-") != 0;
    const bool read = file ? read_file(arguments[1], content) : read_stream(stdin, content);
    return read ? -1 : fail("%s: %s", file ? arguments[1] : "standard input", strerror(errno));
}

static void print_ids(const glia_encoding *e) {
    for (int64_t i = 0; i < e->n; i++) printf(i ? " %d" : "%d", (int)e->ids[i]);
    putchar('\n');
}

/* Prints a text in one line; control characters are escaped. */
static void print_visible(const char *bytes, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        if (c == '\n')
            fputs("\\n", stdout);
        else if (c == '\t')
            fputs("\\t", stdout);
        else if (c < 0x20 || c == 0x7F)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
}

/* Prints the tokens between bars; with --offsets one per line with id and position. */
static void print_pieces(const glia_tokenizer *t, const glia_encoding *e, const char *line, bool table) {
    putchar('|');
    for (int64_t i = 0; i < e->n; i++) {
        bool special = false;
        const char *token = glia_tokenizer_token(t, e->ids[i], &special);
        if (special || e->ends[i] == e->begins[i])
            fputs(token, stdout);
        else
            print_visible(line + e->begins[i], e->ends[i] - e->begins[i]);
        putchar('|');
    }
    putchar('\n');
    for (int64_t i = 0; table && i < e->n; i++)
        printf("%8d  %6lld-%-6lld  %s\n", (int)e->ids[i], (long long)e->begins[i], (long long)e->ends[i],
               glia_tokenizer_token(t, e->ids[i], NULL));
}

static int encode_line(const glia_tokenizer *t, const request *q, const char *line, size_t n, bool show) {
    glia_error error;
    glia_encoding e;
    const glia_encode_opts opts = {
        .specials = q->with_specials, .offsets = show, .pair = q->pair, .pair_length = q->pair ? strlen(q->pair) : 0
    };
    if (glia_tokenizer_encode(t, line, n, opts, &e, &error)) return fail("%s", error.message);
    if (show)
        print_pieces(t, &e, line, q->offsets);
    else
        print_ids(&e);
    glia_encoding_free(&e);
    return -1;
}

/* Decodes a line of ids. */
static int decode_line(const glia_tokenizer *t, const request *q, const char *line, size_t n) {
    glia_error error;
    glia_detokenizer *d = glia_detokenizer_create(t, !q->with_specials, &error);
    if (!d) return fail("%s", error.message);
    int status = -1;
    size_t length = 0;
    for (const char *at = line, *end = line + n; at < end && status < 0;) {
        char *stop;
        const long id = strtol(at, &stop, 10);
        if (stop == at || stop > end || id < 0 || id >= glia_tokenizer_size(t)) {
            status = fail("\"%.*s\" is not a token id", (int)strcspn(at, " \n"), at);
            break;
        }
        const char *piece = glia_detokenizer_next(d, (int32_t)id, &length);
        if (piece) fwrite(piece, 1, length, stdout);
        at = stop;
        while (at < end && (*at == ' ' || *at == '\r')) at++;
    }
    const char *rest = glia_detokenizer_finish(d, &length);
    if (rest && status < 0) fwrite(rest, 1, length, stdout);
    putchar('\n');
    glia_detokenizer_free(d);
    return status;
}

static int each_line(const glia_tokenizer *t, const request *q, const char *verb, const text *content) {
    int status = -1;
    for (size_t at = 0; at < content->length && status < 0;) {
        const char *stop = memchr(content->bytes + at, '\n', content->length - at);
        const size_t end = stop ? (size_t)(stop - content->bytes) : content->length;
        if (strcmp(verb, "decode") == 0)
            status = decode_line(t, q, content->bytes + at, end - at);
        else
            status = encode_line(t, q, content->bytes + at, end - at, strcmp(verb, "show") == 0);
        at = end + 1;
    }
    return status < 0 ? EXIT_OK : status;
}

static int use(const request *q, const char *verb, int n, char **arguments) {
    if (n < 1) return misuse("tokenize %s needs a tokenizer: a tokenizer.json, a vocab.txt or a folder", verb);
    glia_error error;
    text content = { 0 };
    glia_tokenizer *t = glia_tokenizer_load(arguments[0], &error);
    if (!t) return fail("%s", error.message);
    int status = read_input(q, n, arguments, &content);
    if (status < 0) status = each_line(t, q, verb, &content);
    free(content.bytes);
    glia_tokenizer_free(t);
    return status;
}

int command_tokenize(int argc, char **argv) {
    request q = { .threads = 0 };
    const option table[] = {
        { .help = "train KIND FILE...: KIND is characters, words, bpe, wordpiece or unigram; one text per line" },
        { "out", OPTION_TEXT, &q.out, "FILE", "output file; also -o (tokenizer.json)", 0, 0 },
        { "vocabulary", OPTION_INT, &q.vocabulary, "N", "vocabulary size, with special tokens (8192)", 1, 1 << 24 },
        { "minimum", OPTION_INT, &q.minimum, "N", "minimum frequency (1)", 1, 1 << 30 },
        { "specials", OPTION_TEXT, &q.specials, "A,B,...", "special tokens, with the first ids (those of the kind)", 0,
          0 },
        { "lowercase", OPTION_FLAG, &q.lowercase, NULL, "convert to lowercase and strip accents", 0, 0 },
        { "threads", OPTION_INT, &q.threads, "N", "CPU threads; does not change the result (all cores)", 1, 1024 },
        { .help = "encode T [FILE]: text to ids by line; show T [FILE]: the tokens; decode T [FILE]: ids to text" },
        { "text", OPTION_TEXT, &q.text, "TEXT", "the input, instead of a file or standard input", 0, 0 },
        { "pair", OPTION_TEXT, &q.pair, "TEXT", "second text of a pair, appended to each line", 0, 0 },
        { "with-specials", OPTION_FLAG, &q.with_specials, NULL, "add [CLS] etc.; decode: keep special tokens", 0,
          0 },
        { "offsets", OPTION_FLAG, &q.offsets, NULL, "show: each token with id and byte offsets", 0, 0 },
    };
    const options what = { "tokenize", table, sizeof table / sizeof table[0], 1, -1, "train, encode, decode or show" };
    static const char *const verbs[] = { "train", "encode", "decode", "show" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    const char *verb = argv[1];
    if (strcmp(verb, "train") == 0) return train(&q, n - 1, argv + 2);
    for (int i = 1; i < 4; i++)
        if (strcmp(verb, verbs[i]) == 0) return use(&q, verb, n - 1, argv + 2);
    const char *near = glia_name_nearest(verb, verbs, 4);
    return misuse("tokenize needs train, encode, decode or show, not \"%s\"%s%s%s", verb, near ? "; did you mean " : "",
                  near ? near : "", near ? "?" : "");
}
