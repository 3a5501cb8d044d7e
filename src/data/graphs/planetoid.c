/* planetoid.c - Planetoid's files (Yang et al. 2016): ind.NAME.x, .y, .tx, .ty, .allx, .ally, .graph are pickles of
 * SciPy's sparse matrices, NumPy's arrays and a dictionary of lists; ind.NAME.test.index is text. Nothing is executed
 * (data/formats/pickle.h).
 *
 *     allx, ally     nodes 0 to A - 1; the first ones are x, y, those to learn from; the next 500 are for validation
 *     tx, ty         the nodes for the test, in the order of test.index, which may skip some: nodes without a class
 *     graph          { node: [neighbour, ...] }
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/formats/pickle.h"
#include "data/graphs/readers.h"

enum { VALIDATION = 500, MOST = 1 << 28 };

/* Functions and classes in these pickles, by the modules in which NumPy and SciPy had them. */
enum { RECONSTRUCT, RECONSTRUCT_2, ARRAY, TYPE, MATRIX, MATRIX_2, DEFAULT_DICT, LIST, LIST_3, KNOWN };
static const char *const known[KNOWN] = { [RECONSTRUCT] = "numpy.core.multiarray _reconstruct",
                                          [RECONSTRUCT_2] = "numpy._core.multiarray _reconstruct",
                                          [ARRAY] = "numpy ndarray",
                                          [TYPE] = "numpy dtype",
                                          [MATRIX] = "scipy.sparse.csr csr_matrix",
                                          [MATRIX_2] = "scipy.sparse._csr csr_matrix",
                                          [DEFAULT_DICT] = "collections defaultdict",
                                          [LIST] = "__builtin__ list",
                                          [LIST_3] = "builtins list" };

/* ---- arrays ---------------------------------------------------------------------------------------- */

/* A file that was read; values lie in the arena, which every file shares. */
typedef struct pickle_file {
    char path[4200];
    const glia_pickle *root;
    glia_error *error;
} pickle_file;

static glia_status fail(const pickle_file *f, const glia_pickle *at, const char *what) {
    return glia_fail(f->error, GLIA_E_FORMAT, "%.200s: offset %zu: %s", f->path, at->offset, what);
}

typedef struct array {
    const uint8_t *bytes;
    char kind; /* 'i', 'u', 'f' or 'b' */
    int size;  /* of a number */
    int64_t rows, columns;
} array;

static double value_at(const array *a, int64_t i) {
    const uint8_t *p = a->bytes + i * a->size;
    union {
        int64_t i64;
        int32_t i32;
        int16_t i16;
        float f32;
        double f64;
    } v;
    memcpy(&v, p, (size_t)a->size);
    if (a->kind == 'f') return a->size == 4 ? (double)v.f32 : v.f64;
    return a->size == 1   ? a->kind == 'i' ? (double)(int8_t)*p : (double)*p
           : a->size == 2 ? a->kind == 'i' ? (double)v.i16 : (double)(uint16_t)v.i16
           : a->size == 4 ? a->kind == 'i' ? (double)v.i32 : (double)(uint32_t)v.i32
                          : (double)v.i64;
}

static bool is_call(const glia_pickle *v, int name, int other) {
    return v->kind == GLIA_PICKLE_CALL && (v->name == name || v->name == other);
}

/* "f4" and the state (3, '<', ...). */
static glia_status read_type(const pickle_file *f, const glia_pickle *type, array *a) {
    const glia_pickle *text = is_call(type, TYPE, TYPE) && type->args->n > 0 ? type->args->items[0] : NULL;
    const glia_pickle *state = text ? type->state : NULL;
    const glia_pickle *order = state && state->kind == GLIA_PICKLE_TUPLE && state->n > 1 ? state->items[1] : NULL;
    if (!text || text->kind != GLIA_PICKLE_TEXT || !order || order->kind != GLIA_PICKLE_TEXT)
        return fail(f, type, "the type of an array is unknown");
    static const char *const types[] = { "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1" };
    for (int i = 0; i < GLIA_COUNT(types); i++) {
        if (strcmp(text->text, types[i]) != 0) continue;
        *a = (array){ .kind = types[i][0], .size = types[i][1] - '0' };
    }
    if (!a->size || (strcmp(order->text, "<") != 0 && a->size > 1))
        return fail(f, type, "the numbers of an array are neither little-endian integers nor floats");
    return GLIA_OK;
}

