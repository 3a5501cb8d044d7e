/* test_word2vec.c - word vectors: the step and its gradient, codes and draws, reading, training, files, questions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/kernels/kernels.h"
#include "families/words/words.h"
#include "glia/glia.h"

static glia_error error;

static void assert_done(glia_status status) {
    if (status) fail_msg("%s", error.message);
}

static void assert_near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("%.17g, where %.17g was expected", found, wanted);
}

static void write_text(const char *path, const void *bytes, size_t length) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* ---- the step ----------------------------------------------------------------------------- */

enum { INS = 7, OUTS = 18, LENGTH = 112 };

typedef struct rows {
    _Alignas(64) float in[INS][LENGTH], out[OUTS][LENGTH], grad[INS][LENGTH], hidden[LENGTH];
    float errors[INS * OUTS + 16], label[OUTS];
    float *in_rows[INS], *out_rows[OUTS], *grad_rows[INS];
} rows;

static void draw_rows(rows *r, int length, uint64_t seed) {
    glia_rng rng = { .seed = seed };
    memset(r, 0, sizeof *r);
    for (int i = 0; i < INS; i++)
        for (int k = 0; k < length; k++) r->in[i][k] = (float)(glia_rng_uniform(&rng) - 0.5);
    for (int i = 0; i < OUTS; i++)
        for (int k = 0; k < length; k++) r->out[i][k] = (float)(glia_rng_uniform(&rng) - 0.5);
    for (int i = 0; i < OUTS; i++) r->label[i] = (float)(glia_rng_u32(&rng) & 1);
    for (int i = 0; i < INS; i++) r->in_rows[i] = r->in[i], r->grad_rows[i] = r->grad[i];
    for (int i = 0; i < OUTS; i++) r->out_rows[i] = r->out[i];
}

static glia_word_step step_of(rows *r, int ins, int outs, int length, bool average, float rate) {
    return (glia_word_step){ .length = length,
                             .n_in = ins,
                             .n_out = outs,
                             .average = average,
                             .rate = rate,
                             .in = r->in_rows,
                             .out = r->out_rows,
                             .label = r->label,
                             .errors = r->errors,
                             .grad = r->grad_rows,
                             .hidden = r->hidden };
}

static double log_sigmoid(double x) { return x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x)); }

/* The loss, from the definition, with one number moved by `by`. */
static double loss(const rows *r, int ins, int outs, int length, bool average, const float *moved, double by) {
    double total = 0;
    for (int i = 0; i < (average ? 1 : ins); i++) {
        for (int t = 0; t < outs; t++) {
            double product = 0;
            for (int k = 0; k < length; k++) {
                double x = 0, o = r->out[t][k] + (moved == &r->out[t][k] ? by : 0);
                if (average) {
                    for (int j = 0; j < ins; j++) x += (r->in[j][k] + (moved == &r->in[j][k] ? by : 0)) / ins;
                } else {
                    x = r->in[i][k] + (moved == &r->in[i][k] ? by : 0);
                }
                product += x * o;
            }
            total -= log_sigmoid(r->label[t] != 0 ? product : -product);
        }
    }
    return total;
}

static double slope(const rows *r, int ins, int outs, int length, bool average, const float *at) {
    const double h = 1e-4;
    return (loss(r, ins, outs, length, average, at, h) - loss(r, ins, outs, length, average, at, -h)) / (2 * h);
}

static const glia_cpu_kernels *kernels(void) {
    glia_isa isa;
    assert_done(glia_isa_choose(&isa, &error));
    return glia_cpu_kernels_for(isa);
}

/* Every row moves by -rate times the gradient; the rows of a mean as if each were the mean. */
static void check_step(int ins, int outs, int length, bool average) {
    static rows before, after;
    draw_rows(&before, length, (uint64_t)(ins * 100 + outs));
    draw_rows(&after, length, (uint64_t)(ins * 100 + outs));
    const float rate = 0.25F;
    const glia_word_step step = step_of(&after, ins, outs, length, average, rate);
    kernels()->word_step_f32(&step);
    for (int i = 0; i < ins; i++) {
        for (int k = 0; k < length; k += 13) {
            const double share = average ? ins : 1;
            const double wanted = -rate * share * slope(&before, ins, outs, length, average, &before.in[i][k]);
            assert_near(after.in[i][k] - before.in[i][k], wanted, 2e-6);
        }
    }
    for (int t = 0; t < outs; t++) {
        for (int k = 0; k < length; k += 13) {
            const double wanted = -rate * slope(&before, ins, outs, length, average, &before.out[t][k]);
            assert_near(after.out[t][k] - before.out[t][k], wanted, 2e-6);
        }
    }
    for (int i = ins; i < INS; i++) assert_memory_equal(before.in[i], after.in[i], sizeof before.in[i]);
    for (int t = outs; t < OUTS; t++) assert_memory_equal(before.out[t], after.out[t], sizeof before.out[t]);
}

static void test_step_gradient(void **state) {
    (void)state;
    for (int ins = 1; ins <= INS; ins++) {
        for (int outs = 1; outs <= OUTS; outs += ins < 3 ? 1 : 5) {
            check_step(ins, outs, LENGTH, false);
            check_step(ins, outs, 16, true);
        }
    }
}

