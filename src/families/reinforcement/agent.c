/* agent.c - acting: observations as numbers, steps of a training, episodes by the best known actions.
 *
 *     environment ──observations──► floats ──model──► "q" or "policy" ──► the best action ──► environment
 */
#include "families/reinforcement/agent.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/model/model.h"

/* ---- observations ---------------------------------------------------------------------------------- */

int64_t glia_observation_numbers(const glia_space *s) {
    return s->kind == GLIA_SPACE_DISCRETE ? s->n : glia_shape_count(s->shape);
}

void glia_observation_floats(const glia_space *s, const void *observations, int64_t n, float *out) {
    const int64_t numbers = glia_observation_numbers(s);
    if (s->kind == GLIA_SPACE_DISCRETE) {
        const int32_t *index = observations;
        memset(out, 0, (size_t)(n * numbers) * sizeof *out);
        for (int64_t i = 0; i < n; i++) {
            if (index[i] >= 0 && index[i] < numbers) out[i * numbers + index[i]] = 1; /* replays come from files too */
        }
    } else if (s->dtype == GLIA_BOOL) {
        const bool *pixels = observations;
        for (int64_t i = 0; i < n * numbers; i++) out[i] = pixels[i];
    } else {
        memcpy(out, observations, (size_t)(n * numbers) * sizeof *out);
    }
}

/* ---- the model -------------------------------------------------------------------------------------- */

glia_status glia_agent_ends(const glia_graph *g, const char *method, glia_tensor *x, glia_tensor *features,
                            glia_error *error) {
    *features = glia_graph_find_output(g, "features");
    *x = NULL;
    for (int i = 0; i < g->n_nodes && !*x; i++) {
        if (glia_is_input(g->nodes[i])) *x = g->nodes[i];
    }
    if (*x && *features && (*x)->dtype == GLIA_F32 && (*features)->shape.rank == 2) return GLIA_OK;
    return glia_fail(error, GLIA_E_ARGUMENT,
                     "the method %s needs a model with an f32 input and an output 'features' (N, F)", method);
}

glia_status glia_agent_output(glia_training *t, const char *name, glia_tensor y, glia_error *error) {
    glia_graph *g = t->model->graph;
    const glia_node *there = glia_graph_find_output(g, name);
    glia_status status = glia_graph_check(g, error);
    if (status != GLIA_OK) return status;
    if (there && !glia_shape_equal(there->shape, y->shape)) {
        return glia_fail(error, GLIA_E_SHAPE, "the model has an output '%s' of another shape already", name);
    }
    if (!there) glia_model_output(t->model, name, y);
    status = glia_graph_check(g, error);
    return status == GLIA_OK ? glia_store_add(t->model->store, g, t->opts.seed, error) : status;
}

glia_status glia_agent_graph(glia_training *t, glia_graph **graph, glia_error *error) {
    const glia_status status = glia_training_copy_graph(t, graph, error);
    if (status != GLIA_OK) return status;
    t->states = glia_store_create_over(t->model->store, error);
    return t->states ? GLIA_OK : GLIA_E_NOMEM;
}

glia_status glia_agent_compile(glia_training *t, glia_graph *graph, glia_compile_opts opts, glia_agent_program *out,
                               glia_error *error) {
    glia_error reason = { 0 };
    glia_status status = glia_graph_check(graph, error);
    if (status == GLIA_OK) status = glia_store_add(t->states, graph, t->opts.seed, error);
    if (status != GLIA_OK) return status;
    out->program = glia_compile(graph, t->backend, opts, &reason);
    out->session = out->program ? glia_session_create(out->program, t->states, &reason) : NULL;
    if (!out->session) return glia_fail(error, reason.status, "%s", reason.message);
    const glia_program_info info = glia_program_inspect(out->program);
    t->activation_bytes = GLIA_MAX(t->activation_bytes, info.activation_bytes);
    t->parameter_bytes = GLIA_MAX(t->parameter_bytes, info.parameter_bytes);
    return GLIA_OK;
}

