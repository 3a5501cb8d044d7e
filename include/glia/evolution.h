/* evolution.h - black-box search and evolution: CMA-ES and other strategies, NEAT, HyperNEAT, nets that grow.
 *
 * A strategy proposes candidates and is told their values; smaller is better:
 *
 *     glia_search *search = glia_search_create(start, n, (glia_search_opts){ .sigma = 0.5 }, &error);
 *     while (!glia_search_stopped(search)) {
 *         glia_search_ask(search, x, &error);            x (glia_search_count(search), n)
 *         for (i...) values[i] = f(x + i * n);
 *         glia_search_tell(search, values, &error);
 *     }
 *
 * docs/evolution.md has the mathematics and what was measured.
 */
#ifndef GLIA_EVOLUTION_H
#define GLIA_EVOLUTION_H

#include "glia/environments.h"
#include "glia/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== black-box search ======================================================================= */

typedef enum glia_strategy_kind {
    GLIA_CMA_ES,     /* Hansen and Ostermeier 2001; Hansen 2016, "The CMA evolution strategy: a tutorial", with
                      * negative weights (active CMA, Jastrebski and Arnold 2006) */
    GLIA_SEP_CMA_ES, /* a diagonal covariance: Ros and Hansen 2008; time and memory linear in n */
    GLIA_OPENAI_ES,  /* Salimans et al. 2017: mirrored noise, centred ranks, Adam */
    GLIA_GENETIC,    /* elites, tournaments, crossover, normal mutations */
    GLIA_DIFFERENTIAL_EVOLUTION, /* Storn and Price 1997: rand/1/bin */
    GLIA_RANDOM_SEARCH,          /* uniform within bounds, else normal around the start: the baseline */
    GLIA_STRATEGY_COUNT
} glia_strategy_kind;
GLIA_API const char *glia_strategy_name(glia_strategy_kind kind); /* "cma-es", "sep-cma-es", "openai-es", "genetic",
                                                                     "differential-evolution", "random" */

/* What CMA-ES does when a run has converged: another with twice the population (Auger and Hansen 2005), or the same in
 * turn with short runs of small populations and steps (Hansen 2009). Runs begin anywhere within finite bounds; without
 * bounds all begin at the same start. */
typedef enum glia_restarts { GLIA_NO_RESTARTS, GLIA_IPOP, GLIA_BIPOP } glia_restarts;

typedef struct glia_search_opts {
    glia_strategy_kind kind;
    int population;              /* 0: 4 + floor(3 ln n) for CMA-ES; 64 for the others, even for OpenAI-ES */
    double sigma;                /* standard deviation of the first candidates around the start; 0: 0.3 */
    const double *lower, *upper; /* (n) each, may be infinite; NULL: no bounds. Candidates beyond are reflected */
    glia_restarts restarts;      /* CMA-ES only */
    int max_restarts;            /* of IPOP, or with twice the population of BIPOP; 0: 9 */
    double target;               /* stop at a value at most this; 0: never; GLIA_ZERO: 0 */
    int64_t evaluations;         /* stop after as many; 0: no limit */
    /* Noise: some candidates are proposed a second time. If that changes their ranks, glia_search_repeats() grows, and
     * where it may not, sigma does (Hansen et al. 2009, "A method for handling uncertainty ..."). */
    bool noise;
    int max_repeats;   /* 0: 64 */
    bool nan_is_worst; /* a value that is NaN counts as infinite instead of being an error */
    double rate;       /* OpenAI-ES: Adam's learning rate; 0: 0.05 */
    double decay;      /* OpenAI-ES: weight decay; 0: 0 */
    int elites;        /* genetic: the best that survive; 0: a sixteenth, at least 1 */
    int tournament;    /* genetic: 0: 3 */
    double mutation;   /* genetic: standard deviation, in units of sigma; 0: 0.1 */
    double crossover;  /* genetic: probability of a second parent; 0: 0.7. Differential evolution: CR; 0: 0.9 */
    double factor;     /* differential evolution: F; 0: 0.7 */
    uint64_t seed;
} glia_search_opts;

typedef struct glia_search glia_search; /* one thread at a time */
/* A search from `start` (n). GLIA_E_ARGUMENT: an option outside its domain, bounds that exclude the start or are
 * empty, a start that is not finite. */
