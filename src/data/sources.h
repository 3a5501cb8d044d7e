/* sources.h - where samples come from: the kinds of data sets that are read from files as they are used. */
#ifndef GLIA_SOURCES_H
#define GLIA_SOURCES_H

#include "data/data.h"

/* ---- what the folders of an archive say --------------------------------------------------- */

enum { TREE_TRAIN, TREE_TEST, TREE_VALIDATION };

typedef struct tree {
    int n;
    int *members;    /* of the archive: classes mixed evenly, each in the order of its names */
    int32_t *labels; /* of each */
    int classes;
    char **class_names;
    bool splits; /* the folders name splits */
    glia_arena arena;
} tree;

/* The files of a split that end with one of `endings` (".jpg", ..., NULL). Where there are no folders of splits all
 * files are one set; where there is no test/, val/ is. Release with glia_tree_free() when it succeeded. */
glia_status glia_tree_read(const glia_archive *archive, const char *const *endings, int split, tree *t,
                           glia_error *error);
void glia_tree_free(tree *t);

/* ---- pictures ----------------------------------------------------------------------------- */

typedef struct glia_image_opts {
    int channels, height, width; /* 0: as the first picture */
    bool whole;                  /* the caller will cut it into splits: it must not have any */
} glia_image_opts;

/* Pictures in the folders of their classes, in an archive or a folder. */
glia_dataset *glia_data_open_images(const char *path, int split, glia_image_opts opts, const char *name,
                                    glia_error *error);

/* CIFAR's batches of these names, wherever they lie in the archive. */
glia_dataset *glia_data_open_cifar_archive(const char *path, const char *const *names, int n, const char *name,
                                           glia_error *error);

#endif
