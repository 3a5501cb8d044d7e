/* environments.h - worlds in which an agent acts: CartPole, Taxi, pixel games and the user's own.
 *
 *     glia_env *env = glia_env_create("cartpole", (glia_env_opts){ .copies = 8 }, &error);
 *     glia_env_result now;
 *     glia_env_reset(env, 1, &now, &error);
 *     int32_t actions[8] = { 0 };
 *     glia_env_step(env, actions, &now, &error); now.observations is (8, 4) of f32
 *
 * Equations, limits, rewards and names are those of Gymnasium (Towers et al. 2024, "Gymnasium: a standard interface for
 * reinforcement learning environments"). A step has its five answers: observation, reward, terminated (the episode
 * ended in the environment itself: no value follows), truncated (a time limit cut it: the state still has a value), and
 * info.
 *
 * An environment is n copies at once, as arrays; one copy is the usual single environment. Autoreset is Gymnasium's
 * next-step mode: after a step with terminated or truncated, the next step of that copy ignores its action and gives
 * the first observation of a new episode, with reward 0 and `started`. glia_env_reset() begins new episodes in all
 * copies.
 *
 * Random numbers: copy i draws from stream i of the seed of the last reset. Everything is a function of that seed and
 * the actions. A handle: one thread at a time; different handles need no locking.
 */
#ifndef GLIA_ENVIRONMENTS_H
#define GLIA_ENVIRONMENTS_H

#include "glia/settings.h"
#include "glia/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- spaces --------------------------------------------------------------------------------------- */

typedef enum glia_space_kind {
    GLIA_SPACE_DISCRETE, /* an int32_t in [0, n) */
    GLIA_SPACE_BOX       /* an array of numbers within bounds: f32, or bool for planes of pixels */
} glia_space_kind;
typedef struct glia_space {
    glia_space_kind kind;
    int64_t n;               /* discrete: number of values */
    glia_dtype dtype;        /* i32 if discrete */
    glia_shape shape;        /* of one copy; fixed; a scalar if discrete */
    const float *low, *high; /* (shape) bounds of a box, may be infinite; NULL: none */
} glia_space;
GLIA_API size_t glia_space_bytes(const glia_space *space); /* of one copy */

/* ---- the record of an environment ----------------------------------------------------------------- */

/* Random numbers of one copy. */
typedef struct glia_env_random glia_env_random;
GLIA_API double glia_env_uniform(glia_env_random *random, double low, double high); /* [low, high), 53 bits */
GLIA_API int64_t glia_env_below(glia_env_random *random, int64_t n);                /* 0 ... n - 1; 0 for n < 1 */

/* One copy, as the functions of a record see it. */
typedef struct glia_env_at {
    const void *settings;    /* the record's memory with the values of its settings */
    double *state;           /* (state) the whole state of the copy; zeros before the first reset */
    glia_env_random *random; /* for reset and step */
    int64_t copy;            /* its index */
} glia_env_at;
typedef struct glia_env_outcome {
    double reward;
    bool terminated;
    double *info;   /* (n_info) */
    bool truncated; /* cut by a limit of the environment's own; others are the handle's */
} glia_env_outcome;

/* Named numbers beside each observation. */
typedef struct glia_env_info {
    const char *name; /* "prob" */
    int n;            /* numbers of one copy */
} glia_env_info;

/* Shapes of which a picture consists, in a square with x to the right and y up, both in [0, 1]. */
typedef enum glia_mark_kind {
    GLIA_MARK_LINE, /* from a to b, `size` wide */
    GLIA_MARK_DISC, /* around a with radius `size` */
    GLIA_MARK_BOX   /* with the opposite corners a and b */
} glia_mark_kind;
typedef struct glia_mark {
    glia_mark_kind kind;
    float ax, ay, bx, by, size;
    uint32_t colour; /* 0xRRGGBB */
} glia_mark;

