/* formats.h - readers and writers of file formats.
 *
 * Every parser takes (bytes, length), checks all bounds, never allocates by a size that the file merely claims, and
 * reports the byte offset of an error. The caller prepends the path with glia_fail_at_path().
 *
 *   values       an array of numbers from a file
 *   gzip         decompression with a limit
 *   stream       sequential reading in pieces
 *   idx          MNIST's format
 *   cifar        CIFAR-10's binary batches
 *   csv          tables
 *   image        PNG, JPEG, PGM, PPM
 *   element      numbers of any width and byte order
 *   npy          NumPy arrays
 *   libsvm       sparse rows
 *   archive      zip, tar, compressed tar, folders
 *   safetensors  named tensors
 *   torch        the same from files of torch.save()
 */
#ifndef GLIA_SRC_DATA_FORMATS_FORMATS_H
#define GLIA_SRC_DATA_FORMATS_FORMATS_H

#include "base/base.h"
#include "base/json.h"
#include "glia/tensor.h"

/* ---- common ------------------------------------------------------------------------------- */

/* Numbers read from a file. */
typedef struct glia_values {
    glia_dtype dtype;
    glia_shape shape;
    void *data; /* dense, row-major, machine byte order */
} glia_values;
void glia_values_free(glia_values *values);

/* Sparse rows (CSR).
 * Row i has values[k] in columns[k] for k in [starts[i], starts[i + 1]), columns rising. */
typedef struct glia_sparse {
    int64_t n;
    int features;
    int64_t *starts; /* n + 1 */
    int32_t *columns;
    float *values;
    glia_dtype y_dtype; /* GLIA_I32: labels; GLIA_F32: values */
    void *y;
    int classes;        /* 0: values */
    char **class_names; /* NULL: labels are the integers in the file */
    char **column_names; /* or NULL */
    glia_arena arena;    /* of the names */
} glia_sparse;
void glia_sparse_free(glia_sparse *rows);

/* ---- gzip (RFC 1952; needs zlib) ---------------------------------------------------------- */

bool glia_gzip_is(const uint8_t *bytes, size_t length); /* starts with gzip's magic */

/* Inflates all members, at most `limit` bytes; memory grows with the actual output. *out is malloc()ed. Errors:
 * GLIA_E_FORMAT (corrupt, truncated, wrong checksum, more than `limit`, trailing bytes), GLIA_E_UNSUPPORTED without
 * zlib. */
glia_status glia_gunzip(const uint8_t *bytes, size_t length, size_t limit, uint8_t **out, size_t *out_length,
                        glia_error *error);

/* The largest size that `length` bytes of a file may decompress or decode to: 64 MiB, or 256 bytes for each byte if
 * that is more. Applies to gzip, zip, compressed tar, PNG, JPEG, and rows of sparse files. */
size_t glia_unpack_limit(size_t length);

/* Inflates only the first `capacity` bytes; *got: the number of bytes, fewer at the end of the data. */
glia_status glia_gunzip_head(const uint8_t *bytes, size_t length, uint8_t *head, size_t capacity, size_t *got,
                             glia_error *error);

/* A text file that may be gzipped: *text points into `bytes` or to malloc()ed *owned (NULL if not needed). Rejects more
 * than glia_unpack_limit(). */
glia_status glia_gunzip_text(const uint8_t *bytes, size_t length, const uint8_t **text, size_t *text_length,
                             uint8_t **owned, glia_error *error);

/* ---- streams ------------------------------------------------------------------------------ */

/* A file read sequentially, plain or gzipped; it need not fit into memory. Errors name the path. */
typedef struct glia_stream glia_stream;
glia_stream *glia_stream_open(const char *path, glia_error *error);
/* Reads the next bytes; *got is less than `room` only at the end. */
glia_status glia_stream_read(glia_stream *stream, void *bytes, size_t room, size_t *got, glia_error *error);
void glia_stream_close(glia_stream *stream);

/* ---- IDX (LeCun 1998), plain or gzipped --------------------------------------------------- */

