/* cart_pole.c - CartPole-v1: a pole on a cart is kept upright by pushes to the left or right.
 *
 * State, as Gymnasium's: x (m), its speed, the angle (rad, 0 upright), its speed. Equations of Florian 2007, "Correct
 * equations for the dynamics of the cart-pole system", without friction; Euler steps of 0.02 s.
 */
#include <math.h>

#include "data/environments/environments.h"
#include "data/environments/lanes/lanes.h"
#include "data/environments/lanes/motion.h"

static const glia_setting settings[] = {
    { "sutton_barto_reward", GLIA_SETTING_SWITCH, offsetof(glia_cart_pole, sutton_barto_reward), 0, 0, 0, NULL,
      "reward 0 for a step and -1 for the fall, instead of 1 for every step" },
};

static const double limit_x = 2.4;
static const float high[] = { 4.8f, INFINITY, 0.418879f, INFINITY },
                   low[] = { -4.8f, -INFINITY, -0.418879f, -INFINITY };

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)out;
    (void)error;
    for (int i = 0; i < 4; i++) at->state[i] = glia_env_uniform(at->random, -0.05, 0.05);
    return GLIA_OK;
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    (void)error;
    out->terminated = glia_cart_pole_move(at->state, *(const int32_t *)action == 1);
    out->reward = ((const glia_cart_pole *)at->settings)->sutton_barto_reward ? (out->terminated ? -1 : 0) : 1;
    return GLIA_OK;
}

static void observe(const glia_env_at *at, void *observation) {
    float *o = observation;
    for (int i = 0; i < 4; i++) o[i] = (float)at->state[i];
}

static glia_env_lanes_fn side_by_side(void) {
    const glia_env_motions *here = glia_env_motions_here();
    return here ? here->cart_pole : NULL;
}

static bool valid(const glia_env_at *at) { return fabs(at->state[2]) < 1e6; } /* for the sine */

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    const float x = 0.5f + (float)(at->state[0] / (2 * limit_x)) * 0.9f, y = 0.3f;
    const float tip_x = x + 0.35f * (float)sin(at->state[2]), tip_y = y + 0.35f * (float)cos(at->state[2]);
    const glia_mark all[] = { { GLIA_MARK_LINE, 0, 0.25f, 1, 0.25f, 0.006f, 0x888888 },
                              { GLIA_MARK_BOX, x - 0.08f, 0.25f, x + 0.08f, 0.33f, 0, 0x333344 },
                              { GLIA_MARK_LINE, x, y, tip_x, tip_y, 0.025f, 0xCA9865 },
                              { GLIA_MARK_DISC, x, y, 0, 0, 0.015f, 0x8184CB } };
    for (int i = 0; i < GLIA_MIN(capacity, GLIA_COUNT(all)); i++) marks[i] = all[i];
    return GLIA_COUNT(all);
}

const glia_env_kind glia_env_cart_pole = {
    .name = "CartPole-v1",
    .alias = "cartpole",
    .summary = "balance a pole on a cart by pushing it left or right",
    .paper = "Barto, Sutton and Anderson 1983",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 4 } }, low, high },
    .action = { GLIA_SPACE_DISCRETE, 2, GLIA_I32, { 0 }, NULL, NULL },
    .limit = 500,
    .threshold = 475,
    .settings = settings,
    .n_settings = GLIA_COUNT(settings),
    .bytes = sizeof(glia_cart_pole),
    .state = 4,
    .reset = reset,
    .step = step,
    .observe = observe,
    .side_by_side = side_by_side,
    .valid = valid,
    .draw = draw,
};
