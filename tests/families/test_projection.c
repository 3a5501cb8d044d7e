/* test_projection.c - PCA and t-SNE against scikit-learn (tools/golden/projection.py), and maps. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "families/projection/projection.h"
#include "glia/glia.h"

static glia_error error;

static void assert_done(glia_status status) {
    if (status) fail_msg("%s", error.message);
}

static void assert_near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("%.17g, where %.17g was expected", found, wanted);
}

/* Multiples of 1/256 in [-8, 8), drawn as in the script. */
static void draw(uint32_t seed, int n, double *out) {
    for (int i = 0; i < n; i++) {
        seed = 1664525U * seed + 1013904223U;
        out[i] = ((double)((seed >> 8) % 4096) - 2048) / 256;
    }
}

/* Reads the numbers in a line of the golden file. */
static int golden(const char *name, double *out, int capacity) {
    static char line[1 << 16];
    FILE *file = fopen(GLIA_GOLDEN_DIR "/projection.txt", "r");
    assert_non_null(file);
    const size_t length = strlen(name);
    int n = 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, name, length) != 0 || line[length] != ' ') continue;
        char *at = line + length, *end;
        for (;; at = end) {
            const double value = strtod(at, &end);
            if (end == at) break;
            assert_true(n < capacity);
            out[n++] = value;
        }
    }
    fclose(file);
    assert_true(n > 0);
    return n;
}

/* ---- PCA ---------------------------------------------------------------------------------- */

static void check_pca(const char *name, int n, int size, uint32_t seed) {
    enum { MOST = 300, COMPONENTS = 4 };
    double drawn[MOST], y[40 * COMPONENTS], axes[COMPONENTS * 30], variance[COMPONENTS], wanted[MOST];
    float x[MOST];
    char what[32];
    draw(seed, n * size, drawn);
    for (int i = 0; i < n * size; i++) x[i] = (float)(drawn[i] * (i % size + 1));
    assert_done(glia_pca(x, n, size, COMPONENTS, (glia_pca_result){ y, axes, variance }, &error));
    snprintf(what, sizeof what, "%s_y", name);
    assert_int_equal(golden(what, wanted, MOST), n * COMPONENTS);
    for (int i = 0; i < n * COMPONENTS; i++) assert_near(y[i], wanted[i], 1e-10);
    snprintf(what, sizeof what, "%s_axes", name);
    assert_int_equal(golden(what, wanted, MOST), size * COMPONENTS);
    for (int i = 0; i < size * COMPONENTS; i++) assert_near(axes[i], wanted[i], 1e-10);
    snprintf(what, sizeof what, "%s_variance", name);
    assert_int_equal(golden(what, wanted, MOST), COMPONENTS);
    for (int i = 0; i < COMPONENTS; i++) assert_near(variance[i] / wanted[i], 1, 1e-12);
}

static void test_pca_matches_scikit_learn(void **state) {
    (void)state;
    check_pca("tall", 40, 6, 1);
    check_pca("wide", 8, 30, 2);
}