/* u8 stays; i8, i16 and i32 become i32; f32 and f64 stay. Rank 1 to 8, no dimension of 0, exact length. */
glia_status glia_idx_parse(const uint8_t *bytes, size_t length, glia_values *values, glia_error *error);

/* ---- CIFAR-10 binary batches -------------------------------------------------------------- */

enum { GLIA_CIFAR_PIXELS = 3 * 32 * 32, GLIA_CIFAR_RECORD = 1 + GLIA_CIFAR_PIXELS };
extern const char *const glia_cifar_classes[10];

/* Counts records of a label and (3, 32, 32) bytes; GLIA_E_FORMAT for a partial record or a label above 9. */
glia_status glia_cifar_parse(const uint8_t *bytes, size_t length, int64_t *n, glia_error *error);
/* Copies them out: pixels (n, 3, 32, 32), labels (n). */
void glia_cifar_copy(const uint8_t *bytes, int64_t n, uint8_t *pixels, int32_t *labels);

/* ---- CSV (RFC 4180), plain or gzipped ----------------------------------------------------- */

typedef struct glia_csv_opts {
    char separator;     /* 0: the most frequent of comma, semicolon, tab in the first line */
    int header;         /* 1: the first line has the column names, -1: it does not, 0: detect */
    const char *label;  /* column of the class, by name or by index from 0 (negative: from the end); NULL: the last */
    const char *target; /* instead of label: column of the regression target */
    const char *drop;   /* columns to ignore, separated by commas */
    bool sparse;        /* store only non-zero values; an empty field is zero */
} glia_csv_opts;

/* n rows of numbers x (n, columns) and a label or a value y (n). */
typedef struct glia_csv {
    int64_t n;
    int columns; /* of x */
    float *x;         /* for sparse rows: one row of undefined content */
    glia_sparse rows; /* with opts.sparse: features, starts, columns, values */
    glia_dtype y_dtype; /* GLIA_I32: labels; GLIA_F32: values */
    void *y;
    int classes;        /* 0: values */
    char **class_names; /* NULL: labels are the integers in the file */
    char **names;       /* of x's columns; NULL without a header */
    glia_arena arena;   /* of the names */
} glia_csv;

/* Labels that are all integers in [0, 65535] are kept; otherwise they are words, numbered in byte order.
 * Errors name line and column. */
glia_status glia_csv_parse(const uint8_t *bytes, size_t length, glia_csv_opts opts, glia_csv *csv, glia_error *error);
void glia_csv_free(glia_csv *csv);

/* ---- images ------------------------------------------------------------------------------- */

typedef struct glia_image {
    int channels, height, width; /* 1: grey, 3: red, green, blue */
    uint8_t *pixels;             /* (C, H, W); release with glia_image_free() */
} glia_image;

/* PNG, JPEG, PGM or PPM, detected from the bytes. Transparent pixels are blended with white; 16 bits become 8. */
glia_status glia_image_decode(const uint8_t *bytes, size_t length, glia_image *image, glia_error *error);
glia_status glia_image_open(const char *path, glia_image *image, glia_error *error);
void glia_image_free(glia_image *image);

/* The result is a new image. Resizing averages over areas along an axis that shrinks and is bilinear along one that
 * grows (half-pixel centres: sample i of n lies at (i + 1/2) / n). Grey is ITU-R BT.601 luma. */
glia_status glia_image_resize(const glia_image *image, int height, int width, glia_image *out, glia_error *error);
glia_status glia_image_convert(const glia_image *image, int channels, glia_image *out, glia_error *error);

/* The format follows the extension: .png (needs libpng), .pgm (grey), .ppm. */
glia_status glia_image_write(const char *path, const glia_image *image, glia_error *error);

/* One decoder for each format; glia_image_decode() selects it. */
glia_status glia_png_decode(const uint8_t *bytes, size_t length, glia_image *image, glia_error *error);
struct glia_image_save_opts;
/* An image of n pictures x (n, C, H, W), C 1 or 3, as glia_image_save() arranges them. */
glia_status glia_image_sheet(glia_shape shape, const float *x, int64_t n, struct glia_image_save_opts opts,
                             glia_image *image, glia_error *error);
