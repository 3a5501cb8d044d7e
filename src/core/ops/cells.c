/* cells.c - a step of each recurrent cell, and a step of its gradient, in graph form.
 *
 * The derivative of a gate follows from its value: s (1 - s) of a sigmoid, 1 - t^2 of a tanh. So the values of the
 * gates are what a cell keeps. a' is what a gate's function is applied to.
 */
#include "core/ops/recurrent.h"

static int64_t units_of(const glia_cell_step *s) { return s->view->units; }

/* Gate k of x (N, G H). */
static glia_tensor gate(const glia_cell_step *s, glia_tensor x, int64_t k) {
    if (glia_is_bad(x)) return x;
    const int64_t units = units_of(s);
    return glia_slice(x, GLIA_SHAPE(0, k * units), GLIA_SHAPE(x->shape.dim[0], (k + 1) * units), GLIA_SCALAR);
}

static glia_tensor beside(const glia_tensor *gates, int n) { return glia_concat(gates, n, 1); }

/* x U^T for the rows [from, to) of U, in units. */
static glia_tensor product(const glia_cell_step *s, glia_tensor x, int64_t from, int64_t to) {
    glia_tensor u = s->view->kernel;
    if (!glia_is_bad(u)) {
        const glia_shape start = GLIA_SHAPE(from * units_of(s), 0),
                         stop = GLIA_SHAPE(to * units_of(s), u->shape.dim[1]);
        u = glia_slice(u, start, stop, GLIA_SCALAR);
    }
    return glia_matmul_transposed(x, false, u, true);
}

/* d U for the same rows. */
static glia_tensor product_back(const glia_cell_step *s, glia_tensor d, int64_t from, int64_t to) {
    glia_tensor u = s->view->kernel;
    if (!glia_is_bad(u)) {
        const glia_shape start = GLIA_SHAPE(from * units_of(s), 0),
                         stop = GLIA_SHAPE(to * units_of(s), u->shape.dim[1]);
        u = glia_slice(u, start, stop, GLIA_SCALAR);
    }
    return glia_matmul(d, u);
}

static glia_tensor one_less(glia_tensor x) { return glia_is_bad(x) ? x : glia_sub(glia_like(x, 1), x); }

/* dy s (1 - s) and dy (1 - t^2). */
static glia_tensor sigmoid_back(glia_tensor dy, glia_tensor s) { return glia_mul(dy, glia_mul(s, one_less(s))); }
static glia_tensor tanh_back(glia_tensor dy, glia_tensor t) { return glia_mul(dy, one_less(glia_mul(t, t))); }

/* ---- LSTM ------------------------------------------------------------------------------------- */

/* Row k of the peephole weights, (1, H). */
static glia_tensor peephole(const glia_cell_step *s, int64_t k) {
    return glia_slice(s->view->peephole, GLIA_SHAPE(k, 0), GLIA_SHAPE(k + 1, units_of(s)), GLIA_SCALAR);
}

/* a + p c, where there are peepholes. */
static glia_tensor peeped(const glia_cell_step *s, glia_tensor a, int64_t k, glia_tensor c) {
    return s->view->peephole ? glia_add(a, glia_mul(c, peephole(s, k))) : a;
}

static void lstm_forward(glia_cell_step *s) {
    glia_tensor a = glia_add(s->z, product(s, s->h, 0, 4));
    glia_tensor i = glia_sigmoid(peeped(s, gate(s, a, 0), 0, s->c));
    glia_tensor f = glia_sigmoid(peeped(s, gate(s, a, 1), 1, s->c));
    glia_tensor g = glia_tanh(gate(s, a, 2));
    s->c = glia_add(glia_mul(f, s->c), glia_mul(i, g));
    glia_tensor o = glia_sigmoid(peeped(s, gate(s, a, 3), 2, s->c));
    s->kept = beside((const glia_tensor[]){ i, f, g, o }, 4);
    s->h = glia_mul(o, glia_tanh(s->c));
    if (s->view->projection) s->h = glia_matmul_transposed(s->h, false, s->view->projection, true);
}

static void lstm_gradient(glia_cell_step *s) {
    glia_tensor i = gate(s, s->kept, 0), f = gate(s, s->kept, 1), g = gate(s, s->kept, 2), o = gate(s, s->kept, 3);
    glia_tensor t = glia_tanh(s->c_after), dm = s->dh;
    s->dout = s->dh;
    if (s->view->projection) dm = glia_matmul(s->dh, s->view->projection);
    glia_tensor da_o = sigmoid_back(glia_mul(dm, t), o);
    glia_tensor dc = glia_add(s->dc, tanh_back(glia_mul(dm, o), t));
    dc = peeped(s, dc, 2, da_o);
    glia_tensor da_i = sigmoid_back(glia_mul(dc, g), i);
    glia_tensor da_f = sigmoid_back(glia_mul(dc, s->c), f);
    glia_tensor da_g = tanh_back(glia_mul(dc, i), g);
    s->dz = beside((const glia_tensor[]){ da_i, da_f, da_g, da_o }, 4);
    s->dc = peeped(s, peeped(s, glia_mul(dc, f), 0, da_i), 1, da_f);
    s->dh = product_back(s, s->dz, 0, 4);
}

