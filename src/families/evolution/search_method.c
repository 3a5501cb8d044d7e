/* search_method.c - the methods "cma-es", "es", "ndp" and "lndp": black-box search for the numbers of a policy.
 *
 *     numbers ──► policy ──► episodes ──► -mean return = value ──► strategy        a step
 *
 * cma-es and es search for the weights of a chain of dense layers, ndp for the genome of a net that grows, lndp for
 * that of one that changes as long as it lives. The best candidate, or the net that it grows, becomes the model.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/crowd.h"
#include "families/evolution/evolving.h"
#include "families/evolution/genome.h"
#include "families/evolution/lndp.h"
#include "families/evolution/search.h"
#include "train/model/model.h"

typedef struct searching {
    glia_evolving evolving; /* first */
    int64_t population, layers, hidden, embedding, cycles, growth_steps, rollout_steps, most;
    int64_t lives, nodes, node_features, edge_features, propagation, development; /* of lndp, as the switches */
    double density;
    bool structure, plasticity;
    int covariance;
    double sigma, rate;
    glia_encoding_opts code_opts;
    const glia_policy_code *code;
    const glia_cpu_kernels *kernels;
    glia_search *search;
    int n;
    double *best; /* (n) the candidate that becomes the model */
    uint64_t seed;
    int density_figure;
} searching;

#define POPULATION(default_)                                                                                           \
    {                                                                                                                  \
        "population", GLIA_SETTING_INT, offsetof(searching, population), default_, 4, 1e6, NULL,                       \
            "candidates in a generation"                                                                               \
    }
#define SIGMA(default_)                                                                                                \
    {                                                                                                                  \
        "sigma", GLIA_SETTING_REAL, offsetof(searching, sigma), default_, 1e-9, 1e9, NULL,                             \
            "standard deviation of the first candidates"                                                               \
    }
#define CHAIN                                                                                                          \
    { "layers", GLIA_SETTING_INT, offsetof(searching, layers), 1, 0, 8, NULL, "hidden layers of the policy" }, {       \
        "hidden", GLIA_SETTING_INT, offsetof(searching, hidden), 16, 1, 1024, NULL, "units of each"                    \
    }

static const glia_setting cma_settings[] = { GLIA_EVOLVING_SETTINGS, POPULATION(64), SIGMA(0.5), CHAIN };
static const glia_setting es_settings[] = {
    GLIA_EVOLVING_SETTINGS,
    POPULATION(64),
    SIGMA(0.1),
    CHAIN,
    { "rate", GLIA_SETTING_REAL, offsetof(searching, rate), 0.05, 1e-9, 1e9, NULL, "learning rate of Adam" },
};
static const glia_setting ndp_settings[] = {
    GLIA_EVOLVING_SETTINGS,
    POPULATION(64),
    SIGMA(0.3),
    { "embedding", GLIA_SETTING_INT, offsetof(searching, embedding), 5, 1, 256, NULL, "numbers of a node's state" },
    { "hidden", GLIA_SETTING_INT, offsetof(searching, hidden), 5, 1, 256, NULL, "units of the nets that nodes run" },
    { "cycles", GLIA_SETTING_INT, offsetof(searching, cycles), 5, 1, 64, NULL, "cycles of growth" },
    { "growth_steps", GLIA_SETTING_INT, offsetof(searching, growth_steps), 5, 0, 4096, NULL,
      "steps beyond the diameter in a cycle" },
    { "rollout_steps", GLIA_SETTING_INT, offsetof(searching, rollout_steps), 5, 0, 4096, NULL,
      "steps beyond the diameter in an act" },
    { "most", GLIA_SETTING_INT, offsetof(searching, most), 16, 1, 4096, NULL, "nodes at which growth ends" },
};
static const glia_setting lndp_settings[] = {
    GLIA_EVOLVING_SETTINGS_WITH(3, "episodes in a life"),
    POPULATION(256),
    SIGMA(1),
    { "covariance", GLIA_SETTING_CHOICE, offsetof(searching, covariance), 0, 0, 0, "diagonal|full",
      "of the search; a full one is slow for thousands of numbers" },
    { "lives", GLIA_SETTING_INT, offsetof(searching, lives), 1, 1, 1e6, NULL,
      "lives of `episodes` episodes by which a candidate is judged: random graphs of its own, common episodes" },
    { "nodes", GLIA_SETTING_INT, offsetof(searching, nodes), 32, 3, 256, NULL, "nodes of the net" },
    { "node_features", GLIA_SETTING_INT, offsetof(searching, node_features), 8, 1, 64, NULL,
      "numbers of a node's state" },
    { "edge_features", GLIA_SETTING_INT, offsetof(searching, edge_features), 4, 1, 16, NULL,
      "numbers of an edge's state, the first is its weight" },
    { "propagation", GLIA_SETTING_INT, offsetof(searching, propagation), 3, 1, 16, NULL,
      "steps of activity in an act" },
    { "density", GLIA_SETTING_REAL, offsetof(searching, density), 0.1, 0, 1, NULL,
      "probability of an edge when a life begins" },
    { "development", GLIA_SETTING_INT, offsetof(searching, development), 100, 0, 1e6, NULL,
      "steps of spontaneous activity before the first episode; 0: none" },
    { "structure", GLIA_SETTING_SWITCH, offsetof(searching, structure), 1, 0, 0, NULL, "edges appear and go" },
    { "plasticity", GLIA_SETTING_SWITCH, offsetof(searching, plasticity), 1, 0, 0, NULL,
      "the net changes while it acts, not only in its development" },
};

