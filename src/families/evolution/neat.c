/* neat.c - NEAT (Stanley and Miikkulainen 2002): species, shared fitness, generations.
 *
 *     tell fitness ──► species: means, stagnation ──► children: the best copied, others mated and mutated
 *                                                   ──► children join the first species that is near
 *
 * Everything random in a generation is a function of the seed and its number, so that a search that is restored goes on
 * with the same bits.
 */
#include "families/evolution/neat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM = 0x6E656174, ELITE_SIZE = 5, POPULATION_STAGNATION = 20 };

/* ---- options ------------------------------------------------------------------------------------------ */

static void fill_in(glia_neat_opts *o) {
    if (!o->population) o->population = 150;
    o->excess = glia_option(o->excess, 1);
    o->disjoint = glia_option(o->disjoint, 1);
    o->weights = glia_option(o->weights, 0.4);
    o->threshold = glia_option(o->threshold, 3);
    o->add_node = glia_option(o->add_node, 0.03);
    o->add_link = glia_option(o->add_link, 0.05);
    o->toggle = glia_option(o->toggle, 0.01);
    o->perturb = glia_option(o->perturb, 0.8);
    o->step = glia_option(o->step, 2.5);
    o->survival = glia_option(o->survival, 0.2);
    o->no_crossover = glia_option(o->no_crossover, 0.25);
    o->between = glia_option(o->between, 0.001);
    if (!o->stagnation) o->stagnation = 15;
}

static glia_status check_opts(const glia_neat_opts *o, glia_error *error) {
    enum { MOST = 4096, POPULATION = 1 << 20 };
    if (o->inputs < 1 || o->inputs > MOST || o->outputs < 1 || o->outputs > MOST || o->hidden < 0 || o->hidden > MOST)
        return glia_fail(error, GLIA_E_ARGUMENT, "neat: %d inputs, %d outputs and %d hidden nodes", o->inputs,
                         o->outputs, o->hidden);
    if (o->population < 2 || o->population > POPULATION)
        return glia_fail(error, GLIA_E_ARGUMENT, "neat: a population of %d is outside 2 to %d", o->population,
                         POPULATION);
    if ((int)o->output < 0 || o->output >= GLIA_NODE_FUNCTION_COUNT || o->functions >> GLIA_NODE_FUNCTION_COUNT != 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "neat: an unknown function of nodes");
    const struct {
        const char *name;
        double value, most;
    } reals[] = {
        { "excess", o->excess, 1e6 },       { "disjoint", o->disjoint, 1e6 },       { "weights", o->weights, 1e6 },
        { "threshold", o->threshold, 1e6 }, { "add_node", o->add_node, 1 },         { "add_link", o->add_link, 1 },
        { "toggle", o->toggle, 1 },         { "perturb", o->perturb, 1 },           { "step", o->step, 1e6 },
        { "survival", o->survival, 1 },     { "no_crossover", o->no_crossover, 1 }, { "between", o->between, 1 }
    };
    for (int i = 0; i < GLIA_COUNT(reals); i++) {
        if (!(reals[i].value >= 0 && reals[i].value <= reals[i].most))
            return glia_fail(error, GLIA_E_ARGUMENT, "neat: %s is %g, outside 0 to %g", reals[i].name, reals[i].value,
                             reals[i].most);
    }
    if (o->random_topology && (o->hidden < 1 || o->unconnected))
        return glia_fail(error, GLIA_E_ARGUMENT, "neat: random topologies need hidden nodes, and are not unconnected");
    if (o->stagnation < 1 || o->species < 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "neat: stagnation and species cannot be negative");
    return GLIA_OK;
}

/* ---- species -------------------------------------------------------------------------------------------- */

static glia_rng numbers_of(const glia_neat *neat) {
    return (glia_rng){ .seed = neat->opts.seed, .stream = ((uint64_t)STREAM << 24) + (uint64_t)neat->generation };
}

/* Room for a species for each genome, besides those that there are. */
static bool reserve_species(glia_neat *neat) {
    const int most = neat->n_species + neat->opts.population;
    if (most <= neat->species_capacity) return true;
    glia_neat_kin *more = realloc(neat->species, (size_t)most * sizeof *more);
    if (!more) return false;
    neat->species = more;
    neat->species_capacity = most;
    return true;
}

