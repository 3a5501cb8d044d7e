/* neat_state.c - the state of NEAT as arrays, and back.
 *
 *     counts    i64: generation, improved, next node, innovation, species, whether there is a champion, the seed
 *     figures   f64: best, mean, threshold
 *     genomes   i32 (G, 3): nodes, links, species    of the population, the representatives, the champion
 *     fitness   f64 (G)
 *     nodes     i32 (nodes, 3): id, kind, function
 *     links     i32 (links, 4): innovation, from, to, flags
 *     weights   f64 (links)
 *     species   f64 (S, 4): id, best, born, improved
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/neat.h"

enum { COUNTS = 7, FIGURES = 3, ENABLED = 1, RECURRENT = 2 };

/* The genomes in the order of the arrays; NULL: no more. */
static const glia_genome *genome_at(const glia_neat *neat, int i) {
    const int population = neat->opts.population;
    if (i < population) return &neat->genomes[i];
    if (i < population + neat->n_species) return &neat->species[i - population].representative;
    return i == population + neat->n_species && neat->has_champion ? &neat->champion : NULL;
}

/* What the arrays hold. */
typedef struct tables {
    int64_t *counts;
    double *figures, *fitness, *weights, *species;
    int32_t *genomes, *nodes, *links;
    int64_t n_genomes, n_nodes, n_links, n_species;
} tables;

static void fill(const glia_neat *neat, tables *t) {
    const int64_t counts[COUNTS] = { neat->generation,        neat->improved,     neat->next_node,
                                     neat->next_innovation,   neat->next_species, neat->has_champion,
                                     (int64_t)neat->opts.seed };
    const double figures[FIGURES] = { neat->best, neat->mean, neat->threshold };
    memcpy(t->counts, counts, sizeof counts);
    memcpy(t->figures, figures, sizeof figures);
    int32_t *node = t->nodes, *link = t->links;
    double *weight = t->weights;
    for (int i = 0; genome_at(neat, i); i++) {
        const glia_genome *g = genome_at(neat, i);
        const int32_t row[3] = { g->n_nodes, g->n_links, g->species };
        memcpy(t->genomes + 3 * (int64_t)i, row, sizeof row);
        t->fitness[i] = g->fitness;
        for (int k = 0; k < g->n_nodes; k++) {
            *node++ = g->nodes[k].id;
            *node++ = (int32_t)g->nodes[k].kind;
            *node++ = (int32_t)g->nodes[k].function;
        }
        for (int k = 0; k < g->n_links; k++) {
            *link++ = g->links[k].innovation;
            *link++ = g->links[k].from;
            *link++ = g->links[k].to;
            *link++ = g->links[k].enabled * ENABLED + g->links[k].recurrent * RECURRENT;
            *weight++ = g->links[k].weight;
        }
    }
    for (int i = 0; i < neat->n_species; i++) {
        const glia_neat_kin *kin = &neat->species[i];
        const double row[4] = { kin->id, kin->best, (double)kin->born, (double)kin->improved };
        memcpy(t->species + 4 * (int64_t)i, row, sizeof row);
    }
}

int glia_neat_save(glia_neat *neat, glia_array *out, int capacity) {
    if (!neat || !out || capacity < GLIA_NEAT_ARRAYS) return 0;
    tables t = { .n_species = neat->n_species };
    for (int i = 0; genome_at(neat, i); i++) {
        t.n_genomes++;
        t.n_nodes += genome_at(neat, i)->n_nodes;
        t.n_links += genome_at(neat, i)->n_links;
    }
    const size_t numbers = (size_t)(COUNTS + FIGURES + t.n_genomes + t.n_links + 4 * t.n_species);
    const size_t integers = (size_t)(3 * t.n_genomes + 3 * t.n_nodes + 4 * t.n_links);
    free(neat->saved);
    neat->saved = malloc(numbers * sizeof(double) + integers * sizeof(int32_t));
    if (!neat->saved) return -1;
    t.counts = neat->saved;
    t.figures = (double *)(void *)(t.counts + COUNTS);
    t.fitness = t.figures + FIGURES;
    t.weights = t.fitness + t.n_genomes;
    t.species = t.weights + t.n_links;
    t.genomes = (int32_t *)(void *)(t.species + 4 * t.n_species);
    t.nodes = t.genomes + 3 * t.n_genomes;
    t.links = t.nodes + 3 * t.n_nodes;
    fill(neat, &t);
    const glia_array arrays[GLIA_NEAT_ARRAYS] = {
        { .name = "counts", .dtype = GLIA_I64, .shape = GLIA_SHAPE(COUNTS), .data = t.counts },
        { .name = "figures", .dtype = GLIA_F64, .shape = GLIA_SHAPE(FIGURES), .data = t.figures },
        { .name = "genomes", .dtype = GLIA_I32, .shape = GLIA_SHAPE(t.n_genomes, 3), .data = t.genomes },
        { .name = "fitness", .dtype = GLIA_F64, .shape = GLIA_SHAPE(t.n_genomes), .data = t.fitness },
        { .name = "nodes", .dtype = GLIA_I32, .shape = GLIA_SHAPE(t.n_nodes, 3), .data = t.nodes },
        { .name = "links", .dtype = GLIA_I32, .shape = GLIA_SHAPE(t.n_links, 4), .data = t.links },
        { .name = "weights", .dtype = GLIA_F64, .shape = GLIA_SHAPE(t.n_links), .data = t.weights },
        { .name = "species", .dtype = GLIA_F64, .shape = GLIA_SHAPE(t.n_species, 4), .data = t.species },
    };
    memcpy(out, arrays, sizeof arrays);
    return GLIA_NEAT_ARRAYS;
}