GLIA_API glia_search *glia_search_create(const double *start, int n, glia_search_opts opts, glia_error *error);
GLIA_API void glia_search_free(glia_search *search);

/* The candidates that the next glia_search_ask() gives; with restarts and with noise their number changes. */
GLIA_API int glia_search_count(const glia_search *search);
/* Candidates x (count, n). Asking again gives the same: only telling moves the search. */
GLIA_API glia_status glia_search_ask(glia_search *search, double *x, glia_error *error);
/* values (count) of the candidates. GLIA_E_ARGUMENT for a value that is NaN or -infinity, by its index: the search is
 * as before the call, and can be told again. */
GLIA_API glia_status glia_search_tell(glia_search *search, const double *values, glia_error *error);
/* How often each candidate should be evaluated, its value being the mean: 1 without noise. */
GLIA_API int glia_search_repeats(const glia_search *search);
/* Why the search is over: "target", "evaluations", "tolfun", ...; NULL: it goes on. */
GLIA_API const char *glia_search_stopped(const glia_search *search);

typedef struct glia_search_info {
    int64_t generation, evaluations; /* of all runs */
    int restarts, population, repeats;
    double best;      /* smallest value so far; infinite before the first */
    double sigma;     /* the present step size; NaN for strategies without */
    double condition; /* ratio of the covariance's extreme eigenvalues; NaN without a covariance */
} glia_search_info;
GLIA_API glia_search_info glia_search_inspect(const glia_search *search);
/* x (n): the best candidate so far (before the first tell: the start), or the centre of the distribution, which is
 * the better estimate of an optimum under noise. */
GLIA_API void glia_search_best(const glia_search *search, double *x);
GLIA_API void glia_search_mean(const glia_search *search, double *x);

/* The whole state as plain memory that does not move: copied before an ask and put back into a search that was created
 * with the same arguments, the search goes on with the same bits. */
GLIA_API const void *glia_search_state(const glia_search *search, size_t *bytes);
/* GLIA_E_FORMAT: not a state of such a search; nothing has changed. */
GLIA_API glia_status glia_search_restore(glia_search *search, const void *state, size_t bytes, glia_error *error);

/* The value of x (n). `seed` differs from candidate to candidate and from repeat to repeat. Called by several threads
 * at once. */
typedef glia_status (*glia_objective_fn)(void *context, const double *x, int n, uint64_t seed, double *value,
                                         glia_error *error);
/* Asks and tells until the search stops, or for `generations` (0: no limit). The same result at any number of threads
 * (0: all cores). An error of the objective, or a value that is NaN, ends it: the search so far is kept. */
GLIA_API glia_status glia_search_run(glia_search *search, glia_objective_fn objective, void *context,
                                     int64_t generations, int threads, glia_error *error);

/* Functions of n numbers to test searches on, with a minimum of 0: at 1, 1, ... for "rosenbrock", else at 0. Names in
 * alphabetical order; NULL: none at this index. An unknown name gives NaN. */
GLIA_API const char *glia_test_function_at(int index);
GLIA_API double glia_test_function(const char *name, const double *x, int n);

/* ==== genomes and nets of any shape =========================================================== */

typedef enum glia_node_kind { GLIA_NODE_INPUT, GLIA_NODE_BIAS, GLIA_NODE_OUTPUT, GLIA_NODE_HIDDEN } glia_node_kind;
typedef enum glia_node_function {
    GLIA_NODE_SIGMOID, /* 1 / (1 + exp(-4.9 x)), NEAT's */
    GLIA_NODE_TANH,
    GLIA_NODE_LINEAR,
    GLIA_NODE_RELU,
    GLIA_NODE_GAUSSIAN, /* exp(-x^2) */
    GLIA_NODE_SINE,
    GLIA_NODE_ABS,
    GLIA_NODE_STEP, /* 1 above 0 */
    GLIA_NODE_FUNCTION_COUNT
} glia_node_function;
GLIA_API const char *glia_node_function_name(glia_node_function function); /* "sigmoid", "tanh", "linear", ... */

