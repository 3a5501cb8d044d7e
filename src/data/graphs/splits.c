/* splits.c - which nodes, graphs and links are learned from, and which are held out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/graphs/graph_data.h"

enum { STREAM_NODES = 0x6E6F6473, STREAM_LINKS = 0x6C696E6B, STREAM_FOLDS = 0x666F6C64, STREAM_HELD_OUT = 0x68656C64 };

/* A random order of 0 to n - 1 (Fisher-Yates); NULL: out of memory. */
static int64_t *random_order(int64_t n, glia_rng *rng) {
    int64_t *order = malloc(((size_t)n + 1) * sizeof *order);
    for (int64_t i = 0; order && i < n; i++) order[i] = i;
    for (int64_t i = n - 1; order && i > 0; i--) {
        const int64_t k = (int64_t)glia_rng_below(rng, (uint64_t)i + 1), kept = order[i];
        order[i] = order[k];
        order[k] = kept;
    }
    return order;
}

/* The array "split" of nodes or graphs, made if there is none; NULL: see error. */
static uint8_t *split_array(glia_graph_data *d, glia_graph_part part, glia_error *error) {
    glia_array a;
    if (part != GLIA_OF_NODES && part != GLIA_OF_GRAPHS) {
        glia_fail(error, GLIA_E_ARGUMENT, "a split is of nodes or of graphs");
        return NULL;
    }
    if (!glia_graph_data_find(d, part, "split", &a))
        return glia_graph_add_zeros(d, part, "split", GLIA_U8, GLIA_SCALAR, error);
    if (a.dtype == GLIA_U8 && a.shape.rank == 1) return a.data;
    glia_fail(error, GLIA_E_SHAPE, "the array 'split' must be u8, one for each of the %s", glia_graph_part_name(part));
    return NULL;
}

glia_status glia_graph_split_by_class(glia_graph_data *d, glia_graph_part part, int64_t train, int64_t validation,
                                      uint64_t seed, glia_error *error) {
    if (!d) return glia_fail_null(error, "data");
    if (train < 1 || validation < 0) return glia_fail(error, GLIA_E_ARGUMENT, "a split needs 1 or more to train with");
    const int classes = glia_graph_data_classes(d, part);
    if (!classes) return glia_fail(error, GLIA_E_ARGUMENT, "the graph data '%.64s' have no labels", d->name);
    glia_error reason = { 0 };
    uint8_t *split = split_array(d, part, &reason);
    if (!split) return glia_fail(error, reason.status, "%s", reason.message);
    glia_array label;
    glia_graph_data_find(d, part, "label", &label);
    const int64_t n = glia_graph_items(d, part);
    glia_rng rng = { .seed = seed, .stream = STREAM_NODES };
    int64_t *order = random_order(n, &rng), *seen = calloc((size_t)classes, sizeof *seen);
    glia_status status = order && seen ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) {
        const int32_t c = ((const int32_t *)label.data)[order[i]];
        const int64_t before = c < 0 ? 0 : seen[c]++;
        split[order[i]] = c < 0                         ? GLIA_PART_NONE
                          : before < train              ? GLIA_PART_TRAIN
                          : before < train + validation ? GLIA_PART_VALIDATION
                                                        : GLIA_PART_TEST;
    }
    for (int c = 0; status == GLIA_OK && c < classes; c++) {
        if (seen[c] < train + validation)
            status = glia_fail(error, GLIA_E_ARGUMENT, "class %d has %lld members, fewer than %lld + %lld", c,
                               (long long)seen[c], (long long)train, (long long)validation);
    }
    free(order);
    free(seen);
    return status;
}

static bool shares_fit(double validation, double test) { return validation >= 0 && test >= 0 && validation + test < 1; }

