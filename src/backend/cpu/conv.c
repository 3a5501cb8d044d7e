/* conv.c - convolution and its adjoints, the plain way. */
#include "backend/cpu/rows.h"

typedef struct job {
    glia_conv_shape s;
    const float *x, *kernel;
    float *y;
    glia_epilogue epilogue;
} job;

size_t GLIA_KERNEL(conv_f32_scratch)(const glia_conv_shape *s, int workers) { return (void)s, (void)workers, 0; }
size_t GLIA_KERNEL(conv_input_grad_f32_scratch)(const glia_conv_shape *s, int workers) { return (void)s, (void)workers, 0; }
size_t GLIA_KERNEL(conv_kernel_grad_f32_scratch)(const glia_conv_shape *s, int workers) { return (void)s, (void)workers, 0; }

typedef void (*visit_fn)(const job *j, int64_t x, int64_t w, int64_t y);

/* Calls visit with the indices of every product in channel k of sample n. */
static void walk(const job *j, int64_t n, int64_t k, visit_fn visit) {
    const glia_conv_shape *s = &j->s;
    int64_t cg = s->c / s->groups, g = k / (s->k / s->groups);
    int64_t o[3], t[3];
    for (o[0] = 0; o[0] < s->out[0]; o[0]++)
    for (o[1] = 0; o[1] < s->out[1]; o[1]++)
    for (o[2] = 0; o[2] < s->out[2]; o[2]++)
    for (int64_t c = 0; c < cg; c++)
    for (t[0] = 0; t[0] < s->kernel[0]; t[0]++)
    for (t[1] = 0; t[1] < s->kernel[1]; t[1]++)
    for (t[2] = 0; t[2] < s->kernel[2]; t[2]++) {
        int64_t x = n * s->c + g * cg + c, w = k * cg + c, y = n * s->k + k;
        bool inside = true;
        for (int a = 0; a < 3; a++) {
            int64_t i = o[a] * s->stride[a] - s->pad[a] + t[a] * s->dilation[a];
            inside = inside && i >= 0 && i < s->in[a];
            x = x * s->in[a] + i;
            w = w * s->kernel[a] + t[a];
            y = y * s->out[a] + o[a];
        }
        if (inside) visit(j, x, w, y);
    }
}

static void add_y(const job *j, int64_t x, int64_t w, int64_t y) { j->y[y] += j->x[x] * j->kernel[w]; }
static void add_x(const job *j, int64_t x, int64_t w, int64_t y) { j->y[x] += j->x[y] * j->kernel[w]; }
static void add_w(const job *j, int64_t x, int64_t w, int64_t y) { j->y[w] += j->x[x] * j->kernel[y]; }

static int64_t volume(const int64_t d[3]) { return d[0] * d[1] * d[2]; }

static void forward_piece(void *context, int64_t n, int worker) {
    const job *j = context;
    int64_t pixels = volume(j->s.out), count = j->s.k * pixels;
    memset(j->y + n * count, 0, (size_t)count * 4);
    for (int64_t k = 0; k < j->s.k; k++) walk(j, n, k, add_y);
    if (j->epilogue.fn) j->epilogue.fn(j->epilogue.context, worker, n, 0, j->s.k, 0, pixels, j->y + n * count, pixels);
}

static void input_piece(void *context, int64_t n, int worker) {
    const job *j = context;
    int64_t pixels = volume(j->s.in), count = j->s.c * pixels;
    memset(j->y + n * count, 0, (size_t)count * 4);
    for (int64_t k = 0; k < j->s.k; k++) walk(j, n, k, add_x);
    if (j->epilogue.fn) j->epilogue.fn(j->epilogue.context, worker, n, 0, j->s.c, 0, pixels, j->y + n * count, pixels);
}

static void kernel_piece(void *context, int64_t k, int worker) {
    (void)worker;
    const job *j = context;
    int64_t count = j->s.c / j->s.groups * volume(j->s.kernel);
    memset(j->y + k * count, 0, (size_t)count * 4);
    for (int64_t n = 0; n < j->s.n; n++) walk(j, n, k, add_w);
}

void GLIA_KERNEL(conv_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *x, const float *kernel, float *y,
                           glia_epilogue epilogue, void *scratch) {
    (void)scratch;
    job j = { *shape, x, kernel, y, epilogue };
    glia_parallel_for(pool, shape->n, forward_piece, &j);
}

void GLIA_KERNEL(conv_input_grad_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *dy, const float *kernel,
                                      float *dx, glia_epilogue epilogue, void *scratch) {
    (void)scratch;
    job j = { *shape, dy, kernel, dx, epilogue };
    glia_parallel_for(pool, shape->n, input_piece, &j);
}

void GLIA_KERNEL(conv_kernel_grad_f32)(glia_pool *pool, const glia_conv_shape *shape, const float *x, const float *dy,
                                       float *dkernel, void *scratch) {
    (void)scratch;
    job j = { *shape, x, dy, dkernel, { 0 } };
    glia_parallel_for(pool, shape->k, kernel_piece, &j);
}