/* ---- begin ------------------------------------------------------------------------------------------------- */

static bool is(const glia_training *t, const char *method) { return strcmp(t->method->about.name, method) == 0; }

static glia_strategy_kind strategy_of(const glia_training *t) {
    const searching *m = t->memory;
    if (is(t, "es")) return GLIA_OPENAI_ES;
    return is(t, "lndp") && m->covariance == 0 ? GLIA_SEP_CMA_ES : GLIA_CMA_ES;
}

static glia_encoding_opts encoding_of(const searching *m) {
    const int inputs = m->evolving.stage.inputs, outputs = m->evolving.stage.outputs;
    return (glia_encoding_opts){
        .inputs = inputs,
        .outputs = outputs,
        .layers = (int)m->layers,
        .hidden = (int)m->hidden,
        .ndp = { .embedding = (int)m->embedding,
                 .hidden = (int)m->hidden,
                 .cycles = (int)m->cycles,
                 .growth_steps = m->growth_steps ? (int)m->growth_steps : GLIA_NONE,
                 .rollout_steps = m->rollout_steps ? (int)m->rollout_steps : GLIA_NONE,
                 .most = (int)m->most },
        .lndp = { .inputs = inputs,
                  .outputs = outputs,
                  .nodes = (int)m->nodes,
                  .node_features = (int)m->node_features,
                  .edge_features = (int)m->edge_features,
                  .propagation = (int)m->propagation,
                  .density = m->density != 0 ? m->density : GLIA_ZERO,
                  .fixed_structure = !m->structure,
                  .frozen = !m->plasticity },
        .development = m->development,
        .life = m->evolving.episodes,
    };
}

static glia_status choose_code(glia_training *t, glia_error *error) {
    searching *m = t->memory;
    const bool lives = is(t, "lndp");
    m->code = lives ? &glia_code_lndp : is(t, "ndp") ? &glia_code_ndp : &glia_code_dense;
    m->code_opts = encoding_of(m);
    m->density_figure = lives ? glia_training_figure(t, "density") : -1;
    if (lives) m->evolving.first_figure = glia_training_figure(t, "first_return");
    if (lives) m->evolving.last_figure = glia_training_figure(t, "last_return");
    m->n = m->code->numbers(&m->code_opts);
    if (m->n > 0) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT, "%s: %lld nodes are too few for %d inputs and %d outputs",
                     t->method->about.name, (long long)m->nodes, m->code_opts.inputs, m->code_opts.outputs);
}

