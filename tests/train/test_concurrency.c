/* test_concurrency.c - several threads on one backend, program or model give the same bits as serial calls.
 *
 * Also run under the thread sanitizer (label threads), to detect data races.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/program/program.h"
#include "glia/glia.h"
#include "train/model/task.h"

enum { THREADS = 4, ROUNDS = 60, MOST = 70, CLASSES = 3, SIDE = 6, PIXELS = SIDE * SIDE };

static void check(glia_status status, const glia_error *error) {
    if (status != GLIA_OK) fail_msg("%s", error->message);
}

static glia_model *build(void) {
    glia_model *m = glia_model_create("net", NULL);
    glia_tensor x = glia_model_input(m, "x", GLIA_F32, GLIA_SHAPE(1, SIDE, SIDE));
    x = glia_conv2d(x, "conv", (glia_conv_opts){ .filters = 8, .kernel = 3 });
    x = glia_relu(glia_batch_norm(x, "bn", (glia_norm_opts){ 0 }));
    x = glia_dense(glia_flatten(x), "hidden", (glia_dense_opts){ .units = 64, .activation = GLIA_RELU });
    glia_model_output(m, "y", glia_dense(x, "fc", (glia_dense_opts){ .units = CLASSES }));
    return m;
}

static void fill(float *x, int64_t n) {
    for (int64_t i = 0; i < n * PIXELS; i++) x[i] = (float)(i * 7 % 23) / 23 - 0.3f;
}

static glia_dataset *dataset(void) {
    static float x[MOST * PIXELS];
    static int32_t y[MOST];
    fill(x, MOST);
    for (int i = 0; i < MOST; i++) y[i] = i % CLASSES;
    glia_error error;
    glia_dataset *data = glia_data_arrays(
        (glia_arrays){ .n = MOST, .x = x, .x_shape = GLIA_SHAPE(1, SIDE, SIDE), .y = y, .y_dtype = GLIA_I32 }, &error);
    if (!data) fail_msg("%s", error.message);
    return data;
}

static glia_backend *open_backend(int threads) {
    glia_error error;
    glia_backend *b = glia_backend_open("cpu", threads, &error);
    if (!b) fail_msg("%s", error.message);
    return b;
}

typedef struct job {
    pthread_t thread;
    int index;
    glia_backend *backend;
    glia_model *model;
    glia_dataset *data;
    const float *x, *wanted[MOST + 1]; /* predictions by number of samples */
    double loss;                       /* expected */
    bool right;
} job;

