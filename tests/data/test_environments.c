/* test_environments.c - environments against episodes of Gymnasium (tests/golden/environments.txt), and the handle:
 * autoreset, limits, copies, states, errors. tests/python/check_environments.py compares thousands of episodes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "base/settings.h"
#include "data/environments/environments.h"
#include "glia/glia.h"

static glia_error error;

static glia_env *create(const char *name, glia_env_opts opts) {
    glia_env *env = glia_env_create(name, opts, &error);
    if (!env) fail_msg("%s", error.message);
    return env;
}

static void ok(glia_status status) {
    if (status != GLIA_OK) fail_msg("%s", error.message);
}

/* ---- Gymnasium's episodes ------------------------------------------------------------------------- */

enum { MOST = 200 };
typedef struct list {
    int n;
    double x[MOST];
} list;

/* Reads numbers up to ';' or the end. */
static list numbers(char **at) {
    list l = { 0 };
    for (;;) {
        *at += strspn(*at, " \n");
        if (!**at || **at == ';') break;
        assert_true(l.n < MOST);
        l.x[l.n++] = strtod(*at, at);
    }
    if (**at) ++*at;
    return l;
}

typedef struct episode {
    const glia_env_kind *kind;
    glia_arena texts;
    void *settings;
    double state[512], info[MOST];
    glia_space observation;
    int steps;
} episode;

static void begin(episode *e, const char *line) {
    char name[64], settings[128];
    assert_int_equal(sscanf(line, "episode %63s %127s", name, settings), 2);
    e->kind = glia_env_find(name);
    if (!e->kind) fail_msg("there is no %s", name);
    free(e->settings);
    e->settings = calloc(1, e->kind->bytes + 1);
    const glia_setting_table table = { "environment", name, e->kind->settings, e->kind->n_settings };
    ok(glia_settings_parse(&table, strcmp(settings, "-") ? settings : NULL, e->settings, &e->texts, &error));
    e->observation = e->kind->observation;
    glia_space action = e->kind->action;
    if (e->kind->spaces) e->kind->spaces(e->settings, &e->observation, &action);
}

static void compare(const episode *e, const glia_env_at *at, char *line) {
    const list seen = numbers(&line), state = numbers(&line);
    union {
        float f[MOST];
        int32_t i;
        bool pixels[1000];
    } mine = { { 0 } };
    if (!seen.n) return;
    e->kind->observe(at, &mine);
    if (e->observation.dtype == GLIA_BOOL) {
        int set = 0;
        for (int i = 0; i < (int)sizeof mine.pixels; i++) set += mine.pixels[i];
        assert_int_equal(set, seen.n);
        for (int i = 0; i < seen.n; i++) assert_true(mine.pixels[(int)seen.x[i]]);
        return;
    }
    for (int i = 0; i < seen.n; i++) {
        const double value = e->observation.kind == GLIA_SPACE_BOX ? (double)mine.f[i] : mine.i;
        ASSERT_NEAR(value, seen.x[i], fabs(seen.x[i]) * 1.2e-7); /* a unit in the last place of f32 */
    }
    for (int i = 0; i < state.n; i++) ASSERT_NEAR(e->state[i], state.x[i], 1e-12);
}

/* Begins the episode by the record's own reset. */
static void reset(episode *e, char *line) {
    const list in = numbers(&line);
    glia_env_random draws = { .script = in.x };
    const glia_env_at copy = { e->settings, e->state, &draws, 0 };
    glia_env_outcome got = { .info = e->info };
    memset(e->state, 0, sizeof e->state);
    ok(e->kind->reset(&copy, &got, &error));
    assert_true(draws.script == in.x + in.n);
}