/* A row that comes twice moves by both. */
static void test_step_same_rows(void **state) {
    (void)state;
    static rows once, twice;
    draw_rows(&once, LENGTH, 9);
    draw_rows(&twice, LENGTH, 9);
    memcpy(once.in[1], once.in[0], sizeof once.in[0]);
    memcpy(once.out[3], once.out[2], sizeof once.out[2]);
    once.label[3] = once.label[2];
    memcpy(&twice, &once, offsetof(rows, grad));
    twice.label[3] = twice.label[2];
    static rows begun;
    memcpy(&begun, &once, sizeof begun);
    twice.in_rows[1] = twice.in[0];
    twice.out_rows[3] = twice.out[2];
    const glia_word_step a = step_of(&once, 4, 6, LENGTH, false, 0.1F), b = step_of(&twice, 4, 6, LENGTH, false, 0.1F);
    kernels()->word_step_f32(&a);
    kernels()->word_step_f32(&b);
    for (int k = 0; k < LENGTH; k++) {
        assert_near(twice.in[0][k] - begun.in[0][k], 2 * (once.in[0][k] - begun.in[0][k]), 1e-6);
        assert_near(twice.out[2][k] - begun.out[2][k], 2 * (once.out[2][k] - begun.out[2][k]), 1e-6);
        assert_near(twice.in[2][k], once.in[2][k], 1e-6);
    }
}

/* ---- codes and draws ---------------------------------------------------------------------- */

/* The least possible sum of count * length, by joining the two least over and over. */
static int64_t least_length(const int64_t *counts, int n) {
    int64_t weight[64], total = 0;
    memcpy(weight, counts, (size_t)n * sizeof *counts);
    for (; n > 1; n--) {
        for (int k = 0; k < 2; k++) {
            int least = k;
            for (int i = k; i < n; i++) least = weight[i] < weight[least] ? i : least;
            const int64_t swap = weight[k];
            weight[k] = weight[least];
            weight[least] = swap;
        }
        weight[1] += weight[0];
        total += weight[1];
        memmove(weight, weight + 1, (size_t)(n - 1) * sizeof *weight);
    }
    return total;
}

static void check_tree(const int64_t *counts, int n) {
    glia_word_tree tree;
    assert_true(glia_word_tree_build(&tree, counts, n));
    int64_t total = 0;
    double kraft = 0;
    for (int i = 0; i < n; i++) {
        const int64_t length = tree.starts[i + 1] - tree.starts[i];
        total += counts[i] * length;
        kraft += ldexp(1, -(int)length);
        if (n > 1) assert_int_equal(tree.nodes[tree.starts[i]], n - 2); /* the root */
        assert_true(length <= tree.longest);
        for (int64_t k = tree.starts[i]; k < tree.starts[i + 1]; k++) assert_in_range(tree.nodes[k], 0, n - 2);
    }
    assert_int_equal(total, least_length(counts, n));
    assert_true(kraft == 1);
    glia_word_tree_free(&tree);
}

static void test_huffman_codes_are_optimal(void **state) {
    (void)state;
    const int64_t equal[] = { 5, 5, 5, 5, 5, 5, 5 }, one[] = { 3 }, two[] = { 9, 1 };
    const int64_t fibonacci[] = { 89, 55, 34, 21, 13, 8, 5, 3, 2, 1, 1 };
    check_tree(equal, 7);
    check_tree(one, 1);
    check_tree(two, 2);
    check_tree(fibonacci, 11);
    glia_rng rng = { .seed = 4 };
    for (int round = 0; round < 50; round++) {
        int64_t counts[60];
        const int n = 2 + (int)glia_rng_below(&rng, 58);
        int64_t count = 1;
        for (int i = n - 1; i >= 0; i--)
            counts[i] = count += (int64_t)glia_rng_below(&rng, (uint64_t)round * round + 1);
        check_tree(counts, n);
    }
}

/* The paths' probabilities are those of one of n words: they sum to 1 for any values, and the step's gradient is
 * theirs, since each path is a sum of log sigmoids with these labels. */
static void test_hierarchical_softmax_sums_to_one(void **state) {
    (void)state;
    const int64_t counts[] = { 90, 50, 20, 19, 7, 5, 3, 2, 1 };
    enum { N = 9 };
    glia_word_tree tree;
    assert_true(glia_word_tree_build(&tree, counts, N));
    glia_rng rng = { .seed = 2 };
    double product[N - 1], sum = 0;
    for (int i = 0; i < N - 1; i++) product[i] = 4 * glia_rng_normal(&rng);
    for (int i = 0; i < N; i++) {
        double log_probability = 0;
        for (int64_t k = tree.starts[i]; k < tree.starts[i + 1]; k++) {
            const double x = product[tree.nodes[k]];
            log_probability += log_sigmoid(tree.bits[k] ? -x : x); /* the label is 1 - bit */
        }
        sum += exp(log_probability);
    }
    assert_near(sum, 1, 1e-12);
    glia_word_tree_free(&tree);
}

