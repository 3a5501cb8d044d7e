/* lndp.c - a step of plasticity and of activity of lifelong developmental programs.
 *
 *     x <- W [marks, activities, h]                    what a node perceives
 *     x <- attention over all nodes; scores times a linear function of the edge's state
 *     h <- GRU(x, h)
 *     e <- GRU([a, h of both ends, reward], e)         of the edges that exist
 *     an edge goes where a net of e is above 0.6, and appears where a net of both h is; its state is 0 at first, and
 *     that of an edge that goes has a last say in the activity of this step
 *
 * Each lane of the vectors is a net, so there are no sums over lanes: what a net does depends on no other, nor on the
 * number of lanes.
 */
#include "backend/cpu/kernels/rows.h"
#include "backend/cpu/kernels/vmath.h"

enum {
    MARKS = GLIA_LNDP_MARKS,
    HEADS = GLIA_LNDP_HEADS,
    KEY = GLIA_LNDP_KEY,
    VALUE = GLIA_LNDP_VALUE,
    HIDDEN = GLIA_LNDP_HIDDEN,
    EDGE_MOST = GLIA_LNDP_EDGE_MOST,
};

/* Sizes of a tile of sums that stay in registers. */
#if VLEN == 16
enum { NODE_TILE = 4, TARGET_TILE = 2 };
#else
enum { NODE_TILE = 2, TARGET_TILE = 1 };
#endif
enum { OUT_TILE = 4 };

/* sigmoid(x) > 0.6 */
static const float decided = 0x1.9f323ep-2f;

/* Vector i of an array of them. */
GLIA_INLINE vf at(const float *p, int64_t i) { return vf_load(p + i * VLEN); }
GLIA_INLINE void put(float *p, int64_t i, vf v) { vf_store(p + i * VLEN, v); }

/* Both by e^-|x|, with an absolute error of 1e-7. */
GLIA_INLINE vf quick_sigmoid(vf x) {
    const vf e = vf_exp_below(-vf_abs(x));
    return vf_select(x < 0.0f, e, vf_set(1.0f)) * vf_reciprocal(e + 1.0f);
}
GLIA_INLINE vf quick_tanh(vf x) {
    const vf e = vf_exp_below(-2.0f * vf_abs(x));
    return vf_sign_of((1.0f - e) * vf_reciprocal(e + 1.0f), x);
}

/* ---- linear functions of nodes ------------------------------------------------------------------------------- */

/* Rows of vectors, `width` apart, one for each node. */
typedef struct rows {
    float *at;
    int width;
} rows;

GLIA_INLINE void linear_tile(const float *w, const float *bias, int ins, rows x, rows y, const int nodes,
                             const int outs) {
    vf sum[NODE_TILE][OUT_TILE];
    GLIA_UNROLL
    for (int k = 0; k < nodes; k++) {
        GLIA_UNROLL
        for (int o = 0; o < outs; o++) sum[k][o] = bias ? at(bias, o) : vf_set(0);
    }
    for (int i = 0; i < ins; i++) {
        vf weight[OUT_TILE];
        GLIA_UNROLL
        for (int o = 0; o < outs; o++) weight[o] = at(w, o * ins + i);
        GLIA_UNROLL
        for (int k = 0; k < nodes; k++) {
            const vf value = at(x.at, (int64_t)k * x.width + i);
            GLIA_UNROLL
            for (int o = 0; o < outs; o++) sum[k][o] += weight[o] * value;
        }
    }
    GLIA_UNROLL
    for (int k = 0; k < nodes; k++) {
        GLIA_UNROLL
        for (int o = 0; o < outs; o++) put(y.at, (int64_t)k * y.width + o, sum[k][o]);
    }
}

