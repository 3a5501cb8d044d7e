/* word2vec_method.h - internal: the method "word2vec", for methods that learn from another kind of text. */
#ifndef GLIA_SRC_FAMILIES_WORDS_WORD2VEC_METHOD_H
#define GLIA_SRC_FAMILIES_WORDS_WORD2VEC_METHOD_H

#include "families/words/trainer.h"
#include "train/run/training.h"

enum { GLIA_WORDS_CBOW, GLIA_WORDS_SKIP_GRAM };

/* The memory of the method, or the beginning of that of another one. */
typedef struct glia_word2vec {
    /* settings */
    int architecture;
    int64_t size, window, negative, min_count, max_words, threads, shown;
    double sample;
    bool hierarchical, own_negatives;
    /* training */
    glia_word_trainer trainer;
    glia_graph *graph; /* of the output tables */
    int64_t words_hash;
    int loss_mean;
} glia_word2vec;

/* The functions of its record; begin reads training->opts.text. */
glia_status glia_word2vec_begin(glia_training *training, glia_error *error);
glia_status glia_word2vec_step(glia_training *training, const glia_batch *batch, glia_error *error);
glia_status glia_word2vec_show(glia_training *training, glia_show_fn show, void *context, glia_error *error);
int glia_word2vec_arrays(glia_training *training, glia_array *arrays, int capacity);
glia_status glia_word2vec_restore(glia_training *training, const glia_array *arrays, int n, bool check_only,
                                  glia_error *error);
void glia_word2vec_end(glia_training *training);

#endif
