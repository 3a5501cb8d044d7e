/* word2vec.c - `glia word2vec`: trains word vectors on text, queries and plots them. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "glia/glia.h"
#include "runs/saved.h"
#include "terminal/options.h"
#include "terminal/tool.h"

typedef struct request {
    /* train */
    const char *out, *model, *words, *vocabulary, *save_vocabulary, *groups_file;
    int64_t size, window, negative, epochs, min_count, max_words, threads, seed, groups, phrases;
    double sample, rate;
    bool hierarchical, own_negatives, lowercase;
    /* queries */
    const char *questions, *similarities;
    int64_t top, limit;
    /* plot */
    const char *method;
    int64_t count;
    double perplexity;
} request;

typedef int (*action_fn)(const request *r, char **arguments, int n);

/* Vectors of a file, or of a run of the method word2vec. */
static glia_vectors *load(const char *path) {
    glia_error error;
    struct stat info;
    glia_vectors *vectors = NULL;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        char *file = saved_path(path);
        glia_model *model = glia_model_load(file, &error);
        if (model) vectors = glia_vectors_from_model(model, &error);
        glia_model_free(model);
        free(file);
    } else {
        vectors = glia_vectors_load(path, GLIA_VECTORS_DEFAULT, 0, &error);
    }
    if (!vectors) fail("%s", error.message);
    return vectors;
}

/* ---- train -------------------------------------------------------------------------------- */

static glia_status watch(const glia_word2vec_progress *p, void *context) {
    double *shown = context;
    const bool live = isatty(STDERR_FILENO), over = p->words == p->total;
    if (p->seconds - *shown < (live ? 0.1 : 10) && !over) return GLIA_OK;
    *shown = p->seconds;
    char speed[SHORT];
    const double per_second = p->seconds > 0 ? (double)p->words / p->seconds : 0;
    fprintf(stderr, "%sepoch %lld of %lld, %3.0f %%, rate %.5f, %s words/s%s", live ? "\r" : "", (long long)p->epoch,
            (long long)p->epochs, 100 * (double)p->words / (double)p->total, p->rate,
            grouped((int64_t)per_second, speed), live ? "   " : "\n");
    return GLIA_OK;
}

static const char *vectors_file(const request *r) { return r->out ? r->out : "vectors.txt"; }

/* The texts with phrases joined, one file per pass beside the result; NULL: failed. */
static char *join_phrases(const request *r, glia_text_source *source, const char **file) {
    char *path = NULL;
    for (int64_t pass = 0; pass < r->phrases; pass++) {
        text next = { 0 };
        int64_t joined;
        glia_error error;
        text_add(&next, "%s.phrases%lld.txt", vectors_file(r), (long long)pass + 1);
        if (glia_word_phrases(*source, (glia_phrases_opts){ 0 }, next.bytes, &joined, &error) != GLIA_OK) {
            fail("%s", error.message);
            free(next.bytes);
            free(path);
            return NULL;
        }
        char number[SHORT];
        printf("%s: %s phrases joined\n", next.bytes, grouped(joined, number));
        free(path);
        path = next.bytes;
        *file = path;
        *source = (glia_text_source){ .files = file, .n_files = 1 };
    }
    return path;
}

static int save_groups(const request *r, const glia_vectors *vectors) {
    const int64_t n = glia_vectors_words(vectors);
    int32_t *group = allocate((size_t)n, sizeof *group);
    glia_error error;
    int status = -1;
    text out = { 0 };
    if (glia_vectors_groups(vectors, (int)r->groups, group, &error) != GLIA_OK) status = fail("%s", error.message);
    for (int64_t i = 0; i < n && status < 0; i++) text_add(&out, "%s %d\n", glia_vectors_word(vectors, i), group[i]);
    if (status < 0 && !write_file(r->groups_file, out.bytes, out.length))
        status = fail("%s: cannot be written", r->groups_file);
    free(out.bytes);
    free(group);
    return status;
}

static int save(const request *r, const glia_vectors *vectors) {
    glia_error error;
    char words[SHORT];
    if (glia_vectors_save(vectors, vectors_file(r), GLIA_VECTORS_DEFAULT, &error) != GLIA_OK)
        return fail("%s", error.message);
    if (r->save_vocabulary && glia_vectors_save_counts(vectors, r->save_vocabulary, &error) != GLIA_OK)
        return fail("%s", error.message);
    int status = r->groups_file ? save_groups(r, vectors) : -1;
    if (status >= 0) return status;
    printf("%s: %s words, vectors of %lld\n", vectors_file(r), grouped(glia_vectors_words(vectors), words),
           (long long)glia_vectors_size(vectors));
    return EXIT_OK;
}