/* y (n, outs) = bias + W x (n, ins) for each node; W (outs, ins). */
static void linear(const float *w, const float *bias, int outs, int ins, int n, rows x, rows y) {
    for (int o = 0; o < outs;) {
        const int step = o + OUT_TILE <= outs ? OUT_TILE : 1;
        const float *row = w + (int64_t)o * ins * VLEN, *start = bias ? bias + o * VLEN : NULL;
        rows from = x, to = { y.at + o * VLEN, y.width };
        for (int k = 0; k < n;) {
            const int many = step > 1 && k + NODE_TILE <= n ? NODE_TILE : 1;
            if (many > 1)
                linear_tile(row, start, ins, from, to, NODE_TILE, OUT_TILE);
            else if (step > 1)
                linear_tile(row, start, ins, from, to, 1, OUT_TILE);
            else
                linear_tile(row, start, ins, from, to, 1, 1);
            from.at += (int64_t)many * from.width * VLEN;
            to.at += (int64_t)many * to.width * VLEN;
            k += many;
        }
        o += step;
    }
}

/* ---- nodes ---------------------------------------------------------------------------------------------- */

static int width_of(const glia_lndp_nets *net) { return MARKS + net->propagation + 1 + net->features; }
static int seen_of(const glia_lndp_nets *net) { return net->propagation + 1 + net->features; }

static void count_edges(const glia_lndp_nets *net) {
    const int width = width_of(net);
    for (int i = 0; i < net->nodes; i++) {
        for (int c = 0; c < 2; c++) put(net->node, (int64_t)i * width + c, vf_set(0));
    }
    for (int p = 0; p < net->places; p++) {
        const vf a = at(net->a, p);
        float *in = net->node + (int64_t)net->ends[p][1] * width * VLEN;
        float *out = net->node + (int64_t)net->ends[p][0] * width * VLEN;
        put(in, 0, at(in, 0) + a);
        put(out, 1, at(out, 1) + a);
    }
    for (int i = 0; i < net->nodes; i++) {
        float *node = net->node + (int64_t)i * width * VLEN;
        const vf in = at(node, 0), out = at(node, 1);
        put(node, 0, in * 0.1f);
        put(node, 1, out * 0.1f);
        put(node, 2, (in + out) * 0.05f);
    }
}

/* The scores of node i and node j, for each head. */
GLIA_INLINE void score(const glia_lndp_nets *net, const int features, int i, int j, const float *q, const float *k,
                       vf out[HEADS]) {
    const int p = net->place[i * net->nodes + j], back = net->place[j * net->nodes + i];
    const float *w = net->genome + (int64_t)net->part.attend * VLEN, *e = net->e + (int64_t)p * features * VLEN;
    GLIA_UNROLL
    for (int head = 0; head < HEADS; head++) {
        const float *row = w + (int64_t)head * (features + 3) * VLEN;
        vf sum = vf_set(0), scale = at(net->genome, net->part.attend_bias + head);
        GLIA_UNROLL
        for (int c = head * KEY; c < (head + 1) * KEY; c++) sum += at(q, c) * at(k, c);
        if (p < net->places) {
            for (int f = 0; f < features; f++) scale += at(row, f) * at(e, f);
            scale += at(row, features) * at(net->a, p);
        }
        if (back < net->places) scale += at(row, features + 1) * at(net->a, back);
        if (i == j) scale += at(row, features + 2);
        out[head] = sum * 0.5f * scale; /* 1 / sqrt(4) */
    }
}

/* shares (nodes, 3): how node i distributes its attention, for each head. */
GLIA_INLINE void attend(const glia_lndp_nets *net, const int features, int i, const float *q, const float *k,
                        float *shares) {
    const int n = net->nodes;
    vf most[HEADS], total[HEADS];
    for (int head = 0; head < HEADS; head++) most[head] = vf_set(-GLIA_INF), total[head] = vf_set(0);
    for (int j = 0; j < n; j++) {
        vf scores[HEADS];
        score(net, features, i, j, q + (int64_t)i * HEADS * KEY * VLEN, k + (int64_t)j * HEADS * KEY * VLEN, scores);
        for (int head = 0; head < HEADS; head++) {
            most[head] = vf_upper(most[head], scores[head]);
            put(shares, j * HEADS + head, scores[head]);
        }
    }
    for (int j = 0; j < n; j++) {
        for (int head = 0; head < HEADS; head++) {
            const vf share = vf_exp_below(at(shares, j * HEADS + head) - most[head]);
            total[head] += share;
            put(shares, j * HEADS + head, share);
        }
    }
    for (int head = 0; head < HEADS; head++) total[head] = vf_reciprocal(total[head]);
    for (int j = 0; j < n; j++) {
        for (int head = 0; head < HEADS; head++)
            put(shares, j * HEADS + head, at(shares, j * HEADS + head) * total[head]);
    }
}

