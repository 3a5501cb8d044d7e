/* test_ops_docs.c - docs/ops.md matches the op table. `make docs` writes it with this program, with GLIA_WRITE_DOCS
 * set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "op_samples.h"

#define PAGE GLIA_SOURCE_DIR "/docs/ops.md"

static char *read_file(const char *path) {
    glia_file file;
    if (glia_file_open(&file, path, NULL) != GLIA_OK) return NULL;
    char *text = calloc(file.length + 1, 1);
    memcpy(text, file.bytes, file.length);
    glia_file_close(&file);
    return text;
}

/* ---- a row ---------------------------------------------------------------------------------- */

/* True if the op accepts its first sample with this dtype in place of the sample's floats (or, if it has none, of its
 * integers). */
static bool takes(const glia_op *op, const glia_op_sample *s, glia_dtype dtype) {
    glia_graph *g = glia_graph_create();
    glia_tensor x[GLIA_SAMPLE_INPUTS];
    bool floats = false;
    for (int i = 0; i < s->n; i++) floats |= s->in[i].dtype == GLIA_F32;
    for (int i = 0; i < s->n; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        glia_dtype own = s->in[i].dtype;
        bool open = floats ? own == GLIA_F32 : own == s->in[0].dtype;
        x[i] = glia_input(g, name, open ? dtype : own, s->in[i].shape);
    }
    bool good = !glia_is_bad(glia_node_create(g, op, x, s->n, s->attrs));
    glia_graph_free(g);
    return good;
}

/* True if a loop accepts states (else sequences) of this dtype. */
static bool loop_takes(glia_dtype dtype, bool state) {
    glia_graph *g = glia_graph_create();
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ .steps = 3 });
    glia_tensor x = glia_input(g, "x", dtype, state ? GLIA_SHAPE(2, 4) : GLIA_SHAPE(2, 3, 4));
    glia_tensor part = state ? NULL : glia_loop_input(loop, x);
    glia_tensor h = state ? glia_loop_state(loop, x) : glia_loop_state_zeros(loop, GLIA_SHAPE(4));
    glia_loop_next(loop, h, state || glia_is_bad(h) ? h : glia_add(h, glia_cast(part, h->dtype)));
    glia_loop_end(loop, NULL, 0, NULL);
    const bool good = !glia_is_bad(glia_loop_last(loop, h)) && glia_graph_check(g, NULL) == GLIA_OK;
    glia_graph_free(g);
    return good;
}

/* The dtypes of a loop are those of its body. */
static void loop_dtypes(bool states, glia_text *text) {
    int n = 0;
    for (int t = 0; t < GLIA_DTYPE_COUNT; t++) n += loop_takes((glia_dtype)t, states);
    if (n == GLIA_DTYPE_COUNT) glia_text_printf(text, " all");
    for (int t = 0; t < GLIA_DTYPE_COUNT && n < GLIA_DTYPE_COUNT; t++)
        if (loop_takes((glia_dtype)t, states)) glia_text_printf(text, " %s", glia_dtype_name((glia_dtype)t));
}

static void dtypes(const glia_op *op, const glia_op_sample *s, glia_text *text) {
    int n = 0;
    if (op == &glia_op_scan) {
        glia_text_printf(text, "states");
        loop_dtypes(true, text);
        glia_text_printf(text, ", sequences");
        loop_dtypes(false, text);
        return;
    }
    for (int t = 0; t < GLIA_DTYPE_COUNT; t++) n += takes(op, s, (glia_dtype)t);
    if (s->n == 0) {
        glia_text_printf(text, "no inputs");
    } else if (n == GLIA_DTYPE_COUNT) {
        glia_text_printf(text, "all");
    } else {
        const char *before = "";
        for (int t = 0; t < GLIA_DTYPE_COUNT; t++) {
            if (!takes(op, s, (glia_dtype)t)) continue;
            glia_text_printf(text, "%s%s", before, glia_dtype_name((glia_dtype)t));
            before = " ";
        }
    }
}

static void attributes(const glia_op *op, glia_text *text) {
    for (const glia_field *f = op->fields; f && f->name; f++) {
        glia_text_printf(text, "%s%s", f == op->fields ? "" : ", ", f->name);
    }
}