static void repeat(episode *e, char *line) {
    char *at = line;
    const list in = numbers(&at), out = numbers(&at);
    const int32_t choice = (int32_t)in.x[0];
    const float force = (float)in.x[0];
    const bool discrete = e->kind->action.kind == GLIA_SPACE_DISCRETE;
    glia_env_random draws = { .script = in.x + 1 };
    const glia_env_at copy = { e->settings, e->state, &draws, 0 };
    glia_env_outcome got = { .info = e->info };
    ok(e->kind->step(&copy, discrete ? (const void *)&choice : &force, &got, &error));
    assert_true(draws.script == in.x + in.n); /* it drew as many numbers */
    ASSERT_NEAR(got.reward, out.x[0], 1e-12);
    assert_int_equal(got.terminated, (int)out.x[1]);
    assert_true(!e->kind->valid || e->kind->valid(&copy));
    if (e->kind->n_infos) ASSERT_NEAR(e->info[0], out.x[2], 1e-15);
    compare(e, &copy, at);
    e->steps++;
}

static void episodes_equal_gymnasiums(void **unused) {
    (void)unused;
    char line[4096];
    episode e = { 0 };
    int episodes = 0;
    FILE *file = fopen(GLIA_GOLDEN_DIR "/environments.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char *rest = line + strcspn(line, " ");
        if (!strncmp(line, "episode", 7)) {
            begin(&e, line);
            episodes++;
        } else if (!strncmp(line, "start", 5)) {
            const list start = numbers(&rest);
            assert_true(start.n <= e.kind->state);
            memset(e.state, 0, sizeof e.state);
            memcpy(e.state, start.x, (size_t)start.n * sizeof *start.x);
        } else if (!strncmp(line, "reset", 5)) {
            reset(&e, rest);
        } else {
            repeat(&e, rest);
        }
    }
    fclose(file);
    free(e.settings);
    glia_arena_free(&e.texts);
    assert_true(episodes == 42 && e.steps > 1000);
}

/* ---- the handle ------------------------------------------------------------------------------------ */

/* Writes actions for all copies: the first, the middle or the last ones, by `which`. */
static const void *actions_of(const glia_env *env, uint64_t which, void *memory) {
    const glia_space space = glia_env_action_space(env);
    for (int64_t i = 0; i < glia_env_copies(env); i++) {
        const uint64_t draw = (which * 2654435761u + (uint64_t)i * 40503u) >> 7;
        if (space.kind == GLIA_SPACE_DISCRETE)
            ((int32_t *)memory)[i] = (int32_t)(draw % (uint64_t)space.n);
        else
            ((float *)memory)[i] = (float)(draw % 5) / 2 - 1;
    }
    return memory;
}

static void every_environment_runs(void **unused) {
    (void)unused;
    for (int k = 0; glia_env_at_index(k); k++) {
        const glia_env_kind *kind = glia_env_at_index(k);
        if (kind->open) continue; /* needs a process, see test_process.c */
        assert_true(k == 0 || strcmp(glia_env_at_index(k - 1)->name, kind->name) < 0);
        assert_ptr_equal(glia_env_find(kind->alias), kind);
        glia_env *env = create(kind->alias, (glia_env_opts){ .copies = 3, .limit = 50 });
        glia_env_result now;
        float memory[3];
        glia_mark marks[256];
        ok(glia_env_reset(env, 7, &now, &error));
        assert_true(now.started[0] && now.started[2] && now.lengths[1] == 0);
        int ended = 0;
        bool over[3] = { 0 };
        for (uint64_t t = 0; t < 200; t++) {
            ok(glia_env_step(env, actions_of(env, t, memory), &now, &error));
            for (int i = 0; i < 3; i++) {
                assert_int_equal(now.started[i], over[i]);
                if (over[i]) assert_true(now.rewards[i] == 0 && now.lengths[i] == 0 && now.returns[i] == 0);
                over[i] = now.terminated[i] || now.truncated[i];
                ended += over[i];
                assert_true(now.truncated[i] == (now.lengths[i] == 50));
            }
        }
        assert_true(ended >= 3 * 3);
        assert_in_range(glia_env_draw(env, 0, marks, 256), 1, 256);
        glia_env_free(env);
    }
}

