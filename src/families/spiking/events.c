/* events.c - networks of spiking cells, from event to event.
 *
 *     heap of events ──► spike given from outside ──┐
 *                   └──► arrival at a synapse ──► membrane above threshold ──► spike ──► an arrival for each synapse
 *
 * What decays is kept as a value and the time when it had that value. At an arrival the synapse sees the trace of the
 * cell after it; at a spike the cell sees the traces of its incoming synapses. So the work is in proportion to spikes
 * and synapses, and a silent hour costs nothing.
 *
 * Events of the same time are taken in the order in which they were made.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "glia/spiking.h"

typedef struct decaying {
    double value, at;
} decaying;

typedef struct synapse {
    int64_t from, to;
    double weight, delay;
    glia_stdp p;    /* resolved */
    decaying x, x2; /* traces of arrivals */
    decaying y, y2; /* traces of the cell's spikes, with this synapse's constants */
    decaying eligibility;
} synapse;

typedef struct cell {
    decaying v, theta;
    double ready; /* may fire again at this time */
} cell;

typedef struct event {
    double time;
    int64_t order;
    int64_t index; /* of the synapse, or -1 - cell for a spike from outside */
} event;

struct glia_spike_net {
    glia_spike_cell p; /* resolved */
    cell *cells;
    int64_t n_cells;
    synapse *synapses;
    int n_synapses, synapse_capacity;
    int64_t *out, *out_start, *in, *in_start; /* synapses by cell, made at the first run */
    event *heap;
    int n_heap, heap_capacity;
    int64_t order;
    double now;
    bool started;
    glia_spike_work work;
};

/* ---- decay ---------------------------------------------------------------------------------------- */

static double value_at(decaying d, double tau, double t) { return d.value * exp(-(t - d.at) / tau); }

static void bump(decaying *d, double tau, double t, bool nearest) {
    *d = (decaying){ nearest ? 1 : value_at(*d, tau, t) + 1, t };
}

/* ---- building -------------------------------------------------------------------------------------- */

void glia_spike_net_free(glia_spike_net *net) {
    if (!net) return;
    free(net->cells);
    free(net->synapses);
    free(net->out);
    free(net->out_start);
    free(net->in);
    free(net->in_start);
    free(net->heap);
    free(net);
}

glia_spike_net *glia_spike_net_create(int64_t cells, glia_spike_cell p, glia_error *error) {
    enum { MOST = 1 << 28 };
    p.tau = glia_option(p.tau, 20);
    p.threshold = glia_option(p.threshold, 1);
    p.refractory = glia_option(p.refractory, 0);
    p.theta_plus = glia_option(p.theta_plus, 0);
    p.tau_theta = glia_option(p.tau_theta, 1e7);
    const bool good = p.tau > 0 && p.threshold > 0 && p.refractory >= 0 && isfinite(p.theta_plus) && p.tau_theta > 0;
    if (cells < 1 || cells > MOST || !good) {
        glia_fail(
            error, GLIA_E_ARGUMENT,
            "spike net: %lld cells with tau %g, threshold %g, refractory %g, theta_plus %g, tau_theta %g: times and "
            "thresholds must be positive",
            (long long)cells, p.tau, p.threshold, p.refractory, p.theta_plus, p.tau_theta);
        return NULL;
    }
    glia_spike_net *net = calloc(1, sizeof *net);
    if (net) net->cells = calloc((size_t)cells, sizeof *net->cells);
    if (!net || !net->cells) {
        glia_spike_net_free(net);
        glia_fail_nomem(error);
        return NULL;
    }
    net->p = p;
    net->n_cells = cells;
    return net;
}

static glia_stdp resolved(const glia_stdp *stdp) {
    glia_stdp p = stdp ? *stdp : (glia_stdp){ 0 };
    p.a_plus = glia_option(p.a_plus, 0.01);
    p.a_minus = glia_option(p.a_minus, 0.0105);
    p.a3_plus = p.rule == GLIA_STDP_TRIPLET ? glia_option(p.a3_plus, 0.0062) : 0;
    p.a3_minus = p.rule == GLIA_STDP_TRIPLET ? glia_option(p.a3_minus, 0.00023) : 0;
    p.tau_plus = glia_option(p.tau_plus, 20);
    p.tau_minus = glia_option(p.tau_minus, 20);
    p.tau_x = glia_option(p.tau_x, 101);
    p.tau_y = glia_option(p.tau_y, 125);
    p.least = glia_option(p.least, 0);
    p.most = p.most == 0 && p.least == 0 ? 1 : glia_option(p.most, 0);
    p.power = glia_option(p.power, 0);
    p.tau_eligibility = glia_option(p.tau_eligibility, 0);
    return p;
}

