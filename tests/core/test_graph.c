/* test_graph.c - graphs: building, rewriting, verifying, evaluating, and their text. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ops/ops.h"
#include "glia/glia.h"

#define ALL GLIA_SCALAR

/* x (N, 3) and a parameter w (2, 3) to y = x w^T + 1 (N, 2); w moves towards y's sum; all nodes have labels. */
static glia_graph *example(void) {
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, 3));
    glia_tensor w = glia_parameter(g, "fc/kernel", GLIA_F32, GLIA_SHAPE(2, 3),
                                   (glia_init){ .kind = GLIA_INIT_NORMAL, .stddev = 0.1 });
    glia_graph_label(g, "fc");
    glia_tensor y = glia_add_scalar(glia_matmul_transposed(x, false, w, true), 1);
    glia_graph_label(g, NULL);
    glia_graph_output(g, "y", y);
    glia_update(w, glia_add(w, glia_broadcast(glia_sum(y, ALL, false), w->shape)), NULL);
    assert_int_equal(glia_graph_check(g, NULL), GLIA_OK);
    return g;
}

static char *printed(const glia_graph *g) {
    glia_text text = { 0 };
    glia_graph_print(g, &text);
    assert_false(text.failed);
    return text.bytes;
}

/* ---- building ------------------------------------------------------------------------------- */

static void first_error_is_kept(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_error error;
    glia_tensor a = glia_input(g, "a", GLIA_F32, GLIA_SHAPE(2, 3)), b = glia_input(g, "b", GLIA_F32, GLIA_SHAPE(4));
    glia_graph_label(g, "block1");
    glia_tensor sum = glia_add(a, b);
    assert_true(glia_is_bad(sum));
    glia_tensor after = glia_matmul(glia_relu(sum), glia_cast(NULL, GLIA_F64));
    assert_true(glia_is_bad(after));
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_SHAPE);
    assert_string_equal(error.message, "block1: add of (2, 3) and (4): the shapes do not broadcast to one");
    glia_graph_free(g);
}

static void dtypes_are_not_mixed_silently(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_error error;
    glia_mul(glia_input(g, "a", GLIA_F32, GLIA_SHAPE(3)), glia_input(g, "b", GLIA_I32, GLIA_SHAPE(3)));
    assert_int_equal(glia_graph_check(g, &error), GLIA_E_SHAPE);
    assert_non_null(strstr(error.message, "f32(3) and i32(3)"));
    assert_non_null(strstr(error.message, "glia_cast()"));
    glia_graph_free(g);
}

/* Every public constructor with NULL tensors. */
static void null_tensors_give_null(void **state) {
    (void)state;
    const glia_tensor none[2] = { NULL, NULL };
    const glia_shape s = GLIA_SHAPE(1);
    assert_null(glia_add(NULL, NULL));
    assert_null(glia_select(NULL, NULL, NULL));
    assert_null(glia_cast(NULL, GLIA_F32));
    assert_null(glia_sum(NULL, s, false));
    assert_null(glia_argmax(NULL, 0));
    assert_null(glia_cumsum(NULL, 0, false, false));
    assert_null(glia_reshape(NULL, s));
    assert_null(glia_flatten(NULL));
    assert_null(glia_permute(NULL, s));
    assert_null(glia_transpose(NULL));
    assert_null(glia_broadcast(NULL, s));
    assert_null(glia_slice(NULL, s, s, s));
    assert_null(glia_pad(NULL, s, s, s, 0));
    assert_null(glia_concat(none, 2, 0));
    assert_null(glia_concat(NULL, 0, 0));
    assert_null(glia_gather(NULL, NULL, 0));
    assert_null(glia_scatter_add(NULL, NULL, 0, 1));
    assert_null(glia_iota(NULL, GLIA_F32, s, 0));
    assert_null(glia_matmul(NULL, NULL));
    assert_null(glia_random_uniform(NULL, s));
    assert_null(glia_random_normal(NULL, s));
    assert_null(glia_square(NULL));
    assert_null(glia_reciprocal(NULL));
    assert_null(glia_min(NULL, s, false));
    assert_null(glia_add_scalar(NULL, 1));
}

