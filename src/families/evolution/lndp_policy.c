/* lndp_policy.c - lifelong developmental programs as policies: lives of several episodes, their film, the model. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families/evolution/film.h"
#include "families/evolution/policy.h"
#include "glia/layers.h"
#include "glia/ops.h"

typedef struct living {
    glia_lndp *net;
    int64_t development, life, episode; /* episode: how many have begun */
    double reward;
} living;

static int numbers(const glia_encoding_opts *o) { return glia_lndp_parameters(o->lndp); }

static void reset(void *net, uint64_t seed) {
    living *l = net;
    if (l->episode++ % l->life != 0) return; /* the last reward is felt in the next episode */
    l->reward = 0;
    glia_lndp_begin(l->net, seed);
    glia_lndp_develop(l->net, l->development);
}

static void act(void *net, const double *x, double *y) {
    const living *l = net;
    glia_lndp_act(l->net, l->reward, x, y);
}

static void reward(void *net, double value) { ((living *)net)->reward = value; }

static void free_living(void *net) {
    living *l = net;
    glia_lndp_free(l->net);
    free(l);
}

static glia_status decode(const double *genome, const glia_encoding_opts *o, glia_policy *policy, glia_error *error) {
    glia_error reason = { 0 };
    living *l = calloc(1, sizeof *l);
    *policy = (glia_policy){ .net = l, .reset = reset, .act = act, .reward = reward, .free = free_living };
    if (!l) return glia_fail_nomem(error);
    l->development = o->development;
    l->life = o->life;
    l->net = glia_lndp_create(genome, numbers(o), o->lndp, &reason);
    if (l->net) return GLIA_OK;
    glia_policy_free(policy);
    return glia_fail(error, reason.status, "%s", reason.message);
}

double glia_lndp_policy_density(const glia_policy *policy) {
    const living *l = policy->net;
    return (double)glia_lndp_edges(l->net) / GLIA_MAX(glia_lndp_places(l->net), 1);
}

/* ---- the film --------------------------------------------------------------------------------------------- */

static void add_frame(const glia_lndp *net, const char *when, glia_film *film, glia_text *told, glia_error *error) {
    char title[96];
    snprintf(title, sizeof title, "%s: %d edges", when, glia_lndp_edges(net));
    glia_text_printf(told, "%s\n", title);
    glia_film_add(film, glia_lndp_svg(net, title, error));
}

/* The net at moments of its development, then after each episode of its life. */
static glia_status portray(const double *genome, const glia_encoding_opts *o, const glia_stage *stage, char **text,
                           char **svg, glia_error *error) {
    enum { MOMENTS = 4, EPISODES = 4 };
    glia_error reason = { 0 };
    glia_text told = { 0 };
    glia_film film = { .n = 0 };
    glia_policy policy;
    glia_status status = decode(genome, o, &policy, error);
    if (status != GLIA_OK) return status;
    living *l = policy.net;
    char when[64];
    glia_lndp_begin(l->net, 0);
    add_frame(l->net, "at first", &film, &told, &reason);
    for (int64_t i = 1, done = 0; i < MOMENTS && o->development > 0; i++) {
        const int64_t until = i == MOMENTS - 1 ? o->development : o->development * i / (2 * MOMENTS);
        glia_lndp_develop(l->net, until - done);
        done = until;
        snprintf(when, sizeof when, "step %lld without inputs", (long long)done);
        add_frame(l->net, when, &film, &told, &reason);
    }
    l->episode = 1; /* this life goes on */
    for (int64_t k = 0; status == GLIA_OK && k < GLIA_MIN(o->life, (int64_t)EPISODES); k++) {
        double returns;
        status = glia_stage_returns(stage, &policy, (uint64_t)k, 1, &returns, error);
        snprintf(when, sizeof when, "episode %lld, return %.0f", (long long)k + 1, returns);
        if (status == GLIA_OK) add_frame(l->net, when, &film, &told, &reason);
        l->episode = 1;
    }
    glia_policy_free(&policy);
    *text = told.bytes;
    *svg = glia_film_end(&film, &reason);
    if (status == GLIA_OK && *svg && !told.failed) return GLIA_OK;
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
    glia_lndp_weights(net, all);
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

const glia_policy_code glia_code_lndp = { numbers, decode, make_model, 0, portray };