/* ---- restoring ------------------------------------------------------------------------------------------- */

/* The array of this name, if it has this dtype and row length (0: rank 1). */
static const void *find(const glia_array *arrays, int n, const char *name, glia_dtype dtype, int64_t row,
                        int64_t *count) {
    for (int i = 0; i < n; i++) {
        if (!arrays[i].name || strcmp(arrays[i].name, name) != 0) continue;
        const glia_shape s = arrays[i].shape;
        if (arrays[i].dtype != dtype || s.rank != (row ? 2 : 1) || (row && s.dim[1] != row)) return NULL;
        *count = s.dim[0];
        return arrays[i].data;
    }
    return NULL;
}

typedef struct reader {
    const int64_t *counts;
    const double *figures, *fitness, *weights, *species;
    const int32_t *genomes, *nodes, *links;
    int64_t n_genomes, n_nodes, n_links, n_species, node, link;
} reader;

static bool open_reader(const glia_array *arrays, int n, reader *r) {
    int64_t counts = 0, figures = 0, fitness = 0, weights = 0;
    r->counts = find(arrays, n, "counts", GLIA_I64, 0, &counts);
    r->figures = find(arrays, n, "figures", GLIA_F64, 0, &figures);
    r->genomes = find(arrays, n, "genomes", GLIA_I32, 3, &r->n_genomes);
    r->fitness = find(arrays, n, "fitness", GLIA_F64, 0, &fitness);
    r->nodes = find(arrays, n, "nodes", GLIA_I32, 3, &r->n_nodes);
    r->links = find(arrays, n, "links", GLIA_I32, 4, &r->n_links);
    r->weights = find(arrays, n, "weights", GLIA_F64, 0, &weights);
    r->species = find(arrays, n, "species", GLIA_F64, 4, &r->n_species);
    return r->counts && r->figures && r->genomes && r->fitness && r->nodes && r->links && r->weights && r->species &&
           counts == COUNTS && figures == FIGURES && fitness == r->n_genomes && weights == r->n_links;
}

/* The next genome; GLIA_E_FORMAT if it is none. */
static glia_status read_genome(reader *r, int64_t i, const glia_neat_opts *o, glia_arena *arena, glia_genome *g,
                               glia_error *error) {
    const int32_t *row = r->genomes + 3 * i;
    if (row[0] < 1 || row[1] < 0 || row[0] > r->n_nodes - r->node || row[1] > r->n_links - r->link)
        return glia_fail(error, GLIA_E_FORMAT, "genome %lld has %d nodes and %d links", (long long)i, (int)row[0],
                         (int)row[1]);
    *g = (glia_genome){ .inputs = o->inputs,
                        .outputs = o->outputs,
                        .n_nodes = row[0],
                        .n_links = row[1],
                        .species = row[2],
                        .fitness = r->fitness[i] };
    g->nodes = glia_arena_alloc(arena, ((size_t)g->n_nodes + 1) * sizeof *g->nodes);
    g->links = glia_arena_alloc(arena, ((size_t)g->n_links + 1) * sizeof *g->links);
    if (!g->nodes || !g->links) return glia_fail_nomem(error);
    for (int k = 0; k < g->n_nodes; k++, r->node++) {
        const int32_t *n = r->nodes + 3 * r->node;
        g->nodes[k] = (glia_node_gene){ n[0], (glia_node_kind)n[1], (glia_node_function)n[2] };
    }
    for (int k = 0; k < g->n_links; k++, r->link++) {
        const int32_t *l = r->links + 4 * r->link;
        g->links[k] = (glia_link_gene){ .innovation = l[0],
                                        .from = l[1],
                                        .to = l[2],
                                        .enabled = l[3] & ENABLED,
                                        .recurrent = (l[3] & RECURRENT) != 0,
                                        .weight = r->weights[r->link] };
    }
    glia_net_plan plan = { 0 };
    glia_status status = glia_genome_check(g, error);
    if (status == GLIA_OK) status = glia_net_plan_make(g, &plan, error);
    glia_net_plan_free(&plan);
    return status;
}