/* A NULL tensor with a valid one is reported in the valid one's graph. */
static void null_beside_a_tensor_is_reported(void **state) {
    (void)state;
    for (int side = 0; side < 2; side++) {
        glia_graph *g = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(2, 2));
        glia_tensor y = side ? glia_matmul(x, NULL) : glia_sub(NULL, x);
        assert_ptr_equal(y, g->bad);
        assert_int_not_equal(glia_graph_check(g, NULL), GLIA_OK);
        glia_graph_free(g);
    }
}

static void assert_shape(glia_tensor x, glia_shape shape) {
    char is[GLIA_SHAPE_TEXT], should[GLIA_SHAPE_TEXT];
    glia_error error = { 0 };
    if (glia_graph_check(x->graph, &error) != GLIA_OK) fail_msg("%s", error.message);
    if (!glia_shape_equal(x->shape, shape)) {
        fail_msg("%s, should be %s", glia_shape_format(x->shape, is), glia_shape_format(shape, should));
    }
}

/* Shapes with a symbolic batch, written -1. */
static void symbolic_shapes_are_inferred(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(-1, 4, 6)),
                bias = glia_input(g, "b", GLIA_F32, GLIA_SHAPE(6));
    assert_shape(glia_add(x, bias), GLIA_SHAPE(-1, 4, 6));
    assert_shape(glia_flatten(x), GLIA_SHAPE(-1, 24));
    assert_shape(glia_reshape(x, GLIA_SHAPE(0, 6)), GLIA_SHAPE(-4, 6));
    assert_shape(glia_reshape(x, GLIA_SHAPE(-1, 3, 0)), GLIA_SHAPE(-1, 3, 8));
    assert_shape(glia_sum(x, GLIA_SHAPE(1, -1), false), GLIA_SHAPE(-1));
    assert_shape(glia_sum(x, GLIA_SHAPE(0), true), GLIA_SHAPE(1, 4, 6));
    assert_shape(glia_transpose(x), GLIA_SHAPE(-1, 6, 4));
    glia_tensor two = glia_concat((glia_tensor[]){ x, x }, 2, 0);
    assert_shape(two, GLIA_SHAPE(-2, 4, 6));
    assert_shape(glia_slice(two, GLIA_SHAPE(-1, 0, 1), GLIA_SHAPE(-2, 4, 6), GLIA_SHAPE(1, 2, 1)),
                 GLIA_SHAPE(-1, 2, 5));
    assert_shape(glia_pad(x, GLIA_SHAPE(-1, 0, 1), GLIA_SHAPE(0, 0, 1), ALL, 0), GLIA_SHAPE(-2, 4, 8));
    assert_shape(glia_matmul(x, glia_input(g, "w", GLIA_F32, GLIA_SHAPE(6, 5))), GLIA_SHAPE(-1, 4, 5));
    assert_shape(glia_matmul_transposed(glia_flatten(x), true, glia_flatten(x), false), GLIA_SHAPE(24, 24));
    assert_shape(glia_gather(bias, glia_input(g, "i", GLIA_I32, GLIA_SHAPE(-1, 2)), 0), GLIA_SHAPE(-1, 2));
    assert_shape(glia_argmax(x, -1), GLIA_SHAPE(-1, 4));
    assert_shape(glia_count_of(x, GLIA_SHAPE(0, 2)), GLIA_SCALAR);
    assert_int_equal(g->n_nodes > 0 && glia_count_of(x, GLIA_SHAPE(1))->op == &glia_op_constant, true);
    glia_graph_free(g);
}

