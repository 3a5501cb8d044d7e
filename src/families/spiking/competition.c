/* competition.c - "Unsupervised learning of digit recognition using spike-timing-dependent plasticity" (Diehl and Cook
 * 2015): cells that inhibit each other learn what their inputs have in common.
 *
 *     inputs ──(weights, STDP)──► cells ──(one to one)──► inhibitory cells ──(all but the own)──► cells
 *
 * A cell: tau dv/dt = rest - v + ge (0 - v) + gi (-100 - v), conductances in leaks, all by Euler steps of dt as in the
 * authors' program (so ge halves in a step of 0.5 ms); its threshold is theta - 72 mV, where theta grows with each of
 * its spikes.
 *
 * What costs time are events. Inputs fire as Poisson processes, whose next times are drawn, so steps without a spike
 * draw nothing. A spike of an input adds a row of weights to ge. Traces are kept as the time of the last spike, because
 * each spike sets them to 1 (nearest spikes), and are computed when they are needed:
 *
 *     input fires   w -= rate_pre post1          for the cells that have fired while this sample is shown
 *     cell fires    w += rate_post pre post2     for the inputs that have fired, with post2 of its last spike
 *
 * Inhibitory cells are computed only while their conductance is not spent. After `shown` ms without input, the network
 * runs on until nothing moves, and the rest of the pause is one decay: then everything but weights and theta is at
 * rest, so samples are shown one by one in any order, by any number of threads.
 */
#include "families/spiking/competition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Constants of the paper's cells that are no settings. */
#define REST            (-65.0f)
#define RESET           (-65.0f)
#define OFFSET          (-72.0f) /* of the threshold: theta - 20 - 52 */
#define E_INH           (-100.0f)
#define TAU             100.0
#define TAU_E           1.0
#define TAU_I           2.0
#define HELD            5.0
#define INNER_REST      (-60.0f)
#define INNER_RESET     (-45.0f)
#define INNER_THRESHOLD (-40.0f)
#define INNER_TAU       10.0
#define INNER_HELD      2.0

enum { BRIGHTEST = 40, DRAWN = 512 };

typedef float lanes __attribute__((vector_size(4 * GLIA_COMPETITION_LANES), aligned(4)));
typedef int32_t masks __attribute__((vector_size(4 * GLIA_COMPETITION_LANES), aligned(4)));

struct glia_competition_run {
    int64_t steps;              /* that a sample is shown, and most of the pause that is computed */
    int64_t width;              /* cells, padded to a multiple of the lanes; the padding never fires */
    float *v, *ge, *gi, *limit; /* (width); limit: the threshold */
    int32_t *held;              /* (n): the step at which the cell may fire again */
    int32_t *last;              /* (n): the step of its last spike, -1: none */
    int32_t *active;            /* cells that have fired, in order of their first spike */
    int64_t n_active;
    int32_t *inner; /* inhibitory cells that are not at rest */
    int64_t n_inner;
    float *inner_v, *inner_g;
    int32_t *inner_held;
    int32_t *seen; /* (inputs): the step of the last spike, -1: none */
    int32_t *head; /* (steps): first spike of the step in `next`, -1: none */
    int32_t *next, *source;
    int64_t n_spikes, capacity;
    float *pre, *post1, *post2; /* decay of traces by age in steps */
    double drawn[DRAWN];
    int n_drawn;
    void (*watch)(void *context, int64_t step, int64_t cell);
    void *watcher;
};

static size_t padded(const glia_competition *net) {
    const size_t lanes_of = GLIA_COMPETITION_LANES;
    return ((size_t)net->n + lanes_of - 1) / lanes_of * lanes_of;
}

static int64_t steps_of(double ms, double dt) { return (int64_t)llround(ms / dt); }

void glia_competition_run_free(glia_competition_run *r) {
    if (!r) return;
    void *const blocks[] = { r->v,      r->limit, r->ge,      r->gi,      r->held,       r->last,
                             r->active, r->inner, r->inner_v, r->inner_g, r->inner_held, r->seen,
                             r->head,   r->next,  r->source,  r->pre,     r->post1,      r->post2 };
    for (int i = 0; i < GLIA_COUNT(blocks); i++) free(blocks[i]);
    free(r);
}

