/* test_oom_agents.c - fails every allocation (oom.h): environments, acting, and training by the methods of agents. */
#include "glia/glia.h"
#include "oom.h"

static glia_status environments(glia_error *error) {
    glia_env *env = glia_env_create("taxi?limit=5,rainy=true", (glia_env_opts){ .copies = 2 }, error);
    glia_env *clone = env ? glia_env_clone(env, error) : NULL;
    char *address = clone ? glia_env_address(clone, error) : NULL;
    const int32_t actions[] = { 0, 1 };
    glia_env_result now;
    glia_status status = address ? glia_env_reset(clone, 1, &now, error) : error->status;
    for (int t = 0; t < 8 && status == GLIA_OK; t++) status = glia_env_step(clone, actions, &now, error);
    free(address);
    glia_env_free(clone);
    glia_env_free(env);
    return status;
}

/* One or two steps of training, and what an assessment says. */
static glia_status train(const char *method, const char *settings, const char *name, int64_t numbers,
                         glia_error *error) {
    const bool table = strcmp(method, "q-table") == 0;
    glia_env *env = glia_env_create(name, (glia_env_opts){ .limit = 3 }, error);
    glia_model *model = env ? glia_model_create("agent", error) : NULL;
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(numbers));
    glia_model_output(model, "features", glia_flatten(x));
    const glia_fit_opts o = { .environment = env,
                              .batch = table ? 0 : 2,
                              .max_steps = 2,
                              .threads = 1,
                              .optimizer = { .kind = table ? GLIA_SGD : GLIA_ADAM, .lr = 0.1 } };
    glia_status status = model ? glia_train(model, NULL, method, settings, o, error) : error->status;
    glia_assessment found;
    const glia_assess_opts how = { .count = 1, .threads = 1 };
    if (status == GLIA_OK) status = glia_assess(model, how, &found, error);
    glia_model_free(model);
    glia_env_free(env);
    return status;
}

static glia_status dqn(glia_error *error) {
    return train("dqn", "steps=4 learning_starts=1 capacity=4 prioritized=true n_step=2 duelling=true eval_episodes=1",
                 "mountaincar", 2, error);
}
static glia_status ppo(glia_error *error) {
    return train("ppo", "steps=8 rollout=4 passes=1 eval_episodes=0", "pendulum", 3, error);
}
static glia_status sac(glia_error *error) {
    return train("sac", "steps=4 learning_starts=1 capacity=4 units=2 eval_episodes=0", "pendulum", 3, error);
}
static glia_status table(glia_error *error) { return train("q-table", "steps=200", "cliffwalking", 48, error); }

static void test_environments(void **state) { (void)state, every_allocation(environments, "environments"); }
static void test_dqn(void **state) { (void)state, every_allocation(dqn, "the method dqn"); }
static void test_ppo(void **state) { (void)state, every_allocation(ppo, "the method ppo"); }
static void test_sac(void **state) { (void)state, every_allocation(sac, "the method sac"); }
static void test_table(void **state) { (void)state, every_allocation(table, "the method q-table"); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environments), cmocka_unit_test(test_dqn),   cmocka_unit_test(test_ppo),
        cmocka_unit_test(test_sac),          cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
