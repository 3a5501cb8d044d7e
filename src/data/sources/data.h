/* data.h - internals of data sets, for the implementations of their kinds.
 *
 * A data set is a common header and a kind, a table of functions that reads samples. Arrays in memory are one kind,
 * views of other data sets (ranges, splits) another. A new kind, such as folders of images or augmented views, is a
 * struct that begins with glia_dataset, and its own function table.
 */
#ifndef GLIA_SRC_DATA_SOURCES_DATA_H
#define GLIA_SRC_DATA_SOURCES_DATA_H

#include "core/tensor/tensor.h"
#include "data/formats/formats.h"
#include "glia/data.h"
#include "glia/text.h"

typedef struct glia_data_kind {
    /* Reads sample `index` (in range): x as f32, y in its dtype; either may be NULL. raw: without the set's own
     * normalisation. Must be thread-safe. */
    glia_status (*read)(const glia_dataset *data, int64_t index, float *x, void *y, bool raw, glia_error *error);
    void (*close)(glia_dataset *data); /* frees the fields added by the kind, not the struct */
    /* Whether the samples are integers as they are stored; NULL: never. */
    bool (*has_ids)(const glia_dataset *data);
    /* Reads x of a sample that has_ids() as i32, without conversion to f32. Must be thread-safe. */
    glia_status (*read_ids)(const glia_dataset *data, int64_t index, int32_t *ids, glia_error *error);
} glia_data_kind;

/* What targets are in the picture x, and so what augmentation does to them. */
typedef enum glia_targets {
    GLIA_TARGETS_ELSEWHERE, /* nothing in it: they stay as they are */
    GLIA_TARGETS_MASK,      /* y (H W), i32: the class of each pixel */
    GLIA_TARGETS_BOXES      /* y (boxes, 5), f32: label (-1: no box), left, top, right, bottom in pixels */
} glia_targets;

struct glia_dataset {
    const glia_data_kind *kind;
    char *name;
    int64_t n;
    glia_shape x_shape, y_shape; /* of a sample */
    glia_dtype y_dtype;
    glia_targets targets;
    size_t x_count, y_bytes; /* values in x, bytes of y */
    int classes;             /* 0: not a classification */
    char **class_names;      /* (classes), or NULL */
    int channels;            /* channels for statistics: the first axis of x if its rank is 1 or 3, else 1 */
    int normal_n;            /* number of means and deviations: 0: none, 1: one for all, channels: one for each */
    float *mean, *scale;     /* (normal_n); scale is 1 / stddev */
    bool numbered;           /* the source has no class names: the numbers are used as names */
    char **column_names;     /* names of the values of x (rank 1), or NULL */
    bool is_split;           /* the address has different samples for the other split */
    const char *tokenizer;   /* tokenizer.json of the samples' tokenizer; NULL: samples are not tokens */
    glia_arena arena;        /* of the names */
};

/* Completes the header and checks it. kind, name, n, the shapes and y_dtype must be set. */
glia_status glia_data_init(glia_dataset *data, glia_error *error);

/* Sets the class names; NULL: the class numbers. data->classes must be set. */
glia_status glia_data_name_classes(glia_dataset *data, const char *const *names, glia_error *error);

/* Sets the column names of x (rank 1); NULL: none. */
glia_status glia_data_name_columns(glia_dataset *data, const char *const *names, glia_error *error);

/* Stores the tokenizer's JSON with the data. */
glia_status glia_data_keep_tokenizer(glia_dataset *data, const glia_tokenizer *tokenizer, glia_error *error);

/* Whether an integer fits an id; if not, reports the sample. */
glia_status glia_data_check_id(const glia_dataset *data, int64_t index, int64_t value, glia_error *error);

/* x = (x - mean) * scale, if the set has a normalisation. */
void glia_data_apply_normal(const glia_dataset *data, float *x);

/* The first reads a sample without any normalisation, neither of a view nor of the sets below it. The second applies
 * all of those to x. */
glia_status glia_data_read_raw(const glia_dataset *data, int64_t index, float *x, void *y, glia_error *error);
void glia_data_apply_normals(const glia_dataset *data, float *x);

/* The labels of all samples; GLIA_E_ARGUMENT without classes. */
glia_status glia_data_labels(const glia_dataset *data, int32_t *labels, glia_error *error);

/* As glia_data_arrays(), but takes ownership of arrays.x and arrays.y (malloc()ed), also on failure. */
glia_dataset *glia_data_take(glia_arrays arrays, const char *name, const char *const *class_names, glia_error *error);

/* A view of n samples of `data`: sample i is indices[i] (NULL: begin + i). Takes ownership of indices (malloc()ed), and
 * with `own` of the data too, also on failure. */
glia_dataset *glia_data_view(glia_dataset *data, int64_t *indices, int64_t begin, int64_t n, bool own,
                             glia_error *error);

/* Permutation of 0 .. n-1 for (seed, epoch): Fisher-Yates shuffle (Knuth 1969, algorithm P) with Philox numbers. */
void glia_data_shuffle(int64_t *indices, int64_t n, uint64_t seed, uint64_t epoch);

/* The order of samples in an epoch, from the loader's options. Not thread-safe: one thread at a time. */
typedef struct glia_order glia_order;
glia_order *glia_order_create(const glia_dataset *data, glia_loader_opts opts, glia_error *error);
void glia_order_free(glia_order *order);
void glia_order_fill(const glia_order *order, uint64_t epoch, int64_t batch, int64_t *indices); /* (data->n) */

/* Drawings [first, first + n) of `seed`. */
glia_dataset *glia_strokes_create(int64_t first, int64_t n, uint64_t seed, const char *name, glia_error *error);

/* Points [first, first + n) of `seed`, from normal distributions on a ring or a square grid. */
glia_dataset *glia_gaussians_create(bool grid, int64_t modes, int64_t first, int64_t n, uint64_t seed,
                                    const char *name, glia_error *error);

/* Open IDX files, or `n_paths` CIFAR batches, concatenated. labels_path may be NULL: all targets are 0. */
glia_dataset *glia_data_open_idx(const char *images_path, const char *labels_path, const char *name,
                                 const char *const *class_names, int classes, glia_error *error);
glia_dataset *glia_data_open_cifar(const char *const *paths, int n_paths, const char *name, glia_error *error);

/* A data set of named.c. The name must be one of glia_data_list(). */
glia_dataset *glia_data_open_named(const char *name, bool test, const char *folder, glia_error *error);

/* Draws the 28 x 28 bytes of drawing `index` of `seed`; returns its digit. A pure function of its arguments. */
int glia_strokes_draw(uint64_t seed, uint64_t index, uint8_t pixels[28 * 28]);

#endif
