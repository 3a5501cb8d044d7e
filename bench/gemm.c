/* gemm.c - f32 matrix products C (M, N) = A (M, K) B (K, N) of Glia or oneDNN: a worker of bench.py.
 *
 *     bench_gemm glia|onednn THREADS
 *
 * For Glia: a program with one product of two inputs, through the public API. For oneDNN: dnnl_sgemm() of the system's
 * library, loaded at run time, so the build does not need it; its threads are OMP_NUM_THREADS. Neither packs operands
 * in advance. Prints a line of JSON when it is ready and one for each line "run M N K SECONDS".
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"
#include "worker.h"

typedef int (*sgemm_fn)(char transa, char transb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                        int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

typedef struct product {
    int64_t m, n, k;
    float *a, *b;
    const float *c;
    sgemm_fn sgemm; /* NULL: Glia's */
    float *c_room;
    glia_backend *backend;
    glia_graph *graph;
    glia_program *program;
    glia_store *store;
    glia_session *session;
} product;

static void fail(const char *what) {
    fprintf(stderr, "bench_gemm: %s\n", what);
    exit(1);
}

/* ---- the two ------------------------------------------------------------------------------ */

/* Finds dnnl_sgemm; writes the library's name and version to `about`. */
static sgemm_fn find_sgemm(char *about, size_t size) {
    typedef struct version {
        int major, minor, patch;
    } version;
    static const char *const names[] = { "libdnnl.so.3", "libdnnl.so.2", "libdnnl.so" };
    void *library = NULL;
    for (int i = 0; i < 3 && !library; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    void *symbols[2] = { library ? dlsym(library, "dnnl_sgemm") : NULL,
                         library ? dlsym(library, "dnnl_version") : NULL };
    if (!symbols[0] || !symbols[1]) fail("libdnnl was not found (Debian: libdnnl2, or libdnnl-dev)");
    sgemm_fn sgemm;
    const version *(*version_of)(void);
    memcpy(&sgemm, &symbols[0], sizeof sgemm); /* ISO C has no cast from void * to a function pointer */
    memcpy(&version_of, &symbols[1], sizeof version_of);
    snprintf(about, size, "oneDNN %d.%d.%d", version_of()->major, version_of()->minor, version_of()->patch);
    return sgemm;
}

static void run(product *p) {
    glia_error error = { .message = "dnnl_sgemm failed" };
    int status = p->sgemm ? p->sgemm('N', 'N', p->m, p->n, p->k, 1, p->a, p->k, p->b, p->n, 0, p->c_room, p->n)
                          : (int)glia_session_run(p->session, &error);
    if (status) fail(error.message);
}

static float *floats(int64_t n) {
    float *x = aligned_alloc(64, ((size_t)n * sizeof *x + 63) / 64 * 64);
    if (!x) fail("out of memory");
    return x;
}

static void build(product *p) {
    glia_error error = { 0 };
    p->graph = glia_graph_create();
    glia_tensor a = glia_input(p->graph, "a", GLIA_F32, GLIA_SHAPE(p->m, p->k));
    glia_tensor b = glia_input(p->graph, "b", GLIA_F32, GLIA_SHAPE(p->k, p->n));
    glia_tensor c = glia_matmul(a, b);
    p->program = glia_compile(p->graph, p->backend, (glia_compile_opts){ .outputs = &c, .n_outputs = 1 }, &error);
    p->store = p->program ? glia_store_create(p->graph, 0, &error) : NULL;
    p->session = p->store ? glia_session_create(p->program, p->store, &error) : NULL;
    if (!p->session) fail(error.message);
    p->a = glia_session_input(p->session, "a", NULL, NULL);
    p->b = glia_session_input(p->session, "b", NULL, NULL);
    p->c = glia_session_output(p->session, 0).data;
}

static void set_up(product *p) {
    if (p->sgemm) {
        p->a = floats(p->m * p->k), p->b = floats(p->k * p->n);
        p->c = p->c_room = floats(p->m * p->n);
    } else {
        build(p);
    }
    for (int64_t i = 0; i < p->m * p->k; i++) p->a[i] = (float)(i % 17 - 8) / 8;
    for (int64_t i = 0; i < p->k * p->n; i++) p->b[i] = (float)(i % 19 - 9) / 8;
}

static void tear_down(product *p) {
    if (p->sgemm) {
        free(p->a), free(p->b), free(p->c_room);
        return;
    }
    glia_session_free(p->session);
    glia_store_free(p->store);
    glia_program_free(p->program);
    glia_graph_free(p->graph);
}

/* Checks the last element of C. */
static void check(const product *p) {
    double should = 0, is = (double)p->c[p->m * p->n - 1];
    for (int64_t i = 0; i < p->k; i++) should += (double)p->a[(p->m - 1) * p->k + i] * (double)p->b[(i + 1) * p->n - 1];
    if (!(fabs(is - should) <= 1e-3 * (1 + fabs(should)))) fail("the product is wrong");
}

/* ---- timing ------------------------------------------------------------------------------- */

/* Repeats the product for about `seconds`, after a tenth of that as warm-up. */
static void run_block(product *p, double seconds) {
    set_up(p);
    run(p);
    check(p);
    double start = now(), end;
    int64_t runs = 0;
    while (now() < start + seconds / 10) run(p);
    start = now();
    do {
        for (int i = 0; i < 4; i++) run(p);
        runs += 4;
    } while ((end = now()) < start + seconds);
    double flops = 2.0 * (double)p->m * (double)p->n * (double)p->k * (double)runs;
    printf("{\"runs\": %lld, \"seconds\": %.6f, \"gflops\": %.2f}\n", (long long)runs, end - start,
           flops / (end - start) * 1e-9);
    tear_down(p);
}

int main(int argc, char **argv) {
    if (argc != 3) fail("usage: bench_gemm glia|onednn THREADS");
    product p = { 0 };
    char about[128];
    glia_error error;
    if (strcmp(argv[1], "onednn") == 0) {
        p.sgemm = find_sgemm(about, sizeof about);
    } else {
        p.backend = glia_backend_open("cpu", atoi(argv[2]), &error);
        if (!p.backend) fail(error.message);
        snprintf(about, sizeof about, "Glia %s, %s", glia_version(), glia_backend_describe(p.backend));
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("{\"description\": \"%s\"}\n", about);
    char line[128];
    long long m, n, k;
    double seconds;
    while (fgets(line, sizeof line, stdin) && sscanf(line, "run %lld %lld %lld %lf", &m, &n, &k, &seconds) == 4) {
        p.m = m, p.n = n, p.k = k;
        run_block(&p, seconds);
    }
    return 0;
}