static glia_status begin(glia_training *t, glia_error *error) {
    enum { START = 0x7374 };
    searching *m = t->memory;
    glia_isa isa;
    glia_status status = glia_evolving_begin(t, "sigma", NULL, error);
    if (status == GLIA_OK) status = choose_code(t, error);
    if (status == GLIA_OK) status = glia_isa_choose(&isa, error);
    if (status != GLIA_OK) return status;
    m->kernels = glia_cpu_kernels_for(isa);
    m->best = calloc((size_t)GLIA_MAX(m->n, 1), sizeof *m->best);
    if (!m->best) return glia_fail_nomem(error);
    glia_rng rng = { .seed = t->opts.seed, .stream = START };
    for (int i = 0; i < m->n; i++) m->best[i] = m->code->start * (2 * glia_rng_uniform(&rng) - 1);
    const glia_search_opts opts = { .kind = strategy_of(t),
                                    .population = (int)m->population,
                                    .sigma = m->sigma,
                                    .rate = m->rate,
                                    .seed = t->opts.seed };
    glia_error reason = { 0 };
    m->search = glia_search_create(m->best, m->n, opts, &reason);
    return m->search ? GLIA_OK : glia_fail(error, reason.status, "%s: %s", t->method->about.name, reason.message);
}

static void end(glia_training *t) {
    searching *m = t->memory;
    glia_search_free(m->search);
    free(m->best);
}

/* ---- steps --------------------------------------------------------------------------------------------------- */

/* By which a candidate is judged. */
static int64_t episodes_of(const searching *m) { return m->evolving.episodes * GLIA_MAX(m->lives, 1); }

/* What candidates are: nets that live, nets that play side by side, or policies that play one after the other. */
static bool live(const searching *m) { return m->code == &glia_code_lndp; }
static bool play_side_by_side(const searching *m) { return m->code->genome && m->n <= GLIA_GENOME_MOST; }

/* Candidates (count, n) of a method. */
typedef struct candidates {
    const searching *method;
    const double *numbers;
} candidates;

static glia_status genome_of(const void *context, int64_t i, glia_arena *arena, glia_genome *out, glia_error *error) {
    const candidates *c = context;
    const searching *m = c->method;
    return m->code->genome(c->numbers + i * m->n, &m->code_opts, arena, out, error);
}

static glia_status play_crowd(const searching *m, const double *numbers, int64_t count, uint64_t seed, int64_t episodes,
                              int threads, double *returns, glia_error *error) {
    glia_error reason = { 0 };
    glia_pool *pool = glia_pool_create(threads, &reason);
    if (!pool) return glia_fail(error, reason.status, "%s", reason.message);
    const candidates all = { m, numbers };
    const glia_crowd crowd = { .stage = &m->evolving.stage,
                               .kernels = m->kernels,
                               .n = count,
                               .episodes = episodes,
                               .seed = seed,
                               .genome = genome_of,
                               .context = &all };
    const glia_status status = glia_crowd_play(&crowd, returns, pool, error);
    glia_pool_free(pool);
    return status;
}

/* returns (count, episodes) of candidates (count, n) in the same episodes; densities (count, lives) of nets that live,
 * NULL: not wanted. Lives of a candidate and the next begin by seeds that are `apart`. */
static glia_status play(const searching *m, const double *genomes, int64_t count, uint64_t seed, uint64_t apart,
                        int64_t episodes, int threads, double *returns, double *densities, glia_error *error) {
    if (live(m)) {
        return glia_lndp_live(&(glia_lndp_lives){ .stage = &m->evolving.stage,
                                                  .o = &m->code_opts,
                                                  .genomes = genomes,
                                                  .count = count,
                                                  .seed = seed,
                                                  .apart = apart,
                                                  .episodes = episodes,
                                                  .threads = threads,
                                                  .returns = returns,
                                                  .densities = densities },
                              error);
    }
    if (play_side_by_side(m)) return play_crowd(m, genomes, count, seed, episodes, threads, returns, error);
    glia_status status = GLIA_OK;
    for (int64_t i = 0; status == GLIA_OK && i < count; i++) {
        glia_policy policy = { .net = NULL };
        status = m->code->decode(genomes + i * m->n, &m->code_opts, &policy, error);
        if (status == GLIA_OK)
            status = glia_stage_returns(&m->evolving.stage, &policy, seed, episodes, returns + i * episodes, error);
        glia_policy_free(&policy);
    }
    return status;
}

