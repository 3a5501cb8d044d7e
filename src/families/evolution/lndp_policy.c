/* lndp_policy.c - lifelong developmental programs as what evolves: the film of a life, the model. */
#include <stdio.h>
#include <stdlib.h>

#include "families/evolution/film.h"
#include "families/evolution/lndp.h"
#include "glia/layers.h"
#include "glia/ops.h"

static int numbers(const glia_encoding_opts *o) { return glia_lndp_parameters(o->lndp); }

/* ---- the film --------------------------------------------------------------------------------------------- */

enum { MOMENTS = 4, EPISODES = 4 };

typedef struct portrait {
    glia_film film;
    glia_text told;
} portrait;

static void add_frame(portrait *p, const glia_lndp *net, int which, const char *when) {
    char title[96];
    snprintf(title, sizeof title, "%s: %d edges", when, glia_lndp_edges(net, which));
    glia_text_printf(&p->told, "%s\n", title);
    glia_film_add(&p->film, glia_lndp_svg(net, which, title, NULL));
}

/* Moments of the development. */
static glia_status add_growth(portrait *p, const double *genome, const glia_encoding_opts *o, glia_error *error) {
    char when[64];
    glia_lndp *net = glia_lndp_create(genome, numbers(o), o->lndp, error);
    if (!net) return GLIA_E_NOMEM;
    add_frame(p, net, 0, "at first");
    for (int64_t i = 1, done = 0; i < MOMENTS && o->development > 0; i++) {
        const int64_t until = i == MOMENTS - 1 ? o->development : o->development * i / (2 * MOMENTS);
        glia_lndp_develop(net, until - done);
        done = until;
        snprintf(when, sizeof when, "step %lld without inputs", (long long)done);
        add_frame(p, net, 0, when);
    }
    glia_lndp_free(net);
    return GLIA_OK;
}

static void add_episode(void *watcher, const glia_lndp *nets, int which, int64_t episode, double reached) {
    char when[64];
    snprintf(when, sizeof when, "episode %lld, return %.0f", (long long)episode, reached);
    if (episode > 0) add_frame(watcher, nets, which, when);
}

/* The net at moments of its development, then after each of the first episodes of its life. */
static glia_status portray(const double *genome, const glia_encoding_opts *o, const glia_stage *stage, char **text,
                           char **svg, glia_error *error) {
    portrait p = { .film = { .n = 0 } };
    double returns[EPISODES];
    const glia_lndp_lives life = { .stage = stage,
                                   .o = o,
                                   .genomes = genome,
                                   .count = 1,
                                   .episodes = GLIA_MIN(o->life, (int64_t)EPISODES),
                                   .threads = 1,
                                   .returns = returns,
                                   .watch = add_episode,
                                   .watcher = &p };
    glia_status status = add_growth(&p, genome, o, error);
    if (status == GLIA_OK) status = glia_lndp_live(&life, error);
    *text = p.told.bytes;
    *svg = glia_film_end(&p.film, NULL);
    if (status == GLIA_OK && *svg && !p.told.failed) return GLIA_OK;
    free(*text);
    free(*svg);
    return status == GLIA_OK ? glia_fail_nomem(error) : status;
}

/* ---- the model ----------------------------------------------------------------------------------------------- */

/* v <- tanh(inputs x + nodes v) `propagation` times: the net as it stands after its development. */
static glia_status build(glia_model *model, const glia_encoding_opts *o, int nodes, int steps) {
    const int n = o->inputs;
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(n)), v = x;
    const glia_dense_opts product = { .units = nodes, .no_bias = true };
    const glia_tensor held = glia_dense(x, "inputs", product);
    for (int t = 0; t < steps; t++) {
        if (t > 0) {
            v = glia_slice(v, GLIA_SHAPE(0, n), GLIA_SHAPE(GLIA_BATCH, nodes), GLIA_SCALAR);
            v = glia_add(held, glia_dense(v, "nodes", product));
        }
        v = glia_tanh(t > 0 ? v : held);
    }
    glia_model_output(model, "policy",
                      glia_slice(v, GLIA_SHAPE(0, nodes - o->outputs), GLIA_SHAPE(GLIA_BATCH, nodes), GLIA_SCALAR));
    return glia_model_init(model, 0, NULL);
}

/* The weights turned to (target, source), of the inputs and of all other nodes. */
static bool fill(glia_model *model, const glia_lndp *net, int inputs, int nodes, int steps) {
    const size_t n = (size_t)nodes;
    double *all = malloc(2 * n * n * sizeof *all), *turned = all ? all + n * n : NULL;
    if (!all) return false;
    glia_lndp_weights(net, 0, all);
    for (int from = 0; from < nodes; from++) {
        double *to = from < inputs ? turned + from : turned + nodes * inputs + from - inputs;
        const int stride = from < inputs ? inputs : nodes - inputs;
        for (int k = 0; k < nodes; k++) to[k * stride] = all[from * nodes + k];
    }
    const bool filled = glia_policy_put(model, "inputs", "kernel", turned) &&
                        (steps < 2 || glia_policy_put(model, "nodes", "kernel", turned + nodes * inputs));
    free(all);
    return filled;
}

static glia_model *make_model(const double *genome, const glia_encoding_opts *o, glia_error *error) {
    const int nodes = o->lndp.nodes, steps = o->lndp.propagation;
    glia_lndp *net = glia_lndp_create(genome, numbers(o), o->lndp, error);
    glia_model *model = net ? glia_model_create("policy", error) : NULL;
    if (model) {
        glia_lndp_develop(net, o->development);
        const glia_status status = build(model, o, nodes, steps);
        if (status != GLIA_OK || !fill(model, net, o->inputs, nodes, steps)) {
            glia_fail_nomem(error);
            glia_model_free(model);
            model = NULL;
        }
    }
    glia_lndp_free(net);
    return model;
}

const glia_policy_code glia_code_lndp = { numbers, NULL, NULL, make_model, 0, portray };
