/* test_crash.c - kills training at random steps and at every system call of a save, and makes system calls fail. Each
 * time the newest complete checkpoint must load, and the resumed training must match an uninterrupted one bit by bit.
 *
 * Needs fork, and ptrace for the system calls; skipped without them.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "models.h"

static const char path[] = "crash.checkpoint", previous[] = "crash.checkpoint.previous";

enum { STEPS = 40, EPOCH_STEPS = 5 };

static void clean(void) {
    const char *const names[] = { path,
                                  previous,
                                  "crash.checkpoint.tmp",
                                  "crash.checkpoint.previous.tmp",
                                  "crash.checkpoint.damaged",
                                  "final.safetensors" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unlink(names[i]);
}

/* ---- a training run ----------------------------------------------------------------------------- */

static glia_model *net(void) {
    glia_model *model = glia_model_create("net", NULL);
    glia_tensor x = glia_model_input(model, "x", GLIA_F32, GLIA_SHAPE(1, 28, 28));
    x = glia_dropout(glia_dense(glia_flatten(x), "hidden", (glia_dense_opts){ .units = 12 }), 0.2);
    glia_model_output(model, "logits", glia_dense(glia_relu(x), "fc", (glia_dense_opts){ .units = 10 }));
    return model;
}

static glia_status train(glia_model *model, const glia_callback *callbacks, int n, int threads, glia_error *error) {
    glia_dataset *data = glia_data_strokes(EPOCH_STEPS * 8, 5, NULL);
    glia_fit_opts o = { .epochs = STEPS / EPOCH_STEPS,
                        .batch = 8,
                        .optimizer = { .kind = GLIA_ADAM },
                        .seed = 3,
                        .callbacks = callbacks,
                        .n_callbacks = n,
                        .threads = threads };
    glia_status status = glia_fit(model, data, o, error);
    glia_data_free(data);
    return status;
}

static glia_model *left_alone(int threads) {
    glia_error error;
    glia_model *model = net();
    if (train(model, NULL, 0, threads, &error) != GLIA_OK) fail_msg("%s", error.message);
    return model;
}

/* ---- before and after random checkpoints ------------------------------------------------------------- */

static glia_status count_down(const glia_progress *p, void *context, glia_error *error) {
    (void)p, (void)error;
    if (--*(int64_t *)context == 0) raise(SIGKILL);
    return GLIA_OK;
}

/* Resumes from the last checkpoint (one is saved after each step) and saves the model at the end. Kills itself at the
 * `moment`-th point before or after the checkpoint of a step. */
static void child_trains(int threads, int64_t moment) {
    glia_error error;
    glia_model *model = net();
    const glia_callback c[] = {
        { .step_end = count_down, .context = &moment },
        glia_backup_and_restore((glia_backup_and_restore_opts){ .path = path, .save_freq = 1 }),
        { .step_end = count_down, .context = &moment, .after_others = true },
    };
    glia_status status = train(model, c, 3, threads, &error);
    if (status == GLIA_OK) status = glia_model_save(model, "final.safetensors", &error);
    if (status != GLIA_OK) fprintf(stderr, "child: %s\n", error.message);
    _exit(status == GLIA_OK ? 0 : 1);
}

/* A training that finishes before it is killed must have the right result; then a new one starts. */
static void killed_at_random_steps(void **state) {
    (void)state;
    enum { KILLS = 40 };
    uint32_t seed = 12345;
    for (int threads = 1; threads <= 2; threads++) {
        glia_model *whole = left_alone(threads);
        clean();
        for (int kills = 0, finished = 0; kills < KILLS || finished == 0;) {
            seed = seed * 1664525 + 1013904223;
            pid_t child = fork();
            assert_true(child >= 0);
            if (child == 0) child_trains(threads, kills < KILLS ? 1 + (seed >> 8) % STEPS : 0);
            int status;
            assert_int_equal(waitpid(child, &status, 0), child);
            if (WIFSIGNALED(status)) {
                assert_int_equal(WTERMSIG(status), SIGKILL);
                kills++;
                continue;
            }
            assert_int_equal(WEXITSTATUS(status), 0);
            glia_error error;
            glia_model *model = glia_model_load("final.safetensors", &error);
            assert_non_null(model);
            assert_same_model(whole, model);
            glia_model_free(model);
            finished++;
            clean();
        }
        glia_model_free(whole);
    }
    clean();
}

