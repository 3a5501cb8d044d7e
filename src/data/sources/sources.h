/* sources.h - where samples come from: the kinds of data sets that are read from files as they are used. */
#ifndef GLIA_SRC_DATA_SOURCES_SOURCES_H
#define GLIA_SRC_DATA_SOURCES_SOURCES_H

#include "data/sources/data.h"
#include "glia/text.h"

/* ---- what the folders of an archive say --------------------------------------------------- */

enum { TREE_TRAIN, TREE_TEST, TREE_VALIDATION };

typedef struct tree {
    int n;
    int *members;    /* of the archive: classes mixed evenly, each in the order of its names */
    int32_t *labels; /* of each */
    int classes;
    char **class_names;
    bool splits;   /* the folders name splits */
    bool has_test; /* one of them is for tests */
    glia_arena arena;
} tree;

/* The files of a split that end with one of `endings` (".jpg", ..., NULL). Where there are no folders of splits all
 * files are one set; where there is no test/, val/ is. Files with other endings are left out, unless theirs is one of
 * `refused`, or no file of their class is kept: that is an error. Release with glia_tree_free() when it succeeded. */
glia_status glia_tree_read(const glia_archive *archive, const char *const *endings, const char *const *refused,
                           int split, tree *t, glia_error *error);
void glia_tree_free(tree *t);

/* ---- pictures ----------------------------------------------------------------------------- */

typedef struct glia_image_opts {
    int channels, height, width; /* 0: as the first picture */
    bool whole;                  /* the caller will cut it into splits: it must not have any */
} glia_image_opts;

/* Pictures in the folders of their classes, in an archive or a folder. */
glia_dataset *glia_data_open_images(const char *path, int split, glia_image_opts opts, const char *name,
                                    glia_error *error);

/* ---- rows, records, texts ----------------------------------------------------------------- */

/* Takes over the rows, also when it fails. */
glia_dataset *glia_data_take_sparse(glia_sparse rows, const char *name, glia_error *error);

typedef struct glia_record_opts {
    glia_element element; /* of the numbers */
    glia_shape shape;     /* of a sample */
    int64_t header;       /* bytes before the first record */
    glia_element label;   /* before each sample, or in the second file; size 0: no labels */
} glia_record_opts;

/* Equal records in one file, or samples in one and labels in another. */
glia_dataset *glia_data_open_records(const char *const *paths, int n, glia_record_opts opts, const char *name,
                                     glia_error *error);

/* A tokenizer by its file or its text; both NULL: none. */
typedef struct glia_tokenizer_source {
    const char *path, *text;
} glia_tokenizer_source;

/* The text's tokenizer; where the file is there too, it must be the same. */
glia_tokenizer *glia_tokenizer_of_source(glia_tokenizer_source source, glia_error *error);

typedef struct glia_text_opts {
    int64_t length,
        step;  /* of a sample, 0: of the longest up to 1,024, or 64 of a window; between windows, 0: length */
    int label; /* of a line: -1 before the first separator, 1 behind the last, 0 none */
    char separator;
    bool whole; /* as of pictures */
    glia_tokenizer_source tokenizer; /* samples are its ids, not bytes */
} glia_text_opts;

glia_dataset *glia_data_open_lines(const char *path, glia_text_opts opts, const char *name, glia_error *error);
glia_dataset *glia_data_open_text(const char *path, glia_text_opts opts, const char *name, glia_error *error);
glia_dataset *glia_data_open_texts(const char *path, int split, glia_text_opts opts, const char *name,
                                   glia_error *error);

typedef struct glia_token_opts {
    glia_tokenizer_source tokenizer; /* none: the text's characters */
    int64_t length, step;  /* of a window, 0: 64; between windows, 0: length */
    double test;           /* share of the text, at its end, that is the test split */
    bool split_test;       /* which of the two */
} glia_token_opts;

/* Windows of one text as ids, with the next ones as targets. */
glia_dataset *glia_data_open_tokens(const char *path, glia_token_opts opts, const char *name, glia_error *error);
bool glia_data_is_tokens(const glia_dataset *data);
/* Of a text of named.c. */
glia_dataset *glia_data_open_named_text(const char *name, glia_token_opts opts, const char *address, const char *folder,
                                        glia_error *error);

/* CIFAR's batches of these names, wherever they lie in the archive. */
glia_dataset *glia_data_open_cifar_archive(const char *path, const char *const *names, int n, const char *name,
                                           glia_error *error);

#endif
