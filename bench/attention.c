/* attention.c - measures memory and time of causal attention with its gradient for growing T, and compares the memory
 * with the size of the attention matrix.
 *
 *     bench_attention [FIGURE.svg]
 *
 * One sample, two heads of 64, T = 512 to 16384, one thread. "memory" is the growth of the peak resident memory,
 * "planned" the activations of the program, "scores" the size of one T x T matrix per head. An implementation that
 * stores the scores needs several of these.
 */
#include <stdio.h>
#include <stdlib.h>

#include "glia/glia.h"
#include "worker.h"

enum { HEADS = 2, SIZE = 64, UNITS = HEADS * SIZE, ROWS = 6, FIRST = 512 };

typedef struct row {
    int64_t t;
    double memory, planned, scores, seconds;
} row;

static void fail(const glia_error *error) {
    fprintf(stderr, "bench_attention: %s\n", error->message);
    exit(1);
}

static row measure(int64_t t, double before) {
    glia_error error = { 0 };
    glia_graph *g = glia_graph_create();
    glia_tensor qkv = glia_input(g, "qkv", GLIA_F32, GLIA_SHAPE(1, t, 3 * UNITS)), dx;
    glia_tensor y = glia_attention_qkv(qkv, (glia_attention_opts){ .heads = HEADS, .causal = true });
    glia_grad(y, &qkv, 1, &dx);
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    if (!backend) fail(&error);
    glia_program *program = glia_compile(g, backend, (glia_compile_opts){ .outputs = &dx, .n_outputs = 1 }, &error);
    glia_store *store = program ? glia_store_create(g, 0, &error) : NULL;
    glia_session *session = store ? glia_session_create(program, store, &error) : NULL;
    if (!session) fail(&error);
    float *x = glia_session_input(session, "qkv", NULL, NULL);
    for (int64_t i = 0; i < t * 3 * UNITS; i++) x[i] = (float)(i * 7919 % 2001) / 1000 - 1;
    const double begin = cpu_seconds();
    if (glia_session_run(session, &error) != GLIA_OK) fail(&error);
    row r = { .t = t, .seconds = cpu_seconds() - begin, .scores = 4.0 * HEADS * (double)t * (double)t };
    r.planned = (double)glia_program_inspect(program).activation_bytes;
    r.memory = 1024.0 * (double)peak_kib() - before;
    glia_session_free(session);
    glia_store_free(store);
    glia_program_free(program);
    glia_backend_close(backend);
    glia_graph_free(g);
    return r;
}

/* ---- the figure ----------------------------------------------------------------------------- */

enum { LEFT = 60, TOP = 20, STEP = 80, DOUBLING = 24 };

/* Height of a number of bytes on a logarithmic axis from 1 MiB to 4 GiB. */
static double height_of(double bytes) {
    double doublings = 0, unit = 1 << 20;
    while (unit * 2 <= bytes) unit *= 2, doublings++;
    return TOP + DOUBLING * (12 - doublings - (bytes / unit - 1));
}

static void draw_line(FILE *f, const row *rows, bool scores, const char *color, const char *name) {
    fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", color);
    for (int i = 0; i < ROWS; i++) {
        fprintf(f, "%d,%.1f ", LEFT + i * STEP, height_of(scores ? rows[i].scores : rows[i].memory));
    }
    fprintf(f, "\"/>\n<text x=\"%d\" y=\"%.1f\" fill=\"%s\">%s</text>\n", LEFT + (ROWS - 1) * STEP + 8,
            height_of(scores ? rows[ROWS - 1].scores : rows[ROWS - 1].memory) + 4, color, name);
}

static void draw(const char *path, const row *rows) {
    FILE *f = fopen(path, "w");
    if (!f) {
        fprintf(stderr, "bench_attention: cannot write %s\n", path);
        exit(1);
    }
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"620\" height=\"360\" font-family=\"sans-serif\" "
               "font-size=\"12\">\n<rect width=\"620\" height=\"360\" fill=\"#ffffff\"/>\n");
    for (int k = 0; k <= 12; k += 2) {
        const double y = TOP + DOUBLING * (12 - k);
        fprintf(f,
                "<path d=\"M%d %.1f H%d\" stroke=\"#dddddd\"/><text x=\"8\" y=\"%.1f\" fill=\"#444444\">%d %s</text>\n",
                LEFT, y, LEFT + (ROWS - 1) * STEP, y + 4, k < 10 ? 1 << k : 1 << (k - 10), k < 10 ? "MiB" : "GiB");
    }
    for (int i = 0; i < ROWS; i++) {
        fprintf(f, "<text x=\"%d\" y=\"%d\" fill=\"#444444\" text-anchor=\"middle\">%lld</text>\n", LEFT + i * STEP,
                TOP + 12 * DOUBLING + 20, (long long)rows[i].t);
    }
    fprintf(f, "<text x=\"%d\" y=\"%d\" fill=\"#444444\">T</text>\n", LEFT + (ROWS - 1) * STEP / 2,
            TOP + 12 * DOUBLING + 40);
    draw_line(f, rows, true, "#b04a3a", "scores alone");
    draw_line(f, rows, false, "#2a6fb0", "memory");
    fprintf(f, "</svg>\n");
    if (fclose(f)) exit(1);
}

int main(int argc, char **argv) {
    row rows[ROWS];
    measure(64, 0);
    const double before = 1024.0 * (double)peak_kib(), mib = 1 << 20;
    printf(
        "|     T | memory, MiB | planned, MiB | scores, MiB | forward and backward, s |\n|---:|---:|---:|---:|---:|\n");
    for (int i = 0; i < ROWS; i++) {
        const row r = rows[i] = measure((int64_t)FIRST << i, before);
        printf("| %lld | %.1f | %.1f | %.1f | %.3f |\n", (long long)r.t, r.memory / mib, r.planned / mib,
               r.scores / mib, r.seconds);
        fflush(stdout);
    }
    if (argc > 1) draw(argv[1], rows);
    return 0;
}