/* Invalid calls and the expected messages. */
static void error_messages_are_specific(void **state) {
    (void)state;
    enum { CASES = 13 };
    static const char *const says[CASES] = {
        "in place of the 0",         "inner sizes differ", "every axis once",    "not in axis 1",
        "other axes differ",         "cannot be added",    "must be i32 or i64", "does not broadcast to (2, 5)",
        "an axis is outside",        "too large",          "must be bool",       "belongs to another graph",
        "another number of elements"
    };
    for (int i = 0; i < CASES; i++) {
        glia_graph *g = glia_graph_create(), *other = glia_graph_create();
        glia_tensor x = glia_input(g, "x", GLIA_F32, GLIA_SHAPE(2, 3)),
                    n = glia_input(g, "n", GLIA_F32, GLIA_SHAPE(-1, 3));
        glia_tensor pair[2] = { x, i == 4 ? glia_transpose(x) : n };
        glia_error error;
        switch (i) {
        case 0: glia_reshape(x, GLIA_SHAPE(4, 0)); break;
        case 1: glia_matmul(x, x); break;
        case 2: glia_permute(x, GLIA_SHAPE(0, 0)); break;
        case 3: glia_slice(x, GLIA_SHAPE(0, 2), GLIA_SHAPE(2, 5), ALL); break;
        case 4:
        case 5: glia_concat(pair, 2, 0); break;
        case 6: glia_gather(x, x, 0); break;
        case 7: glia_broadcast(x, GLIA_SHAPE(2, 5)); break;
        case 8: glia_sum(x, GLIA_SHAPE(2), false); break;
        case 9: glia_pad(x, GLIA_SHAPE(INT64_MAX, 0), GLIA_SHAPE(INT64_MAX, 0), ALL, 0); break;
        case 10: glia_select(x, x, x); break;
        case 11: glia_add(x, glia_input(other, "x", GLIA_F32, GLIA_SHAPE(2, 3))); break;
        case 12: glia_reshape(x, GLIA_SHAPE(5)); break;
        }
        assert_int_not_equal(glia_graph_check(g, &error), GLIA_OK);
        if (!strstr(error.message, says[i])) fail_msg("'%s' should say '%s'", error.message, says[i]);
        glia_graph_free(g);
        glia_graph_free(other);
    }
}

/* ---- evaluating ----------------------------------------------------------------------------- */

static void out_of_range_indices_are_rejected(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    const double at[] = { -5, 0, 2, 3, 1e18 }, values[] = { 10, 20, 30 }, should[] = { 0, 10, 30, 0, 0 };
    glia_tensor constant = glia_constant(g, GLIA_I64, GLIA_SHAPE(5), at),
                i = glia_add(constant, glia_scalar(g, GLIA_I64, 0)), /* not a constant */
                x = glia_constant(g, GLIA_F32, GLIA_SHAPE(3), values);
    glia_tensor taken = glia_gather(x, i, 0), added = glia_scatter_add(taken, i, 0, 3);
    glia_graph_output(g, "taken", taken);
    glia_graph_output(g, "added", added);
    double **all = calloc((size_t)g->n_nodes, sizeof *all);
    assert_int_equal(glia_graph_eval(g, all, NULL), GLIA_OK);
    for (int k = 0; k < 5; k++) assert_true(all[taken->id][k] == should[k]);
    assert_true(all[added->id][0] == 10 && all[added->id][1] == 0 && all[added->id][2] == 30);
    for (int k = 0; k < g->n_nodes; k++) free(all[k]);
    free(all);
    glia_graph_free(g);
}

static void integers_wrap(void **state) {
    (void)state;
    glia_graph *g = glia_graph_create();
    glia_tensor big = glia_scalar(g, GLIA_I32, 2147483647), one = glia_scalar(g, GLIA_I32, 1), y = glia_add(big, one);
    glia_graph_output(g, "y", y);
    double **all = calloc((size_t)g->n_nodes, sizeof *all);
    assert_int_equal(glia_graph_eval(g, all, NULL), GLIA_OK);
    assert_true(*all[y->id] == -2147483648.0);
    for (int k = 0; k < g->n_nodes; k++) free(all[k]);
    free(all);
    glia_graph_free(g);
}