glia_status glia_graph_split_randomly(glia_graph_data *d, glia_graph_part part, double validation, double test,
                                      uint64_t seed, glia_error *error) {
    if (!d) return glia_fail_null(error, "data");
    if (!shares_fit(validation, test))
        return glia_fail(error, GLIA_E_ARGUMENT, "shares of %g and %g leave nothing to train with", validation, test);
    glia_error reason = { 0 };
    uint8_t *split = split_array(d, part, &reason);
    if (!split) return glia_fail(error, reason.status, "%s", reason.message);
    const int64_t n = glia_graph_items(d, part);
    const int64_t held = (int64_t)(validation * (double)n + 0.5), tested = (int64_t)(test * (double)n + 0.5);
    glia_rng rng = { .seed = seed, .stream = STREAM_NODES };
    int64_t *order = random_order(n, &rng);
    if (!order) return glia_fail_nomem(error);
    for (int64_t i = 0; i < n; i++)
        split[order[i]] = i < held ? GLIA_PART_VALIDATION : i < held + tested ? GLIA_PART_TEST : GLIA_PART_TRAIN;
    free(order);
    return GLIA_OK;
}

/* ---- folds ---------------------------------------------------------------------------------------- */

glia_status glia_graph_folds(const glia_graph_data *d, glia_graph_part part, int n, uint64_t seed, int32_t *folds,
                             glia_error *error) {
    if (!d || !folds) return glia_fail_null(error, d ? "folds" : "data");
    const int classes = glia_graph_data_classes(d, part);
    if (!classes) return glia_fail(error, GLIA_E_ARGUMENT, "the graph data '%.64s' have no labels", d->name);
    const int64_t count = glia_graph_items(d, part);
    if (n < 2 || n > count)
        return glia_fail(error, GLIA_E_ARGUMENT, "%lld items cannot be %d folds", (long long)count, n);
    glia_array label;
    glia_graph_data_find(d, part, "label", &label);
    glia_rng rng = { .seed = seed, .stream = STREAM_FOLDS };
    int64_t *order = random_order(count, &rng), next = 0;
    if (!order) return glia_fail_nomem(error);
    for (int c = -1; c < classes; c++) { /* one class after the other is dealt out */
        for (int64_t i = 0; i < count; i++) {
            if (((const int32_t *)label.data)[order[i]] == c) folds[order[i]] = (int32_t)(next++ % n);
        }
    }
    free(order);
    return GLIA_OK;
}

glia_status glia_graph_hold_out(glia_graph_data *d, glia_graph_part part, double share, uint64_t seed,
                                glia_error *error) {
    glia_error reason = { 0 };
    glia_array label;
    uint8_t *split = split_array(d, part, &reason);
    if (!split) return glia_fail(error, reason.status, "%s", reason.message);
    const int64_t n = glia_graph_items(d, part);
    const int classes = glia_graph_data_classes(d, part);
    const int32_t *labels = classes && glia_graph_data_find(d, part, "label", &label) ? label.data : NULL;
    glia_rng rng = { .seed = seed, .stream = STREAM_HELD_OUT };
    int64_t *order = random_order(n, &rng);
    if (!order) return glia_fail_nomem(error);
    double due = 0; /* the rests of the classes add up */
    for (int c = -1; c < GLIA_MAX(classes, 1); c++) {
        for (int64_t i = 0; i < n; i++) {
            const int64_t item = order[i];
            if (split[item] != GLIA_PART_TRAIN || (labels ? labels[item] : 0) != c) continue;
            due += share;
            if (due < 1) continue;
            split[item] = GLIA_PART_VALIDATION;
            due -= 1;
        }
    }
    free(order);
    return GLIA_OK;
}

/* ---- scaffolds ------------------------------------------------------------------------------------ */

typedef struct group {
    int32_t scaffold;
    int64_t first, members;
} group;

/* Of equal groups the one that begins last comes first, as in DeepChem. */
static int largest_first(const void *a, const void *b) {
    const group *x = a, *y = b;
    if (x->members != y->members) return x->members > y->members ? -1 : 1;
    return (x->first < y->first) - (x->first > y->first);
}

