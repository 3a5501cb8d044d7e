/* crowd.c - many nets of any shapes in many episodes, side by side.
 *
 *     episodes, net by net ──► lanes: each has a net and an episode of its own ──► returns
 *     a step: all nets (backend/cpu/kernels/net.c) ──► actions ──► all copies (data/environments/episodes.h)
 *
 * Nets are dealt to threads in turn. When an episode ends, the next one takes its lane. What happens in a lane depends
 * on its net and seed alone.
 */
#include "families/evolution/crowd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/net.h"
#include "families/evolution/genome.h"

enum { LANES = GLIA_NET_LANES };
_Static_assert((int)GLIA_NET_LANES == (int)GLIA_ENV_LANES, "a net and a copy share a lane");

typedef struct player {
    int64_t index; /* among the nets of the crowd */
    glia_genome genome;
    glia_net_plan plan;
} player;

/* What a thread plays. */
typedef struct table {
    const glia_crowd *crowd;
    double *returns;
    int64_t begin, step, count; /* nets begin, begin + step ...; how many they are */
    int64_t next;               /* the next episode, net by net */
    glia_arena memory;
    player *players; /* (count) those of equal structure beside each other */
    glia_net_lanes net;
    int most;               /* positions of any net */
    int *first;             /* (most + 1) where links into a position begin: room for those of any net */
    int nodes[LANES];       /* of the net in each lane; 0: none */
    int *counts;            /* (most, lanes) links into a position */
    bool bounded;           /* no node has a value that is not finite */
    int64_t seats[LANES];   /* the net in each lane, as an index of players; -1: none */
    int64_t episode[LANES]; /* that is played there */
    glia_episodes *episodes;
    double *y, *one; /* (outputs, lanes), (outputs) */
    float *action;   /* (outputs) */
    int64_t failed;  /* the net that the error is about */
    glia_error error;
} table;

/* ---- nets ----------------------------------------------------------------------------------------------- */

static bool is_bounded(glia_node_function f) {
    return f == GLIA_NODE_SIGMOID || f == GLIA_NODE_TANH || f == GLIA_NODE_GAUSSIAN || f == GLIA_NODE_STEP;
}

/* By structure. */
static int compare(const void *a, const void *b) {
    const player *left = a, *right = b;
    const glia_net_plan *p = &left->plan, *q = &right->plan;
    if (p->n_order != q->n_order) return p->n_order < q->n_order ? -1 : 1;
    if (p->n_links != q->n_links) return p->n_links < q->n_links ? -1 : 1;
    int order = memcmp(p->first, q->first, (size_t)p->n_order * sizeof *p->first);
    if (order == 0) order = memcmp(p->source, q->source, (size_t)p->n_links * sizeof *p->source);
    return order ? order : left->index < right->index ? -1 : 1;
}

static glia_status make_player(table *t, player *who, glia_error *error) {
    const glia_crowd *c = t->crowd;
    const glia_genome *g = &who->genome;
    glia_net_plan *p = &who->plan;
    glia_status status = c->genome(c->context, who->index, &t->memory, &who->genome, error);
    if (status == GLIA_OK) status = glia_genome_check(g, error);
    if (status == GLIA_OK) status = glia_net_plan_make(g, p, error);
    if (status != GLIA_OK) return status;
    t->most = GLIA_MAX(t->most, p->n_order);
    t->net.recurrent = t->net.recurrent || p->recurrent;
    for (int k = 0; k < p->n_order; k++) t->bounded = t->bounded && is_bounded(g->nodes[p->order[k]].function);
    for (int l = 0; l < p->n_links; l++) t->bounded = t->bounded && fabs(p->weight[l]) < 1e100; /* nor has a sum */
    return GLIA_OK;
}

