/* lndp_step.c - a step of plasticity and of activity of a lifelong developmental program.
 *
 *     x <- W [marks, activities, h]                    what a node perceives
 *     x <- attention over all nodes; scores times a linear function of the edge's state
 *     h <- GRU(x, h)
 *     e <- GRU([a, h of both ends, reward], e)         of the edges that exist
 *     an edge goes where a net of e is above 0.6, and appears where a net of both h is; its state is 0 at first, and
 *     that of an edge that goes has a last say in the activity of this step
 *
 * All loops run along rows of nodes, by vectors of floats.
 */
#include "backend/cpu/kernels/vmath.h"

#include "families/evolution/lndp.h"

/* sigmoid(x) > 0.6 */
static const float decided = 0x1.9f323ep-2f;

/* y (outs, stride) = bias + W x for each node; W (outs, ins) has rows `ld` apart. */
static void linear(const float *w, int ld, const float *bias, int outs, int ins, const float *x, int stride, float *y) {
    for (int o = 0; o < outs; o++) {
        for (int j = 0; j < stride; j += VLEN) {
            vf sum = vf_set(bias ? bias[o] : 0);
            for (int i = 0; i < ins; i++) sum += w[o * ld + i] * vf_load(x + i * stride + j);
            vf_store(y + o * stride + j, sum);
        }
    }
}

/* Both by e^-|x|, with an absolute error of 1e-7. */
GLIA_INLINE vf quick_sigmoid(vf x) {
    const vf e = vf_exp_below(-vf_abs(x));
    return vf_select(x < 0.0f, e, vf_set(1.0f)) / (e + 1.0f);
}
GLIA_INLINE vf quick_tanh(vf x) {
    const vf e = vf_exp_below(-2.0f * vf_abs(x));
    return vf_sign_of((1.0f - e) / (e + 1.0f), x);
}

/* The new state of a gated recurrent unit (Cho et al. 2014): what comes in for reset, update and new, what is kept for
 * them, and the bias within the reset. */
GLIA_INLINE vf gru(vf in_reset, vf in_update, vf in_new, vf reset, vf update, vf fresh, float bias, vf state) {
    const vf r = quick_sigmoid(in_reset + reset), u = quick_sigmoid(in_update + update);
    const vf candidate = quick_tanh(in_new + r * (fresh + bias));
    return candidate + u * (state - candidate);
}

/* ---- nodes ---------------------------------------------------------------------------------------------- */

static void count_edges(glia_lndp *net) {
    const int s = net->stride;
    for (int j = 0; j < s; j += VLEN) {
        vf in = vf_set(0), out = vf_set(0);
        for (int i = 0; i < net->n; i++) {
            in += vf_load(net->a + i * s + j);
            out += vf_load(net->turned + i * s + j);
        }
        vf_store(net->marks + j, in * 0.1f);
        vf_store(net->marks + s + j, out * 0.1f);
        vf_store(net->marks + 2 * s + j, (in + out) * 0.05f);
    }
}

/* p (3, stride): how node i distributes its attention, for each head. */
GLIA_INLINE void attend(const glia_lndp *net, const int features, int i, const float *q, const float *k, float *p) {
    const int s = net->stride, n = net->n;
    const int64_t plane = (int64_t)n * s;
    for (int head = 0; head < LNDP_HEADS; head++) {
        const float *w = net->genome + net->part.attend + head * (features + 3);
        const float bias = net->genome[net->part.attend_bias + head];
        float *row = p + head * s, total = 0;
        vf most = vf_set(-GLIA_INF);
        for (int j = 0; j < s; j += VLEN) {
            vf score = vf_set(0), scale = vf_set(bias);
            for (int c = head * LNDP_KEY; c < (head + 1) * LNDP_KEY; c++)
                score += q[c * s + i] * vf_load(k + c * s + j);
            for (int f = 0; f < features; f++) scale += w[f] * vf_load(net->e + f * plane + i * s + j);
            scale += w[features] * vf_load(net->a + i * s + j) + w[features + 1] * vf_load(net->turned + i * s + j);
            if (i >= j && i < j + VLEN) scale[i - j] += w[features + 2];
            score = score * 0.5f * scale; /* 1 / sqrt(4) */
            if (j + VLEN > n) score = vf_select(vi_first(n - j), score, vf_set(-GLIA_INF));
            most = vf_upper(most, score);
            vf_store(row + j, score);
        }
        const float top = vf_largest(most);
        for (int j = 0; j < s; j += VLEN) {
            const vf share = vf_exp_below(vf_load(row + j) - top);
            total += vf_sum(share);
            vf_store(row + j, share);
        }
        for (int j = 0; j < s; j += VLEN) vf_store(row + j, vf_load(row + j) / total);
    }
}