/* Writes the vectors of a run into files. */
static int save_run(const request *r, char **arguments, int n) {
    if (n != 1) return misuse("word2vec save needs a run");
    if (!r->groups != !r->groups_file) return misuse("--groups and --groups-file go together");
    glia_vectors *vectors = load(arguments[0]);
    if (!vectors) return EXIT_FAILED;
    const int status = save(r, vectors);
    glia_vectors_free(vectors);
    return status;
}

static int train(const request *r, char **arguments, int n) {
    const bool skip_gram = !strcmp(r->model, "skip-gram");
    if (!skip_gram && strcmp(r->model, "cbow") != 0)
        return misuse("--model must be skip-gram or cbow, not \"%s\"", r->model);
    const bool letters = !strcmp(r->words, "letters");
    if (!letters && strcmp(r->words, "spaces") != 0)
        return misuse("--words must be spaces or letters, not \"%s\"", r->words);
    if (!r->groups != !r->groups_file) return misuse("--groups and --groups-file go together");
    double shown = 0;
    glia_text_source source = { .files = (const char *const *)arguments,
                                .n_files = n,
                                .rule = letters ? GLIA_WORDS_LETTERS : GLIA_WORDS_SPACES,
                                .lowercase = r->lowercase };
    const char *file = NULL;
    char *phrases = r->phrases ? join_phrases(r, &source, &file) : NULL;
    if (r->phrases && !phrases) return EXIT_FAILED;
    source.vocabulary = r->vocabulary;
    const glia_word2vec_opts opts = {
        .model = skip_gram ? GLIA_SKIP_GRAM : GLIA_CBOW,
        .size = r->size,
        .window = (int)r->window,
        .sample = r->sample > 0 ? r->sample : GLIA_ZERO,
        .hierarchical_softmax = r->hierarchical,
        .negative = r->negative < 0    ? 0
                    : r->negative == 0 ? GLIA_NONE
                                       : (int)r->negative,
        .own_negatives = r->own_negatives,
        .epochs = r->epochs,
        .min_count = r->min_count,
        .max_words = r->max_words,
        .rate = r->rate,
        .seed = (uint64_t)r->seed,
        .threads = (int)r->threads,
        .watch = watch,
        .context = &shown,
    };
    glia_error error;
    double begun = seconds_now();
    glia_vectors *vectors = glia_word2vec_train(source, opts, &error);
    if (isatty(STDERR_FILENO)) fputc('\n', stderr);
    int status = vectors ? save(r, vectors) : fail("%s", error.message);
    char taken[SHORT];
    if (vectors) fprintf(stderr, "%s\n", duration(seconds_now() - begun, taken));
    glia_vectors_free(vectors);
    free(phrases);
    return status;
}

/* ---- queries ------------------------------------------------------------------------------ */

static int print_nearest(const glia_vectors *vectors, glia_nearest_opts opts, int64_t top) {
    glia_error error;
    glia_neighbour *found = allocate((size_t)top, sizeof *found);
    const int n = glia_vectors_nearest(vectors, opts, found, (int)top, &error);
    for (int i = 0; i < n; i++) printf("%.4f  %s\n", found[i].similarity, glia_vectors_word(vectors, found[i].word));
    free(found);
    return n < 0 ? fail("%s", error.message) : EXIT_OK;
}

/* The nearest words to the mean of the words. */
static int nearest(const request *r, char **arguments, int n) {
    if (n < 2) return misuse("word2vec nearest needs a file of vectors and words");
    glia_vectors *vectors = load(arguments[0]);
    if (!vectors) return EXIT_FAILED;
    const glia_nearest_opts opts = { .plus = (const char *const *)arguments + 1, .n_plus = n - 1, .limit = r->limit };
    const int status = print_nearest(vectors, opts, r->top);
    glia_vectors_free(vectors);
    return status;
}

static int analogy(const request *r, char **arguments, int n) {
    if (n != 4) return misuse("word2vec analogy needs a file of vectors and three words: man king woman");
    glia_vectors *vectors = load(arguments[0]);
    if (!vectors) return EXIT_FAILED;
    const char *const plus[] = { arguments[2], arguments[3] }, *const minus[] = { arguments[1] };
    const glia_nearest_opts opts = { .plus = plus, .n_plus = 2, .minus = minus, .n_minus = 1, .limit = r->limit };
    const int status = print_nearest(vectors, opts, r->top);
    glia_vectors_free(vectors);
    return status;
}

