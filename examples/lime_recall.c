/* lime_recall.c - does LIME find the words of a model? Ribeiro et al. 2016, section 5.2: a logistic regression and
 * a decision tree that use at most ten words of any review, and the share of these words among LIME's ten.
 *     lime_recall [--quick]      film reviews in $GLIA_DATA/movie_reviews; --quick: random texts */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 60000, LENGTH = 16, USED = 10, DEPTH = 10, NODES = 1 << (DEPTH + 1), LEAF = 10 };

typedef struct review {
    int *words, n, label; /* distinct words, ascending */
} review;

static char spelling[WORDS][LENGTH];
static int words, documents[WORDS][2]; /* with the word, by label */
static double weight[WORDS], bias;
static int split[NODES]; /* word of a node; -1: a leaf. Children of k: 2 k + 1 without it, 2 k + 2 with it */
static double leaf[NODES];

/* ---- texts ------------------------------------------------------------------------------------ */

static int id_of(const char *word) {
    static int table[1 << 18];
    unsigned h = 2166136261u;
    for (const char *c = word; *c; c++) h = (h ^ (unsigned char)*c) * 16777619u;
    for (h %= 1 << 18; table[h]; h = (h + 1) % (1 << 18))
        if (!strcmp(spelling[table[h] - 1], word)) return table[h] - 1;
    if (words == WORDS) return -1;
    strcpy(spelling[words], word);
    return (table[h] = ++words) - 1;
}

static int ascending(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void finish(review *r) {
    qsort(r->words, (size_t)r->n, sizeof *r->words, ascending);
    int n = 0;
    for (int i = 0; i < r->n; i++)
        if (n == 0 || r->words[n - 1] != r->words[i]) r->words[n++] = r->words[i];
    r->n = n;
}

/* The distinct words of a text, which is given as its bytes. */
static void take(review *r, const float *text, int64_t length, int label) {
    *r = (review){ .words = malloc((size_t)length * sizeof *r->words), .label = label };
    char word[LENGTH];
    for (int64_t i = 0, n = 0; i < length; i++) {
        const int c = (int)text[i] | 32, letter = c >= 'a' && c <= 'z';
        if (letter && n < LENGTH - 1) word[n++] = (char)c;
        if (letter || n == 0) continue;
        word[n] = '\0', n = 0;
        const int id = id_of(word);
        if (id >= 0) r->words[r->n++] = id;
    }
    finish(r);
}

static int has(const review *r, int word) {
    return bsearch(&word, r->words, (size_t)r->n, sizeof *r->words, ascending) != NULL;
}

/* ---- the two models --------------------------------------------------------------------------- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* Words by how differently they occur, as long as no review has more than ten of them; then plain gradient descent. */
static void train_regression(const review *r, int n) {
    int *used = calloc((size_t)n, sizeof *used);
    char *seen = calloc(WORDS, 1);
    for (int round = 0; round < 400; round++) {
        int best = -1;
        double most = 0;
        for (int w = 0; w < words; w++) {
            const double a = documents[w][0], b = documents[w][1], z = fabs(a - b) / sqrt(a + b + 1);
            if (!seen[w] && z > most) most = z, best = w;
        }
        if (best < 0 || most < 2) break;
        seen[best] = 1;
        int fits = 1;
        for (int i = 0; i < n && fits; i++) fits = used[i] < USED || !has(&r[i], best);
        for (int i = 0; i < n && fits; i++) used[i] += has(&r[i], best);
        if (fits) weight[best] = 1e-9;
    }
    for (int step = 0; step < 300; step++) {
        for (int i = 0; i < n; i++) {
            double s = bias;
            for (int k = 0; k < r[i].n; k++) s += weight[r[i].words[k]];
            const double move = 0.02 * (r[i].label - sigmoid(s)) / (1 + step / 50);
            for (int k = 0; k < r[i].n; k++)
                if (weight[r[i].words[k]] != 0) weight[r[i].words[k]] += move;
            bias += move;
        }
    }
    free(used), free(seen);
}

/* A node of the tree: the word that leaves the least Gini impurity. */
static void grow(const review **r, int n, int node, int depth) {
    int positive = 0, best = -1;
    for (int i = 0; i < n; i++) positive += r[i]->label;
    split[node] = -1, leaf[node] = (positive + 1.0) / (n + 2.0);
    if (depth == DEPTH || n < 2 * LEAF) return;
    int(*count)[2] = calloc(WORDS, sizeof *count);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < r[i]->n; k++) count[r[i]->words[k]][r[i]->label]++;
    double least = (double)positive * (n - positive) / n - 1e-9;
    for (int w = 0; w < words; w++) {
        const double a = count[w][0], b = count[w][1], c = n - positive - a, d = positive - b;
        if (a + b < LEAF || c + d < LEAF) continue;
        const double impurity = a * b / (a + b) + c * d / (c + d);
        if (impurity < least) least = impurity, best = w;
    }
    free(count);
    if (best < 0) return;
    const review **part = malloc((size_t)n * sizeof *part);
    for (int side = 0; side < 2; side++) {
        int m = 0;
        for (int i = 0; i < n; i++)
            if (has(r[i], best) == side) part[m++] = r[i];
        grow(part, m, 2 * node + 1 + side, depth + 1);
    }
    split[node] = best;
    free(part);
}

/* The probability of label 1 where the words i of the text are those with present[i] (NULL: all). */
static double regression(const review *r, const float *present) {
    double s = bias;
    for (int k = 0; k < r->n; k++) s += !present || present[k] > 0 ? weight[r->words[k]] : 0;
    return sigmoid(s);
}
static double tree(const review *r, const float *present) {
    int node = 0;
    while (split[node] >= 0) {
        const int *at = bsearch(&split[node], r->words, (size_t)r->n, sizeof *r->words, ascending);
        node = 2 * node + 1 + (at && (!present || present[at - r->words] > 0));
    }
    return leaf[node];
}

