/* taxi.c - Taxi-v4 (in dry weather Taxi-v3 too): fetch a passenger at one of four stands and bring him to another.
 *
 * Dietterich 2000, section 3. Observation: ((row * 5 + column) * 5 + place of the passenger) * 4 + destination; place 4
 * is the taxi. Actions: south, north, east, west, pick up, drop off. State: the observation; 1 if the passenger will
 * change his mind when the taxi first moves with him. In rain a move drifts to a side with probability 1 -
 * rainy_probability.
 */
#include "data/environments/environments.h"

typedef struct taxi {
    bool rainy, fickle_passenger;
    double rainy_probability, fickle_probability;
} taxi;

static const glia_setting settings[] = {
    { "rainy", GLIA_SETTING_SWITCH, offsetof(taxi, rainy), 0, 0, 0, NULL, "moves may drift sideways" },
    { "fickle_passenger", GLIA_SETTING_SWITCH, offsetof(taxi, fickle_passenger), 0, 0, 0, NULL,
      "the passenger may change his destination once" },
    { "rainy_probability", GLIA_SETTING_REAL, offsetof(taxi, rainy_probability), 0.8, 0, 1, NULL,
      "probability of the intended move in rain" },
    { "fickle_probability", GLIA_SETTING_REAL, offsetof(taxi, fickle_probability), 0.3, 0, 1, NULL,
      "probability that an episode's passenger is fickle" },
};
static const glia_env_info infos[] = { { "prob", 1 }, { "action_mask", 6 } };

enum { SIDE = 5, STANDS = 4, TAXI = 4, SOUTH = 0, NORTH, EAST, WEST, PICK_UP, DROP_OFF };
static const int stand_rows[] = { 0, 0, 4, 4 }, stand_columns[] = { 0, 4, 0, 3 };
/* 1 where a taxi may pass between a column and the next one. */
static const bool passes[SIDE][SIDE - 1] = {
    { 1, 0, 1, 1 }, { 1, 0, 1, 1 }, { 1, 1, 1, 1 }, { 0, 1, 0, 1 }, { 0, 1, 0, 1 },
};

typedef struct place {
    int row, column, passenger, destination;
} place;

static place decode(int code) { return (place){ code / 100, code / 20 % SIDE, code / 4 % SIDE, code % 4 }; }
static int encode(place p) { return ((p.row * SIDE + p.column) * SIDE + p.passenger) * 4 + p.destination; }

/* The stand at which the taxi is; -1: none. */
static int stand_of(place p) {
    for (int i = 0; i < STANDS; i++) {
        if (p.row == stand_rows[i] && p.column == stand_columns[i]) return i;
    }
    return -1;
}

static bool can_move(place p, int direction) {
    if (direction == SOUTH) return p.row < SIDE - 1;
    if (direction == NORTH) return p.row > 0;
    if (direction == EAST) return p.column < SIDE - 1 && passes[p.row][p.column];
    return p.column > 0 && passes[p.row][p.column - 1];
}

static place moved(place p, int direction) {
    if (!can_move(p, direction)) return p;
    p.row += (direction == SOUTH) - (direction == NORTH);
    p.column += (direction == EAST) - (direction == WEST);
    return p;
}

static void set_mask(int code, double *mask) {
    const place p = decode(code);
    const int stand = stand_of(p);
    for (int i = 0; i < 4; i++) mask[i] = can_move(p, i);
    mask[PICK_UP] = p.passenger < TAXI && stand == p.passenger;
    mask[DROP_OFF] = p.passenger == TAXI && stand >= 0;
}

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    enum { STARTS = 300 }; /* 25 cells, 12 pairs of different stands */
    (void)error;
    const taxi *t = at->settings;
    int left = (int)(glia_env_uniform(at->random, 0, 1) * STARTS), code = 0;
    for (;; code++) {
        const place p = decode(code);
        if (p.passenger < TAXI && p.passenger != p.destination && left-- == 0) break;
    }
    at->state[0] = code;
    at->state[1] = t->fickle_passenger && glia_env_uniform(at->random, 0, 1) < t->fickle_probability;
    out->info[0] = 1;
    set_mask(code, out->info + 1);
    return GLIA_OK;
}

/* Picking up and dropping off. */
static place handled(place p, int action, glia_env_outcome *out) {
    const int stand = stand_of(p);
    if (action == PICK_UP && p.passenger < TAXI && stand == p.passenger) {
        p.passenger = TAXI;
    } else if (action == DROP_OFF && p.passenger == TAXI && stand >= 0) {
        p.passenger = stand;
        out->terminated = stand == p.destination;
        if (out->terminated) out->reward = 20;
    } else {
        out->reward = -10;
    }
    return p;
}

