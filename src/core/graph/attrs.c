/* attrs.c - copies, compares and hashes attribute structs field by field, from their tables. */
#include <string.h>

#include "core/graph/graph.h"

static size_t field_size(glia_field_type type) {
    switch (type) {
    case GLIA_FIELD_INT:
    case GLIA_FIELD_ENUM: return sizeof(int64_t);
    case GLIA_FIELD_FLOAT: return sizeof(double);
    case GLIA_FIELD_BOOL: return sizeof(bool);
    case GLIA_FIELD_DTYPE: return sizeof(glia_dtype);
    case GLIA_FIELD_SHAPE:
    case GLIA_FIELD_INTS: return sizeof(glia_shape);
    case GLIA_FIELD_STRING: return sizeof(const char *);
    case GLIA_FIELD_VALUES: return sizeof(glia_numbers);
    case GLIA_FIELD_GRAPH: return sizeof(const glia_graph *);
    }
    return 0;
}

int glia_field_names(const glia_field *f) {
    int n = 0;
    while (f->names && f->names[n]) n++;
    return n;
}

void *glia_attrs_copy(const glia_op *op, const void *attrs, glia_arena *arena, const glia_sizes *sizes) {
    char *copy = glia_arena_alloc(arena, op->attr_size);
    if (!copy) return NULL;
    memcpy(copy, attrs, op->attr_size);
    for (const glia_field *f = op->fields; f && f->name; f++) {
        void *at = copy + f->offset;
        if (f->type == GLIA_FIELD_SHAPE && sizes) {
            *(glia_shape *)at = glia_shape_at(*(glia_shape *)at, sizes);
        } else if (f->type == GLIA_FIELD_STRING && *(const char **)at) {
            char *text = glia_arena_strdup(arena, *(const char **)at);
            if (!text) return NULL;
            *(const char **)at = text;
        } else if (f->type == GLIA_FIELD_VALUES) {
            glia_numbers *values = at;
            size_t bytes = (size_t)values->n * sizeof(double);
            double *v = glia_arena_alloc(arena, bytes);
            if (!v) return NULL;
            if (bytes) memcpy(v, values->v, bytes);
            values->v = v;
        } else if (f->type == GLIA_FIELD_GRAPH && *(const glia_graph **)at) {
            const glia_graph *body = glia_graph_embed(*(const glia_graph **)at, arena, sizes);
            if (!body) return NULL;
            *(const glia_graph **)at = body;
        }
    }
    return copy;
}

static bool field_equal(const glia_field *f, const void *a, const void *b) {
    switch (f->type) {
    case GLIA_FIELD_SHAPE:
    case GLIA_FIELD_INTS: return glia_shape_equal(*(const glia_shape *)a, *(const glia_shape *)b);
    case GLIA_FIELD_STRING: {
        const char *s = *(const char *const *)a, *t = *(const char *const *)b;
        return s == t || (s && t && !strcmp(s, t));
    }
    case GLIA_FIELD_VALUES: {
        const glia_numbers *v = a, *w = b;
        return v->n == w->n && (v->n == 0 || !memcmp(v->v, w->v, (size_t)v->n * sizeof(double)));
    }
    case GLIA_FIELD_GRAPH: return glia_graph_equal(*(const glia_graph *const *)a, *(const glia_graph *const *)b);
    default: return !memcmp(a, b, field_size(f->type));
    }
}

bool glia_attrs_equal(const glia_op *op, const void *a, const void *b) {
    for (const glia_field *f = op->fields; f && f->name; f++) {
        if (!field_equal(f, (const char *)a + f->offset, (const char *)b + f->offset)) return false;
    }
    return true;
}

uint64_t glia_attrs_hash(const glia_op *op, const void *attrs, uint64_t hash) {
    for (const glia_field *f = op->fields; f && f->name; f++) {
        const void *at = (const char *)attrs + f->offset;
        switch (f->type) {
        case GLIA_FIELD_SHAPE:
        case GLIA_FIELD_INTS: {
            const glia_shape *s = at;
            hash = glia_hash_bytes(s->dim, (size_t)s->rank * sizeof s->dim[0], hash + (uint64_t)s->rank);
            break;
        }
        case GLIA_FIELD_STRING: {
            const char *s = *(const char *const *)at;
            hash = s ? glia_hash_bytes(s, strlen(s), hash) : hash;
            break;
        }
        case GLIA_FIELD_VALUES: {
            const glia_numbers *v = at;
            hash = v->n ? glia_hash_bytes(v->v, (size_t)v->n * sizeof(double), hash) : hash;
            break;
        }
        case GLIA_FIELD_GRAPH: hash = glia_graph_hash(*(const glia_graph *const *)at, hash); break;
        default: hash = glia_hash_bytes(at, field_size(f->type), hash);
        }
    }
    return hash;
}