static void run_all(job *jobs, void *(*work)(void *)) {
    for (int i = 0; i < THREADS; i++) {
        jobs[i].index = i;
        jobs[i].right = true;
        assert_int_equal(pthread_create(&jobs[i].thread, NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(jobs[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) assert_true(jobs[i].right);
}

/* ---- shared pool ---------------------------------------------------------------------------------- */

typedef struct sum {
    int64_t by_piece[97];
    glia_pool *pool;
} sum;

static void add_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    ((sum *)context)->by_piece[piece] += piece;
}

static void add_rows(void *context, int64_t piece, int worker) {
    (void)piece, (void)worker;
    sum *s = context;
    sum inner = { .pool = s->pool };
    glia_parallel_for(s->pool, 97, add_piece, &inner);
    int64_t total = 0;
    for (int i = 0; i < 97; i++) total += inner.by_piece[i];
    s->by_piece[piece] = total;
}

static void *use_pool(void *context) {
    glia_pool *pool = context;
    for (int i = 0; i < 2000; i++) {
        sum s = { .pool = pool };
        glia_parallel_for(pool, 97, add_piece, &s);
        for (int k = 0; k < 97; k++) {
            if (s.by_piece[k] != k) return context;
        }
    }
    return NULL;
}

static void a_pool_serves_several_callers(void **state) {
    (void)state;
    glia_pool *pool = glia_pool_create(3, NULL);
    assert_non_null(pool);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, use_pool, pool), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    glia_pool_free(pool);
}

static void nested_jobs_are_allowed(void **state) {
    (void)state;
    glia_pool *pool = glia_pool_create(3, NULL);
    sum s = { .pool = pool };
    glia_parallel_for(pool, 16, add_rows, &s);
    for (int i = 0; i < 16; i++) assert_int_equal(s.by_piece[i], 97 * 96 / 2);
    glia_pool_free(pool);
}

/* ---- shared model --------------------------------------------------------------------------------- */

static void *predict_and_evaluate(void *context) {
    job *j = context;
    float y[MOST * CLASSES];
    for (int i = 0; i < ROUNDS; i++) {
        const int64_t n = 1 + (j->index * 13 + i * 7) % MOST;
        const bool good = glia_predict(j->model, j->x, n, y, j->backend, NULL) == GLIA_OK;
        j->right = j->right && good && memcmp(y, j->wanted[n], (size_t)n * CLASSES * sizeof *y) == 0;
        glia_scores scores;
        if (i % 8 || !j->data) continue;
        glia_evaluate_opts opts = { .backend = j->backend, .batch = 16 };
        j->right =
            j->right && glia_evaluate(j->model, j->data, opts, &scores, NULL) == GLIA_OK && scores.loss == j->loss;
    }
    return NULL;
}

/* Concurrent predictions, including the first call, which initialises the model, on a shared backend with `threads`
 * threads. `lent`: the caller holds pointers to the model's values. */
static void predict_at_once(int threads, bool lent) {
    static float x[MOST * PIXELS], wanted[MOST + 1][MOST * CLASSES];
    glia_error error;
    glia_model *serial = build(), *m = build();
    glia_dataset *data = dataset();
    glia_backend *one = open_backend(1), *b = open_backend(threads);
    glia_scores scores;
    fill(x, MOST);
    job jobs[THREADS];
    for (int64_t n = 1; n <= MOST; n++) check(glia_predict(serial, x, n, wanted[n], one, &error), &error);
    check(glia_evaluate(serial, data, (glia_evaluate_opts){ .backend = one, .batch = 16 }, &scores, &error), &error);
    if (lent) {
        check(glia_model_init(m, 0, &error), &error);
        assert_true(glia_store_find(glia_model_store(m), "fc/bias", NULL));
        assert_non_null(glia_store_at(glia_model_store(m), 0).data);
    }
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){ .backend = b, .model = m, .data = data, .x = x, .loss = scores.loss };
        for (int n = 1; n <= MOST; n++) jobs[i].wanted[n] = wanted[n];
    }
    run_all(jobs, predict_and_evaluate);
    glia_model_free(serial);
    glia_model_free(m);
    glia_data_free(data);
    glia_backend_close(one);
    glia_backend_close(b);
}

static void concurrent_predictions_equal_serial(void **state) {
    (void)state;
    predict_at_once(1, false);
    predict_at_once(2, false);
    predict_at_once(2, true);
}

/* ---- shared program -------------------------------------------------------------------------------- */

typedef struct session_job {
    pthread_t thread;
    glia_session *session;
    float y[4 * CLASSES];
    bool right;
} session_job;

static void *run_session(void *context) {
    session_job *j = context;
    float first[4 * CLASSES];
    fill(glia_session_input(j->session, "x", NULL, NULL), 4);
    for (int i = 0; i < ROUNDS; i++) {
        j->right = j->right && glia_session_run(j->session, NULL) == GLIA_OK;
        memcpy(i ? j->y : first, glia_session_output(j->session, 0).data, sizeof first);
        j->right = j->right && (i == 0 || memcmp(j->y, first, sizeof first) == 0);
    }
    return NULL;
}

