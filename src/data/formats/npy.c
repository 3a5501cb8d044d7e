/* npy.c - NumPy's arrays (NEP 1): .npy, the members of .npz.
 *
 *     6 bytes      "\x93NUMPY"
 *     2 bytes      version 1.0, 2.0 or 3.0
 *     2 or 4 bytes length of the header, little-endian (4 from version 2.0 on)
 *     the header   a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 *     the rest     the numbers, row-major, or column-major if fortran_order
 *
 * The dictionary parser accepts exactly these three keys. Object arrays, which NumPy pickles, are rejected: unpickling
 * executes code from the file.
 */
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"

enum { HEADER_MOST = 1 << 16 };

typedef struct header {
    const uint8_t *bytes;
    size_t at, end; /* of the dictionary */
    char descr[32];
    bool fortran, has_descr, has_order, has_shape;
    glia_shape shape;
    glia_error *error;
} header;

static glia_status fail_at(const header *h, const char *what) {
    return glia_fail(h->error, GLIA_E_FORMAT, "offset %zu: NPY header: %s", h->at, what);
}

static void skip_space(header *h) {
    while (h->at < h->end && (h->bytes[h->at] == ' ' || h->bytes[h->at] == '\n')) h->at++;
}

/* Skips spaces and then the character, if it comes next. */
static bool take(header *h, char c) {
    skip_space(h);
    bool there = h->at < h->end && h->bytes[h->at] == c;
    h->at += there;
    return there;
}

static bool take_word(header *h, const char *word) {
    size_t n = strlen(word);
    skip_space(h);
    bool there = h->end - h->at >= n && !memcmp(h->bytes + h->at, word, n);
    if (there) h->at += n;
    return there;
}

/* 'TEXT' or "TEXT" of at most 31 characters. */
static bool read_string(header *h, char out[32]) {
    char quote = take(h, '\'') ? '\'' : take(h, '"') ? '"' : 0;
    size_t n = 0;
    while (quote && h->at < h->end && h->bytes[h->at] != quote && n < 31) out[n++] = (char)h->bytes[h->at++];
    out[n] = 0;
    return quote && take(h, quote);
}

/* (3, 4), (3,) or (). */
static glia_status read_shape(header *h) {
    if (!take(h, '(')) return fail_at(h, "the shape is not a tuple");
    while (!take(h, ')')) {
        skip_space(h);
        int64_t value = 0;
        size_t start = h->at;
        while (h->at < h->end && h->bytes[h->at] >= '0' && h->bytes[h->at] <= '9' && value < INT64_MAX / 16) {
            value = value * 10 + (h->bytes[h->at++] - '0');
        }
        if (h->at == start) return fail_at(h, "a size is not a number");
        if (h->shape.rank == GLIA_MAX_RANK) return fail_at(h, "the array has too many axes");
        if (value == 0) return fail_at(h, "an axis has size 0");
        h->shape.dim[h->shape.rank++] = value;
        if (!take(h, ',') && (h->at >= h->end || h->bytes[h->at] != ')'))
            return fail_at(h, "the shape is not closed");
    }
    return GLIA_OK;
}

static glia_status read_entry(header *h) {
    char key[32];
    if (!read_string(h, key)) return fail_at(h, "expected a key");
    if (!take(h, ':')) return fail_at(h, "expected a colon");
    if (!strcmp(key, "descr") && !h->has_descr) {
        h->has_descr = true;
        skip_space(h);
        if (h->at < h->end && h->bytes[h->at] == '[') {
            return glia_fail(h->error, GLIA_E_UNSUPPORTED, "offset %zu: NPY arrays of records are not supported",
                             h->at);
        }
        return read_string(h, h->descr) ? GLIA_OK : fail_at(h, "descr is not a string");
    }
    if (!strcmp(key, "fortran_order") && !h->has_order) {
        h->has_order = true;
        h->fortran = take_word(h, "True");
        return h->fortran || take_word(h, "False") ? GLIA_OK : fail_at(h, "fortran_order is neither True nor False");
    }
    if (!strcmp(key, "shape") && !h->has_shape) {
        h->has_shape = true;
        return read_shape(h);
    }
    return fail_at(h, "the key is unknown or given twice");
}

static glia_status read_dictionary(header *h) {
    if (!take(h, '{')) return fail_at(h, "the header is not a dictionary");
    while (!take(h, '}')) {
        glia_status status = read_entry(h);
        if (status) return status;
        if (!take(h, ',') && (h->at >= h->end || h->bytes[h->at] != '}'))
            return fail_at(h, "expected a comma");
    }
    skip_space(h);
    if (h->at != h->end) return fail_at(h, "there is text after the dictionary");
    return h->has_descr && h->has_order && h->has_shape ? GLIA_OK
                                                        : fail_at(h, "descr, fortran_order or shape is missing");
}