glia_competition_run *glia_competition_run_create(const glia_competition *net) {
    const glia_competition_rules *u = &net->rules;
    glia_competition_run *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    const size_t n = (size_t)net->n, width = padded(net), inputs = (size_t)net->inputs;
    r->steps = steps_of(u->shown, u->dt);
    r->capacity = 1024;
    r->width = (int64_t)width;
    float **const reals[] = { &r->v, &r->ge, &r->gi, &r->limit };
    for (int i = 0; i < GLIA_COUNT(reals); i++) *reals[i] = glia_alloc_aligned(width * sizeof(float));
    int32_t **const counts[] = { &r->held, &r->last, &r->active, &r->inner, &r->inner_held };
    for (int i = 0; i < GLIA_COUNT(counts); i++) *counts[i] = malloc(n * sizeof(int32_t));
    r->inner_v = malloc(n * sizeof *r->inner_v);
    r->inner_g = malloc(n * sizeof *r->inner_g);
    r->seen = malloc(inputs * sizeof *r->seen);
    r->head = malloc((size_t)r->steps * sizeof *r->head);
    r->next = malloc((size_t)r->capacity * sizeof *r->next);
    r->source = malloc((size_t)r->capacity * sizeof *r->source);
    const size_t ages = (size_t)(r->steps + steps_of(u->rest, u->dt) + 1);
    const double taus[] = { u->tau_pre, u->tau_post1, u->tau_post2 };
    float **const traces[] = { &r->pre, &r->post1, &r->post2 };
    bool made = r->v && r->ge && r->gi && r->limit && r->held && r->last && r->active && r->inner && r->inner_v &&
                r->inner_g && r->inner_held && r->seen && r->head && r->next && r->source;
    for (int i = 0; i < GLIA_COUNT(traces); i++) {
        *traces[i] = malloc(ages * sizeof(float));
        made = made && *traces[i];
        for (size_t k = 0; *traces[i] && k < ages; k++) (*traces[i])[k] = (float)exp(-(double)k * u->dt / taus[i]);
    }
    if (made) return r;
    glia_competition_run_free(r);
    return NULL;
}

void glia_competition_watch(glia_competition_run *r, void (*watch)(void *context, int64_t step, int64_t cell),
                            void *context) {
    r->watch = watch;
    r->watcher = context;
}

/* ---- the spikes of the inputs --------------------------------------------------------------------- */

static double uniform(glia_competition_run *r, glia_rng *rng) {
    if (r->n_drawn == 0) {
        glia_rng_uniforms(rng, r->drawn, DRAWN);
        r->n_drawn = DRAWN;
    }
    return r->drawn[--r->n_drawn];
}

static bool add_spike(glia_competition_run *r, int64_t step, int64_t input) {
    if (r->n_spikes == r->capacity) {
        const size_t more = (size_t)r->capacity * 2;
        int32_t *next = realloc(r->next, more * sizeof *next), *source = NULL;
        if (next) r->next = next;
        if (next) source = realloc(r->source, more * sizeof *source);
        if (!source) return false;
        r->source = source;
        r->capacity = (int64_t)more;
    }
    r->source[r->n_spikes] = (int32_t)input;
    r->next[r->n_spikes] = r->head[step];
    r->head[step] = (int32_t)r->n_spikes++;
    return true;
}

/* The step of a spike, moved by a normal number (Box and Muller) but kept inside the presentation. */
static int64_t jittered(const glia_competition *net, glia_competition_run *r, int64_t step, glia_rng *rng) {
    if (net->rules.jitter <= 0) return step;
    const double u = sqrt(-2 * log1p(-uniform(r, rng))), angle = 6.283185307179586 * uniform(r, rng);
    const double by = net->rules.jitter / net->rules.dt * u * cos(angle);
    const double last = (double)(r->steps - 1), at = fabs(round((double)step + by)); /* reflected at both ends */
    return (int64_t)fmin(fmax(at > last ? 2 * last - at : at, 0), last);
}

/* Draws all spikes of the presentation: distances between spikes of an input are geometric. false: out of memory. */
static bool draw_spikes(const glia_competition *net, glia_competition_run *r, const float *x, double intensity,
                        glia_rng *rng) {
    memset(r->head, 0xFF, (size_t)r->steps * sizeof *r->head);
    r->n_spikes = 0;
    for (int64_t i = 0; i < net->inputs; i++) {
        const double chance = fmin((double)x[i] * net->rules.rate * intensity * net->rules.dt / 1000, 1);
        if (!(chance > 0)) continue;
        const double scale = chance < 1 ? 1 / log1p(-chance) : 0;
        for (double t = -1; (t += 1 + floor(log1p(-uniform(r, rng)) * scale)) < (double)r->steps;) {
            if (net->rules.loss > 0 && uniform(r, rng) < net->rules.loss) continue;
            if (!add_spike(r, jittered(net, r, (int64_t)t, rng), i)) return false;
        }
    }
    return true;
}

/* ---- one step --------------------------------------------------------------------------------------- */