static void test_draws_follow_counts(void **state) {
    (void)state;
    enum { N = 500 };
    int64_t counts[N];
    double wanted[N], sum = 0, found[N] = { 0 };
    for (int i = 0; i < N; i++) counts[i] = 1000000 / (1 + i) / (1 + i) + 1;
    for (int i = 0; i < N; i++) sum += wanted[i] = pow((double)counts[i], 0.75);
    glia_word_draws draws;
    assert_true(glia_word_draws_build(&draws, counts, N, 0.75));
    for (int i = 0; i < N; i++) { /* the table's own probabilities */
        const double keep = draws.cells[i].keep == UINT32_MAX ? 1 : draws.cells[i].keep / 0x1p32;
        found[i] += keep / N;
        found[draws.cells[i].other] += (1 - keep) / N;
    }
    for (int i = 0; i < N; i++) assert_near(found[i], wanted[i] / sum, 1e-9);

    enum { DRAWS = 2000000 };
    static int64_t seen[N];
    uint64_t random = 7;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < DRAWS; i++) seen[glia_word_draw(&draws, glia_word_random(&random))]++;
    double chi = 0;
    for (int i = 0; i < N; i++) {
        const double expected = DRAWS * wanted[i] / sum;
        chi += ((double)seen[i] - expected) * ((double)seen[i] - expected) / expected;
    }
    assert_true(chi < 499 + 5 * sqrt(2 * 499)); /* 499 degrees of freedom */
    glia_word_draws_free(&draws);
}

static void test_thinning(void **state) {
    (void)state;
    assert_true(glia_word_kept(10, 1000000, 1e-3) == 1);
    assert_true(glia_word_kept(500000, 1000000, -1) == 1);
    /* (sqrt(f / s) + 1) s / f for f = 0.05, s = 0.001 */
    assert_near(glia_word_kept(50000, 1000000, 1e-3), (sqrt(50) + 1) / 50, 1e-12);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* All tokens, separated by |, line ends as $. */
static const char *tokens_of(glia_text_source source) {
    static char out[4096];
    static glia_word_reader reader;
    size_t n = 0;
    glia_word_reader_start(&reader, source);
    for (;;) {
        const glia_token token = glia_word_reader_next(&reader, &error);
        if (token == GLIA_TOKEN_FAILED) fail_msg("%s", error.message);
        if (token == GLIA_TOKEN_END) break;
        n += (size_t)snprintf(out + n, sizeof out - n, "%s|", token == GLIA_TOKEN_LINE ? "$" : reader.word);
    }
    glia_word_reader_close(&reader);
    out[n] = 0;
    return out;
}

static void test_reading_words(void **state) {
    (void)state;
#define TEXT(words) .text = words, .length = sizeof(words) - 1
    assert_string_equal(tokens_of((glia_text_source){ TEXT("a  bc\td\r\n\nThe end") }), "a|bc|d|$|$|The|end|");
    assert_string_equal(tokens_of((glia_text_source){ TEXT("") }), "");
    assert_string_equal(
        tokens_of((glia_text_source){ TEXT("The D\xC3\x84MON, O'Neill's 'x' \xD0\x96-9 \xE8\xAA\x9E\xE3\x80\x82\xFF z"),
                                      .rule = GLIA_WORDS_LETTERS, .lowercase = true }),
        "the|d\xC3\xA4mon|o'neill's|x|\xD0\xB6|9|\xE8\xAA\x9E|z|");
    assert_string_equal(tokens_of((glia_text_source){ TEXT("don\xE2\x80\x99t \xE2\x80\x9Cquote\xE2\x80\x9D"),
                                                      .rule = GLIA_WORDS_LETTERS }),
                        "don't|quote|");
    assert_string_equal(tokens_of((glia_text_source){ TEXT("A\xC3\x84. B"), .lowercase = true }), "a\xC3\xA4.|b|");
    write_text("one.txt", "a b", 3);
    write_text("two.txt", "c\nd", 3);
    const char *const files[] = { "one.txt", "two.txt" };
    assert_string_equal(tokens_of((glia_text_source){ .files = files, .n_files = 2 }), "a|b|$|c|$|d|");
}

/* Words across the reader's buffer, and one longer than words may be. */
static void test_reading_long_text(void **state) {
    (void)state;
    enum { BYTES = 300000 };
    char *text = malloc(BYTES);
    assert_non_null(text);
    for (int i = 0; i < BYTES; i++) text[i] = i % 7 == 6 ? ' ' : (char)('a' + i % 7);
    memset(text + 100000, 'x', 70000);
    static glia_word_reader reader;
    for (int rule = 0; rule < 2; rule++) {
        int64_t words = 0, usual = 0, longest = 0;
        glia_word_reader_start(&reader,
                               (glia_text_source){ .text = text, .length = BYTES, .rule = (glia_word_rule)rule });
        while (glia_word_reader_next(&reader, &error) == GLIA_TOKEN_WORD) {
            words++;
            usual += !strcmp(reader.word, "abcdef");
            longest = GLIA_MAX(longest, (int64_t)reader.length);
        }
        assert_int_equal(longest, GLIA_WORD_BYTES);
        assert_true(words - usual <= 3 && words > 32000);
    }
    free(text);
}

static void test_reading_fails_with_place(void **state) {
    (void)state;
    const char *const missing[] = { "missing.txt" }, *const cut[] = { "cut.txt.gz" };
    assert_null(
        glia_word2vec_train((glia_text_source){ .files = missing, .n_files = 1 }, (glia_word2vec_opts){ 0 }, &error));
    assert_int_equal(error.status, GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "missing.txt"));
    static const uint8_t begun[] = { 0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x4B };
    write_text("cut.txt.gz", begun, sizeof begun);
    assert_null(
        glia_word2vec_train((glia_text_source){ .files = cut, .n_files = 1 }, (glia_word2vec_opts){ 0 }, &error));
    assert_non_null(strstr(error.message, "cut.txt.gz"));
}