void glia_agent_program_free(glia_agent_program *p) {
    glia_session_free(p->session);
    glia_program_free(p->program);
}

void *glia_agent_input(const glia_agent_program *p, const char *name) {
    return glia_session_input(p->session, name, NULL, NULL);
}

/* ---- acting with a trained model ---------------------------------------------------------------------- */

struct glia_agent {
    glia_function *function;
    glia_backend *own; /* NULL: the caller's */
    glia_space observation, action;
    const char *input; /* name, of the graph */
    glia_shape one;    /* of the input without its batch */
    float *x;
    int64_t room; /* observations for which x has memory */
};

void glia_agent_free(glia_agent *a) {
    if (!a) return;
    glia_function_free(a->function);
    glia_backend_close(a->own);
    free(a->x);
    free(a);
}

/* Takes what the model has for the environment's actions. */
static glia_status choose_output(const glia_graph *g, const glia_agent *a, glia_tensor *y, glia_error *error) {
    *y = glia_graph_find_output(g, "q");
    if (!*y) *y = glia_graph_find_output(g, "policy");
    if (!*y) return glia_fail(error, GLIA_E_ARGUMENT, "the model has no output 'q' or 'policy': it was not trained");
    const bool discrete = a->action.kind == GLIA_SPACE_DISCRETE;
    const int64_t wanted = discrete ? a->action.n : glia_shape_count(a->action.shape);
    if ((*y)->shape.rank == 2 && (*y)->shape.dim[1] == wanted) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the model was trained for another number of actions than %lld",
                     (long long)wanted);
}