static int similarity(const request *r, char **arguments, int n) {
    (void)r;
    if (n != 3) return misuse("word2vec similarity needs a file of vectors and two words");
    glia_vectors *vectors = load(arguments[0]);
    if (!vectors) return EXIT_FAILED;
    glia_error error;
    double cosine;
    glia_status status = glia_vectors_similarity(vectors, arguments[1], arguments[2], &cosine, &error);
    if (status == GLIA_OK) printf("%.4f\n", cosine);
    glia_vectors_free(vectors);
    return status == GLIA_OK ? EXIT_OK : fail("%s", error.message);
}

/* ---- evaluate ----------------------------------------------------------------------------- */

static void print_share(const char *name, int64_t right, int64_t asked) {
    char a[SHORT], b[SHORT];
    if (asked)
        printf("%-30s %6.2f %%  %s of %s\n", name, 100 * (double)right / (double)asked, grouped(right, a),
               grouped(asked, b));
    else
        printf("%-30s      -    no question with known words\n", name);
}

static int print_analogies(const request *r, const glia_vectors *vectors) {
    glia_error error;
    glia_analogies *a = allocate(1, sizeof *a);
    glia_status status = glia_vectors_analogies(vectors, r->questions, r->limit, 0, a, &error);
    for (int i = 0; i < a->n_sections && status == GLIA_OK; i++)
        print_share(a->sections[i].name, a->sections[i].right, a->sections[i].asked);
    if (status == GLIA_OK) {
        char asked[SHORT], all[SHORT];
        print_share("semantic", a->semantic_right, a->semantic_asked);
        print_share("syntactic", a->syntactic_right, a->syntactic_asked);
        print_share("all", a->right, a->asked);
        printf("evaluated %s of %s questions\n", grouped(a->asked, asked), grouped(a->questions, all));
    }
    free(a);
    return status == GLIA_OK ? EXIT_OK : fail("%s", error.message);
}

static int print_similarities(const request *r, const glia_vectors *vectors) {
    glia_error error;
    glia_similarities s;
    if (glia_vectors_similarities(vectors, r->similarities, r->limit, &s, &error) != GLIA_OK)
        return fail("%s", error.message);
    printf("%lld of %lld pairs: Spearman %.4f, Pearson %.4f\n", (long long)s.known, (long long)s.pairs, s.spearman,
           s.pearson);
    return EXIT_OK;
}

static int evaluate(const request *r, char **arguments, int n) {
    if (n != 1) return misuse("word2vec evaluate needs a file of vectors");
    if (!r->questions && !r->similarities)
        return misuse("word2vec evaluate needs --questions FILE, --similarities FILE, or both");
    glia_vectors *vectors = load(arguments[0]);
    if (!vectors) return EXIT_FAILED;
    int status = r->questions ? print_analogies(r, vectors) : EXIT_OK;
    if (status == EXIT_OK && r->similarities) status = print_similarities(r, vectors);
    glia_vectors_free(vectors);
    return status;
}

/* ---- plot --------------------------------------------------------------------------------- */

/* Words of a plot, each with a group. */
typedef struct drawn {
    int64_t *words, n;
    int32_t *groups;
} drawn;

static void add_drawn(drawn *d, int64_t word, int32_t group) {
    for (int64_t i = 0; i < d->n; i++)
        if (d->words[i] == word) return;
    d->words[d->n] = word;
    d->groups[d->n++] = group;
}

/* The given words, each followed by its nearest. Returns the exit status, -1 to go on. */
static int choose_around(const request *r, const glia_vectors *vectors, char **words, int n, drawn *d) {
    glia_error error;
    glia_neighbour *found = allocate((size_t)r->top, sizeof *found);
    int status = -1;
    for (int i = 0; i < n && status < 0; i++) {
        const char *const word[] = { words[i] };
        const glia_nearest_opts opts = { .plus = word, .n_plus = 1, .limit = r->limit };
        const int near = glia_vectors_nearest(vectors, opts, found, (int)r->top, &error);
        if (near < 0)
            status = fail("%s", error.message);
        else
            add_drawn(d, glia_vectors_find(vectors, words[i]), i);
        for (int k = 0; k < near; k++) add_drawn(d, found[k].word, i);
    }
    free(found);
    return status;
}

/* The most frequent words, coloured by group with --groups. */
static int choose_frequent(const request *r, const glia_vectors *vectors, drawn *d) {
    glia_error error;
    int32_t *group = allocate((size_t)glia_vectors_words(vectors), sizeof *group);
    int status = -1;
    if (r->groups && glia_vectors_groups(vectors, (int)r->groups, group, &error) != GLIA_OK)
        status = fail("%s", error.message);
    for (int64_t i = 0; i < r->count && i < glia_vectors_words(vectors) && status < 0; i++) {
        d->words[d->n] = i;
        d->groups[d->n++] = group[i];
    }
    free(group);
    return status;
}