static void evaluation_needs_values_a_batch_and_primitives(void **state) {
    (void)state;
    double *values[64] = { NULL };
    glia_error error;
    glia_graph *g = example();
    assert_int_equal(glia_graph_eval(g, values, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "'x'"));
    glia_graph_free(g);

    g = glia_graph_create();
    glia_graph_output(g, "y", glia_iota(g, GLIA_I32, GLIA_SHAPE(GLIA_BATCH), 0));
    assert_int_equal(glia_graph_eval(g, values, &error), GLIA_E_ARGUMENT);
    assert_non_null(strstr(error.message, "batch"));
    glia_graph_free(g);

    g = glia_graph_create();
    glia_graph_output(g, "y", glia_gelu(glia_scalar(g, GLIA_F32, 1)));
    assert_int_equal(glia_graph_eval(g, values, &error), GLIA_E_INTERNAL);
    free(values[0]);
    glia_graph_free(g);
}

/* ---- rewriting ------------------------------------------------------------------------------ */

static void a_copy_is_the_same_graph(void **state) {
    (void)state;
    glia_graph *g = example();
    glia_parameter(g, "frozen/kernel", GLIA_F32, GLIA_SHAPE(3), (glia_init){ 0 });
    assert_int_equal(glia_freeze(g, "frozen*", true), 1);
    glia_error error;
    glia_graph *copy = glia_graph_rewrite(g, NULL, NULL, NULL, true, &error);
    assert_non_null(copy);
    char *a = printed(g), *b = printed(copy);
    assert_string_equal(a, b);
    assert_true(glia_leaf_of(glia_graph_find_leaf(copy, "frozen/kernel"))->frozen);
    free(a), free(b);
    glia_graph_free(g);
    assert_int_equal(glia_graph_verify(copy, &error), GLIA_OK); /* no pointers into the old graph */
    b = printed(copy);
    free(b);
    glia_graph_free(copy);
}

static void dead_nodes_are_removed_and_batch_is_fixed(void **state) {
    (void)state;
    glia_graph *g = example();
    glia_exp(glia_graph_find_leaf(g, "x"));
    glia_input(g, "unused", GLIA_F32, GLIA_SHAPE(1));
    glia_error error;
    const glia_sizes five = { { 5, 1, 1 } };
    glia_graph *small = glia_graph_rewrite(g, NULL, NULL, &five, false, &error),
               *kept = glia_graph_rewrite(g, NULL, NULL, &five, true, &error);
    assert_int_equal(small->n_nodes, g->n_nodes - 2);
    assert_int_equal(kept->n_nodes, g->n_nodes - 1);
    assert_true(glia_shape_equal(small->outputs[0].node->shape, GLIA_SHAPE(5, 2)));
    assert_string_equal(small->outputs[0].node->label, "fc");
    assert_int_equal(glia_graph_verify(small, &error), GLIA_OK);
    assert_null(glia_graph_find_leaf(small, "unused"));
    glia_graph_free(g);
    glia_graph_free(small);
    glia_graph_free(kept);
}

static glia_tensor double_instead_of_add(glia_graph *to, const glia_node *n, const glia_tensor *in, void *count) {
    (void)to;
    if (n->op != &glia_op_add) return NULL;
    ++*(int *)count;
    return glia_mul_scalar(in[0], 2);
}

static void rules_replace_nodes(void **state) {
    (void)state;
    glia_graph *g = example();
    int count = 0;
    glia_error error;
    glia_graph *other = glia_graph_rewrite(g, double_instead_of_add, &count, NULL, false, &error);
    assert_int_equal(count, 2);
    assert_ptr_equal(other->outputs[0].node->op, &glia_op_mul);
    assert_string_equal(other->outputs[0].node->label, "fc");
    assert_int_equal(other->n_updates, 1);
    glia_graph_free(g);
    glia_graph_free(other);
}