/* ---- training ----------------------------------------------------------------------------- */

enum { TOPICS = 4, WORDS = 8, SENTENCES = 1500 };

/* Sentences of eight words of one topic: word "t2w5" is the fifth of topic 2. */
static char *topics(size_t *length) {
    char *text = malloc(SENTENCES * 8 * 5 + 1);
    assert_non_null(text);
    glia_rng rng = { .seed = 1 };
    size_t n = 0;
    for (int s = 0; s < SENTENCES; s++) {
        const int topic = (int)glia_rng_below(&rng, TOPICS);
        for (int w = 0; w < 8; w++)
            n += (size_t)sprintf(text + n, "t%dw%d%c", topic, (int)glia_rng_below(&rng, WORDS), w < 7 ? ' ' : '\n');
    }
    *length = n;
    return text;
}

static glia_vectors *learn(glia_word2vec_opts opts) {
    size_t length;
    char *text = topics(&length);
    if (!opts.size) opts.size = 20;
    opts.sample = -1;
    glia_vectors *vectors = glia_word2vec_train((glia_text_source){ .text = text, .length = length }, opts, &error);
    if (!vectors) fail_msg("%s", error.message);
    free(text);
    return vectors;
}

/* How many of the words have their topic's other seven nearest to them. */
static int sorted_words(const glia_vectors *v) {
    int good = 0;
    assert_int_equal(glia_vectors_words(v), TOPICS * WORDS);
    for (int64_t i = 0; i < glia_vectors_words(v); i++) {
        glia_neighbour near[WORDS - 1];
        const char *word = glia_vectors_word(v, i);
        assert_int_equal(
            glia_vectors_nearest(v, (glia_nearest_opts){ .plus = &word, .n_plus = 1 }, near, WORDS - 1, &error),
            WORDS - 1);
        int same = 0;
        for (int k = 0; k < WORDS - 1; k++) same += glia_vectors_word(v, near[k].word)[1] == word[1];
        good += same == WORDS - 1;
    }
    return good;
}

static void test_training_finds_topics(void **state) {
    (void)state;
    const glia_word2vec_opts ways[] = {
        { .model = GLIA_SKIP_GRAM },
        { .model = GLIA_SKIP_GRAM, .own_negatives = true },
        { .model = GLIA_SKIP_GRAM, .hierarchical_softmax = true },
        { .model = GLIA_SKIP_GRAM, .hierarchical_softmax = true, .negative = 3, .threads = 2 },
        { .model = GLIA_CBOW, .epochs = 10 },
        { .model = GLIA_CBOW, .hierarchical_softmax = true },
        { .model = GLIA_CBOW, .window = 2, .size = 33, .epochs = 10 },
    };
    for (int i = 0; i < GLIA_COUNT(ways); i++) {
        glia_vectors *v = learn(ways[i]);
        assert_int_equal(sorted_words(v), TOPICS * WORDS);
        glia_vectors_free(v);
    }
}

static void test_one_thread_repeats_itself(void **state) {
    (void)state;
    for (int hierarchical = 0; hierarchical < 2; hierarchical++) {
        const glia_word2vec_opts opts = { .model = hierarchical ? GLIA_CBOW : GLIA_SKIP_GRAM,
                                          .seed = 3,
                                          .hierarchical_softmax = hierarchical };
        glia_word2vec_opts other = opts;
        other.seed = 4;
        glia_vectors *a = learn(opts), *b = learn(opts), *c = learn(other);
        const size_t bytes = (size_t)(glia_vectors_words(a) * glia_vectors_size(a)) * sizeof(float);
        assert_memory_equal(glia_vectors_at(a, 0), glia_vectors_at(b, 0), bytes);
        assert_memory_not_equal(glia_vectors_at(a, 0), glia_vectors_at(c, 0), bytes);
        glia_vectors_free(a);
        glia_vectors_free(b);
        glia_vectors_free(c);
    }
}

typedef struct watched {
    int calls, stop_at;
    int64_t words, total;
    double rate;
} watched;

static glia_status count_calls(const glia_word2vec_progress *p, void *context) {
    watched *w = context;
    w->words = p->words;
    w->total = p->total;
    w->rate = p->rate;
    return ++w->calls == w->stop_at ? GLIA_E_INTERRUPTED : GLIA_OK;
}