/* sums (nodes, 24) of `targets` nodes from j on: the values of all nodes, by the attention that they give to it. */
GLIA_INLINE void gather(const float *shares, const float *v, int n, int j, const int targets, float *sums) {
    for (int head = 0; head < HEADS; head++) {
        vf sum[TARGET_TILE][VALUE];
        GLIA_UNROLL
        for (int t = 0; t < targets; t++) {
            GLIA_UNROLL
            for (int c = 0; c < VALUE; c++) sum[t][c] = vf_set(0);
        }
        for (int i = 0; i < n; i++) {
            GLIA_UNROLL
            for (int t = 0; t < targets; t++) {
                const vf share = at(shares, ((int64_t)i * n + j + t) * HEADS + head);
                GLIA_UNROLL
                for (int c = 0; c < VALUE; c++) sum[t][c] += share * at(v, (i * HEADS + head) * VALUE + c);
            }
        }
        GLIA_UNROLL
        for (int t = 0; t < targets; t++) {
            GLIA_UNROLL
            for (int c = 0; c < VALUE; c++) put(sums, ((j + t) * HEADS + head) * VALUE + c, sum[t][c]);
        }
    }
}

/* sums (nodes, 24) by attention from x (nodes, features); room behind it. */
static void transform(const glia_lndp_nets *net, rows x, float *sums) {
    const int n = net->nodes, f = net->features, keys = HEADS * KEY, values = HEADS * VALUE;
    float *q = sums + (int64_t)n * values * VLEN, *k = q + (int64_t)n * keys * VLEN, *v = k + (int64_t)n * keys * VLEN;
    float *shares = v + (int64_t)n * values * VLEN;
    const float *g = net->genome;
    linear(g + (int64_t)net->part.query * VLEN, NULL, keys, f, n, x, (rows){ q, keys });
    linear(g + (int64_t)net->part.key * VLEN, NULL, keys, f, n, x, (rows){ k, keys });
    linear(g + (int64_t)net->part.value * VLEN, NULL, values, f, n, x, (rows){ v, values });
    for (int i = 0; i < n; i++) {
        float *row = shares + (int64_t)i * n * HEADS * VLEN;
        if (net->edge_features == 4) /* the usual number as a constant */
            attend(net, 4, i, q, k, row);
        else
            attend(net, net->edge_features, i, q, k, row);
    }
    int j = 0;
    for (; j + TARGET_TILE <= n; j += TARGET_TILE) gather(shares, v, n, j, TARGET_TILE, sums);
    for (; j < n; j++) gather(shares, v, n, j, 1, sums);
}

static void update_nodes(const glia_lndp_nets *net, vi changes) {
    const int n = net->nodes, f = net->features, width = width_of(net), values = HEADS * VALUE;
    const float *g = net->genome;
    const glia_lndp_parts *part = &net->part;
    const rows x = { net->work, f }, in = { x.at + (int64_t)n * f * VLEN, 3 * f };
    const rows keep = { in.at + (int64_t)n * 3 * f * VLEN, 3 * f }, h = { net->node + (width - f) * VLEN, width };
    float *sums = keep.at + (int64_t)n * 3 * f * VLEN;
    count_edges(net);
    linear(g + part->perceive * VLEN, g + part->perceive_bias * VLEN, f, width, n, (rows){ net->node, width }, x);
    transform(net, x, sums);
    linear(g + part->merge * VLEN, g + part->merge_bias * VLEN, f, values, n, (rows){ sums, values }, x);
    linear(g + part->node_in * VLEN, g + part->node_bias * VLEN, 3 * f, f, n, x, in);
    linear(g + part->node_keep * VLEN, NULL, 3 * f, f, n, h, keep);
    for (int i = 0; i < n; i++) {
        const float *a = in.at + (int64_t)i * 3 * f * VLEN, *b = keep.at + (int64_t)i * 3 * f * VLEN;
        float *state = h.at + (int64_t)i * width * VLEN;
        for (int c = 0; c < f; c++) {
            const vf old = at(state, c);
            const vf reset = quick_sigmoid(at(a, c) + at(b, c)), update = quick_sigmoid(at(a, f + c) + at(b, f + c));
            const vf fresh = at(b, 2 * f + c) + at(g, part->node_new + c);
            const vf candidate = quick_tanh(at(a, 2 * f + c) + reset * fresh);
            put(state, c, vf_select(changes, candidate + update * (old - candidate), old));
        }
    }
}