glia_status glia_graph_split_by_scaffold(glia_graph_data *d, double validation, double test, glia_error *error) {
    if (!d) return glia_fail_null(error, "data");
    if (!shares_fit(validation, test))
        return glia_fail(error, GLIA_E_ARGUMENT, "shares of %g and %g leave nothing to train with", validation, test);
    glia_error reason = { 0 };
    const glia_graph_array *a =
        glia_graph_need(d, GLIA_OF_GRAPHS, "scaffold", GLIA_I32, "a split by scaffold", &reason);
    uint8_t *split = a ? split_array(d, GLIA_OF_GRAPHS, &reason) : NULL;
    if (!split) return glia_fail(error, reason.status, "%s", reason.message);
    a = glia_graph_need(d, GLIA_OF_GRAPHS, "scaffold", GLIA_I32, "a split by scaffold", &reason);
    const int32_t *scaffold = (const int32_t *)(const void *)a->values; /* below the number of graphs */
    group *groups = calloc((size_t)d->graphs, sizeof *groups);
    uint8_t *of = calloc((size_t)d->graphs, 1);
    glia_status status = groups && of ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = d->graphs - 1; status == GLIA_OK && i >= 0; i--) {
        if (scaffold[i] < 0 || scaffold[i] >= d->graphs) {
            status = glia_fail(error, GLIA_E_ARGUMENT, "graph %lld has no scaffold", (long long)i);
            break;
        }
        group *g = &groups[scaffold[i]];
        *g = (group){ scaffold[i], i, g->members + 1 };
    }
    if (status == GLIA_OK) qsort(groups, (size_t)d->graphs, sizeof *groups, largest_first);
    const double n = (double)d->graphs;
    int64_t trained = 0, held = 0;
    for (int64_t k = 0; status == GLIA_OK && k < d->graphs && groups[k].members > 0; k++) {
        const bool fits = (double)(trained + groups[k].members) <= (1 - validation - test) * n;
        const bool holds = !fits && (double)(trained + held + groups[k].members) <= (1 - test) * n;
        if (fits) trained += groups[k].members;
        if (holds) held += groups[k].members;
        of[groups[k].scaffold] = fits ? GLIA_PART_TRAIN : holds ? GLIA_PART_VALIDATION : GLIA_PART_TEST;
    }
    for (int64_t i = 0; status == GLIA_OK && i < d->graphs; i++) split[i] = of[scaffold[i]];
    free(groups);
    free(of);
    return status;
}

/* ---- links ---------------------------------------------------------------------------------------- */

/* Pairs that were drawn already: a hash set of (smaller, larger). */
typedef struct pair_set {
    uint64_t *slots; /* pair + 1; 0: empty */
    uint64_t mask;
} pair_set;

static bool add_pair(pair_set *s, int32_t a, int32_t b) {
    const uint64_t pair = ((uint64_t)(uint32_t)GLIA_MIN(a, b) << 32 | (uint32_t)GLIA_MAX(a, b)) + 1;
    uint64_t at = pair * UINT64_C(0x9E3779B97F4A7C15) >> 20;
    for (;; at++) {
        if (s->slots[at & s->mask] == pair) return false;
        if (s->slots[at & s->mask]) continue;
        s->slots[at & s->mask] = pair;
        return true;
    }
}

/* Pairs of different nodes without an edge, each at most once. */
static glia_status draw_others(const glia_graph_data *d, glia_link_split *s, glia_rng *rng, glia_error *error) {
    const int64_t all = s->n[0] + s->n[1];
    const double possible = (double)d->nodes * (double)(d->nodes - 1) / 2 - (double)d->edges / 2;
    if ((double)all > possible * 0.9)
        return glia_fail(error, GLIA_E_ARGUMENT, "there are too few pairs of nodes without an edge");
    uint64_t size = 16;
    while (size < 4 * (uint64_t)all) size *= 2;
    pair_set set = { calloc(size, sizeof *set.slots), size - 1 };
    if (!set.slots) return glia_fail_nomem(error);
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < s->n[k];) {
            const int32_t a = (int32_t)glia_rng_below(rng, (uint64_t)d->nodes);
            const int32_t b = (int32_t)glia_rng_below(rng, (uint64_t)d->nodes);
            if (a == b || glia_graph_has_edge(d, a, b) || !add_pair(&set, a, b)) continue;
            s->others[k][2 * i] = a;
            s->others[k][2 * i++ + 1] = b;
        }
    }
    free(set.slots);
    return GLIA_OK;
}

