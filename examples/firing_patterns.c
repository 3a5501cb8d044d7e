/* firing_patterns.c - the twenty patterns of cells in Izhikevich 2004, figure 1, as an SVG picture: membrane above,
 * current below.
 *
 *     firing_patterns > patterns.svg
 */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>

enum { COLUMNS = 4, WIDTH = 200, HEIGHT = 110, MOST = 2000 };

/* A line through n values, which lie in [low, high], in a frame. */
static void draw(const double *values, int n, double low, double high, double x, double y, double height,
                 const char *colour) {
    printf("<polyline fill='none' stroke='%s' points='", colour);
    for (int i = 0; i < n; i++) {
        const double at = high > low ? (values[i] - low) / (high - low) : 0;
        printf("%.1f,%.1f ", x + (WIDTH - 20) * (double)i / n, y + height * (1 - at));
    }
    printf("'/>\n");
}

int main(void) {
    static double current[MOST], v[MOST];
    const int rows = GLIA_FIRING_PATTERNS / COLUMNS;
    glia_error error;
    printf("<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif' font-size='10'>\n"
           "<rect width='100%%' height='100%%' fill='white'/>\n",
           COLUMNS * WIDTH, rows * HEIGHT);
    for (int k = 0; k < GLIA_FIRING_PATTERNS; k++) {
        const glia_firing_pattern *p = glia_firing_pattern_at(k);
        const int steps = (int)lround(p->duration / p->dt);
        const double x = 10 + k % COLUMNS * WIDTH, y = 14 + k / COLUMNS * HEIGHT;
        double low = INFINITY, high = -INFINITY;
        for (int i = 0; i < steps; i++) {
            current[i] = glia_firing_pattern_current(k, i * p->dt);
            low = fmin(low, current[i]), high = fmax(high, current[i]);
        }
        glia_neuron_run run = { .steps = steps, .dt = p->dt, .current = current, .v0 = p->v0, .u0 = p->u0, .v = v };
        if (glia_neuron_simulate(&p->neuron, &run, &error)) return fprintf(stderr, "%s\n", error.message), 1;
        printf("<text x='%g' y='%g'>%c %s</text>\n", x, y, 'A' + k, p->name);
        draw(v, steps, -100, 40, x, y + 4, 60, "#1f4e9c");
        draw(current, steps, low, high, x, y + 70, 12, "#999");
    }
    printf("</svg>\n");
    return 0;
}