static void test_watching_and_stopping(void **state) {
    (void)state;
    watched w = { 0 };
    glia_vectors_free(learn((glia_word2vec_opts){ .watch = count_calls, .context = &w, .epochs = 2 }));
    assert_int_equal(w.words, w.total);
    assert_int_equal(w.total, 2 * 8 * SENTENCES);
    assert_near(w.rate, 0.05e-4, 1e-6);
    assert_true(w.calls >= 2);
    size_t length;
    char *text = topics(&length);
    watched stop = { .stop_at = 2 };
    assert_null(glia_word2vec_train((glia_text_source){ .text = text, .length = length },
                                    (glia_word2vec_opts){ .watch = count_calls, .context = &stop }, &error));
    assert_int_equal(error.status, GLIA_E_INTERRUPTED);
    assert_int_equal(stop.calls, 2);
    free(text);
}

/* With a vocabulary that promises a short text the chunks are small, and the text is read again for each epoch. */
static void test_many_chunks(void **state) {
    (void)state;
    char counts[TOPICS * WORDS * 8];
    size_t n = 0;
    for (int i = 0; i < TOPICS * WORDS; i++) n += (size_t)sprintf(counts + n, "t%dw%d 5\n", i / WORDS, i % WORDS);
    write_text("counts.txt", counts, n);
    watched w = { 0 };
    glia_vectors *v = learn((glia_word2vec_opts){ .model = GLIA_SKIP_GRAM,
                                                  .vocabulary = "counts.txt",
                                                  .epochs = 3,
                                                  .watch = count_calls,
                                                  .context = &w,
                                                  .rate = 1 });
    assert_int_equal(w.words, 3 * 8 * SENTENCES); /* all of them were seen */
    assert_int_equal(glia_vectors_count(v, 0), 5);
    assert_done(glia_vectors_save_counts(v, "written.txt", &error));
    glia_file file;
    assert_done(glia_file_open(&file, "written.txt", &error));
    assert_int_equal(file.length, n);
    assert_memory_equal(file.bytes, counts, n);
    glia_file_close(&file);
    glia_vectors_free(v);
}

static void test_options_are_checked(void **state) {
    (void)state;
    const glia_text_source text = { TEXT("a b a b a b a b a b a b c") };
    const glia_word2vec_opts wrong[] = { { .size = -1 },   { .window = 100000 }, { .negative = -1 }, { .epochs = -2 },
                                         { .rate = -0.5 }, { .min_count = 100 }, { .max_words = 1 } };
    for (int i = 0; i < GLIA_COUNT(wrong); i++) {
        assert_null(glia_word2vec_train(text, wrong[i], &error));
        assert_int_equal(error.status, GLIA_E_ARGUMENT);
    }
    glia_vectors *v = glia_word2vec_train(text, (glia_word2vec_opts){ .size = 3 }, NULL);
    assert_non_null(v);
    assert_int_equal(glia_vectors_words(v), 2);
    assert_int_equal(glia_vectors_count(v, 0), 6);
    glia_vectors_free(v);
    write_text("wrong.txt", "a 3\nb\n", 6);
    assert_null(glia_word2vec_train(text, (glia_word2vec_opts){ .vocabulary = "wrong.txt" }, &error));
    assert_string_equal(error.message, "wrong.txt: line 2: a word without its count");
}

/* ---- vectors ------------------------------------------------------------------------------ */

static const char *const names[] = { "king", "queen", "man", "woman", "apple" };
static const float values[] = { 1, 1, 0, /* royal, male, fruit */ 1, -1, 0, 0.1F, 1, 0, 0.1F, -1, 0, 0, 0, 2 };

static glia_vectors *royals(void) {
    glia_vectors *v = glia_vectors_create(names, values, NULL, 5, 3, &error);
    assert_non_null(v);
    return v;
}

static void test_questions(void **state) {
    (void)state;
    glia_vectors *v = royals();
    double cosine;
    assert_done(glia_vectors_similarity(v, "king", "queen", &cosine, &error));
    assert_near(cosine, 0, 1e-7);
    assert_done(glia_vectors_similarity(v, "king", "king", &cosine, &error));
    assert_near(cosine, 1, 1e-12);
    assert_int_equal(glia_vectors_similarity(v, "king", "prince", &cosine, &error), GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "\"prince\""));
    const char *const plus[] = { "king", "woman" }, *const minus[] = { "man" };
    glia_neighbour near[5];
    const glia_nearest_opts opts = { .plus = plus, .n_plus = 2, .minus = minus, .n_minus = 1 };
    assert_int_equal(glia_vectors_nearest(v, opts, near, 5, &error), 2);
    assert_string_equal(glia_vectors_word(v, near[0].word), "queen");
    assert_string_equal(glia_vectors_word(v, near[1].word), "apple");
    assert_near(near[1].similarity, 0, 1e-6);
    float filled[9] = { 7, 7, 7, 7, 7, 7, 7, 7, 7 };
    assert_int_equal(glia_vectors_fill(v, (const char *const[]){ "apple", "pear", "man" }, 3, filled), 2);
    assert_memory_equal(filled, values + 12, 3 * sizeof(float));
    assert_true(filled[3] == 7);
    assert_memory_equal(filled + 6, values + 6, 3 * sizeof(float));
    int32_t group[5];
    assert_done(glia_vectors_groups(v, 3, group, &error));
    assert_true(group[0] == group[2] && group[1] == group[3] && group[0] != group[1] && group[4] != group[0]);
    assert_null(glia_vectors_create((const char *const[]){ "a", "a" }, values, NULL, 2, 3, &error));
    assert_non_null(strstr(error.message, "twice"));
    glia_vectors_free(v);
}

