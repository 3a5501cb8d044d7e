/* word2vec.c - word vectors of a text, as in the usual introductory Python program: train, look up a word, compare two
 * words; then list the nearest words.
 *
 *   word2vec [TEXT...]     files of text, plain or .gz; the abc corpus in $GLIA_DATA, else a small generated text
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Generates sentences from a grammar of a dozen words, for training without a file. */
static size_t make_text(char *text, size_t room) {
    static const char *const animals[] = { "cat", "dog", "horse", "cow" },
                             *const foods[] = { "bread", "rice", "soup", "cake" },
                             *const doers[] = { "man", "woman", "child", "cook" };
    uint32_t draw = 1;
    size_t n = 0;
    while (n + 100 < room) {
        draw = 1664525u * draw + 1013904223u;
        const char *animal = animals[draw >> 8 & 3], *food = foods[draw >> 12 & 3], *doer = doers[draw >> 16 & 3];
        if (draw >> 31)
            n += (size_t)snprintf(text + n, room - n, "The %s eats the %s of the day.\n", doer, food);
        else
            n += (size_t)snprintf(text + n, room - n, "The %s runs after the %s of the farm.\n", animal,
                                  animals[draw >> 20 & 3]);
    }
    return n;
}

static void tell(const glia_vectors *vectors, const char *word, const char *a, const char *b) {
    glia_error error;
    glia_neighbour near[5];
    double similarity;
    const float *vector = glia_vectors_of(vectors, word);
    if (!vector) return;
    printf("%s = [%.3f %.3f %.3f ...]\n", word, (double)vector[0], (double)vector[1], (double)vector[2]);
    if (glia_vectors_similarity(vectors, a, b, &similarity, &error) == GLIA_OK)
        printf("similarity of %s and %s: %.3f\n", a, b, similarity);
    const int n = glia_vectors_nearest(vectors, (glia_nearest_opts){ .plus = &b, .n_plus = 1 }, near, 5, &error);
    printf("nearest to %s:", b);
    for (int i = 0; i < n; i++) printf(" %s (%.2f)", glia_vectors_word(vectors, near[i].word), near[i].similarity);
    printf("\n");
}

int main(int argc, char **argv) {
    static char text[1 << 16], paths[2][4096];
    const char *files[64], *folder = getenv("GLIA_DATA");
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    glia_text_source source = { .files = files, .rule = GLIA_WORDS_LETTERS, .lowercase = true };
    for (int i = 1; i < argc && i <= 64 && !quick; i++) files[source.n_files++] = argv[i];
    if (!source.n_files && folder && !quick) {
        for (int i = 0; i < 2; i++) {
            snprintf(paths[i], sizeof paths[i], "%s/abc/%s.txt.gz", folder, i ? "science" : "rural");
            files[source.n_files++] = paths[i];
        }
    }
    const bool own = !source.n_files;
    if (own) source.length = make_text(text, sizeof text), source.text = text;

    glia_error error;
    glia_word2vec_opts opts = { .model = GLIA_SKIP_GRAM, .size = 100, .window = 5, .min_count = 5 };
    if (own) opts.sample = GLIA_ZERO; /* with a dozen words, no subsampling of frequent ones */
    glia_vectors *vectors = glia_word2vec_train(source, opts, &error);
    if (!vectors) {
        fprintf(stderr, "word2vec: %s\n", error.message);
        return 1;
    }
    printf("%lld words\n", (long long)glia_vectors_words(vectors));
    tell(vectors, "the", "the", own ? "soup" : "of");
    if (!own) tell(vectors, "drought", "drought", "farmers");
    glia_status status = glia_vectors_save(vectors, "words.bin", GLIA_VECTORS_DEFAULT, &error);
    printf("%s\n", status == GLIA_OK ? "saved as words.bin" : error.message);
    glia_vectors_free(vectors);
    return status != GLIA_OK;
}