static glia_status make_players(table *t, glia_error *error) {
    t->players = glia_arena_alloc(&t->memory, (size_t)t->count * sizeof *t->players);
    if (!t->players) return glia_fail_nomem(error);
    t->bounded = true;
    for (int64_t i = 0; i < t->count; i++) {
        t->failed = t->players[i].index = t->begin + i * t->step;
        const glia_status status = make_player(t, &t->players[i], error);
        if (status != GLIA_OK) return status;
    }
    qsort(t->players, (size_t)t->count, sizeof *t->players, compare);
    return GLIA_OK;
}

static glia_status make_net(table *t, glia_error *error) {
    glia_net_lanes *net = &t->net;
    glia_arena *memory = &t->memory;
    const size_t most = (size_t)t->most, outputs = (size_t)t->crowd->stage->outputs;
    net->inputs = t->crowd->stage->inputs;
    net->outputs = t->crowd->stage->outputs;
    net->slots = net->inputs + 1 + t->most;
    net->first = t->first = glia_arena_alloc(memory, (most + 1) * sizeof *t->first);
    if (!t->first) return glia_fail_nomem(error);
    for (int64_t i = 0; i < t->count; i++) {
        const glia_net_plan *p = &t->players[i].plan;
        for (int k = 0; k < p->n_order; k++) t->first[k + 1] = GLIA_MAX(t->first[k + 1], p->first[k + 1] - p->first[k]);
    }
    for (int k = 0; k < t->most; k++) t->first[k + 1] += t->first[k];
    const size_t links = (size_t)t->first[t->most];
    t->counts = glia_arena_alloc(memory, most * LANES * sizeof *t->counts);
    net->links = glia_arena_alloc(memory, most * sizeof *net->links);
    net->function = glia_arena_alloc(memory, most * sizeof *net->function);
    net->own_function = glia_arena_alloc(memory, most * LANES * sizeof *net->own_function);
    net->source = glia_arena_alloc(memory, (links + 1) * sizeof *net->source);
    net->own_source = glia_arena_alloc(memory, (links + 1) * LANES * sizeof *net->own_source);
    net->weight = glia_arena_alloc(memory, (links + 1) * LANES * sizeof *net->weight);
    net->output = glia_arena_alloc(memory, outputs * sizeof *net->output);
    net->own_output = glia_arena_alloc(memory, outputs * LANES * sizeof *net->own_output);
    net->values = glia_arena_alloc(memory, 2 * (size_t)net->slots * LANES * sizeof *net->values);
    t->y = glia_arena_alloc(memory, outputs * (LANES + 1) * sizeof *t->y);
    t->action = glia_arena_alloc(memory, outputs * sizeof *t->action);
    if (!t->counts || !net->links || !net->function || !net->own_function || !net->source || !net->own_source ||
        !net->weight || !net->output || !net->own_output || !net->values || !t->y || !t->action)
        return glia_fail_nomem(error);
    t->one = t->y + outputs * LANES;
    return GLIA_OK;
}

/* Writes a net (NULL: none) into the column of this lane. */
static void sit_down(table *t, int lane, const player *who) {
    glia_net_lanes *net = &t->net;
    const glia_net_plan *p = who ? &who->plan : NULL;
    const glia_genome *g = who ? &who->genome : NULL;
    t->nodes[lane] = p ? p->n_order : 0;
    for (int k = 0; k < t->most; k++) {
        const int at = p && k < p->n_order ? p->first[k] : 0, count = p && k < p->n_order ? p->first[k + 1] - at : 0;
        const int room = t->first[k + 1] - t->first[k];
        int32_t *sources = net->own_source + (int64_t)t->first[k] * LANES + lane;
        double *weight = net->weight + (int64_t)t->first[k] * LANES + lane;
        t->counts[k * LANES + lane] = count;
        if (p && k < p->n_order) net->own_function[k * LANES + lane] = (uint8_t)g->nodes[p->order[k]].function;
        for (int l = 0; l < room; l++) {
            const bool is = l < count;
            sources[l * LANES] = is ? p->source[at + l] + (p->before[at + l] ? net->slots : 0) : net->inputs;
            weight[l * LANES] = is ? p->weight[at + l] : 0;
        }
    }
    for (int i = 0; p && i < net->outputs; i++) net->own_output[i * LANES + lane] = p->output[i];
}