/* The place of the edge a -> b, which is there. */
static int64_t edge_at(const glia_graph_data *d, int32_t a, int32_t b) {
    int64_t e = d->offsets[b];
    while (d->sources[e] != a) e++;
    return e;
}

/* Takes held out edges from a list of all (a < b), and both directions from `keep`. */
static void hold_out(const glia_graph_data *d, const int32_t *all, const int64_t *order, glia_link_split *s,
                     uint8_t *keep) {
    for (int64_t i = 0; i < s->n[0] + s->n[1]; i++) {
        const int32_t a = all[2 * order[i]], b = all[2 * order[i] + 1];
        int32_t *to = i < s->n[0] ? s->edges[0] + 2 * i : s->edges[1] + 2 * (i - s->n[0]);
        to[0] = a;
        to[1] = b;
        keep[edge_at(d, a, b)] = keep[edge_at(d, b, a)] = 0;
    }
}

static glia_status split_links(const glia_graph_data *d, double validation, double test, uint64_t seed,
                               glia_link_split *s, glia_error *error) {
    int32_t *all = malloc(((size_t)d->edges + 1) * sizeof *all);
    uint8_t *keep = malloc((size_t)d->edges + 1);
    glia_rng rng = { .seed = seed, .stream = STREAM_LINKS };
    int64_t n = 0, *order = NULL;
    glia_status status = all && keep ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t v = 0; status == GLIA_OK && v < d->nodes; v++) {
        for (int32_t e = d->offsets[v]; e < d->offsets[v + 1]; e++) {
            keep[e] = 1;
            if (d->sources[e] >= v) continue;
            all[2 * n] = d->sources[e];
            all[2 * n++ + 1] = (int32_t)v;
        }
    }
    s->n[0] = (int64_t)(validation * (double)n);
    s->n[1] = (int64_t)(test * (double)n);
    for (int k = 0; k < 2; k++) {
        s->edges[k] = malloc((2 * (size_t)s->n[k] + 1) * sizeof **s->edges);
        s->others[k] = malloc((2 * (size_t)s->n[k] + 1) * sizeof **s->others);
        if (!s->edges[k] || !s->others[k]) status = glia_fail_nomem(error);
    }
    if (status == GLIA_OK && !(order = random_order(n, &rng))) status = glia_fail_nomem(error);
    if (status == GLIA_OK) {
        hold_out(d, all, order, s, keep);
        status = draw_others(d, s, &rng, error);
    }
    glia_error reason = { 0 };
    if (status == GLIA_OK) s->train = glia_graph_data_filter(d, keep, &reason);
    if (status == GLIA_OK && !s->train) status = glia_fail(error, reason.status, "%s", reason.message);
    free(all);
    free(keep);
    free(order);
    return status;
}

glia_status glia_graph_split_links(const glia_graph_data *d, double validation, double test, uint64_t seed,
                                   glia_link_split *split, glia_error *error) {
    if (!d || !split) return glia_fail_null(error, d ? "split" : "data");
    *split = (glia_link_split){ 0 };
    if (!shares_fit(validation, test))
        return glia_fail(error, GLIA_E_ARGUMENT, "shares of %g and %g leave nothing to train with", validation, test);
    if (!d->symmetric || d->graphs != 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "links are split in one graph whose edges go both ways");
    const glia_status status = split_links(d, validation, test, seed, split, error);
    if (status != GLIA_OK) glia_link_split_free(split);
    return status;
}

void glia_link_split_free(glia_link_split *s) {
    if (!s) return;
    glia_graph_data_free(s->train);
    for (int k = 0; k < 2; k++) {
        free(s->edges[k]);
        free(s->others[k]);
    }
    *s = (glia_link_split){ 0 };
}
