/* test_ops.c - tests every operation in the op table.
 *
 *   record      a name, a summary, a definition, samples
 *   golden      the definition against results of PyTorch and NumPy (tests/golden/ops)
 *   gradient    in f64 against central differences, every element and a random direction
 *   second      the gradient's own gradient, in a random direction
 *   composite   an op's vjp against the gradient of its expansion
 *   text        every sample's graph, with its gradients, printed and parsed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "op_samples.h"

#define STEP 1e-5 /* for central differences: truncation and rounding errors are both near 1e-10 */
#define EACH_ELEMENT 512

/* A sample in one mode. `what` is for messages. */
typedef struct trial {
    const glia_op *op;
    const glia_op_sample *sample;
    glia_mode mode;
    char what[96];
} trial;

/* Calls `check` for every sample of every op, in both modes if the op depends on the mode. */
static void walk(void (*check)(const trial *)) {
    for (int i = 0; i < glia_op_count(); i++) {
        const glia_op *op = glia_op_at(i);
        for (const glia_op_sample *s = glia_op_samples(i); s->name; s++) {
            bool modal = (op->flags & GLIA_OP_MODAL) != 0;
            for (int m = modal ? 0 : 1; m < 2; m++) {
                trial t = { .op = op, .sample = s, .mode = m ? GLIA_TRAIN : GLIA_INFER };
                snprintf(t.what, sizeof t.what, "%s, sample %s%s", op->name, s->name,
                         !modal ? ""
                         : m    ? " / train"
                                : " / infer");
                check(&t);
            }
        }
    }
}