typedef struct glia_node_gene {
    int32_t id;
    glia_node_kind kind;
    glia_node_function function; /* of outputs and hidden nodes */
} glia_node_gene;
typedef struct glia_link_gene {
    int32_t innovation, from, to; /* ids of nodes */
    double weight;
    bool enabled;
    bool recurrent; /* carries the value of the step before; the other links have no cycles */
} glia_link_gene;
/* Nodes: the inputs, the bias, the outputs, then hidden ones with ascending ids. Links by ascending innovation. */
typedef struct glia_genome {
    int inputs, outputs;
    int n_nodes, n_links;
    glia_node_gene *nodes;
    glia_link_gene *links;
    double fitness; /* NaN: not told */
    int32_t species;
} glia_genome;

typedef struct glia_genome_size {
    int hidden, links; /* that have a say in an output: hidden nodes, enabled links */
    bool recurrent;
} glia_genome_size;
GLIA_API glia_genome_size glia_genome_measure(const glia_genome *genome);

/* A genome as text, a line for each gene: "node 4 hidden sigmoid", "link 7 from 0 to 4 weight 0.5 [disabled]
 * [recurrent]". Release with free(). */
GLIA_API char *glia_genome_print(const glia_genome *genome, glia_error *error);
/* GLIA_E_FORMAT with the line for what is no genome: unknown nodes, cycles of links that are not recurrent, numbers
 * that come twice. Release with glia_genome_free(). */
GLIA_API glia_genome *glia_genome_parse(const char *text, glia_error *error);
GLIA_API void glia_genome_free(glia_genome *genome);

/* The genome as an ordinary model: input "x" (N, inputs), output "policy" (N, outputs), one dense layer for each level
 * of nodes, with zeros where there is no link. A recurrent one has an input "state" and an output "next" (N, nodes)
 * besides, others the output "features" (N, inputs and nodes). */
GLIA_API glia_model *glia_genome_model(const glia_genome *genome, const char *name, glia_error *error);
/* A drawing as SVG: inputs at the left, outputs at the right, blue links positive, red negative, as wide as strong.
 * Release with free(). */
GLIA_API char *glia_genome_svg(const glia_genome *genome, glia_error *error);

/* A net that runs a genome at once, without compiling. One thread at a time. */
typedef struct glia_net glia_net;
GLIA_API glia_net *glia_net_create(const glia_genome *genome, glia_error *error);
GLIA_API void glia_net_free(glia_net *net);
GLIA_API void glia_net_reset(glia_net *net); /* all values 0, as before the first step */
/* x (inputs) -> y (outputs), one step. */
GLIA_API void glia_net_run(glia_net *net, const double *x, double *y);

/* ==== NEAT ====================================================================================== */

/* Stanley and Miikkulainen 2002, "Evolving neural networks through augmenting topologies". Defaults are the paper's for
 * small populations. Probabilities that are 0 by wish are written GLIA_ZERO. */
typedef struct glia_neat_opts {
    int inputs, outputs;              /* a bias is added */
    int population;                   /* 0: 150 */
    int hidden;                       /* hidden nodes of the first genomes, fully connected; 0: none */
    bool unconnected;                 /* the first genomes have one link each instead of all from inputs to outputs */
    bool random_topology;             /* the first genomes have 1 to `hidden` hidden nodes, and half of all links */
    bool recurrent;                   /* recurrent links may appear */
    glia_node_function output;        /* of outputs; zero: sigmoid */
    uint32_t functions;               /* of hidden nodes: bits 1 << glia_node_function; 0: as outputs */
    double excess, disjoint, weights; /* coefficients of the distance: 0: 1, 1, 0.4 */
    double threshold;                 /* of distances within a species; 0: 3 */
    int species;                      /* the threshold moves by 0.3 a generation towards so many; 0: it is fixed */
    double add_node, add_link;        /* probabilities of a child; 0: 0.03, 0.05 */
    double toggle;                    /* that a link of a child is enabled or disabled; 0: 0.01 */
    double perturb;                   /* that a child's weights change; 0: 0.8. Of these a tenth is drawn anew */
    double step;                      /* largest change of a weight; 0: 2.5; half of the first weights' range */
    double survival;                  /* part of a species that has children; 0: 0.2 */
    double no_crossover;              /* part of children with one parent; 0: 0.25; 1: no crossover at all */
    double between;                   /* of matings between species; 0: 0.001 */
    int stagnation;                   /* generations until a species without progress has no children; 0: 15 */
    bool no_speciation, no_growth;    /* ablations: one species only; no new nodes and links */
    uint64_t seed;
} glia_neat_opts;

