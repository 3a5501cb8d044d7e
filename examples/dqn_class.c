/* dqn_class.c - a class DQN with remember, act and replay, as tutorials have it, in C: Q(state) learns r + 0.95 max
 * Q(next state) from rows of a memory, and acts at random less and less often (Mnih et al. 2013: without a target net).
 * What the usual listing leaves broken is mended: a row has room for all five parts, rows are drawn one by one, and the
 * target is that of the action taken, without a future after the end.    dqn_class [SEED] [--quick] */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATE = 4, ACTIONS = 2, CAPACITY = 2000, BATCH = 32, EPISODES = 300 };

typedef struct dqn {
    glia_graph *graph;
    glia_store *weights;
    glia_function *predict, *train;
    glia_replay *memory;
    double epsilon;
    int64_t steps;
} dqn;

static glia_error error;

static double uniform(void) { return rand() / ((double)RAND_MAX + 1); }

static glia_tensor layers(glia_tensor x) {
    glia_dense_opts hidden = { .units = 24, .activation = GLIA_RELU }, out = { .units = ACTIONS };
    return glia_dense(glia_dense(glia_dense(x, "dense1", hidden), "dense2", hidden), "q", out);
}

static void create_model(dqn *d, glia_backend *cpu, uint64_t seed) {
    glia_graph *g = d->graph = glia_graph_create();
    glia_tensor state = glia_input(g, "state", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, STATE));
    glia_tensor next = glia_input(g, "next", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, STATE));
    glia_tensor action = glia_input(g, "action", GLIA_I32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor reward = glia_input(g, "reward", GLIA_F32, GLIA_SHAPE(GLIA_BATCH));
    glia_tensor going = glia_input(g, "going", GLIA_F32, GLIA_SHAPE(GLIA_BATCH)); /* 0: it was the end */
    glia_tensor q = layers(state), future = glia_max(layers(next), GLIA_SHAPE(1), false);
    glia_tensor target = glia_stop_gradient(glia_add(reward, glia_mul(going, glia_mul_scalar(future, 0.95))));
    glia_tensor chosen = glia_sum(glia_mul(q, glia_one_hot(action, ACTIONS, GLIA_F32)), GLIA_SHAPE(1), false);
    glia_minimize(glia_mse(chosen, target), (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.005 }, NULL, NULL);
    d->weights = glia_store_create(g, seed, &error);
    d->predict =
        glia_function_create(g, cpu, d->weights, (glia_function_opts){ .outputs = &q, .n_outputs = 1 }, &error);
    d->train = glia_function_create(g, cpu, d->weights, (glia_function_opts){ .mode = GLIA_TRAIN }, &error);
    glia_replay_field fields[] = { { "state", GLIA_F32, GLIA_SHAPE(STATE) },
                                   { "action", GLIA_I32, GLIA_SCALAR },
                                   { "reward", GLIA_F32, GLIA_SCALAR },
                                   { "next", GLIA_F32, GLIA_SHAPE(STATE) },
                                   { "going", GLIA_F32, GLIA_SCALAR } };
    d->memory = glia_replay_create(fields, 5, (glia_replay_opts){ .capacity = CAPACITY }, &error);
    d->epsilon = 1;
}

static void remember(dqn *d, float *state, int32_t action, float reward, float *next, bool done) {
    float going = !done;
    glia_array row[] = { { .name = "state", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1, STATE), .data = state },
                         { .name = "action", .dtype = GLIA_I32, .shape = GLIA_SHAPE(1), .data = &action },
                         { .name = "reward", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1), .data = &reward },
                         { .name = "next", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1, STATE), .data = next },
                         { .name = "going", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1), .data = &going } };
    glia_replay_add(d->memory, row, 5, &error);
}

static int32_t act(dqn *d, float *state) {
    if (uniform() <= d->epsilon) return rand() % ACTIONS;
    glia_array in = { .name = "state", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1, STATE), .data = state }, q;
    if (glia_function_call(d->predict, &in, 1, &q, &error)) return 0;
    return ((float *)q.data)[1] > ((float *)q.data)[0];
}

static void replay(dqn *d) {
    glia_replay_batch batch;
    if (glia_replay_count(d->memory) < BATCH) return;
    if (glia_replay_sample(d->memory, BATCH, (glia_replay_draw){ .step = d->steps++ }, &batch, &error)) return;
    glia_function_call(d->train, batch.arrays, batch.n_arrays, NULL, &error);
    if (d->epsilon > 0.01) d->epsilon *= 0.995;
}

int main(int argc, char **argv) {
    const int seed = argc > 1 ? atoi(argv[1]) : 0, most = !strcmp(argv[argc - 1], "--quick") ? 20 : EPISODES;
    srand((unsigned)seed);
    dqn d = { 0 };
    glia_backend *cpu = glia_backend_open("cpu", 1, &error);
    create_model(&d, cpu, (uint64_t)seed);
    glia_env *env = glia_env_create("cartpole", (glia_env_opts){ 0 }, &error);
    double sum = 0, best = 0;
    for (int episode = 1; episode <= most && !error.status; episode++) {
        glia_env_result now;
        glia_env_reset(env, (uint64_t)(seed * EPISODES + episode), &now, &error);
        for (bool over = false; !over && !error.status;) {
            float state[STATE], next[STATE];
            memcpy(state, now.observations, sizeof state);
            int32_t action = act(&d, state);
            glia_env_step(env, &action, &now, &error);
            memcpy(next, now.observations, sizeof next);
            remember(&d, state, action, (float)now.rewards[0], next, now.terminated[0]);
            replay(&d);
            over = now.terminated[0] || now.truncated[0];
        }
        sum += now.returns[0] / 20;
        if (episode % 20) continue;
        printf("episode %d: mean return %.1f\n", episode, sum);
        best = sum > best ? sum : best, sum = 0;
    }
    if (error.status) return fprintf(stderr, "dqn_class: %s\n", error.message), 1;
    printf("best mean of 20 episodes: %.1f\n", best);
    glia_env_free(env), glia_replay_free(d.memory), glia_function_free(d.predict), glia_function_free(d.train);
    glia_store_free(d.weights), glia_graph_free(d.graph), glia_backend_close(cpu);
    return 0;
}
