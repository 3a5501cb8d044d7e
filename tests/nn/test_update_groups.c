/* test_update_groups.c - several optimisers in one graph, each an update group with its own rate, states and averages.
 *
 * A saddle with closed forms: the critic c minimises c^2 / 2 - c g, the generator g minimises c g + g^2 / 4. The critic
 * takes five steps of SGD with weight decay and keeps averages; then the generator takes one with momentum. Everything
 * is compared with the same steps in double.
 */
#include "glia/glia.h"
#include "optim_problem.h"

typedef struct saddle {
    glia_graph *graph;
    glia_backend *backend;
    glia_store *store;
    glia_function *critic, *generator;
} saddle;

static glia_tensor start_at(glia_graph *g, const char *name, double value) {
    return glia_parameter(g, name, GLIA_F64, GLIA_SCALAR, (glia_init){ .kind = GLIA_INIT_CONSTANT, .value = value });
}

static glia_function *stepper(saddle *s, const char *updates) {
    glia_error error;
    glia_function_opts opts = { .mode = GLIA_TRAIN, .updates = updates };
    glia_function *f = glia_function_create(s->graph, s->backend, s->store, opts, &error);
    if (!f) fail_msg("%s", error.message);
    return f;
}

static saddle saddle_open(const char *backend) {
    glia_error error;
    saddle s = { .graph = glia_graph_create() };
    glia_tensor c = start_at(s.graph, "critic/w", 3), g = start_at(s.graph, "generator/w", -2), both = glia_mul(c, g);
    glia_tensor critic = glia_sub(glia_mul_scalar(glia_square(c), 0.5), both);
    glia_tensor generator = glia_add(both, glia_mul_scalar(glia_square(g), 0.25));
    const glia_optimizer decayed = { .kind = GLIA_SGD, .lr = 0.125, .weight_decay = 0.25, .ema = 0.75 };
    glia_minimize(critic, decayed, "critic/*", "critic");
    glia_minimize(generator, (glia_optimizer){ .kind = GLIA_SGD, .lr = 0.25, .momentum = 0.5, .momentum_input = true },
                  "generator/*", "generator");
    s.backend = glia_backend_open(backend, 1, &error);
    s.store = glia_store_create(s.graph, 0, &error);
    if (!s.store) fail_msg("%s", error.message);
    s.critic = stepper(&s, "critic");
    s.generator = stepper(&s, "generator");
    return s;
}

static void saddle_close(saddle *s) {
    glia_function_free(s->critic);
    glia_function_free(s->generator);
    glia_store_free(s->store);
    glia_backend_close(s->backend);
    glia_graph_free(s->graph);
}

static void step(glia_function *f, const char *name, float value) {
    glia_error error;
    const glia_array in = { .name = name, .dtype = GLIA_F32, .data = &value };
    if (glia_function_call(f, &in, name != NULL, NULL, &error) != GLIA_OK) fail_msg("%s", error.message);
}

static void near(double is, double wanted) {
    if (!(fabs(is - wanted) <= 1e-12)) fail_msg("%.17g, not %.17g", is, wanted);
}