static double *normals(int64_t n, uint64_t stream) {
    glia_rng rng = { .seed = 77, .stream = stream };
    double *v = malloc((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) v[i] = glia_rng_normal(&rng);
    return v;
}

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void assert_near(double is, double should, double tolerance, const trial *t, const char *part) {
    if (fabs(is - should) <= tolerance * (1 + fabs(should)) || (is == should) || (isnan(is) && isnan(should))) return;
    fail_msg("%s: %s is %.12g and should be %.12g", t->what, part, is, should);
}

static void assert_sound(const glia_graph *g, const trial *t) {
    glia_error error;
    if (glia_graph_verify(g, &error) != GLIA_OK) fail_msg("%s: %s", t->what, error.message);
}

static glia_graph *expanded(const glia_graph *g, const trial *t) {
    glia_error error;
    glia_graph *e = sample_expanded(g, t->mode, &error);
    if (!e) fail_msg("%s: %s", t->what, error.message);
    assert_sound(e, t);
    return e;
}

/* Evaluates output k of a graph of primitives at n inputs. */
static double *evaluate(const glia_graph *g, int k, int n, double *const *x, const trial *t) {
    glia_error error;
    double *y = sample_evaluate(g, k, n, x, &error);
    if (!y) fail_msg("%s: %s", t->what, error.message);
    return y;
}

/* ---- records -------------------------------------------------------------------------------- */

static void every_record_is_complete(void **state) {
    (void)state;
    for (int i = 0; i < glia_op_count(); i++) {
        const glia_op *op = glia_op_at(i);
        if (!op->name || !op->name[0] || !op->summary || !op->summary[0]) fail_msg("row %d has no name or summary", i);
        assert_ptr_equal(glia_op_named(op->name), op);
        if (!op->infer) fail_msg("%s has no infer", op->name);
        bool composite = (op->flags & GLIA_OP_COMPOSITE) != 0;
        if (composite != (op->expand != NULL) || composite == (op->eval != NULL)) {
            fail_msg("%s: a primitive has eval, a composite expand", op->name);
        }
        if ((op->attr_size > 0) != (op->fields != NULL)) fail_msg("%s: attributes need fields", op->name);
        const glia_op_sample *s = glia_op_samples(i);
        if (!s->name) fail_msg("%s has no sample", op->name);
        for (; s->name; s++) {
            if (op->arity >= 0 && s->n != op->arity) fail_msg("%s, sample %s: %d inputs", op->name, s->name, s->n);
            for (const glia_op_sample *other = glia_op_samples(i); other < s; other++) {
                if (!strcmp(other->name, s->name)) fail_msg("%s has two samples %s", op->name, s->name);
            }
        }
    }
    assert_null(glia_op_named("no such op"));
}

/* ---- golden results ------------------------------------------------------------------------- */

static char *read_golden(const char *op) {
    char path[512];
    snprintf(path, sizeof path, "%s/ops/%s.txt", GLIA_GOLDEN_DIR, op);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *text = calloc((size_t)size + 1, 1);
    assert_int_equal(fread(text, 1, (size_t)size, f), (size_t)size);
    fclose(f);
    return text;
}

/* The rest of the first line after `text` that starts with "KEY "; NULL if none. */
static char *line_of(char *text, const char *key) {
    size_t n = strlen(key);
    for (char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        if (!strncmp(p, key, n) && (p[n] == ' ' || p[n] == '\n')) return p + n;
    }
    return NULL;
}

/* The golden record of this trial: the position after its name. */
static char *golden_of(char *text, const trial *t) {
    const char *name = strstr(t->what, ", sample ") + strlen(", sample ");
    for (char *p = line_of(text, "sample"); p; p = line_of(p, "sample")) {
        size_t n = strcspn(p + 1, "\n");
        if (n == strlen(name) && !strncmp(p + 1, name, n)) return p + 1 + n;
    }
    return NULL;
}

static void compare_golden(char *record, const glia_graph *g, const sample_case *c, const trial *t) {
    char *inputs = line_of(record, "inputs"), *shape = line_of(record, "shape"), *values = line_of(record, "values");
    assert_true(inputs && shape && values);
    if (strtoull(inputs, NULL, 16) != sample_checksum(c)) {
        fail_msg("%s: the golden result is of other inputs; run tools/golden/ops.py", t->what);
    }
    const glia_node *y = g->outputs[0].node;
    char *end = shape;
    for (int i = 0; i < y->shape.rank; i++) {
        if (strtoll(end, &end, 10) != y->shape.dim[i]) {
            fail_msg("%s: the shape is not that of the golden result", t->what);
        }
    }
    assert_int_equal(*end, '\n');
    double *is = evaluate(g, 0, c->sample->n, c->x, t);
    end = values;
    for (int64_t i = 0; i < glia_shape_count(y->shape); i++) {
        char *start = end, part[40];
        double should = strtod(start, &end);
        assert_ptr_not_equal(start, end);
        snprintf(part, sizeof part, "element %lld", (long long)i);
        assert_near(is[i], should, 1e-12, t, part);
    }
    assert_int_equal(*end, '\n');
    free(is);
}

/* In f64, so that constants inside (a slope of 0.01) are not rounded to f32. */
static void check_golden(const trial *t) {
    if (t->sample->no_golden) return;
    char *text = read_golden(t->op->name), *record = text ? golden_of(text, t) : NULL;
    if (!record) fail_msg("%s has no golden result; run tools/golden/ops.py", t->what);
    sample_case c = sample_open(t->op, t->sample);
    sample_graph s = sample_build(t->op, t->sample, true);
    assert_sound(s.g, t);
    glia_graph *e = expanded(s.g, t);
    compare_golden(record, e, &c, t);
    glia_graph_free(e);
    glia_graph_free(s.g);
    sample_close(&c);
    free(text);
}

static void definitions_match_golden_results(void **state) {
    (void)state;
    walk(check_golden);
}

/* ---- gradients ------------------------------------------------------------------------------ */

/* The sample in f64 with an additional input dy, named as the next x; outputs: y, then dx of each varying input. */
typedef struct gradient_graph {
    glia_graph *g;
    glia_tensor y, inputs[GLIA_SAMPLE_INPUTS];
    int n;                          /* number of varying inputs */
    int of[GLIA_SAMPLE_INPUTS + 1]; /* their indices; of[n] is dy */
    glia_tensor x[GLIA_SAMPLE_INPUTS + 1], dx[GLIA_SAMPLE_INPUTS]; /* x[n] is dy */
} gradient_graph;

/* False if no input varies or the result is not a float; then only g and y are set. */
static bool gradient_build(gradient_graph *d, const trial *t) {
    sample_graph s = sample_build(t->op, t->sample, true);
    *d = (gradient_graph){ .g = s.g, .y = s.y };
    memcpy(d->inputs, s.x, sizeof s.x);
    for (int i = 0; i < s.n; i++) {
        if (!sample_varies(t->sample, i)) continue;
        d->x[d->n] = s.x[i];
        d->of[d->n++] = i;
    }
    if (d->n == 0 || !glia_dtype_is_float(s.y->dtype)) return false;
    char name[16];
    snprintf(name, sizeof name, "x%d", s.n);
    d->of[d->n] = s.n;
    d->x[d->n] = glia_input(s.g, name, s.y->dtype, s.y->shape);
    glia_vjp(s.y, d->x[d->n], d->x, d->n, d->dx);
    for (int i = 0; i < d->n; i++) glia_graph_output(s.g, "dx", d->dx[i]);
    assert_sound(s.g, t);
    return true;
}

/* The evaluation point: the sample's inputs and a random dy. */
typedef struct point {
    sample_case c;
    int n; /* including dy */
    double *x[GLIA_SAMPLE_INPUTS + 1];
} point;

static point point_open(const gradient_graph *d, const trial *t) {
    point p = { .c = sample_open(t->op, t->sample), .n = t->sample->n + 1 };
    memcpy(p.x, p.c.x, sizeof p.c.x);
    p.x[p.n - 1] = normals(glia_shape_count(d->y->shape), 5);
    return p;
}

static void point_close(point *p) {
    free(p->x[p->n - 1]);
    sample_close(&p->c);
}

/* x + step v. */
static double *moved(const double *x, const double *v, double step, int64_t n) {
    double *to = malloc((size_t)n * sizeof *to);
    for (int64_t i = 0; i < n; i++) to[i] = x[i] + step * v[i];
    return to;
}

/* <dy, y> with one input replaced. */
static double objective(const glia_graph *forward, point p, int input, double *x, const trial *t) {
    p.x[input] = x;
    double *y = evaluate(forward, 0, p.n - 1, p.x, t);
    double sum = dot(p.x[p.n - 1], y, glia_shape_count(forward->outputs[0].node->shape));
    free(y);
    return sum;
}

/* (f(x + h v) - f(x - h v)) / 2h in one input. */
static double difference(const glia_graph *forward, const point *p, int input, const double *v, int64_t count,
                         const trial *t) {
    double *above = moved(p->x[input], v, STEP, count), *below = moved(p->x[input], v, -STEP, count);
    double slope = (objective(forward, *p, input, above, t) - objective(forward, *p, input, below, t)) / (2 * STEP);
    free(above);
    free(below);
    return slope;
}

/* One input's gradient against differences: for each element, and in a random direction. */
static void compare_differences(const glia_graph *forward, const double *gradient, const point *p, int input,
                                int64_t count, const trial *t) {
    double *direction = normals(count, 11), *axis = calloc((size_t)count, sizeof *axis);
    for (int64_t i = 0; i < count && count <= EACH_ELEMENT; i++) {
        char part[64];
        snprintf(part, sizeof part, "d/dx%d[%lld]", input, (long long)i);
        axis[i] = 1;
        assert_near(gradient[i], difference(forward, p, input, axis, count, t), 1e-6, t, part);
        axis[i] = 0;
    }
    double slope = dot(gradient, direction, count);
    assert_near(slope, difference(forward, p, input, direction, count, t), 1e-6, t, "the slope in a random direction");
    free(axis);
    free(direction);
}

/* Ops without a vjp are differentiated through their expansion in training mode, regardless of the mode they run in. */
static bool differentiates(const trial *t) { return t->op->vjp || t->mode == GLIA_TRAIN; }

/* An op without a vjp, or an input omitted by the vjp, must have zero gradient: that is checked too. */
static void check_gradient(const trial *t) {
    gradient_graph d;
    if (t->op->flags & GLIA_OP_GRADIENT_ONLY) return; /* its gradient is not its derivative */
    if (!differentiates(t)) return;
    if (gradient_build(&d, t)) {
        point p = point_open(&d, t);
        sample_graph plain = sample_build(t->op, t->sample, true);
        glia_graph *forward = expanded(plain.g, t), *backward = expanded(d.g, t);
        for (int i = 0; i < d.n; i++) {
            double *gradient = evaluate(backward, 1 + i, p.n, p.x, t);
            compare_differences(forward, gradient, &p, d.of[i], glia_shape_count(d.x[i]->shape), t);
            free(gradient);
        }
        glia_graph_free(forward);
        glia_graph_free(backward);
        glia_graph_free(plain.g);
        point_close(&p);
    }
    glia_graph_free(d.g);
}

static void gradients_match_finite_differences(void **state) {
    (void)state;
    walk(check_gradient);
}

/* ---- second derivatives --------------------------------------------------------------------- */

/* f = sum over i of <v_i, dx_i(x, dy)> for random constants v, and the gradient of f in all x and dy, become the
 * outputs. */
static void build_second(gradient_graph *d) {
    glia_graph *g = d->g;
    glia_tensor f = glia_scalar(g, d->y->dtype, 0), second[GLIA_SAMPLE_INPUTS + 1];
    for (int i = 0; i < d->n; i++) {
        glia_tensor dx = d->dx[i];
        double *v = normals(glia_shape_count(dx->shape), 20 + (uint64_t)i);
        f = glia_add(f, glia_sum(glia_mul(dx, glia_constant(g, dx->dtype, dx->shape, v)), GLIA_SCALAR, false));
        free(v);
    }
    glia_grad(f, d->x, d->n + 1, second);
    g->n_outputs = 0;
    glia_graph_output(g, "f", f);
    for (int i = 0; i <= d->n; i++) glia_graph_output(g, "second", second[i]);
}

/* Evaluates f with all inputs displaced along their directions. */
static double second_at(const glia_graph *e, const gradient_graph *d, point p, double *const *along, double step,
                        const trial *t) {
    for (int i = 0; i <= d->n; i++) {
        p.x[d->of[i]] = moved(p.x[d->of[i]], along[i], step, glia_shape_count(d->x[i]->shape));
    }
    double *f = evaluate(e, 0, p.n, p.x, t), value = *f;
    for (int i = 0; i <= d->n; i++) free(p.x[d->of[i]]);
    free(f);
    return value;
}

/* The gradient of f against differences of f, in one random direction of all x and dy together. */
static void check_second(const trial *t) {
    gradient_graph d;
    if (t->mode != GLIA_TRAIN) return;
    if (gradient_build(&d, t)) {
        build_second(&d);
        assert_sound(d.g, t);
        glia_graph *e = expanded(d.g, t);
        point p = point_open(&d, t);
        double *along[GLIA_SAMPLE_INPUTS + 1], slope = 0;
        for (int i = 0; i <= d.n; i++) {
            int64_t count = glia_shape_count(d.x[i]->shape);
            double *gradient = evaluate(e, 1 + i, p.n, p.x, t);
            along[i] = normals(count, 40 + (uint64_t)i);
            slope += dot(gradient, along[i], count);
            free(gradient);
        }
        double above = second_at(e, &d, p, along, STEP, t), below = second_at(e, &d, p, along, -STEP, t);
        assert_near(slope, (above - below) / (2 * STEP), 1e-6, t, "the second derivative");
        for (int i = 0; i <= d.n; i++) free(along[i]);
        point_close(&p);
        glia_graph_free(e);
    }
    glia_graph_free(d.g);
}

static void second_derivatives_match_finite_differences(void **state) {
    (void)state;
    walk(check_second);
}

/* ---- composites ----------------------------------------------------------------------------- */

/* dx by the op's vjp equals dx through its expansion. */
static void check_composite(const trial *t) {
    gradient_graph d;
    if (!(t->op->flags & GLIA_OP_COMPOSITE) || !t->op->vjp) return;
    if (gradient_build(&d, t)) {
        point p = point_open(&d, t);
        glia_tensor through[GLIA_SAMPLE_INPUTS];
        glia_vjp(t->op->expand(d.y, d.inputs, t->mode), d.x[d.n], d.x, d.n, through);
        for (int i = 0; i < d.n; i++) glia_graph_output(d.g, "through", through[i]);
        glia_graph *e = expanded(d.g, t);
        for (int i = 0; i < d.n; i++) {
            double *own = evaluate(e, 1 + i, p.n, p.x, t), *other = evaluate(e, 1 + d.n + i, p.n, p.x, t);
            for (int64_t k = 0; k < glia_shape_count(d.x[i]->shape); k++) {
                assert_near(own[k], other[k], 1e-11, t, "its own gradient");
            }
            free(own);
            free(other);
        }
        glia_graph_free(e);
        point_close(&p);
    }
    glia_graph_free(d.g);
}

static void composite_gradients_match_expansions(void **state) {
    (void)state;
    walk(check_composite);
}

/* ---- text ----------------------------------------------------------------------------------- */

static void check_text(const trial *t) {
    gradient_graph d;
    gradient_build(&d, t);
    glia_graph_label(d.g, "a \"label\"\\\n");
    glia_graph_output(d.g, "labelled", glia_reshape(d.y, GLIA_SHAPE(1, 0)));
    glia_text once = { 0 }, twice = { 0 };
    glia_error error = { 0 };
    glia_graph_print(d.g, &once);
    glia_graph *read = glia_graph_parse(once.bytes, once.length, &error);
    if (!read) fail_msg("%s: %s", t->what, error.message);
    glia_graph_print(read, &twice);
    assert_string_equal(once.bytes, twice.bytes);
    assert_int_equal(read->n_nodes, d.g->n_nodes);
    assert_int_equal(read->n_streams, d.g->n_streams);
    for (int i = 0; i < read->n_nodes; i++) {
        const glia_node *a = read->nodes[i], *b = d.g->nodes[i];
        assert_ptr_equal(a->op, b->op);
        if (b->attrs && !glia_attrs_equal(b->op, a->attrs, b->attrs)) {
            fail_msg("%s: the attributes of %s differ", t->what, b->op->name);
        }
    }
    free(once.bytes);
    free(twice.bytes);
    glia_graph_free(read);
    glia_graph_free(d.g);
}

static void graphs_of_all_ops_survive_printing(void **state) {
    (void)state;
    walk(check_text);
}

/* ---- bad inputs ----------------------------------------------------------------------------- */

/* For every op, a NULL or invalid tensor gives an invalid result, and the error is kept. */
static void invalid_inputs_propagate(void **state) {
    (void)state;
    for (int i = 0; i < glia_op_count(); i++) {
        const glia_op *op = glia_op_at(i);
        const glia_op_sample *s = glia_op_samples(i);
        for (int k = 0; k < s->n; k++) {
            sample_graph b = sample_build(op, s, false);
            glia_tensor in[GLIA_SAMPLE_INPUTS];
            memcpy(in, b.x, sizeof in);
            in[k] = NULL;
            assert_true(glia_is_bad(glia_node_create(b.g, op, in, s->n, s->attrs)));
            assert_int_not_equal(glia_graph_check(b.g, NULL), GLIA_OK);
            in[k] = b.g->bad;
            assert_true(glia_is_bad(glia_node_create(b.g, op, in, s->n, s->attrs)));
            glia_graph_free(b.g);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_complete),
        cmocka_unit_test(definitions_match_golden_results),
        cmocka_unit_test(gradients_match_finite_differences),
        cmocka_unit_test(second_derivatives_match_finite_differences),
        cmocka_unit_test(composite_gradients_match_expansions),
        cmocka_unit_test(graphs_of_all_ops_survive_printing),
        cmocka_unit_test(invalid_inputs_propagate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
