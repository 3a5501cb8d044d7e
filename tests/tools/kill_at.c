/* kill_at.c - runs a command and kills it, or makes the disk fail, at the n-th system call that changes a file.
 *
 *     kill_at [--torn | --fail=ERRNO[:COUNT]] N COMMAND ARGUMENT...
 *
 * Calls of all threads that write, create, truncate, rename, link or remove are counted, except writes to the standard
 * streams. N = 0 only counts. The process is killed before call N; with --torn, if that call is a write, after half of
 * it. With --fail, call N and the COUNT - 1 after it (default: all) are skipped and return the error, except those that
 * free disk space.
 *
 * The last line of stdout is the number of calls. The exit status is the command's; 137 if it was killed; 77 if
 * processes cannot be traced here. --torn and --fail need x86-64 and have no effect elsewhere. Linux only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIP = 77, KILLED = 137 };

/* System calls that can change a file, as far as this architecture has them. */
static const int calls[] = {
    SYS_write,    SYS_pwrite64, SYS_writev,    SYS_ftruncate, SYS_openat, SYS_renameat, SYS_linkat,
    SYS_unlinkat, SYS_mkdirat,  SYS_renameat2, SYS_pwritev,
#ifdef SYS_open
    SYS_open,     SYS_rename,   SYS_link,      SYS_unlink,    SYS_mkdir,  SYS_rmdir,    SYS_truncate,
#endif
};
enum { CALLS = sizeof calls / sizeof calls[0] };

typedef struct harm {
    long at, count; /* calls [at, at + count) */
    bool torn;
    int fail; /* errno; 0: kill */
} harm;

/* Installs a seccomp filter that stops the process at each of these calls; others run at full speed. */
static bool filter(void) {
    struct sock_filter code[CALLS + 3];
    int n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < CALLS; i++) {
        code[n++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], (unsigned char)(CALLS - i), 0);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    struct sock_fprog program = { .len = (unsigned short)n, .filter = code };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The system call that a stopped thread is about to make. */
typedef struct call {
    long number;
    uint64_t arguments[6];
} call;

static bool look(pid_t thread, call *c) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) return false;
    c->number = (long)info.seccomp.nr;
    memcpy(c->arguments, info.seccomp.args, sizeof c->arguments);
    return true;
}

static bool writes(const call *c) { return c->number == SYS_write || c->number == SYS_pwrite64; }

static bool changes_a_file(const call *c) {
    if (writes(c) || c->number == SYS_writev) return (int)c->arguments[0] > STDERR_FILENO;
    uint64_t flags = c->number == SYS_openat ? c->arguments[2] : O_CREAT;
#ifdef SYS_open
    if (c->number == SYS_open) flags = c->arguments[1];
#endif
    return flags & (O_CREAT | O_TRUNC);
}

static bool gives_room(const call *c) {
    bool gives = c->number == SYS_unlinkat || c->number == SYS_ftruncate;
#ifdef SYS_open
    gives = gives || c->number == SYS_unlink || c->number == SYS_rmdir || c->number == SYS_truncate;
#endif
    return gives;
}

#ifdef __x86_64__
/* Halves the byte count of the pending write and runs it. */
static void tear(pid_t thread) {
    struct user_regs_struct registers;
    int status;
    ptrace(PTRACE_GETREGS, thread, NULL, &registers);
    registers.rdx /= 2;
    ptrace(PTRACE_SETREGS, thread, NULL, &registers);
    ptrace(PTRACE_SYSCALL, thread, NULL, NULL);
    waitpid(thread, &status, __WALL);
}

/* Skips the call; it returns -code. */
static void refuse(pid_t thread, int code) {
    struct user_regs_struct registers;
    ptrace(PTRACE_GETREGS, thread, NULL, &registers);
    registers.orig_rax = ~0ull;
    registers.rax = (unsigned long long)-(long long)code;
    ptrace(PTRACE_SETREGS, thread, NULL, &registers);
}
#else
static void tear(pid_t thread) { (void)thread; }
static void refuse(pid_t thread, int code) { (void)thread, (void)code; }
#endif

/* Runs the stopped child until it ends or is killed. Returns the exit status. */
static int watch(pid_t child, const harm *h, long *counted) {
    for (;;) {
        int status;
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0) return KILLED;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread != child) continue;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int signal_number = WSTOPSIG(status), event = status >> 16;
        call c;
        if (event == PTRACE_EVENT_SECCOMP && look(thread, &c) && changes_a_file(&c)) {
            const long n = ++*counted - h->at;
            if (h->at && n == 0 && !h->fail) {
                if (h->torn && writes(&c) && c.arguments[2] > 1) tear(thread);
                kill(child, SIGKILL);
                while (waitpid(-1, &status, __WALL) > 0) {}
                return KILLED;
            }
            if (h->at && h->fail && n >= 0 && n < h->count && !gives_room(&c)) refuse(thread, h->fail);
        }
        bool ours = event || signal_number == SIGTRAP || signal_number == SIGSTOP;
        ptrace(PTRACE_CONT, thread, NULL, (void *)(intptr_t)(ours ? 0 : signal_number));
    }
}

static bool parse(harm *h, int *argc, char ***argv) {
    *h = (harm){ .count = 1 << 30 };
    for (++*argv, --*argc; *argc > 0 && (*argv)[0][0] == '-'; ++*argv, --*argc) {
        char *word = (*argv)[0], *colon = strchr(word, ':');
        if (strcmp(word, "--torn") == 0) h->torn = true;
        if (strncmp(word, "--fail=", 7) == 0) h->fail = atoi(word + 7);
        if (colon) h->count = atol(colon + 1);
    }
    if (*argc < 2) return false;
    h->at = atol((*argv)[0]);
    ++*argv, --*argc;
    return true;
}

int main(int argc, char **argv) {
    harm h;
    if (!parse(&h, &argc, &argv)) return 2;
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(SKIP);
        raise(SIGSTOP);
        if (!filter()) _exit(SKIP);
        execvp(argv[0], argv);
        _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return SKIP;
    const long options =
        PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)options) != 0) {
        kill(child, SIGKILL);
        return SKIP;
    }
    long counted = 0;
    ptrace(PTRACE_CONT, child, NULL, NULL);
    status = watch(child, &h, &counted);
    printf("%ld\n", counted);
    return status;
}
