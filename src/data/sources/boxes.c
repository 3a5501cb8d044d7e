/* boxes.c - pictures with boxes around things of several classes, for detection.
 *
 * A table has a line for each box, with columns by name: image (a file name), class, xmin, ymin, xmax, ymax in pixels,
 * and perhaps split (train, val, test). Pictures without a line are left out. All are resized to one size and kept as
 * bytes, and their boxes are scaled with them.
 */
#include <stdlib.h>
#include <string.h>

#include "data/graphs/readers.h"
#include "data/sources/data.h"
#include "data/sources/sources.h"
#include "glia/graphs.h"
#include "glia/vision.h"

enum { IMAGE, CLASS, XMIN, YMIN, XMAX, YMAX, SPLIT, COLUMNS, SIDES = 4, CLASSES_MOST = 1000 };
static const char *const column_names[COLUMNS] = { "image", "class", "xmin", "ymin", "xmax", "ymax", "split" };

/* A line of the table. */
typedef struct row {
    const char *image, *end; /* the file name, in the text of the table */
    int64_t line;
    int class, split;
    double side[SIDES]; /* left, top, right, bottom */
} row;

typedef struct table {
    glia_lines lines;
    int at[COLUMNS]; /* index of each column; -1: there is none */
    row *rows;
    int n, capacity;
    glia_names classes;
    int *ranks; /* (classes): the place of each in byte order */
} table;

/* ---- the table ------------------------------------------------------------------------------ */

static glia_status read_header(table *t) {
    glia_lines *l = &t->lines;
    const char *word, *end;
    for (int c = 0; c < COLUMNS; c++) t->at[c] = -1;
    if (l->status != GLIA_OK || !glia_lines_next(l)) return l->status ? l->status : GLIA_E_FORMAT;
    for (int i = 0; glia_lines_field(l, &word, &end); i++)
        for (int c = 0; c < COLUMNS; c++)
            if (glia_word_is(word, end, column_names[c])) t->at[c] = i;
    for (int c = 0; c < SPLIT && l->status == GLIA_OK; c++)
        if (t->at[c] < 0) glia_lines_fail(l, "there is no column '%s'", column_names[c]);
    return l->status;
}

static glia_status add_row(table *t, const row *r) {
    if (!glia_grow((void **)&t->rows, t->n, &t->capacity, sizeof *t->rows)) return glia_fail_nomem(t->lines.error);
    t->rows[t->n++] = *r;
    return GLIA_OK;
}

/* Reads the field of a column into the row; false: says what is wrong. */
static bool read_field(table *t, row *r, int column, const char *word, const char *end) {
    const int shown = (int)GLIA_MIN(end - word, 40);
    switch (column) {
    case IMAGE:
        for (const char *p = word; p < end; p++) word = *p == '/' ? p + 1 : word;
        r->image = word;
        r->end = end;
        return word < end || glia_lines_fail(&t->lines, "the name of the image is missing");
    case CLASS:
        if (word == end) return glia_lines_fail(&t->lines, "the class is missing");
        r->class = glia_names_add(&t->classes, word, end);
        if (r->class < 0) t->lines.status = glia_fail_nomem(t->lines.error);
        return r->class < CLASSES_MOST ? r->class >= 0
                                       : glia_lines_fail(&t->lines, "more than %d classes", CLASSES_MOST);
    case SPLIT:
        r->split = glia_graph_split_named(word, end);
        return r->split >= 0 || glia_lines_fail(&t->lines, "split '%.*s' is not train, val or test", shown, word);
    default:
        return (glia_number_parse(word, end, &r->side[column - XMIN]) && r->side[column - XMIN] > -1e6 &&
                r->side[column - XMIN] < 1e6) ||
               glia_lines_fail(&t->lines, "%s is '%.*s', not a number of pixels", column_names[column], shown, word);
    }
}

static glia_status read_rows(table *t) {
    glia_lines *l = &t->lines;
    while (glia_lines_next(l)) {
        row r = { .line = l->line };
        const char *word, *end;
        unsigned seen = 0;
        bool good = true;
        for (int i = 0; good && glia_lines_field(l, &word, &end); i++)
            for (int c = 0; c < COLUMNS && good; c++)
                if (t->at[c] == i) good = read_field(t, &r, c, word, end), seen |= 1u << c;
        for (int c = 0; c < COLUMNS && good; c++)
            if (t->at[c] >= 0 && !(seen & 1u << c)) good = glia_lines_fail(l, "%s is missing", column_names[c]);
        if (good && !(r.side[0] < r.side[2] && r.side[1] < r.side[3])) good = glia_lines_fail(l, "the box is empty");
        if (good) l->status = add_row(t, &r);
    }
    if (l->status == GLIA_OK && t->n == 0) glia_lines_fail(l, "there are no boxes");
    return l->status;
}