static void test_analogies(void **state) {
    (void)state;
    glia_vectors *v = royals();
    const char questions[] = ": family\nMan king Woman QUEEN\nman king woman apple\nking man queen woman\nman x y z\n"
                             ": gram1-none\nking man king man\n";
    write_text("questions.txt", questions, sizeof questions - 1);
    glia_analogies r;
    assert_done(glia_vectors_analogies(v, "questions.txt", 0, 1, &r, &error));
    assert_int_equal(r.questions, 5);
    assert_int_equal(r.asked, 4);
    assert_int_equal(r.right, 2);
    assert_int_equal(r.n_sections, 2);
    assert_string_equal(r.sections[0].name, "family");
    assert_int_equal(r.sections[0].asked, 3);
    assert_int_equal(r.semantic_right, 2);
    assert_int_equal(r.syntactic_asked, 1);
    assert_true(r.sections[1].syntactic);
    assert_done(glia_vectors_analogies(v, "questions.txt", 3, 2, &r, &error)); /* without woman */
    assert_int_equal(r.asked, 1);
    write_text("questions.txt", ": a\nb c\n", 8);
    assert_int_equal(glia_vectors_analogies(v, "questions.txt", 0, 1, &r, &error), GLIA_E_FORMAT);
    assert_string_equal(error.message, "questions.txt: line 2: 2 words, where a question has four");
    glia_vectors_free(v);
}

static void test_ranks(void **state) {
    (void)state;
    const double x[] = { 1, 2, 3, 4, 5 }, y[] = { 5, 6, 7, 8, 7 }, z[] = { 2, 2, 2, 2, 2 };
    assert_near(glia_spearman(x, y, 5), 0.8207826816681233, 1e-12); /* scipy.stats.spearmanr */
    assert_true(isnan(glia_spearman(x, z, 5)));
    glia_vectors *v = royals();
    const char pairs[] = "Word 1,Word 2,Human\n# a comment\nking,man,9\nking,queen,5\nman,woman,1\nking,prince,3\n";
    write_text("pairs.csv", pairs, sizeof pairs - 1);
    glia_similarities s;
    assert_done(glia_vectors_similarities(v, "pairs.csv", 0, &s, &error));
    assert_int_equal(s.pairs, 4);
    assert_int_equal(s.known, 3);
    assert_near(s.spearman, 1, 1e-12);
    glia_vectors_free(v);
}

/* ---- files -------------------------------------------------------------------------------- */

static void assert_same(const glia_vectors *a, const glia_vectors *b) {
    assert_int_equal(glia_vectors_words(a), glia_vectors_words(b));
    assert_int_equal(glia_vectors_size(a), glia_vectors_size(b));
    for (int64_t i = 0; i < glia_vectors_words(a); i++) {
        assert_string_equal(glia_vectors_word(a, i), glia_vectors_word(b, i));
        assert_int_equal(glia_vectors_find(b, glia_vectors_word(a, i)), i);
        assert_memory_equal(glia_vectors_at(a, i), glia_vectors_at(b, i), (size_t)glia_vectors_size(a) * sizeof(float));
    }
}

static void test_files_round_trip(void **state) {
    (void)state;
    enum { N = 40, SIZE = 7 };
    float numbers[N * SIZE];
    char words[N][16];
    const char *list[N];
    int64_t counts[N];
    glia_rng rng = { .seed = 5 };
    for (int i = 0; i < N; i++) {
        sprintf(words[i], "w\xC3\xA9%d", i);
        list[i] = words[i];
        counts[i] = 1000 - i;
    }
    for (int i = 0; i < N * SIZE; i++) numbers[i] = (float)(glia_rng_normal(&rng) * exp(20 * glia_rng_normal(&rng)));
    numbers[3] = 0;
    numbers[4] = -0.0F;
    numbers[5] = 1e-42F;
    glia_vectors *v = glia_vectors_create(list, numbers, counts, N, SIZE, &error);
    assert_non_null(v);
    const char *const paths[] = { "v.txt", "v.bin", "v.safetensors" };
    for (int i = 0; i < 3; i++) {
        assert_done(glia_vectors_save(v, paths[i], GLIA_VECTORS_DEFAULT, &error));
        glia_vectors *back = glia_vectors_load(paths[i], GLIA_VECTORS_DEFAULT, 0, &error);
        if (!back) fail_msg("%s", error.message);
        assert_same(v, back);
        assert_int_equal(glia_vectors_count(back, 3), i == 2 ? 997 : 0);
        glia_vectors_free(back);
        back = glia_vectors_load(paths[i], GLIA_VECTORS_DEFAULT, 4, &error);
        if (!back) fail_msg("%s", error.message);
        assert_int_equal(glia_vectors_words(back), 4);
        glia_vectors_free(back);
    }
    glia_vectors_free(v);
    v = glia_vectors_create((const char *const[]){ "New York" }, numbers, NULL, 1, 2, &error);
    assert_int_equal(glia_vectors_save(v, "v.txt", GLIA_VECTORS_DEFAULT, &error), GLIA_E_ARGUMENT);
    assert_done(glia_vectors_save(v, "v.safetensors", GLIA_VECTORS_DEFAULT, &error));
    glia_vectors_free(v);
}