/* One or two dimensions; the state is (version, shape, type, by columns, bytes). */
static glia_status read_array(const pickle_file *f, const glia_pickle *v, array *a) {
    *a = (array){ 0 };
    const glia_pickle *s = is_call(v, RECONSTRUCT, RECONSTRUCT_2) ? v->state : NULL;
    if (!s || s->kind != GLIA_PICKLE_TUPLE || s->n != 5) return fail(f, v, "this is no array of NumPy");
    const glia_pickle *shape = s->items[1], *bytes = s->items[4];
    if (shape->kind != GLIA_PICKLE_TUPLE || shape->n < 1 || shape->n > 2 ||
        (bytes->kind != GLIA_PICKLE_BYTES && bytes->kind != GLIA_PICKLE_TEXT))
        return fail(f, v, "an array must have one or two dimensions");
    const glia_status status = read_type(f, s->items[2], a);
    if (status != GLIA_OK) return status;
    int64_t sizes[2] = { 1, 1 };
    for (int i = 0; i < shape->n; i++) {
        if (shape->items[i]->kind != GLIA_PICKLE_INT || shape->items[i]->integer < 0 || shape->items[i]->integer > MOST)
            return fail(f, v, "the shape of an array is wrong");
        sizes[i] = shape->items[i]->integer;
    }
    if (shape->n == 2 && (s->items[3]->kind != GLIA_PICKLE_BOOL || s->items[3]->integer))
        return fail(f, v, "an array is stored by columns");
    if (sizes[0] * sizes[1] > bytes->integer / a->size || sizes[0] * sizes[1] * a->size != bytes->integer)
        return fail(f, v, "an array has another number of bytes than its shape says");
    a->bytes = (const uint8_t *)bytes->text;
    a->rows = sizes[0];
    a->columns = sizes[1];
    return GLIA_OK;
}

/* ---- matrices -------------------------------------------------------------------------------------- */

/* A sparse matrix, or an array. */
typedef struct matrix {
    array values, columns, starts;
    int64_t rows, width;
    bool sparse;
} matrix;

static const glia_pickle *entry(const glia_pickle *dict, const char *key, const char *other) {
    for (int i = 0; i + 1 < dict->n; i += 2) {
        const glia_pickle *k = dict->items[i];
        if (k->kind == GLIA_PICKLE_TEXT && (strcmp(k->text, key) == 0 || strcmp(k->text, other) == 0))
            return dict->items[i + 1];
    }
    return NULL;
}

/* Rising starts from 0 to the number of entries, columns below the width. */
static glia_status check_sparse(const pickle_file *f, const glia_pickle *v, const matrix *m) {
    const int64_t n = m->values.rows;
    bool good = m->starts.rows == m->rows + 1 && m->columns.rows == n && m->values.columns == 1 &&
                m->columns.columns == 1 && m->starts.columns == 1;
    for (int64_t r = 0; good && r < m->rows; r++)
        good = value_at(&m->starts, r) >= 0 && value_at(&m->starts, r) <= value_at(&m->starts, r + 1);
    good = good && value_at(&m->starts, m->rows) <= (double)n;
    for (int64_t i = 0; good && i < n; i++)
        good = value_at(&m->columns, i) >= 0 && value_at(&m->columns, i) < (double)m->width;
    return good ? GLIA_OK : fail(f, v, "a sparse matrix has wrong starts or columns");
}

static glia_status read_matrix(const pickle_file *f, matrix *m) {
    const glia_pickle *v = f->root;
    *m = (matrix){ 0 };
    if (!is_call(v, MATRIX, MATRIX_2)) {
        const glia_status status = read_array(f, v, &m->values);
        m->rows = m->values.rows;
        m->width = m->values.columns;
        return status;
    }
    const glia_pickle *s = v->state && v->state->kind == GLIA_PICKLE_DICT ? v->state : NULL;
    const glia_pickle *shape = s ? entry(s, "_shape", "shape") : NULL, *parts[3] = { 0 };
    static const char *const names[] = { "data", "indices", "indptr" };
    array *const arrays[] = { &m->values, &m->columns, &m->starts };
    if (!shape || shape->kind != GLIA_PICKLE_TUPLE || shape->n != 2 || shape->items[0]->kind != GLIA_PICKLE_INT ||
        shape->items[1]->kind != GLIA_PICKLE_INT)
        return fail(f, v, "a sparse matrix has no shape");
    m->sparse = true;
    m->rows = shape->items[0]->integer;
    m->width = shape->items[1]->integer;
    if (m->rows < 0 || m->rows > MOST || m->width < 0 || m->width > MOST)
        return fail(f, v, "the shape of a sparse matrix is wrong");
    for (int i = 0; i < 3; i++) {
        parts[i] = entry(s, names[i], names[i]);
        if (!parts[i]) return fail(f, v, "a sparse matrix has no data, indices or indptr");
        const glia_status status = read_array(f, parts[i], arrays[i]);
        if (status != GLIA_OK) return status;
    }
    return check_sparse(f, v, m);
}