static glia_status fill_agent(glia_agent *a, glia_model *model, const glia_agent_opts *opts, glia_error *error) {
    glia_tensor x, features, y;
    glia_error reason = { 0 };
    glia_status status = glia_model_ready(model, 0, error);
    if (status == GLIA_OK) status = glia_agent_ends(model->graph, "of an agent", &x, &features, error);
    if (status == GLIA_OK) status = choose_output(model->graph, a, &y, error);
    if (status != GLIA_OK) return status;
    a->input = glia_leaf_of(x)->name;
    a->one = (glia_shape){ .rank = x->shape.rank - 1 };
    for (int i = 0; i < a->one.rank; i++) a->one.dim[i] = x->shape.dim[i + 1];
    if (glia_shape_count(a->one) != glia_observation_numbers(&a->observation)) {
        return glia_fail(error, GLIA_E_SHAPE,
                         "the model takes observations of %lld numbers, and the environment has %lld",
                         (long long)glia_shape_count(a->one), (long long)glia_observation_numbers(&a->observation));
    }
    if (!opts->backend) a->own = glia_backend_open("cpu", opts->threads, &reason);
    glia_backend *backend = opts->backend ? opts->backend : a->own;
    const glia_function_opts how = { .outputs = &y, .n_outputs = 1, .mode = GLIA_INFER };
    a->function = backend ? glia_function_create(model->graph, backend, model->store, how, &reason) : NULL;
    return a->function ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

glia_agent *glia_agent_create(glia_model *model, const glia_env *env, glia_agent_opts opts, glia_error *error) {
    if (!model || !env) return glia_fail_null(error, model ? "env" : "model"), NULL;
    glia_agent *a = calloc(1, sizeof *a);
    if (!a) return glia_fail_nomem(error), NULL;
    a->observation = glia_env_observation_space(env);
    a->action = glia_env_action_space(env);
    if (fill_agent(a, model, &opts, error) == GLIA_OK) return a;
    glia_agent_free(a);
    return NULL;
}

static void choose_actions(const glia_agent *a, const float *y, int64_t n, void *actions) {
    if (a->action.kind == GLIA_SPACE_DISCRETE) {
        for (int64_t i = 0; i < n; i++, y += a->action.n) {
            int32_t best = 0;
            for (int32_t k = 1; k < a->action.n; k++) best = y[k] > y[best] ? k : best;
            ((int32_t *)actions)[i] = best;
        }
        return;
    }
    const int64_t each = glia_shape_count(a->action.shape);
    float *out = actions;
    for (int64_t i = 0; i < n * each; i++) {
        out[i] = y[i];
        if (a->action.low) out[i] = fmaxf(out[i], a->action.low[i % each]);
        if (a->action.high) out[i] = fminf(out[i], a->action.high[i % each]);
    }
}

glia_status glia_agent_act(glia_agent *a, const void *observations, int64_t n, void *actions, glia_error *error) {
    if (!a) return glia_fail_null(error, "agent");
    if (!observations || !actions) return glia_fail_null(error, observations ? "actions" : "observations");
    if (n < 1) return glia_fail(error, GLIA_E_ARGUMENT, "glia_agent_act: n is %lld", (long long)n);
    const int64_t numbers = glia_observation_numbers(&a->observation);
    if (n > a->room) {
        float *x = realloc(a->x, (size_t)(n * numbers) * sizeof *x);
        if (!x) return glia_fail_nomem(error);
        a->x = x;
        a->room = n;
    }
    glia_observation_floats(&a->observation, observations, n, a->x);
    glia_shape shape = { .rank = a->one.rank + 1, .dim = { n } };
    for (int i = 0; i < a->one.rank; i++) shape.dim[i + 1] = a->one.dim[i];
    const glia_array input = { .name = a->input, .dtype = GLIA_F32, .shape = shape, .data = a->x };
    glia_array y;
    glia_status status = glia_function_call(a->function, &input, 1, &y, error);
    if (status == GLIA_OK) choose_actions(a, y.data, n, actions);
    return status;
}

/* Plays one episode in each copy; the first one of each counts. */
static glia_status play_copies(glia_agent *a, glia_env *env, int64_t wanted, uint64_t seed, double *returns,
                               int64_t *lengths, void *actions, bool *over, glia_error *error) {
    const int64_t n = glia_env_copies(env);
    glia_env_result now;
    int64_t left = wanted;
    memset(over, 0, (size_t)n);
    glia_status status = glia_env_reset(env, seed, &now, error);
    while (status == GLIA_OK && left > 0) {
        status = glia_agent_act(a, now.observations, n, actions, error);
        if (status == GLIA_OK) status = glia_env_step(env, actions, &now, error);
        for (int64_t i = 0; status == GLIA_OK && i < wanted; i++) {
            if (over[i] || !(now.terminated[i] || now.truncated[i])) continue;
            over[i] = true;
            left--;
            if (returns) returns[i] = now.returns[i];
            if (lengths) lengths[i] = now.lengths[i];
        }
    }
    return status;
}

glia_status glia_agent_play(glia_agent *a, const glia_env *env, int64_t episodes, uint64_t seed, double *returns,
                            int64_t *lengths, glia_error *error) {
    enum { AT_ONCE = 128 };
    if (!a || !env) return glia_fail_null(error, a ? "env" : "agent");
    if (episodes < 1) return glia_fail(error, GLIA_E_ARGUMENT, "%lld episodes cannot be played", (long long)episodes);
    if (!glia_env_limit(env)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "%s has no limit of steps, so an episode may never end; give it one: \"%s?limit=1000\"",
                         glia_env_kind_of(env)->name, glia_env_kind_of(env)->name);
    }
    const int64_t n = GLIA_MIN(episodes, (int64_t)AT_ONCE);
    glia_error reason = { 0 };
    glia_env *own = glia_env_like(env, n, &reason);
    const glia_space action = glia_env_action_space(env);
    void *actions = calloc((size_t)n, glia_space_bytes(&action));
    bool *over = calloc((size_t)n, 1);
    glia_status status = own ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
    if (own && (!actions || !over)) status = glia_fail_nomem(error);
    for (int64_t at = 0; status == GLIA_OK && at < episodes; at += n) {
        status = play_copies(a, own, GLIA_MIN(n, episodes - at), seed + (uint64_t)(at / n),
                             returns ? returns + at : NULL, lengths ? lengths + at : NULL, actions, over, error);
    }
    free(over);
    free(actions);
    glia_env_free(own);
    return status;
}