/* Sessions of a frozen program share packed weights, and use new values after one of them is refreshed. */
static void sessions_share_packed_weights(void **state) {
    (void)state;
    glia_error error;
    glia_model *m = build();
    check(glia_model_init(m, 1, &error), &error);
    glia_backend *b = open_backend(2);
    glia_tensor y = glia_model_output_at(m, 0, NULL);
    glia_compile_opts opts = { .outputs = &y, .n_outputs = 1, .batch = 4, .frozen = true };
    glia_program *p = glia_compile(glia_model_graph(m), b, opts, &error);
    assert_non_null(p);
    assert_true(glia_program_inspect(p).fixed_bytes > 0);
    session_job jobs[THREADS] = { 0 };
    for (int i = 0; i < THREADS; i++) {
        jobs[i].session = glia_session_create(p, glia_model_store(m), &error);
        assert_non_null(jobs[i].session);
        jobs[i].right = true;
    }
    assert_non_null(p->fixed);
    assert_null(p->fixed->next);
    assert_int_equal(p->fixed->sessions, THREADS);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&jobs[i].thread, NULL, run_session, &jobs[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(jobs[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_true(jobs[i].right);
        assert_memory_equal(jobs[i].y, jobs[0].y, sizeof jobs[0].y);
    }
    glia_array bias;
    assert_true(glia_store_find(glia_model_store(m), "fc/bias", &bias));
    for (int i = 0; i < CLASSES; i++) ((float *)bias.data)[i] += 1;
    check(glia_session_refresh(jobs[0].session, &error), &error);
    for (int i = 0; i < THREADS; i++) {
        check(glia_session_run(jobs[i].session, &error), &error);
        const float *now = glia_session_output(jobs[i].session, 0).data;
        assert_true(now[0] > jobs[i].y[0] + 0.5f);
        glia_session_free(jobs[i].session);
    }
    assert_null(p->fixed);
    glia_program_free(p);
    glia_backend_close(b);
    glia_model_free(m);
}

/* ---- training different models ---------------------------------------------------------------------- */

static float train(glia_backend *b, const glia_dataset *data) {
    glia_model *m = build();
    glia_fit_opts opts = { .backend = b, .optimizer = { .kind = GLIA_ADAM, .lr = 0.01 }, .batch = 16, .epochs = 2 };
    glia_array a = { 0 };
    float value = -1;
    if (glia_fit(m, data, opts, NULL) == GLIA_OK && glia_store_find(glia_model_store(m), "fc/kernel", &a))
        value = ((float *)a.data)[1];
    glia_model_free(m);
    return value;
}

static void *train_one(void *context) {
    job *j = context;
    for (int i = 0; i < 3; i++) j->right = j->right && (double)train(j->backend, j->data) == j->loss;
    return NULL;
}

static void models_train_at_once(void **state) {
    (void)state;
    glia_dataset *data = dataset();
    glia_backend *b = open_backend(2);
    job jobs[THREADS];
    const float wanted = train(b, data);
    for (int i = 0; i < THREADS; i++) jobs[i] = (job){ .backend = b, .data = data, .loss = (double)wanted };
    run_all(jobs, train_one);
    glia_backend_close(b);
    glia_data_free(data);
}

/* ---- sample counts ----------------------------------------------------------------------------------- */

/* Arbitrary sample counts need only a few programs, and results do not depend on earlier calls. */
static void changing_sizes_need_few_programs(void **state) {
    (void)state;
    enum { CALLS = 10000, LARGEST = 600 };
    glia_error error;
    glia_model *m = glia_model_create("small", NULL), *fresh = glia_model_create("small", NULL);
    for (int i = 0; i < 2; i++) {
        glia_model *each = i ? m : fresh;
        glia_tensor x = glia_model_input(each, "x", GLIA_F32, GLIA_SHAPE(2));
        glia_model_output(each, "y", glia_dense(x, "fc", (glia_dense_opts){ .units = 1, .activation = GLIA_TANH }));
    }
    glia_backend *b = open_backend(1);
    static float x[LARGEST * 2], y[LARGEST], wanted[LARGEST];
    for (int i = 0; i < LARGEST * 2; i++) x[i] = (float)(i % 17) / 17;
    const glia_program *programs[GLIA_TASK_LANES] = { 0 };
    int n_programs = 0;
    for (int64_t i = 0; i < CALLS; i++) {
        const int64_t n = 1 + i * 7919 % LARGEST;
        check(glia_predict(m, x, n, y, b, &error), &error);
        const glia_task *task = &glia_model_idle(m, GLIA_PREDICT)->task;
        for (int k = 0; k < task->n_lanes; k++) {
            bool known = false;
            for (int h = 0; h < n_programs; h++) known = known || programs[h] == task->lanes[k].program;
            if (known) continue;
            assert_true(n_programs < GLIA_TASK_LANES);
            programs[n_programs++] = task->lanes[k].program;
        }
        if (i % 500) continue;
        glia_model_init(fresh, 0, NULL); /* discards its programs */
        check(glia_predict(fresh, x, n, wanted, b, &error), &error);
        assert_memory_equal(y, wanted, (size_t)n * sizeof *y);
    }
    assert_true(n_programs > 8);
    glia_model_free(m);
    glia_model_free(fresh);
    glia_backend_close(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_serves_several_callers),
        cmocka_unit_test(nested_jobs_are_allowed),
        cmocka_unit_test(concurrent_predictions_equal_serial),
        cmocka_unit_test(sessions_share_packed_weights),
        cmocka_unit_test(models_train_at_once),
        cmocka_unit_test(changing_sizes_need_few_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
