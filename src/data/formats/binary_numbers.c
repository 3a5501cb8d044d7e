/* binary_numbers.c - numbers in files: any width, signedness and byte order. */
#include <stdlib.h>
#include <string.h>

#include "core/tensor/tensor.h"
#include "data/formats/formats.h"

void glia_values_free(glia_values *values) {
    free(values->data);
    *values = (glia_values){ 0 };
}

bool glia_element_named(const char *name, glia_element *element) {
    static const struct {
        const char *name;
        glia_element element;
    } names[] = { { "u8", { 'u', 1, false } },  { "i8", { 'i', 1, false } },  { "u16", { 'u', 2, false } },
                  { "i16", { 'i', 2, false } }, { "u32", { 'u', 4, false } }, { "i32", { 'i', 4, false } },
                  { "u64", { 'u', 8, false } }, { "i64", { 'i', 8, false } }, { "f16", { 'f', 2, false } },
                  { "f32", { 'f', 4, false } }, { "f64", { 'f', 8, false } }, { "bool", { 'b', 1, false } } };
    for (int i = 0; i < GLIA_COUNT(names); i++) {
        if (!strcmp(names[i].name, name)) return *element = names[i].element, true;
    }
    return false;
}

glia_dtype glia_element_dtype(glia_element e) {
    if (e.kind == 'f') return e.size == 2 ? GLIA_F16 : e.size == 4 ? GLIA_F32 : GLIA_F64;
    if (e.kind == 'b') return GLIA_BOOL;
    if (e.kind == 'u' && e.size == 1) return GLIA_U8;
    return e.size < 4 || (e.size == 4 && e.kind == 'i') ? GLIA_I32 : GLIA_I64;
}

/* The number's bits; for an integer, its value extended to 64 bits. */
static uint64_t load(glia_element e, const uint8_t *p) {
    uint64_t bits = 0;
    for (int i = 0; i < e.size; i++) bits = bits << 8 | p[e.big ? i : e.size - 1 - i];
    int unused = 64 - 8 * e.size;
    return e.kind == 'i' ? (uint64_t)((int64_t)(bits << unused) >> unused) : bits;
}

bool glia_element_store(glia_element e, const uint8_t *from, void *to) {
    uint64_t bits = load(e, from);
    switch (glia_element_dtype(e)) {
    case GLIA_U8: *(uint8_t *)to = (uint8_t)bits; return true;
    case GLIA_BOOL: *(uint8_t *)to = bits != 0; return true;
    case GLIA_F16: memcpy(to, &(uint16_t){ (uint16_t)bits }, 2); return true;
    case GLIA_I32:
    case GLIA_F32: memcpy(to, &(uint32_t){ (uint32_t)bits }, 4); return true;
    default: memcpy(to, &bits, 8); return e.kind != 'u' || e.size < 8 || bits <= INT64_MAX;
    }
}

double glia_element_value(glia_element e, const uint8_t *from) {
    uint64_t bits = load(e, from);
    double value;
    if (e.kind == 'i') return (double)(int64_t)bits;
    if (e.kind == 'u') return (double)bits;
    if (e.kind == 'b') return bits != 0;
    if (e.size == 8) return memcpy(&value, &bits, 8), value;
    uint32_t word = (uint32_t)bits;
    uint16_t half = (uint16_t)bits;
    glia_to_double(e.size == 4 ? GLIA_F32 : GLIA_F16, e.size == 4 ? (const void *)&word : &half, &value, 1);
    return value;
}