static void begin_run(const glia_competition *net, glia_competition_run *r) {
    for (int64_t j = 0; j < r->width; j++) {
        r->v[j] = REST;
        r->limit[j] = j < net->n ? net->theta[j] + OFFSET : INFINITY;
    }
    memset(r->ge, 0, (size_t)r->width * sizeof *r->ge);
    memset(r->gi, 0, (size_t)r->width * sizeof *r->gi);
    memset(r->held, 0, (size_t)net->n * sizeof *r->held);
    memset(r->last, 0xFF, (size_t)net->n * sizeof *r->last);
    memset(r->seen, 0xFF, (size_t)net->inputs * sizeof *r->seen);
    memset(r->inner_held, 0xFF, (size_t)net->n * sizeof *r->inner_held);
    r->n_active = r->n_inner = 0;
}

/* An input fires: its row of weights is added to the conductances; with `learns` it falls by the cells' traces. */
static void deliver(const glia_competition *net, glia_competition_run *r, int64_t input, int64_t t, bool learns,
                    glia_competition_told *told) {
    float *row = net->weights + input * net->n, *ge = r->ge;
    int64_t j = 0;
    for (; j + GLIA_COMPETITION_LANES <= net->n; j += GLIA_COMPETITION_LANES) {
        *(lanes *)(void *)(ge + j) += *(const lanes *)(const void *)(row + j);
    }
    for (; j < net->n; j++) ge[j] += row[j];
    told->operations += net->n;
    r->seen[input] = (int32_t)t;
    if (!learns) return;
    const float rate = (float)net->rules.rate_pre;
    for (int64_t k = 0; k < r->n_active; k++) {
        const int32_t cell = r->active[k];
        row[cell] = fmaxf(row[cell] - rate * r->post1[t - r->last[cell]], 0);
    }
    told->operations += r->n_active;
}

/* What an Euler step leaves of a conductance. */
static float decay(const glia_competition *net, double tau) { return (float)fmax(1 - net->rules.dt / tau, 0); }

/* Moves all membranes by dt. Returns whether one is above its threshold. */
static bool move_cells(const glia_competition *net, glia_competition_run *r, bool inhibited) {
    const float leak = (float)(net->rules.dt / TAU), fall_e = decay(net, TAU_E), fall_i = decay(net, TAU_I);
    const lanes most = 1 / leak - (lanes){ 0 }; /* what takes v to E_INH in a step: beyond it Euler is unstable */
    masks any = { 0 };
    for (int64_t j = 0; j < r->width; j += GLIA_COMPETITION_LANES) {
        lanes *v = (lanes *)(void *)(r->v + j), *ge = (lanes *)(void *)(r->ge + j), *gi = (lanes *)(void *)(r->gi + j);
        lanes d = (REST - *v) - *ge * *v;
        if (inhibited) {
            const masks low = *gi < most;
            d += (lanes)(((masks)*gi & low) | ((masks)most & ~low)) * (E_INH - *v);
            *gi *= fall_i;
        }
        *ge *= fall_e;
        *v += leak * d;
        any |= *v > *(const lanes *)(const void *)(r->limit + j);
    }
    int32_t all = 0;
    for (int i = 0; i < GLIA_COMPETITION_LANES; i++) all |= any[i];
    return all != 0;
}

/* Cell j fires. */
static void fire(glia_competition *net, glia_competition_run *r, int64_t j, int64_t t, bool learns, int32_t *counts,
                 glia_competition_told *told) {
    const glia_competition_rules *u = &net->rules;
    counts[j]++;
    told->spikes++;
    if (r->watch) r->watch(r->watcher, t, j);
    r->v[j] = RESET;
    r->held[j] = (int32_t)(t + steps_of(HELD, u->dt));
    if (r->inner_held[j] < 0) { /* its inhibitory cell was at rest */
        r->inner[r->n_inner++] = (int32_t)j;
        r->inner_v[j] = INNER_REST;
        r->inner_g[j] = 0;
        r->inner_held[j] = 0;
    }
    r->inner_g[j] += (float)u->excitation;
    if (learns) {
        const float before = r->last[j] < 0 ? 0 : r->post2[t - r->last[j]], rate = (float)u->rate_post * before;
        for (int64_t i = 0; before > 0 && i < net->inputs; i++) {
            if (r->seen[i] < 0) continue;
            float *w = net->weights + i * net->n + j;
            *w = fminf(*w + rate * r->pre[t - r->seen[i]], 1);
        }
        told->operations += net->inputs;
        net->theta[j] += (float)u->theta_plus;
        r->limit[j] = net->theta[j] + OFFSET;
    }
    if (r->last[j] < 0) r->active[r->n_active++] = (int32_t)j;
    r->last[j] = (int32_t)t;
}