static void test_pca_degenerate_points(void **state) {
    (void)state;
    const float same[] = { 1, 2, 1, 2, 1, 2 };
    double y[6], variance[2];
    assert_done(glia_pca(same, 3, 2, 2, (glia_pca_result){ .y = y, .variance = variance }, &error));
    for (int i = 0; i < 6; i++) assert_true(y[i] == 0);
    assert_true(variance[0] == 0 && variance[1] == 0);
    assert_int_equal(glia_pca(same, 3, 2, 3, (glia_pca_result){ 0 }, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_pca((const float[]){ 1, NAN, 2, 3 }, 2, 2, 1, (glia_pca_result){ 0 }, &error),
                     GLIA_E_ARGUMENT);
    assert_string_equal(error.message, "pca: value 1 of point 0 is not finite");
}

/* ---- t-SNE -------------------------------------------------------------------------------- */

enum { POINTS = 30, SIZE = 5 };

static void sample(double *p, double *y) {
    double drawn[POINTS * SIZE];
    float x[POINTS * SIZE];
    draw(3, POINTS * SIZE, drawn);
    draw(4, POINTS * 2, y);
    for (int i = 0; i < POINTS * SIZE; i++) x[i] = (float)drawn[i];
    assert_done(glia_tsne_affinities(NULL, x, POINTS, SIZE, 7, p, &error));
}

static void test_tsne_matches_scikit_learn(void **state) {
    (void)state;
    double p[POINTS * POINTS], y[POINTS * 2], gradient[POINTS * 2], scratch[POINTS * 5], wanted[POINTS * 2], sum = 0;
    sample(p, y);
    assert_int_equal(golden("affinities", wanted, POINTS * 2), POINTS);
    for (int i = 0; i < POINTS; i++) assert_near(p[i], wanted[i], 1e-12);
    for (int i = 0; i < POINTS * POINTS; i++) sum += p[i];
    assert_near(sum, 1, 1e-12);
    golden("divergence", wanted, 1);
    assert_near(glia_tsne_divergence(NULL, p, POINTS, y, scratch), wanted[0], 1e-10);
    glia_tsne_gradient(NULL, p, POINTS, 1, y, gradient, scratch);
    assert_int_equal(golden("gradient", wanted, POINTS * 2), POINTS * 2);
    for (int i = 0; i < POINTS * 2; i++) assert_near(gradient[i], wanted[i], 1e-10);
}

static void test_tsne_gradient_matches_differences(void **state) {
    (void)state;
    double p[POINTS * POINTS], y[POINTS * 2], gradient[POINTS * 2], scratch[POINTS * 5];
    sample(p, y);
    glia_tsne_gradient(NULL, p, POINTS, 1, y, gradient, scratch);
    for (int i = 0; i < POINTS * 2; i++) {
        const double h = 1e-5, at = y[i];
        y[i] = at + h;
        const double above = glia_tsne_divergence(NULL, p, POINTS, y, scratch);
        y[i] = at - h;
        const double below = glia_tsne_divergence(NULL, p, POINTS, y, scratch);
        y[i] = at;
        assert_near(gradient[i], (above - below) / (2 * h), 1e-8);
    }
}

/* The index of the nearest neighbour of point i. */
static int nearest_place(const double *y, int n, int i) {
    int nearest = -1;
    double least = INFINITY;
    for (int j = 0; j < n; j++) {
        const double d = hypot(y[2 * i] - y[2 * j], y[2 * i + 1] - y[2 * j + 1]);
        if (j != i && d < least) least = d, nearest = j;
    }
    return nearest;
}

/* Three clusters in ten dimensions remain three clusters; the same bits with one and three threads. */
static void test_tsne_keeps_neighbours(void **state) {
    (void)state;
    enum { N = 90, WIDE = 10 };
    double drawn[N * WIDE], y[N * 2], again[N * 2], divergence;
    float x[N * WIDE];
    draw(5, N * WIDE, drawn);
    for (int i = 0; i < N * WIDE; i++) x[i] = (float)(drawn[i] / 8 + (i / WIDE % 3 == i % WIDE ? 6 : 0));
    for (int random = 0; random < 2; random++) {
        const glia_tsne_opts opts = { .iterations = 400, .threads = 1, .random_start = random, .seed = 3 };
        glia_tsne_opts more = opts;
        more.threads = 3;
        assert_done(glia_tsne(x, N, WIDE, opts, y, &divergence, &error));
        assert_done(glia_tsne(x, N, WIDE, more, again, NULL, &error));
        assert_memory_equal(y, again, sizeof y);
        assert_true(divergence > 0 && divergence < 1);
        for (int i = 0; i < N; i++) assert_int_equal(nearest_place(y, N, i) % 3, i % 3);
    }
    assert_int_equal(glia_tsne(x, 3, WIDE, (glia_tsne_opts){ 0 }, y, NULL, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_tsne(x, N, WIDE, (glia_tsne_opts){ .perplexity = 500 }, y, NULL, &error), GLIA_E_ARGUMENT);
}

/* With all points as neighbours and theta 0 (no cell is approximated) the tree gives the exact sums. */
static void test_tree_is_exact_without_theta(void **state) {
    (void)state;
    enum { N = 61 };
    double drawn[N * SIZE], y[N * 2], p[N * N], exact[N * 2], gradient[N * 2], scratch[N * 5];
    float x[N * SIZE];
    draw(6, N * SIZE, drawn);
    draw(7, N * 2, y);
    for (int i = 0; i < N * SIZE; i++) x[i] = (float)drawn[i];
    for (int i = 40; i < 60; i++) memcpy(y + 2 * i, y + 2, 2 * sizeof *y); /* equal points, more than fit in a leaf */
    assert_done(glia_tsne_affinities(NULL, x, N, SIZE, 20, p, &error));
    glia_neighbours near;
    assert_done(glia_tsne_neighbours(NULL, x, N, SIZE, 20, &near, &error));
    for (int i = 0; i < N; i++) {
        assert_int_equal(near.starts[i + 1] - near.starts[i], N - 1);
        for (int j = 0, e = (int)near.starts[i]; j < N; j++) {
            if (j == i) continue;
            assert_int_equal(near.columns[e], j);
            assert_near(near.p[e++], p[i * N + j], 1e-14);
        }
    }
    glia_quadtree *tree = glia_quadtree_create(N);
    glia_tsne_gradient(NULL, p, N, 3, y, exact, scratch);
    glia_tsne_tree_gradient(NULL, &near, tree, 0, 3, y, gradient, scratch);
    for (int i = 0; i < 2 * N; i++) assert_near(gradient[i], exact[i], 1e-13);
    assert_near(glia_tsne_tree_divergence(NULL, &near, tree, 0, y, scratch),
                glia_tsne_divergence(NULL, p, N, y, scratch), 1e-12);
    glia_quadtree_free(tree);
    glia_neighbours_free(&near);
}

/* The relative error of the Barnes-Hut gradient. */
static double error_at(const glia_neighbours *near, int n, double theta, const double *y) {
    double *sums = malloc((size_t)(9 * n) * sizeof *sums), *exact = sums + 5 * n, *gradient = sums + 7 * n;
    double off = 0, length = 0;
    glia_quadtree *tree = glia_quadtree_create(n);
    glia_tsne_tree_gradient(NULL, near, tree, 0, 1, y, exact, sums);
    glia_tsne_tree_gradient(NULL, near, tree, theta, 1, y, gradient, sums);
    for (int i = 0; i < 2 * n; i++) {
        off += (gradient[i] - exact[i]) * (gradient[i] - exact[i]);
        length += exact[i] * exact[i];
    }
    glia_quadtree_free(tree);
    free(sums);
    return sqrt(off / length);
}

/* Many points: the Barnes-Hut gradient approximates the exact one, better for smaller theta; clusters remain clusters,
 * with the same bits on any number of threads. */
static void test_tree_of_many_points(void **state) {
    (void)state;
    enum { N = 602, WIDE = 6 };
    static double drawn[N * WIDE], y[N * 2], again[N * 2];
    static float x[N * WIDE];
    draw(8, N * WIDE, drawn);
    draw(9, N * 2, y);
    for (int i = 0; i < N * WIDE; i++) x[i] = (float)(drawn[i] / 8 + (i / WIDE % 4 == i % WIDE ? 6 : 0));
    glia_neighbours near;
    assert_done(glia_tsne_neighbours(NULL, x, N, WIDE, 10, &near, &error));
    double sum = 0;
    for (int64_t e = 0; e < near.starts[N]; e++) sum += near.p[e];
    assert_near(sum, 1, 1e-12);
    const double coarse = error_at(&near, N, 0.9, y), usual = error_at(&near, N, 0.5, y),
                 fine = error_at(&near, N, 0.2, y);
    assert_true(coarse > 0 && usual < 0.03 && usual < coarse && fine < usual / 3);
    glia_neighbours_free(&near);
    const glia_tsne_opts one = { .perplexity = 10, .iterations = 200, .threads = 1 };
    glia_tsne_opts more = one;
    more.threads = 3;
    double divergence;
    assert_done(glia_tsne(x, N, WIDE, one, y, &divergence, &error));
    assert_done(glia_tsne(x, N, WIDE, more, again, NULL, &error));
    assert_memory_equal(y, again, sizeof y);
    assert_true(divergence > 0 && divergence < 3);
    int strangers = 0;
    for (int i = 0; i < N; i++) strangers += nearest_place(y, N, i) % 4 != i % 4;
    assert_int_equal(strangers, 0);
    memset(x, 0, sizeof x); /* all points equal */
    assert_done(glia_tsne(x, N, WIDE, (glia_tsne_opts){ .iterations = 5 }, y, NULL, &error));
    for (int i = 0; i < 2 * N; i++) assert_true(isfinite(y[i]));
    assert_int_equal(glia_tsne(x, N, WIDE, (glia_tsne_opts){ .theta = NAN }, y, NULL, &error), GLIA_E_ARGUMENT);
}

/* ---- maps --------------------------------------------------------------------------------- */

static int count(const char *text, const char *what) {
    int n = 0;
    for (; (text = strstr(text, what)); text++) n++;
    return n;
}

static void test_map(void **state) {
    (void)state;
    const double places[] = { 0, 0, 1, 1, 0, 1, 0.5, 0.5, 1, 0 };
    const char *const labels[] = { "a<b", "R&D", "\xE8\xAA\x9E", "\xFF", "e" };
    const int32_t groups[] = { 0, 1, 2, 8, 9 };
    char *svg = glia_map_svg(places, 5, (glia_map_opts){ .title = "t", .labels = labels, .groups = groups }, &error);
    assert_non_null(svg);
    assert_int_equal(count(svg, "<circle"), 5);
    assert_int_equal(count(svg, "<circle class='c0'"), 2);
    assert_int_equal(count(svg, "text-anchor='middle'>a&lt;b</text>"), 1);
    assert_int_equal(count(svg, ">R&amp;D</text>"), 1);
    assert_int_equal(count(svg, ">?</text>"), 1);
    free(svg);
    enum { CROWD = 200 };
    double crowd[2 * CROWD] = { 0 };
    const char *names[CROWD];
    for (int i = 0; i < CROWD; i++) names[i] = "crowded";
    for (int i = 0; i < CROWD; i++) crowd[2 * i] = i * 1e-6;
    crowd[2 * CROWD - 2] = 1;
    svg = glia_map_svg(crowd, CROWD, (glia_map_opts){ .labels = names }, &error);
    assert_non_null(svg);
    assert_int_equal(count(svg, "<title>crowded</title>"), CROWD);
    assert_in_range(count(svg, ">crowded</text>"), 2, 9); /* only labels that fit */
    free(svg);
    svg = glia_map_svg((const double[]){ 5, 5 }, 1, (glia_map_opts){ 0 }, &error);
    assert_non_null(svg);
    free(svg);
    assert_null(glia_map_svg((const double[]){ 5, NAN }, 1, (glia_map_opts){ 0 }, &error));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pca_matches_scikit_learn),
        cmocka_unit_test(test_pca_degenerate_points),
        cmocka_unit_test(test_tsne_matches_scikit_learn),
        cmocka_unit_test(test_tsne_gradient_matches_differences),
        cmocka_unit_test(test_tsne_keeps_neighbours),
        cmocka_unit_test(test_tree_is_exact_without_theta),
        cmocka_unit_test(test_tree_of_many_points),
        cmocka_unit_test(test_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