/* sums (24, stride): values of all nodes, by the attention that each gives to the column's node. */
static void gather(const glia_lndp *net, const float *q, const float *k, const float *v, float *p, float *sums) {
    const int s = net->stride;
    memset(sums, 0, (size_t)(LNDP_HEADS * LNDP_VALUE * s) * sizeof *sums);
    for (int i = 0; i < net->n; i++) {
        if (net->edge_features == 4)
            attend(net, 4, i, q, k, p);
        else
            attend(net, net->edge_features, i, q, k, p);
        for (int c = 0; c < LNDP_HEADS * LNDP_VALUE; c++) {
            const float value = v[c * s + i], *share = p + c / LNDP_VALUE * s;
            for (int j = 0; j < s; j += VLEN)
                vf_store(sums + c * s + j, vf_load(sums + c * s + j) + value * vf_load(share + j));
        }
    }
}

static void update_nodes(glia_lndp *net) {
    const int s = net->stride, f = net->features;
    const float *g = net->genome;
    const glia_lndp_parts *part = &net->part;
    float *x = net->work, *q = x + f * s, *k = q + LNDP_HEADS * LNDP_KEY * s, *v = k + LNDP_HEADS * LNDP_KEY * s;
    float *sums = v + LNDP_HEADS * LNDP_VALUE * s, *p = sums + LNDP_HEADS * LNDP_VALUE * s;
    float *in = p + LNDP_HEADS * s, *keep = in + 3 * f * s;
    count_edges(net);
    linear(g + part->perceive, LNDP_MARKS + net->seen, g + part->perceive_bias, f, LNDP_MARKS + net->seen, net->marks,
           s, x);
    linear(g + part->query, f, NULL, LNDP_HEADS * LNDP_KEY, f, x, s, q);
    linear(g + part->key, f, NULL, LNDP_HEADS * LNDP_KEY, f, x, s, k);
    linear(g + part->value, f, NULL, LNDP_HEADS * LNDP_VALUE, f, x, s, v);
    gather(net, q, k, v, p, sums);
    linear(g + part->merge, LNDP_HEADS * LNDP_VALUE, g + part->merge_bias, f, LNDP_HEADS * LNDP_VALUE, sums, s, x);
    linear(g + part->node_in, f, g + part->node_bias, 3 * f, f, x, s, in);
    linear(g + part->node_keep, f, NULL, 3 * f, f, net->h, s, keep);
    for (int c = 0; c < f; c++) {
        for (int j = 0; j < s; j += VLEN) {
            const float *a = in + c * s + j, *b = keep + c * s + j;
            float *h = net->h + c * s + j;
            vf_store(h, gru(vf_load(a), vf_load(a + f * s), vf_load(a + 2 * f * s), vf_load(b), vf_load(b + f * s),
                            vf_load(b + 2 * f * s), g[part->node_new + c], vf_load(h)));
        }
    }
}

/* ---- edges -------------------------------------------------------------------------------------------------- */

/* The new state of the edges from node i to the nodes of a vector, in place; returns 1 where the net of pruning says
 * that they go. */
GLIA_INLINE vi update_block(const glia_lndp *net, const int n, int i, int j, const float *from, const float *to,
                            vf there) {
    const int s = net->stride;
    const int64_t plane = (int64_t)net->n * s;
    const float *g = net->genome, *keep = g + net->part.edge_keep;
    vf old[LNDP_EDGE_MOST], state[LNDP_EDGE_MOST];
    for (int f = 0; f < n; f++) old[f] = vf_load(net->e + f * plane + i * s + j);
    for (int f = 0; f < n; f++) {
        vf in[3], kept[3];
        for (int gate = 0; gate < 3; gate++) {
            const int row = gate * n + f;
            in[gate] = from[row * s + i] + vf_load(to + row * s + j);
            kept[gate] = vf_set(0);
            for (int c = 0; c < n; c++) kept[gate] += keep[row * n + c] * old[c];
        }
        state[f] = gru(in[0], in[1], in[2], kept[0], kept[1], kept[2], g[net->part.edge_new + f], old[f]) * there;
        vf_store(net->e + f * plane + i * s + j, state[f]);
    }
    const float *out = g + net->part.prune_out;
    vf sum = vf_set(out[LNDP_HIDDEN]);
    for (int m = 0; m < LNDP_HIDDEN; m++) {
        vf unit = vf_set(g[net->part.prune_bias + m]);
        for (int f = 0; f < n; f++) unit += g[net->part.prune_in + m * n + f] * state[f];
        sum += out[m] * vf_upper(unit, vf_set(0));
    }
    return sum > decided;
}