/* Random actions without learning: means that are known for these environments. */
static void random_play_has_the_known_returns(void **unused) {
    (void)unused;
    enum { COPIES = 64 };
    static int32_t actions[COPIES];
    glia_env *env = create("CartPole-v1", (glia_env_opts){ .copies = COPIES });
    glia_env_result now;
    glia_rng rng = { .seed = 3 };
    double sum = 0;
    int episodes = 0;
    ok(glia_env_reset(env, 1, &now, &error));
    for (int t = 0; t < 2000; t++) {
        for (int i = 0; i < COPIES; i++) actions[i] = (int32_t)glia_rng_below(&rng, 2);
        ok(glia_env_step(env, actions, &now, &error));
        for (int i = 0; i < COPIES; i++) {
            if (!now.terminated[i]) continue;
            sum += now.returns[i];
            episodes++;
        }
    }
    ASSERT_NEAR(sum / episodes, 22.2, 0.7); /* Gymnasium's: 22.2, deviation 11.7; about 5,500 episodes */
    glia_env_free(env);
}

static void copies_are_independent_and_repeatable(void **unused) {
    (void)unused;
    glia_env *one = create("cartpole", (glia_env_opts){ 0 }),
             *four = create("cartpole", (glia_env_opts){ .copies = 4 });
    glia_env_result a, b;
    const int32_t left[4] = { 0, 0, 0, 0 };
    ok(glia_env_reset(one, 5, &a, &error));
    ok(glia_env_reset(four, 5, &b, &error));
    for (int t = 0; t < 100; t++) {
        ok(glia_env_step(one, left, &a, &error));
        ok(glia_env_step(four, left, &b, &error));
        assert_memory_equal(a.observations, b.observations, 16);
        assert_memory_not_equal(b.observations, (const float *)b.observations + 4, 16);
    }
    glia_env_free(one);
    glia_env_free(four);
}

static void clones_and_saved_states_go_on_the_same(void **unused) {
    (void)unused;
    static const char *const names[] = { "taxi", "frozenlake", "pendulum", "acrobot", "mountaincar-continuous" };
    for (int k = 0; k < GLIA_COUNT(names); k++) {
        const glia_env_opts opts = { .settings = k == 0 ? "rainy=true fickle_passenger=true" : NULL,
                                     .copies = 3,
                                     .limit = 30 };
        glia_env *env = create(names[k], opts), *other = create(names[k], opts);
        glia_env_result a, b, c;
        float memory[3];
        glia_array saved[16];
        ok(glia_env_reset(env, 11, &a, &error));
        for (uint64_t t = 0; t < 45; t++) ok(glia_env_step(env, actions_of(env, t, memory), &a, &error));
        glia_env *clone = glia_env_clone(env, &error);
        assert_non_null(clone);
        const int n = glia_env_save(env, saved, 16);
        ok(glia_env_restore(other, saved, n, &error));
        ok(glia_env_last(other, &b, &error));
        assert_true(a.truncated[0] == b.truncated[0] && a.rewards[0] == b.rewards[0]);
        const glia_space seen = glia_env_observation_space(env);
        const size_t bytes = 3 * glia_space_bytes(&seen);
        for (uint64_t t = 0; t < 45; t++) {
            const void *actions = actions_of(env, t + 100, memory);
            ok(glia_env_step(env, actions, &a, &error));
            ok(glia_env_step(clone, actions, &b, &error));
            ok(glia_env_step(other, actions, &c, &error));
            assert_memory_equal(a.observations, b.observations, bytes);
            assert_memory_equal(a.observations, c.observations, bytes);
            assert_memory_equal(a.returns, b.returns, 24);
            assert_memory_equal(a.returns, c.returns, 24);
        }
        glia_env_free(env);
        glia_env_free(other);
        glia_env_free(clone);
    }
}

