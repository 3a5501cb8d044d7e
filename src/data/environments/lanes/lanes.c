/* lanes.c - steps of copies side by side: loops over lanes that compilers turn into vectors. Compiled once for each
 * instruction set; products and sums are rounded separately, so all of them give the same bits. */
#include "data/environments/lanes/lanes.h"
#include "data/environments/lanes/motion.h"

enum { LANES = GLIA_ENV_LANES };

static void cart_pole(const glia_env_lanes *at) {
    double *restrict state = at->state, *restrict rewards = at->rewards;
    float *restrict seen = at->observations;
    int64_t *restrict terminated = at->terminated;
    const int32_t *restrict actions = at->actions;
    const double fall = ((const glia_cart_pole *)at->settings)->sutton_barto_reward ? -1 : 1;
    const double other = fall < 0 ? 0 : 1;
    for (int j = 0; j < LANES; j++) {
        double s[4];
        for (int i = 0; i < 4; i++) s[i] = state[i * LANES + j];
        const bool over = glia_cart_pole_move(s, actions[j] == 1);
        for (int i = 0; i < 4; i++) state[i * LANES + j] = s[i];
        for (int i = 0; i < 4; i++) seen[i * LANES + j] = (float)s[i];
        rewards[j] = over ? fall : other;
        terminated[j] = over;
    }
}

static void mountain_car(const glia_env_lanes *at) {
    double *restrict state = at->state, *restrict rewards = at->rewards;
    float *restrict seen = at->observations;
    int64_t *restrict terminated = at->terminated;
    const int32_t *restrict actions = at->actions;
    const double goal_velocity = ((const glia_mountain_car *)at->settings)->goal_velocity;
    for (int j = 0; j < LANES; j++) {
        double s[2] = { state[j], state[LANES + j] };
        terminated[j] = glia_mountain_car_move(s, actions[j] - 1, goal_velocity);
        for (int i = 0; i < 2; i++) state[i * LANES + j] = s[i];
        for (int i = 0; i < 2; i++) seen[i * LANES + j] = (float)s[i];
        rewards[j] = -1;
    }
}

/* Number i of lane j. */
#define AT(numbers, i) numbers[(i)*LANES + j]

static void acrobot(const glia_env_lanes *at) {
    double *restrict state = at->state, *restrict rewards = at->rewards;
    float *restrict seen = at->observations;
    int64_t *restrict terminated = at->terminated;
    const int32_t *restrict actions = at->actions;
    for (int j = 0; j < LANES; j++) {
        const glia_acrobot s = { AT(state, 0), AT(state, 1), AT(state, 2), AT(state, 3) };
        const glia_acrobot next = glia_acrobot_move(s, actions[j] - 1);
        AT(state, 0) = next.first, AT(state, 1) = next.second, AT(state, 2) = next.spin, AT(state, 3) = next.spin2;
    }
    for (int i = 0; i < 2 * LANES; i++) state[i] = glia_acrobot_wrap(state[i]);
    for (int j = 0; j < LANES; j++) {
        const glia_acrobot s = { AT(state, 0), AT(state, 1), AT(state, 2), AT(state, 3) };
        const glia_acrobot_view view = glia_acrobot_see(s);
        AT(seen, 0) = (float)view.cosine, AT(seen, 1) = (float)view.sine;
        AT(seen, 2) = (float)view.cosine2, AT(seen, 3) = (float)view.sine2;
        AT(seen, 4) = (float)s.spin, AT(seen, 5) = (float)s.spin2;
        rewards[j] = view.above ? 0 : -1;
        terminated[j] = view.above;
    }
}

#define JOIN(name, isa)   name##_##isa
#define EXPAND(name, isa) JOIN(name, isa)
#define HERE              EXPAND(glia_env_motions, GLIA_KERNEL_ISA)

extern const glia_env_motions HERE;
const glia_env_motions HERE = {
#define GLIA_ENV_LANES_ROW(name) .name = name,
#include "data/environments/lanes/lanes.def"
#undef GLIA_ENV_LANES_ROW
};