/* Classes are numbered in byte order, whatever order they come in. */
static glia_status rank_classes(table *t) {
    t->ranks = malloc((size_t)t->classes.n * sizeof *t->ranks);
    if (!t->ranks) return glia_fail_nomem(t->lines.error);
    for (int i = 0; i < t->classes.n; i++) {
        t->ranks[i] = 0;
        for (int k = 0; k < t->classes.n; k++) t->ranks[i] += strcmp(t->classes.at[k], t->classes.at[i]) < 0;
    }
    return GLIA_OK;
}

static int compare_names(const char *a, const char *a_end, const char *b, const char *b_end) {
    const size_t n = (size_t)(a_end - a), m = (size_t)(b_end - b);
    const int order = memcmp(a, b, GLIA_MIN(n, m));
    return order ? order : (n > m) - (n < m);
}

static int by_image(const void *p, const void *q) {
    const row *a = p, *b = q;
    const int order = compare_names(a->image, a->end, b->image, b->end);
    return order ? order : (a->line > b->line) - (a->line < b->line);
}

static glia_status open_table(table *t, const char *path, glia_error *error) {
    glia_status status = glia_lines_open(&t->lines, path, error);
    if (status == GLIA_OK) status = read_header(t);
    if (status == GLIA_OK) status = read_rows(t);
    if (status == GLIA_E_FORMAT && !t->n && !t->lines.line)
        return glia_fail(error, GLIA_E_FORMAT, "%s: the table is empty", path);
    if (status == GLIA_OK) qsort(t->rows, (size_t)t->n, sizeof *t->rows, by_image);
    return status == GLIA_OK ? rank_classes(t) : status;
}

static void close_table(table *t) {
    glia_lines_close(&t->lines);
    glia_names_free(&t->classes);
    free(t->rows);
    free(t->ranks);
}

/* ---- the pictures --------------------------------------------------------------------------- */

/* A picture of the archive by its name without folders. */
typedef struct file {
    const char *base;
    int member;
} file;

typedef struct set {
    const table *t;
    const glia_archive *archive;
    file *files; /* (archive->n), sorted */
    int channels, height, width;
    int64_t n, most; /* pictures; boxes of the one with the most */
    uint8_t *x;
    float *y;
} set;

static int by_base(const void *p, const void *q) { return strcmp(((const file *)p)->base, ((const file *)q)->base); }

static glia_status list_files(set *s, glia_error *error) {
    s->files = malloc((size_t)GLIA_MAX(s->archive->n, 1) * sizeof *s->files);
    if (!s->files) return glia_fail_nomem(error);
    for (int i = 0; i < s->archive->n; i++) {
        const char *name = s->archive->members[i].name, *slash = strrchr(name, '/');
        s->files[i] = (file){ slash ? slash + 1 : name, i };
    }
    qsort(s->files, (size_t)s->archive->n, sizeof *s->files, by_base);
    return GLIA_OK;
}

