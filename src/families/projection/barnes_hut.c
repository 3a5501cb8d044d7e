/* barnes_hut.c - the gradient of t-SNE for many points (van der Maaten 2014, "Accelerating t-SNE using tree-based
 * algorithms").
 *
 * Attraction is summed over neighbours only: the nearest 3 x perplexity points hold nearly all of the distribution p.
 * Repulsion is summed over the cells of a quadtree (Barnes and Hut 1986): a cell that is small compared to its distance
 * counts as all its points at its centre of mass.
 *
 * Cells are tight bounding boxes, split at the middle along both axes. Each split separates points, so there are fewer
 * than two cells per point. Cells are stored in depth-first order; `next` skips a cell's descendants. The tree is built
 * in one thread, and each point sums in depth-first order: bitwise equal results for any number of threads.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/projection/projection.h"

enum { LEAF_MOST = 8 };

/* ---- neighbours --------------------------------------------------------------------------- */

typedef struct neighbour {
    double distance;
    int32_t index;
} neighbour;

typedef struct search {
    const float *x;
    int64_t n, size, k;
    double perplexity;
    int32_t *columns; /* (n, k), ascending */
    double *p;        /* (n, k); NAN at the first where memory ran out */
} search;

static bool is_nearer(neighbour a, neighbour b) {
    return a.distance != b.distance ? a.distance < b.distance : a.index < b.index;
}

static int by_index(const void *a, const void *b) {
    const neighbour *p = a, *q = b;
    return (p->index > q->index) - (p->index < q->index);
}

static double distance_between(const search *s, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t k = 0; k < s->size; k++) {
        const double by = (double)s->x[i * s->size + k] - (double)s->x[j * s->size + k];
        sum += by * by;
    }
    return sum;
}

/* Inserts `new` at index `at` of a max-heap of m by distance, and sifts it down. */
static void sink(neighbour *heap, int64_t m, int64_t at, neighbour new) {
    for (int64_t child; (child = 2 * at + 1) < m; at = child) {
        if (child + 1 < m && is_nearer(heap[child], heap[child + 1])) child++;
        if (!is_nearer(new, heap[child])) break;
        heap[at] = heap[child];
    }
    heap[at] = new;
}

/* The k nearest neighbours of point i, and its distribution over them. */
static void find_neighbours(void *context, int64_t i, int worker) {
    const search *s = context;
    (void)worker;
    neighbour *nearest = malloc((size_t)s->k * sizeof *nearest);
    double *distances = malloc((size_t)s->k * sizeof *distances);
    int64_t m = 0;
    for (int64_t j = 0; nearest && j < s->n; j++) {
        if (j == i) continue;
        const neighbour new = { distance_between(s, i, j), (int32_t)j };
        if (m < s->k) {
            nearest[m++] = new;
            for (int64_t at = m / 2; m == s->k && at-- > 0;) sink(nearest, m, at, nearest[at]);
        } else if (is_nearer(new, nearest[0])) {
            sink(nearest, m, 0, new);
        }
    }
    if (nearest && distances) {
        qsort(nearest, (size_t)m, sizeof *nearest, by_index);
        for (int64_t j = 0; j < m; j++) {
            s->columns[i * s->k + j] = nearest[j].index;
            distances[j] = nearest[j].distance;
        }
        glia_tsne_spread(distances, m, -1, s->perplexity, s->p + i * s->k);
    } else {
        s->p[i * s->k] = NAN;
    }
    free(nearest);
    free(distances);
}

/* Adds to row i of `to`; columns come in order, and one may occur twice. */
static void add_pair(glia_neighbours *to, int64_t i, int32_t column, double p) {
    int64_t *end = &to->starts[i + 1];
    if (*end > to->starts[i] && to->columns[*end - 1] == column) {
        to->p[*end - 1] += p;
        return;
    }
    to->columns[*end] = column;
    to->p[(*end)++] = p;
}

/* (p + its transpose) / 2n, from rows of k. back: (n + 1) and (n k) of scratch. */
static void symmetrize(const search *s, glia_neighbours *to, int64_t *back, int64_t *places) {
    const int64_t n = s->n, k = s->k;
    memset(back, 0, (size_t)(n + 1) * sizeof *back);
    for (int64_t e = 0; e < n * k; e++) back[s->columns[e] + 1]++;
    for (int64_t i = 0; i < n; i++) back[i + 1] += back[i];
    for (int64_t e = 0; e < n * k; e++)
        places[back[s->columns[e]]++] = e; /* from here on back[i] is the end of row i */
    to->starts[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t own = i * k, other = i ? back[i - 1] : 0;
        to->starts[i + 1] = to->starts[i];
        while (own < (i + 1) * k || other < back[i]) {
            const int32_t a = own < (i + 1) * k ? s->columns[own] : INT32_MAX;
            const int32_t b = other < back[i] ? (int32_t)(places[other] / k) : INT32_MAX;
            const double p = (a <= b ? s->p[own] : s->p[places[other]]) / (double)(2 * n);
            add_pair(to, i, a <= b ? a : b, p);
            if (a <= b)
                own++;
            else
                other++;
        }
    }
}

