/* generate.c - `glia generate`: generates text with a trained language model and streams it.
 *
 * The tokenizer is in the model file's metadata ("tokenizer"). A model of 256 scores without one is byte-level,
 * like the data of `text:FILE`.
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
    text written; /* text after the prompt, searched for the stop text */
    size_t shown; /* bytes of it already printed */
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
        return fail("the model file has no tokenizer; give one with --tokenizer FILE");
    if (!w->tokenizer) return fail("%s", error.message);
    if (glia_tokenizer_size(w->tokenizer) > glia_generator_vocabulary(w->generator))
        return fail("the tokenizer has %lld tokens, the model %lld", (long long)glia_tokenizer_size(w->tokenizer),
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
    return w->n_prompt ? -1 : fail("the prompt has no token of the model's vocabulary");
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

/* Prints the new text, except an end that may be the start of the stop text. False: the stop text was reached. */
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

/* Rows are sequences of the generator; unused rows repeat the first. */
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
            fprintf(stderr, "%lld tokens in %.3f s: %.0f tokens/s\n", (long long)n, seconds, (double)n / seconds);
    }
    return status;
}

static int check(const request *q) {
    if (q->stop && !*q->stop) return misuse("--stop must not be empty");
    if (q->beams > 1 &&
        (q->count > 1 || q->greedy || q->temperature != 1 || q->top_k || q->top_p != 1 || q->min_p != 0))
        return misuse("--beams excludes --count and the sampling options");
    return -1;
}

int command_generate(int argc, char **argv) {
    request q = {
        .prompt = "\n", .length = 256, .count = 1, .beams = 1, .temperature = 1, .top_p = 1, .repetition_penalty = 1
    };
    const option table[] = {
        { "prompt", OPTION_TEXT, &q.prompt, "TEXT", "start of the text (a line break)", 0, 0 },
        { "prompt-file", OPTION_TEXT, &q.prompt_file, "FILE", "read the prompt from a file", 0, 0 },
        { "length", OPTION_INT, &q.length, "N", "maximum number of new tokens (256)", 1, 1 << 24 },
        { "stop", OPTION_TEXT, &q.stop, "TEXT", "stop before this text", 0, 0 },
        { "count", OPTION_INT, &q.count, "N", "number of texts, with consecutive seeds (1)", 1, 1 << 20 },
        { "bare", OPTION_FLAG, &q.bare, NULL, "do not print the prompt", 0, 0 },
        { .help = "sampling; applied in this order" },
        { "repetition-penalty", OPTION_REAL, &q.repetition_penalty, "X", "penalise repeated tokens (1: off)", 1e-3,
          1e3 },
        { "greedy", OPTION_FLAG, &q.greedy, NULL, "always the most probable token", 0, 0 },
        { "temperature", OPTION_REAL, &q.temperature, "X", "divides the logits; 0: greedy (1)", 0, 1e6 },
        { "top-k", OPTION_INT, &q.top_k, "K", "keep the K most probable tokens (0: all)", 0, 1 << 30 },
        { "top-p", OPTION_REAL, &q.top_p, "P", "nucleus sampling: keep probability mass P (1)", 1e-9, 1 },
        { "min-p", OPTION_REAL, &q.min_p, "P", "keep tokens above P times the maximum (0)", 0, 1 },
        { "seed", OPTION_INT, &q.seed, "N", "random seed (0)", 0, 1e15 },
        { "beams", OPTION_INT, &q.beams, "N", "beam search with N beams", 1, 1024 },
        { "length-penalty", OPTION_REAL, &q.length_penalty, "A", "of beam search; favours long texts (0)", 0, 10 },
        { .help = "other" },
        { "tokenizer", OPTION_TEXT, &q.tokenizer, "FILE", "a tokenizer.json, if the model has none", 0, 0 },
        { "threads", OPTION_INT, &q.threads, "N", "CPU threads; 0: all cores (0)", 0, 1024 },
        { "time", OPTION_FLAG, &q.time, NULL, "print the generation time on stderr", 0, 0 },
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
