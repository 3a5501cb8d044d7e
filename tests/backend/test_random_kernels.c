/* test_random_kernels.c - random operations with random shapes, attributes and values: the CPU backend against the
 * reference backend, and gradients against differences.
 *
 *     test_random_kernels [SEED [COUNT [FIRST]]]   checks COUNT cases; the seed is printed
 *     test_random_kernels --print SEED COUNT [FIRST [DRAW]]    writes each case and its results as a line of JSON, for
 *                                                  tests/python/check_random.py, which compares with PyTorch
 *
 * The outputs of a case are its result y, the gradients d of sum(y r) in every input, and the second derivatives: the
 * gradients of sum(d s) in every input and r. They are computed in f32 on one randomly chosen instruction set, on 1 and
 * on another number of threads, which must agree bit by bit; on the reference backend in f32; and there in f64, against
 * central differences in a random direction. Infinite and NaN elements must match. Without arguments a few cases of a
 * fixed seed are checked.
 */
#include "random_cases.h"

#include "core/tensor/tensor.h"
#include "isa.h"

enum { OUTPUTS = 3 + 2 * CASE_INPUTS + 1, LEAVES = 2 * CASE_INPUTS + 1 };

/* ---- programs --------------------------------------------------------------------------------- */

/* The graph's inputs (the case's, r and s) and outputs. */
typedef struct experiment {
    random_case c;
    glia_tensor leaf[LEAVES], out[OUTPUTS];
    int leaves, outs, first_sum; /* out[first_sum] and the next one: sum(y r), sum(d s); -1: none */
    int first, second;           /* start of their gradients in out; leaf of each: */
    int first_of[OUTPUTS];
} experiment;

static glia_tensor dot(glia_tensor a, glia_tensor b) { return glia_sum(glia_mul(a, b), GLIA_SCALAR, false); }

static glia_tensor weight(experiment *e, const char *kind, int i, glia_tensor like) {
    char name[16];
    snprintf(name, sizeof name, "%s%d", kind, i);
    return e->leaf[e->leaves++] = glia_input(e->c.g, name, glia_tensor_dtype(like), glia_tensor_shape(like));
}

/* Adds the gradients of f in the differentiable leaves. */
static void add_gradients(experiment *e, glia_tensor f, int leaves) {
    glia_tensor xs[LEAVES] = { NULL }, dx[LEAVES];
    int n = 0;
    for (int i = 0; i < leaves; i++) {
        if (i < e->c.n && e->c.constant[i]) continue;
        e->first_of[e->outs + n] = i;
        xs[n++] = e->leaf[i];
    }
    glia_grad(f, xs, n, dx);
    for (int i = 0; i < n; i++) e->out[e->outs++] = dx[i];
}

static experiment experiment_of(uint64_t seed, uint64_t number, glia_dtype dtype) {
    experiment e = { .c = case_build(seed, number, dtype), .first_sum = -1 };
    for (int i = 0; i < e.c.n; i++) e.leaf[e.leaves++] = e.c.in[i];
    e.out[e.outs++] = e.c.y;
    if (glia_is_bad(e.c.y) || !glia_dtype_is_float(glia_tensor_dtype(e.c.y))) return e;
    glia_tensor first = dot(e.c.y, weight(&e, "r", 0, e.c.y)), second = NULL;
    const int with_r = e.leaves;
    e.first = e.outs;
    add_gradients(&e, first, e.c.n);
    e.second = e.outs;
    for (int i = e.first; i < e.second; i++) {
        glia_tensor term = dot(e.out[i], weight(&e, "s", i, e.out[i]));
        second = second ? glia_add(second, term) : term;
    }
    if (second) add_gradients(&e, second, with_r);
    e.first_sum = e.outs;
    e.out[e.outs++] = first;
    e.out[e.outs++] = second ? second : first;
    return e;
}

typedef struct results {
    int64_t n[OUTPUTS];
    double *v[OUTPUTS];
} results;

static void results_free(results *r) {
    for (int i = 0; i < OUTPUTS; i++) free(r->v[i]);
    *r = (results){ 0 };
}

static void die(const experiment *e, const char *what) {
    fprintf(stderr, "seed %llu, case %llu: %s: %s\n", (unsigned long long)e->c.seed, (unsigned long long)e->c.number,
            e->c.text.bytes, what);
    exit(1);
}

