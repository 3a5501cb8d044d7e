/* dump_samples.c - every sample of every operation as a line of JSON, for tools/golden/ops.py.
 *
 *     cc -std=gnu17 -Iinclude -Isrc -Itests/support tests/golden/dump_samples.c build/release/libglia.a -lm \
 *        -o dump_samples
 *     ./dump_samples | /usr/bin/python3 tools/golden/ops.py
 *
 * {"op", "sample", "mode" (of operations that have one), "dtype", "shape", "checksum", "attrs", "inputs": [{"dtype",
 * "shape", "values"}, ...]}. The checksum is that of the inputs' doubles; the test compares it, so that no result is
 * compared with one of other inputs.
 */
#include "op_samples.h"

static void print_list(const glia_shape *s) {
    printf("[");
    for (int i = 0; i < s->rank; i++) printf("%s%lld", i ? ", " : "", (long long)s->dim[i]);
    printf("]");
}

static void print_attrs(const glia_op *op, const void *attrs) {
    printf("{");
    for (const glia_field *f = op->fields; f && f->name; f++) {
        const void *at = (const char *)attrs + f->offset;
        printf("%s\"%s\": ", f == op->fields ? "" : ", ", f->name);
        switch (f->type) {
        case GLIA_FIELD_INT:
        case GLIA_FIELD_ENUM: printf("%lld", (long long)*(const int64_t *)at); break;
        case GLIA_FIELD_FLOAT: printf("%.17g", *(const double *)at); break;
        case GLIA_FIELD_BOOL: printf(*(const bool *)at ? "true" : "false"); break;
        case GLIA_FIELD_DTYPE: printf("\"%s\"", glia_dtype_name(*(const glia_dtype *)at)); break;
        case GLIA_FIELD_SHAPE:
        case GLIA_FIELD_INTS: print_list(at); break;
        default: printf("null");
        }
    }
    printf("}");
}

static void print_sample(const glia_op *op, const glia_sample *sample, const char *mode) {
    sample_case c = sample_open(op, sample);
    sample_graph s = sample_build(op, sample, false);
    printf("{\"op\": \"%s\", \"sample\": \"%s\", ", op->name, sample->name);
    if (mode) printf("\"mode\": \"%s\", ", mode);
    printf("\"dtype\": \"%s\", \"shape\": ", glia_dtype_name(s.y->dtype));
    print_list(&s.y->shape);
    printf(", \"checksum\": \"%016llx\", \"attrs\": ", (unsigned long long)sample_checksum(&c));
    print_attrs(op, sample->attrs);
    printf(", \"inputs\": [");
    for (int i = 0; i < sample->n; i++) {
        printf("%s{\"dtype\": \"%s\", \"shape\": ", i ? ", " : "", glia_dtype_name(sample->in[i].dtype));
        print_list(&sample->in[i].shape);
        printf(", \"values\": [");
        for (int64_t k = 0; k < glia_shape_count(sample->in[i].shape); k++) printf("%s%.17g", k ? ", " : "", c.x[i][k]);
        printf("]}");
    }
    printf("]}\n");
    glia_graph_free(s.g);
    sample_close(&c);
}

int main(void) {
    for (int i = 0; i < glia_op_count(); i++) {
        const glia_op *op = glia_op_at(i);
        for (const glia_sample *s = glia_op_samples(i); s->name; s++) {
            if (s->no_golden) continue;
            bool modal = (op->flags & GLIA_OP_MODAL) != 0;
            print_sample(op, s, modal ? "train" : NULL);
            if (modal) print_sample(op, s, "infer");
        }
    }
    return 0;
}