/* ---- edges -------------------------------------------------------------------------------------------------- */

/* Loops over the numbers of an edge, usually four. */
#if defined(__clang__)
#define UNROLL_EDGE _Pragma("clang loop unroll_count(4)")
#else
#define UNROLL_EDGE _Pragma("GCC unroll 4")
#endif

/* The new state of the edges at a place; returns where the net of pruning says that they go. Step by step for all
 * numbers of an edge, so that the latencies of one overlap with work on the others. */
GLIA_INLINE vi update_edge(const glia_lndp_nets *net, const int n, int p, const float *from, const float *to, vf there,
                           vi changes) {
    const float *g = net->genome, *keep = g + (int64_t)net->part.edge_keep * VLEN;
    float *e = net->e + (int64_t)p * n * VLEN;
    vf old[EDGE_MOST], state[EDGE_MOST], reset[EDGE_MOST], update[EDGE_MOST], fresh[EDGE_MOST];
    UNROLL_EDGE
    for (int f = 0; f < n; f++) old[f] = at(e, f);
    UNROLL_EDGE
    for (int f = 0; f < n; f++) {
        reset[f] = at(from, f) + at(to, f);
        update[f] = at(from, n + f) + at(to, n + f);
        fresh[f] = at(g, net->part.edge_new + f);
        UNROLL_EDGE
        for (int c = 0; c < n; c++) {
            reset[f] += at(keep, f * n + c) * old[c];
            update[f] += at(keep, (n + f) * n + c) * old[c];
            fresh[f] += at(keep, (2 * n + f) * n + c) * old[c];
        }
    }
    UNROLL_EDGE
    for (int f = 0; f < n; f++) reset[f] = quick_sigmoid(reset[f]);
    UNROLL_EDGE
    for (int f = 0; f < n; f++) update[f] = quick_sigmoid(update[f]);
    UNROLL_EDGE
    for (int f = 0; f < n; f++) {
        const vf candidate = quick_tanh(at(from, 2 * n + f) + at(to, 2 * n + f) + reset[f] * fresh[f]);
        state[f] = (candidate + update[f] * (old[f] - candidate)) * there;
        put(e, f, vf_select(changes, state[f], old[f]));
    }
    vf sum = at(g, net->part.prune_out + HIDDEN);
    UNROLL_EDGE
    for (int m = 0; m < HIDDEN; m++) {
        vf unit = at(g, net->part.prune_bias + m);
        UNROLL_EDGE
        for (int f = 0; f < n; f++) unit += at(g, net->part.prune_in + m * n + f) * state[f];
        sum += at(g, net->part.prune_out + m) * vf_upper(unit, vf_set(0));
    }
    return sum > decided;
}

/* Where the net of growth wants an edge. */
static vi wanted(const glia_lndp_nets *net, const float *from, const float *to) {
    const float *out = net->genome + (int64_t)net->part.add_out * VLEN;
    vf sum = at(out, HIDDEN);
    GLIA_UNROLL
    for (int m = 0; m < HIDDEN; m++) sum += at(out, m) * vf_upper(at(from, m) + at(to, m), vf_set(0));
    return sum > decided;
}

/* Does the net of pruning let edges with the state 0 stay, as new ones are? Else none appears. */
static vi stays_at_zero(const glia_lndp_nets *net) {
    const float *out = net->genome + (int64_t)net->part.prune_out * VLEN;
    vf sum = at(out, HIDDEN);
    for (int m = 0; m < HIDDEN; m++) sum += at(out, m) * vf_upper(at(net->genome, net->part.prune_bias + m), vf_set(0));
    return ~(sum > decided);
}

GLIA_INLINE vf ones(vi mask) { return vf_select(mask, vf_set(1), vf_set(0)); }
GLIA_INLINE bool any(vi mask) { return vf_sum(ones(mask)) > 0; }