glia_status glia_tsne_neighbours(glia_pool *pool, const float *x, int64_t n, int64_t size, double perplexity,
                                 glia_neighbours *to, glia_error *error) {
    search s = { .x = x, .n = n, .size = size, .perplexity = perplexity };
    s.k = GLIA_MIN(n - 1, GLIA_MAX((int64_t)(3 * perplexity), (int64_t)1));
    const size_t pairs = (size_t)(n * s.k);
    *to = (glia_neighbours){ .starts = malloc((size_t)(n + 1) * sizeof *to->starts),
                             .columns = malloc(2 * pairs * sizeof *to->columns),
                             .p = malloc(2 * pairs * sizeof *to->p) };
    s.columns = malloc(pairs * sizeof *s.columns);
    s.p = malloc(pairs * sizeof *s.p);
    int64_t *scratch = malloc(((size_t)n + 1 + pairs) * sizeof *scratch);
    bool found = to->starts && to->columns && to->p && s.columns && s.p && scratch;
    if (found) glia_parallel_for(pool, n, find_neighbours, &s);
    for (int64_t i = 0; found && i < n; i++) found = !isnan(s.p[i * s.k]);
    if (found) symmetrize(&s, to, scratch, scratch + n + 1);
    free(s.columns);
    free(s.p);
    free(scratch);
    if (found) return GLIA_OK;
    glia_neighbours_free(to);
    return glia_fail_nomem(error);
}

void glia_neighbours_free(glia_neighbours *p) {
    free(p->starts);
    free(p->columns);
    free(p->p);
    *p = (glia_neighbours){ 0 };
}

/* ---- the tree ----------------------------------------------------------------------------- */

typedef struct cell {
    double x, y, width; /* centre of mass; the longer side */
    int64_t from, n;    /* its points, a range of `order` */
    int64_t next;       /* the cell after all its descendants */
    bool leaf;
} cell;

typedef struct range {
    int64_t from, n;
} range;

struct glia_quadtree {
    int64_t points, n;      /* cells */
    cell *cells;            /* 2 points */
    int64_t *order, *place; /* point of each place, and place of each point */
    range *open;            /* cells still to be made */
};

glia_quadtree *glia_quadtree_create(int64_t points) {
    glia_quadtree *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    const size_t n = (size_t)points;
    *t = (glia_quadtree){ .points = points,
                          .cells = malloc(2 * n * sizeof *t->cells),
                          .order = malloc(n * sizeof *t->order),
                          .place = malloc(n * sizeof *t->place),
                          .open = malloc((n + 4) * sizeof *t->open) };
    if (t->cells && t->order && t->place && t->open) return t;
    glia_quadtree_free(t);
    return NULL;
}

void glia_quadtree_free(glia_quadtree *t) {
    if (!t) return;
    free(t->cells);
    free(t->order);
    free(t->place);
    free(t->open);
    free(t);
}

/* Partitions [from, from + n): points whose coordinate k is at most `middle` come first. Returns their number. */
static int64_t part(int64_t *order, int64_t n, const double *y, int k, double middle) {
    int64_t first = 0;
    for (int64_t i = 0; i < n; i++) {
        if (y[2 * order[i] + k] > middle) continue;
        const int64_t moved = order[i];
        order[i] = order[first];
        order[first++] = moved;
    }
    return first;
}

/* Makes a cell; if it is split, pushes its parts to `open`, the first one last. */
static void make_cell(glia_quadtree *t, range r, const double *y, int64_t *n_open) {
    int64_t *order = t->order + r.from;
    double low[2] = { INFINITY, INFINITY }, high[2] = { -INFINITY, -INFINITY }, sum[2] = { 0 }, middle[2];
    for (int64_t i = 0; i < r.n; i++) {
        for (int k = 0; k < 2; k++) {
            const double at = y[2 * order[i] + k];
            low[k] = GLIA_MIN(low[k], at);
            high[k] = GLIA_MAX(high[k], at);
            sum[k] += at;
        }
    }
    cell *c = &t->cells[t->n++];
    *c = (cell){ .x = sum[0] / (double)r.n, .y = sum[1] / (double)r.n, .from = r.from, .n = r.n };
    c->width = GLIA_MAX(high[0] - low[0], high[1] - low[1]);
    for (int k = 0; k < 2; k++) middle[k] = low[k] + (high[k] - low[k]) / 2;
    const bool parts = middle[0] < high[0] || middle[1] < high[1];
    c->leaf = r.n <= LEAF_MOST || !parts;
    if (c->leaf) return;
    const int64_t left = part(order, r.n, y, 0, middle[0]);
    const int64_t below = part(order, left, y, 1, middle[1]);
    const int64_t right = part(order + left, r.n - left, y, 1, middle[1]);
    const range four[4] = { { r.from + left + right, r.n - left - right },
                            { r.from + left, right },
                            { r.from + below, left - below },
                            { r.from, below } };
    for (int i = 0; i < 4; i++) {
        if (four[i].n) t->open[(*n_open)++] = four[i];
    }
}