/* What gensim wrote, and the bytes that it and word2vec.c read. */
static void test_files_of_gensim(void **state) {
    (void)state;
    static const char *const words[] = { "the", "na\xC3\xAFve", "\xE8\xAA\x9E", "O'Neill", "123", ":-)" };
    const char *const paths[] = { GLIA_GOLDEN_DIR "/word2vec/gensim.txt", GLIA_GOLDEN_DIR "/word2vec/gensim.bin" };
    for (int f = 0; f < 2; f++) {
        glia_vectors *v = glia_vectors_load(paths[f], GLIA_VECTORS_DEFAULT, 0, &error);
        if (!v) fail_msg("%s", error.message);
        assert_int_equal(glia_vectors_words(v), 6);
        assert_int_equal(glia_vectors_size(v), 5);
        for (int i = 0; i < 6; i++) {
            assert_string_equal(glia_vectors_word(v, i), words[i]);
            for (int k = 0; k < 5; k++) assert_true(glia_vectors_at(v, i)[k] == (float)(7 * i + 3 * k - 11) / 8);
        }
        glia_vectors_free(v);
    }
    glia_vectors *v = glia_vectors_create((const char *const[]){ "a", "b" }, (const float[]){ 0.5F, -1, 0.1F, 3 }, NULL,
                                          2, 2, &error);
    glia_file file;
    assert_done(glia_vectors_save(v, "ab.txt", GLIA_VECTORS_DEFAULT, &error));
    assert_done(glia_file_open(&file, "ab.txt", &error));
    assert_int_equal(file.length, strlen("2 2\na 0.5 -1\nb 0.1 3\n"));
    assert_memory_equal(file.bytes, "2 2\na 0.5 -1\nb 0.1 3\n", file.length);
    glia_file_close(&file);
    assert_done(glia_vectors_save(v, "ab.bin", GLIA_VECTORS_DEFAULT, &error));
    assert_done(glia_file_open(&file, "ab.bin", &error));
    static const char bytes[] = "2 2\na \0\0\0\x3F\0\0\x80\xBF\nb \xCD\xCC\xCC\x3D\0\0\x40\x40\n";
    assert_int_equal(file.length, sizeof bytes - 1);
    assert_memory_equal(file.bytes, bytes, file.length);
    glia_file_close(&file);
    glia_vectors_free(v);
}

