/* generate.c - `glia generate`: text from a trained language model, shown as it comes.
 *
 * The model's file has its tokenizer in the metadata ("tokenizer"); a model of 256 scores without one reads and writes
 * bytes, as the data of `text:FILE` are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"
#include "runs/saved.h"
#include "terminal/options.h"

typedef struct request {
    const char *prompt, *prompt_file, *tokenizer, *stop;
    int64_t length, count, seed, top_k, beams, threads;
    double temperature, top_p, min_p, repetition_penalty, length_penalty;
    bool greedy, bare, time;
} request;

typedef struct writer {
    const request *q;
    glia_model *model;
    glia_tokenizer *tokenizer; /* NULL: bytes */
    glia_generator *generator;
    glia_detokenizer *decoder;
    int32_t *prompt;
    int64_t n_prompt;
    text written; /* since the prompt, to look for the stop */
    size_t shown; /* bytes of it that are on the screen */
} writer;

/* ---- tokens ------------------------------------------------------------------------------------------- */

static int open_tokenizer(writer *w) {
    glia_error error;
    const char *json = glia_model_get(w->model, "tokenizer");
    if (w->q->tokenizer)
        w->tokenizer = glia_tokenizer_load(w->q->tokenizer, &error);
    else if (json)
        w->tokenizer = glia_tokenizer_parse(json, strlen(json), &error);
    else if (glia_generator_vocabulary(w->generator) == 256)
        return -1;
    else
        return fail("the model's file has no tokenizer; --tokenizer FILE names one");
    if (!w->tokenizer) return fail("%s", error.message);
    if (glia_tokenizer_size(w->tokenizer) > glia_generator_vocabulary(w->generator))
        return fail("the tokenizer has %lld tokens, the model knows %lld", (long long)glia_tokenizer_size(w->tokenizer),
                    (long long)glia_generator_vocabulary(w->generator));
    w->decoder = glia_detokenizer_create(w->tokenizer, true, &error);
    return w->decoder ? -1 : fail("%s", error.message);
}

static int encode_prompt(writer *w, const char *bytes, size_t length) {
    glia_error error;
    if (!w->tokenizer) {
        w->prompt = allocate(length + 1, sizeof *w->prompt);
        for (size_t i = 0; i < length; i++) w->prompt[i] = (unsigned char)bytes[i];
        w->n_prompt = (int64_t)length;
    } else {
        glia_encoding e;
        if (glia_tokenizer_encode(w->tokenizer, bytes, length, (glia_encode_opts){ 0 }, &e, &error) != GLIA_OK)
            return fail("%s", error.message);
        w->prompt = allocate((size_t)e.n + 1, sizeof *w->prompt);
        if (e.n) memcpy(w->prompt, e.ids, (size_t)e.n * sizeof *e.ids);
        w->n_prompt = e.n;
        glia_encoding_free(&e);
    }
    return w->n_prompt ? -1 : fail("the prompt has no token that the model knows");
}

static int read_prompt(writer *w) {
    text t = { 0 };
    if (w->q->prompt_file) {
        if (!read_file(w->q->prompt_file, &t)) return fail("%s cannot be read", w->q->prompt_file);
    } else {
        text_add(&t, "%s", w->q->prompt);
    }
    int status = t.length ? encode_prompt(w, t.bytes, t.length) : fail("the prompt is empty");
    if (status < 0 && !w->q->bare) fwrite(t.bytes, 1, t.length, stdout);
    free(t.bytes);
    return status;
}

/* ---- showing ------------------------------------------------------------------------------------------ */

/* Shows what has been written, but for an end that may become the stop. False: there the stop is. */
static bool show(writer *w, bool all) {
    const char *stop = w->q->stop, *found = stop && w->written.bytes ? strstr(w->written.bytes, stop) : NULL;
    size_t until = found ? (size_t)(found - w->written.bytes) : w->written.length;
    size_t held = stop && !found && !all ? strlen(stop) - 1 : 0;
    until = until > held ? until - held : 0;
    while (held && until > w->shown && ((unsigned char)w->written.bytes[until] & 0xc0) == 0x80) until--;
    if (until > w->shown) {
        fwrite(w->written.bytes + w->shown, 1, until - w->shown, stdout);
        fflush(stdout);
        w->shown = until;
    }
    return !found;
}