/* Positions of the words; the vectors are normalised to unit length. */
static int find_places(const request *r, const glia_vectors *vectors, const drawn *d, double *places) {
    const int64_t size = glia_vectors_size(vectors);
    float *x = allocate((size_t)(d->n * size), sizeof *x);
    for (int64_t i = 0; i < d->n; i++) {
        const float *vector = glia_vectors_at(vectors, d->words[i]);
        double length = 0;
        for (int64_t k = 0; k < size; k++) length += (double)vector[k] * (double)vector[k];
        for (int64_t k = 0; k < size; k++) x[i * size + k] = (float)(length > 0 ? (double)vector[k] / sqrt(length) : 0);
    }
    glia_error error;
    const bool tsne = !strcmp(r->method, "t-sne");
    const glia_tsne_opts opts = { .perplexity = r->perplexity, .seed = (uint64_t)r->seed };
    const glia_status status = tsne ? glia_tsne(x, d->n, size, opts, places, NULL, &error)
                                    : glia_pca(x, d->n, size, 2, (glia_pca_result){ .y = places }, &error);
    free(x);
    return status == GLIA_OK ? -1 : fail("%s", error.message);
}

static int draw(const request *r, const glia_vectors *vectors, const drawn *d) {
    const char *out = r->out ? r->out : "words.svg";
    const char **labels = allocate((size_t)d->n + 1, sizeof *labels);
    double *places = allocate(2 * (size_t)d->n + 1, sizeof *places);
    glia_error error;
    int status = find_places(r, vectors, d, places);
    for (int64_t i = 0; i < d->n; i++) labels[i] = glia_vectors_word(vectors, d->words[i]);
    char *svg = NULL;
    if (status < 0) {
        svg = glia_map_svg(places, d->n, (glia_map_opts){ .labels = labels, .groups = d->groups }, &error);
        if (!svg) status = fail("%s", error.message);
    }
    if (svg && !write_file(out, svg, strlen(svg))) status = fail("%s: %s", out, strerror(errno));
    if (status < 0) printf("%s: %lld words\n", out, (long long)d->n);
    free(svg);
    free(labels);
    free(places);
    return status < 0 ? EXIT_OK : status;
}

static int plot(const request *r, char **arguments, int n) {
    if (strcmp(r->method, "t-sne") != 0 && strcmp(r->method, "pca") != 0)
        return misuse("--method must be t-sne or pca, not \"%s\"", r->method);
    glia_vectors *vectors = load(arguments[0]);
    if (!vectors) return EXIT_FAILED;
    const size_t most = n > 1 ? (size_t)(n - 1) * (size_t)(r->top + 1) : (size_t)r->count;
    drawn d = { .words = allocate(most, sizeof *d.words), .groups = allocate(most, sizeof *d.groups) };
    int status = n > 1 ? choose_around(r, vectors, arguments + 1, n - 1, &d) : choose_frequent(r, vectors, &d);
    if (status < 0) status = draw(r, vectors, &d);
    free(d.words);
    free(d.groups);
    glia_vectors_free(vectors);
    return status;
}

