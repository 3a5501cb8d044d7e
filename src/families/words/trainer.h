/* trainer.h - the steps of word2vec, between the text and the tables of the method "word2vec". */
#ifndef GLIA_SRC_FAMILIES_WORDS_TRAINER_H
#define GLIA_SRC_FAMILIES_WORDS_TRAINER_H

#include "families/words/words.h"
#include "glia/fit.h"

enum {
    GLIA_WORD_PIECE = 10000, /* words and line ends of a task */
    GLIA_WORD_ROW = 16       /* rows of tables are padded with zeros to multiples of this many floats */
};

static inline int64_t glia_word_row(int64_t size) { return (size + GLIA_WORD_ROW - 1) / GLIA_WORD_ROW * GLIA_WORD_ROW; }

typedef struct glia_word_how {
    bool skip_gram, own_negatives, hierarchical;
    int64_t size;
    int window, negative;
    double sample;
    uint64_t seed;
    int threads;
    int64_t step_pieces; /* pieces of a step; more with several threads */
} glia_word_how;

typedef struct glia_word_chunk {
    int32_t *ids; /* -1 ends a sentence */
    int64_t n, capacity;
} glia_word_chunk;

/* A step: its place in training, and the learning rates at its ends. */
typedef struct glia_word_place {
    int64_t epoch, step; /* from 0; the step in the epoch */
    double rate, next_rate;
} glia_word_place;

typedef struct glia_word_result {
    int64_t words;  /* of the text, before subsampling */
    double loss;    /* mean over a few words, before the step */
    int64_t probes; /* how many */
} glia_word_result;

/* Set `how` before, and the tables after glia_word_trainer_begin(). */
typedef struct glia_word_trainer {
    glia_word_how how;
    float *input, *nodes, *output; /* (words, row): words; nodes of the tree and words as outputs, NULL if unused */
    int64_t row;
    glia_word_table table;
    int64_t steps; /* of an epoch */

    int64_t total;       /* words of the text that are in the table */
    uint32_t *kept;      /* probability times 2^32, by word */
    glia_word_tree tree; /* with hierarchical softmax */
    glia_word_draws draws;
    const struct glia_cpu_kernels *kernels;
    glia_text_source source;
    glia_word_reader *reader;
    glia_word_chunk now, next;
    bool whole;    /* `now` is the whole text; else the words of the step, and `next` those of step `ahead` */
    int64_t ahead; /* -1: none */
    struct glia_word_worker *workers;
    glia_pool *pool;
    glia_word_place place; /* of the current step, which is `count` numbers of `now` from `first` on */
    int64_t first, count;
    glia_status read_status;
    glia_error reason; /* of reading */
} glia_word_trainer;

/* Counts the words and reads the text. */
glia_status glia_word_trainer_begin(glia_word_trainer *trainer, glia_text_source source, int64_t min_count,
                                    int64_t max_words, glia_error *error);
/* First values of the input table: uniform in [-1/2, 1/2) / size. */
void glia_word_trainer_rows(const glia_word_trainer *trainer);
/* Steps may come in any order. */
glia_status glia_word_trainer_step(glia_word_trainer *trainer, glia_word_place place, glia_word_result *result,
                                   glia_error *error);
void glia_word_trainer_free(glia_word_trainer *trainer);

/* word2vec_method.c */
extern const struct glia_method glia_method_word2vec;
/* Of a training by the method word2vec. */
const glia_word_trainer *glia_word_trainer_of(const glia_training *training);

#endif