/* Fills the leaves with values, displaced by `step` along a random direction. */
static void fill(const experiment *e, glia_session *s, uint64_t draw, double step) {
    for (int i = 0; i < e->leaves; i++) {
        glia_array a;
        void *to = glia_session_input(s, glia_leaf_of(e->leaf[i])->name, &a, NULL);
        if (!to) continue;
        const int64_t n = glia_shape_count(a.shape);
        double *v = calloc((size_t)n + 1, sizeof *v);
        if (!v) die(e, "out of memory");
        glia_rng rng = { .seed = e->c.seed ^ draw << 32, .stream = e->c.number * 64 + (uint64_t)i };
        if (i < e->c.n) case_fill(&e->c, i, n, draw, v);
        for (int64_t k = 0; k < n; k++) {
            const double random = (double)(float)(2 * glia_rng_uniform(&rng) - 1);
            v[k] = i < e->c.n ? v[k] + (e->c.constant[i] ? 0 : step * random) : random;
        }
        glia_from_double(a.dtype, v, to, n);
        free(v);
    }
}

typedef struct setting {
    const char *backend, *isa;
    int threads;
    bool fuses;
    uint64_t draw;
    double step;
} setting;

/* Compiles and runs the experiment with this setting. */
static results run(const experiment *e, setting s) {
    glia_error error = { 0 };
    results r = { 0 };
    if (s.isa) setenv("GLIA_ISA", s.isa, 1);
    glia_backend *backend = glia_backend_open(s.backend, s.threads, &error);
    unsetenv("GLIA_ISA");
    glia_store *store = backend ? glia_store_create(e->c.g, 1, &error) : NULL;
    const glia_compile_opts opts = {
        .outputs = e->out, .n_outputs = e->outs, .mode = e->c.mode, .updates = "", .no_fusion = !s.fuses
    };
    glia_program *program = store ? glia_compile(e->c.g, backend, opts, &error) : NULL;
    glia_session *session = program ? glia_session_create(program, store, &error) : NULL;
    if (!session) die(e, error.message);
    fill(e, session, s.draw, s.step);
    if (glia_session_run(session, &error) != GLIA_OK) die(e, error.message);
    for (int i = 0; i < e->outs; i++) {
        glia_array a = glia_session_output(session, i);
        r.n[i] = glia_shape_count(a.shape);
        r.v[i] = calloc((size_t)r.n[i] + 1, sizeof(double));
        if (!r.v[i]) die(e, "out of memory");
        glia_to_double(a.dtype, a.data, r.v[i], r.n[i]);
    }
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    return r;
}

/* ---- comparisons ------------------------------------------------------------------------------ */

/* The name of output i: y, d0, e0, ... */
static const char *name_of(const experiment *e, int i) {
    static char name[32];
    if (i == 0) return "y";
    if (i >= e->first_sum) return i == e->first_sum ? "sum(y r)" : "sum(d s)";
    const glia_node *leaf = e->leaf[e->first_of[i]];
    snprintf(name, sizeof name, "%s gradient in %s", i < e->second ? "first" : "second", glia_leaf_of(leaf)->name);
    return name;
}

/* True if all outputs except the sums are close; otherwise writes the position to `text`. displaced (may be NULL): the
 * right results for slightly different leaves; where they differ much the result is badly conditioned, such as the
 * cosine of a large number, and f32 may differ as much. */
static bool near(const experiment *e, const results *is, const results *should, const results *displaced,
                 double tolerance, glia_text *text) {
    for (int i = 0; i < e->outs && (e->first_sum < 0 || i < e->first_sum); i++) {
        double most = 0;
        for (int64_t k = 0; k < should->n[i]; k++)
            if (isfinite(should->v[i][k])) most = fmax(most, fabs(should->v[i][k]));
        for (int64_t k = 0; k < should->n[i]; k++) {
            const double a = is->v[i][k], b = should->v[i][k];
            if (isnan(a) && isnan(b)) continue;
            const double moved = displaced ? fabs(displaced->v[i][k] - b) : 0;
            if (a == b || fabs(a - b) <= tolerance * (1 + most + fabs(b)) + 10 * moved) continue;
            glia_text_printf(text, "%s: element %lld of %lld is %.9g, should be %.9g", name_of(e, i), (long long)k,
                             (long long)should->n[i], a, b);
            return false;
        }
    }
    return true;
}

static bool same_bits(const experiment *e, const results *a, const results *b, glia_text *text) {
    for (int i = 0; i < e->outs; i++) {
        if (!memcmp(a->v[i], b->v[i], (size_t)a->n[i] * sizeof(double))) continue;
        glia_text_printf(text, "%s: other bits by another number of threads", name_of(e, i));
        return false;
    }
    return true;
}