typedef struct glia_neat glia_neat; /* one thread at a time */
GLIA_API glia_neat *glia_neat_create(glia_neat_opts opts, glia_error *error);
GLIA_API void glia_neat_free(glia_neat *neat);
GLIA_API int glia_neat_population(const glia_neat *neat);
/* A genome of the present generation, valid until the next tell or restore; NULL: no such index. */
GLIA_API const glia_genome *glia_neat_genome(const glia_neat *neat, int index);
/* fitness (population), larger is better, may be negative. The next generation is born. GLIA_E_ARGUMENT for a fitness
 * that is not finite, by its index: the search is as before. */
GLIA_API glia_status glia_neat_tell(glia_neat *neat, const double *fitness, glia_error *error);
/* The best genome that was ever told; NULL: none yet. Valid until a better one is told. */
GLIA_API const glia_genome *glia_neat_champion(const glia_neat *neat);

typedef struct glia_neat_info {
    int64_t generation, evaluations;
    int species;
    double best, mean; /* fitness of the last generation that was told; NaN before */
    double champion;   /* of all */
    double threshold;
} glia_neat_info;
GLIA_API glia_neat_info glia_neat_inspect(const glia_neat *neat);
/* Genomes of each species of the present generation, by age of the species: fills at most `capacity` ids and sizes,
 * returns how many species there are. */
GLIA_API int glia_neat_species(const glia_neat *neat, int32_t *ids, int *sizes, int capacity);

/* The whole state as arrays, valid until the next call: fills at most `capacity` (8 are needed), returns their number;
 * -1: out of memory. */
GLIA_API int glia_neat_save(glia_neat *neat, glia_array *out, int capacity);
/* Takes such arrays of a search with the same options: it goes on with the same bits. With check_only nothing changes.
 * GLIA_E_FORMAT for what is no such state. */
GLIA_API glia_status glia_neat_restore(glia_neat *neat, const glia_array *arrays, int n, bool check_only,
                                       glia_error *error);

/* A fitness for each genome, by threads. `seed` differs from genome to genome and from generation to generation. */
typedef glia_status (*glia_fitness_fn)(void *context, const glia_genome *genome, uint64_t seed, double *fitness,
                                       glia_error *error);
/* Evaluates and tells until the champion's fitness is at least `enough`, or for some generations. The same result at
 * any number of threads (0: all cores). */
GLIA_API glia_status glia_neat_run(glia_neat *neat, glia_fitness_fn fitness, void *context, double enough,
                                   int64_t generations, int threads, glia_error *error);

/* How genomes play in an environment. */
typedef struct glia_neat_play_opts {
    int64_t episodes; /* of each genome; 0: 1 */
    uint64_t seed;    /* of the first episode of the first genome; that of the next is one higher */
    uint64_t apart;   /* between the first episodes of one genome and the next; 0: all play the same episodes */
    int threads;      /* 0: all cores */
} glia_neat_play_opts;
/* fitness (population): the mean returns of all genomes in copies of `env`, several of which a thread plays at once. An
 * action is the largest output of a discrete space, else outputs from [-1, 1], scaled to the bounds. The same bits at
 * any number of threads. GLIA_E_ARGUMENT: an environment with other numbers of inputs or outputs. */
GLIA_API glia_status glia_neat_play(const glia_neat *neat, const glia_env *env, glia_neat_play_opts opts,
                                    double *fitness, glia_error *error);

/* ==== nets that grow ============================================================================== */

/* Neural developmental programs: Najarro, Sudhakaran and Risi 2023, "Towards self-assembling artificial neural networks
 * through neural developmental programs". A graph grows from one node by a net that every node runs. In each cycle:
 *
 *     steps of S <- f(A' S)                        f, g, w: nets with one hidden layer of tanh
 *     a node whose g(S_i) is above 0 gets a child, linked to it and to its neighbours, S their mean
 *     A_ij = w(S_i, S_j) for the edges             not for binary graphs
 *
 * A genome is [S of the first node, g, f, w], each net as W1 (hidden, in), b1, W2, b2. */