static glia_status read_descr(const header *h, glia_element *element) {
    const char *d = h->descr;
    bool order = *d == '<' || *d == '>' || *d == '|' || *d == '=';
    *element = (glia_element){ .kind = order ? d[1] : d[0], .big = *d == '>' };
    const char *size = d + order + 1;
    if (strchr("uif", element->kind) && element->kind && strlen(size) == 1 && strchr("1248", *size)) {
        element->size = (uint8_t)(*size - '0');
    }
    if (element->kind == 'b' && !strcmp(size, "1")) element->size = 1;
    if (element->kind == 'f' && element->size == 1) element->size = 0;
    if (element->size) return GLIA_OK;
    return glia_fail(h->error, GLIA_E_UNSUPPORTED,
                     "offset %zu: NPY type \"%s\"%s is not supported; numbers of 1 to 8 bytes and bool are", h->at, d,
                     element->kind == 'O' ? " (pickled objects)" : "");
}

/* Copies the numbers, row-major, in the machine's byte order. */
static glia_status copy(const header *h, glia_element e, const uint8_t *from, glia_values *values) {
    int64_t strides[GLIA_MAX_RANK], index[GLIA_MAX_RANK] = { 0 }, at = 0, stride = 1;
    int rank = h->shape.rank;
    for (int i = 0; i < rank; i++) {
        int axis = h->fortran ? i : rank - 1 - i;
        strides[axis] = stride;
        stride *= h->shape.dim[axis];
    }
    size_t size = glia_dtype_size(values->dtype);
    uint8_t *to = values->data;
    for (int64_t n = stride; n > 0; n--, to += size) {
        if (!glia_element_store(e, from + (size_t)at * e.size, to)) {
            return glia_fail(h->error, GLIA_E_UNSUPPORTED, "offset %zu: an integer is above 2^63",
                             (size_t)(from - h->bytes) + (size_t)at * e.size);
        }
        for (int axis = rank - 1; axis >= 0; axis--) { /* increment the multi-index */
            at += strides[axis];
            if (++index[axis] < h->shape.dim[axis]) break;
            at -= strides[axis] * h->shape.dim[axis];
            index[axis] = 0;
        }
    }
    return GLIA_OK;
}

glia_status glia_npy_parse(const uint8_t *bytes, size_t length, glia_values *values, glia_error *error) {
    *values = (glia_values){ 0 };
    if (length < 12 || memcmp(bytes, "\x93NUMPY", 6)) {
        return glia_fail(error, GLIA_E_FORMAT, "offset 0: not an NPY file: it does not begin with \\x93NUMPY");
    }
    if (bytes[6] < 1 || bytes[6] > 3) {
        return glia_fail(error, GLIA_E_UNSUPPORTED, "offset 6: NPY version %d is not supported; 1 to 3 are", bytes[6]);
    }
    size_t wide = bytes[6] == 1 ? 2 : 4, size = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (wide == 4) size |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (size > HEADER_MOST || size > length - 8 - wide) {
        return glia_fail(error, GLIA_E_FORMAT, "offset 8: the NPY header of %zu bytes does not fit", size);
    }
    header h = { .bytes = bytes, .at = 8 + wide, .end = 8 + wide + size, .error = error };
    glia_element element = { 0 };
    glia_status status = read_dictionary(&h);
    if (!status) status = read_descr(&h, &element);
    if (status) return status;
    size_t wanted = element.size, there = length - h.end;
    for (int i = 0; i < h.shape.rank; i++) {
        if (!glia_mul_fits(wanted, (size_t)h.shape.dim[i], &wanted)) wanted = SIZE_MAX;
        if (wanted == SIZE_MAX) break;
    }
    if (wanted != there) {
        return glia_fail(error, GLIA_E_FORMAT, "offset %zu: %zu bytes of NPY data, but the header says %zu",
                         wanted > there ? length : h.end + wanted, there, wanted);
    }
    values->dtype = glia_element_dtype(element);
    values->shape = h.shape;
    values->data = malloc(wanted / element.size * glia_dtype_size(values->dtype));
    status = values->data ? copy(&h, element, bytes + h.end, values) : glia_fail_nomem(error);
    if (status) glia_values_free(values);
    return status;
}