glia_status glia_png_encode(const glia_image *image, uint8_t **bytes, size_t *length, glia_error *error);
glia_status glia_jpeg_decode(const uint8_t *bytes, size_t length, glia_image *image, glia_error *error);
glia_status glia_pnm_decode(const uint8_t *bytes, size_t length, glia_image *image, glia_error *error);

/* Allocates pixels for an image of this size, at most GLIA_IMAGE_MOST. */
enum { GLIA_IMAGE_MOST = 1 << 28 };
glia_status glia_image_create(int channels, int height, int width, glia_image *image, glia_error *error);

/* ---- numbers of any width and byte order -------------------------------------------------- */

typedef struct glia_element {
    char kind;    /* 'u' unsigned, 'i' signed, 'f' float, 'b' bool */
    uint8_t size; /* bytes */
    bool big;     /* big-endian */
} glia_element;

/* "u8", "i16", "f32", "bool", ...; false: unknown type. */
bool glia_element_named(const char *name, glia_element *element);
glia_dtype glia_element_dtype(glia_element element); /* holds all values of the type; for u64: i64 */
/* Converts one number to that dtype; false: beyond i64. */
bool glia_element_store(glia_element element, const uint8_t *from, void *to);
double glia_element_value(glia_element element, const uint8_t *from);

/* ---- NPY (NumPy) -------------------------------------------------------------------------- */

/* Versions 1 to 3, both byte orders, C and Fortran order; numbers and bool. Rank 0 is a scalar. */
glia_status glia_npy_parse(const uint8_t *bytes, size_t length, glia_values *values, glia_error *error);

/* ---- sparse rows: LIBSVM's text, plain or gzipped ----------------------------------------- */

typedef struct glia_libsvm_opts {
    int features; /* columns; 0: from the largest index */
    int first;    /* index of the first column: 0 or 1; -1: 0 if an index of 0 occurs, else 1 */
    bool target;  /* labels are values, even if they are integers */
} glia_libsvm_opts;

glia_status glia_libsvm_parse(const uint8_t *bytes, size_t length, glia_libsvm_opts opts, glia_sparse *rows,
                              glia_error *error);

/* ---- archives: zip, tar, compressed tar, and folders -------------------------------------- */

/* A regular file in an archive. */
typedef struct glia_member {
    const char *name;      /* "train/cat/1.jpg": relative, valid UTF-8, without "." and ".." */
    size_t offset;         /* of its bytes (tar) or its local header (zip) */
    size_t packed, length; /* size as stored, and unpacked; 0 in a folder */
    uint32_t crc;          /* of a zip's file */
    uint8_t method;        /* of a zip's file: 0 stored, 8 deflated */
    int order;             /* position in the archive */
} glia_member;

typedef enum glia_archive_kind { GLIA_ARCHIVE_FOLDER, GLIA_ARCHIVE_ZIP, GLIA_ARCHIVE_TAR } glia_archive_kind;

typedef struct glia_archive {
    glia_archive_kind kind;
    const char *path; /* NULL: in memory */
    int n;
    glia_member *members; /* sorted by name with strcmp(), so the order is the same on every system */
    const uint8_t *bytes; /* of the whole archive */
    size_t length;
    glia_file file;
    uint8_t *owned;
    glia_arena arena; /* of the names */
} glia_archive;

/* Bytes of one file; release with glia_blob_free(). */
typedef struct glia_blob {
    const uint8_t *bytes;
    size_t length;
    void *owned; /* private, as is file */
    glia_file file;
} glia_blob;

/* Indexes an archive in memory, which must outlive it, or a file or a folder. A compressed tar is unpacked into
 * memory. Links and devices in archives and hidden files in folders are ignored. Release with glia_archive_free() on
 * success. */