static glia_status value_of(void *context, const double *x, int n, uint64_t seed, double *value, glia_error *error) {
    const searching *m = context;
    glia_policy policy = { .net = NULL };
    double mean = 0;
    (void)n;
    (void)seed; /* all are judged by the same episodes */
    glia_status status = m->code->decode(x, &m->code_opts, &policy, error);
    if (status == GLIA_OK) status = glia_stage_play(&m->evolving.stage, &policy, m->seed, episodes_of(m), &mean, error);
    glia_policy_free(&policy);
    *value = -mean;
    return status;
}

/* A generation of nets that live or play side by side: all episodes of all candidates are one piece of work. The
 * episodes are the same for all candidates, but those that live have lives of their own, that is, random graphs: with
 * common ones each generation would adapt to those few. */
static glia_status run_together(searching *m, int threads, glia_error *error) {
    const int count = glia_search_count(m->search);
    const int64_t episodes = episodes_of(m);
    double *x = malloc(((size_t)m->n + 1 + (size_t)episodes) * (size_t)count * sizeof *x);
    if (!x) return glia_fail_nomem(error);
    double *values = x + (size_t)m->n * (size_t)count, *returns = values + count;
    glia_status status = glia_search_ask(m->search, x, error);
    if (status == GLIA_OK)
        status = play(m, x, count, m->seed, (uint64_t)episodes, episodes, threads, returns, NULL, error);
    if (status == GLIA_OK) {
        for (int i = 0; i < count; i++) values[i] = -glia_evolving_every(returns + i * episodes, episodes, 0, 1);
        status = glia_search_tell(m->search, values, error);
    }
    free(x);
    return status;
}

static glia_status step(glia_training *t, const glia_batch *batch, glia_error *error) {
    searching *m = t->memory;
    (void)batch;
    const int64_t judged = live(m) ? m->population : 1; /* candidates with lives of their own */
    m->seed = (t->opts.seed << 32) + (uint64_t)(t->done * judged * episodes_of(m));
    if (glia_search_stopped(m->search)) { /* converged: nothing changes any more */
        glia_evolving_count(t, 0, m->evolving.last[0], m->evolving.last[1]);
        t->progress.loss = isfinite(m->evolving.last[0]) ? -m->evolving.last[0] : 0;
        return GLIA_OK;
    }
    glia_status status = live(m) || play_side_by_side(m)
                             ? run_together(m, t->opts.threads, error)
                             : glia_search_run(m->search, value_of, m, 1, t->opts.threads, error);
    if (status != GLIA_OK) return status;
    double best = INFINITY, sum = 0;
    for (int64_t i = 0; i < m->population; i++) {
        best = fmin(best, m->search->told[i]);
        sum += m->search->told[i];
    }
    glia_evolving_count(t, m->population, -best, -sum / (double)m->population);
    return GLIA_OK;
}

/* The best candidate of all, the centre of the distribution, or what was the best after an earlier epoch: whichever
 * plays best, in the same episodes after each epoch. */