static glia_tensor mistaken_rule(glia_graph *to, const glia_node *n, const glia_tensor *in, void *unused) {
    (void)unused;
    return n->op == &glia_op_matmul ? glia_concat(in, 2, 0) : to->n_nodes > 99 ? in[0] : NULL;
}

static void errors_in_rules_are_reported(void **state) {
    (void)state;
    glia_graph *g = example();
    glia_error error;
    assert_null(glia_graph_rewrite(g, mistaken_rule, NULL, NULL, false, &error));
    assert_int_equal(error.status, GLIA_E_SHAPE);
    assert_non_null(strstr(error.message, "fc: concat"));
    glia_graph_free(g);
}

/* ---- verifying ------------------------------------------------------------------------------ */

static void assert_unsound(const glia_graph *g, const char *says) {
    glia_error error;
    assert_int_equal(glia_graph_verify(g, &error), GLIA_E_INTERNAL);
    if (!strstr(error.message, says)) fail_msg("'%s' should say '%s'", error.message, says);
}

static void verify_finds_what_is_broken(void **state) {
    (void)state;
    glia_graph *g = example();
    glia_node *product = NULL;
    for (int i = 0; i < g->n_nodes; i++) product = g->nodes[i]->op == &glia_op_matmul ? g->nodes[i] : product;
    assert_int_equal(glia_graph_verify(g, NULL), GLIA_OK);

    product->shape.dim[1] = 7;
    assert_unsound(g, "not what infer says");
    assert_unsound(g, "reads   %0 = input()"); /* shows adjacent nodes */
    assert_unsound(g, "read by");
    product->shape.dim[1] = 2;

    product->dtype = GLIA_F64;
    assert_unsound(g, "not what infer says");
    product->dtype = GLIA_F32;

    glia_node *kept = product->in[0];
    product->in[0] = g->outputs[0].node;
    assert_unsound(g, "not older");
    product->in[0] = kept;

    product->n_in = 1;
    assert_unsound(g, "number of inputs");
    product->n_in = 2;

    product->id++;
    assert_unsound(g, "another number");
    product->id--;

    g->updates[0].leaf = product;
    assert_unsound(g, "only a parameter or a state");
    glia_graph_free(g);
}

/* ---- text ----------------------------------------------------------------------------------- */

static glia_graph *parsed(const char *text, glia_error *error) { return glia_graph_parse(text, strlen(text), error); }

static void text_is_as_documented(void **state) {
    (void)state;
    glia_graph *g = example();
    char *text = printed(g);
    assert_string_equal(text,
                        "glia graph 2\n"
                        "%0 = input() {name=\"x\", shape=(N, 3)} : f32(N, 3)\n"
                        "%1 = parameter() {name=\"fc/kernel\", shape=(2, 3), init=normal, stddev=0.1} : f32(2, 3)\n"
                        "%2 = matmul(%0, %1) {transpose_b=true} : f32(N, 2) \"fc\"\n"
                        "%3 = constant() {shape=(N, 2), values=[1]} : f32(N, 2) \"fc\"\n"
                        "%4 = add(%2, %3) : f32(N, 2) \"fc\"\n"
                        "%5 = sum(%4) {axes=[0, 1]} : f32()\n"
                        "%6 = broadcast(%5) {shape=(2, 3)} : f32(2, 3)\n"
                        "%7 = add(%1, %6) : f32(2, 3)\n"
                        "output \"y\" = %4\n"
                        "update %1 = %7 \"train\"\n");
    glia_error error;
    glia_graph *again = parsed(text, &error);
    if (!again) fail_msg("%s", error.message);
    char *twice = printed(again);
    assert_string_equal(text, twice);
    free(text), free(twice);
    glia_graph_free(g);
    glia_graph_free(again);
}