/* What all lanes that have this link read; GLIA_NET_MIXED if they differ, or if another lane would multiply what may be
 * infinite by 0. */
static int common_source(const table *t, const int *counts, int l, const int32_t *sources) {
    int common = GLIA_NET_MIXED;
    bool all = true;
    for (int j = 0; j < LANES; j++) {
        if (l >= counts[j]) {
            all = false;
        } else if (sources[j] != common) {
            if (common != GLIA_NET_MIXED) return GLIA_NET_MIXED;
            common = sources[j];
        }
    }
    return all || t->bounded || common <= t->net.inputs ? common : GLIA_NET_MIXED;
}

static int common_function(const table *t, int k) {
    int common = GLIA_NET_MIXED;
    for (int j = 0; j < LANES; j++) {
        if (k >= t->nodes[j] || t->net.own_function[k * LANES + j] == common) continue;
        if (common != GLIA_NET_MIXED) return GLIA_NET_MIXED;
        common = t->net.own_function[k * LANES + j];
    }
    return common;
}

static int common_output(const int32_t *slots, const int *nodes) {
    int common = GLIA_NET_MIXED;
    for (int j = 0; j < LANES; j++) {
        if (nodes[j] == 0 || slots[j] == common) continue;
        if (common != GLIA_NET_MIXED) return GLIA_NET_MIXED;
        common = slots[j];
    }
    return common;
}

/* After a change of nets: what the lanes have in common. */
static void survey(table *t) {
    glia_net_lanes *net = &t->net;
    for (int i = 0; i < net->outputs; i++) net->output[i] = common_output(net->own_output + i * LANES, t->nodes);
    net->positions = 0;
    for (int j = 0; j < LANES; j++) net->positions = GLIA_MAX(net->positions, t->nodes[j]);
    for (int k = 0; k < net->positions; k++) {
        const int *counts = t->counts + k * LANES;
        net->links[k] = 0;
        for (int j = 0; j < LANES; j++) net->links[k] = GLIA_MAX(net->links[k], counts[j]);
        net->function[k] = common_function(t, k);
        for (int l = 0; l < net->links[k]; l++) {
            const int at = t->first[k] + l;
            net->source[at] = common_source(t, counts, l, net->own_source + (int64_t)at * LANES);
        }
    }
}

/* ---- episodes -------------------------------------------------------------------------------------------- */

/* The next episode begins in this lane; without one it rests. */
static glia_status next_episode(table *t, int lane, bool *changed, glia_error *error) {
    const glia_crowd *c = t->crowd;
    const bool is = t->next < t->count * c->episodes;
    const int64_t seat = is ? t->next / c->episodes : -1;
    if (seat != t->seats[lane]) {
        sit_down(t, lane, is ? &t->players[seat] : NULL);
        t->seats[lane] = seat;
        *changed = true;
    }
    if (!is) return GLIA_OK;
    t->failed = t->players[seat].index;
    t->episode[lane] = t->next++ % c->episodes;
    for (int i = 0; t->net.recurrent && i < t->net.slots; i++) t->net.values[i * LANES + lane] = 0;
    const uint64_t seed = c->seed + (uint64_t)t->failed * c->apart + (uint64_t)t->episode[lane];
    return glia_episodes_begin(t->episodes, lane, seed, error);
}

static void choose(table *t) {
    const glia_stage *stage = t->crowd->stage;
    if (stage->action.kind == GLIA_SPACE_DISCRETE) {
        t->crowd->kernels->net_choose_f64(stage->outputs, t->y, t->episodes->actions.choices);
        return;
    }
    for (int j = 0; j < LANES; j++) {
        for (int i = 0; i < stage->outputs; i++) t->one[i] = t->y[i * LANES + j];
        glia_stage_act(stage, t->one, t->action, t->episodes, j);
    }
}