static glia_neat_kin *new_species(glia_neat *neat, const glia_genome *representative) {
    glia_neat_kin *kin = &neat->species[neat->n_species++];
    *kin = (glia_neat_kin){ .id = neat->next_species++,
                            .representative = *representative,
                            .best = -INFINITY,
                            .born = neat->generation,
                            .improved = neat->generation };
    return kin;
}

/* Puts each genome into the first species whose representative is near; species without members go. There is room. */
static void speciate(glia_neat *neat) {
    for (int i = 0; i < neat->n_species; i++) neat->species[i].size = 0;
    for (int k = 0; k < neat->opts.population; k++) {
        glia_genome *g = &neat->genomes[k];
        glia_neat_kin *home = NULL;
        for (int i = 0; i < neat->n_species && !home; i++) {
            if (neat->opts.no_speciation ||
                glia_neat_distance(neat, g, &neat->species[i].representative) < neat->threshold)
                home = &neat->species[i];
        }
        if (!home) home = new_species(neat, g);
        home->size++;
        g->species = home->id;
    }
    int kept = 0;
    for (int i = 0; i < neat->n_species; i++) {
        if (neat->species[i].size > 0) neat->species[kept++] = neat->species[i];
    }
    neat->n_species = kept;
    if (neat->opts.species == 0 || neat->opts.no_speciation || kept == neat->opts.species) return;
    neat->threshold = fmax(0.3, neat->threshold + (kept > neat->opts.species ? 0.3 : -0.3));
}

/* ---- the first generation --------------------------------------------------------------------------------- */

/* The next link of all that first genomes may have, in its order; of random ones half are there. */
static void add_first_link(const glia_neat *neat, glia_genome *g, int *innovation, int from, int to, glia_rng *rng) {
    const int number = (*innovation)++;
    if (neat->opts.random_topology && (to >= g->n_nodes || from >= g->n_nodes || glia_rng_uniform(rng) < 0.5)) return;
    g->links[g->n_links++] = (glia_link_gene){
        .innovation = number, .from = from, .to = to, .weight = glia_neat_weight(neat, rng), .enabled = true
    };
}

/* How many links first genomes may have. */
static int first_links(const glia_neat_opts *o) {
    const int sources = o->inputs + 1, hidden = o->hidden * (sources + o->outputs);
    return hidden + (o->hidden && !o->random_topology ? 0 : sources * o->outputs);
}

static bool first_genome(glia_neat *neat, glia_genome *g, glia_rng *rng) {
    const glia_neat_opts *o = &neat->opts;
    const int fixed = o->inputs + 1 + o->outputs, sources = o->inputs + 1;
    const int links = first_links(o);
    const int hidden = o->random_topology ? 1 + (int)glia_rng_below(rng, (uint64_t)o->hidden) : o->hidden;
    int innovation = 0;
    *g = (glia_genome){ .inputs = o->inputs, .outputs = o->outputs, .fitness = NAN };
    g->nodes = glia_arena_alloc(&neat->memory, (size_t)(fixed + o->hidden) * sizeof *g->nodes);
    g->links = glia_arena_alloc(&neat->memory, (size_t)links * sizeof *g->links);
    if (!g->nodes || !g->links) return false;
    for (int i = 0; i < fixed + hidden; i++) {
        g->nodes[g->n_nodes++] = (glia_node_gene){ .id = i,
                                                   .kind = i < o->inputs    ? GLIA_NODE_INPUT
                                                           : i == o->inputs ? GLIA_NODE_BIAS
                                                           : i < fixed      ? GLIA_NODE_OUTPUT
                                                                            : GLIA_NODE_HIDDEN,
                                                   .function = i > o->inputs ? o->output : GLIA_NODE_SIGMOID };
    }
    for (int h = 0; h < o->hidden; h++) {
        for (int i = 0; i < sources; i++) add_first_link(neat, g, &innovation, i, fixed + h, rng);
        for (int k = 0; k < o->outputs; k++) add_first_link(neat, g, &innovation, fixed + h, sources + k, rng);
    }
    if (o->hidden && !o->random_topology) return true;
    for (int i = 0; i < sources; i++) {
        for (int k = 0; k < o->outputs; k++) add_first_link(neat, g, &innovation, i, sources + k, rng);
    }
    if (!o->unconnected) return true;
    g->links[0] = g->links[glia_rng_below(rng, (uint64_t)links)]; /* its number among all of them stays */
    g->n_links = 1;
    return true;
}