/* ---- the command -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    action_fn run;
} actions[] = {
    { "train", train },           { "nearest", nearest },   { "analogy", analogy },
    { "similarity", similarity }, { "evaluate", evaluate }, { "plot", plot },
    { "save", save_run },
};
enum { ACTIONS = sizeof actions / sizeof actions[0] };

static int unknown(const char *name) {
    const char *names[ACTIONS];
    for (int i = 0; i < ACTIONS; i++) names[i] = actions[i].name;
    const char *near = glia_name_nearest(name, names, ACTIONS);
    if (near) return misuse("unknown subcommand \"%s\"; did you mean `glia word2vec %s`?", name, near);
    return misuse("unknown subcommand \"%s\"; see `glia help word2vec`", name);
}

/* As options_parse(). */
static int parse(request *r, int argc, char **argv, int *n) {
    *r = (request){ .method = "t-sne",
                    .count = 300,
                    .model = "cbow",
                    .words = "spaces",
                    .negative = -1,
                    .sample = 1e-3,
                    .threads = 1,
                    .top = 10 };
    const option table[] = {
        { .help =
              "`glia word2vec train TEXT...` trains on files, plain or .gz; `nearest VECTORS WORD...`, `analogy" },
        { .help = "VECTORS man king woman`, `similarity VECTORS A B` and `evaluate VECTORS` query the vectors." },
        { .help = "`plot VECTORS [WORD...]` plots the most frequent words, or the nearest to the given ones." },
        { .help = "VECTORS is a file, or a run of `glia train word2vec`, which `save RUN` writes into a file." },
        { .help = "train; save (with --out, --save-vocabulary, --groups)" },
        { "out", OPTION_TEXT, &r->out, "FILE", "vectors: .bin, .safetensors, else text (vectors.txt)", 0, 0 },
        { "model", OPTION_TEXT, &r->model, "NAME", "skip-gram or cbow (cbow)", 0, 0 },
        { "size", OPTION_INT, &r->size, "N", "vector size (100)", 1, 1 << 20 },
        { "window", OPTION_INT, &r->window, "N", "maximum number of words on either side (5)", 1, 1000 },
        { "negative", OPTION_INT, &r->negative, "N", "negative samples (5; 0 with the next option)", 0, 10000 },
        { "hierarchical-softmax", OPTION_FLAG, &r->hierarchical, NULL, "softmax over a Huffman tree", 0, 0 },
        { "own-negatives", OPTION_FLAG, &r->own_negatives, NULL, "skip-gram: new negatives per pair, as in word2vec.c",
          0, 0 },
        { "sample", OPTION_REAL, &r->sample, "SHARE", "subsample words above this frequency; 0: off (0.001)", 0,
          1 },
        { "epochs", OPTION_INT, &r->epochs, "N", "passes over the text (5)", 1, 1e6 },
        { "rate", OPTION_REAL, &r->rate, "RATE", "learning rate (skip-gram 0.025, cbow 0.05)", 1e-6, 10 },
        { "min-count", OPTION_INT, &r->min_count, "N", "minimum word frequency (5)", 1, 1e9 },
        { "max-words", OPTION_INT, &r->max_words, "N", "maximum vocabulary size (all)", 1, 1e9 },
        { "words", OPTION_TEXT, &r->words, "RULE", "split at spaces, or at all but letters and digits (spaces)", 0, 0 },
        { "lowercase", OPTION_FLAG, &r->lowercase, NULL, "convert to lowercase", 0, 0 },
        { "phrases", OPTION_INT, &r->phrases, "N", "detect and join phrases first, in N passes", 1, 10 },
        { "threads", OPTION_INT, &r->threads, "N", "only 1 is reproducible (1); -1: all cores", -1,
          4096 },
        { "seed", OPTION_INT, &r->seed, "N", "random seed (0)", 0, 9e15 },
        { "vocabulary", OPTION_TEXT, &r->vocabulary, "FILE", "read words and counts from a file", 0, 0 },
        { "save-vocabulary", OPTION_TEXT, &r->save_vocabulary, "FILE", "write words and counts", 0, 0 },
        { "groups", OPTION_INT, &r->groups, "N", "cluster the words into N groups by k-means", 1, 1e6 },
        { "groups-file", OPTION_TEXT, &r->groups_file, "FILE", "output file of --groups", 0, 0 },
        { .help = "nearest, analogy, evaluate" },
        { "top", OPTION_INT, &r->top, "N", "number of results (10)", 1, 1e6 },
        { "limit", OPTION_INT, &r->limit, "N", "search the first N words (all; evaluate 30000)", 1, 1e9 },
        { "questions", OPTION_TEXT, &r->questions, "FILE", "evaluate: analogies as in questions-words.txt", 0, 0 },
        { "similarities", OPTION_TEXT, &r->similarities, "FILE", "evaluate: word pairs with human ratings", 0,
          0 },
        { .help = "plot (with --top, --limit, --groups, --seed, and --out, words.svg)" },
        { "method", OPTION_TEXT, &r->method, "NAME", "t-sne or pca (t-sne)", 0, 0 },
        { "count", OPTION_INT, &r->count, "N", "number of words to plot (300)", 4, 10000 },
        { "perplexity", OPTION_REAL, &r->perplexity, "X", "t-SNE perplexity (30)", 1, 10000 },
    };
    const options what = {
        "word2vec", table, sizeof table / sizeof table[0],
        1,          -1,    "a subcommand: train, nearest, analogy, similarity, evaluate, plot, save"
    };
    return options_parse(&what, argc, argv, n);
}

int command_word2vec(int argc, char **argv) {
    request r;
    int n, status = parse(&r, argc, argv, &n);
    if (status >= 0) return status;
    for (int i = 0; i < ACTIONS; i++) {
        if (strcmp(argv[1], actions[i].name) != 0) continue;
        if (n < 2) return misuse("word2vec %s needs a file", argv[1]);
        return actions[i].run(&r, argv + 2, n - 1);
    }
    return unknown(argv[1]);
}