/* ---- at every system call of a save ------------------------------------------------------------------ */

enum { OLD = 4, NEW = 7 }; /* steps of the existing and of the new checkpoint */

/* In the child: stops before and after the traced save; the parent waits for both. */
static glia_status save_at(const glia_progress *p, void *context, glia_error *error) {
    const bool watched = *(const bool *)context;
    if (p->done == OLD - 1 || p->done == OLD) return watched ? GLIA_OK : glia_training_save(p->training, path, error);
    if (p->done != NEW) return GLIA_OK;
    if (!watched) _exit(0);
    raise(SIGSTOP);
    glia_status status = glia_training_save(p->training, path, error);
    raise(SIGSTOP);
    _exit(status == GLIA_OK ? 0 : 1);
}

static void child_saves(bool watched) {
    glia_error error;
    glia_callback c = { .step_end = save_at, .context = &watched };
    if (watched && ptrace(PTRACE_TRACEME, 0, NULL, NULL)) _exit(3);
    train(net(), &c, 1, 1, &error);
    _exit(2);
}

typedef struct file {
    char bytes[1 << 18];
    size_t n;
} file;
static file old_file, older_file;

static void read_file(const char *name, file *f) {
    FILE *in = fopen(name, "rb");
    assert_non_null(in);
    f->n = fread(f->bytes, 1, sizeof f->bytes, in);
    assert_true(f->n > 0 && f->n < sizeof f->bytes);
    fclose(in);
}

static void write_file(const char *name, const file *f) {
    FILE *out = fopen(name, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(f->bytes, 1, f->n, out), f->n);
    fclose(out);
}

static glia_checkpoint_info restored;

static glia_status restore(const glia_progress *p, void *context, glia_error *error) {
    (void)context;
    return glia_training_restore(p->training, path, &restored, error);
}

/* Checks that the checkpoint loads, is the old or the new one, and gives the same final model. Returns its step. */
static int64_t check_what_is_there(glia_model *whole) {
    glia_error error;
    glia_model *model = net();
    glia_callback c = { .train_begin = restore };
    if (train(model, &c, 1, 1, &error) != GLIA_OK) fail_msg("%s", error.message);
    if (restored.done != OLD && restored.done != NEW) fail_msg("restored step %d", (int)restored.done);
    assert_same_model(whole, model);
    glia_model_free(model);
    return restored.done;
}

/* Fault injected at the child's k-th file system call. */
typedef enum harm { NONE, KILL, FAIL } harm;

/* Only file system calls are counted: the number of others (waiting for locks) varies between runs, and a kill between
 * two file calls has the same effect as a kill at the second. */
#ifdef __x86_64__
static bool touches_files(pid_t child) {
    const unsigned long long calls[] = { SYS_open,      SYS_openat,    SYS_write,    SYS_writev,     SYS_pwrite64,
                                         SYS_fsync,     SYS_fdatasync, SYS_rename,   SYS_link,       SYS_linkat,
                                         SYS_unlink,    SYS_unlinkat,  SYS_renameat, SYS_renameat2,  SYS_close,
                                         SYS_ftruncate, SYS_fchmod,    SYS_stat,     SYS_newfstatat, SYS_fstat,
                                         SYS_lstat,     SYS_readlink };
    struct user_regs_struct registers;
    ptrace(PTRACE_GETREGS, child, NULL, &registers);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (calls[i] == registers.orig_rax) return true;
    }
    return false;
}

