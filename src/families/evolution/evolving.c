/* evolving.c - see evolving.h. */
#include "families/evolution/evolving.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

glia_status glia_evolving_begin(glia_training *t, const char *size, const char *links, glia_error *error) {
    glia_evolving *e = t->memory;
    glia_status status = glia_stage_set(&e->stage, t->opts.environment, error);
    if (status == GLIA_OK) status = glia_model_ready(t->model, t->opts.seed, error);
    if (status != GLIA_OK) return status;
    char *address = glia_env_address(t->opts.environment, error);
    if (!address) return GLIA_E_NOMEM;
    status = glia_model_set(t->model, "environment", address, error);
    free(address);
    t->epoch_steps = e->generations;
    e->last[0] = e->last[1] = NAN;
    e->loss_mean = glia_training_mean(t, "loss");
    e->best_figure = glia_training_figure(t, "best_return");
    e->mean_figure = glia_training_figure(t, "mean_return");
    e->eval_figure = glia_training_figure(t, "eval_return");
    e->size_figure = size ? glia_training_figure(t, size) : -1;
    e->first_figure = e->last_figure = -1;
    e->links_figure = links ? glia_training_figure(t, links) : -1;
    return status;
}

uint64_t glia_evolving_seed(const glia_training *t) {
    const glia_evolving *e = t->memory;
    return (t->opts.seed << 32) + (uint64_t)(t->done * e->episodes);
}

void glia_evolving_count(glia_training *t, int64_t population, double best, double mean) {
    glia_evolving *e = t->memory;
    t->samples += population;
    e->last[0] = best;
    e->last[1] = mean;
    t->progress.loss = -best;
    glia_training_add(t, e->loss_mean, -best, (double)population);
}

glia_array glia_evolving_array(glia_training *t) {
    glia_evolving *e = t->memory;
    return (glia_array){ .name = "last", .dtype = GLIA_F64, .shape = GLIA_SHAPE(2), .data = e->last };
}

glia_status glia_evolving_restore(glia_training *t, const glia_array *from, int n, bool check_only, glia_error *error) {
    glia_evolving *e = t->memory;
    for (int i = 0; i < n; i++) {
        if (strcmp(from[i].name, "last") != 0) continue;
        if (from[i].dtype != GLIA_F64 || glia_shape_count(from[i].shape) != 2) break;
        if (!check_only) memcpy(e->last, from[i].data, sizeof e->last);
        return GLIA_OK;
    }
    return glia_fail(error, GLIA_E_FORMAT, "the returns of the last generation are missing");
}

double glia_evolving_every(const double *returns, int64_t n, int64_t first, int64_t life) {
    double sum = 0, count = 0;
    for (int64_t k = first; k < n; k += life, count++) sum += returns[k];
    return sum / count;
}

uint64_t glia_evolving_eval_seed(const glia_training *t) {
    enum { EVALUATION = 1 << 30 };
    return (t->opts.seed << 32) + EVALUATION;
}

void glia_evolving_judge(glia_training *t, const double *returns) {
    const glia_evolving *e = t->memory;
    const int64_t n = e->eval_episodes, life = e->episodes;
    const double reached = glia_evolving_every(returns, n, 0, 1);
    t->figures[e->best_figure].value = e->last[0];
    t->figures[e->mean_figure].value = e->last[1];
    t->figures[e->eval_figure].value = reached;
    if (e->first_figure >= 0) t->figures[e->first_figure].value = glia_evolving_every(returns, n, 0, life);
    if (e->last_figure >= 0) t->figures[e->last_figure].value = glia_evolving_every(returns, n, life - 1, life);
    const double enough = e->enough != 0 ? e->enough : glia_env_kind_of(e->stage.env)->threshold;
    if (reached >= enough) t->stop = true;
}

glia_status glia_evolving_measure(glia_training *t, glia_crowd best, glia_error *error) {
    double *returns = malloc((size_t)best.episodes * sizeof *returns);
    if (!returns) return glia_fail_nomem(error);
    glia_status status = glia_training_validation(t, true, error);
    if (status == GLIA_OK) status = glia_crowd_play(&best, returns, NULL, error);
    if (status == GLIA_OK) status = glia_training_validation(t, false, error);
    if (status == GLIA_OK) glia_evolving_judge(t, returns);
    free(returns);
    return status;
}

static glia_status show_one(const char *name, glia_shown_kind kind, const char *text, glia_show_fn show, void *context,
                            glia_error *error) {
    const glia_shown shown = { .name = name, .kind = kind, .text = text };
    return text ? show(context, &shown, error) : GLIA_OK;
}

glia_status glia_evolving_show(char *text, char *svg, glia_show_fn show, void *context, glia_error *error) {
    glia_status status = show_one("champion", GLIA_SHOWN_TEXT, text, show, context, error);
    if (status == GLIA_OK) status = show_one("drawing", GLIA_SHOWN_DRAWING, svg, show, context, error);
    free(text);
    free(svg);
    return status;
}

/* ---- assessing ------------------------------------------------------------------------------------------- */