static glia_status check_synapse(const glia_spike_net *net, int64_t from, int64_t to, double weight, double delay,
                                 const glia_stdp *p, glia_error *error) {
    if (net->started) return glia_fail(error, GLIA_E_ARGUMENT, "spike net: it has run; connect before the first run");
    if (from < 0 || from >= net->n_cells || to < 0 || to >= net->n_cells)
        return glia_fail(error, GLIA_E_ARGUMENT, "spike net: a synapse from %lld to %lld, of %lld cells",
                         (long long)from, (long long)to, (long long)net->n_cells);
    if (!(isfinite(delay) && delay >= 0))
        return glia_fail(error, GLIA_E_ARGUMENT, "spike net: a delay of %g ms; it cannot be negative", delay);
    if (!isfinite(weight)) return glia_fail(error, GLIA_E_ARGUMENT, "spike net: a weight of %g", weight);
    if ((unsigned)p->rule > GLIA_STDP_TRIPLET)
        return glia_fail(error, GLIA_E_ARGUMENT, "spike net: there is no rule %d", (int)p->rule);
    const double times[] = { p->tau_plus, p->tau_minus, p->tau_x, p->tau_y };
    for (int i = 0; i < GLIA_COUNT(times); i++) {
        if (isfinite(times[i]) && times[i] > 0) continue;
        return glia_fail(error, GLIA_E_ARGUMENT, "spike net: a time constant of %g ms", times[i]);
    }
    if (!(p->most > p->least && p->power >= 0 && p->tau_eligibility >= 0))
        return glia_fail(error, GLIA_E_ARGUMENT, "spike net: limits %g to %g, power %g, tau_eligibility %g", p->least,
                         p->most, p->power, p->tau_eligibility);
    if (p->rule && (weight < p->least || weight > p->most))
        return glia_fail(error, GLIA_E_ARGUMENT, "spike net: a weight of %g, and the rule's limits are %g and %g",
                         weight, p->least, p->most);
    return GLIA_OK;
}

/* Settings that the rule would not use. */
static glia_status check_unused(const glia_stdp *p, glia_error *error) {
    const bool triplets = p->a3_plus != 0 || p->a3_minus != 0 || p->tau_x != 0 || p->tau_y != 0;
    const double pairs[] = { p->a_plus, p->a_minus, p->tau_plus, p->tau_minus,      p->least,
                             p->most,   p->power,   p->nearest,  p->tau_eligibility };
    bool any = triplets;
    for (int i = 0; i < GLIA_COUNT(pairs); i++) any |= pairs[i] != 0;
    if (p->rule == GLIA_STDP_NONE && any)
        return glia_fail(error, GLIA_E_ARGUMENT, "spike net: settings of plasticity, but no rule");
    if (p->rule == GLIA_STDP_PAIR && triplets)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "spike net: a3_plus, a3_minus, tau_x and tau_y are settings of triplets; the rule is pairs");
    return GLIA_OK;
}

glia_status glia_spike_net_connect(glia_spike_net *net, int64_t from, int64_t to, double weight, double delay,
                                   const glia_stdp *stdp, glia_error *error) {
    if (!net) return glia_fail_null(error, "net");
    const glia_stdp p = resolved(stdp);
    glia_status status = stdp ? check_unused(stdp, error) : GLIA_OK;
    if (status == GLIA_OK) status = check_synapse(net, from, to, weight, delay, &p, error);
    if (status != GLIA_OK) return status;
    if (!glia_grow((void **)&net->synapses, net->n_synapses, &net->synapse_capacity, sizeof *net->synapses))
        return glia_fail_nomem(error);
    net->synapses[net->n_synapses++] = (synapse){ .from = from, .to = to, .weight = weight, .delay = delay, .p = p };
    return GLIA_OK;
}

