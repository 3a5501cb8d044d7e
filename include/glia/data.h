/* data.h - data sets and loaders. */
#ifndef GLIA_DATA_H
#define GLIA_DATA_H

#include "glia/status.h"
#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Samples x with targets y: images, rows, sequences, with labels or values. Any number of threads may read a data
 * set. */
typedef struct glia_dataset glia_dataset;

/* By name or address: "mnist", "fashion-mnist", "kmnist", "cifar10", "strokes", "strokes?n=5000&seed=3",
 * "idx:IMAGES,LABELS", "csv:FILE?label=COLUMN" (also target=, header=, sep=, drop=), "cifar:FILE,FILE",
 * "images:FOLDER|ARCHIVE", "npy:X,Y", "npz:FILE", "libsvm:FILE", "raw:FILE?shape=3x32x32", "lines:FILE", "text:FILE",
 * "texts:FOLDER|ARCHIVE": glia_data_formats() lists them with their options, docs/data.md explains them. Named data
 * sets, and files that are not where the address says, are searched for in `folder` (may be NULL), $GLIA_DATA, ./data
 * and ~/.cache/glia. split: "train" (NULL: that) or
 * "test". An address of files gives the same set for both splits, unless its folders or arrays are named by split, or
 * it has "test=0.2" (and "seed=1"): then a fifth of the samples, chosen by the seed, is the test split. "test=0": no
 * split. Pixels are stored as bytes and scaled to [0, 1] when they are read. */
GLIA_API glia_dataset *glia_data_open(const char *address, const char *split, const char *folder, glia_error *error);

/* The same with a tokenizer. */
typedef struct glia_data_opts {
    const char *split, *folder;
    /* The text, not the path, of a tokenizer.json: texts become its ids instead of bytes or characters. It replaces the
     * file named by tokenizer= in the address; if that file exists it must be the same tokenizer. NULL: none. */
    const char *tokenizer;
} glia_data_opts;
GLIA_API glia_dataset *glia_data_open_opts(const char *address, glia_data_opts opts, glia_error *error);

/* The names of a model's inputs and scores, in their order. */
typedef struct glia_data_names {
    const char *const *columns; /* NULL: unknown */
    int64_t n_columns;
    const char *const *classes; /* NULL: unknown */
    int n_classes;
    const char *tokenizer; /* the tokenizer.json of its ids; NULL: its inputs are not ids */
} glia_data_names;
/* A view of the data with these columns and classes, matched by name. It takes ownership of `data`, also on failure,
 * unless an argument is NULL.
 * GLIA_E_NOT_FOUND names the first missing column, or the first column or class that is not in `names`; classes may be
 * missing in the data. If one side has no names, columns are matched by position. The tokenizers must be the same. */
GLIA_API glia_dataset *glia_data_match(glia_dataset *data, const glia_data_names *names, glia_error *error);

/* Whether the address has different samples for "train" and "test"; false: both are the whole set. */
GLIA_API bool glia_data_is_split(const glia_dataset *data);

/* The named data sets. */
typedef struct glia_data_info {
    const char *name, *what; /* what: a one-line description */
    const char *source;      /* where to download it */
    int64_t train, test;     /* samples */
    glia_shape x_shape;
    int classes;
} glia_data_info;
/* Fills at most `capacity`; returns their number. */
GLIA_API int glia_data_list(glia_data_info *out, int capacity);
GLIA_API bool glia_data_available(const char *name, const char *folder); /* glia_data_open() would find its files */

/* The path of a file or folder: itself if it exists, else within `folder` (may be NULL), $GLIA_DATA, ./data or
 * ~/.cache/glia, the first where it exists; if it is nowhere, itself. Addresses of files are looked up so. Release with
 * free(); NULL: no file, or out of memory. */
GLIA_API char *glia_data_find_file(const char *file, const char *folder);

/* The kinds of addresses. */
typedef struct glia_data_format {
    const char *syntax, *what; /* "images:FOLDER|ARCHIVE?size=32x32&channels=3"; what: a one-line description */
} glia_data_format;
/* Fills at most `capacity`; returns their number. */
GLIA_API int glia_data_formats(glia_data_format *out, int capacity);