/* Some copies that move side by side, number by number: number i of copy j lies at [i GLIA_ENV_LANES + j]. */
enum { GLIA_ENV_LANES = 16 };
typedef struct glia_env_lanes {
    const void *settings;
    double *state;       /* (state, GLIA_ENV_LANES) */
    const void *actions; /* int32_t (GLIA_ENV_LANES) of a discrete space, else floats (shape, GLIA_ENV_LANES) */
    float *observations; /* (observation, GLIA_ENV_LANES) */
    double *rewards;     /* (GLIA_ENV_LANES) */
    int64_t *terminated; /* (GLIA_ENV_LANES) 1: the episode ended in this step; 0 */
} glia_env_lanes;
/* A step of all of them. Some may rest: what becomes of their numbers does not matter, nor may it to the others. */
typedef void (*glia_env_lanes_fn)(const glia_env_lanes *lanes);

/* An environment is one page and one record. Its state is an array of doubles, whole numbers and switches included, so
 * that copies, checkpoints and searches need no functions of their own. Functions return GLIA_OK, or an error with a
 * message in `error`. */
typedef struct glia_env_kind {
    const char *name, *alias, *summary; /* "CartPole-v1", "cartpole" (may be NULL), a line for people */
    const char *paper;                  /* NULL: none */
    glia_space observation, action;
    /* For spaces that depend on settings: changes them. NULL: they do not. */
    void (*spaces)(const void *settings, glia_space *observation, glia_space *action);
    int64_t limit;    /* steps until an episode is truncated; 0: none */
    double threshold; /* mean return from which it counts as solved; NaN: none is agreed on */
    const glia_setting *settings;
    int n_settings;
    size_t bytes; /* of the memory that the settings' offsets point into */
    int state;    /* numbers of the state of one copy */
    const glia_env_info *infos;
    int n_infos;
    glia_status (*reset)(const glia_env_at *at, glia_env_outcome *out, glia_error *error);
    /* action: int32_t of a discrete space, else (shape) floats, finite, not yet clipped to the bounds. */
    glia_status (*step)(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error);
    void (*observe)(const glia_env_at *at, void *observation);
    /* The same step and observation, bit for bit, of copies side by side, for the CPU at hand: for programs that play
     * many episodes. Such a step draws no random numbers and cannot fail, observations are floats, there is no info.
     * NULL: one copy after the other. */
    glia_env_lanes_fn (*side_by_side)(void);
    /* May the copy be in this state, whose numbers are finite? For states from files and callers. NULL: yes. */
    bool (*valid)(const glia_env_at *at);
    /* Writes at most `capacity` marks of a picture, from back to front; returns their number. NULL: cannot. */
    int (*draw)(const glia_env_at *at, glia_mark *marks, int capacity);
    /* Resources outside the state, such as processes. They are kept in the memory behind `settings`. NULL: none. A
     * record with them cannot be cloned or saved. */
    glia_status (*open)(void *settings, int64_t copies, glia_error *error);
    void (*close)(void *settings);
} glia_env_kind;

/* All environments, in the order of their names; NULL: none at this index, or of this name or alias. */
GLIA_API const glia_env_kind *glia_env_at_index(int index);
GLIA_API const glia_env_kind *glia_env_find(const char *name);

/* ---- creating ------------------------------------------------------------------------------------- */

typedef struct glia_env glia_env;

/* Changes of observations and rewards, in this order, after Gymnasium's wrappers of these names. Returns and lengths
 * of episodes are those before. Means and variances run over all steps so far; they are part of saved states, and
 * glia_env_like() takes them as they are and keeps them so: for evaluations. */
typedef struct glia_env_wrappers {
    bool normalize_observations; /* (x - mean) / sqrt(variance + 1e-8), number by number */
    bool normalize_rewards;      /* divided by the deviation of discounted returns */
    double gamma;                /* their discount; 0: 0.99 */
    double clip_observations;    /* to [-c, c]; 0: no limits */
    double clip_rewards;         /* to [-c, c]; 0: no limits */
    int64_t frames;              /* the last frames along a new first axis, or along the planes of pictures (C, H, W),
                                    the oldest first; an episode begins with copies of its first; 0: 1 */
} glia_env_wrappers;

typedef struct glia_env_opts {
    const char *settings; /* "slippery=false map=8x8", of the record; NULL: defaults */
    int64_t copies;       /* 0: 1 */
    int64_t limit;        /* time limit in steps; 0: the environment's own; GLIA_NONE: none */
    glia_env_wrappers wrappers;
} glia_env_opts;

