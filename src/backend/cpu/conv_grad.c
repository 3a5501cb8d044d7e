/* conv_grad.c - the adjoint of convolution in the kernel, the plain way. */
#include "backend/cpu/conv.h"

typedef struct job {
    glia_conv_shape s;
    const float *x, *dy;
    float *dw;
} job;

size_t GLIA_KERNEL(conv_kernel_grad_f32_scratch)(const glia_conv_shape *s, int workers) { return (void)s, (void)workers, 0; }

static void kernel_piece(void *context, int64_t k, int worker) {
    (void)worker;
    const job *j = context;
    const glia_conv_shape *s = &j->s;
    int64_t cg = s->c / s->groups, g = k / (s->k / s->groups), count = cg * volume(s->kernel);
    float *dw = j->dw + k * count;
    memset(dw, 0, (size_t)count * 4);
    int64_t o[3], t[3];
    for (int64_t n = 0; n < s->n; n++) 
    for (o[0] = 0; o[0] < s->out[0]; o[0]++)
    for (o[1] = 0; o[1] < s->out[1]; o[1]++)
    for (o[2] = 0; o[2] < s->out[2]; o[2]++)
    for (int64_t c = 0; c < cg; c++)
    for (t[0] = 0; t[0] < s->kernel[0]; t[0]++)
    for (t[1] = 0; t[1] < s->kernel[1]; t[1]++)
    for (t[2] = 0; t[2] < s->kernel[2]; t[2]++) {
        int64_t x = n * s->c + g * cg + c, w = c, y = n * s->k + k;
        bool inside = true;
        for (int a = 0; a < 3; a++) {
            int64_t i = o[a] * s->stride[a] - s->pad[a] + t[a] * s->dilation[a];
            inside = inside && i >= 0 && i < s->in[a];
            x = x * s->in[a] + i;
            w = w * s->kernel[a] + t[a];
            y = y * s->out[a] + o[a];
        }
        if (inside) dw[w] += j->x[x] * j->dy[y];
    }
}

void GLIA_KERNEL(conv_kernel_grad_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *x, const float *dy,
                                       float *dkernel, void *scratch) {
    (void)scratch;
    job j = { *shape, x, dy, dkernel };
    glia_parallel_for(pool, shape->k, kernel_piece, &j);
}