static glia_status play(table *t, glia_error *error) {
    glia_status status = GLIA_OK;
    uint32_t idle = (1U << LANES) - 1;
    for (;;) {
        bool changed = false;
        for (int j = 0; status == GLIA_OK && j < LANES && idle; j++) {
            if (idle >> j & 1) status = next_episode(t, j, &changed, error);
        }
        if (status != GLIA_OK || !t->episodes->playing) return status;
        if (changed) survey(t);
        t->failed = -1; /* nobody in particular */
        do {
            t->crowd->kernels->net_f64(&t->net, t->episodes->x, t->y);
            choose(t);
            status = glia_episodes_step(t->episodes, error);
        } while (status == GLIA_OK && !t->episodes->ended);
        idle = t->episodes->ended;
        for (int j = 0; j < LANES; j++) {
            if (!(idle >> j & 1)) continue;
            const int64_t net = t->players[t->seats[j]].index;
            t->returns[net * t->crowd->episodes + t->episode[j]] = t->episodes->returns[j];
        }
    }
}

/* ---- tables ------------------------------------------------------------------------------------------------ */

static void sit_and_play(void *context, int64_t i, int worker) {
    table *t = (table *)context + i;
    (void)worker;
    glia_status status = make_players(t, &t->error);
    if (status == GLIA_OK) {
        t->failed = -1;
        status = make_net(t, &t->error);
    }
    if (status == GLIA_OK) {
        t->episodes = glia_stage_episodes(t->crowd->stage, &t->error);
        if (t->episodes) play(t, &t->error);
    }
    glia_episodes_free(t->episodes);
    for (int64_t k = 0; t->players && k < t->count; k++) glia_net_plan_free(&t->players[k].plan);
    glia_arena_free(&t->memory);
}

/* The error of the first net that has one. */
static glia_status first_error(const glia_crowd *c, const table *tables, int64_t n, glia_error *error) {
    const table *first = NULL;
    for (int64_t i = 0; i < n; i++) {
        if (tables[i].error.status && (!first || tables[i].failed < first->failed)) first = &tables[i];
    }
    if (!first) return GLIA_OK;
    if (first->failed < 0) return glia_fail(error, first->error.status, "%s", first->error.message);
    const int64_t name = c->names ? c->names[first->failed] : first->failed;
    return glia_fail(error, first->error.status, "genome %lld: %s", (long long)name, first->error.message);
}

glia_status glia_crowd_play(const glia_crowd *c, double *returns, glia_pool *pool, glia_error *error) {
    if (c->n == 0) return GLIA_OK;
    const int64_t threads = GLIA_MIN((int64_t)glia_pool_size(pool), c->n);
    table *tables = calloc((size_t)threads, sizeof *tables);
    if (!tables) return glia_fail_nomem(error);
    for (int64_t i = 0; i < threads; i++) {
        tables[i] = (table){
            .crowd = c, .returns = returns, .begin = i, .step = threads, .count = (c->n - i + threads - 1) / threads
        };
        for (int j = 0; j < LANES; j++) tables[i].seats[j] = -1;
    }
    glia_parallel_for(pool, threads, sit_and_play, tables);
    const glia_status status = first_error(c, tables, threads, error);
    free(tables);
    return status;
}

glia_status glia_crowd_means(const glia_crowd *c, double *means, glia_pool *pool, glia_error *error) {
    size_t bytes;
    if (!glia_mul_fits((size_t)c->n * sizeof(double), (size_t)c->episodes, &bytes)) return glia_fail_nomem(error);
    double *returns = malloc(GLIA_MAX(bytes, sizeof *returns));
    if (!returns) return glia_fail_nomem(error);
    const glia_status status = glia_crowd_play(c, returns, pool, error);
    for (int64_t i = 0; status == GLIA_OK && i < c->n; i++) {
        double total = 0;
        for (int64_t k = 0; k < c->episodes; k++) total += returns[i * c->episodes + k];
        means[i] = total / (double)c->episodes;
    }
    free(returns);
    return status;
}