glia_status glia_neat_begin(glia_neat *neat, glia_error *error) {
    const glia_neat_opts *o = &neat->opts;
    const int sources = o->inputs + 1;
    neat->next_node = sources + o->outputs + o->hidden;
    neat->next_innovation = first_links(o);
    neat->threshold = o->threshold;
    neat->best = neat->mean = NAN;
    neat->genomes = calloc((size_t)o->population, sizeof *neat->genomes);
    if (!neat->genomes) return glia_fail_nomem(error);
    glia_rng rng = { .seed = o->seed, .stream = (uint64_t)STREAM << 16 };
    for (int i = 0; i < o->population; i++) {
        if (!first_genome(neat, &neat->genomes[i], &rng)) return glia_fail_nomem(error);
    }
    if (!reserve_species(neat)) return glia_fail_nomem(error);
    speciate(neat);
    return GLIA_OK;
}

glia_neat *glia_neat_create(glia_neat_opts opts, glia_error *error) {
    fill_in(&opts);
    if (check_opts(&opts, error) != GLIA_OK) return NULL;
    glia_neat *neat = calloc(1, sizeof *neat);
    if (!neat) return glia_fail_nomem(error), NULL;
    glia_isa isa;
    glia_status status = glia_isa_choose(&isa, error);
    neat->opts = opts;
    if (status == GLIA_OK) neat->kernels = glia_cpu_kernels_for(isa);
    if (status == GLIA_OK) status = glia_neat_begin(neat, error);
    if (status == GLIA_OK) return neat;
    glia_neat_free(neat);
    return NULL;
}

void glia_neat_clear(glia_neat *neat) {
    glia_arena_free(&neat->memory);
    glia_arena_free(&neat->champion_memory);
    free(neat->genomes);
    free(neat->species);
    free(neat->changes);
    free(neat->saved);
}

void glia_neat_take(glia_neat *neat, glia_neat *from) {
    const glia_neat_opts opts = neat->opts;
    const glia_cpu_kernels *kernels = neat->kernels;
    glia_neat_clear(neat);
    *neat = *from;
    neat->opts = opts;
    neat->kernels = kernels;
    *from = (glia_neat){ .n_species = 0 };
}

void glia_neat_free(glia_neat *neat) {
    if (!neat) return;
    glia_neat_clear(neat);
    free(neat);
}

/* ---- how many children ------------------------------------------------------------------------------------ */

/* Members of one species, the fittest first. */
typedef struct family {
    int32_t *members;
    int n;
} family;

static glia_neat_kin *kin_of(const glia_neat *neat, int32_t id) {
    for (int i = 0; i < neat->n_species; i++)
        if (neat->species[i].id == id) return &neat->species[i];
    return NULL;
}

/* Means above the worst fitness, ages; species that have not improved for long get none, but for the best one. */
static void judge(glia_neat *neat, double worst) {
    int best = 0;
    for (int i = 0; i < neat->n_species; i++) neat->species[i].share = 0;
    for (int k = 0; k < neat->opts.population; k++) {
        const glia_genome *g = &neat->genomes[k];
        glia_neat_kin *kin = kin_of(neat, g->species);
        kin->share += (g->fitness - worst) / kin->size;
        if (g->fitness > kin->best) {
            kin->best = g->fitness;
            kin->improved = neat->generation;
        }
        if (g->fitness == neat->best) best = (int)(kin - neat->species);
    }
    for (int i = 0; i < neat->n_species; i++) {
        if (i != best && neat->generation - neat->species[i].improved >= neat->opts.stagnation)
            neat->species[i].share = 0;
    }
    if (neat->generation - neat->improved <= POPULATION_STAGNATION || neat->n_species < 3) return;
    int second = best ? 0 : 1; /* nobody has improved: only two species go on */
    for (int i = 0; i < neat->n_species; i++) {
        if (i != best && neat->species[i].share > neat->species[second].share) second = i;
    }
    for (int i = 0; i < neat->n_species; i++) {
        if (i != best && i != second) neat->species[i].share = 0;
    }
    neat->species[best].improved = neat->species[second].improved = neat->improved = neat->generation;
}

