/* hyperneat.c - visual discrimination (Stanley, D'Ambrosio and Gauci 2009): find the larger of two squares.
 *
 *     hyperneat [GENERATIONS [SEED]]
 *
 * A field of 11 x 11 pixels holds a square of 3 x 3 and one of 1 x 1; the strongest unit of an output field of the same
 * size should lie at the centre of the larger. NEAT evolves a function of places that gives the 14,641 weights. The
 * same function then gives the weights of fields of 33 x 33 and 55 x 55, without more evolution.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"

enum { TRIALS = 75, FIELD = 11 };

typedef struct square {
    int x, y; /* centre */
} square;

/* Both squares of a trial in a field of `side` = 11 k pixels: the small one anywhere, the large one half a field away,
 * to the right, below, or both. */
static void place(int trial, int scale, square *large, square *small) {
    const int x = trial / 3 % 5 * 2 + 1, y = trial / 15 * 2 + 1, way = trial % 3;
    int far_x = (x + (way != 1 ? 5 : 0)) % FIELD, far_y = (y + (way != 0 ? 5 : 0)) % FIELD;
    if (far_x < 1) far_x = 1; /* a large square lies inside the field */
    if (far_x > FIELD - 2) far_x = FIELD - 2;
    if (far_y < 1) far_y = 1;
    if (far_y > FIELD - 2) far_y = FIELD - 2;
    *small = (square){ x * scale + scale / 2, y * scale + scale / 2 };
    *large = (square){ far_x * scale + scale / 2, far_y * scale + scale / 2 };
}

static void add_square(double *sums, const double *weights, int side, square s, int half) {
    for (int y = s.y - half; y <= s.y + half; y++) {
        for (int x = s.x - half; x <= s.x + half; x++) {
            for (int k = 0; k < side * side; k++)
                sums[k] += weights[(size_t)k * (size_t)(side * side) + (size_t)(y * side + x)];
        }
    }
}

typedef struct score {
    double squares, distance; /* mean, in units of the small field */
    int right;
} score;

/* The trials with these weights. */
static score test(const double *weights, int scale, double *sums) {
    const int side = FIELD * scale;
    score s = { 0 };
    for (int trial = 0; trial < TRIALS; trial++) {
        square large, small;
        place(trial, scale, &large, &small);
        memset(sums, 0, (size_t)(side * side) * sizeof *sums);
        add_square(sums, weights, side, large, (3 * scale - 1) / 2);
        add_square(sums, weights, side, small, (scale - 1) / 2);
        int best = 0;
        for (int k = 1; k < side * side; k++) best = sums[k] > sums[best] ? k : best;
        const double dx = (double)(best % side - large.x) / scale, dy = (double)(best / side - large.y) / scale;
        s.squares += (dx * dx + dy * dy) / TRIALS;
        s.distance += hypot(dx, dy) / TRIALS;
        s.right += fabs(dx) < 0.5 && fabs(dy) < 0.5;
    }
    return s;
}

/* The weights of a field of 11 scale x 11 scale by the genome, and the score. */
static glia_status judge(const glia_genome *genome, int scale, score *out, glia_error *error) {
    const int side = FIELD * scale, n = side * side;
    double *places = malloc((size_t)(2 * n) * sizeof *places), *sums = malloc((size_t)n * sizeof *sums),
           *weights = malloc((size_t)n * (size_t)n * sizeof *weights);
    glia_status status = GLIA_E_NOMEM;
    if (places && sums && weights) {
        glia_grid_places(side, places);
        status = glia_cppn_weights(genome, places, n, places, n, 0.2, 3, weights, error);
        if (status == GLIA_OK) *out = test(weights, scale, sums);
    }
    free(places);
    free(sums);
    free(weights);
    return status;
}

static glia_status fitness(void *context, const glia_genome *genome, uint64_t seed, double *value, glia_error *error) {
    score s = { 0 };
    (void)context, (void)seed;
    const glia_status status = judge(genome, 1, &s, error);
    *value = 150 - s.squares;
    return status;
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    const int generations = quick ? 3 : argc > 1 ? atoi(argv[1]) : 150;
    glia_error error;
    const glia_neat_opts opts = { .inputs = 6,
                                  .outputs = 1,
                                  .population = quick ? 20 : 100,
                                  .output = GLIA_NODE_TANH,
                                  .functions = 1 << GLIA_NODE_GAUSSIAN | 1 << GLIA_NODE_SINE | 1 << GLIA_NODE_TANH |
                                               1 << GLIA_NODE_ABS | 1 << GLIA_NODE_LINEAR,
                                  .add_node = 0.1,
                                  .add_link = 0.15,
                                  .step = 1,
                                  .species = 8,
                                  .seed = argc > 2 ? (uint64_t)atoi(argv[2]) : 0 };
    glia_neat *neat = glia_neat_create(opts, &error);
    for (int g = 0; neat && g < generations; g += 10) {
        if (glia_neat_run(neat, fitness, NULL, 150, generations - g < 10 ? generations - g : 10, 0, &error) != GLIA_OK)
            return fprintf(stderr, "hyperneat: %s\n", error.message), 1;
        const glia_neat_info info = glia_neat_inspect(neat);
        printf("generation %lld: fitness %.2f of 150, mean %.2f, %d species\n", (long long)info.generation,
               info.champion, info.mean, info.species);
        if (info.champion >= 150) break;
    }
    if (!neat) return fprintf(stderr, "hyperneat: %s\n", error.message), 1;
    const glia_genome *champion = glia_neat_champion(neat);
    const glia_genome_size size = glia_genome_measure(champion);
    printf("champion: %d hidden nodes, %d links\n", size.hidden, size.links);
    for (int scale = 1; scale <= (quick ? 1 : 5); scale += 2) {
        score s = { 0 };
        if (judge(champion, scale, &s, &error) != GLIA_OK) return fprintf(stderr, "hyperneat: %s\n", error.message), 1;
        printf("%d x %d: %d of %d right, mean distance %.2f of the small field's pixels\n", FIELD * scale,
               FIELD * scale, s.right, TRIALS, s.distance);
    }
    float pixels[64 * 64];
    if (glia_cppn_picture(champion, 64, 64, pixels, &error) == GLIA_OK)
        glia_image_save("weights.pgm", GLIA_SHAPE(1, 64, 64), pixels, 1, (glia_image_save_opts){ 0 }, &error);
    glia_neat_free(neat);
    return 0;
}