/* Doubles round-trip bit for bit, and strings byte for byte, also in a locale with a decimal comma. */
static void numbers_and_strings_survive(void **state) {
    (void)state;
    const double values[] = { 0.1,      -0.0,      1e-300, 5e-324, 1.7976931348623157e308, 1.0 / 3, -123456789.123,
                              INFINITY, -INFINITY, NAN,    3 };
    const int n = GLIA_COUNT(values);
    setlocale(LC_ALL, "de_DE.UTF-8"); /* if installed */
    glia_graph *g = glia_graph_create();
    glia_graph_label(g, "tab\there \"quoted\" back\\slash \xC3\xA9\x01");
    glia_graph_output(g, "\n", glia_constant(g, GLIA_F64, GLIA_SHAPE(n), values));
    char *text = printed(g);
    glia_error error;
    glia_graph *again = parsed(text, &error);
    if (!again) fail_msg("%s", error.message);
    const glia_constant_attrs *a = again->nodes[0]->attrs;
    for (int i = 0; i < n; i++) {
        if (isnan(values[i])) assert_true(isnan(a->values.v[i]));
        else assert_memory_equal(&a->values.v[i], &values[i], sizeof(double));
    }
    assert_string_equal(again->nodes[0]->label, g->nodes[0]->label);
    assert_string_equal(again->outputs[0].name, "\n");
    setlocale(LC_ALL, "C");
    free(text);
    glia_graph_free(g);
    glia_graph_free(again);
}

static void blank_lines_comments_and_other_orders_are_read(void **state) {
    (void)state;
    glia_error error;
    glia_graph *g = parsed("glia graph 2\r\n\n# a comment\n  %0=input(){shape=(2,N),name=\"x\"}:f32(2,N)\r\n"
                           "%1 = iota() {dtype=i32, shape=(4), axis=0} : i32(4)\n\toutput \"y\" = %0",
                           &error);
    if (!g) fail_msg("%s", error.message);
    assert_int_equal(g->n_nodes, 2);
    assert_true(glia_shape_equal(g->nodes[0]->shape, GLIA_SHAPE(2, -1)));
    glia_graph_free(g);
}

/* The learning rate of a training graph is an input with an initial value. */
static void inputs_keep_their_initial_values(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor w =
        glia_parameter(g, "w", GLIA_F32, GLIA_SHAPE(2), (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = 1 });
    glia_minimize(glia_mean(glia_square(w), GLIA_SCALAR, false), (glia_optimizer){ .lr = 0.125 }, NULL, NULL);
    char *text = printed(g);
    glia_graph *again = parsed(text, &error);
    if (!again) fail_msg("%s", error.message);
    assert_true(glia_leaf_of(glia_graph_find_leaf(again, "lr"))->value == 0.125);
    assert_int_equal(glia_leaf_of(glia_graph_find_leaf(again, "w"))->init, GLIA_INIT_CONSTANT);
    free(text);
    glia_graph_free(g);
    glia_graph_free(again);
}

static void version_1_with_numbers_for_enumerations_is_read(void **state) {
    (void)state;
    glia_error error = { 0 };
    glia_graph *g = parsed("glia graph 1\n%0 = parameter() {name=\"w\", shape=(2), init=6} : f32(2)\n", &error);
    if (!g) fail_msg("%s", error.message);
    assert_int_equal(glia_leaf_of(g->nodes[0])->init, GLIA_INIT_GLOROT_UNIFORM);
    char *text = printed(g);
    assert_string_equal(text, "glia graph 2\n%0 = parameter() {name=\"w\", shape=(2), init=glorot_uniform} : f32(2)\n");
    free(text);
    glia_graph_free(g);
}

#define HEAD "glia graph 2\n%0 = input() {name=\"x\", shape=(2, 3)} : f32(2, 3)\n"