/* ---- what LIME finds -------------------------------------------------------------------------- */

typedef struct question {
    const review *r;
    double (*model)(const review *r, const float *present);
} question;

static glia_status answer(const float *rows, int64_t n, double *values, void *context, glia_error *error) {
    const question *q = context;
    (void)error;
    for (int64_t i = 0; i < n; i++) values[i] = q->model(q->r, rows + i * q->r->n);
    return GLIA_OK;
}

/* Marks the words of the text that the model uses. Returns their number. */
static int true_words(const question *q, char *uses) {
    int count = 0;
    memset(uses, 0, (size_t)q->r->n);
    for (int node = 0; q->model == tree && split[node] >= 0;) {
        const int *at = bsearch(&split[node], q->r->words, (size_t)q->r->n, sizeof(int), ascending);
        if (at) uses[at - q->r->words] = 1;
        node = 2 * node + 1 + (at != NULL);
    }
    for (int k = 0; q->model == regression && k < q->r->n; k++) uses[k] = weight[q->r->words[k]] != 0;
    for (int k = 0; k < q->r->n; k++) count += uses[k];
    return count;
}

/* The share of the words that the model uses which are among LIME's ten; -1: it uses none. */
static double recall(question *q, uint64_t seed, glia_error *e) {
    char *uses = malloc((size_t)q->r->n);
    float *all = malloc((size_t)q->r->n * sizeof *all);
    const int n = true_words(q, uses);
    int found = 0;
    for (int k = 0; k < q->r->n; k++) all[k] = 1;
    if (n > 0) {
        const glia_explain_opts opts = { .settings = "kind=text samples=5000 tolerance=0 features=10", .seed = seed };
        glia_explainer *why = glia_explainer_of_function(answer, q, GLIA_SHAPE(q->r->n), 1, "lime", opts, e);
        glia_explanation x;
        if (why && glia_explain(why, all, 0, &x, e) == GLIA_OK) {
            for (int k = 0; k < q->r->n; k++) found += uses[k] && x.values[k] != 0;
            glia_explanation_free(&x);
        }
        glia_explainer_free(why);
    }
    free(uses), free(all);
    return n ? (double)found / n : -1;
}

int main(int argc, char **argv) {
    const int quick = argc > 1 && !strcmp(argv[1], "--quick");
    glia_error e = { 0 };
    char address[1024];
    const char *folder = getenv("GLIA_DATA");
    snprintf(address, sizeof address, "texts:%s/movie_reviews/movie_reviews.zip?length=16000",
             folder ? folder : "data");
    glia_dataset *data = quick ? NULL : glia_data_open(address, NULL, NULL, &e);
    if (!quick && !data) return fprintf(stderr, "lime_recall: %s\n", e.message), 1;
    const int n = quick ? 400 : (int)glia_data_count(data), tests = quick ? 5 : 100;
    const int64_t length = quick ? 200 : glia_shape_count(glia_data_x_shape(data));
    review *r = calloc((size_t)n, sizeof *r);
    float *text = malloc((size_t)length * sizeof *text);
    for (int i = 0; i < n; i++) {
        int32_t label = i % 2;
        for (int k = 0; quick && k < length; k++) /* words of two letters, some more often in texts of one kind */
            text[k] = k % 3 == 2 ? ' ' : (float)('a' + (i * 7919 + k * k * 31 + (k + i) * i) % (label ? 14 : 17));
        if (!quick && glia_data_get(data, i, text, &label, &e))
            return fprintf(stderr, "lime_recall: %s\n", e.message), 1;
        for (int64_t k = 0; k < length && !quick; k++) text[k] *= text[k] <= 1 ? 255 : 1;
        take(&r[i], text, length, label);
    }
    /* every fifth review is for testing: these come last */
    const review **order = malloc((size_t)n * sizeof *order);
    int m = 0, right[2] = { 0 }, held = 0;
    review *train = malloc((size_t)n * sizeof *train);
    for (int i = 0; i < n; i++)
        if (i % 5) train[m] = r[i], order[m] = &r[i], m++;
    for (int i = 0; i < m; i++)
        for (int k = 0; k < train[i].n; k++) documents[train[i].words[k]][train[i].label]++;
    train_regression(train, m), grow(order, m, 0, 0);
    for (int i = 0; i < n; i += 5, held++) {
        right[0] += (regression(&r[i], NULL) > 0.5) == r[i].label;
        right[1] += (tree(&r[i], NULL) > 0.5) == r[i].label;
    }
    printf("%d reviews, %d words; accuracy of the regression %.1f %%, of the tree %.1f %%\n", n, words,
           100.0 * right[0] / held, 100.0 * right[1] / held);
    for (int kind = 0; kind < 2; kind++) {
        double sum = 0;
        int count = 0;
        for (int i = 0; i < n && count < tests && e.status == GLIA_OK; i += quick ? 5 : 20) {
            question q = { .r = &r[i], .model = kind ? tree : regression };
            const double share = recall(&q, (uint64_t)i, &e);
            if (share >= 0) sum += share, count++;
        }
        printf("LIME finds %.1f %% of the words that the %s uses\n", 100 * sum / count, kind ? "tree" : "regression");
    }
    if (e.status) fprintf(stderr, "lime_recall: %s\n", e.message);
    for (int i = 0; i < n; i++) free(r[i].words);
    free(r), free(text), free(order), free(train), glia_data_free(data);
    return e.status != GLIA_OK;
}