/* Moves the inhibitory cells that are not at rest. Returns whether any fired. */
static bool move_inner(const glia_competition *net, glia_competition_run *r, int64_t t, glia_competition_told *told) {
    const float leak = (float)(net->rules.dt / INNER_TAU), fall = decay(net, TAU_E);
    bool any = false;
    int64_t kept = 0;
    for (int64_t k = 0; k < r->n_inner; k++) {
        const int32_t j = r->inner[k];
        float *v = &r->inner_v[j], *g = &r->inner_g[j];
        if (r->inner_held[j] <= t) *v += leak * ((INNER_REST - *v) - *g * *v);
        *g *= fall;
        if (r->inner_held[j] <= t && *v > INNER_THRESHOLD) {
            const float own = r->gi[j];
            for (int64_t i = 0; i < r->width; i++) r->gi[i] += (float)net->rules.inhibition;
            r->gi[j] = own;
            *v = INNER_RESET;
            r->inner_held[j] = (int32_t)(t + steps_of(INNER_HELD, net->rules.dt));
            told->operations += net->n;
            any = true;
        }
        if (*g > 0.01f || *v > INNER_REST + 1) {
            r->inner[kept++] = j;
        } else {
            r->inner_held[j] = -1;
        }
    }
    r->n_inner = kept;
    return any;
}

/* All membranes move before spikes arrive, as in the authors' program: a cell's spike moves its inhibitory cell in the
 * next step, and that one's spike the cells in the step after it. Returns whether an inhibitory cell fired. */
static bool step_cells(glia_competition *net, glia_competition_run *r, int64_t t, bool inhibited, bool learns,
                       int32_t *counts, glia_competition_told *told) {
    const bool any = move_cells(net, r, inhibited), inner = r->n_inner > 0 && move_inner(net, r, t, told);
    for (int64_t k = 0; k < r->n_active; k++) {
        if (r->held[r->active[k]] > t) r->v[r->active[k]] = RESET;
    }
    for (int64_t j = 0; any && j < net->n; j++) {
        if (r->v[j] > r->limit[j]) fire(net, r, j, t, learns, counts, told);
    }
    return inner;
}

/* ---- presentations ---------------------------------------------------------------------------------- */

static void normalize(glia_competition *net, int64_t j) {
    double sum = 0;
    for (int64_t i = 0; i < net->inputs; i++) sum += (double)net->weights[i * net->n + j];
    const float scale = (float)(sum > 0 ? net->rules.norm / sum : 1);
    for (int64_t i = 0; i < net->inputs; i++) net->weights[i * net->n + j] *= scale;
}

void glia_competition_normalize(glia_competition *net) {
    for (int64_t j = 0; j < net->n; j++) normalize(net, j);
}

/* Shows the spikes that were drawn. Returns the cells' spikes while there was input. */
static int64_t show_once(glia_competition *net, glia_competition_run *r, bool learns, int32_t *counts,
                         glia_competition_told *told) {
    const glia_competition_rules *u = &net->rules;
    const int64_t pause = steps_of(u->rest, u->dt), spent = steps_of(10 * TAU_I, u->dt);
    int64_t inhibited = 0, before = told->spikes, shown = 0;
    begin_run(net, r);
    for (int64_t t = 0; t < r->steps + pause; t++) {
        for (int32_t s = t < r->steps ? r->head[t] : -1; s >= 0; s = r->next[s]) {
            deliver(net, r, r->source[s], t, learns, told);
        }
        if (inhibited == t) memset(r->gi, 0, (size_t)r->width * sizeof *r->gi); /* e^-10 of it is left */
        if (step_cells(net, r, t, inhibited > t, learns, counts, told)) inhibited = t + spent;
        if (t + 1 == r->steps) shown = told->spikes - before;
        if (t >= r->steps + spent && r->n_inner == 0 && inhibited <= t) break; /* all that is left is one decay */
    }
    told->input_spikes += r->n_spikes;
    told->milliseconds += u->shown + u->rest;
    told->shown++;
    const double fade = learns ? exp(-(u->shown + u->rest) / u->tau_theta) : 1;
    for (int64_t j = 0; learns && j < net->n; j++) net->theta[j] *= (float)fade;
    for (int64_t k = 0; learns && k < r->n_active; k++) normalize(net, r->active[k]);
    return shown;
}

glia_competition_told glia_competition_show(glia_competition *net, glia_competition_run *r, const float *x,
                                            uint64_t seed, uint64_t stream, bool learns, int32_t *counts) {
    glia_competition_told told = { 0 };
    glia_rng rng = { .seed = seed, .stream = stream };
    r->n_drawn = 0;
    for (double intensity = net->rules.intensity; intensity <= BRIGHTEST; intensity++) {
        memset(counts, 0, (size_t)net->n * sizeof *counts);
        told.failed = !draw_spikes(net, r, x, intensity, &rng);
        if (told.failed || show_once(net, r, learns, counts, &told) >= net->rules.least || r->n_spikes == 0) break;
    }
    return told;
}
