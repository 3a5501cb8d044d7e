/* reinforcement.h - learning by acting: parts of the methods "dqn", "q-table", "sarsa", "reinforce", "a2c", "ppo" and
 * "sac", and acting with the models that they train.
 *
 *     glia_env *env = glia_env_create("cartpole", (glia_env_opts){ 0 }, &error);
 *     glia_train(model, NULL, "dqn", "double=true duelling=true", (glia_fit_opts){ .environment = env }, &error);
 *     glia_assess(model, (glia_assess_opts){ .count = 100, .seed = 1 }, &found, &error);      "return", "length", ...
 *
 * A model has an input (N, numbers of an observation; one-hot for discrete ones) and an output "features", to which the
 * method adds its heads: the output "q" (N, actions), or "policy" (N, actions) and "value" (N). docs/reinforcement.md
 * has the methods and their settings.
 */
#ifndef GLIA_REINFORCEMENT_H
#define GLIA_REINFORCEMENT_H

#include "glia/environments.h"
#include "glia/methods.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- layers and heads ------------------------------------------------------------------------------ */

/* (N, F) -> (N, units), a dense layer with noise on its weights (Fortunato et al. 2018, "Noisy networks for
 * exploration", section 3.1, factorised): kernel + kernel_noise (f(e) f(d)^T), f(x) = sign(x) sqrt|x|, e and d normal,
 * drawn once for each run. Parameters NAME/kernel, bias U(+-1/sqrt(F)), NAME/kernel_noise, bias_noise: sigma/sqrt(F).
 * silent: without noise, the mean layer of the same name. sigma 0: 0.5. */
GLIA_API glia_tensor glia_noisy_dense(glia_tensor x, const char *name, int units, double sigma, bool silent);

/* How the value of an action is represented. */
typedef enum glia_q_distribution {
    GLIA_Q_MEAN,        /* one number */
    GLIA_Q_CATEGORICAL, /* logits of `atoms` returns, evenly from low to high (Bellemare et al. 2017, "C51") */
    GLIA_Q_QUANTILES    /* `atoms` quantiles, of (i + 1/2) / atoms (Dabney et al. 2018, "QR-DQN") */
} glia_q_distribution;
typedef struct glia_q_head_opts {
    int actions;
    bool duelling; /* value + advantage - mean advantage (Wang et al. 2016, equation 9) */
    bool noisy;    /* by glia_noisy_dense() */
    bool silent;   /* noisy: without noise */
    glia_q_distribution distribution;
    int atoms;        /* 0: 51; of GLIA_Q_MEAN always 1 */
    double low, high; /* of the categorical returns */
} glia_q_head_opts;
/* features (N, F) -> (N, actions, atoms), with layers NAME/advantage and NAME/value, or NAME/advantage only. */
GLIA_API glia_tensor glia_q_head(glia_tensor features, const char *name, glia_q_head_opts opts);
/* Expected returns (N, actions) of what a head gives. */
GLIA_API glia_tensor glia_q_values(glia_tensor head, glia_q_head_opts opts);

/* ---- losses ---------------------------------------------------------------------------------------- */

/* The distribution r + g Z, for Z with `probabilities` (N, atoms) on the atoms from low to high, projected onto these
 * atoms (Bellemare et al. 2017, algorithm 1): (N, atoms). returns, discounts: (N). */
GLIA_API glia_tensor glia_categorical_projection(glia_tensor probabilities, glia_tensor returns, glia_tensor discounts,
                                                 double low, double high);
/* For each sample the quantile Huber loss with kappa 1 (Dabney et al. 2018, equation 10) of quantiles (N, K) against
 * samples of the target (N, M): (N). Mean over targets, sum over quantiles. */
GLIA_API glia_tensor glia_quantile_huber(glia_tensor quantiles, glia_tensor targets);

/* ---- policies -------------------------------------------------------------------------------------- */

/* Of discrete actions: glia_categorical_log_prob(), glia_categorical_entropy() (losses.h). */

/* Log density of independent normals with these means (N, A) and logarithms of deviations (A) or (N, A): (N). */
GLIA_API glia_tensor glia_gaussian_log_prob(glia_tensor mean, glia_tensor log_std, glia_tensor actions);
GLIA_API glia_tensor glia_gaussian_entropy(glia_tensor mean, glia_tensor log_std); /* (N) */
/* For each sample the clipped surrogate loss (Schulman et al. 2017, equation 7), negated for minimising: (N). clip 0:
 * the plain policy gradient, -log_prob advantage. */
GLIA_API glia_tensor glia_policy_loss(glia_tensor log_prob, glia_tensor old_log_prob, glia_tensor advantages,
                                      double clip);

/* ---- advantages ------------------------------------------------------------------------------------ */

/* One rollout of `steps` steps in `copies` copies of an environment; arrays are (steps, copies), values (steps + 1,
 * copies): V of the observation before each step, and after the last. With next-step autoreset the observation after
 * an episode's end is the one before the next step, so a truncated episode finds the value of its last state there. */
typedef struct glia_rollout {
    int64_t steps, copies;
    const float *rewards, *values;
    const bool *terminated, *truncated;
    const bool *started; /* the step only began an episode */
} glia_rollout;
/* Generalised advantage estimation (Schulman et al. 2016, equation 16):
 *
 *     delta_t = r_t + gamma V_(t+1) (0 if terminated) - V_t,    A_t = delta_t + gamma lambda A_(t+1) (0 if it ended)
 *
 * advantages, returns = advantages + values: (steps, copies). lambda 1 gives returns of the whole rollout, 0 one-step
 * errors. Steps that only began an episode get 0 and their value. */
GLIA_API glia_status glia_gae(const glia_rollout *rollout, double gamma, double lambda, float *advantages,
                              float *returns, glia_error *error);

/* ---- acting with a trained model -------------------------------------------------------------------- */

typedef struct glia_agent_opts {
    glia_backend *backend; /* NULL: "cpu" with `threads` */
    int threads;           /* 0: all cores */
} glia_agent_opts;
/* Acts by the best known action: the largest of "q" or "policy", or "policy" itself within the bounds of a box. One
 * thread at a time. */
typedef struct glia_agent glia_agent;
/* The model must have been trained in an environment with the same spaces; model and environment must outlive it. */
GLIA_API glia_agent *glia_agent_create(glia_model *model, const glia_env *env, glia_agent_opts opts, glia_error *error);
GLIA_API void glia_agent_free(glia_agent *agent);
/* observations: n of them as glia_env_result has them -> n actions as glia_env_step() takes them. */
GLIA_API glia_status glia_agent_act(glia_agent *agent, const void *observations, int64_t n, void *actions,
                                    glia_error *error);
/* Plays `episodes` episodes from the given seed, each in a copy of its own, by these actions, and writes return and
 * length of each (either may be NULL). The environment itself does not change. */
GLIA_API glia_status glia_agent_play(glia_agent *agent, const glia_env *env, int64_t episodes, uint64_t seed,
                                     double *returns, int64_t *lengths, glia_error *error);
/* The environment that the model was trained in, from its metadata; NULL: see error. */
GLIA_API glia_env *glia_env_of_model(const glia_model *model, int64_t copies, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
