/* data.h - inside of data sets, for the kinds of them.
 *
 * A data set is a header that all share and a kind, which knows how to read a sample. Arrays in memory are one kind,
 * views of other data sets (ranges, splits) another; folders of images or augmented views are a struct that begins
 * with glia_dataset and one more table of functions.
 */
#ifndef GLIA_SRC_DATA_SOURCES_DATA_H
#define GLIA_SRC_DATA_SOURCES_DATA_H

#include "core/tensor/tensor.h"
#include "data/formats/formats.h"
#include "glia/data.h"
#include "glia/text.h"

typedef struct glia_data_kind {
    /* Sample `index` (in range): x as f32, y of its dtype; either may be NULL. raw: without the set's own
     * normalisation. Called from several threads at once. */
    glia_status (*read)(const glia_dataset *data, int64_t index, float *x, void *y, bool raw, glia_error *error);
    void (*close)(glia_dataset *data); /* frees what the kind added, not the struct */
} glia_data_kind;

struct glia_dataset {
    const glia_data_kind *kind;
    char *name;
    int64_t n;
    glia_shape x_shape, y_shape; /* of a sample */
    glia_dtype y_dtype;
    size_t x_count, y_bytes; /* numbers in x, bytes of y */
    int classes;             /* 0: not a classification */
    char **class_names;      /* classes of them, or NULL */
    int channels;            /* that statistics tell apart: the first axis of x of rank 1 or 3, else 1 */
    int normal_n;            /* means and deviations: 0: none, 1: one for all, channels: one for each */
    float *mean, *scale;     /* normal_n of them; scale is 1 / stddev */
    bool numbered;           /* the source has no names for its classes: their names are their numbers */
    char **column_names;     /* of the numbers of x (rank 1), or NULL */
    bool is_split;           /* the address has other samples for the other split */
    const char *tokenizer;   /* the tokenizer.json of what samples are made of; NULL: they are not tokens */
    glia_arena arena;        /* of the names */
};

/* Fills the shared header: kind, name, n, shapes, y's dtype must be set. Checks them. */
glia_status glia_data_init(glia_dataset *data, glia_error *error);

/* Gives the classes their names; NULL: their numbers. Call with data->classes set. */
glia_status glia_data_name_classes(glia_dataset *data, const char *const *names, glia_error *error);

/* Gives the columns of x (rank 1) their names; NULL: they have none. */
glia_status glia_data_name_columns(glia_dataset *data, const char *const *names, glia_error *error);

/* Keeps the tokenizer's file with the data. */
glia_status glia_data_keep_tokenizer(glia_dataset *data, const glia_tokenizer *tokenizer, glia_error *error);

/* x = (x - mean) scale, where the set has a normalisation. */
void glia_data_apply_normal(const glia_dataset *data, float *x);

/* A sample without any normalisation, where views have their own and those of what they look at; and all of them. */
glia_status glia_data_read_raw(const glia_dataset *data, int64_t index, float *x, void *y, glia_error *error);
void glia_data_apply_normals(const glia_dataset *data, float *x);

/* The label of every sample; GLIA_E_ARGUMENT without classes. */
glia_status glia_data_labels(const glia_dataset *data, int32_t *labels, glia_error *error);

/* glia_data_arrays() that takes over arrays.x and arrays.y, which came from malloc(); frees them if it fails. */
glia_dataset *glia_data_take(glia_arrays arrays, const char *name, const char *const *class_names, glia_error *error);

/* A view of n samples of `data`, indices[i] each (NULL: begin + i). Takes over indices (malloc()ed), and with `own`
 * the data too, also when it fails. */
glia_dataset *glia_data_view(glia_dataset *data, int64_t *indices, int64_t begin, int64_t n, bool own,
                             glia_error *error);

/* 0 .. n-1 in the order of (seed, epoch): Fisher and Yates's shuffle (Knuth 1969, algorithm P) driven by Philox. */
void glia_data_shuffle(int64_t *indices, int64_t n, uint64_t seed, uint64_t epoch);

/* Which samples an epoch goes through, as a loader's options want it. An order is used by one thread at a time. */
typedef struct glia_order glia_order;
glia_order *glia_order_create(const glia_dataset *data, glia_loader_opts opts, glia_error *error);
void glia_order_free(glia_order *order);
void glia_order_fill(const glia_order *order, uint64_t epoch, int64_t batch, int64_t *indices); /* data->n of them */

/* Drawings [first, first + n) of `seed`. */
glia_dataset *glia_strokes_create(int64_t first, int64_t n, uint64_t seed, const char *name, glia_error *error);

/* IDX, CIFAR batches (`n_paths` of them, one after the other), by path. labels_path may be NULL: all targets are 0. */
glia_dataset *glia_data_open_idx(const char *images_path, const char *labels_path, const char *name,
                                 const char *const *class_names, int classes, glia_error *error);
glia_dataset *glia_data_open_cifar(const char *const *paths, int n_paths, const char *name, glia_error *error);

/* A data set of named.c. The name must be one of glia_data_list(). */
glia_dataset *glia_data_open_named(const char *name, bool test, const char *folder, glia_error *error);

/* The 28 x 28 bytes of drawing `index` of `seed`, and what digit it shows. A pure function of its arguments. */
int glia_strokes_draw(uint64_t seed, uint64_t index, uint8_t pixels[28 * 28]);

#endif
