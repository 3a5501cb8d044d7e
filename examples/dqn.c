/* dqn.c - deep Q-learning (Mnih et al. 2015) balances CartPole-v1. By steps drawn from a memory a net Q(state, action)
 * learns the return, 1 + 0.99 Q'(next state, best action by Q), where Q' is the target net, a slow copy of Q (double
 * Q-learning: van Hasselt et al. 2016).    dqn [SEED] [--quick]: until 100 episodes last 500 steps each, the most */
#include <glia/glia.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATE = 4, ACTION = 8, GOING = 9, ROW = 10, BATCH = 64, MEMORY = 20000, WEIGHTS = 6, LIMIT = 500 };
static float memory[MEMORY][ROW], batch[BATCH][ROW]; /* rows: state, next state, action; 0 if it was the end, else 1 */
static int count;                                    /* of the steps so far */
static glia_error error;

static double uniform(double low, double high) { return low + (high - low) * rand() / ((double)RAND_MAX + 1); }

/* 0.02 s of Barto, Sutton and Anderson 1983; s: place, speed, angle, spin. 0: the pole or the cart is out of bounds. */
static bool move(float *s, bool right) {
    const double sine = sin((double)s[2]), cosine = cos((double)s[2]), spin = (double)s[3];
    const double push = ((right ? 10 : -10) + 0.05 * spin * spin * sine) / 1.1;
    const double turn = (9.8 * sine - cosine * push) / (0.5 * (4.0 / 3 - 0.1 * cosine * cosine / 1.1));
    const double change[] = { (double)s[1], push - 0.05 * turn * cosine / 1.1, spin, turn };
    for (int i = 0; i < STATE; i++) s[i] += (float)(0.02 * change[i]);
    return fabsf(s[0]) <= 2.4f && fabsf(s[2]) <= 0.20943951f; /* 12 degrees */
}

/* Steps of an episode. learn NULL: the best actions by Q; else some are random, and after each step Q learns. */
static int play(glia_function *q, glia_function *learn) {
    glia_array in = { .name = "rows", .shape = GLIA_SHAPE(BATCH, ROW), .data = batch }, out;
    float s[STATE];
    for (int i = 0; i < STATE; i++) s[i] = (float)uniform(-0.05, 0.05);
    for (int t = 1;; t++) {
        float *row = memcpy(memory[count % MEMORY], s, sizeof s);
        glia_array one = { .name = "rows", .shape = GLIA_SHAPE(1, ROW), .data = row };
        if (glia_function_call(q, &one, 1, &out, &error)) return t;
        row[ACTION] = ((float *)out.data)[1] > ((float *)out.data)[0];
        if (learn && uniform(0, 1) < fmax(0.02, 1 - count / 5000.0)) row[ACTION] = (float)(rand() % 2);
        row[GOING] = move(s, row[ACTION] > 0);
        memcpy(row + STATE, s, sizeof s);
        if (learn && ++count > 1000) {
            for (int i = 0; i < BATCH; i++) memcpy(batch[i], memory[rand() % count % MEMORY], sizeof batch[i]);
            if (glia_function_call(learn, &in, 1, NULL, &error)) return t;
        }
        if (row[GOING] == 0 || t == LIMIT) return t;
    }
}

static glia_tensor part(glia_tensor rows, int from, int to) { /* (N, ROW) -> (N, to - from) */
    return glia_slice(rows, GLIA_SHAPE(0, from), GLIA_SHAPE(INT64_MAX, to), GLIA_SCALAR);
}

int main(int argc, char **argv) {
    glia_dense_opts hidden = { .units = 128, .activation = GLIA_RELU }, actions = { .units = 2 };
    glia_graph *g = glia_graph_create();
    glia_tensor rows = glia_input(g, "rows", GLIA_F32, GLIA_SHAPE(GLIA_BATCH, ROW));
    glia_tensor from[WEIGHTS + 1], to[WEIGHTS + 1], target, now;
    from[WEIGHTS] = part(rows, 0, STATE), to[WEIGHTS] = part(rows, STATE, ACTION);
    glia_tensor q = glia_dense(glia_dense(glia_dense(from[WEIGHTS], "dense1", hidden), "dense2", hidden), "q", actions);
    glia_parameters(g, NULL, from, WEIGHTS);
    for (int i = 0; i < WEIGHTS; i++) {
        const char *const names[] = { "target/0", "target/1", "target/2", "target/3", "target/4", "target/5" };
        to[i] = glia_state(g, names[i], GLIA_F32, glia_tensor_shape(from[i]), (glia_init){ .kind = GLIA_INIT_ZEROS });
        glia_update(to[i], glia_add(to[i], glia_mul_scalar(glia_sub(from[i], to[i]), 0.01)), NULL);
    }
    glia_substitute(&q, 1, from, to, WEIGHTS + 1, &target);        /* Q'(next state) */
    glia_substitute(&q, 1, from + WEIGHTS, to + WEIGHTS, 1, &now); /* Q(next state) */
    glia_tensor best = glia_reshape(glia_argmax(now, 1), GLIA_SHAPE(GLIA_BATCH, 1));
    glia_tensor later = glia_mul(part(rows, GOING, ROW), glia_take_along_axis(target, best, 1));
    glia_tensor wanted = glia_stop_gradient(glia_add_scalar(glia_mul_scalar(later, 0.99), 1));
    glia_tensor value = glia_take_along_axis(q, glia_cast(part(rows, ACTION, GOING), GLIA_I32), 1);
    glia_minimize(glia_huber(value, wanted, 1), (glia_optimizer){ .kind = GLIA_ADAM, .lr = 5e-4 }, NULL, NULL);
    const int seed = argc > 1 ? atoi(argv[1]) : 0, most = argc > 1 && !strcmp(argv[argc - 1], "--quick") ? 20 : 2000;
    srand((unsigned)seed);
    glia_backend *cpu = glia_backend_open("cpu", 1, &error);
    glia_store *w = glia_store_create(g, (uint64_t)seed, &error);
    glia_function_opts acting = { .outputs = &q, .n_outputs = 1 }, learning = { .mode = GLIA_TRAIN };
    glia_function *act = glia_function_create(g, cpu, w, acting, &error);
    glia_function *learn = glia_function_create(g, cpu, w, learning, &error);
    double score = 0;
    for (int episode = 1; episode <= most && score < LIMIT && !error.status; episode++) {
        play(act, learn);
        if (episode % 20) continue;
        score = 0;
        for (int i = 0; i < 100; i++) score += play(act, NULL) / 100.0;
        printf("episode %d, %d steps: mean return %.1f\n", episode, count, score);
    }
    if (error.status) fprintf(stderr, "dqn: %s\n", error.message);
    glia_function_free(act), glia_function_free(learn), glia_store_free(w), glia_backend_close(cpu), glia_graph_free(g);
    return error.status != GLIA_OK;
}