static void five_critic_steps_then_one_generator_step(void **state) {
    (void)state;
    const char *const backends[] = { "ref", "cpu" };
    for (int k = 0; k < GLIA_COUNT(backends); k++) {
        saddle s = saddle_open(backends[k]);
        double c = 3, g = -2, velocity = 0, average = 3, critic_lr = 0.125, generator_lr = 0.25;
        for (int round = 0; round < 8; round++) {
            if (round == 3) critic_lr = 0.5; /* given once, kept from then on */
            if (round == 5) generator_lr = 0.0625;
            for (int i = 0; i < 5; i++) {
                step(s.critic, round == 3 ? "critic/lr" : NULL, (float)critic_lr);
                c -= critic_lr * (c - g + 0.25 * c);
                average = 0.75 * average + 0.25 * c;
                near(get(s.store, "critic/w", 0), c);
                near(get(s.store, "critic/ema/critic/w", 0), average);
                near(get(s.store, "generator/w", 0), g);
                near(get(s.store, "generator/momentum/generator/w", 0), velocity);
            }
            step(s.generator, round == 5 ? "generator/lr" : NULL, (float)generator_lr);
            velocity = 0.5 * velocity + c + 0.5 * g;
            g -= generator_lr * velocity;
            near(get(s.store, "generator/w", 0), g);
            near(get(s.store, "critic/w", 0), c);
            near(get(s.store, "critic/ema/critic/w", 0), average);
            assert_int_equal((int)get(s.store, "critic/step", 0), 5 * (round + 1));
        }
        assert_false(glia_store_find(s.store, "generator/ema/generator/w", NULL));
        assert_false(glia_store_find(s.store, "critic/ema/generator/w", NULL));
        saddle_close(&s);
    }
}

/* A group's program has its own inputs and no others; the group "train" has the short name. */
static void inputs_are_named_by_group(void **state) {
    (void)state;
    glia_error error;
    saddle s = saddle_open("ref");
    float value = 0;
    const glia_array other = { .name = "generator/lr", .dtype = GLIA_F32, .data = &value },
                     momentum = { .name = "generator/momentum", .dtype = GLIA_F32, .data = &value };
    assert_int_equal(glia_function_call(s.critic, &other, 1, NULL, &error), GLIA_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "generator/lr"));
    assert_int_equal(glia_function_call(s.critic, &momentum, 1, NULL, &error), GLIA_E_NOT_FOUND);
    near(get(s.store, "critic/w", 0), 3); /* a refused call changes nothing */
    const double g = get(s.store, "generator/w", 0);
    assert_int_equal(glia_function_call(s.generator, &momentum, 1, NULL, &error), GLIA_OK);
    assert_int_equal(glia_function_call(s.generator, &momentum, 1, NULL, &error), GLIA_OK);
    const double once = g - 0.25 * (3 + 0.5 * g); /* no momentum: two plain steps */
    near(get(s.store, "generator/w", 0), once - 0.25 * (3 + 0.5 * once));
    saddle_close(&s);
}

/* Both groups in one program step from the same old values. */
static void both_groups_in_one_program(void **state) {
    (void)state;
    saddle s = saddle_open("cpu");
    glia_function *both = stepper(&s, "critic,generator");
    step(both, "critic/lr", 0.5f);
    near(get(s.store, "critic/w", 0), 3 - 0.5 * (3 + 2 + 0.75));
    near(get(s.store, "generator/w", 0), -2 - 0.25 * (3 - 1));
    glia_function_free(both);
    saddle_close(&s);
}

static void expect_refusal(const char *first, const char *second, const char *words) {
    problem p = build(GLIA_F32);
    glia_error error;
    glia_minimize(p.loss, (glia_optimizer){ 0 }, "w", first);
    glia_minimize(p.loss, (glia_optimizer){ 0 }, "b", second);
    assert_int_equal(glia_graph_check(p.graph, &error), GLIA_E_ARGUMENT);
    if (!strstr(error.message, words)) fail_msg("'%s' is not in '%s'", words, error.message);
    glia_graph_free(p.graph);
}

static void each_optimiser_needs_its_own_group(void **state) {
    (void)state;
    expect_refusal("critic", "critic", "group 'critic' has a learning rate 'critic/lr' already");
    expect_refusal(NULL, "train", "group 'train' has a learning rate 'lr' already");
    expect_refusal("critic*", NULL, "'critic*'");
    expect_refusal("a,b", NULL, "'a,b'");
    expect_refusal("", NULL, "''");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_critic_steps_then_one_generator_step),
        cmocka_unit_test(inputs_are_named_by_group),
        cmocka_unit_test(both_groups_in_one_program),
        cmocka_unit_test(each_optimiser_needs_its_own_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