static glia_status measure(glia_training *t, glia_error *error) {
    enum { CHOICE = 1 << 28, CHOICES = 3 };
    searching *m = t->memory;
    const size_t n = (size_t)m->n;
    const int64_t episodes = m->evolving.eval_episodes,
                  lives = (episodes + m->evolving.episodes - 1) / m->evolving.episodes;
    double *x = malloc((CHOICES * (n + (size_t)episodes) + (size_t)lives) * sizeof *x), most = -INFINITY;
    if (!x) return glia_fail_nomem(error);
    double *returns = x + CHOICES * n, *densities = returns + CHOICES * episodes;
    int chosen = 0;
    memcpy(x, m->best, n * sizeof *x);
    glia_search_best(m->search, x + n);
    glia_search_mean(m->search, x + 2 * n);
    glia_status status =
        play(m, x, CHOICES, (t->opts.seed << 32) + CHOICE, 0, episodes, t->opts.threads, returns, NULL, error);
    for (int i = 0; status == GLIA_OK && i < CHOICES; i++) {
        const double reached = glia_evolving_every(returns + i * episodes, episodes, 0, 1);
        if (reached >= most) chosen = i, most = reached;
    }
    if (status == GLIA_OK) status = glia_training_validation(t, true, error);
    if (status == GLIA_OK) {
        memcpy(m->best, x + (size_t)chosen * n, n * sizeof *m->best);
        status =
            play(m, m->best, 1, glia_evolving_eval_seed(t), 0, episodes, t->opts.threads, returns, densities, error);
    }
    if (status == GLIA_OK) status = glia_training_validation(t, false, error);
    if (status == GLIA_OK) {
        glia_evolving_judge(t, returns);
        if (m->density_figure >= 0) t->figures[m->density_figure].value = glia_evolving_every(densities, lives, 0, 1);
        t->figures[m->evolving.size_figure].value = glia_search_inspect(m->search).sigma;
    }
    free(x);
    return status;
}

/* Nets that grow are drawn. */
static glia_status show(glia_training *t, glia_show_fn show_one, void *context, glia_error *error) {
    const searching *m = t->memory;
    char *text, *svg;
    if (!m->code->portray) return GLIA_OK;
    glia_status status = m->code->portray(m->best, &m->code_opts, &m->evolving.stage, &text, &svg, error);
    return status == GLIA_OK ? glia_evolving_show(text, svg, show_one, context, error) : status;
}

/* What lndp's model cannot do without: the genome, from which it grows anew in each life. */
static glia_status keep_genome(const searching *m, glia_model *model, glia_error *error) {
    glia_text text = { 0 };
    char number[GLIA_NUMBER_TEXT];
    for (int i = 0; i < m->n; i++) glia_text_printf(&text, "%s%s", i ? " " : "", glia_number_print(m->best[i], number));
    glia_status status = text.failed ? glia_fail_nomem(error) : glia_model_set(model, "genome", text.bytes, error);
    free(text.bytes);
    return status;
}

static glia_status finish(glia_training *t, glia_error *error) {
    searching *m = t->memory;
    glia_error reason = { 0 };
    if (m->code == &glia_code_lndp && keep_genome(m, t->model, error) != GLIA_OK) return GLIA_E_NOMEM;
    glia_model *model = m->code->model(m->best, &m->code_opts, &reason);
    if (!model) return glia_fail(error, reason.status, "%s", reason.message);
    glia_model_adopt(t->model, model);
    return GLIA_OK;
}

/* ---- assessing lndp ---------------------------------------------------------------------------------------------- */

/* The numbers of the model's genome; NULL: see error. */
static double *read_genome(const glia_model *model, int n, glia_error *error) {
    const char *at = glia_model_get(model, "genome");
    double *genome = malloc((size_t)GLIA_MAX(n, 1) * sizeof *genome);
    if (!genome) return glia_fail_nomem(error), NULL;
    bool right = at != NULL;
    for (int i = 0; right && i < n; i++) {
        const size_t length = strcspn(at, " ");
        right = glia_number_parse(at, at + length, &genome[i]) && (at[length] == ' ') == (i + 1 < n);
        at += length + (at[length] == ' ');
    }
    if (right) return genome;
    free(genome);
    return glia_fail(error, GLIA_E_FORMAT, "the model has no genome of %d numbers", n), NULL;
}

/* Lives of `episodes` episodes, as in training. */
static glia_status play_lives(const searching *m, const double *genome, const glia_assess_opts *opts,
                              glia_assessment *out, glia_error *error) {
    enum { LIVES = 100, ASSESSMENT = 1 << 29 };
    const int64_t life = m->evolving.episodes, n = opts->count ? opts->count : LIVES * life;
    const int64_t lives = (n + life - 1) / life;
    double *returns = malloc((size_t)(n + lives) * sizeof *returns);
    if (!returns) return glia_fail_nomem(error);
    glia_status status = play(m, genome, 1, opts->seed + ASSESSMENT, 0, n, opts->threads, returns, returns + n, error);
    if (status == GLIA_OK) {
        glia_assessment_add(out, "return", glia_evolving_every(returns, n, 0, 1));
        glia_assessment_add(out, "first_return", glia_evolving_every(returns, n, 0, life));
        if (n >= life) glia_assessment_add(out, "last_return", glia_evolving_every(returns, n, life - 1, life));
        glia_assessment_add(out, "density", glia_evolving_every(returns + n, lives, 0, 1));
    }
    free(returns);
    return status;
}