/* ---- GRU -------------------------------------------------------------------------------------- */

/* h = (1 - z) n + z h */
static glia_tensor mixed(glia_tensor z, glia_tensor n, glia_tensor h) {
    return glia_add(glia_mul(one_less(z), n), glia_mul(z, h));
}

static void gru_forward(glia_cell_step *s) {
    glia_tensor p = product(s, s->h, 0, 3), q = gate(s, p, 2);
    if (s->view->bias) q = glia_add(q, s->view->bias);
    glia_tensor r = glia_sigmoid(glia_add(gate(s, s->z, 0), gate(s, p, 0)));
    glia_tensor z = glia_sigmoid(glia_add(gate(s, s->z, 1), gate(s, p, 1)));
    glia_tensor n = glia_tanh(glia_add(gate(s, s->z, 2), glia_mul(r, q)));
    s->kept = beside((const glia_tensor[]){ r, z, n, q }, 4);
    s->h = mixed(z, n, s->h);
}

static void gru_gradient(glia_cell_step *s) {
    glia_tensor r = gate(s, s->kept, 0), z = gate(s, s->kept, 1), n = gate(s, s->kept, 2), q = gate(s, s->kept, 3);
    glia_tensor da_z = sigmoid_back(glia_mul(s->dh, glia_sub(s->h, n)), z);
    glia_tensor da_n = tanh_back(glia_mul(s->dh, one_less(z)), n);
    glia_tensor da_r = sigmoid_back(glia_mul(da_n, q), r);
    s->dz = beside((const glia_tensor[]){ da_r, da_z, da_n }, 3);
    s->dproduct = beside((const glia_tensor[]){ da_r, da_z, glia_mul(da_n, r) }, 3);
    s->dh = glia_add(glia_mul(s->dh, z), product_back(s, s->dproduct, 0, 3));
}

static void gru_before_forward(glia_cell_step *s) {
    glia_tensor p = product(s, s->h, 0, 2);
    glia_tensor r = glia_sigmoid(glia_add(gate(s, s->z, 0), gate(s, p, 0)));
    glia_tensor z = glia_sigmoid(glia_add(gate(s, s->z, 1), gate(s, p, 1)));
    glia_tensor rh = glia_mul(r, s->h);
    glia_tensor n = glia_tanh(glia_add(gate(s, s->z, 2), product(s, rh, 2, 3)));
    s->kept = beside((const glia_tensor[]){ r, z, n, rh }, 4);
    s->h = mixed(z, n, s->h);
}

static void gru_before_gradient(glia_cell_step *s) {
    glia_tensor r = gate(s, s->kept, 0), z = gate(s, s->kept, 1), n = gate(s, s->kept, 2);
    glia_tensor da_z = sigmoid_back(glia_mul(s->dh, glia_sub(s->h, n)), z);
    glia_tensor da_n = tanh_back(glia_mul(s->dh, one_less(z)), n);
    glia_tensor drh = product_back(s, da_n, 2, 3);
    glia_tensor da_r = sigmoid_back(glia_mul(drh, s->h), r);
    s->dz = beside((const glia_tensor[]){ da_r, da_z, da_n }, 3);
    glia_tensor along = glia_add(glia_mul(s->dh, z), glia_mul(drh, r));
    s->dh = glia_add(along, product_back(s, beside((const glia_tensor[]){ da_r, da_z }, 2), 0, 2));
}

/* ---- simple cells ----------------------------------------------------------------------------- */
/* What they keep is their result, which the sequence has. */

static void tanh_forward(glia_cell_step *s) { s->h = glia_tanh(glia_add(s->z, product(s, s->h, 0, 1))); }

static void tanh_gradient(glia_cell_step *s) {
    s->dz = tanh_back(s->dh, s->kept);
    s->dh = product_back(s, s->dz, 0, 1);
}

static void relu_forward(glia_cell_step *s) { s->h = glia_relu(glia_add(s->z, product(s, s->h, 0, 1))); }

static void relu_gradient(glia_cell_step *s) {
    s->dz = glia_relu_gradient(s->kept, s->dh);
    s->dh = product_back(s, s->dz, 0, 1);
}

const glia_cell glia_cells[GLIA_CELL_COUNT] = {
    [GLIA_CELL_LSTM] = { 4, 4, true, lstm_forward, lstm_gradient },
    [GLIA_CELL_GRU] = { 3, 4, false, gru_forward, gru_gradient },
    [GLIA_CELL_GRU_BEFORE] = { 3, 4, false, gru_before_forward, gru_before_gradient },
    [GLIA_CELL_TANH] = { 1, 0, false, tanh_forward, tanh_gradient },
    [GLIA_CELL_RELU] = { 1, 0, false, relu_forward, relu_gradient },
};
