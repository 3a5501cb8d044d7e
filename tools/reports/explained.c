/* explained.c - explanations as text, JSON and npz; names of what they explain. */
#include "reports/explained.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/npz.h"
#include "terminal/json.h"

/* ---- names ------------------------------------------------------------------------------------ */

const char *explained_output(const explained *x, int k, char number[SHORT]) {
    if (x->s->classes) return x->s->classes[k];
    snprintf(number, SHORT, "output %d", k);
    return number;
}

/* The tokens of a feature, as far as they fit. */
static void name_word(const explained *x, int64_t feature, char name[SHORT]) {
    size_t length = 0;
    for (int64_t i = 0; i < glia_shape_count(x->s->sample); i++) {
        const size_t n = x->e[0].groups[i] == feature ? strlen(x->tokens[i]) : 0;
        if (length + n >= SHORT) break;
        memcpy(name + length, x->tokens[i], n);
        length += n;
    }
    name[length] = '\0';
}

char *explained_feature(const explained *x, int64_t feature, char name[SHORT]) {
    const glia_explanation *e = &x->e[0];
    const int64_t width = e->shape.rank > 1 ? e->shape.dim[e->shape.rank - 1] : 1;
    if (x->tokens && e->groups)
        name_word(x, feature, name);
    else if (x->tokens && e->n == glia_shape_count(x->s->sample))
        snprintf(name, SHORT, "%s", x->tokens[feature]);
    else if (e->groups)
        snprintf(name, SHORT, "%s %lld", picture_possible(x->s->sample) ? "superpixel" : "feature", (long long)feature);
    else if (x->s->names.columns && feature < x->s->names.n_columns)
        snprintf(name, SHORT, "%s", x->s->names.columns[feature]);
    else if (e->shape.rank > 1)
        snprintf(name, SHORT, "pixel (%lld, %lld)", (long long)(feature / width), (long long)(feature % width));
    else
        snprintf(name, SHORT, "x%lld", (long long)feature);
    return name;
}

char *explained_datum(const explained *x, int64_t i, int64_t feature, char number[SHORT]) {
    const int64_t size = glia_shape_count(x->s->sample);
    number[0] = '\0';
    if (!x->e[i].groups && !x->tokens && x->e[i].n == size)
        snprintf(number, SHORT, "%.4g", x->data[i * size + feature]);
    return number;
}

typedef struct weighed {
    double size;
    int64_t feature;
} weighed;

static int larger_first(const void *a, const void *b) {
    const weighed *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return (x->feature > y->feature) - (x->feature < y->feature);
}

int64_t *explained_order(const explained *x) {
    const int64_t features = x->e[0].n;
    weighed *all = allocate((size_t)features, sizeof *all);
    int64_t *order = allocate((size_t)features, sizeof *order);
    for (int64_t f = 0; f < features; f++) {
        all[f].feature = f;
        for (int64_t i = 0; i < x->n; i++) all[f].size += f < x->e[i].n ? fabs(x->e[i].values[f]) : 0;
    }
    qsort(all, (size_t)features, sizeof *all, larger_first);
    for (int64_t f = 0; f < features; f++) order[f] = all[f].feature;
    free(all);
    return order;
}

/* ---- text ------------------------------------------------------------------------------------- */

static void print_quality(const glia_explanation *e) {
    if (!isnan(e->residual)) printf("  residual %.2g", e->residual);
    if (e->errors) printf("  largest standard error %.2g", e->error);
    if (!isnan(e->r2)) printf("  R2 %.3f", e->r2);
    printf("  %lld evaluations%s\n", (long long)e->evaluations, e->converged ? "" : "  (the tolerance was not met)");
}