static glia_status read_species(const reader *r, glia_neat *to, glia_error *error) {
    for (int64_t i = 0; i < r->n_species; i++) {
        const double *row = r->species + 4 * i;
        glia_neat_kin *kin = &to->species[i];
        if (!(row[0] >= 0 && row[0] < to->next_species && row[2] >= 0 && row[3] >= 0 && row[2] <= 1e15 &&
              row[3] <= 1e15))
            return glia_fail(error, GLIA_E_FORMAT, "species %lld has impossible numbers", (long long)i);
        kin->id = (int32_t)row[0];
        kin->best = row[1];
        kin->born = (int64_t)row[2];
        kin->improved = (int64_t)row[3];
        for (int k = 0; k < to->opts.population; k++) kin->size += to->genomes[k].species == kin->id;
        if (kin->size == 0) return glia_fail(error, GLIA_E_FORMAT, "species %d has no members", (int)kin->id);
    }
    int members = 0;
    for (int64_t i = 0; i < r->n_species; i++) members += to->species[i].size;
    return members == to->opts.population ? GLIA_OK : glia_fail(error, GLIA_E_FORMAT, "genomes of unknown species");
}

static glia_status read_all(reader *r, glia_neat *to, glia_error *error) {
    const int64_t *c = r->counts, population = to->opts.population;
    const bool champion = c[5] != 0;
    if (c[0] < 0 || c[1] < 0 || c[2] < 0 || c[3] < 0 || c[4] < 1 || c[2] > INT32_MAX / 2 || c[3] > INT32_MAX / 2 ||
        c[4] > INT32_MAX / 2 || r->n_species < 1 || r->n_species > population ||
        r->n_genomes != population + r->n_species + champion)
        return glia_fail(error, GLIA_E_FORMAT, "it has impossible counts");
    if (c[6] != (int64_t)to->opts.seed) return glia_fail(error, GLIA_E_FORMAT, "it is of another seed");
    to->generation = c[0];
    to->improved = c[1];
    to->next_node = (int32_t)c[2];
    to->next_innovation = (int32_t)c[3];
    to->next_species = (int32_t)c[4];
    to->has_champion = champion;
    to->best = r->figures[0];
    to->mean = r->figures[1];
    to->threshold = r->figures[2];
    to->genomes = calloc((size_t)population, sizeof *to->genomes);
    to->species = calloc((size_t)r->n_species, sizeof *to->species);
    if (!to->genomes || !to->species) return glia_fail_nomem(error);
    to->n_species = to->species_capacity = (int)r->n_species;
    glia_status status = GLIA_OK;
    for (int64_t i = 0; status == GLIA_OK && i < r->n_genomes; i++) {
        const int64_t kin = i - population;
        const bool last = kin >= r->n_species;
        glia_genome *g = i < population ? &to->genomes[i] : last ? &to->champion : &to->species[kin].representative;
        status = read_genome(r, i, &to->opts, last ? &to->champion_memory : &to->memory, g, error);
    }
    if (status == GLIA_OK) status = read_species(r, to, error);
    return status;
}

glia_status glia_neat_restore(glia_neat *neat, const glia_array *arrays, int n, bool check_only, glia_error *error) {
    if (!neat) return glia_fail_null(error, "neat");
    if (!arrays) return glia_fail_null(error, "arrays");
    reader r = { .node = 0 };
    if (!open_reader(arrays, n, &r))
        return glia_fail(error, GLIA_E_FORMAT, "the state of neat: an array is missing or has a wrong shape");
    glia_neat read = { .opts = neat->opts };
    glia_error reason = { 0 };
    glia_status status = read_all(&r, &read, &reason);
    if (status == GLIA_OK && !check_only)
        glia_neat_take(neat, &read);
    else
        glia_neat_clear(&read);
    if (status == GLIA_OK || status == GLIA_E_NOMEM) return status == GLIA_OK ? status : glia_fail_nomem(error);
    return glia_fail(error, status, "the state of neat: %s", reason.message);
}