/* 1 where the net of growth wants an edge from node i to those of a vector. */
static vi wanted_block(const glia_lndp *net, int i, int j, const float *from, const float *to) {
    const float *out = net->genome + net->part.add_out;
    vf sum = vf_set(out[LNDP_HIDDEN]);
    for (int m = 0; m < LNDP_HIDDEN; m++) {
        const vf unit = from[m * net->stride + i] + vf_load(to + m * net->stride + j);
        sum += out[m] * vf_upper(unit, vf_set(0));
    }
    return sum > decided;
}

/* Does the net of pruning let edges with the state 0 go, as new ones are? Then none appears. */
static bool goes_at_zero(const glia_lndp *net) {
    const float *out = net->genome + net->part.prune_out, *bias = net->genome + net->part.prune_bias;
    float sum = out[LNDP_HIDDEN];
    for (int m = 0; m < LNDP_HIDDEN; m++) sum += out[m] * GLIA_MAX(bias[m], 0);
    return sum > decided;
}

GLIA_INLINE bool any(vf v) { return vf_sum(v) > 0; }

static void update_edges(glia_lndp *net, float reward) {
    const int s = net->stride, n = net->edge_features, gates = 3 * n;
    const int64_t plane = (int64_t)net->n * s;
    const float *g = net->genome;
    const glia_lndp_parts *part = &net->part;
    float *from = net->work, *to = from + gates * s, *add_from = to + gates * s, *add_to = add_from + LNDP_HIDDEN * s;
    float bias[3 * LNDP_EDGE_MOST];
    for (int c = 0; c < gates; c++) bias[c] = g[part->edge_bias + c] + g[part->edge_reward + c] * reward;
    linear(g + part->edge_from, net->seen, bias, gates, net->seen, net->activity, s, from);
    linear(g + part->edge_to, net->seen, NULL, gates, net->seen, net->activity, s, to);
    linear(g + part->add_from, net->features, g + part->add_bias, LNDP_HIDDEN, net->features, net->h, s, add_from);
    linear(g + part->add_to, net->features, NULL, LNDP_HIDDEN, net->features, net->h, s, add_to);
    const bool grows = !net->opts.fixed_structure && !goes_at_zero(net);
    for (int i = 0; i < net->n; i++) {
        for (int j = 0; j < s; j += VLEN) {
            float *a = net->a + i * s + j;
            const vf there = vf_load(a), free = vf_load(net->allowed + i * s + j) - there, none = vf_set(0);
            vf next = there;
            if (any(there)) {
                /* the usual number of features as a constant */
                const vi goes =
                    n == 4 ? update_block(net, 4, i, j, from, to, there) : update_block(net, n, i, j, from, to, there);
                if (!net->opts.fixed_structure) next = vf_select(goes, none, there);
            } else {
                for (int f = 0; f < n; f++) vf_store(net->e + f * plane + i * s + j, none);
            }
            if (grows && any(free)) next += vf_select(wanted_block(net, i, j, add_from, add_to), free, none);
            vf_store(a, next);
            for (int k = 0; k < VLEN && j + k < net->n; k++) net->turned[(j + k) * s + i] = next[k];
        }
    }
}

/* ---- steps -------------------------------------------------------------------------------------------------- */

int glia_lndp_stride(int nodes) { return (int)round_up(nodes, VLEN); }

size_t glia_lndp_work(const glia_lndp *net) {
    const int nodes = 7 * net->features + LNDP_HEADS * (2 * LNDP_KEY + 2 * LNDP_VALUE + 1);
    const int edges = 6 * net->edge_features + 2 * LNDP_HIDDEN;
    return (size_t)GLIA_MAX(nodes, edges) * (size_t)net->stride;
}

void glia_lndp_update(glia_lndp *net, float reward) {
    update_nodes(net);
    update_edges(net, reward);
}

void glia_lndp_propagate(glia_lndp *net, const float *x) {
    const int s = net->stride;
    memset(net->activity, 0, (size_t)s * sizeof *x);
    for (int t = 0; t < net->opts.propagation; t++) {
        float *now = net->activity + t * s, *next = now + s;
        memcpy(now, x, (size_t)net->opts.inputs * sizeof *x);
        for (int j = 0; j < s; j += VLEN) {
            vf sum = vf_set(0);
            for (int i = 0; i < net->n; i++) sum += now[i] * vf_load(net->e + i * s + j);
            vf_store(next + j, quick_tanh(sum));
        }
    }
}
