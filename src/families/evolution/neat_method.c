/* neat_method.c - the methods "neat" and "hyperneat": nets that evolve in an environment.
 *
 *     genome ──► net ──► episodes ──► mean return = fitness ──► next generation             a step
 *     hyperneat: genome = function of places ──► weights from inputs to outputs ──► net
 *
 * A return of a few episodes may be luck: the best of each generation play many more, the same in all generations, and
 * the best of these finals, the champion, becomes the model.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/crowd.h"
#include "families/evolution/evolving.h"
#include "families/evolution/neat.h"
#include "train/model/model.h"

typedef struct neat {
    glia_evolving evolving; /* first */
    int64_t population, stagnation, species, finalists, final_episodes;
    double add_node, add_link, threshold, weights, step, no_crossover;
    bool recurrent, no_speciation, no_growth;
    bool places;               /* hyperneat */
    bool evolvable;            /* with hidden nodes where the weights vary */
    double *sources, *targets; /* places of inputs and outputs */
    glia_neat *neat;
    int species_figure;
} neat;

static const glia_setting settings[] = {
    GLIA_EVOLVING_SETTINGS,
    { "population", GLIA_SETTING_INT, offsetof(neat, population), 150, 2, 1e6, NULL, "genomes in a generation" },
    { "add_node", GLIA_SETTING_REAL, offsetof(neat, add_node), 0.03, 0, 1, NULL, "probability of a new node" },
    { "add_link", GLIA_SETTING_REAL, offsetof(neat, add_link), 0.05, 0, 1, NULL, "probability of a new link" },
    { "recurrent", GLIA_SETTING_SWITCH, offsetof(neat, recurrent), 0, 0, 0, NULL, "recurrent links may appear" },
    { "threshold", GLIA_SETTING_REAL, offsetof(neat, threshold), 3, 0, 1e6, NULL, "distance between species" },
    { "species", GLIA_SETTING_INT, offsetof(neat, species), 0, 0, 1e6, NULL,
      "the threshold moves towards so many species; 0: it is fixed" },
    { "weights", GLIA_SETTING_REAL, offsetof(neat, weights), 0.4, 0, 1e6, NULL, "share of weights in distances" },
    { "step", GLIA_SETTING_REAL, offsetof(neat, step), 2.5, 0, 1e6, NULL, "largest change of a weight" },
    { "no_crossover", GLIA_SETTING_REAL, offsetof(neat, no_crossover), 0.25, 0, 1, NULL,
      "part of children with one parent; 1: no crossover" },
    { "stagnation", GLIA_SETTING_INT, offsetof(neat, stagnation), 15, 1, 1e9, NULL,
      "generations after which a species without progress dies" },
    { "finalists", GLIA_SETTING_INT, offsetof(neat, finalists), 3, 0, 1e6, NULL,
      "best genomes of a generation that may become champion, by finals; 0: by the return in their generation" },
    { "final_episodes", GLIA_SETTING_INT, offsetof(neat, final_episodes), 50, 1, 1e6, NULL, "episodes of the finals" },
    { "no_speciation", GLIA_SETTING_SWITCH, offsetof(neat, no_speciation), 0, 0, 0, NULL, "one species only" },
    { "no_growth", GLIA_SETTING_SWITCH, offsetof(neat, no_growth), 0, 0, 0, NULL, "no new nodes and links" },
    { "evolvable", GLIA_SETTING_SWITCH, offsetof(neat, evolvable), 0, 0, 0, NULL,
      "hyperneat: hidden nodes where the weights vary (ES-HyperNEAT)" },
};

/* ---- hyperneat ------------------------------------------------------------------------------------------ */

/* A row of n places at this height. */
static void place_row(double *places, int n, double y) {
    for (int i = 0; i < n; i++) {
        places[2 * i] = n > 1 ? 2.0 * i / (n - 1) - 1 : 0;
        places[2 * i + 1] = y;
    }
}