/* Adds row r of a matrix to x (width). */
static void copy_row(const matrix *m, int64_t r, float *x) {
    if (!m->sparse) {
        for (int64_t k = 0; k < m->width; k++) x[k] = (float)value_at(&m->values, r * m->width + k);
        return;
    }
    const int64_t end = (int64_t)value_at(&m->starts, r + 1);
    for (int64_t i = (int64_t)value_at(&m->starts, r); i < end; i++)
        x[(int64_t)value_at(&m->columns, i)] += (float)value_at(&m->values, i);
}

/* The column with the largest number; -1: all are 0. */
static int32_t class_of(const matrix *m, int64_t r) {
    int32_t best = -1;
    double most = 0;
    for (int64_t k = 0; k < m->width; k++) {
        const double value = value_at(&m->values, r * m->width + k);
        if (value > most) most = value, best = (int32_t)k;
    }
    return best;
}

/* ---- the data set ----------------------------------------------------------------------------------- */

enum { X, Y, TX, TY, ALLX, ALLY, GRAPH, FILES };
static const char *const endings[FILES] = { "x", "y", "tx", "ty", "allx", "ally", "graph" };

typedef struct planetoid {
    glia_arena arena;
    pickle_file files[FILES];
    matrix parts[GRAPH]; /* without the graph */
    glia_ints tests, from, to;
    int64_t nodes;
    float *x;
    int32_t *labels;
    uint8_t *split;
} planetoid;

/* FOLDER/ind.NAME.ending */
static void path_of(const glia_graph_source *s, const char *ending, char *path, size_t room) {
    const char *slash = strrchr(s->path, '/'), *name = slash ? slash + 1 : s->path;
    snprintf(path, room, "%.*sind.%.200s.%s", (int)GLIA_MIN(name - s->path, 3900), s->path, name, ending);
}

static glia_status read_pickle(planetoid *p, pickle_file *f, glia_error *error) {
    glia_file file;
    uint8_t *owned = NULL;
    const uint8_t *bytes = NULL;
    size_t length = 0, used;
    f->error = error;
    glia_status status = glia_file_open(&file, f->path, error);
    if (status != GLIA_OK) return status;
    status = glia_gunzip_text(file.bytes, file.length, &bytes, &length, &owned, error);
    if (status == GLIA_OK) {
        f->root = glia_pickle_parse(&p->arena, bytes, length, 0, known, KNOWN, &used, error);
        if (!f->root) status = error->status;
    }
    free(owned);
    glia_file_close(&file);
    return status == GLIA_OK ? GLIA_OK : glia_fail_at_path(error, f->path, status);
}

static glia_status read_tests(planetoid *p, const glia_graph_source *s, glia_error *error) {
    char path[4200];
    glia_lines l;
    int64_t node;
    path_of(s, "test.index", path, sizeof path);
    glia_status status = glia_lines_open(&l, path, error);
    if (status != GLIA_OK) return status;
    p->nodes = p->parts[ALLX].rows;
    while (glia_lines_next(&l)) {
        if (!glia_lines_integer(&l, "the node", p->parts[ALLX].rows, MOST, &node)) break;
        if (!glia_ints_add(&p->tests, node)) l.status = glia_fail_nomem(error);
        p->nodes = GLIA_MAX(p->nodes, node + 1);
    }
    status = l.status;
    glia_lines_close(&l);
    return status;
}

static glia_status check_sizes(const planetoid *p, glia_error *error) {
    const matrix *m = p->parts;
    for (int i = Y; i < GRAPH; i += 2) {
        if (m[i].sparse || m[i].rows != m[i - 1].rows)
            return fail(&p->files[i], p->files[i].root, "the classes must be an array with a row for each node");
        if (m[i].width != m[Y].width || m[i - 1].width != m[X].width)
            return fail(&p->files[i], p->files[i].root, "features or classes differ in number from those of x and y");
    }
    if (m[X].rows > m[ALLX].rows) return fail(&p->files[X], p->files[X].root, "x has more rows than allx");
    if (m[TX].rows == p->tests.n && m[X].rows > 0 && m[X].width > 0) return GLIA_OK;
    return glia_fail(error, GLIA_E_FORMAT, "%.200s: %lld rows for the %lld nodes of test.index", p->files[TX].path,
                     (long long)m[TX].rows, (long long)p->tests.n);
}