/* The derivative of a sum in the direction of fill(), from the gradients from `from` on. */
static double slope_by_gradients(const experiment *e, const results *r, int from, int to, uint64_t draw) {
    double sum = 0;
    for (int i = from; i < to; i++) {
        const int leaf = e->first_of[i];
        if (leaf >= e->c.n) continue; /* r is not displaced */
        glia_rng rng = { .seed = e->c.seed ^ draw << 32, .stream = e->c.number * 64 + (uint64_t)leaf };
        for (int64_t k = 0; k < r->n[i]; k++) sum += r->v[i][k] * (double)(float)(2 * glia_rng_uniform(&rng) - 1);
    }
    return sum;
}

/* First and second derivatives in one direction against differences, in f64 on the ref backend. */
static bool check_differences(const experiment *e, uint64_t draw, glia_text *text) {
    const double h = 1e-6;
    experiment d = experiment_of(e->c.seed, e->c.number, GLIA_F64);
    results at = run(&d, (setting){ .backend = "ref", .threads = 1, .draw = draw });
    results above = run(&d, (setting){ .backend = "ref", .threads = 1, .draw = draw, .step = h });
    results below = run(&d, (setting){ .backend = "ref", .threads = 1, .draw = draw, .step = -h });
    bool right = true;
    for (int order = 1; order <= 2 && right; order++) {
        const int from = order == 1 ? d.first : d.second, to = order == 1 ? d.second : d.first_sum;
        const int sum = d.first_sum + order - 1;
        const double is = slope_by_gradients(&d, &at, from, to, draw), up = above.v[sum][0], down = below.v[sum][0];
        const double should = (up - down) / (2 * h), scale = 1 + fabs(should) + fabs(up) * 1e-3;
        if (from == to || fabs(is - should) <= 2e-5 * scale) continue;
        glia_text_printf(text, "derivative of order %d is %.9g, by differences %.9g", order, is, should);
        right = false;
    }
    results_free(&at), results_free(&above), results_free(&below);
    case_free(&d.c);
    return right;
}

/* ---- one case --------------------------------------------------------------------------------- */

/* Lists the selected instruction sets that this machine supports; returns their number. */
static int isas_of_machine(const char *names[GLIA_ISA_COUNT]) {
    int n = 0;
    for (int isa = 0; isa < GLIA_ISA_COUNT; isa++) {
        const char *name = glia_isa_name((glia_isa)isa);
        glia_isa chosen;
        setenv("GLIA_ISA", name, 1);
        if (isa_is_wanted(name) && glia_isa_choose(&chosen, NULL) == GLIA_OK) names[n++] = name;
    }
    unsetenv("GLIA_ISA");
    return n;
}

static const char *pick_isa(glia_rng *rng) {
    const char *names[GLIA_ISA_COUNT];
    const int n = isas_of_machine(names);
    return n ? names[(int)(glia_rng_uniform(rng) * n)] : NULL;
}

/* Checks the case with the values of one draw. */
static bool check_draw(const experiment *e, setting s, uint64_t draw, glia_text *text) {
    s.draw = draw;
    setting one = s, reference = { .backend = "ref", .threads = 1, .draw = draw };
    one.threads = 1;
    results is = run(e, s), again = run(e, one), should = run(e, reference);
    const bool same = same_bits(e, &is, &again, text);
    bool right = same && near(e, &is, &should, NULL, 5e-4, text);
    const bool well_conditioned = right;
    if (same && !right) {
        reference.step = 1e-6; /* some units in the last place of f32 */
        results displaced = run(e, reference);
        text->length = 0;
        right = near(e, &is, &should, &displaced, 5e-4, text);
        results_free(&displaced);
    }
    if (right && well_conditioned && e->first_sum >= 0 && e->c.kind == VALUES_UNIFORM)
        right = check_differences(e, draw, text);
    results_free(&is), results_free(&again), results_free(&should);
    return right;
}