static void update_edges(const glia_lndp_nets *net, const float *reward, vi changes) {
    const int n = net->edge_features, gates = 3 * n, width = width_of(net), seen = seen_of(net), f = net->features;
    const float *g = net->genome;
    const glia_lndp_parts *part = &net->part;
    const rows from = { net->work, gates }, to = { from.at + (int64_t)net->nodes * gates * VLEN, gates };
    const rows add_from = { to.at + (int64_t)net->nodes * gates * VLEN, HIDDEN };
    const rows add_to = { add_from.at + (int64_t)net->nodes * HIDDEN * VLEN, HIDDEN };
    const rows x = { net->node + MARKS * VLEN, width }, h = { net->node + (width - f) * VLEN, width };
    float bias[3 * EDGE_MOST * VLEN];
    for (int c = 0; c < gates; c++)
        put(bias, c, at(g, part->edge_bias + c) + at(g, part->edge_reward + c) * at(reward, 0));
    linear(g + (int64_t)part->edge_from * VLEN, bias, gates, seen, net->nodes, x, from);
    linear(g + (int64_t)part->edge_to * VLEN, NULL, gates, seen, net->nodes, x, to);
    linear(g + (int64_t)part->add_from * VLEN, g + (int64_t)part->add_bias * VLEN, HIDDEN, f, net->nodes, h, add_from);
    linear(g + (int64_t)part->add_to * VLEN, NULL, HIDDEN, f, net->nodes, h, add_to);
    const vi room = stays_at_zero(net) & changes;
    const bool grows = any(room);
    for (int p = 0; p < net->places; p++) {
        const int64_t i = net->ends[p][0], k = net->ends[p][1];
        const vf there = at(net->a, p);
        const float *a = from.at + i * gates * VLEN, *b = to.at + k * gates * VLEN;
        const vi goes =
            n == 4 ? update_edge(net, 4, p, a, b, there, changes) : update_edge(net, n, p, a, b, there, changes);
        if (net->fixed_structure) continue;
        vf next = vf_select(goes & changes, vf_set(0), there);
        if (grows)
            next += ones(wanted(net, add_from.at + i * HIDDEN * VLEN, add_to.at + k * HIDDEN * VLEN) & (there == 0.0f) &
                         room);
        put(net->a, p, next);
    }
}

/* ---- steps -------------------------------------------------------------------------------------------------- */

int GLIA_KERNEL(lndp_f32_lanes)(void) { return VLEN; }

size_t GLIA_KERNEL(lndp_f32_scratch)(const glia_lndp_nets *net) {
    const int nodes = 7 * net->features + HEADS * (2 * KEY + 2 * VALUE + net->nodes);
    const int edges = 6 * net->edge_features + 2 * HIDDEN;
    return (size_t)(nodes > edges ? nodes : edges) * (size_t)net->nodes * VLEN * sizeof(float);
}

void GLIA_KERNEL(lndp_update_f32)(const glia_lndp_nets *net, const float *changes, const float *rewards) {
    const vi mask = at(changes, 0) != 0.0f;
    if (!any(mask)) return;
    update_nodes(net, mask);
    update_edges(net, rewards, mask);
}

void GLIA_KERNEL(lndp_propagate_f32)(const glia_lndp_nets *net, const float *x) {
    const int width = width_of(net), n = net->edge_features;
    for (int i = 0; i < net->nodes; i++) put(net->node, (int64_t)i * width + MARKS, vf_set(0));
    for (int t = 0; t < net->propagation; t++) {
        float *now = net->node + (MARKS + t) * VLEN, *next = now + VLEN;
        for (int i = 0; i < net->inputs; i++) put(now, (int64_t)i * width, at(x, i));
        for (int i = 0; i < net->nodes; i++) put(next, (int64_t)i * width, vf_set(0));
        for (int p = 0; p < net->places; p++) {
            const int64_t from = (int64_t)net->ends[p][0] * width, to = (int64_t)net->ends[p][1] * width;
            put(next, to, at(next, to) + at(now, from) * at(net->e, (int64_t)p * n));
        }
        for (int i = 0; i < net->nodes; i++) put(next, (int64_t)i * width, quick_tanh(at(next, (int64_t)i * width)));
    }
}