static int find_member(const set *s, const row *r) {
    int low = 0, high = s->archive->n;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        const char *base = s->files[middle].base;
        const int order = compare_names(base, base + strlen(base), r->image, r->end);
        if (order == 0) return s->files[middle].member;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* The picture in the size of the set, which is that of the first if none was asked for; *old: as it was. */
static glia_status decode(set *s, const row *r, glia_image *image, glia_image *old, glia_error *error) {
    const int member = find_member(s, r);
    if (member < 0)
        return glia_fail(error, GLIA_E_NOT_FOUND, "%s: line %lld: there is no picture '%.*s' in %s", s->t->lines.path,
                         (long long)r->line, (int)GLIA_MIN(r->end - r->image, 80), r->image, s->archive->path);
    glia_blob blob;
    glia_image coloured = { 0 };
    glia_status status = glia_archive_read(s->archive, member, &blob, error);
    if (status != GLIA_OK) return glia_archive_fail(s->archive, member, error, status);
    status = glia_image_decode(blob.bytes, blob.length, old, error);
    glia_blob_free(&blob);
    if (status == GLIA_OK && !s->channels) s->channels = old->channels;
    if (status == GLIA_OK && !s->height) s->height = old->height, s->width = old->width;
    if (status == GLIA_OK) status = glia_image_convert(old, s->channels, &coloured, error);
    if (status == GLIA_OK) status = glia_image_resize(&coloured, s->height, s->width, image, error);
    glia_image_free(&coloured);
    return glia_archive_fail(s->archive, member, error, status);
}

/* Annotations that count pixels from 1, or their far edges as inside, are one pixel out. */
static bool inside(const double *side, double height, double width) {
    return side[0] >= -1 && side[1] >= -1 && side[2] <= width + 1 && side[3] <= height + 1;
}

static glia_status check_boxes(const set *s, const row *rows, int64_t n, const glia_image *image, glia_error *error) {
    for (const row *r = rows; r < rows + n; r++) {
        if (inside(r->side, image->height, image->width)) continue;
        return glia_fail(error, GLIA_E_FORMAT,
                         "%s: line %lld: the box from %g, %g to %g, %g is not inside '%.*s', which has %d columns and "
                         "%d rows of pixels",
                         s->t->lines.path, (long long)r->line, r->side[0], r->side[1], r->side[2], r->side[3],
                         (int)GLIA_MIN(r->end - r->image, 80), r->image, image->width, image->height);
    }
    return GLIA_OK;
}

/* Adds the picture of n rows. */
static glia_status add_picture(set *s, const row *rows, int64_t n, glia_error *error) {
    glia_image image = { 0 }, old = { 0 };
    glia_status status = decode(s, rows, &image, &old, error);
    if (status == GLIA_OK) status = check_boxes(s, rows, n, &old, error);
    const size_t bytes = (size_t)s->channels * (size_t)s->height * (size_t)s->width;
    uint8_t *grown = status == GLIA_OK ? realloc(s->x, (size_t)(s->n + 1) * bytes) : NULL;
    if (status == GLIA_OK && !grown) status = glia_fail_nomem(error);
    if (grown) {
        s->x = grown;
        memcpy(s->x + (size_t)s->n * bytes, image.pixels, bytes);
        float *box = s->y + s->n++ * s->most * (SIDES + 1);
        for (int64_t i = 0; i < s->most; i++, box += SIDES + 1) {
            box[0] = i < n ? (float)s->t->ranks[rows[i].class] : -1;
            for (int k = 0; k < SIDES; k++)
                box[k + 1] = i < n ? (float)(k % 2 ? rows[i].side[k] * s->height / old.height
                                                   : rows[i].side[k] * s->width / old.width)
                                   : 0;
        }
    }
    glia_image_free(&image);
    glia_image_free(&old);
    return status;
}

/* The rows from i on that are of one picture. */
static int64_t rows_of_picture(const table *t, int64_t i) {
    int64_t n = 1;
    while (i + n < t->n && !compare_names(t->rows[i].image, t->rows[i].end, t->rows[i + n].image, t->rows[i + n].end))
        n++;
    return n;
}

/* Counts pictures, and the boxes of the one with the most. All boxes of a picture must be of one split. */
static glia_status count_pictures(set *s, int64_t *pictures, glia_error *error) {
    const table *t = s->t;
    *pictures = 0;
    for (int64_t i = 0, n; i < t->n; i += n) {
        n = rows_of_picture(t, i);
        for (int64_t k = 1; k < n; k++)
            if (t->rows[i + k].split != t->rows[i].split)
                return glia_fail(error, GLIA_E_FORMAT, "%s: line %lld: the picture is in another split in line %lld",
                                 t->lines.path, (long long)t->rows[i + k].line, (long long)t->rows[i].line);
        s->most = GLIA_MAX(s->most, n);
        ++*pictures;
    }
    return GLIA_OK;
}

static bool wanted(const table *t, const row *r, bool test) {
    if (t->at[SPLIT] < 0) return true;
    return test ? r->split == GLIA_PART_TEST : r->split == GLIA_PART_TRAIN || r->split == GLIA_PART_VALIDATION;
}

static glia_status read_pictures(set *s, bool test, glia_error *error) {
    const table *t = s->t;
    int64_t pictures;
    glia_status status = count_pictures(s, &pictures, error);
    if (status != GLIA_OK) return status;
    s->y = calloc((size_t)pictures * (SIDES + 1), (size_t)s->most * sizeof *s->y);
    status = s->y ? list_files(s, error) : glia_fail_nomem(error);
    for (int64_t i = 0, n; status == GLIA_OK && i < t->n; i += n) {
        n = rows_of_picture(t, i);
        if (wanted(t, &t->rows[i], test)) status = add_picture(s, t->rows + i, n, error);
    }
    if (status == GLIA_OK && s->n == 0)
        status = glia_fail(error, GLIA_E_FORMAT, "%s: no picture of the %s split", t->lines.path,
                           test ? "test" : "train");
    return status;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* Makes a data set with these classes of boxes. */
static glia_status mark_boxes(glia_dataset *data, int classes, const char *const *names, glia_error *error) {
    data->targets = GLIA_TARGETS_BOXES;
    data->classes = classes;
    return glia_data_name_classes(data, names, error);
}

static glia_dataset *take_set(set *s, const char *name, glia_error *error) {
    const table *t = s->t;
    const glia_arrays arrays = { .n = s->n,
                                 .x = s->x,
                                 .x_dtype = GLIA_U8,
                                 .x_shape = GLIA_SHAPE(s->channels, s->height, s->width),
                                 .y = s->y,
                                 .y_dtype = GLIA_F32,
                                 .y_shape = GLIA_SHAPE(s->most, SIDES + 1) };
    s->x = NULL;
    s->y = NULL;
    const char *sorted[CLASSES_MOST];
    for (int i = 0; i < t->classes.n; i++) sorted[t->ranks[i]] = t->classes.at[i];
    glia_dataset *data = glia_data_take(arrays, name, NULL, error);
    if (data && mark_boxes(data, t->classes.n, sorted, error) == GLIA_OK) {
        data->is_split = t->at[SPLIT] >= 0;
        return data;
    }
    glia_data_free(data);
    return NULL;
}

glia_dataset *glia_data_open_boxes(const char *pictures, const char *path, glia_image_opts o, bool test,
                                   const char *name, glia_error *error) {
    table t = { 0 };
    glia_archive archive = { 0 };
    set s = { .t = &t, .archive = &archive, .channels = o.channels, .height = o.height, .width = o.width };
    glia_dataset *data = NULL;
    glia_status status = open_table(&t, path, error);
    if (status == GLIA_OK && o.whole && t.at[SPLIT] >= 0)
        status = glia_fail(error, GLIA_E_ARGUMENT, "%s: test= cannot be used, because it has a column split", path);
    if (status == GLIA_OK) status = glia_archive_open(pictures, &archive, error);
    if (status == GLIA_OK) {
        status = read_pictures(&s, test, error);
        if (status == GLIA_OK) data = take_set(&s, name, error);
        free(s.x);
        free(s.y);
        free(s.files);
        glia_archive_free(&archive);
    }
    close_table(&t);
    return data;
}

/* One of arrays: label -1 is none. */
static glia_status check_box(const float *box, int64_t i, int classes, glia_shape x, glia_error *error) {
    if (box[0] == -1) return GLIA_OK;
    if (!(box[0] >= 0 && box[0] < (float)classes && box[0] == (float)(int)box[0]))
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "data with boxes: box %lld has label %g; there are 0 to %d, and -1 for no box", (long long)i,
                         (double)box[0], classes - 1);
    double side[SIDES];
    for (int k = 0; k < SIDES; k++) side[k] = (double)box[k + 1];
    if (side[0] < side[2] && side[1] < side[3] && inside(side, (double)x.dim[1], (double)x.dim[2])) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT,
                     "data with boxes: box %lld, from %g, %g to %g, %g, is empty or not inside pictures of %lld "
                     "columns and %lld rows",
                     (long long)i, side[0], side[1], side[2], side[3], (long long)x.dim[2], (long long)x.dim[1]);
}

glia_dataset *glia_data_boxes(glia_arrays arrays, int classes, const char *const *names, glia_error *error) {
    if (arrays.y_dtype != GLIA_F32 || arrays.x_shape.rank != 3 || arrays.y_shape.rank != 2 ||
        arrays.y_shape.dim[1] != SIDES + 1 || !arrays.y)
        return glia_fail(error, GLIA_E_SHAPE, "data with boxes: x must be (C, H, W), y (boxes, 5) of f32"), NULL;
    if (classes < 1 || classes > CLASSES_MOST)
        return glia_fail(error, GLIA_E_ARGUMENT, "data with boxes: %d classes; 1 to %d are possible", classes,
                         CLASSES_MOST), NULL;
    const float *box = arrays.y;
    for (int64_t i = 0; i < arrays.n * arrays.y_shape.dim[0]; i++, box += SIDES + 1)
        if (check_box(box, i, classes, arrays.x_shape, error) != GLIA_OK) return NULL;
    arrays.classes = 0;
    glia_dataset *data = glia_data_arrays(arrays, error);
    if (!data || mark_boxes(data, classes, names, error) == GLIA_OK) return data;
    glia_data_free(data);
    return NULL;
}