static void decode(writer *w, int32_t token) {
    size_t length = 1;
    const char byte = (char)token, *bytes = w->tokenizer ? glia_detokenizer_next(w->decoder, token, &length) : &byte;
    if (bytes) text_append(&w->written, bytes, length);
}

static glia_status token_came(int32_t token, void *context, glia_error *error) {
    (void)error;
    writer *w = context;
    decode(w, token);
    return show(w, false) ? GLIA_OK : GLIA_E_INTERRUPTED;
}

static void end_text(writer *w) {
    size_t length = 0;
    const char *rest = w->tokenizer ? glia_detokenizer_finish(w->decoder, &length) : NULL;
    if (rest && length) text_append(&w->written, rest, length);
    show(w, true);
    putchar('\n');
    w->written.length = w->shown = 0;
    if (w->written.bytes) w->written.bytes[0] = '\0';
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static int write_sampled(writer *w, int64_t number, int64_t *n_tokens) {
    const request *q = w->q;
    glia_generate_opts opts = { .length = q->length,
                                .sampling = { .repetition_penalty = q->repetition_penalty,
                                              .greedy = q->greedy,
                                              .temperature = q->temperature > 0 ? q->temperature : GLIA_ZERO,
                                              .top_k = (int)q->top_k,
                                              .top_p = q->top_p,
                                              .min_p = q->min_p,
                                              .seed = (uint64_t)(q->seed + number) },
                                .each = token_came,
                                .context = w };
    glia_error error;
    int32_t *tokens = allocate((size_t)q->length, sizeof *tokens);
    glia_status status = glia_generate(w->generator, w->prompt, w->n_prompt, opts, tokens, n_tokens, &error);
    free(tokens);
    return status == GLIA_OK ? -1 : fail("%s", error.message);
}

/* Rows are sequences of the generator; those that the search does not follow repeat the first. */
static glia_status next_scores(const int32_t *tokens, int n, int64_t length, const int *parents, float *scores,
                               void *context, glia_error *error) {
    writer *w = context;
    const int64_t beams = w->q->beams, some = parents ? 1 : length;
    int *from = allocate((size_t)beams, sizeof *from);
    int32_t *next = allocate((size_t)(beams * some), sizeof *next);
    for (int64_t i = 0; i < beams; i++) {
        const int64_t row = i < n ? i : 0;
        from[i] = parents ? parents[row] : 0;
        memcpy(next + i * some, tokens + row * length + length - some, (size_t)some * sizeof *next);
    }
    const float *all;
    glia_status status = parents ? glia_generator_reorder(w->generator, from, error) : GLIA_OK;
    if (status == GLIA_OK) status = glia_generator_read(w->generator, next, some, &all, error);
    if (status == GLIA_OK) memcpy(scores, all, (size_t)(n * glia_generator_vocabulary(w->generator)) * sizeof *scores);
    free(from);
    free(next);
    return status;
}

static int write_searched(writer *w, int64_t *n_tokens) {
    glia_beam_opts opts = { .vocabulary = glia_generator_vocabulary(w->generator),
                            .beams = (int)w->q->beams,
                            .length = w->q->length,
                            .end = -1,
                            .length_penalty = w->q->length_penalty };
    glia_hypothesis *found = allocate((size_t)w->q->beams, sizeof *found);
    int n = 0;
    glia_error error;
    glia_status status = glia_beam_search(next_scores, w, w->prompt, w->n_prompt, opts, found, &n, &error);
    for (int64_t i = 0; n > 0 && i < found[0].n; i++) decode(w, found[0].tokens[i]);
    if (n > 0) *n_tokens = found[0].n;
    for (int i = 0; i < n; i++) free(found[i].tokens);
    free(found);
    return status == GLIA_OK ? -1 : fail("%s", error.message);
}

static int write_all(writer *w) {
    int status = open_tokenizer(w);
    for (int64_t i = 0; i < w->q->count && status < 0; i++) {
        free(w->prompt);
        w->prompt = NULL;
        if (i) printf("----\n");
        status = read_prompt(w);
        if (status >= 0) return status;
        double start = seconds_now();
        int64_t n = 0;
        status = w->q->beams > 1 ? write_searched(w, &n) : write_sampled(w, i, &n);
        double seconds = seconds_now() - start;
        end_text(w);
        if (status < 0 && w->q->time)
            fprintf(stderr, "%lld tokens in %.3f s: %.0f a second\n", (long long)n, seconds, (double)n / seconds);
    }
    return status;
}

static int check(const request *q) {
    if (q->stop && !*q->stop) return misuse("--stop needs a text");
    if (q->beams > 1 &&
        (q->count > 1 || q->greedy || q->temperature != 1 || q->top_k || q->top_p != 1 || q->min_p != 0))
        return misuse("--beams searches for the likeliest text: --count and the options of sampling do not go with it");
    return -1;
}

int command_generate(int argc, char **argv) {
    request q = {
        .prompt = "\n", .length = 256, .count = 1, .beams = 1, .temperature = 1, .top_p = 1, .repetition_penalty = 1
    };
    const option table[] = {
        { "prompt", OPTION_TEXT, &q.prompt, "TEXT", "what the text begins with (a line break)", 0, 0 },
        { "prompt-file", OPTION_TEXT, &q.prompt_file, "FILE", "the same, from a file", 0, 0 },
        { "length", OPTION_INT, &q.length, "N", "tokens to write, at most (256)", 1, 1 << 24 },
        { "stop", OPTION_TEXT, &q.stop, "TEXT", "end where this would come", 0, 0 },
        { "count", OPTION_INT, &q.count, "N", "how many texts, with seeds one apart (1)", 1, 1 << 20 },
        { "bare", OPTION_FLAG, &q.bare, NULL, "do not show the prompt", 0, 0 },
        { .help = "how a token is chosen; the rules apply in this order" },
        { "repetition-penalty", OPTION_REAL, &q.repetition_penalty, "X", "what has come is less likely (1: no)", 1e-3,
          1e3 },
        { "greedy", OPTION_FLAG, &q.greedy, NULL, "always the likeliest", 0, 0 },
        { "temperature", OPTION_REAL, &q.temperature, "X", "below 1: bolder in what is likely; 0: greedy (1)", 0, 1e6 },
        { "top-k", OPTION_INT, &q.top_k, "K", "of the K likeliest (0: of all)", 0, 1 << 30 },
        { "top-p", OPTION_REAL, &q.top_p, "P", "of the likeliest that make up this probability (1)", 1e-9, 1 },
        { "min-p", OPTION_REAL, &q.min_p, "P", "of those with this share of the likeliest one's (0)", 0, 1 },
        { "seed", OPTION_INT, &q.seed, "N", "of the draws (0)", 0, 1e15 },
        { "beams", OPTION_INT, &q.beams, "N", "search for the likeliest text, N at a time", 1, 1024 },
        { "length-penalty", OPTION_REAL, &q.length_penalty, "A", "favours longer texts of a search (0)", 0, 10 },
        { .help = "other" },
        { "tokenizer", OPTION_TEXT, &q.tokenizer, "FILE", "a tokenizer.json, if the model has none", 0, 0 },
        { "threads", OPTION_INT, &q.threads, "N", "0: all cores (0)", 0, 1024 },
        { "time", OPTION_FLAG, &q.time, NULL, "tell how long it took, on stderr", 0, 0 },
    };
    const options what = { "generate", table, sizeof table / sizeof table[0],
                           1,          1,     "a run folder or a .safetensors file" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status < 0) status = check(&q);
    if (status >= 0) return status;
    glia_error error;
    char *path = saved_path(argv[1]);
    writer w = { .q = &q, .model = glia_model_load(path, &error) };
    free(path);
    if (!w.model) return fail("%s", error.message);
    glia_generator_opts opts = { .sequences = (int)q.beams, .threads = (int)q.threads };
    w.generator = glia_generator_create(w.model, opts, &error);
    status = w.generator ? write_all(&w) : fail("%s", error.message);
    free(w.prompt);
    free(w.written.bytes);
    glia_detokenizer_free(w.decoder);
    glia_generator_free(w.generator);
    glia_tokenizer_free(w.tokenizer);
    glia_model_free(w.model);
    return status < 0 ? EXIT_OK : status;
}