/* Children in proportion to the shares; the largest remainders get what is left. */
static void allot(glia_neat *neat) {
    double total = 0;
    for (int i = 0; i < neat->n_species; i++) total += neat->species[i].share;
    int left = neat->opts.population;
    for (int i = 0; i < neat->n_species; i++) {
        glia_neat_kin *kin = &neat->species[i];
        const double part = total > 0 ? kin->share / total : 1.0 / neat->n_species;
        const double children = part * neat->opts.population;
        kin->children = (int)children;
        kin->share = children - kin->children; /* the remainder */
        left -= kin->children;
    }
    for (; left > 0; left--) {
        glia_neat_kin *most = neat->species;
        for (int i = 1; i < neat->n_species; i++) {
            if (neat->species[i].share > most->share) most = &neat->species[i];
        }
        most->children++;
        most->share = -1;
        bool all = true;
        for (int i = 0; i < neat->n_species; i++) all = all && neat->species[i].share < 0;
        for (int i = 0; all && i < neat->n_species; i++) neat->species[i].share = 0;
    }
}

/* ---- children ---------------------------------------------------------------------------------------------- */

/* One parent, or two; sometimes the second is from another species. */
static bool make_child(glia_neat *neat, const family *families, int kin, glia_arena *arena, glia_rng *rng,
                       glia_genome *child) {
    const glia_neat_opts *o = &neat->opts;
    const family *f = &families[kin];
    const int64_t parents = GLIA_MAX((int64_t)ceil(o->survival * f->n), 1);
    const glia_genome *a = &neat->genomes[f->members[glia_rng_below(rng, (uint64_t)parents)]];
    bool made;
    if (glia_rng_uniform(rng) < o->no_crossover) {
        made = glia_genome_copy(arena, a, 2, 3, child);
    } else {
        const family *from = f;
        if (neat->n_species > 1 && glia_rng_uniform(rng) < o->between)
            from = &families[glia_rng_below(rng, (uint64_t)neat->n_species)];
        const int64_t others = from == f ? parents : 1;
        const glia_genome *b = &neat->genomes[from->members[glia_rng_below(rng, (uint64_t)others)]];
        made = glia_neat_mate(a, b, arena, rng, child);
    }
    child->fitness = NAN;
    return made && glia_neat_mutate(neat, arena, rng, child);
}

static bool reproduce(glia_neat *neat, const family *families, glia_genome *next, glia_arena *arena, glia_rng *rng) {
    int n = 0;
    neat->n_changes = 0;
    for (int i = 0; i < neat->n_species; i++) {
        for (int k = 0; k < neat->species[i].children; k++) {
            glia_genome *child = &next[n++];
            if (k == 0 && families[i].n >= ELITE_SIZE) {
                if (!glia_genome_copy(arena, &neat->genomes[families[i].members[0]], 0, 0, child)) return false;
                child->fitness = NAN;
            } else if (!make_child(neat, families, i, arena, rng, child)) {
                return false;
            }
        }
    }
    return true;
}

/* A random member of each species represents it in the next generation. */
static bool represent(glia_neat *neat, const family *families, glia_arena *arena, glia_rng *rng,
                      glia_genome *representatives) {
    for (int i = 0; i < neat->n_species; i++) {
        const int32_t drawn = families[i].members[glia_rng_below(rng, (uint64_t)families[i].n)];
        if (!glia_genome_copy(arena, &neat->genomes[drawn], 0, 0, &representatives[i])) return false;
    }
    return true;
}

/* Members of each species, the fittest first. `members` (2 population); `families` (species). */
static void gather_families(const glia_neat *neat, int32_t *members, family *families, double *values) {
    int32_t *at = members;
    for (int k = 0; k < neat->opts.population; k++) values[k] = -neat->genomes[k].fitness;
    for (int i = 0; i < neat->n_species; i++) {
        families[i] = (family){ .members = at };
        for (int k = 0; k < neat->opts.population; k++) {
            if (neat->genomes[k].species == neat->species[i].id) at[families[i].n++] = k;
        }
        for (int k = 1; k < families[i].n; k++) { /* equal ones keep their order */
            const int32_t moved = at[k];
            int to = k;
            for (; to > 0 && values[at[to - 1]] > values[moved]; to--) at[to] = at[to - 1];
            at[to] = moved;
        }
        at += families[i].n;
    }
}