/* name: of a record, or an address "NAME?limit=200,frames=4,SETTING=VALUE" with settings, the limit and wrappers; where
 * the options say something else, they count.
 * GLIA_E_NOT_FOUND for an unknown name, with the nearest one; GLIA_E_ARGUMENT for wrong settings. */
GLIA_API glia_env *glia_env_create(const char *name, glia_env_opts opts, glia_error *error);
/* An environment of one's own. The record must outlive the handle. */
GLIA_API glia_env *glia_env_create_kind(const glia_env_kind *kind, glia_env_opts opts, glia_error *error);
/* A copy with the same state, whose later steps are the same. */
GLIA_API glia_env *glia_env_clone(const glia_env *env, glia_error *error);
/* The same record, settings and wrappers with another number of copies, before the first reset. */
GLIA_API glia_env *glia_env_like(const glia_env *env, int64_t copies, glia_error *error);
GLIA_API void glia_env_free(glia_env *env);

/* The address, from which glia_env_create() makes an environment like this one. NULL: see error. Release with
 * free(). */
GLIA_API char *glia_env_address(const glia_env *env, glia_error *error);
GLIA_API const glia_env_kind *glia_env_kind_of(const glia_env *env);
GLIA_API glia_space glia_env_observation_space(const glia_env *env); /* of one copy */
GLIA_API glia_space glia_env_action_space(const glia_env *env);
GLIA_API int64_t glia_env_copies(const glia_env *env);
GLIA_API int64_t glia_env_limit(const glia_env *env); /* 0: none */

/* ---- acting --------------------------------------------------------------------------------------- */

/* Valid until the next call with this environment. */
typedef struct glia_env_result {
    int64_t n;                /* copies */
    const void *observations; /* (n, observation) */
    const double *rewards;    /* (n) */
    const bool *terminated;   /* (n) */
    const bool *truncated;    /* (n) */
    const bool *started;      /* (n) this step, or this reset, began an episode: its action was ignored */
    const double *returns;    /* (n) sum of rewards of the episode so far, the ended one if it ended */
    const int64_t *lengths;   /* (n) steps of the same */
    const glia_array *info;   /* (n) or (n, numbers) f64, of the record */
    int n_info;
} glia_env_result;

/* Begins new episodes in all copies. */
GLIA_API glia_status glia_env_reset(glia_env *env, uint64_t seed, glia_env_result *result, glia_error *error);
/* actions: (n) int32_t of a discrete space, (n, shape) floats of a box. GLIA_E_ARGUMENT, with the copy, for an action
 * outside a discrete space or one that is not finite (nothing has changed), for a step before the first reset, and
 * for an observation or a reward that is not finite. */
GLIA_API glia_status glia_env_step(glia_env *env, const void *actions, glia_env_result *result, glia_error *error);
/* The result of the last step or reset once more. */
GLIA_API glia_status glia_env_last(const glia_env *env, glia_env_result *result, glia_error *error);

/* ---- states --------------------------------------------------------------------------------------- */

/* Puts one copy into this state of `n` numbers at the beginning of an episode. The numbers are the record's (see the
 * head of its page in src/data/environments); n must be its `state`. GLIA_E_ARGUMENT for a state that cannot be. */
GLIA_API glia_status glia_env_put(glia_env *env, int64_t copy, const double *state, int n, glia_error *error);
/* The numbers of one copy's state, valid until the next call; NULL: no such copy. */
GLIA_API const double *glia_env_state(const glia_env *env, int64_t copy);

/* Everything as arrays, for checkpoints: fills at most `capacity`, returns how many there are. Valid until the next
 * call. */
GLIA_API int glia_env_save(const glia_env *env, glia_array *out, int capacity);
/* Takes such arrays of an environment of the same record, settings and copies; later steps are the same, bit for bit.
 * After an error nothing has changed. */
GLIA_API glia_status glia_env_restore(glia_env *env, const glia_array *arrays, int n, glia_error *error);
/* Whether glia_env_restore() would take these arrays. */
GLIA_API glia_status glia_env_check(const glia_env *env, const glia_array *arrays, int n, glia_error *error);

/* The marks of a picture of one copy; 0: this environment cannot be drawn. */
GLIA_API int glia_env_draw(const glia_env *env, int64_t copy, glia_mark *marks, int capacity);

#ifdef __cplusplus
}
#endif

#endif
