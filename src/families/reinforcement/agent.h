/* agent.h - what the methods of this folder share: acting in the training's environment, and heads on its model. */
#ifndef GLIA_SRC_FAMILIES_REINFORCEMENT_AGENT_H
#define GLIA_SRC_FAMILIES_REINFORCEMENT_AGENT_H

#include "core/ops/ops.h"
#include "data/environments/environments.h"
#include "families/reinforcement/n_step.h"
#include "glia/reinforcement.h"
#include "train/run/training.h"

/* The environment of a training, and what acting in it counts. */
typedef struct glia_actor {
    glia_env *env;
    glia_space observation, action;
    glia_env_result now; /* of the last step */
    int64_t copies;
    int64_t numbers;    /* floats of one observation as the model takes them */
    int64_t actions;    /* choices, or numbers of an action */
    size_t bytes;       /* of one observation as the environment gives it */
    glia_agent *player; /* for evaluations */
    int return_mean, length_mean, eval_return, eval_length;
} glia_actor;

/* Numbers of one observation as a model takes them: one-hot if discrete. */
int64_t glia_observation_numbers(const glia_space *space);
/* n observations as floats (n, numbers). */
void glia_observation_floats(const glia_space *space, const void *observations, int64_t n, float *out);

/* Checks that the training has an environment with observations for the model's input and, for `box` or not, actions
 * that the method can take; resets it; declares the means "return" and "length" of episodes that end, and figures of
 * evaluations. The model's metadata get the environment. */
glia_status glia_actor_begin(glia_training *training, glia_actor *actor, bool box, glia_error *error);
void glia_actor_end(glia_actor *actor);
/* One step; counts steps and ended episodes in the training's means. */
glia_status glia_actor_step(glia_training *training, glia_actor *actor, const void *actions, glia_error *error);
/* At the end of an epoch: plays `episodes` episodes by the best known actions. */
glia_status glia_actor_measure(glia_training *training, glia_actor *actor, int64_t episodes, glia_error *error);
/* The arrays of a checkpoint that begin with "environment/", and back after a check. */
glia_status glia_actor_restore(glia_actor *actor, const glia_array *arrays, int n, bool check_only, glia_error *error);

/* What methods with a replay share; their settings fill the first part. */
typedef struct glia_replaying {
    int64_t steps, learning_starts, capacity, train_every, gradient_steps, n_step, eval_episodes;
    double gamma;
    glia_actor actor;
    glia_n_step waiting; /* transitions whose return is not complete */
    glia_replay *replay;
    uint8_t *before;     /* the observations before a step */
    int64_t counters[2]; /* steps of all copies together, updates */
} glia_replaying;

/* After glia_actor_begin(); capacity is filled in. */
glia_status glia_replaying_begin(glia_training *training, glia_replaying *r, glia_replay_opts opts, glia_error *error);
void glia_replaying_end(glia_replaying *r); /* also the actor */

typedef glia_status (*glia_replaying_fn)(glia_training *training, glia_error *error);
/* A round: train_every steps of all copies with what `choose` puts into `actions`; the transitions go to the replay.
 * Then gradient_steps times `learn`, once enough was seen. */
glia_status glia_replaying_round(glia_training *training, glia_replaying *r, const void *actions,
                                 glia_replaying_fn choose, glia_replaying_fn learn, glia_error *error);
int glia_replaying_arrays(glia_replaying *r, glia_array *out, int capacity);
glia_status glia_replaying_restore(glia_replaying *r, const glia_array *from, int n, bool check_only,
                                   glia_error *error);

/* The method hook `assess`. */
glia_status glia_actor_assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                              glia_error *error);

/* The input of a model, and its output "features". */
glia_status glia_agent_ends(const glia_graph *graph, const char *method, glia_tensor *x, glia_tensor *features,
                            glia_error *error);
/* Makes y the model's output `name`, and takes its leaves into the model's values. */
glia_status glia_agent_output(glia_training *training, const char *name, glia_tensor y, glia_error *error);
/* A copy of the model's graph for losses, and states over the model's values. */
glia_status glia_agent_graph(glia_training *training, glia_graph **graph, glia_error *error);
/* Adds the leaves of the graph to the states and compiles a program over them. */
typedef struct glia_agent_program {
    glia_program *program;
    glia_session *session;
} glia_agent_program;
glia_status glia_agent_compile(glia_training *training, glia_graph *graph, glia_compile_opts opts,
                               glia_agent_program *out, glia_error *error);
void glia_agent_program_free(glia_agent_program *program);
/* The address of an input; NULL: the program does not use it. */
void *glia_agent_input(const glia_agent_program *program, const char *name);

#endif
