/* gates.c - reorders the rows of recurrent kernels between the gate orders of other frameworks. */
#include <string.h>

#include "glia/recurrent.h"
#include "nn/layers/layers.h"

enum { LSTM_GATES = 4, GRU_GATES = 3 };

/* orders[o][k]: the index in Glia's order of gate k in order o. */
static const int lstm_orders[GLIA_GATE_ORDER_COUNT][LSTM_GATES] = {
    [GLIA_GATES_TORCH] = { 0, 1, 2, 3 }, [GLIA_GATES_ONNX] = { 0, 3, 1, 2 }, [GLIA_GATES_KERAS] = { 0, 1, 2, 3 }
};
static const int gru_orders[GLIA_GATE_ORDER_COUNT][GRU_GATES] = {
    [GLIA_GATES_TORCH] = { 0, 1, 2 }, [GLIA_GATES_ONNX] = { 1, 0, 2 }, [GLIA_GATES_KERAS] = { 1, 0, 2 }
};

glia_status glia_gates_reorder(int gates, int64_t units, int64_t columns, const float *x, glia_gate_order from,
                               float *y, glia_gate_order to, glia_error *error) {
    if (gates != LSTM_GATES && gates != GRU_GATES) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_gates_reorder: an LSTM has 4 gates, a GRU 3, not %d", gates);
    }
    if (from < 0 || from >= GLIA_GATE_ORDER_COUNT || to < 0 || to >= GLIA_GATE_ORDER_COUNT || units < 1 ||
        columns < 1) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_gates_reorder: no such order, or nothing to reorder");
    }
    const int *was = gates == LSTM_GATES ? lstm_orders[from] : gru_orders[from];
    const int *is = gates == LSTM_GATES ? lstm_orders[to] : gru_orders[to];
    const int64_t block = units * columns;
    for (int k = 0; k < gates; k++) {
        int at = 0;
        while (was[at] != is[k]) at++;
        memcpy(y + k * block, x + at * block, (size_t)block * sizeof *y);
    }
    return GLIA_OK;
}