static glia_status fill_nodes(planetoid *p, glia_error *error) {
    const matrix *m = p->parts;
    size_t count;
    if (!glia_mul_fits((size_t)p->nodes, (size_t)m[X].width, &count)) return glia_fail_nomem(error);
    p->x = calloc(count, sizeof *p->x);
    p->labels = malloc((size_t)p->nodes * sizeof *p->labels);
    p->split = malloc((size_t)p->nodes);
    if (!p->x || !p->labels || !p->split) return glia_fail_nomem(error);
    for (int64_t v = 0; v < p->nodes; v++) {
        p->labels[v] = v < m[ALLX].rows ? class_of(&m[ALLY], v) : -1;
        p->split[v] = v < m[X].rows                                        ? GLIA_PART_TRAIN
                      : v < GLIA_MIN(m[X].rows + VALIDATION, m[ALLX].rows) ? GLIA_PART_VALIDATION
                                                                           : GLIA_PART_NONE;
        if (v < m[ALLX].rows) copy_row(&m[ALLX], v, p->x + v * m[X].width);
    }
    for (int64_t i = 0; i < p->tests.n; i++) {
        const int32_t v = p->tests.at[i];
        if (p->split[v] == GLIA_PART_TEST)
            return glia_fail(error, GLIA_E_FORMAT, "%.200s: the node %d is twice in test.index", p->files[TX].path, v);
        copy_row(&m[TX], i, p->x + v * m[X].width);
        p->labels[v] = class_of(&m[TY], i);
        p->split[v] = GLIA_PART_TEST;
    }
    return GLIA_OK;
}

/* { node: [neighbour, ...] } */
static glia_status read_edges(planetoid *p, glia_error *error) {
    const pickle_file *f = &p->files[GRAPH];
    const glia_pickle *dict = f->root;
    if (dict->kind != GLIA_PICKLE_DICT && !is_call(dict, DEFAULT_DICT, DEFAULT_DICT))
        return fail(f, dict, "the graph is no dictionary");
    for (int i = 0; i + 1 < dict->n; i += 2) {
        const glia_pickle *node = dict->items[i], *list = dict->items[i + 1];
        if (node->kind != GLIA_PICKLE_INT || list->kind != GLIA_PICKLE_LIST)
            return fail(f, node, "the graph is not of nodes and lists");
        for (int k = 0; k < list->n; k++) {
            const glia_pickle *other = list->items[k];
            if (other->kind != GLIA_PICKLE_INT || other->integer < 0 || other->integer >= p->nodes ||
                node->integer < 0 || node->integer >= p->nodes)
                return fail(f, other, "an edge is to a node that is not there");
            if (!glia_ints_add(&p->from, node->integer) || !glia_ints_add(&p->to, other->integer))
                return glia_fail_nomem(error);
        }
    }
    return GLIA_OK;
}

static glia_graph_data *make(const planetoid *p, const char *name, glia_error *error) {
    const glia_graph_edges edges = { .nodes = p->nodes,
                                     .edges = p->from.n,
                                     .from = p->from.at,
                                     .to = p->to.at,
                                     .undirected = true,
                                     .self = GLIA_EDGES_DROP,
                                     .repeated = GLIA_EDGES_DROP };
    glia_graph_data *d = glia_graph_data_create(name, edges, error);
    if (!d) return NULL;
    const glia_shape wide = GLIA_SHAPE(p->parts[X].width);
    if (glia_graph_data_add(d, GLIA_OF_NODES, "x", GLIA_F32, wide, p->x, error) == GLIA_OK &&
        glia_graph_data_add(d, GLIA_OF_NODES, "label", GLIA_I32, GLIA_SCALAR, p->labels, error) == GLIA_OK &&
        glia_graph_data_add(d, GLIA_OF_NODES, "split", GLIA_U8, GLIA_SCALAR, p->split, error) == GLIA_OK)
        return d;
    glia_graph_data_free(d);
    return NULL;
}

glia_graph_data *glia_read_planetoid(const glia_graph_source *s, glia_error *error) {
    planetoid *p = calloc(1, sizeof *p);
    glia_error reason = { 0 };
    glia_status status = p ? GLIA_OK : glia_fail_nomem(&reason);
    for (int i = 0; status == GLIA_OK && i < FILES; i++) {
        path_of(s, endings[i], p->files[i].path, sizeof p->files[i].path);
        status = read_pickle(p, &p->files[i], &reason);
        if (status == GLIA_OK && i < GRAPH) status = read_matrix(&p->files[i], &p->parts[i]);
    }
    if (status == GLIA_OK) status = read_tests(p, s, &reason);
    if (status == GLIA_OK) status = check_sizes(p, &reason);
    if (status == GLIA_OK) status = fill_nodes(p, &reason);
    if (status == GLIA_OK) status = read_edges(p, &reason);
    glia_graph_data *d = status == GLIA_OK ? make(p, s->name, error) : NULL;
    if (status != GLIA_OK) glia_fail(error, status, "%s", reason.message);
    if (p) {
        glia_arena_free(&p->arena);
        free(p->tests.at);
        free(p->from.at);
        free(p->to.at);
        free(p->x);
        free(p->labels);
        free(p->split);
    }
    free(p);
    return d;
}
