/* sources.h - internal: data sets read from files. */
#ifndef GLIA_SRC_DATA_SOURCES_SOURCES_H
#define GLIA_SRC_DATA_SOURCES_SOURCES_H

#include "data/sources/data.h"
#include "glia/text.h"

/* ---- splits and classes from the folders of an archive ------------------------------------ */

enum { TREE_TRAIN, TREE_TEST, TREE_VALIDATION };

typedef struct tree {
    int n;
    int *members;    /* indices into the archive: classes interleaved evenly, each in file name order */
    int32_t *labels; /* of each */
    int classes;
    char **class_names;
    bool splits;   /* the folders name splits */
    bool has_test; /* there is a test or validation split */
    glia_arena arena;
} tree;

/* The files of a split that end with one of `endings` (".jpg", ..., NULL). Without split folders all files are one set;
 * without test/, val/ is used as the test split. Files with other endings are left out. It is an error if the ending is
 * one of `refused` or no file of the class is kept. Release with glia_tree_free() on success. */
glia_status glia_tree_read(const glia_archive *archive, const char *const *endings, const char *const *refused,
                           int split, tree *t, glia_error *error);
void glia_tree_free(tree *t);

/* ---- images ------------------------------------------------------------------------------- */

typedef struct glia_image_opts {
    int channels, height, width; /* 0: those of the first image */
    bool whole;                  /* the caller splits the set, so it must have no splits of its own */
} glia_image_opts;

/* Images in class folders, in an archive or a folder. */
glia_dataset *glia_data_open_images(const char *path, int split, glia_image_opts opts, const char *name,
                                    glia_error *error);

/* ---- NumPy arrays ------------------------------------------------------------------------- */

/* Converts integers to i32 labels, or to f32 values with `target`; floats to f32 values. */
glia_status glia_values_to_targets(glia_values *y, bool target, glia_error *error);
/* Transposes (N, H, W, C) to (N, C, H, W). */
glia_status glia_values_channels_first(glia_values *x, glia_error *error);

/* ---- rows, records, texts ----------------------------------------------------------------- */

/* Takes ownership of the rows, also on failure. */
glia_dataset *glia_data_take_sparse(glia_sparse rows, const char *name, glia_error *error);

typedef struct glia_record_opts {
    glia_element element; /* type of the values */
    glia_shape shape;     /* of a sample */
    int64_t header;       /* bytes before the first record */
    glia_element label;   /* type of the label before each sample, or in the second file; size 0: no labels */
} glia_record_opts;

/* Fixed-size records in one file, or samples in one file and labels in another. */
glia_dataset *glia_data_open_records(const char *const *paths, int n, glia_record_opts opts, const char *name,
                                     glia_error *error);

/* A tokenizer, given as a file or as JSON text; both NULL: none. */
typedef struct glia_tokenizer_source {
    const char *path, *text;
} glia_tokenizer_source;

/* The tokenizer from the text, or else from the file. If both exist, they must be equal. */
glia_tokenizer *glia_tokenizer_of_source(glia_tokenizer_source source, glia_error *error);

typedef struct glia_text_opts {
    int64_t length,
        step;  /* length, 0: of the longest sample, at most 1,024; for windows 64; step between windows, 0: length */
    int label; /* of a line: -1 before the first separator, 1 after the last, 0 none */
    char separator;
    bool whole;                      /* as in glia_image_opts */
    glia_tokenizer_source tokenizer; /* if given, samples are token ids, not bytes */
} glia_text_opts;

glia_dataset *glia_data_open_lines(const char *path, glia_text_opts opts, const char *name, glia_error *error);
glia_dataset *glia_data_open_text(const char *path, glia_text_opts opts, const char *name, glia_error *error);
glia_dataset *glia_data_open_texts(const char *path, int split, glia_text_opts opts, const char *name,
                                   glia_error *error);

typedef struct glia_token_opts {
    glia_tokenizer_source tokenizer; /* none: one token per character of the text */
    int64_t length, step;            /* length of a window, 0: 64; step between windows, 0: length */
    double test;                     /* share of the text, at its end, that is the test split */
    bool split_test;                 /* true: the test split; false: the train split */
} glia_token_opts;

/* Windows of one text as token ids; the targets are the next ids. */
glia_dataset *glia_data_open_tokens(const char *path, glia_token_opts opts, const char *name, glia_error *error);
bool glia_data_is_tokens(const glia_dataset *data);
/* The same for a named text data set (named.c). */
glia_dataset *glia_data_open_named_text(const char *name, glia_token_opts opts, const char *address, const char *folder,
                                        glia_error *error);

/* CIFAR batches with these file names, in any folder of the archive. */
glia_dataset *glia_data_open_cifar_archive(const char *path, const char *const *names, int n, const char *name,
                                           glia_error *error);

/* A part of a set of pictures with classes; it takes ownership of `data`, also on failure. */
typedef struct glia_subset_opts {
    const char *classes; /* "0-4", "cat+dog"; NULL: all */
    int64_t per_class;   /* samples; 0: all */
    int64_t seed;        /* chooses them */
    int64_t size;        /* of both sides; 0: as they are */
    int64_t pad;         /* zeros around the picture of that size, on each side */
} glia_subset_opts;
glia_dataset *glia_data_subset(glia_dataset *data, glia_subset_opts opts, glia_error *error);

/* ---- pictures with masks ------------------------------------------------------------------ */

typedef struct glia_mask_opts {
    const char *x, *y;   /* folders of the pictures and of the masks */
    const char *classes; /* the folder of the training split's masks, whose values are the classes */
    int height, width;   /* of a tile; 0: the whole picture */
    bool turns;          /* the training split has each tile in eight positions */
    int last;            /* that many pictures, the last by name, are the test split; 0: the folders are one split */
    int ignore;          /* value of a mask without a class; -1: none */
    bool test, is_split;
} glia_mask_opts;
glia_dataset *glia_data_open_masks(const char *path, glia_mask_opts opts, const char *name, glia_error *error);

/* ---- names that stand for addresses -------------------------------------------------------- */

/* The address that a name such as "bccd?size=128x160" stands for, else the text itself. Release with free(); NULL: out
 * of memory. */
char *glia_data_expand(const char *address);

/* ---- pictures with boxes ------------------------------------------------------------------ */

/* An archive of pictures, resized to height x width (0: those of the first), and a table of boxes. */
glia_dataset *glia_data_open_boxes(const char *pictures, const char *table, glia_image_opts opts, bool test,
                                   const char *name, glia_error *error);

#endif