/* The model plays as its genome grows it, not as the net that it holds. */
static glia_status assess_lives(const void *memory, glia_model *model, const glia_assess_opts *opts,
                                glia_assessment *out, glia_error *error) {
    searching m = *(const searching *)memory;
    const glia_env *env;
    glia_env *own;
    glia_status status = glia_evolving_environment(model, opts, &env, &own, error);
    if (status == GLIA_OK) status = glia_stage_set(&m.evolving.stage, env, error);
    double *genome = NULL;
    if (status == GLIA_OK) {
        m.code_opts = encoding_of(&m);
        m.code = &glia_code_lndp;
        glia_error reason = { 0 };
        genome = read_genome(model, glia_code_lndp.numbers(&m.code_opts), &reason);
        status = genome ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
    }
    if (status == GLIA_OK) status = play_lives(&m, genome, opts, out, error);
    free(genome);
    glia_env_free(own);
    return status;
}

/* ---- checkpoints ----------------------------------------------------------------------------------------------- */

static int arrays(glia_training *t, glia_array *out, int capacity) {
    searching *m = t->memory;
    size_t bytes;
    void *state = (void *)(uintptr_t)glia_search_state(m->search, &bytes);
    (void)capacity;
    out[0] = (glia_array){ .name = "search", .dtype = GLIA_U8, .shape = GLIA_SHAPE((int64_t)bytes), .data = state };
    out[1] = (glia_array){ .name = "best", .dtype = GLIA_F64, .shape = GLIA_SHAPE(m->n), .data = m->best };
    out[2] = glia_evolving_array(t);
    return 3;
}

static glia_status restore(glia_training *t, const glia_array *from, int n, bool check_only, glia_error *error) {
    searching *m = t->memory;
    const glia_array *state = NULL, *best = NULL;
    for (int i = 0; i < n; i++) {
        if (strcmp(from[i].name, "search") == 0) state = &from[i];
        if (strcmp(from[i].name, "best") == 0) best = &from[i];
    }
    if (!state || !best || state->dtype != GLIA_U8 || best->dtype != GLIA_F64 || glia_shape_count(best->shape) != m->n)
        return glia_fail(error, GLIA_E_FORMAT, "the state of the search is missing");
    const size_t bytes = (size_t)glia_shape_count(state->shape);
    if (glia_evolving_restore(t, from, n, check_only, error) != GLIA_OK) return GLIA_E_FORMAT;
    if (check_only) return glia_search_check(m->search, state->data, bytes, error);
    glia_status status = glia_search_restore(m->search, state->data, bytes, error);
    if (status == GLIA_OK) memcpy(m->best, best->data, (size_t)m->n * sizeof *m->best);
    return status;
}

GLIA_EVOLVING_METHOD(cma_es, "cma-es", searching, cma_settings, glia_evolving_assess,
                     "weights by a covariance that adapts to the task",
                     "Hansen 2016, \"The CMA evolution strategy: a tutorial\"");
GLIA_EVOLVING_METHOD(es, "es", searching, es_settings, glia_evolving_assess,
                     "weights by a gradient estimated from mirrored noise", "Salimans et al. 2017");
GLIA_EVOLVING_METHOD(ndp, "ndp", searching, ndp_settings, glia_evolving_assess,
                     "nets that grow from one node, by a genome that evolves", "Najarro et al. 2023");
GLIA_EVOLVING_METHOD(lndp, "lndp", searching, lndp_settings, assess_lives,
                     "nets that change with their experience, by a genome that evolves", "Plantec et al. 2024");