/* A model as a policy. */
typedef struct modelled {
    glia_function *function;
    int inputs, outputs, states;
    float *x, *state;
    bool failed;
} modelled;

static void reset_model(void *net, uint64_t seed) {
    modelled *m = net;
    (void)seed;
    if (m->states) memset(m->state, 0, (size_t)m->states * sizeof *m->state);
}

static void act_by_model(void *net, const double *x, double *y) {
    modelled *m = net;
    glia_array found[2];
    for (int i = 0; i < m->inputs; i++) m->x[i] = (float)x[i];
    const glia_array inputs[] = {
        { .name = "x", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1, m->inputs), .data = m->x },
        { .name = "state", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1, m->states), .data = m->state },
    };
    m->failed = m->failed || glia_function_call(m->function, inputs, m->states ? 2 : 1, found, NULL) != GLIA_OK;
    for (int i = 0; i < m->outputs; i++) y[i] = m->failed ? 0 : (double)((const float *)found[0].data)[i];
    if (m->states && !m->failed) memcpy(m->state, found[1].data, (size_t)m->states * sizeof *m->state);
}

static glia_status open_model(glia_model *model, glia_backend *backend, modelled *m, glia_error *error) {
    glia_tensor outputs[2] = { glia_graph_find_output(model->graph, "policy"),
                               glia_graph_find_output(model->graph, "next") };
    glia_node *x = glia_graph_find_leaf(model->graph, "x");
    if (!outputs[0] || !x || x->shape.rank != 2 || outputs[0]->shape.rank != 2)
        return glia_fail(error, GLIA_E_ARGUMENT, "the model has no input 'x' and output 'policy' of an evolved policy");
    m->inputs = (int)x->shape.dim[1];
    m->outputs = (int)outputs[0]->shape.dim[1];
    m->states = outputs[1] ? (int)outputs[1]->shape.dim[1] : 0;
    const glia_function_opts opts = { .outputs = outputs, .n_outputs = outputs[1] ? 2 : 1, .mode = GLIA_INFER };
    glia_error reason = { 0 };
    m->function = glia_function_create(model->graph, backend, model->store, opts, &reason);
    if (!m->function) return glia_fail(error, reason.status, "%s", reason.message);
    m->x = calloc((size_t)m->inputs, sizeof *m->x);
    m->state = calloc((size_t)m->states + 1, sizeof *m->state);
    return m->x && m->state ? GLIA_OK : glia_fail_nomem(error);
}

static glia_status play_model(glia_model *model, const glia_env *env, glia_backend *backend,
                              const glia_assess_opts *opts, double *reached, glia_error *error) {
    enum { EPISODES = 100, ASSESSMENT = 1 << 29 };
    modelled m = { .failed = false };
    glia_stage stage;
    glia_status status = glia_stage_set(&stage, env, error);
    if (status == GLIA_OK) status = glia_model_ready(model, 0, error);
    if (status == GLIA_OK) status = open_model(model, backend, &m, error);
    if (status == GLIA_OK && (m.inputs != stage.inputs || m.outputs != stage.outputs)) {
        status = glia_fail(error, GLIA_E_SHAPE, "the model has %d inputs and %d actions; %s has %d and %d", m.inputs,
                           m.outputs, glia_env_kind_of(env)->name, stage.inputs, stage.outputs);
    }
    const glia_policy policy = { .net = &m, .reset = reset_model, .act = act_by_model };
    const int64_t n = opts->count ? opts->count : EPISODES;
    if (status == GLIA_OK) status = glia_stage_play(&stage, &policy, opts->seed + ASSESSMENT, n, reached, error);
    if (status == GLIA_OK && m.failed) status = glia_fail(error, GLIA_E_INTERNAL, "the model did not run");
    glia_function_free(m.function);
    free(m.x);
    free(m.state);
    return status;
}

glia_status glia_evolving_environment(const glia_model *model, const glia_assess_opts *opts, const glia_env **env,
                                      glia_env **own, glia_error *error) {
    *own = NULL;
    *env = opts->environment;
    if (*env) return GLIA_OK;
    glia_error reason = { 0 };
    const char *address = glia_model_get(model, "environment");
    if (!address) return glia_fail(error, GLIA_E_NOT_FOUND, "the model does not name its environment");
    *env = *own = glia_env_create(address, (glia_env_opts){ 0 }, &reason);
    return *own ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

glia_status glia_evolving_assess(const void *memory, glia_model *model, const glia_assess_opts *opts,
                                 glia_assessment *out, glia_error *error) {
    (void)memory;
    glia_error reason = { 0 };
    const glia_env *env;
    glia_env *own;
    glia_status status = glia_evolving_environment(model, opts, &env, &own, error);
    if (status != GLIA_OK) return status;
    glia_backend *backend = opts->backend ? opts->backend : glia_backend_open("cpu", opts->threads, &reason);
    double reached = 0;
    status = backend ? play_model(model, env, backend, opts, &reached, error)
                     : glia_fail(error, reason.status, "%s", reason.message);
    if (status == GLIA_OK) glia_assessment_add(out, "return", reached);
    if (!opts->backend) glia_backend_close(backend);
    glia_env_free(own);
    return status;
}