static void refuse(const char *bytes, size_t length, glia_vectors_format format, const char *says) {
    glia_vectors *v;
    assert_int_equal(glia_vectors_parse((const uint8_t *)bytes, length, format, 0, &v, &error), GLIA_E_FORMAT);
    assert_null(v);
    if (!strstr(error.message, says)) fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

static void test_hostile_files(void **state) {
    (void)state;
#define REFUSE(bytes, format, says) refuse(bytes, sizeof(bytes) - 1, format, says)
    REFUSE("", GLIA_VECTORS_DEFAULT, "no numbers");
    REFUSE("2 2\na 1 2\n", GLIA_VECTORS_TEXT, "line 3 (offset 10): 1 words, where the first line says 2");
    REFUSE("1 2\na 1 2\nb 1 2\n", GLIA_VECTORS_TEXT, "more words than the first line says");
    REFUSE("2 2\na 1 2\nb 1\n", GLIA_VECTORS_DEFAULT, "line 3 (offset 13): fewer numbers");
    REFUSE("1 2\na 1 2 3\n", GLIA_VECTORS_DEFAULT, "more numbers");
    REFUSE("1 2\na 1 2x\n", GLIA_VECTORS_TEXT, "no number");
    REFUSE("1 2\na 1 1e99\n", GLIA_VECTORS_TEXT, "too large");
    REFUSE("9 999999999999\na 1 2\n", GLIA_VECTORS_TEXT, "too short");
    REFUSE("999999999999999 1\na 1\n", GLIA_VECTORS_TEXT, "1 words, where");
    REFUSE("0 0\n", GLIA_VECTORS_DEFAULT, "");
    REFUSE("2 1\na \0\0\0\0", GLIA_VECTORS_BINARY, "offset 10: the file ends");
    REFUSE("1 1\na \0\0\xC0\x7F", GLIA_VECTORS_BINARY, "not finite");
    REFUSE("1 999999\na \0\0\0\0", GLIA_VECTORS_BINARY, "too short");
    REFUSE("1 1\na \0\0\0\0b", GLIA_VECTORS_BINARY, "bytes behind");
    REFUSE("x y\na \0\0\0\0", GLIA_VECTORS_BINARY, "WORDS SIZE");
    glia_vectors *v; /* GloVe: no first line; a word that comes again is left out */
    const char glove[] = "a 1 2\nb 3 4\na 5 6\n";
    assert_done(glia_vectors_parse((const uint8_t *)glove, sizeof glove - 1, GLIA_VECTORS_DEFAULT, 0, &v, &error));
    assert_int_equal(glia_vectors_words(v), 2);
    assert_true(glia_vectors_of(v, "a")[1] == 2);
    glia_vectors_free(v);
}

/* Whatever a file is cut to, or has for a byte, is read or refused. */
static void test_damaged_files(void **state) {
    (void)state;
    glia_vectors *v = royals();
    const char *const paths[] = { "d.txt", "d.bin", "d.safetensors" };
    glia_rng rng = { .seed = 8 };
    for (int f = 0; f < 3; f++) {
        assert_done(glia_vectors_save(v, paths[f], GLIA_VECTORS_DEFAULT, &error));
        glia_file file;
        assert_done(glia_file_open(&file, paths[f], &error));
        for (int round = 0; round < 2000; round++) {
            const size_t length = round < (int)file.length ? (size_t)round : file.length;
            uint8_t *bytes = malloc(length + 1);
            assert_non_null(bytes);
            memcpy(bytes, file.bytes, length);
            if (length == file.length) bytes[glia_rng_below(&rng, length)] = (uint8_t)glia_rng_u32(&rng);
            glia_vectors *damaged;
            glia_vectors_parse(bytes, length, (glia_vectors_format)(f + 1), 0, &damaged, &error);
            glia_vectors_free(damaged);
            glia_vectors_parse(bytes, length, GLIA_VECTORS_DEFAULT, 2, &damaged, &error);
            glia_vectors_free(damaged);
            free(bytes);
        }
        glia_file_close(&file);
    }
    glia_vectors_free(v);
}

/* ---- phrases ------------------------------------------------------------------------------ */

static void test_phrases(void **state) {
    (void)state;
    char text[20000];
    size_t n = 0;
    for (int i = 0; i < 400; i++)
        n += (size_t)sprintf(text + n, i % 8 ? "w%d w%d w%d\n" : "w%d new york w%d\n", i * 7 % 40, i * 3 % 37,
                             i * 11 % 29);
    int64_t joined;
    const glia_text_source source = { .text = text, .length = n };
    assert_done(glia_word_phrases(source, (glia_phrases_opts){ .threshold = 15 }, "phrases.txt", &joined, &error));
    assert_int_equal(joined, 50);
    const char *const files[] = { "phrases.txt" };
    glia_vectors *v = glia_word2vec_train((glia_text_source){ .files = files, .n_files = 1 },
                                          (glia_word2vec_opts){ .size = 4 }, &error);
    if (!v) fail_msg("%s", error.message);
    assert_int_equal(glia_vectors_count(v, glia_vectors_find(v, "new_york")), 50);
    assert_int_equal(glia_vectors_find(v, "new"), -1);
    glia_vectors_free(v);
}

/* ---- real text ---------------------------------------------------------------------------- */

/* On the abc corpus word2vec.c answers 2.7 to 3.1 % of the questions whose words it knows; chance is 0.01 %. */
static void test_abc(void **state) {
    (void)state;
    const char *folder = getenv("GLIA_DATA");
    char rural[512], science[512], questions[512];
    if (!folder) skip();
    snprintf(rural, sizeof rural, "%s/abc/rural.txt.gz", folder);
    snprintf(science, sizeof science, "%s/abc/science.txt.gz", folder);
    snprintf(questions, sizeof questions, "%s/word2vec/questions-words.txt.gz", folder);
    FILE *there = fopen(questions, "rb");
    if (!there) skip();
    fclose(there);
    const char *const files[] = { rural, science };
    const glia_text_source source = { .files = files, .n_files = 2, .rule = GLIA_WORDS_LETTERS, .lowercase = true };
    glia_vectors *v = glia_word2vec_train(source, (glia_word2vec_opts){ .model = GLIA_SKIP_GRAM }, &error);
    if (!v) fail_msg("%s", error.message);
    glia_analogies r;
    assert_done(glia_vectors_analogies(v, questions, 0, 0, &r, &error));
    assert_true(r.asked > 4000);
    assert_true((double)r.right / (double)r.asked > 0.02);
    glia_vectors_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_gradient),
        cmocka_unit_test(test_step_same_rows),
        cmocka_unit_test(test_huffman_codes_are_optimal),
        cmocka_unit_test(test_hierarchical_softmax_sums_to_one),
        cmocka_unit_test(test_draws_follow_counts),
        cmocka_unit_test(test_thinning),
        cmocka_unit_test(test_reading_words),
        cmocka_unit_test(test_reading_long_text),
        cmocka_unit_test(test_reading_fails_with_place),
        cmocka_unit_test(test_training_finds_topics),
        cmocka_unit_test(test_one_thread_repeats_itself),
        cmocka_unit_test(test_watching_and_stopping),
        cmocka_unit_test(test_many_chunks),
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_analogies),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_files_round_trip),
        cmocka_unit_test(test_files_of_gensim),
        cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_phrases),
        cmocka_unit_test(test_abc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
