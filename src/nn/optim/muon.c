/* muon.c - Muon (Jordan et al. 2024): for kernels, as matrices of (first axis, all others), the step is the
 * orthogonalised momentum, which is equally large in all directions of the matrix; other parameters use AdamW (adam.c).
 *
 *     v = momentum v + (1 - momentum) g;   u = (1 - momentum) g + momentum v       Nesterov's form
 *     X = u / (|u| + 1e-7);   5 times X = a X + (b A + c A^2) X,  A = X X^T        a, b, c = 3.4445, -4.7750, 2.0315
 *     w = w - lr 0.2 sqrt(max(rows, columns)) X
 *
 * The polynomial (a Newton-Schulz iteration of degree five) drives the singular values of X to about 1, in [0.7, 1.2].
 * The last factor gives a step the mean square that Adam's have (Liu et al. 2025, "Muon is scalable", section 2.2), so
 * kernels and other parameters can share one learning rate and one decay. The smaller of X X^T and X^T X is used.
 *
 * A step costs 10 c r^2 + 5 r^3 multiplications for a kernel whose sides are r <= c: for a wide dense layer and small
 * batches this is most of the cost of training. States: GROUP/momentum/NAME for kernels, those of AdamW for others,
 * GROUP/step.
 */
#include <math.h>

#include "nn/optim/optim.h"

static void share(glia_rule_scope *s, glia_tensor steps, glia_tensor carried) {
    glia_rule_adamw.share(s, steps, carried);
}

/* (b A + c A^2) X, or X (b A + c A^2) if X has more rows than columns. */
static glia_tensor iterate(glia_tensor x, bool tall) {
    const double a = 3.4445, b = -4.7750, c = 2.0315;
    glia_tensor square = glia_matmul_transposed(x, tall, x, !tall);
    glia_tensor by = glia_add(glia_mul_scalar(square, b), glia_mul_scalar(glia_matmul(square, square), c));
    return glia_add(glia_mul_scalar(x, a), tall ? glia_matmul(x, by) : glia_matmul(by, x));
}

static glia_tensor next(const glia_rule_scope *s, const char *name, glia_tensor w, glia_tensor g) {
    if (glia_is_bad(w) || glia_is_bad(g) || w->shape.rank < 2) return glia_rule_adamw.next(s, name, w, g);
    const double momentum = s->opt->momentum;
    glia_tensor v = glia_rule_mean(s, "momentum", name, momentum, g);
    glia_tensor u = glia_add(glia_mul_scalar(g, 1 - momentum), glia_mul_scalar(v, momentum));
    const int64_t rows = w->shape.dim[0], columns = glia_shape_count(w->shape) / rows;
    glia_tensor size = glia_sqrt(glia_sum(glia_square(u), GLIA_SCALAR, false));
    glia_tensor x = glia_reshape(glia_div(u, glia_add_scalar(size, 1e-7)), GLIA_SHAPE(rows, columns));
    for (int i = 0; i < 5; i++) x = iterate(x, rows > columns);
    const double scale = 0.2 * sqrt((double)GLIA_MAX(rows, columns));
    return glia_sub(w, glia_mul(glia_reshape(x, w->shape), glia_mul_scalar(s->lr, scale)));
}

const glia_rule glia_rule_muon = { .name = "muon",
                                   .lr = 0.001,
                                   .epsilon = 1e-8,
                                   .momentum = 0.95,
                                   .decay = GLIA_DECAY_APART,
                                   .share = share,
                                   .next = next };
