/* test_process.c - environments in other processes: what they answer, and what goes wrong. The worlds are shell scripts
 * that the test writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "asserts.h"
#include "files.h"
#include "glia/glia.h"

static glia_error error;

/* A world that counts to three, as a script; `body` answers a step, $n is the count. */
static void write_world(const char *head, const char *body) {
    char script[2048];
    const int n = snprintf(script, sizeof script,
                           "#!/bin/sh\nn=0\necho '%s'\nwhile read -r line; do\n"
                           "  case \"$line\" in\n  *reset*) n=0; echo '{\"observation\": [0, 0.5]}';;\n"
                           "  *) n=$((n + 1)); %s;;\n  esac\ndone\n",
                           head, body);
    write_file("world.sh", script, (size_t)n);
    chmod("world.sh", 0755);
}

static glia_env *create(const char *address, int64_t copies) {
    return glia_env_create(address, (glia_env_opts){ .copies = copies }, &error);
}

static const char world[] = "process?command=./world.sh,timeout=5", head[] = "{\"observations\": 2, \"choices\": 2}";

static void a_process_is_an_environment(void **unused) {
    (void)unused;
    write_world(head, "[ $n = 3 ] && over=true || over=false; "
                      "echo \"{\\\"observation\\\": [$n, 0.5], \\\"reward\\\": 2, \\\"terminated\\\": $over}\"");
    glia_env *env = create(world, 2);
    if (!env) fail_msg("%s", error.message);
    glia_env_result now;
    const int32_t actions[] = { 0, 1 };
    assert_int_equal(glia_env_reset(env, 1, &now, &error), GLIA_OK);
    for (int t = 1; t <= 8; t++) {
        if (glia_env_step(env, actions, &now, &error) != GLIA_OK) fail_msg("%s", error.message);
        const float *seen = now.observations;
        assert_true(seen[0] == (float)(t % 4) && seen[1] == 0.5f && seen[2] == seen[0]);
        assert_int_equal(now.started[1], t % 4 == 0);
        assert_int_equal(now.terminated[1], t % 4 == 3);
    }
    assert_int_equal(glia_env_save(env, &(glia_array){ 0 }, 1), 0);
    assert_null(glia_env_clone(env, &error));
    ASSERT_SAYS("cannot be cloned");
    glia_env_free(env);
}

static void actions_may_be_numbers(void **unused) {
    (void)unused;
    write_world("{\"observations\": 2, \"low\": [-2], \"high\": [2]}",
                "case \"$line\" in *'[0.5]'*) r=1;; *) r=0;; esac; "
                "echo \"{\\\"observation\\\": [1, 1], \\\"reward\\\": $r, \\\"terminated\\\": false, "
                "\\\"truncated\\\": true}\"");
    glia_env *env = create(world, 1);
    if (!env) fail_msg("%s", error.message);
    const glia_space space = glia_env_action_space(env);
    assert_true(space.kind == GLIA_SPACE_BOX && space.low[0] == -2 && space.high[0] == 2);
    glia_env_result now;
    const float half = 0.5f;
    assert_int_equal(glia_env_reset(env, 1, &now, &error), GLIA_OK);
    assert_int_equal(glia_env_step(env, &half, &now, &error), GLIA_OK);
    assert_true(now.rewards[0] == 1 && now.truncated[0] && !now.terminated[0]);
    glia_env_free(env);
}

/* A world whose steps go wrong; the message must say so. */
static void assert_step_fails(const char *address, const char *body, const char *part) {
    write_world(head, body);
    glia_env *env = create(address, 1);
    if (!env) fail_msg("%s", error.message);
    glia_env_result now;
    const int32_t action = 1;
    assert_int_equal(glia_env_reset(env, 1, &now, &error), GLIA_OK);
    assert_int_not_equal(glia_env_step(env, &action, &now, &error), GLIA_OK);
    ASSERT_SAYS("'./world.sh', copy 0");
    ASSERT_SAYS(part);
    glia_env_free(env);
}

static void failures_are_named(void **unused) {
    (void)unused;
    assert_step_fails(world, "exit 1", "has ended");
    assert_step_fails("process?command=./world.sh,timeout=0.2", "sleep 100", "gave no answer within 0.2 s");
    assert_step_fails(world, "echo hello", "answered 'hello', which is no object of JSON");
    assert_step_fails(world, "echo '{\"observation\": [1]}'", "without a fitting \"observation\"");
    assert_step_fails(world, "echo '{\"observation\": [1, 2], \"reward\": \"x\", \"terminated\": false}'",
                      "without a fitting");
    write_world("{\"observations\": 2}", "true");
    assert_null(create(world, 1));
    ASSERT_SAYS("must begin with its \"observations\"");
    assert_null(create("process", 1));
    ASSERT_SAYS("process needs a command");
    assert_null(create("process?command=./missing.sh", 1));
    assert_true(strstr(error.message, "cannot be started") || strstr(error.message, "has ended"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_an_environment),
        cmocka_unit_test(actions_may_be_numbers),
        cmocka_unit_test(failures_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