/* If rounding may have crossed a kink, retries with other values. */
static bool check_case(uint64_t seed, uint64_t number) {
    experiment e = experiment_of(seed, number, GLIA_F32);
    glia_error error = { 0 };
    if (glia_graph_check(e.c.g, &error) != GLIA_OK) die(&e, error.message);
    glia_rng rng = { .seed = seed, .stream = ~number };
    const int threads[] = { 2, 3, 8 };
    setting s = { .backend = "cpu",
                  .isa = pick_isa(&rng),
                  .threads = threads[(int)(glia_rng_uniform(&rng) * 3)],
                  .fuses = glia_rng_uniform(&rng) < 0.7 };
    glia_text text = { 0 };
    bool right = false;
    for (uint64_t draw = 0; draw < (e.c.kinks ? 3 : 1) && !right; draw++) {
        text.length = 0;
        right = check_draw(&e, s, draw, &text);
    }
    if (!right) {
        printf("case %llu, %s, %d threads%s, %s values: %s\n    %s\n", (unsigned long long)number, s.isa, s.threads,
               s.fuses ? "" : ", not fused", case_values_names[e.c.kind], e.c.text.bytes, text.bytes);
        fflush(stdout);
    }
    free(text.bytes);
    case_free(&e.c);
    return right;
}

/* ---- output for PyTorch ----------------------------------------------------------------------- */

static void print_number(double x) {
    if (isfinite(x))
        printf("%.9g", x);
    else
        printf("%s", isnan(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity");
}

static void print_array(const char *name, glia_shape shape, const double *v) {
    printf("{\"name\":\"%s\",\"shape\":[", name);
    for (int i = 0; i < shape.rank; i++) printf("%s%lld", i ? "," : "", (long long)shape.dim[i]);
    printf("],\"values\":[");
    for (int64_t k = 0; k < glia_shape_count(shape); k++) {
        if (k) printf(",");
        print_number(v[k]);
    }
    printf("]}");
}

static void print_leaves(const experiment *e, uint64_t draw) {
    for (int i = 0; i < e->leaves; i++) {
        const glia_shape shape = glia_tensor_shape(e->leaf[i]);
        const int64_t n = glia_shape_count(shape);
        double *v = calloc((size_t)n + 1, sizeof *v);
        if (!v) die(e, "out of memory");
        glia_rng rng = { .seed = e->c.seed ^ draw << 32, .stream = e->c.number * 64 + (uint64_t)i };
        if (i < e->c.n) case_fill(&e->c, i, n, draw, v);
        for (int64_t k = 0; k < n && i >= e->c.n; k++) v[k] = (double)(float)(2 * glia_rng_uniform(&rng) - 1);
        printf("%s", i ? "," : "");
        print_array(glia_leaf_of(e->leaf[i])->name, shape, v);
        free(v);
    }
}

/* {"case": 3, "expression": "relu(x0)", "values": "uniform", "kinks": true, "leaves": [...], "outputs": [...]} */
static void print_case(uint64_t seed, uint64_t number, uint64_t draw) {
    experiment e = experiment_of(seed, number, GLIA_F32);
    glia_rng rng = { .seed = seed, .stream = ~number };
    setting s = { .backend = "cpu", .isa = pick_isa(&rng), .threads = 1, .fuses = true, .draw = draw };
    results r = run(&e, s);
    printf("{\"case\":%llu,\"expression\":\"%s\",\"values\":\"%s\",\"kinks\":%s,\"leaves\":[",
           (unsigned long long)number, e.c.text.bytes, case_values_names[e.c.kind], e.c.kinks ? "true" : "false");
    print_leaves(&e, draw);
    printf("],\"outputs\":[");
    for (int i = 0; i < e.outs && (e.first_sum < 0 || i < e.first_sum); i++) {
        printf("%s", i ? "," : "");
        char name[40] = "y";
        if (i) {
            snprintf(name, sizeof name, "%c.%s", i < e.second ? 'd' : 'e', glia_leaf_of(e.leaf[e.first_of[i]])->name);
        }
        print_array(name, glia_tensor_shape(e.out[i]), r.v[i]);
    }
    printf("]}\n");
    results_free(&r);
    case_free(&e.c);
}

int main(int argc, char **argv) {
    const bool prints = argc > 1 && !strcmp(argv[1], "--print");
    argv += prints, argc -= prints;
    const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1,
                   count = argc > 2 ? strtoull(argv[2], NULL, 10) : 150;
    const uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 10) : 0,
                   draw = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    uint64_t wrong = 0;
    if (!prints) printf("seed %llu\n", (unsigned long long)seed);
    for (uint64_t number = first; number < first + count; number++) {
        if (prints)
            print_case(seed, number, draw);
        else
            wrong += !check_case(seed, number);
    }
    if (!prints)
        printf("seed %llu: %llu cases, %llu wrong\n", (unsigned long long)seed, (unsigned long long)count,
               (unsigned long long)wrong);
    return wrong != 0;
}