static const struct {
    const char *text, *says;
} hostile_texts[] = {
    { "", "line 1, column 1: the text does not begin" },
    { "glia graph 3\n", "version 3" },
    { "glia graph 0\n", "version 0" },
    { "glia graph\n", "does not begin" },
    { "glia graph 2 and more\n", "does not begin" },
    { HEAD "%2 = exp(%0) : f32(2, 3)", "line 3, column 3: node 2 where node 1 is expected" },
    { HEAD "%1 = parameter() {name=\"w\", shape=(2), init=zeroes} : f32(2)", "did you mean 'zeros'" },
    { HEAD "%1 = parameter() {name=\"w\", shape=(2), init=1} : f32(2)", "'init' cannot be '1'" },
    { "glia graph 1\n%0 = parameter() {name=\"w\", shape=(2), init=99} : f32(2)", "no value 99" },
    { HEAD "%1 = frobnicate(%0) : f32(2, 3)", "line 3, column 16: there is no operation 'frobnicate'" },
    { HEAD "%1 = exp(%1) : f32(2, 3)", "%1 is not defined yet" },
    { HEAD "%1 = exp(%-1) : f32(2, 3)", "%-1 is not defined yet" },
    { HEAD "%1 = exp(%99999999999999999999) : f32(2, 3)", "too large" },
    { HEAD "%1 = exp(%0, %0) : f32(2, 3)", "exp takes 1 inputs, not 2" },
    { HEAD "%1 = exp() : f32(2, 3)", "exp takes 1 inputs, not 0" },
    { HEAD "%1 = concat() {axis=0} : f32(2, 3)", "concat" },
    { HEAD "%1 = exp(%0) {axis=1} : f32(2, 3)", "exp has no field 'axis'" },
    { HEAD "%1 = sum(%0) {axes=[0], axes=[1]} : f32(3)", "'axes' comes twice" },
    { HEAD "%1 = sum(%0) {axes=[0, 7]} : f32(3)", "the axes must be" },
    { HEAD "%1 = sum(%0) {axes=[1, 0]} : f32()", "the axes must be sorted" },
    { HEAD "%1 = sum(%0) {axes=[0]} : f32(4)", "the result is not that but f32(3)" },
    { HEAD "%1 = sum(%0) {axes=[0]} : f64(3)", "the result is not that but f32(3)" },
    { HEAD "%1 = sum(%0) {axes=[0,1,2,3,4,5,6,7,8]} : f32()", "more than 8" },
    { HEAD "%1 = sum(%0) {axes=[0], keep=perhaps} : f32(3)", "true or false" },
    { HEAD "%1 = reshape(%0) {shape=(0, 6)} : f32(1, 6)", "in place of the 0" },
    { HEAD "%1 = reshape(%0) {shape=(-1)} : f32(6)", "a negative size" },
    { HEAD "%1 = reshape(%0) {shape=(0N)} : f32(6)", "a size of no batches" },
    { HEAD "%1 = broadcast(%0) {shape=(1000000000000, 1000000, 2, 3)} : f32(2)", "not a shape" },
    { HEAD "%1 = slice(%0) {start=(0, 0), stop=(2, 9), step=[1, 1]} : f32(2, 9)", "not in axis 1" },
    { HEAD "%1 = slice(%0) {} : f32(2, 3)", "a name is expected" },
    { HEAD "%1 = permute(%0) {order=[-1, -2]} : f32(3, 2)", "every axis once" },
    { HEAD "%1 = cast(%0) {dtype=f33} : f32(2, 3)", "no dtype 'f33'" },
    { HEAD "%1 = constant() {shape=(3), values=[1, 2]} : f32(3)", "has 2 values" },
    { HEAD "%1 = constant() {values=[1 2]} : f32()", "',' is expected" },
    { HEAD "%1 = constant() {values=[1..2]} : f32()", "a number is expected" },
    { HEAD "%1 = constant() {values=[1", "is expected" },
    { HEAD "%1 = input() {name=\"x\", shape=(2, 3)} : f32(2, 3)", "its name is taken" },
    { HEAD "%1 = input() {shape=(2, 3)} : f32(2, 3)", "line 3" },
    { HEAD "%1 = input() {name=\"y} : f32(2, 3)", "the string does not end" },
    { HEAD "%1 = input() {name=\"\\q\"} : f32()", "an unknown escape" },
    { HEAD "%1 = input() {name=\"\\x00\"} : f32()", "cannot hold a NUL" },
    { HEAD "%1 = random_uniform(%0) {shape=(3)} : f32(3)", "seed and step" },
    { HEAD "output \"y\" = %3", "%3 is not defined yet" },
    { HEAD "output y = %0", "'\"' is expected" },
    { HEAD "update %0 = %0 \"train\"", "only a parameter or a state" },
    { HEAD "streams -1", "streams or more" },
    { HEAD "streams 99999999999", "streams or more" },
    { HEAD "delete everything", "a line begins with" },
    { HEAD "%1 = exp(%0) : f32(2, 3) \"label\" more", "the line should end here" },
    { HEAD "%1 = exp(%0 : f32(2, 3)", "',' is expected" },
    { HEAD "%1 = exp(%0)", "':' is expected" },
};