/* A move in rain: ahead, or to the left or right of it. Without room ahead the taxi stays. */
static place drifted(const glia_env_at *at, place p, int action, glia_env_outcome *out) {
    static const int lefts[] = { EAST, WEST, NORTH, SOUTH }, rights[] = { WEST, EAST, SOUTH, NORTH };
    const double ahead = ((const taxi *)at->settings)->rainy_probability, side = (1 - ahead) / 2.0;
    const double ways[] = { ahead, side, side };
    const int way = glia_env_choose(at->random, ways, 3);
    out->info[0] = ways[way];
    if (!can_move(p, action)) return p;
    return moved(p, way == 0 ? action : way == 1 ? lefts[action] : rights[action]);
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    (void)error;
    static const double one = 1;
    const int asked = *(const int32_t *)action;
    const place before = decode((int)at->state[0]);
    place p = before;
    out->reward = -1;
    out->info[0] = 1;
    if (asked < PICK_UP && ((const taxi *)at->settings)->rainy) {
        p = drifted(at, p, asked, out);
    } else {
        glia_env_choose(at->random, &one, 1);
        p = asked < PICK_UP ? moved(p, asked) : handled(p, asked, out);
    }
    const bool went = p.row != before.row || p.column != before.column;
    if (at->state[1] != 0 && before.passenger == TAXI && went) {
        at->state[1] = 0;
        const int other = (int)glia_env_below(at->random, STANDS - 1);
        p.destination = other + (other >= before.destination);
    }
    at->state[0] = encode(p);
    set_mask(encode(p), out->info + 1);
    return GLIA_OK;
}

static void observe(const glia_env_at *at, void *observation) { *(int32_t *)observation = (int32_t)at->state[0]; }

static bool valid(const glia_env_at *at) {
    return glia_env_is_index(at->state[0], 500) && glia_env_is_index(at->state[1], 2);
}

static int draw(const glia_env_at *at, glia_mark *marks, int capacity) {
    enum { ALL = SIDE * SIDE + SIDE * (SIDE - 1) + STANDS + 2 };
    static const uint32_t colours[] = { 0xDD4444, 0x44BB44, 0xDDDD44, 0x4466DD };
    const place p = decode((int)at->state[0]);
    glia_mark all[ALL];
    int n = 0;
    for (int i = 0; i < SIDE * SIDE; i++) all[n++] = glia_env_cell(i / SIDE, i % SIDE, SIDE, SIDE, 0xE8E8E8);
    for (int i = 0; i < STANDS; i++) {
        all[n++] = glia_env_cell(stand_rows[i], stand_columns[i], SIDE, SIDE, colours[i]);
    }
    for (int i = 0; i < SIDE * (SIDE - 1); i++) {
        const int row = i / (SIDE - 1), column = i % (SIDE - 1);
        const float x = (float)(column + 1) / SIDE, y = 1 - (float)row / SIDE;
        if (!passes[row][column]) all[n++] = (glia_mark){ GLIA_MARK_LINE, x, y, x, y - 1.0f / SIDE, 0.02f, 0x333333 };
    }
    const float x = ((float)p.column + 0.5f) / SIDE, y = 1 - ((float)p.row + 0.5f) / SIDE;
    all[n++] = (glia_mark){ GLIA_MARK_BOX, x - 0.06f, y - 0.05f, x + 0.06f, y + 0.05f, 0, 0xEEAA00 };
    const int stand = p.passenger < TAXI ? p.passenger : -1;
    const float person_x = stand < 0 ? x : ((float)stand_columns[stand] + 0.5f) / SIDE;
    const float person_y = stand < 0 ? y : 1 - ((float)stand_rows[stand] + 0.5f) / SIDE;
    all[n++] = (glia_mark){ GLIA_MARK_DISC, person_x, person_y, 0, 0, 0.03f, colours[p.destination] };
    for (int i = 0; i < GLIA_MIN(capacity, n); i++) marks[i] = all[i];
    return n;
}

const glia_env_kind glia_env_taxi = {
    .name = "Taxi-v4",
    .alias = "taxi",
    .summary = "fetch a passenger and bring him to his destination",
    .paper = "Dietterich 2000",
    .observation = { GLIA_SPACE_DISCRETE, 500, GLIA_I32, { 0 }, NULL, NULL },
    .action = { GLIA_SPACE_DISCRETE, 6, GLIA_I32, { 0 }, NULL, NULL },
    .limit = 200,
    .threshold = 8,
    .settings = settings,
    .n_settings = GLIA_COUNT(settings),
    .bytes = sizeof(taxi),
    .state = 2,
    .infos = infos,
    .n_infos = 2,
    .reset = reset,
    .step = step,
    .observe = observe,
    .valid = valid,
    .draw = draw,
};