static bool breed(glia_neat *neat) {
    glia_rng rng = numbers_of(neat);
    glia_arena arena = { 0 };
    const size_t population = (size_t)neat->opts.population, kinds = (size_t)neat->n_species;
    int32_t *members = malloc(population * sizeof *members);
    family *families = malloc(kinds * sizeof *families);
    double *values = malloc(population * sizeof *values);
    glia_genome *next = malloc(population * sizeof *next), *representatives = malloc(kinds * sizeof *next);
    bool done = members && families && values && next && representatives;
    if (done) {
        gather_families(neat, members, families, values);
        done =
            represent(neat, families, &arena, &rng, representatives) && reproduce(neat, families, next, &arena, &rng);
    }
    if (done) {
        for (int i = 0; i < neat->n_species; i++) neat->species[i].representative = representatives[i];
        free(neat->genomes);
        glia_arena_free(&neat->memory);
        neat->genomes = next;
        neat->memory = arena;
        next = NULL;
        neat->generation++;
    } else {
        glia_arena_free(&arena);
    }
    free(members);
    free(families);
    free(values);
    free(next);
    free(representatives);
    return done;
}

/* ---- telling ------------------------------------------------------------------------------------------------ */

/* Keeps a genome with this score, if it is better than all before. */
static bool keep_champion(glia_neat *neat, const glia_genome *best, double score) {
    if (neat->has_champion && !(score > neat->champion.fitness)) return true;
    glia_arena memory = { 0 };
    glia_genome copy;
    if (!glia_genome_copy(&memory, best, 0, 0, &copy)) {
        glia_arena_free(&memory);
        return false;
    }
    glia_arena_free(&neat->champion_memory);
    neat->champion_memory = memory;
    neat->champion = copy;
    neat->champion.fitness = score;
    neat->has_champion = true;
    neat->improved = neat->generation;
    return true;
}

glia_status glia_neat_tell(glia_neat *neat, const double *fitness, glia_error *error) {
    return glia_neat_tell_scored(neat, fitness, fitness, error);
}

glia_status glia_neat_tell_scored(glia_neat *neat, const double *fitness, const double *scores, glia_error *error) {
    if (!neat) return glia_fail_null(error, "neat");
    if (!fitness) return glia_fail_null(error, "fitness");
    int best = 0, crowned = 0;
    double worst = INFINITY, sum = 0;
    for (int i = 0; i < neat->opts.population; i++) {
        if (!isfinite(fitness[i])) {
            return glia_fail(error, GLIA_E_ARGUMENT,
                             "the fitness of genome %d in generation %lld is %g; the search is as before", i,
                             (long long)neat->generation, fitness[i]);
        }
        if (fitness[i] > fitness[best]) best = i;
        if (scores[i] > scores[crowned]) crowned = i;
        worst = fmin(worst, fitness[i]);
        sum += fitness[i];
    }
    for (int i = 0; i < neat->opts.population; i++) neat->genomes[i].fitness = fitness[i];
    if (!keep_champion(neat, &neat->genomes[crowned], scores[crowned])) return glia_fail_nomem(error);
    neat->best = fitness[best];
    neat->mean = sum / neat->opts.population;
    judge(neat, fmin(worst, 0));
    allot(neat);
    if (!reserve_species(neat) || !breed(neat)) return glia_fail_nomem(error);
    speciate(neat);
    return GLIA_OK;
}

int glia_neat_population(const glia_neat *neat) { return neat ? neat->opts.population : 0; }

const glia_genome *glia_neat_genome(const glia_neat *neat, int index) {
    return neat && index >= 0 && index < neat->opts.population ? &neat->genomes[index] : NULL;
}

const glia_genome *glia_neat_champion(const glia_neat *neat) {
    return neat && neat->has_champion ? &neat->champion : NULL;
}

glia_neat_info glia_neat_inspect(const glia_neat *neat) {
    if (!neat) return (glia_neat_info){ 0 };
    return (glia_neat_info){ .generation = neat->generation,
                             .evaluations = neat->generation * neat->opts.population,
                             .species = neat->n_species,
                             .best = neat->best,
                             .mean = neat->mean,
                             .champion = neat->has_champion ? neat->champion.fitness : NAN,
                             .threshold = neat->threshold };
}

int glia_neat_species(const glia_neat *neat, int32_t *ids, int *sizes, int capacity) {
    if (!neat) return 0;
    for (int i = 0; i < GLIA_MIN(neat->n_species, capacity); i++) {
        if (ids) ids[i] = neat->species[i].id;
        if (sizes) sizes[i] = neat->species[i].size;
    }
    return neat->n_species;
}
