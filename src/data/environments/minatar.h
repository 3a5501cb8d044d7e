/* minatar.h - what the pixel games share: 10x10 pixels in planes, actions that may stick, pictures.
 *
 * The games are those of MinAtar (Young and Tian 2019), with its planes first: observations are bool (planes, 10, 10).
 * With probability `sticky` the last action is repeated. Actions are those that do something, or with `minimal=false`
 * MinAtar's six: nothing, left, up, right, down, fire.
 */
#ifndef GLIA_SRC_DATA_ENVIRONMENTS_MINATAR_H
#define GLIA_SRC_DATA_ENVIRONMENTS_MINATAR_H

#include <math.h>

#include "data/environments/environments.h"

enum { MINATAR_SIDE = 10, MINATAR_CELLS = 100, MINATAR_ACTIONS = 6, MINATAR_PLANES = 8, MINATAR_LIMIT = 10000 };
enum { MINATAR_NOTHING, MINATAR_LEFT, MINATAR_UP, MINATAR_RIGHT, MINATAR_DOWN, MINATAR_FIRE };

typedef struct glia_minatar {
    double sticky;
    bool minimal, ramping;
} glia_minatar;

#define MINATAR_SETTINGS                                                                                               \
    { "sticky",                                                                                                        \
      GLIA_SETTING_REAL,                                                                                               \
      offsetof(glia_minatar, sticky),                                                                                  \
      0.1,                                                                                                             \
      0,                                                                                                               \
      1,                                                                                                               \
      NULL,                                                                                                            \
      "probability that the last action is repeated" },                                                                \
    {                                                                                                                  \
        "minimal", GLIA_SETTING_SWITCH, offsetof(glia_minatar, minimal), 1, 0, 0, NULL,                                \
            "only the actions that do something; false: all six"                                                       \
    }

/* What the records of the games share: `actions` of them do something; the game's file has PLANES and STATE, settings
 * and the functions. */
#define MINATAR_RECORD(actions)                                                                                        \
    .paper = "Young and Tian 2019",                                                                                    \
    .observation = { GLIA_SPACE_BOX, 0, GLIA_BOOL, { 3, { PLANES, MINATAR_SIDE, MINATAR_SIDE } }, NULL, NULL },        \
    .action = { GLIA_SPACE_DISCRETE, actions, GLIA_I32, { 0 }, NULL, NULL }, .spaces = spaces, .limit = MINATAR_LIMIT, \
    .threshold = NAN, .settings = settings, .n_settings = GLIA_COUNT(settings), .bytes = sizeof(glia_minatar),         \
    .state = STATE, .reset = reset, .step = step, .observe = observe, .valid = valid, .draw = draw

/* The action that is performed. `last` is the state's number for the action before. */
int glia_minatar_action(const glia_env_at *at, const void *action, const int *minimal, double *last);
/* The actions of a game: n, or six. */
void glia_minatar_actions(const void *settings, glia_space *action, int n);
/* Draws the n planes that `observe` writes, later ones over earlier ones. */
int glia_minatar_draw(const glia_env_at *at, void (*observe)(const glia_env_at *at, void *observation), int n,
                      glia_mark *marks, int capacity);
/* Are the first n numbers of a state whole and within [0, most[i]]? */
bool glia_minatar_valid(const double *state, const int *most, int n);

#endif