static glia_status make_places(neat *m, glia_error *error) {
    const glia_stage *s = &m->evolving.stage;
    m->sources = malloc((size_t)(2 * s->inputs) * sizeof *m->sources);
    m->targets = malloc((size_t)(2 * s->outputs) * sizeof *m->targets);
    if (!m->sources || !m->targets) return glia_fail_nomem(error);
    place_row(m->sources, s->inputs, -1);
    place_row(m->targets, s->outputs, 1);
    return GLIA_OK;
}

/* The net with hidden nodes that the genome places itself. */
static glia_status express_evolvable(const neat *m, const glia_genome *cppn, glia_arena *arena, glia_genome *out,
                                     glia_error *error) {
    const glia_stage *s = &m->evolving.stage;
    const glia_evolvable_opts opts = { .initial_depth = 2, .max_depth = 4 };
    glia_error reason = { 0 };
    glia_genome *net = glia_cppn_substrate(cppn, m->sources, s->inputs, m->targets, s->outputs, opts, &reason);
    if (!net) return glia_fail(error, reason.status, "%s", reason.message);
    const bool copied = glia_genome_copy(arena, net, 0, 0, out);
    glia_genome_free(net);
    return copied ? GLIA_OK : glia_fail_nomem(error);
}

/* The net whose weights the genome gives, as a genome of direct links. */
static glia_status express(const neat *m, const glia_genome *cppn, glia_arena *arena, glia_genome *out,
                           glia_error *error) {
    const int inputs = m->evolving.stage.inputs, outputs = m->evolving.stage.outputs, n = inputs * outputs;
    double *weights = glia_arena_alloc(arena, (size_t)n * sizeof *weights);
    *out = (glia_genome){ .inputs = inputs, .outputs = outputs, .n_nodes = inputs + 1 + outputs };
    out->nodes = glia_arena_alloc(arena, (size_t)out->n_nodes * sizeof *out->nodes);
    out->links = glia_arena_alloc(arena, (size_t)n * sizeof *out->links);
    if (!weights || !out->nodes || !out->links) return glia_fail_nomem(error);
    glia_status status = glia_cppn_weights(cppn, m->sources, inputs, m->targets, outputs, 0.2, 3, weights, error);
    for (int i = 0; i < out->n_nodes; i++) {
        const glia_node_kind kind = i < inputs ? GLIA_NODE_INPUT : i == inputs ? GLIA_NODE_BIAS : GLIA_NODE_OUTPUT;
        out->nodes[i] = (glia_node_gene){ .id = i, .kind = kind, .function = GLIA_NODE_TANH };
    }
    for (int i = 0; status == GLIA_OK && i < n; i++) {
        if (weights[i] == 0) continue;
        out->links[out->n_links++] = (glia_link_gene){
            .innovation = i, .from = i % inputs, .to = inputs + 1 + i / inputs, .weight = weights[i], .enabled = true
        };
    }
    return status;
}

/* ---- the method ------------------------------------------------------------------------------------------- */

/* The genome of the net that acts. */
static glia_status acting(const neat *m, const glia_genome *genome, glia_arena *arena, glia_genome *out,
                          glia_error *error) {
    *out = *genome;
    if (m->places && m->evolvable) return express_evolvable(m, genome, arena, out, error);
    return m->places ? express(m, genome, arena, out, error) : GLIA_OK;
}

static double or_zero(double value) { return value == 0 ? GLIA_ZERO : value; }