typedef struct glia_ndp_opts {
    int embedding, hidden; /* numbers of S, hidden units; 0: 5, 5 */
    int cycles;            /* 0: 5 */
    int growth_steps;      /* beyond the graph's diameter, in a cycle; 0: 5; GLIA_NONE: none */
    int rollout_steps;     /* beyond the diameter, when the grown net runs; 0: 5; GLIA_NONE: none */
    bool binary;           /* edges have weight 1 */
    double loop;           /* weight of the first node's self-loop; 0: -0.9; binary: 1 */
    int most;              /* nodes; growth ends before it exceeds them; 0: 256 */
} glia_ndp_opts;
GLIA_API int glia_ndp_parameters(glia_ndp_opts opts); /* numbers of a genome; 0: the options are outside their domain */

typedef struct glia_grown {
    int n;            /* nodes */
    double *weights;  /* (n, n), symmetric; row: from, column: to */
    double *states;   /* (n, embedding) */
    int cycles;
    int *sizes;       /* (cycles + 1) nodes before the first cycle and after each: node i was born where size > i */
    int diameter;
} glia_grown;
/* GLIA_E_ARGUMENT for a genome of another length or with numbers that are not finite. */
GLIA_API glia_grown *glia_ndp_grow(const double *genome, int n, glia_ndp_opts opts, glia_error *error);
GLIA_API void glia_grown_free(glia_grown *grown);
GLIA_API int glia_grown_edges(const glia_grown *grown); /* undirected, self-loops included */
/* The grown net as a policy: x (inputs) is held on the first nodes while values (n), kept from call to call, take the
 * steps v <- tanh(A' v); y (outputs) are the last nodes. false: too few nodes, y is not written. */
GLIA_API bool glia_grown_run(const glia_grown *grown, glia_ndp_opts opts, double *values, const double *x, int inputs,
                             double *y, int outputs);
/* How small a world the graph is (Humphries and Gurney 2008): transitivity over that of random graphs with the same
 * degrees, divided by the same ratio of mean path lengths, as networkx's sigma; 10 graphs by the seed. NaN: not
 * connected, or without triangles. */
GLIA_API double glia_grown_small_world(const glia_grown *grown, uint64_t seed, glia_error *error);
/* The graph as SVG after `cycle` cycles (0: one node ... cycles: all); places are those of the final graph. Release
 * with free(). */
GLIA_API char *glia_grown_svg(const glia_grown *grown, int cycle, glia_error *error);

/* Lifelong neural developmental programs: Plantec, Pedersen, Montero, Nisioti and Risi 2024, "Evolving self-assembling
 * neural networks: from spontaneous activity to experience-dependent learning". Nodes and directed edges have states;
 * in each step
 *
 *     x <- W [degrees, kind, activities, h]            what a node perceives
 *     x <- graph transformer: 3 heads, each node gives its value to all, scores times a linear function of [e,
 *          edge?, edge back?, itself?]
 *     h <- GRU(x, h),   e <- GRU([activities, h of both ends, reward], e)
 *     an edge goes where prune(e) > 0.6, and appears where add(h_i, h_k) > 0.6
 *
 * and an act is `propagation` steps of a <- tanh(w' a) from 0, with the inputs held; w is the first number of e. Edges
 * lead from inputs to hidden nodes, between these, and to outputs. Before the first act, the same steps run on
 * spontaneous activity of the inputs, an Ornstein-Uhlenbeck process x <- x + rate (mean - x) + scale z.
 *
 * A genome is [W, b; query, key, value; edges to heads, b; merge, b; GRU of nodes: in, kept, b, b of new; GRU of edges:
 * of the source, of the target, of the reward, kept, b, b of new; add: of the source, of the target, b, out; prune: in,
 * b, out; mean, rate (in [0, 1]), scale (inputs, inputs; in [-1, 1])], each matrix (out, in) by rows. */
typedef struct glia_lndp_opts {
    int inputs, outputs;  /* the first and the last nodes */
    int nodes;            /* at most 256; 0: 32 */
    int node_features;    /* at most 64; 0: 8 */
    int edge_features;    /* at most 16; 0: 4 */
    int propagation;      /* steps of activity in an act, at most 16; 0: 3 */
    double density;       /* probability of an edge when a life begins; 0: 0.1; GLIA_ZERO: none */
    bool fixed_structure; /* edges neither appear nor go */
    bool frozen;          /* nothing changes after development */
    int nets;             /* that live side by side, several of them as fast as one; 0: 1 */
} glia_lndp_opts;
/* Numbers of a genome; 0: the options are outside their domain. */
GLIA_API int glia_lndp_parameters(glia_lndp_opts opts);