static void row(int index, glia_text *text) {
    const glia_op *op = glia_op_at(index);
    const glia_op_sample *s = glia_op_samples(index);
    glia_text_printf(text, "| `%s` | ", op->name);
    for (const char *c = op->summary; *c; c++) glia_text_printf(text, *c == '|' ? "\\|" : "%c", *c);
    if (op->arity < 0) glia_text_printf(text, " | 1+ | ");
    else glia_text_printf(text, " | %d | ", op->arity);
    attributes(op, text);
    glia_text_printf(text, " | ");
    dtypes(op, s, text);
    bool composite = (op->flags & GLIA_OP_COMPOSITE) != 0;
    glia_text_printf(text, " | %s | ", op->vjp ? "own" : composite ? "of its expansion" : "none");
    int samples = 0, golden = 0;
    for (; s->name; s++) samples++, golden += !s->no_golden;
    glia_text_printf(text, "%d / %d |\n", golden, samples);
}

/* ---- the page ------------------------------------------------------------------------------- */

static const char introduction[] =
    "# Operations\n\n"
    "Written by `make docs` from the records in `src/core/ops`; a test compares it with them.\n\n"
    "A primitive is defined in double by its record (`eval`), a composite by how it expands into others. *dtypes* are\n"
    "those of its floats, or of its integers if it takes no floats. *gradient*: by a rule of its own, that of its\n"
    "expansion, or none (whole numbers, piecewise constants). *golden / samples*: how many of its samples are\n"
    "compared with PyTorch or NumPy; those of differentiable operations are also checked against differences, in\n"
    "the first and in the second derivative.\n\n"
    "**NaN and kinks** follow PyTorch. NaN is larger than any number and smaller than any number: `max`, `maximum`,\n"
    "`minimum` and `max_pool` give NaN if there is one, `argmax` its first place. The gradient at zero is 0 for\n"
    "`relu` and `abs`, and the one from the left for the other activations. Of equal values `maximum`, `minimum` and\n"
    "`max` share the gradient equally, `max_pool` gives it to the first. At NaN, `relu`, `elu`, `selu`, `maximum` and\n"
    "`minimum` pass the gradient on, in both inputs; `max` shares it among all NaN; `abs` gives 0. `pow` has the\n"
    "gradient 0 in a where b = 0, and 0 in b where a = 0 and b >= 0; where a < 0 that in b is NaN. A linear operation\n"
    "(products, convolutions, average pooling) carries NaN and infinities to those results only that read them.\n";

static const char columns[] = "| op | what | inputs | attributes | dtypes | gradient | golden / samples |\n"
                              "|---|---|---|---|---|---|---|\n";

static int index_of(const char *name, size_t length) {
    for (int i = 0; i < glia_op_count(); i++) {
        if (strlen(glia_op_at(i)->name) == length && !memcmp(glia_op_at(i)->name, name, length)) return i;
    }
    return -1;
}

/* Rows in the order of ops.def, with its comments as headings. */
static char *page(void) {
    glia_text text = { 0 };
    glia_text_printf(&text, "%s", introduction);
    char *table = read_file(GLIA_SOURCE_DIR "/src/core/ops/ops.def");
    assert_non_null(table);
    int rows = 0;
    for (char *line = strtok(table, "\n"), *first = line; line; line = strtok(NULL, "\n")) {
        size_t n = strlen(line);
        if (!strncmp(line, "/* ", 3) && line != first) {
            glia_text_printf(&text, "\n## %c%.*s\n\n%s", line[3] - 'a' + 'A', (int)n - 7, line + 4, columns);
        } else if (!strncmp(line, "GLIA_OP_ROW(", 12)) {
            int index = index_of(line + 12, n - 13);
            if (index < 0) fail_msg("%s is not in the table", line);
            row(index, &text);
            rows++;
        }
    }
    assert_int_equal(rows, glia_op_count());
    free(table);
    return text.bytes;
}

static void the_page_is_up_to_date(void **state) {
    (void)state;
    char *is = page();
    if (getenv("GLIA_WRITE_DOCS")) {
        assert_int_equal(glia_file_replace(PAGE, &(glia_span){ is, strlen(is) }, 1, NULL), GLIA_OK);
    }
    char *was = read_file(PAGE);
    if (!was || strcmp(is, was)) fail_msg("docs/ops.md is not what the table says; run `make docs`");
    free(is);
    free(was);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_page_is_up_to_date) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