glia_status glia_archive_parse(const uint8_t *bytes, size_t length, glia_archive *archive, glia_error *error);
glia_status glia_archive_open(const char *path, glia_archive *archive, glia_error *error);
void glia_archive_free(glia_archive *archive);
int glia_archive_find(const glia_archive *archive, const char *name); /* -1: none */

/* The bytes of a member, in place or decompressed. Thread-safe. */
glia_status glia_archive_read(const glia_archive *archive, int member, glia_blob *blob, glia_error *error);
void glia_blob_free(glia_blob *blob);
/* Prepends "archive: member: " to the message, as glia_fail_at_path() does. */
glia_status glia_archive_fail(const glia_archive *archive, int member, glia_error *error, glia_status status);

/* ---- safetensors -------------------------------------------------------------------------- */

typedef struct glia_pair {
    const char *key, *value;
} glia_pair;

typedef struct glia_safetensor {
    const char *name;
    glia_dtype dtype;
    glia_shape shape; /* a dimension may be 0 */
    const void *data; /* into the caller's bytes; may be unaligned: use memcpy() */
    size_t offset;    /* of data in the file */
    size_t bytes;
} glia_safetensor;

typedef struct glia_safetensors {
    int n;
    glia_safetensor *tensors; /* in the order of their data */
    int n_metadata;
    glia_pair *metadata;
    glia_arena arena;
} glia_safetensors;

/* Tensors and metadata of a file in memory, which must outlive `file`. Strict: the header is one JSON object, names
 * are unique, every tensor has exactly the size of its dtype and shape, and together they fill the file without gaps.
 * An unsupported dtype is GLIA_E_UNSUPPORTED. Release with glia_safetensors_free() on success. */
glia_status glia_safetensors_parse(const uint8_t *bytes, size_t length, glia_safetensors *file, glia_error *error);
void glia_safetensors_free(glia_safetensors *file);
const glia_safetensor *glia_safetensors_find(const glia_safetensors *file, const char *name); /* NULL: none */
const char *glia_safetensors_get(const glia_safetensors *file, const char *key);              /* metadata; NULL: none */

/* Replaces the file at `path`. Data start on a 64-byte boundary, tensors are aligned to their dtype. Names must be
 * unique valid UTF-8. */
glia_status glia_safetensors_write(const char *path, const glia_array *arrays, int n, const glia_pair *metadata,
                                   int n_metadata, glia_error *error);

/* ---- files of torch.save() ---------------------------------------------------------------- */

/* The tensors in a zip or an older file of PyTorch, as of a file of safetensors, without executing anything (pickle.h).
 * Names are the keys on the way to a tensor, joined by dots. Of a checkpoint only the state of the model counts
 * ("state_dict", "model_state_dict", "model_state", "model", "net"), and the "module." of DataParallel is left out.
 * Tensors whose elements are not in one piece are copied; the others point into the caller's bytes. Dtypes and
 * functions other than those of dense tensors are GLIA_E_UNSUPPORTED. */
glia_status glia_torch_parse(const uint8_t *bytes, size_t length, glia_safetensors *file, glia_error *error);
bool glia_torch_is(const uint8_t *bytes, size_t length); /* begins like one */
/* The arrays of a .npz by their names, without ".npy"; copied. */
glia_status glia_npz_parse(const uint8_t *bytes, size_t length, glia_safetensors *file, glia_error *error);
bool glia_npz_is(const uint8_t *bytes, size_t length); /* a zip whose first file is a .npy */
/* A file of torch.save(), of safetensors or of numpy.savez(). */
glia_status glia_tensors_parse(const uint8_t *bytes, size_t length, glia_safetensors *file, glia_error *error);

/* The same of a file on disk; errors name the path. Release with glia_tensors_close() on success. */
typedef struct glia_tensor_file {
    glia_safetensors tensors;
    glia_file bytes;
} glia_tensor_file;
glia_status glia_tensors_open(const char *path, glia_tensor_file *file, glia_error *error);
void glia_tensors_close(glia_tensor_file *file);

#endif