/* ---- the environment of a training ---------------------------------------------------------------------- */

glia_env *glia_env_of_model(const glia_model *model, int64_t copies, glia_error *error) {
    if (!model) return glia_fail_null(error, "model"), NULL;
    const char *address = glia_model_get(model, "environment");
    if (address) {
        glia_env *env = glia_env_create(address, (glia_env_opts){ .copies = copies }, error);
        const char *statistics = env ? glia_model_get(model, "environment.statistics") : NULL;
        if (!statistics || glia_env_take_statistics(env, statistics, error) == GLIA_OK) return env;
        glia_env_free(env);
        return NULL;
    }
    glia_fail(error, GLIA_E_NOT_FOUND, "the model does not name the environment that it was trained in");
    return NULL;
}

static glia_status check_spaces(const glia_training *t, glia_actor *a, bool box, glia_error *error) {
    const char *method = t->method->about.name, *name = glia_env_kind_of(a->env)->name;
    const bool discrete = a->action.kind == GLIA_SPACE_DISCRETE;
    if (discrete && box && strcmp(method, "sac") == 0) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the method %s needs actions that are numbers; %s has choices", method,
                         name);
    }
    if (!discrete && !box) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the method %s needs actions that are choices; %s has numbers", method,
                         name);
    }
    glia_tensor x, features;
    glia_status status = glia_agent_ends(t->model->graph, method, &x, &features, error);
    if (status != GLIA_OK) return status;
    int64_t taken = 1;
    for (int i = 1; i < x->shape.rank; i++) taken *= x->shape.dim[i];
    if (taken == a->numbers) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the model takes observations of %lld numbers, and %s has %lld",
                     (long long)taken, name, (long long)a->numbers);
}

glia_status glia_actor_begin(glia_training *t, glia_actor *a, bool box, glia_error *error) {
    a->env = t->opts.environment;
    a->observation = glia_env_observation_space(a->env);
    a->action = glia_env_action_space(a->env);
    a->copies = glia_env_copies(a->env);
    a->numbers = glia_observation_numbers(&a->observation);
    a->actions = a->action.kind == GLIA_SPACE_DISCRETE ? a->action.n : glia_shape_count(a->action.shape);
    a->bytes = glia_space_bytes(&a->observation);
    glia_status status = glia_model_ready(t->model, t->opts.seed, error);
    if (status == GLIA_OK) status = check_spaces(t, a, box, error);
    if (status == GLIA_OK) status = glia_env_reset(a->env, t->opts.seed, &a->now, error);
    if (status != GLIA_OK) return status;
    char *address = glia_env_address(a->env, error);
    status = address ? glia_model_set(t->model, "environment", address, error) : GLIA_E_NOMEM;
    free(address);
    a->return_mean = glia_training_mean(t, "return");
    a->length_mean = glia_training_mean(t, "length");
    a->eval_return = glia_training_figure(t, "eval_return");
    return status;
}

void glia_actor_end(glia_actor *a) { glia_agent_free(a->player); }

glia_status glia_actor_step(glia_training *t, glia_actor *a, const void *actions, glia_error *error) {
    glia_status status = glia_env_step(a->env, actions, &a->now, error);
    if (status != GLIA_OK) return status;
    for (int64_t i = 0; i < a->copies; i++) {
        if (!a->now.started[i]) t->samples++;
        if (!a->now.terminated[i] && !a->now.truncated[i]) continue;
        glia_training_add(t, a->return_mean, a->now.returns[i], 1);
        glia_training_add(t, a->length_mean, (double)a->now.lengths[i], 1);
    }
    return GLIA_OK;
}

glia_status glia_actor_restore(glia_actor *a, const glia_array *arrays, int n, bool check_only, glia_error *error) {
    if (check_only) return glia_env_check(a->env, arrays, n, error);
    glia_status status = glia_env_restore(a->env, arrays, n, error);
    return status == GLIA_OK ? glia_env_last(a->env, &a->now, error) : status;
}