/* Lists synapses by the cell before them, and plastic ones by the cell after them. */
static glia_status index_synapses(glia_spike_net *net, glia_error *error) {
    const size_t n = (size_t)net->n_cells + 1, all = (size_t)net->n_synapses + 1;
    net->out = malloc(all * sizeof *net->out);
    net->in = malloc(all * sizeof *net->in);
    net->out_start = calloc(n + 1, sizeof *net->out_start);
    net->in_start = calloc(n + 1, sizeof *net->in_start);
    if (!net->out || !net->in || !net->out_start || !net->in_start) {
        int64_t **const lists[] = { &net->out, &net->in, &net->out_start, &net->in_start };
        for (int i = 0; i < GLIA_COUNT(lists); i++) {
            free(*lists[i]);
            *lists[i] = NULL;
        }
        return glia_fail_nomem(error);
    }
    for (int i = 0; i < net->n_synapses; i++) {
        net->out_start[net->synapses[i].from + 2]++;
        if (net->synapses[i].p.rule) net->in_start[net->synapses[i].to + 2]++;
    }
    for (size_t j = 2; j <= n; j++) {
        net->out_start[j] += net->out_start[j - 1];
        net->in_start[j] += net->in_start[j - 1];
    }
    for (int i = 0; i < net->n_synapses; i++) {
        net->out[net->out_start[net->synapses[i].from + 1]++] = i;
        if (net->synapses[i].p.rule) net->in[net->in_start[net->synapses[i].to + 1]++] = i;
    }
    net->started = true;
    return GLIA_OK;
}

/* ---- the heap -------------------------------------------------------------------------------------- */

static bool is_before(event a, event b) { return a.time != b.time ? a.time < b.time : a.order < b.order; }

static bool push(glia_spike_net *net, double time, int64_t index) {
    if (!glia_grow((void **)&net->heap, net->n_heap, &net->heap_capacity, sizeof *net->heap)) return false;
    const event new = { time, net->order++, index };
    int at = net->n_heap++;
    for (int up; at > 0 && is_before(new, net->heap[up = (at - 1) / 2]); at = up) net->heap[at] = net->heap[up];
    net->heap[at] = new;
    return true;
}

static event pop(glia_spike_net *net) {
    const event first = net->heap[0], last = net->heap[--net->n_heap];
    int at = 0;
    for (int child; (child = 2 * at + 1) < net->n_heap; at = child) {
        if (child + 1 < net->n_heap && is_before(net->heap[child + 1], net->heap[child])) child++;
        if (!is_before(net->heap[child], last)) break;
        net->heap[at] = net->heap[child];
    }
    net->heap[at] = last;
    return first;
}

/* ---- plasticity ------------------------------------------------------------------------------------ */

/* Moves a weight, by `change` as the rule has it without regard to the weight. */
static void move_weight(synapse *s, double change) {
    const glia_stdp *p = &s->p;
    const double range = p->most - p->least, room = change > 0 ? p->most - s->weight : s->weight - p->least;
    if (p->power > 0) change *= pow(fmax(room, 0) / range, p->power);
    s->weight = fmin(fmax(s->weight + change, p->least), p->most);
}

static void learn(synapse *s, double change, double t) {
    if (s->p.tau_eligibility > 0)
        s->eligibility = (decaying){ value_at(s->eligibility, s->p.tau_eligibility, t) + change, t };
    else
        move_weight(s, change);
}

static void at_arrival(synapse *s, double t) {
    const glia_stdp *p = &s->p;
    const double y = value_at(s->y, p->tau_minus, t), x2 = value_at(s->x2, p->tau_x, t);
    learn(s, -y * (p->a_minus + p->a3_minus * x2), t);
    bump(&s->x, p->tau_plus, t, p->nearest);
    bump(&s->x2, p->tau_x, t, p->nearest);
}

static void at_spike(synapse *s, double t) {
    const glia_stdp *p = &s->p;
    const double x = value_at(s->x, p->tau_plus, t), y2 = value_at(s->y2, p->tau_y, t);
    learn(s, x * (p->a_plus + p->a3_plus * y2), t);
    bump(&s->y, p->tau_minus, t, p->nearest);
    bump(&s->y2, p->tau_y, t, p->nearest);
}

glia_status glia_spike_net_reward(glia_spike_net *net, double reward, glia_error *error) {
    if (!net) return glia_fail_null(error, "net");
    if (!isfinite(reward)) return glia_fail(error, GLIA_E_ARGUMENT, "spike net: a reward of %g", reward);
    bool any = false;
    for (int i = 0; i < net->n_synapses; i++) {
        synapse *s = &net->synapses[i];
        if (s->p.rule == GLIA_STDP_NONE || s->p.tau_eligibility <= 0) continue;
        move_weight(s, reward * value_at(s->eligibility, s->p.tau_eligibility, net->now));
        any = true;
    }
    return any ? GLIA_OK : glia_fail(error, GLIA_E_ARGUMENT, "spike net: no synapse has an eligibility to reward");
}

/* ---- running --------------------------------------------------------------------------------------- */