static glia_status begin(glia_training *t, glia_error *error) {
    enum { CPPN_INPUTS = 6 };
    neat *m = t->memory;
    m->places = strcmp(t->method->about.name, "hyperneat") == 0;
    if (m->evolvable && !m->places) return glia_fail(error, GLIA_E_ARGUMENT, "neat: 'evolvable' is for hyperneat");
    glia_status status = glia_evolving_begin(t, "hidden_nodes", "links", error);
    if (status == GLIA_OK && m->places) status = make_places(m, error);
    if (status != GLIA_OK) return status;
    m->species_figure = glia_training_figure(t, "species");
    const uint32_t shapes = 1U << GLIA_NODE_GAUSSIAN | 1U << GLIA_NODE_SINE | 1U << GLIA_NODE_TANH |
                            1U << GLIA_NODE_ABS | 1U << GLIA_NODE_LINEAR;
    const glia_neat_opts opts = { .inputs = m->places ? CPPN_INPUTS : m->evolving.stage.inputs,
                                  .outputs = m->places ? 1 : m->evolving.stage.outputs,
                                  .population = (int)m->population,
                                  .recurrent = m->recurrent && !m->places,
                                  .output = GLIA_NODE_TANH,
                                  .functions = m->places ? shapes : 0,
                                  .weights = or_zero(m->weights),
                                  .threshold = or_zero(m->threshold),
                                  .species = (int)m->species,
                                  .add_node = or_zero(m->add_node),
                                  .add_link = or_zero(m->add_link),
                                  .step = or_zero(m->step),
                                  .no_crossover = or_zero(m->no_crossover),
                                  .stagnation = (int)m->stagnation,
                                  .no_speciation = m->no_speciation,
                                  .no_growth = m->no_growth,
                                  .seed = t->opts.seed };
    glia_error reason = { 0 };
    m->neat = glia_neat_create(opts, &reason);
    return m->neat ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

static void end(glia_training *t) {
    neat *m = t->memory;
    glia_neat_free(m->neat);
    free(m->sources);
    free(m->targets);
}

/* Genomes that play: all, or those whose indices `which` lists. */
typedef struct players {
    const neat *method;
    const glia_genome *genomes;
    const int32_t *which;
} players;

static glia_status genome_of(const void *context, int64_t i, glia_arena *arena, glia_genome *out, glia_error *error) {
    const players *p = context;
    return acting(p->method, &p->genomes[p->which ? p->which[i] : i], arena, out, error);
}

static glia_crowd crowd_of(const players *p, int64_t n, uint64_t seed, int64_t episodes) {
    return (glia_crowd){ .stage = &p->method->evolving.stage,
                         .kernels = p->method->neat->kernels,
                         .n = n,
                         .episodes = episodes,
                         .seed = seed, /* all are judged by the same episodes */
                         .genome = genome_of,
                         .context = p,
                         .names = p->which };
}

/* The best `finalists` of values (population), in ascending order; of equal ones the first. Returns their number. */
static int64_t choose_finalists(const neat *m, const double *values, int32_t *which) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->population; i++) {
        int64_t better = 0;
        for (int64_t k = 0; k < m->population; k++)
            better += values[k] > values[i] || (values[k] == values[i] && k < i);
        if (better < m->finalists) which[n++] = (int32_t)i;
    }
    return n;
}

/* values, scores (population), finals (finalists); which (population) */
static glia_status generation(glia_training *t, double *values, double *scores, double *finals, int32_t *which,
                              glia_pool *pool, glia_error *error) {
    enum { FINALS = 3 << 28 };
    const neat *m = t->memory;
    players all = { m, m->neat->genomes, NULL }, best = { m, m->neat->genomes, which };
    const glia_crowd first = crowd_of(&all, m->population, glia_evolving_seed(t), m->evolving.episodes);
    glia_status status = glia_crowd_means(&first, values, pool, error);
    if (status != GLIA_OK || m->finalists == 0)
        return status == GLIA_OK ? glia_neat_tell(m->neat, values, error) : status;
    const int64_t n = choose_finalists(m, values, which);
    const glia_crowd last = crowd_of(&best, n, (t->opts.seed << 32) + FINALS, m->final_episodes);
    status = glia_crowd_means(&last, finals, pool, error);
    for (int64_t i = 0; i < m->population; i++) scores[i] = -INFINITY;
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) scores[which[i]] = finals[i];
    return status == GLIA_OK ? glia_neat_tell_scored(m->neat, values, scores, error) : status;
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    neat *m = t->memory;
    (void)batch;
    glia_error reason = { 0 };
    glia_pool *pool = glia_pool_create(t->opts.threads, &reason);
    if (!pool) return glia_fail(error, reason.status, "%s", reason.message);
    const size_t n = (size_t)m->population;
    double *values = malloc(3 * n * sizeof *values);
    int32_t *which = malloc(n * sizeof *which);
    glia_status status = values && which ? generation(t, values, values + n, values + 2 * n, which, pool, error)
                                         : glia_fail_nomem(error);
    free(values);
    free(which);
    glia_pool_free(pool);
    const glia_neat_info info = glia_neat_inspect(m->neat);
    if (status == GLIA_OK) glia_evolving_count(t, m->population, info.best, info.mean);
    return status;
}

