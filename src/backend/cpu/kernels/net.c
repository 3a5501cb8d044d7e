/* net.c - nets of any shapes side by side, in double precision.
 *
 *     for each position:  sum <- sum + weight * value of the source, link by link;  value <- function of the sum
 *
 * Lanes are independent and links are added one after the other, so a net gives the same bits as alone, and on every
 * instruction set: products and sums are rounded separately (CMakeLists.txt compiles this file so).
 */
#include "backend/cpu/kernels/net.h"
#include "backend/cpu/kernels/rows.h"

enum { LANES = GLIA_NET_LANES, PART = VLEN / 2, PARTS = LANES / PART };

typedef double vd __attribute__((vector_size(PART * 8)));
typedef double vd_any __attribute__((vector_size(PART * 8), aligned(8), may_alias));

GLIA_INLINE vd vd_load(const double *p) { return *(const vd_any *)p; }
GLIA_INLINE void vd_store(double *p, vd v) { *(vd_any *)p = v; }

/* The sums of one position. */
GLIA_INLINE void add_up(const glia_net_lanes *net, int k, double *to) {
    const double *values = net->values;
    vd sum[PARTS] = { { 0 } };
    for (int l = net->first[k]; l < net->first[k] + net->links[k]; l++) {
        const double *weight = net->weight + (int64_t)l * LANES;
        double own[LANES];
        const double *from = own;
        if (net->source[l] != GLIA_NET_MIXED) {
            from = values + (int64_t)net->source[l] * LANES;
        } else {
            const int32_t *sources = net->own_source + (int64_t)l * LANES;
            for (int j = 0; j < LANES; j++) own[j] = values[(int64_t)sources[j] * LANES + j];
        }
        GLIA_UNROLL
        for (int i = 0; i < PARTS; i++) sum[i] += vd_load(weight + i * PART) * vd_load(from + i * PART);
    }
    GLIA_UNROLL
    for (int i = 0; i < PARTS; i++) vd_store(to + i * PART, sum[i]);
}

/* The function of all lanes; the loops become vectors. */
static void apply(glia_node_function function, const double *restrict sum, double *restrict value) {
    switch (function) {
    case GLIA_NODE_SIGMOID:
        for (int j = 0; j < LANES; j++) value[j] = glia_net_sigmoid(sum[j]);
        break;
    case GLIA_NODE_TANH:
        for (int j = 0; j < LANES; j++) value[j] = glia_net_tanh(sum[j]);
        break;
    default:
        for (int j = 0; j < LANES; j++) value[j] = glia_net_node(function, sum[j]);
    }
}

void GLIA_KERNEL(net_f64)(const glia_net_lanes *net, const double *x, double *y) {
    double sum[LANES], *values = net->values;
    if (net->recurrent)
        memcpy(values + (int64_t)net->slots * LANES, values, (size_t)net->slots * LANES * sizeof *values);
    memcpy(values, x, (size_t)net->inputs * LANES * sizeof *values);
    for (int j = 0; j < LANES; j++) values[net->inputs * LANES + j] = 1;
    for (int k = 0; k < net->positions; k++) {
        double *value = values + (int64_t)(net->inputs + 1 + k) * LANES;
        add_up(net, k, sum);
        if (net->function[k] != GLIA_NET_MIXED) {
            apply((glia_node_function)net->function[k], sum, value);
        } else {
            for (int j = 0; j < LANES; j++)
                value[j] = glia_net_node((glia_node_function)net->own_function[k * LANES + j], sum[j]);
        }
    }
    for (int i = 0; i < net->outputs; i++) {
        if (net->output[i] != GLIA_NET_MIXED) {
            memcpy(y + i * LANES, values + (int64_t)net->output[i] * LANES, LANES * sizeof *y);
            continue;
        }
        for (int j = 0; j < LANES; j++) y[i * LANES + j] = values[(int64_t)net->own_output[i * LANES + j] * LANES + j];
    }
}

/* As many floats and whole numbers as doubles in a vector. */
typedef float narrow __attribute__((vector_size(PART * 4)));
typedef int32_t whole __attribute__((vector_size(PART * 4)));
typedef int32_t whole_any __attribute__((vector_size(PART * 4), aligned(4), may_alias));

GLIA_INLINE narrow as_floats(const double *p) { return __builtin_convertvector(vd_load(p), narrow); }

/* The largest of y (n, lanes) in each lane, as floats; of equal ones the first. */
void GLIA_KERNEL(net_choose_f64)(int n, const double *y, int32_t *choice) {
    for (int j = 0; j < LANES; j += PART) {
        narrow most = as_floats(y + j);
        whole best = { 0 };
        for (int i = 1; i < n; i++) {
            const narrow other = as_floats(y + i * LANES + j);
            const whole more = other > most;
            best = (more & i) | (~more & best);
            most = (narrow)((more & (whole)other) | (~more & (whole)most));
        }
        *(whole_any *)(choice + j) = best;
    }
}