typedef struct glia_lndp glia_lndp; /* one thread at a time */
/* genomes (nets, n); n is the length of each. GLIA_E_ARGUMENT for another length or for numbers beyond 1e6. All nets
 * begin a life by the seed 0. What one of them does does not depend on the others. */
GLIA_API glia_lndp *glia_lndp_create(const double *genomes, int n, glia_lndp_opts opts, glia_error *error);
GLIA_API void glia_lndp_free(glia_lndp *nets);
/* A new life of one net: random edges and states. The same seed gives the same life, bit for bit. */
GLIA_API void glia_lndp_begin(glia_lndp *nets, int which, uint64_t seed);
GLIA_API void glia_lndp_develop(glia_lndp *nets, int64_t steps); /* of spontaneous activity, all nets */
/* The rewards (nets) of the last act change the nets, then x (nets, inputs) -> y (nets, outputs) in [-1, 1]. */
GLIA_API void glia_lndp_act(glia_lndp *nets, const double *rewards, const double *x, double *y);
GLIA_API int glia_lndp_edges(const glia_lndp *nets, int which);
GLIA_API int glia_lndp_places(const glia_lndp *nets); /* where edges may be, in each net */
/* weights (nodes, nodes), from the row to the column. */
GLIA_API void glia_lndp_weights(const glia_lndp *nets, int which, double *weights);
/* A net as SVG: inputs at the left, outputs at the right, blue edges positive, red negative; `title` (may be NULL)
 * below. Release with free(). */
GLIA_API char *glia_lndp_svg(const glia_lndp *nets, int which, const char *title, glia_error *error);

/* ==== HyperNEAT =================================================================================== */

/* Stanley, D'Ambrosio and Gauci 2009, "A hypercube-based encoding for evolving large-scale neural networks". A genome
 * with two outputs or one is a function of places (a CPPN, Stanley 2007): of 4 inputs x1, y1, x2, y2, or of 6 with
 * x2 - x1, y2 - y1 besides.
 *
 * weights (targets, sources): the CPPN's first output between each two places (x, y), rows of `to` and of `from`. Below
 * `threshold` in size there is no link; beyond, sizes from threshold to 1 become 0 to `limit`. GLIA_E_ARGUMENT for a
 * genome with other inputs, or a threshold outside [0, 1). */
GLIA_API glia_status glia_cppn_weights(const glia_genome *cppn, const double *from, int sources, const double *to,
                                       int targets, double threshold, double limit, double *weights,
                                       glia_error *error);
/* Risi and Stanley 2012, "An enhanced hypercube-based encoding for evolving the placement, density, and connectivity of
 * neurons" (ES-HyperNEAT): hidden nodes lie where the weights vary. From each input a quadtree over [-1, 1] x [-1, 1]
 * is divided `initial_depth` times, then while the four weights of a square vary more than `division`; squares below
 * `variance` are not looked into; one whose weight differs by `band` from both neighbours, beside or above and below,
 * is a hidden node with a link. From those the search goes on `iterations` times; links to outputs come from nodes
 * found. */
typedef struct glia_evolvable_opts {
    int initial_depth, max_depth; /* at most 6; 0: 3, as initial_depth */
    double division, variance;    /* 0: 0.03; GLIA_ZERO: 0 */
    double band;                  /* 0: 0.3; GLIA_ZERO: 0 */
    int iterations;               /* 0: 1; GLIA_NONE: no links between hidden nodes */
    double limit;                 /* of weights; 0: 3 */
} glia_evolvable_opts;
/* The net with inputs at `from` (inputs, 2) and outputs at `to` (outputs, 2), nodes of tanh; links back to nodes that
 * were found earlier are recurrent. Release with glia_genome_free(). */
GLIA_API glia_genome *glia_cppn_substrate(const glia_genome *cppn, const double *from, int inputs, const double *to,
                                          int outputs, glia_evolvable_opts opts, glia_error *error);
/* The CPPN as a picture (height, width) in [0, 1]: of 2 inputs x, y, of 3 with the distance from the centre; of 4 or 6
 * the weights from the centre. */
GLIA_API glia_status glia_cppn_picture(const glia_genome *cppn, int width, int height, float *pixels,
                                       glia_error *error);
/* Places (side side, 2) of a square grid in [-1, 1], row by row from the top. */
GLIA_API void glia_grid_places(int side, double *places);

#ifdef __cplusplus
}
#endif

#endif