void explained_print(const explained *x, int64_t i, int most) {
    enum { BAR = 24 };
    const glia_explanation *e = &x->e[i];
    char name[SHORT], number[SHORT];
    printf("%s%s%s  %s of %s: %.4g", x->inputs[i], x->truths[i] ? "  truth: " : "", x->truths[i] ? x->truths[i] : "",
           x->probability ? "probability" : "score", explained_output(x, e->output, number), e->output_value);
    if (!isnan(e->base_value)) printf(", base %.4g", e->base_value);
    putchar('\n');
    const explained one = { .s = x->s, .n = 1, .e = x->e + i, .tokens = x->tokens };
    int64_t *order = explained_order(&one);
    const double largest = fmax(fabs(e->values[order[0]]), 1e-300);
    for (int64_t k = 0; k < e->n && k < most; k++) {
        const double v = e->values[order[k]];
        explained_datum(x, i, order[k], number);
        printf("  %24s %-10s %+.4g", explained_feature(x, order[k], name), number, v);
        if (e->errors) printf(" +- %.2g", e->errors[order[k]]);
        printf("  ");
        for (int b = 0; b < (int)lrint(BAR * fabs(v) / largest); b++) fputs(v > 0 ? "+" : "-", stdout);
        putchar('\n');
    }
    if (e->n > most) printf("  ... and %lld more\n", (long long)(e->n - most));
    print_quality(e);
    if (x->curves)
        printf("  area of deletion %.4g, of insertion %.4g\n", x->curves[i].deleted, x->curves[i].inserted);
    free(order);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void reals(json *j, const char *key, const double *values, int64_t n) {
    json_open(j, key, '[');
    for (int64_t i = 0; i < n; i++) json_real(j, NULL, values[i]);
    json_close(j, ']');
}

static void sample_json(const explained *x, json *j, int64_t i) {
    const glia_explanation *e = &x->e[i];
    const int64_t size = glia_shape_count(x->s->sample);
    char number[SHORT];
    json_open(j, NULL, '{');
    json_text(j, "input", x->inputs[i]);
    if (x->truths[i]) json_text(j, "truth", x->truths[i]);
    json_text(j, "output_name", explained_output(x, e->output, number));
    json_int(j, "output", e->output);
    json_real(j, "output_value", e->output_value);
    json_real(j, "residual", e->residual);
    json_real(j, "error", e->error);
    json_real(j, "r2", e->r2);
    json_real(j, "local_value", e->local_value);
    json_int(j, "evaluations", e->evaluations);
    json_bool(j, "converged", e->converged);
    json_open(j, "shape", '[');
    for (int k = 0; k < e->shape.rank; k++) json_int(j, NULL, e->shape.dim[k]);
    json_close(j, ']');
    if (e->errors) reals(j, "errors", e->errors, e->n);
    if (x->curves) {
        reals(j, "deletion", x->curves[i].deletion, EXPLAINED_STEPS + 1);
        reals(j, "insertion", x->curves[i].insertion, EXPLAINED_STEPS + 1);
        json_real(j, "deletion_area", x->curves[i].deleted);
        json_real(j, "insertion_area", x->curves[i].inserted);
    }
    if (e->groups) {
        json_open(j, "groups", '[');
        for (int64_t k = 0; k < size; k++) json_int(j, NULL, e->groups[k]);
        json_close(j, ']');
    }
    json_close(j, '}');
}

static void names_json(const explained *x, json *j) {
    char name[SHORT];
    json_open(j, "feature_names", '[');
    for (int64_t f = 0; f < x->e[0].n; f++) json_text(j, NULL, explained_feature(x, f, name));
    json_close(j, ']');
    json_open(j, "output_names", '[');
    for (int k = 0; k < x->s->outputs; k++) json_text(j, NULL, explained_output(x, k, name));
    json_close(j, ']');
}

void explained_json(const explained *x, text *out) {
    json j = { .out = out };
    const int64_t size = glia_shape_count(x->s->sample);
    json_open(&j, NULL, '{');
    json_text(&j, "model", x->model);
    json_text(&j, "method", x->method->name);
    json_text(&j, "settings", x->settings);
    json_text(&j, "score", x->probability ? "probability" : "output");
    json_int(&j, "seed", x->seed);
    json_open(&j, "values", '[');
    for (int64_t i = 0; i < x->n; i++) reals(&j, NULL, x->e[i].values, x->e[i].n);
    json_close(&j, ']');
    json_open(&j, "base_values", '[');
    for (int64_t i = 0; i < x->n; i++) json_real(&j, NULL, x->e[i].base_value);
    json_close(&j, ']');
    json_open(&j, "data", '[');
    for (int64_t i = 0; i < x->n; i++) reals(&j, NULL, x->data + i * size, size);
    json_close(&j, ']');
    names_json(x, &j);
    json_open(&j, "samples", '[');
    for (int64_t i = 0; i < x->n; i++) sample_json(x, &j, i);
    json_close(&j, ']');
    if (x->checked) {
        json_open(&j, "randomization", '[');
        for (int k = 0; k < x->n_checked; k++) {
            json_open(&j, NULL, '{');
            json_text(&j, "layer", x->checked[k].layer);
            json_real(&j, "rank_correlation", x->checked[k].rank_correlation);
            json_real(&j, "absolute_rank_correlation", x->checked[k].absolute_rank_correlation);
            json_close(&j, '}');
        }
        json_close(&j, ']');
    }
    json_close(&j, '}');
    text_append(out, "\n", 1);
}

/* ---- npz -------------------------------------------------------------------------------------- */

static glia_shape with_samples(int64_t n, glia_shape one) {
    glia_shape all = { .rank = one.rank + 1, .dim = { n } };
    memcpy(all.dim + 1, one.dim, (size_t)one.rank * sizeof *one.dim);
    return all;
}

glia_status explained_npz(const explained *x, const char *path, glia_error *error) {
    enum { NUMBERS = 4, MOST = NUMBERS + 3 };
    static const char *const names[NUMBERS] = { "base_values", "output_values", "outputs", "residuals" };
    const int64_t n = x->n, each = x->e[0].n;
    double *values[2], *numbers = allocate((size_t)(NUMBERS * n), sizeof *numbers);
    npz_array arrays[MOST];
    int m = 0;
    for (int kind = 0; kind < 2; kind++) { /* values, errors */
        values[kind] = allocate((size_t)(n * each), sizeof *values[kind]);
        for (int64_t i = 0; i < n; i++) {
            const double *from = kind ? x->e[i].errors : x->e[i].values;
            if (from) memcpy(values[kind] + i * each, from, (size_t)GLIA_MIN(each, x->e[i].n) * sizeof *from);
        }
        if (!kind || x->e[0].errors)
            arrays[m++] =
                (npz_array){ kind ? "errors" : "values", GLIA_F64, with_samples(n, x->e[0].shape), values[kind] };
    }
    for (int k = 0; k < NUMBERS; k++) {
        for (int64_t i = 0; i < n; i++) {
            const glia_explanation *e = &x->e[i];
            numbers[k * n + i] = k == 0 ? e->base_value : k == 1 ? e->output_value : k == 2 ? e->output : e->residual;
        }
        arrays[m++] = (npz_array){ names[k], GLIA_F64, GLIA_SHAPE(n), numbers + k * n };
    }
    arrays[m++] = (npz_array){ "data", GLIA_F64, with_samples(n, x->s->sample), x->data };
    const glia_status status = npz_write(path, arrays, m, error);
    for (int kind = 0; kind < 2; kind++) free(values[kind]);
    free(numbers);
    return status;
}