enum { EVAL_SEED = 0x6576616C }; /* added to a training's seed: other episodes than it learned from */

static double mean_of(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* Running statistics of observations belong to the model as its weights do. */
static glia_status keep_statistics(const glia_training *t, const glia_actor *a, glia_error *error) {
    char *text = glia_env_statistics_text(a->env);
    const glia_status status = text ? glia_model_set(t->model, "environment.statistics", text, error) : GLIA_OK;
    free(text);
    return status;
}

glia_status glia_actor_measure(glia_training *t, glia_actor *a, int64_t episodes, glia_error *error) {
    glia_status status = glia_training_validation(t, true, error);
    if (status == GLIA_OK) status = keep_statistics(t, a, error);
    if (status == GLIA_OK && episodes > 0) {
        double *returns = calloc((size_t)episodes, sizeof *returns);
        status = returns ? GLIA_OK : glia_fail_nomem(error);
        if (status == GLIA_OK && !a->player) {
            glia_error reason = { 0 };
            a->player = glia_agent_create(t->model, a->env, (glia_agent_opts){ .backend = t->backend }, &reason);
            if (!a->player) status = glia_fail(error, reason.status, "%s", reason.message);
        }
        const uint64_t seed = t->opts.seed + EVAL_SEED;
        if (status == GLIA_OK) status = glia_agent_play(a->player, a->env, episodes, seed, returns, NULL, error);
        if (status == GLIA_OK) t->figures[a->eval_return].value = mean_of(returns, episodes);
        free(returns);
    }
    glia_status after = glia_training_validation(t, false, status == GLIA_OK ? error : NULL);
    return status == GLIA_OK ? after : status;
}

static void tell(glia_assessment *out, const double *returns, const int64_t *lengths, int64_t n) {
    const double mean = mean_of(returns, n);
    double squares = 0, least = returns[0], most = returns[0], length = 0;
    for (int64_t i = 0; i < n; i++) {
        squares += (returns[i] - mean) * (returns[i] - mean);
        least = fmin(least, returns[i]);
        most = fmax(most, returns[i]);
        length += (double)lengths[i] / (double)n;
    }
    const double deviation = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    glia_assessment_add(out, "return", mean);
    glia_assessment_add(out, "return_deviation", deviation);
    glia_assessment_add(out, "return_interval", 1.96 * deviation / sqrt((double)n));
    glia_assessment_add(out, "return_least", least);
    glia_assessment_add(out, "return_most", most);
    glia_assessment_add(out, "length", length);
    glia_assessment_add(out, "episodes", (double)n);
}

glia_status glia_actor_assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                              glia_error *error) {
    enum { EPISODES = 100 };
    (void)memory;
    const int64_t n = opts->count ? opts->count : EPISODES;
    glia_error reason = { 0 };
    glia_env *own = opts->environment ? NULL : glia_env_of_model(model, 1, &reason);
    const glia_env *env = opts->environment ? opts->environment : own;
    const glia_agent_opts how = { opts->backend, opts->threads };
    glia_agent *agent = env ? glia_agent_create(model, env, how, &reason) : NULL;
    double *returns = calloc((size_t)n, sizeof *returns);
    int64_t *lengths = calloc((size_t)n, sizeof *lengths);
    glia_status status = agent ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
    if (status == GLIA_OK && (!returns || !lengths)) status = glia_fail_nomem(error);
    if (status == GLIA_OK) status = glia_agent_play(agent, env, n, opts->seed + EVAL_SEED, returns, lengths, error);
    if (status == GLIA_OK) tell(out, returns, lengths, n);
    if (status == GLIA_OK)
        snprintf(out->note, sizeof out->note, "%s, the best known action in every step; return_interval: 95 %%",
                 glia_env_kind_of(env)->name);
    free(lengths);
    free(returns);
    glia_agent_free(agent);
    glia_env_free(own);
    return status;
}