static void impossible_states_are_refused(void **unused) {
    (void)unused;
    glia_env *env = create("frozenlake", (glia_env_opts){ .copies = 2 });
    glia_env_result now;
    glia_array saved[16];
    ok(glia_env_reset(env, 1, &now, &error));
    const double far = 16, between = 2.5, bad = NAN, good = 14;
    const double *const wrong[] = { &far, &between, &bad };
    for (int i = 0; i < 3; i++) assert_int_equal(glia_env_put(env, 0, wrong[i], 1, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("not a possible state");
    assert_int_equal(glia_env_put(env, 2, &good, 1, &error), GLIA_E_ARGUMENT);
    assert_int_equal(glia_env_put(env, 0, &good, 2, &error), GLIA_E_ARGUMENT);
    ok(glia_env_put(env, 1, &good, 1, &error));
    assert_true(*glia_env_state(env, 1) == 14 && !glia_env_state(env, 2));
    const int n = glia_env_save(env, saved, 16);
    double state[2] = { 3, -1 };
    for (int i = 0; i < n; i++) {
        if (!strcmp(saved[i].name, "environment/state")) saved[i].data = state;
    }
    assert_int_equal(glia_env_restore(env, saved, n, &error), GLIA_E_FORMAT);
    assert_int_equal(glia_env_restore(env, saved, n - 1, &error), GLIA_E_FORMAT);
    ASSERT_SAYS("is missing");
    assert_true(*glia_env_state(env, 1) == 14);
    glia_env_free(env);
}

static void errors_name_the_thing(void **unused) {
    (void)unused;
    assert_null(glia_env_create("cartpol", (glia_env_opts){ 0 }, &error));
    ASSERT_SAYS("did you mean 'cartpole'?");
    assert_null(glia_env_create("taxi", (glia_env_opts){ .settings = "rain=true" }, &error));
    ASSERT_SAYS("the environment Taxi-v4 has no setting 'rain'; did you mean 'rainy'?");
    assert_null(glia_env_create("taxi", (glia_env_opts){ .copies = -1 }, &error));
    glia_env *env = create("acrobot", (glia_env_opts){ .copies = 2 });
    glia_env_result now;
    const int32_t good[] = { 0, 2 }, bad[] = { 1, 3 };
    assert_int_equal(glia_env_step(env, good, &now, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("before the first reset");
    ok(glia_env_reset(env, 1, &now, &error));
    assert_int_equal(glia_env_step(env, bad, &now, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("Acrobot-v1, copy 1: there is no action 3; the last one is 2");
    assert_true(now.lengths[0] == 0);
    ok(glia_env_step(env, good, &now, &error));
    glia_env_free(env);
    env = create("pendulum", (glia_env_opts){ 0 });
    const float nan = NAN;
    ok(glia_env_reset(env, 1, &now, &error));
    assert_int_equal(glia_env_step(env, &nan, &now, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("not finite");
    glia_env_free(env);
}

/* Always to the right: food in each second step, or less often when it changes sides after every trial. */
static void food_changes_sides(void **unused) {
    (void)unused;
    static const struct {
        const char *settings;
        double wanted;
    } cases[] = { { "p_switch=0", 500 }, { "p_switch=1", 80 }, { "p_switch=1 patience=2", 250 }, { "size=7", 0 } };
    const double begin[3] = { 2, 1, 0 }, left[3] = { 2, 0, 0 }, outside[3] = { 5, 0, 0 };
    const int32_t right = 1, stay = 2;
    for (int k = 0; k < GLIA_COUNT(cases); k++) {
        glia_env *env = create("foraging", (glia_env_opts){ .settings = cases[k].settings });
        glia_env_result now;
        ok(glia_env_reset(env, 1, &now, &error));
        ok(glia_env_put(env, 0, k == 3 ? left : begin, 3, &error));
        for (int t = 0; t < 100; t++) ok(glia_env_step(env, k == 3 ? &stay : &right, &now, &error));
        assert_true(now.truncated[0] && !now.terminated[0]);
        ASSERT_NEAR(now.returns[0], cases[k].wanted, 0);
        if (k < 3) assert_int_equal(glia_env_put(env, 0, outside, 3, &error), GLIA_E_ARGUMENT);
        glia_env_free(env);
    }
}

/* ---- an environment of the user's own -------------------------------------------------------------- */

/* A walk on 0 ... 4 by actions -1 and +1; reward 1 at the right end. The observation is NaN at 3 if `broken`. */
typedef struct walk {
    bool broken;
} walk;

static const glia_setting walk_settings[] = { { "broken", GLIA_SETTING_SWITCH, offsetof(walk, broken), 0, 0, 0, NULL,
                                                "gives NaN" } };

static glia_status walk_reset(const glia_env_at *at, glia_env_outcome *out, glia_error *e) {
    (void)out;
    (void)e;
    at->state[0] = 2;
    return GLIA_OK;
}

static glia_status walk_step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *e) {
    (void)e;
    at->state[0] += *(const int32_t *)action ? 1 : -1;
    out->terminated = at->state[0] == 0 || at->state[0] == 4;
    out->reward = at->state[0] == 4;
    return GLIA_OK;
}

static void walk_observe(const glia_env_at *at, void *observation) {
    const bool broken = ((const walk *)at->settings)->broken;
    *(float *)observation = broken && at->state[0] == 3 ? NAN : (float)at->state[0];
}

static const glia_env_kind walk_kind = {
    .name = "walk",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 1 } }, NULL, NULL },
    .action = { GLIA_SPACE_DISCRETE, 2, GLIA_I32, { 0 }, NULL, NULL },
    .settings = walk_settings,
    .n_settings = 1,
    .bytes = sizeof(walk),
    .state = 1,
    .reset = walk_reset,
    .step = walk_step,
    .observe = walk_observe,
};

static void own_environments_work(void **unused) {
    (void)unused;
    const int32_t right = 1;
    glia_env_result now;
    glia_env *env = glia_env_create_kind(&walk_kind, (glia_env_opts){ 0 }, &error);
    assert_non_null(env);
    ok(glia_env_reset(env, 1, &now, &error));
    for (int t = 0; t < 2; t++) ok(glia_env_step(env, &right, &now, &error));
    assert_true(now.terminated[0] && !now.truncated[0] && now.rewards[0] == 1 && now.returns[0] == 1);
    ok(glia_env_step(env, &right, &now, &error));
    assert_true(now.started[0] && *(const float *)now.observations == 2);
    assert_int_equal(glia_env_draw(env, 0, &(glia_mark){ 0 }, 1), 0);
    glia_env_free(env);
    env = glia_env_create_kind(&walk_kind, (glia_env_opts){ .settings = "broken=true" }, &error);
    ok(glia_env_reset(env, 1, &now, &error));
    assert_int_equal(glia_env_step(env, &right, &now, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("walk, copy 0: an observation after 1 steps is not finite");
    glia_env_free(env);
    glia_env_kind lacking = walk_kind;
    lacking.observe = NULL;
    assert_null(glia_env_create_kind(&lacking, (glia_env_opts){ 0 }, &error));
    lacking = walk_kind;
    lacking.action.n = 0;
    assert_null(glia_env_create_kind(&lacking, (glia_env_opts){ 0 }, &error));
    ASSERT_SAYS("no possible space of actions");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(episodes_equal_gymnasiums),
        cmocka_unit_test(every_environment_runs),
        cmocka_unit_test(random_play_has_the_known_returns),
        cmocka_unit_test(copies_are_independent_and_repeatable),
        cmocka_unit_test(clones_and_saved_states_go_on_the_same),
        cmocka_unit_test(impossible_states_are_refused),
        cmocka_unit_test(errors_name_the_thing),
        cmocka_unit_test(food_changes_sides),
        cmocka_unit_test(own_environments_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