static void malformed_texts_are_rejected_with_position(void **state) {
    (void)state;
    for (int i = 0; i < GLIA_COUNT(hostile_texts); i++) {
        glia_error error = { 0 };
        glia_graph *g = parsed(hostile_texts[i].text, &error);
        if (g) fail_msg("accepted: %s", hostile_texts[i].text);
        if (!strstr(error.message, hostile_texts[i].says))
            fail_msg("'%s' should say '%s'", error.message, hostile_texts[i].says);
        assert_null(parsed(hostile_texts[i].text, NULL));
    }
}

/* No prefix of a text causes a crash, and only prefixes that end at a line end are accepted. */
static void truncated_texts_are_handled(void **state) {
    (void)state;
    glia_graph *g = example();
    char *text = printed(g);
    for (size_t n = 0; n < strlen(text); n++) {
        char *part = malloc(n + 1); /* a separate block, so that sanitizers detect reads past the end */
        memcpy(part, text, n);
        glia_graph *got = glia_graph_parse(part, n, NULL);
        glia_graph_free(got);
        free(part);
    }
    free(text);
    glia_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_error_is_kept),
        cmocka_unit_test(dtypes_are_not_mixed_silently),
        cmocka_unit_test(null_tensors_give_null),
        cmocka_unit_test(null_beside_a_tensor_is_reported),
        cmocka_unit_test(symbolic_shapes_are_inferred),
        cmocka_unit_test(error_messages_are_specific),
        cmocka_unit_test(out_of_range_indices_are_rejected),
        cmocka_unit_test(integers_wrap),
        cmocka_unit_test(evaluation_needs_values_a_batch_and_primitives),
        cmocka_unit_test(a_copy_is_the_same_graph),
        cmocka_unit_test(dead_nodes_are_removed_and_batch_is_fixed),
        cmocka_unit_test(rules_replace_nodes),
        cmocka_unit_test(errors_in_rules_are_reported),
        cmocka_unit_test(verify_finds_what_is_broken),
        cmocka_unit_test(text_is_as_documented),
        cmocka_unit_test(numbers_and_strings_survive),
        cmocka_unit_test(blank_lines_comments_and_other_orders_are_read),
        cmocka_unit_test(inputs_keep_their_initial_values),
        cmocka_unit_test(version_1_with_numbers_for_enumerations_is_read),
        cmocka_unit_test(malformed_texts_are_rejected_with_position),
        cmocka_unit_test(truncated_texts_are_handled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