/* Skips the system call that the child is entering; it fails with `code`. */
static bool fail_call(pid_t child, int code) {
    struct user_regs_struct registers;
    int status;
    ptrace(PTRACE_GETREGS, child, NULL, &registers);
    registers.orig_rax = ~0ull; /* no such call */
    ptrace(PTRACE_SETREGS, child, NULL, &registers);
    ptrace(PTRACE_SYSCALL, child, NULL, NULL);
    waitpid(child, &status, 0);
    ptrace(PTRACE_GETREGS, child, NULL, &registers);
    registers.rax = (unsigned long long)-(long long)code;
    ptrace(PTRACE_SETREGS, child, NULL, &registers);
    return true;
}
#else
static bool touches_files(pid_t child) { return (void)child, true; }
static bool fail_call(pid_t child, int code) { return (void)child, (void)code, false; }
#endif

/* Runs a save in a child and injects the fault at its file system call `at`, from 1. *calls: number of calls before it
 * ended or was killed. Returns 0 if the save reported success, 1 if it failed, -1 if the child was killed or cannot be
 * traced (then *calls is 0). */
static int save_with(harm what, int at, int code, int *calls) {
    clean(); /* the existing names may be links to one file */
    write_file(path, &old_file);
    write_file(previous, &older_file);
    *calls = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) child_saves(true);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    while (WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP) { /* sanitizers send themselves signals */
        ptrace(PTRACE_CONT, child, NULL, (void *)(intptr_t)WSTOPSIG(status));
        waitpid(child, &status, 0);
    }
    if (!WIFSTOPPED(status)) return -1;
    ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(intptr_t)PTRACE_O_TRACESYSGOOD);
    bool entry = true;
    for (;;) {
        ptrace(PTRACE_SYSCALL, child, NULL, NULL);
        waitpid(child, &status, 0);
        if (!WIFSTOPPED(status) || WSTOPSIG(status) == SIGSTOP) break;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) continue;
        const bool counts = entry && touches_files(child);
        if (counts && ++*calls == at && what == KILL) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return -1;
        }
        if (counts && *calls == at && what == FAIL && fail_call(child, code)) {
            continue; /* the child is past the call now */
        }
        entry = !entry;
    }
    if (WIFSTOPPED(status)) {
        ptrace(PTRACE_CONT, child, NULL, NULL);
        waitpid(child, &status, 0);
    }
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void fault_at_every_system_call(void **state) {
    (void)state;
    clean();
    glia_model *whole = left_alone(1);
    pid_t child = fork();
    if (child == 0) child_saves(false);
    int status, calls, calls_here;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    read_file(path, &old_file);
    read_file(previous, &older_file);
    int saved = save_with(NONE, 0, 0, &calls);
    if (calls == 0) {
        clean();
        glia_model_free(whole);
        skip(); /* ptrace is not allowed here */
    }
    assert_int_equal(saved, 0);
    assert_int_equal(check_what_is_there(whole), NEW);
    assert_true(calls > 8);

    int64_t last = OLD;
    for (int k = 1; k <= calls; k++) { /* once the new one exists it remains */
        assert_int_equal(save_with(KILL, k, 0, &calls_here), -1);
        int64_t found = check_what_is_there(whole);
        assert_true(found >= last);
        last = found;
    }
    assert_int_equal(last, NEW);

    const int codes[] = { ENOSPC, EIO };
    int failures = 0;
    for (int c = 0; c < 2; c++) {
        for (int k = 1; k <= calls; k++) {
            saved = save_with(FAIL, k, codes[c], &calls_here);
            assert_true(saved == 0 || saved == 1);
            int64_t found = check_what_is_there(whole);
            if (saved == 0) assert_int_equal(found, NEW);
            failures += saved;
        }
    }
#ifdef __x86_64__
    assert_true(failures >= 6); /* at least open, write, fsync and rename, with two error codes */
#endif
    glia_model_free(whole);
    clean();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_random_steps),
        cmocka_unit_test(fault_at_every_system_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
