/* The nets for pictures against torchvision (tools/golden/zoo.py): numbers of parameters, names and shapes of states,
 * outputs and gradients for the same values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "asserts.h"
#include "models/models.h"

static glia_error error;

static void check(glia_status status) {
    if (status != GLIA_OK) fail_msg("%s", error.message);
}

/* ---- what the script draws ------------------------------------------------------------------ */

static uint64_t fnv(const char *text) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++) h = (h ^ (uint8_t)*text) * 0x100000001b3u;
    return h;
}

static double draw(uint64_t seed, int64_t i) {
    uint64_t z = seed + (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z = z ^ (z >> 31);
    return (double)(z >> 40) / 8388608.0 - 1;
}

/* torchvision's name of a parameter or state. */
static const char *spell(const char *name) {
    static char out[256];
    snprintf(out, sizeof out, "%s", name);
    char *last = strrchr(out, '/');
    if (last && strstr(out, "/self_attention/qkv/")) {
        snprintf(strstr(out, "/qkv/"), 32, "/in_proj_%s", strcmp(last, "/kernel") == 0 ? "weight" : "bias");
    } else if (last && strstr(out, "/self_attention/out/")) {
        snprintf(strstr(out, "/out/"), 32, "/out_proj/%s", strcmp(last, "/kernel") == 0 ? "weight" : "bias");
    } else if (last && (!strcmp(last, "/kernel") || !strcmp(last, "/scale"))) {
        snprintf(last, 16, "/weight");
    } else if (last && !strcmp(last, "/shift")) {
        snprintf(last, 16, "/bias");
    }
    for (char *at = out; *at; at++) *at = *at == '/' ? '.' : *at;
    return out;
}

static bool ends(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

static void fill(const glia_array *a) {
    const char *name = spell(a->name);
    const uint64_t seed = fnv(name);
    const int64_t n = glia_shape_count(a->shape);
    double middle = 0, scale = 0.1;
    if (ends(name, "running_var") || (a->shape.rank == 1 && ends(name, "weight")))
        middle = 1, scale = 0.2;
    else if (a->shape.rank > 1 && ends(name, "weight"))
        scale = sqrt(6 / (double)(n / a->shape.dim[0]));
    for (int64_t i = 0; i < n; i++) ((float *)a->data)[i] = (float)(middle + scale * draw(seed, i));
}

/* ---- counts and names ----------------------------------------------------------------------- */

static uint64_t state_hash(glia_model *model) {
    glia_store *store = glia_model_store(model);
    uint64_t sum = 0;
    for (int i = 0; i < glia_store_count(store); i++) {
        const glia_array a = glia_store_at(store, i);
        if (!a.parameter && !strstr(a.name, "running_")) continue;
        char line[512];
        int at = snprintf(line, sizeof line, "%s ", spell(a.name));
        for (int d = 0; d < a.shape.rank; d++)
            at += snprintf(line + at, sizeof line - (size_t)at, "%s%lld", d ? "," : "", (long long)a.shape.dim[d]);
        sum += fnv(line);
    }
    return sum;
}

static FILE *open_golden(void) {
    FILE *file = fopen(GLIA_GOLDEN_DIR "/zoo.txt", "r");
    assert_non_null(file);
    return file;
}

/* States of at most 9 million numbers are made to compare their names; of the others the numbers are counted. */
static void test_counts_and_names(void **state) {
    (void)state;
    FILE *file = open_golden();
    char line[512], name[64];
    int n = 0;
    while (fgets(line, sizeof line, file)) {
        long long parameters;
        unsigned long long hash;
        if (sscanf(line, "model %63s %lld %llu", name, &parameters, &hash) != 3) continue;
        const glia_recipe *recipe = glia_recipe_find(name);
        if (!recipe) fail_msg("no model %s", name);
        glia_model *model = glia_recipe_build(recipe, recipe->sample, recipe->outputs, &error);
        if (!model) fail_msg("%s", error.message);
        if (glia_model_parameter_count(model, false) != parameters)
            fail_msg("%s: not %lld parameters", name, parameters);
        if (parameters < 9000000) {
            check(glia_model_init(model, 0, &error));
            if (state_hash(model) != hash) fail_msg("%s: names or shapes differ from torchvision's", name);
        }
        glia_model_free(model);
        n++;
    }
    fclose(file);
    assert_int_equal(n, 33);
    static const struct {
        const char *name;
        int64_t parameters;
    } others[] = { { "alexnet-two-towers", 60965224 }, { "lenet5-1998", 60000 }, { "lenet5", 61706 } };
    for (int i = 0; i < 3; i++) {
        const glia_recipe *recipe = glia_recipe_find(others[i].name);
        glia_model *model = glia_recipe_build(recipe, recipe->sample, recipe->outputs, &error);
        assert_int_equal(glia_model_parameter_count(model, false), others[i].parameters);
        glia_model_free(model);
    }
}

/* ---- outputs and gradients ------------------------------------------------------------------ */

enum { SHIFTS_MOST = 160 };

typedef struct run {
    glia_model *model;
    glia_backend *backend;
    glia_program *program;
    glia_session *session;
    glia_tensor x, loss;
    char names[16][128];
    double want[16], norm[16];
    int n; /* gradients; the logits are output 0 */
    struct {
        char name[96];
        float by;
    } shifts[SHIFTS_MOST];
    int n_shifts;
} run;

/* The model of a case with the script's values; VGG without its dense layers. */
static glia_model *make(const char *name, int side) {
    const glia_recipe *recipe = glia_recipe_find(name);
    glia_model *model = glia_recipe_build(recipe, GLIA_SHAPE(3, side, side), recipe->outputs, &error);
    if (!model) fail_msg("%s", error.message);
    if (strncmp(name, "vgg", 3) != 0) return model;
    glia_model *part = glia_model_cut(model, "features/26", &error);
    if (!part) fail_msg("%s", error.message);
    glia_model_free(model);
    return part;
}

static glia_tensor leaf(const run *r, const char *name) {
    if (strcmp(name, "x") == 0) return r->x;
    glia_store *store = glia_model_store(r->model);
    for (int i = 0; i < glia_store_count(store); i++) {
        const glia_array a = glia_store_at(store, i);
        glia_tensor found;
        if (!a.parameter || strcmp(spell(a.name), name) != 0) continue;
        if (glia_parameters(glia_model_graph(r->model), a.name, &found, 1) == 1) return found;
    }
    fail_msg("no parameter %s", name);
    return NULL;
}

static void read_case(run *r, FILE *file, double *logits, int *n_logits) {
    char line[1024];
    r->n = r->n_shifts = *n_logits = 0;
    long before = ftell(file);
    while (fgets(line, sizeof line, file) && strncmp(line, "case", 4) != 0) {
        before = ftell(file);
        if (strncmp(line, "logits", 6) == 0) {
            for (char *at = line + 6, *end; *n_logits < 16; at = end) {
                logits[*n_logits] = strtod(at, &end);
                if (end == at) break;
                ++*n_logits;
            }
        } else if (sscanf(line, "gradient %127s %lf %lf", r->names[r->n], &r->want[r->n], &r->norm[r->n]) == 3) {
            r->n++;
        } else if (sscanf(line, "shift %95s %f", r->shifts[r->n_shifts].name, &r->shifts[r->n_shifts].by) == 2) {
            assert_true(++r->n_shifts < SHIFTS_MOST);
        }
    }
    if (!feof(file)) fseek(file, before, SEEK_SET);
}

static void compute(run *r) {
    glia_tensor y = glia_model_output_at(r->model, 0, NULL), xs[16], outputs[17];
    r->x = glia_model_input_at(r->model, 0, NULL);
    y = glia_flatten(y);
    const int64_t width = -glia_shape_count(glia_tensor_shape(y));
    double *weights = malloc((size_t)(2 * width) * sizeof *weights);
    for (int64_t i = 0; i < 2 * width; i++) weights[i] = draw(fnv("weights"), i);
    glia_graph *g = glia_model_graph(r->model);
    glia_tensor w = glia_input(g, "weights", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, width));
    r->loss = glia_sum(glia_mul(y, w), GLIA_SCALAR, false);
    for (int i = 0; i < r->n; i++) xs[i] = leaf(r, r->names[i]);
    outputs[0] = y;
    glia_grad(r->loss, xs, r->n, outputs + 1);
    r->backend = glia_backend_open("cpu", 2, &error);
    const glia_compile_opts opts = { .outputs = outputs, .n_outputs = r->n + 1, .batch = 2 };
    r->program = glia_compile(g, r->backend, opts, &error);
    if (!r->program) fail_msg("%s", error.message);
    r->session = glia_session_create(r->program, glia_model_store(r->model), &error);
    if (!r->session) fail_msg("%s", error.message);
    glia_array input;
    float *x = glia_session_input(r->session, "x", &input, &error);
    for (int64_t i = 0; i < glia_shape_count(input.shape); i++) x[i] = (float)draw(fnv("x"), i);
    float *to = glia_session_input(r->session, "weights", NULL, &error);
    for (int64_t i = 0; i < 2 * width; i++) to[i] = (float)weights[i];
    free(weights);
    check(glia_session_run(r->session, &error));
}

/* The script's values. The shifts keep all units away from the kinks of their ReLUs, on whose sides rounding would
 * decide. */
static void fill_state(const run *r) {
    glia_store *store = glia_model_store(r->model);
    int shifted = 0;
    for (int i = 0; i < glia_store_count(store); i++) {
        const glia_array a = glia_store_at(store, i);
        if (!a.parameter && !strstr(a.name, "running_")) continue;
        fill(&a);
        for (int k = 0; k < r->n_shifts; k++) {
            if (strcmp(r->shifts[k].name, spell(a.name)) != 0) continue;
            for (int64_t j = 0; j < glia_shape_count(a.shape); j++) ((float *)a.data)[j] += r->shifts[k].by;
            shifted++;
        }
    }
    assert_int_equal(shifted, r->n_shifts);
}

static void compare(const run *r, const char *name, const double *logits, int n_logits) {
    const glia_array y = glia_session_output(r->session, 0);
    const int64_t width = y.shape.dim[1];
    double most = 1;
    for (int i = 0; i < n_logits; i++) most = fmax(most, fabs(logits[i]));
    for (int i = 0; i < n_logits; i++) {
        const double got = ((const float *)y.data)[i / 5 * width + i % 5];
        if (!(fabs(got - logits[i]) <= 1e-4 * most)) fail_msg("%s: logit %d is %g, not %g", name, i, got, logits[i]);
    }
    for (int k = 0; k < r->n; k++) {
        const glia_array g = glia_session_output(r->session, k + 1);
        char key[160];
        snprintf(key, sizeof key, "%s?", r->names[k]);
        const uint64_t seed = fnv(key);
        double sum = 0, square = 0;
        for (int64_t i = 0; i < glia_shape_count(g.shape); i++) {
            const double v = ((const float *)g.data)[i];
            sum += v * draw(seed, i);
            square += v * v;
        }
        const double most_apart = 2e-5 * r->norm[k];
        if (!(fabs(sum - r->want[k]) <= most_apart) || !(fabs(sqrt(square) - r->norm[k]) <= most_apart))
            fail_msg("%s: gradient of %s gives %g (norm %g), not %g (%g)", name, r->names[k], sum, sqrt(square),
                     r->want[k], r->norm[k]);
    }
}

static void test_outputs_and_gradients(void **state) {
    (void)state;
    FILE *file = open_golden();
    char line[1024], name[64];
    int side, n = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "case %63s %d", name, &side) != 2) continue;
        run r = { 0 };
        double logits[16];
        int n_logits;
        read_case(&r, file, logits, &n_logits);
        r.model = make(name, side);
        check(glia_model_init(r.model, 0, &error));
        fill_state(&r);
        compute(&r);
        compare(&r, name, logits, n_logits);
        glia_session_free(r.session);
        glia_program_free(r.program);
        glia_backend_close(r.backend);
        glia_model_free(r.model);
        n++;
    }
    fclose(file);
    assert_int_equal(n, 11);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_and_names),
        cmocka_unit_test(test_outputs_and_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