static void build(glia_quadtree *t, const double *y) {
    int64_t n_open = 1;
    t->n = 0;
    for (int64_t i = 0; i < t->points; i++) t->order[i] = i;
    t->open[0] = (range){ 0, t->points };
    while (n_open) make_cell(t, t->open[--n_open], y, &n_open);
    for (int64_t i = 0; i < t->points; i++) t->place[t->order[i]] = i;
    for (int64_t i = t->n - 1; i >= 0; i--) {
        cell *c = &t->cells[i];
        c->next = i + 1;
        while (c->next < t->n && t->cells[c->next].from < c->from + c->n) c->next = t->cells[c->next].next;
    }
}

/* ---- the gradient ------------------------------------------------------------------------- */

typedef struct forces {
    const glia_neighbours *p;
    const glia_quadtree *tree;
    const double *y;
    double theta;
    double *sums; /* (n, 5): attraction x, y; repulsion x, y; of 1 / (1 + d^2) */
} forces;

/* Repulsion of `count` points at once. */
static void push(double *sums, double dx, double dy, double count) {
    const double q = 1 / (1 + dx * dx + dy * dy), far = count * q * q;
    sums[2] += far * dx;
    sums[3] += far * dy;
    sums[4] += count * q;
}

static void pull(void *context, int64_t i, int worker) {
    const forces *f = context;
    const glia_quadtree *t = f->tree;
    (void)worker;
    const double x = f->y[2 * i], y = f->y[2 * i + 1];
    double sums[5] = { 0 };
    for (int64_t e = f->p->starts[i]; e < f->p->starts[i + 1]; e++) {
        const double *there = f->y + 2 * (int64_t)f->p->columns[e];
        const double dx = x - there[0], dy = y - there[1], near = f->p->p[e] / (1 + dx * dx + dy * dy);
        sums[0] += near * dx;
        sums[1] += near * dy;
    }
    for (int64_t at = 0; at < t->n;) {
        const cell *c = &t->cells[at];
        const double dx = x - c->x, dy = y - c->y;
        const bool inside = t->place[i] >= c->from && t->place[i] < c->from + c->n;
        if (!inside && c->width * c->width < f->theta * f->theta * (dx * dx + dy * dy)) {
            push(sums, dx, dy, (double)c->n);
            at = c->next;
            continue;
        }
        for (int64_t k = c->from; c->leaf && k < c->from + c->n; k++) {
            const int64_t j = t->order[k];
            if (j != i) push(sums, x - f->y[2 * j], y - f->y[2 * j + 1], 1);
        }
        at++; /* the cell after a leaf, or the first part of an opened cell */
    }
    memcpy(f->sums + 5 * i, sums, sizeof sums);
}

static double walk(glia_pool *pool, const glia_neighbours *p, glia_quadtree *tree, double theta, const double *y,
                   double *sums) {
    build(tree, y);
    forces f = { .p = p, .tree = tree, .y = y, .theta = theta, .sums = sums };
    glia_parallel_for(pool, tree->points, pull, &f);
    double all = 0;
    for (int64_t i = 0; i < tree->points; i++) all += sums[5 * i + 4];
    return all;
}

void glia_tsne_tree_gradient(glia_pool *pool, const glia_neighbours *p, glia_quadtree *tree, double theta,
                             double exaggeration, const double *y, double *gradient, double *scratch) {
    const double all = walk(pool, p, tree, theta, y, scratch);
    glia_tsne_join(scratch, tree->points, all, exaggeration, gradient);
}

double glia_tsne_tree_divergence(glia_pool *pool, const glia_neighbours *p, glia_quadtree *tree, double theta,
                                 const double *y, double *scratch) {
    const double all = walk(pool, p, tree, theta, y, scratch);
    double sum = 0;
    for (int64_t i = 0; i < tree->points; i++) {
        for (int64_t e = p->starts[i]; e < p->starts[i + 1]; e++) {
            const double *there = y + 2 * (int64_t)p->columns[e];
            const double dx = y[2 * i] - there[0], dy = y[2 * i + 1] - there[1];
            if (p->p[e] > 0) sum += p->p[e] * log(p->p[e] * all * (1 + dx * dx + dy * dy));
        }
    }
    return sum;
}