/* Arrays in memory; copied unless `borrow`. n samples; y may be NULL. */
typedef struct glia_arrays {
    int64_t n;
    const void *x;
    glia_dtype x_dtype;
    glia_shape x_shape; /* of one sample */
    const void *y;
    glia_dtype y_dtype; /* i32: labels; any other: values */
    glia_shape y_shape; /* of one target; rank 0: a single number */
    int classes;        /* 0: 1 + the largest label (below 2^20) */
    bool borrow;
} glia_arrays;
GLIA_API glia_dataset *glia_data_arrays(glia_arrays arrays, glia_error *error);
/* Synthetic handwritten digits: n samples of (1, 28, 28) bytes, labels 0-9; a function of the seed. */
GLIA_API glia_dataset *glia_data_strokes(int64_t n, uint64_t seed, glia_error *error);
/* Samples [begin, end) of another data set, which must outlive it. */
GLIA_API glia_dataset *glia_data_range(glia_dataset *data, int64_t begin, int64_t end, glia_error *error);
GLIA_API void glia_data_free(glia_dataset *data);

/* Splits the data, which must outlive the parts, into disjoint parts that together have all samples. The same seed
 * gives the same parts. */
typedef struct glia_split_opts {
    double validation; /* fraction of the samples; 0: 0.1 unless there is a test split; GLIA_ZERO: none */
    double test;       /* fraction; 0: none */
    bool stratified;   /* every part has the class proportions of the data */
    uint64_t seed;
} glia_split_opts;
/* `test` may be NULL if its fraction is 0. A part with fraction 0 is NULL. */
GLIA_API glia_status glia_data_split(glia_dataset *data, glia_split_opts opts, glia_dataset **train,
                                     glia_dataset **validation, glia_dataset **test, glia_error *error);
/* Fold `fold` (from 0) of k-fold cross-validation: the fold is the validation data, the others are the training
 * data. */
GLIA_API glia_status glia_data_fold(glia_dataset *data, int folds, int fold, bool stratified, uint64_t seed,
                                    glia_dataset **train, glia_dataset **validation, glia_error *error);
/* Balanced class weights: samples / (classes * samples of the class), 0 for an empty class; of masks of pixels. One
 * weight for each class; or for each sample the weight of its class, for glia_loader_opts.weights. */
GLIA_API glia_status glia_data_class_weights(const glia_dataset *data, double *weights, glia_error *error);
/* Weights of the classes of masks by median frequency balancing (Eigen and Fergus 2015): median(f) / f[c], where f[c]
 * is the share of class c in the pixels of the masks in which it occurs; 0 for an empty class. */
GLIA_API glia_status glia_data_median_frequency_weights(const glia_dataset *data, double *weights, glia_error *error);
GLIA_API glia_status glia_data_sample_weights(const glia_dataset *data, double *weights, glia_error *error);

GLIA_API int64_t glia_data_count(const glia_dataset *data);
GLIA_API glia_shape glia_data_x_shape(const glia_dataset *data); /* of a sample */
GLIA_API glia_shape glia_data_y_shape(const glia_dataset *data);
GLIA_API glia_dtype glia_data_y_dtype(const glia_dataset *data);
GLIA_API int glia_data_classes(const glia_dataset *data); /* 0: not a classification data set */
GLIA_API const char *glia_data_class_name(const glia_dataset *data, int label);
/* Column names of samples of rank 1, from a table's header; NULL: they have no names. */
GLIA_API const char *glia_data_column_name(const glia_dataset *data, int64_t column);
GLIA_API const char *glia_data_name(const glia_dataset *data);
/* The tokenizer.json (text.h) of the ids, if samples are tokens; else NULL. */
GLIA_API const char *glia_data_tokenizer(const glia_dataset *data);

/* x becomes (x - mean[c]) / stddev[c], after bytes were scaled to [0, 1]. n values: one for each channel (the first
 * axis of a sample of rank 3) or column (of rank 1), or a single one for all. A stddev of 0 counts as 1. Replaces an
 * earlier normalisation. */
GLIA_API glia_status glia_data_normalize(glia_dataset *data, const double *mean, const double *stddev, int n,
                                         glia_error *error);
/* Computes the mean and standard deviation of each channel (column) before normalisation. `mean` and `stddev` have room
 * for `capacity` values; if that is too small, they get a single value for all. Returns their number; 0: a sample could
 * not be read. */
GLIA_API int glia_data_statistics(const glia_dataset *data, double *mean, double *stddev, int capacity);
/* Sample `index` as a model gets it: x as f32, y in its own dtype. Either may be NULL. */
GLIA_API glia_status glia_data_get(const glia_dataset *data, int64_t index, float *x, void *y, glia_error *error);
/* Samples [first, first + n) as glia_data_get() gives them: x (n, sample), y (n, target); either may be NULL. */
GLIA_API glia_status glia_data_read(const glia_dataset *data, int64_t first, int64_t n, float *x, void *y,
                                    glia_error *error);