static glia_status measure(glia_training *t, glia_error *error) {
    neat *m = t->memory;
    const glia_genome *champion = glia_neat_champion(m->neat);
    const players one = { m, champion, NULL };
    const glia_status status =
        glia_evolving_measure(t, crowd_of(&one, 1, glia_evolving_eval_seed(t), m->evolving.eval_episodes), error);
    const glia_genome_size size = glia_genome_measure(champion);
    t->figures[m->evolving.size_figure].value = size.hidden;
    t->figures[m->evolving.links_figure].value = size.links;
    t->figures[m->species_figure].value = glia_neat_inspect(m->neat).species;
    return status;
}

static glia_status show(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    enum { MOST = 64 };
    const neat *m = t->memory;
    const glia_genome *champion = glia_neat_champion(m->neat);
    if (!champion) return GLIA_OK;
    int32_t ids[MOST];
    int sizes[MOST];
    const int n = glia_neat_species(m->neat, ids, sizes, MOST);
    glia_text text = { 0 };
    for (int i = 0; i < GLIA_MIN(n, (int)MOST); i++)
        glia_text_printf(&text, "species %d: %d genomes\n", (int)ids[i], sizes[i]);
    char *genome = glia_genome_print(champion, error), *svg = genome ? glia_genome_svg(champion, error) : NULL;
    if (genome) glia_text_printf(&text, "\n%s", genome);
    free(genome);
    if (svg && !text.failed) return glia_evolving_show(text.bytes, svg, show_one, context, error);
    free(text.bytes);
    free(svg);
    return glia_fail_nomem(error);
}

/* The champion becomes the model, and its genome metadata. */
static glia_status finish(glia_training *t, glia_error *error) {
    neat *m = t->memory;
    const glia_genome *champion = glia_neat_champion(m->neat);
    if (!champion) return GLIA_OK; /* stopped before the first generation */
    glia_arena arena = { 0 };
    glia_genome net;
    glia_error reason = { 0 };
    char *text = glia_genome_print(champion, &reason);
    glia_status status = text ? glia_model_set(t->model, "genome", text, &reason) : GLIA_E_NOMEM;
    if (status == GLIA_OK) status = acting(m, champion, &arena, &net, &reason);
    glia_model *model = status == GLIA_OK ? glia_genome_model(&net, "champion", &reason) : NULL;
    if (model) glia_model_adopt(t->model, model);
    free(text);
    glia_arena_free(&arena);
    return model ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

/* ---- checkpoints --------------------------------------------------------------------------------------------- */

static int arrays(glia_training *t, glia_array *out, int capacity) {
    const neat *m = t->memory;
    const int n = GLIA_MAX(glia_neat_save(m->neat, out, capacity - 1), 0); /* without them it is refused later */
    out[n] = glia_evolving_array(t);
    return n + 1;
}

static glia_status restore(glia_training *t, const glia_array *from, int n, bool check_only, glia_error *error) {
    const neat *m = t->memory;
    const glia_status status = glia_evolving_restore(t, from, n, check_only, error);
    return status == GLIA_OK ? glia_neat_restore(m->neat, from, n, check_only, error) : status;
}

GLIA_EVOLVING_METHOD(neat, "neat", neat, settings, glia_evolving_assess,
                     "structure and weights of nets evolve together", "Stanley and Miikkulainen 2002");
GLIA_EVOLVING_METHOD(hyperneat, "hyperneat", neat, settings, glia_evolving_assess,
                     "a function of places that gives all weights evolves", "Stanley, D'Ambrosio and Gauci 2009");