typedef struct record {
    glia_spike_event *spikes;
    int64_t capacity, n;
} record;

static bool fire(glia_spike_net *net, int64_t index, double t, record *r) {
    cell *c = &net->cells[index];
    c->v = (decaying){ 0, t };
    c->ready = t + net->p.refractory;
    if (net->p.theta_plus != 0) c->theta = (decaying){ value_at(c->theta, net->p.tau_theta, t) + net->p.theta_plus, t };
    if (r->n < r->capacity) r->spikes[r->n] = (glia_spike_event){ t, index };
    r->n++;
    net->work.spikes++;
    for (int64_t k = net->in_start[index]; k < net->in_start[index + 1]; k++) at_spike(&net->synapses[net->in[k]], t);
    for (int64_t k = net->out_start[index]; k < net->out_start[index + 1]; k++) {
        if (!push(net, t + net->synapses[net->out[k]].delay, net->out[k])) return false;
    }
    return true;
}

static bool arrive(glia_spike_net *net, synapse *s, double t, record *r) {
    cell *c = &net->cells[s->to];
    net->work.deliveries++;
    const double weight = s->weight;
    if (s->p.rule) at_arrival(s, t);
    if (t < c->ready) return true;
    c->v = (decaying){ value_at(c->v, net->p.tau, t) + weight, t };
    return c->v.value < net->p.threshold + value_at(c->theta, net->p.tau_theta, t) || fire(net, s->to, t, r);
}

static glia_status check_events(const glia_spike_net *net, const glia_spike_event *events, int64_t n, double until,
                                glia_error *error) {
    double before = net->now;
    if (n < 0 || (n > 0 && !events)) return glia_fail_null(error, "events");
    for (int64_t i = 0; i < n; i++) {
        if (!(events[i].time >= before && events[i].time <= until))
            return glia_fail(error, GLIA_E_ARGUMENT,
                             "spike net: spike %lld at %g ms is out of order: it must be in [%g, %g]", (long long)i,
                             events[i].time, before, until);
        if (events[i].cell < 0 || events[i].cell >= net->n_cells)
            return glia_fail(error, GLIA_E_ARGUMENT, "spike net: spike %lld is of cell %lld, of %lld", (long long)i,
                             (long long)events[i].cell, (long long)net->n_cells);
        before = events[i].time;
    }
    if (!(isfinite(until) && until >= net->now))
        return glia_fail(error, GLIA_E_ARGUMENT, "spike net: it is at %g ms and cannot run to %g", net->now, until);
    return GLIA_OK;
}

glia_status glia_spike_net_run(glia_spike_net *net, const glia_spike_event *events, int64_t n, double until,
                               glia_spike_event *spikes, int64_t capacity, int64_t *n_spikes, glia_error *error) {
    if (!net) return glia_fail_null(error, "net");
    record r = { .spikes = spikes, .capacity = spikes ? capacity : 0 };
    glia_status status = check_events(net, events, n, until, error);
    if (status == GLIA_OK && !net->started) status = index_synapses(net, error);
    if (status != GLIA_OK) return status;
    const int64_t most = 1000 + 100 * (net->n_cells + net->n_synapses); /* events at one time */
    bool room = true;
    int64_t next = 0, same = 0;
    while (room && (next < n || (net->n_heap > 0 && net->heap[0].time <= until))) {
        const bool given = next < n && (net->n_heap == 0 || events[next].time < net->heap[0].time);
        const double t = given ? events[next].time : net->heap[0].time;
        same = t > net->now ? 0 : same + 1;
        if (same > most)
            return glia_fail(error, GLIA_E_ARGUMENT,
                             "spike net: spikes never end at %g ms: a loop of "
                             "synapses without delay or refractory time",
                             t);
        net->now = t;
        room = given ? fire(net, events[next++].cell, t, &r) : arrive(net, &net->synapses[pop(net).index], t, &r);
    }
    if (!room) return glia_fail_nomem(error);
    net->now = until;
    if (n_spikes) *n_spikes = r.n;
    return GLIA_OK;
}

int64_t glia_spike_net_weights(const glia_spike_net *net, double *weights, int64_t capacity) {
    if (!net) return 0;
    for (int64_t i = 0; weights && i < GLIA_MIN(capacity, (int64_t)net->n_synapses); i++)
        weights[i] = net->synapses[i].weight;
    return net->n_synapses;
}

glia_spike_work glia_spike_net_work(const glia_spike_net *net) { return net ? net->work : (glia_spike_work){ 0 }; }