/* Whether samples are integers where they are stored (token ids, bytes of text, integer arrays and records) and are not
 * normalised. Then they can be read as i32, exactly, bytes without scaling; f32 has only the integers up to 2^24. */
GLIA_API bool glia_data_has_ids(const glia_dataset *data);
/* Sample `index` of such data: x as i32, y of its own dtype. Either may be NULL. Integers beyond i32 are an error. */
GLIA_API glia_status glia_data_get_ids(const glia_dataset *data, int64_t index, int32_t *x, void *y, glia_error *error);

/* Reads a PNG, JPEG, PGM or PPM image as input of a model, x (C, H, W): converted to grey (C = 1) or colour (3),
 * resized, and scaled to [0, 1]. GLIA_E_UNSUPPORTED: this build has no decoder for it. */
GLIA_API glia_status glia_image_load(const char *path, glia_shape shape, float *x, glia_error *error);

typedef struct glia_image_save_opts {
    int columns;      /* pictures in a row; 0: as many as make the file nearly square */
    int gap;          /* pixels between pictures; 0: 2; GLIA_NONE: none */
    int scale;        /* every pixel becomes scale x scale; 0: 1 */
    double low, high; /* what becomes black and white, beyond is cut off; both 0: 0 and 1 */
    double paper;     /* brightness of the gaps, from 0 to 1; 0: 1; GLIA_ZERO: black */
} glia_image_save_opts;
/* Writes n pictures x (n, C, H, W), C 1 or 3, row by row into one file: .png (GLIA_E_UNSUPPORTED in a build without
 * libpng), .pgm (grey) or .ppm. */
GLIA_API glia_status glia_image_save(const char *path, glia_shape shape, const float *x, int64_t n,
                                     glia_image_save_opts opts, glia_error *error);

/* n points (x, y) as dots on a white picture (1, side, side) that shows them all. */
GLIA_API void glia_image_points(const float *points, int64_t n, int64_t side, float *picture);

/* Random transformations of samples; see glia/augment.h. */
typedef struct glia_augment glia_augment; /* while one thread adds to it, no other may use it */

/* Batches of a data set, prepared in advance by worker threads. Their contents depend only on the seed and the epoch. A
 * loader is used by one thread at a time, besides its own workers. */
typedef struct glia_loader_opts {
    int64_t batch;    /* 0: 32 */
    bool shuffle;
    bool drop_last;   /* drop the last batch if it is smaller */
    uint64_t seed;
    int workers;      /* 0: 1; GLIA_NONE: none, batches are prepared by the caller */
    const glia_augment *augment; /* NULL: none; must outlive the loader */
    const double *weights; /* one for each sample, or NULL: samples are drawn with replacement in proportion to them */
    bool stratified;       /* shuffled so that every batch has the class proportions of the data */
    bool ids;              /* samples as integers; the data must have ids, and there is no augmentation */
} glia_loader_opts;
typedef struct glia_batch {
    int64_t n;              /* samples in this batch */
    const float *x;         /* (n, sample); NULL with ids */
    const int32_t *ids;     /* (n, sample) if the loader has the option ids; else NULL */
    const void *y;          /* (n, target) of glia_loader_y_dtype() */
    const int64_t *indices; /* indices of the samples */
} glia_batch;
typedef struct glia_loader glia_loader;
GLIA_API glia_loader *glia_loader_create(const glia_dataset *data, glia_loader_opts opts, glia_error *error);
GLIA_API void glia_loader_free(glia_loader *loader);
/* Starts an epoch at its first batch, or at batch `batch`, with the same batches from there on. `batch` may be the
 * number of batches. */
GLIA_API glia_status glia_loader_start(glia_loader *loader, int64_t epoch, glia_error *error);
GLIA_API glia_status glia_loader_start_at(glia_loader *loader, int64_t epoch, int64_t batch, glia_error *error);
/* False: the epoch has ended. The batch is valid until the next call. */
GLIA_API bool glia_loader_next(glia_loader *loader, glia_batch *batch);
/* GLIA_OK, or why an epoch ended early: a sample that could not be read. */
GLIA_API glia_status glia_loader_check(const glia_loader *loader, glia_error *error);
GLIA_API int64_t glia_loader_batches(const glia_loader *loader);        /* per epoch */
/* Of a batch's targets: as in the data, unless the augmentation mixes samples. */
GLIA_API glia_dtype glia_loader_y_dtype(const glia_loader *loader);
GLIA_API glia_shape glia_loader_y_shape(const glia_loader *loader); /* of one target */

#ifdef __cplusplus
}
#endif

#endif
