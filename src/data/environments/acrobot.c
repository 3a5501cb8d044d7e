/* acrobot.c - Acrobot-v1: two links hang from a hinge; a torque at the joint between them must swing the tip up.
 *
 * State: angle of the first link (rad, 0 hangs down), angle of the second relative to it, their speeds. Equations of
 * Sutton and Barto 2018, example 11.3; one Runge-Kutta step of 0.2 s. As in Gymnasium, a first state is rounded to f32.
 */
#include <math.h>

#include "data/environments/environments.h"
#include "data/environments/lanes/lanes.h"
#include "data/environments/lanes/motion.h"

static const float high[] = { 1, 1, 1, 1, 12.566371f, 28.274334f },
                   low[] = { -1, -1, -1, -1, -12.566371f, -28.274334f };

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    (void)out;
    (void)error;
    for (int i = 0; i < 4; i++) at->state[i] = (double)(float)glia_env_uniform(at->random, -0.1, 0.1);
    return GLIA_OK;
}

static glia_acrobot of(const double *s) { return (glia_acrobot){ s[0], s[1], s[2], s[3] }; }

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    (void)error;
    const glia_acrobot moved = glia_acrobot_move(of(at->state), *(const int32_t *)action - 1);
    at->state[0] = glia_acrobot_wrap(moved.first);
    at->state[1] = glia_acrobot_wrap(moved.second);
    at->state[2] = moved.spin;
    at->state[3] = moved.spin2;
    out->terminated = glia_acrobot_see(of(at->state)).above;
    out->reward = out->terminated ? 0 : -1;
    return GLIA_OK;
}

static void observe(const glia_env_at *at, void *observation) {
    const double *s = at->state;
    const glia_acrobot_view view = glia_acrobot_see(of(s));
    const double all[] = { view.cosine, view.sine, view.cosine2, view.sine2, s[2], s[3] };
    float *o = observation;
    for (int i = 0; i < GLIA_COUNT(all); i++) o[i] = (float)all[i];
}

static glia_env_lanes_fn side_by_side(void) {
    const glia_env_motions *here = glia_env_motions_here();
    return here ? here->acrobot : NULL;
}

static bool valid(const glia_env_at *at) {
    static const double most[] = { 6.3, 6.3, 12.6, 28.3 };
    for (int i = 0; i < 4; i++) {
        if (fabs(at->state[i]) > most[i]) return false;
    }
    return true;
}

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    const float size = 1 / 4.4f, a = (float)at->state[0], b = a + (float)at->state[1];
    const float x = 0.5f + size * sinf(a), y = 0.5f - size * cosf(a), tip_x = x + size * sinf(b),
                tip_y = y - size * cosf(b);
    const glia_mark all[] = { { GLIA_MARK_LINE, 0, 0.5f + size, 1, 0.5f + size, 0.006f, 0x888888 },
                              { GLIA_MARK_LINE, 0.5f, 0.5f, x, y, 0.04f, 0x00A0A0 },
                              { GLIA_MARK_LINE, x, y, tip_x, tip_y, 0.04f, 0x00CCCC },
                              { GLIA_MARK_DISC, 0.5f, 0.5f, 0, 0, 0.025f, 0xCCCC00 },
                              { GLIA_MARK_DISC, x, y, 0, 0, 0.025f, 0xCCCC00 } };
    for (int i = 0; i < GLIA_MIN(capacity, GLIA_COUNT(all)); i++) marks[i] = all[i];
    return GLIA_COUNT(all);
}

const glia_env_kind glia_env_acrobot = {
    .name = "Acrobot-v1",
    .alias = "acrobot",
    .summary = "swing the tip of two links above a line by a torque at their joint",
    .paper = "Sutton 1996",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 6 } }, low, high },
    .action = { GLIA_SPACE_DISCRETE, 3, GLIA_I32, { 0 }, NULL, NULL },
    .limit = 500,
    .threshold = -100,
    .state = 4,
    .reset = reset,
    .step = step,
    .observe = observe,
    .side_by_side = side_by_side,
    .valid = valid,
    .draw = draw,
};
