/* process.c - an environment in another process, in any language, by lines of JSON on its stdin and stdout.
 *
 *     it begins with     {"observations": 4, "choices": 2}               4 numbers; or {"states": 16, ...}
 *                        {"observations": 3, "low": [-2], "high": [2]}   actions that are numbers, with bounds
 *     {"reset": 7}   ──► {"observation": [0.1, 0, 0, 0]}                 7: a seed; of states a number
 *     {"step": 1}    ──► {"observation": [...], "reward": 1, "terminated": false, "truncated": false}
 *
 * Each copy is a process of its own. One that does not answer in time, ends, or answers something else is an error that
 * names it; the processes, with those that they have started, are killed when the handle is freed. Its state is its
 * own, so it cannot be saved or cloned.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "data/environments/environments.h"

extern char **environ;

enum { LONGEST_LINE = 1 << 20, SHOWN = 60, MOST_ACTIONS = 64, MOST_NUMBERS = 1 << 20 };

typedef struct child {
    pid_t pid;      /* 0: none */
    int socket;     /* -1: none */
    glia_text read; /* bytes after the last line */
} child;

typedef struct process {
    /* settings */
    const char *command;
    double timeout;
    /* runtime */
    child *children;
    int64_t copies, numbers, states, choices, actions;
    float *seen; /* (copies, numbers); of states one number */
    float low[MOST_ACTIONS], high[MOST_ACTIONS];
} process;

static const glia_setting settings[] = {
    { "command", GLIA_SETTING_TEXT, offsetof(process, command), 0, 0, 0, NULL, "the program to start" },
    { "timeout", GLIA_SETTING_REAL, offsetof(process, timeout), 10, 0.001, 86400, NULL,
      "seconds in which it must answer" },
};

/* ---- lines ------------------------------------------------------------------------------------------ */

static glia_status fail_of(const process *p, int64_t copy, glia_error *error, const char *what) {
    return glia_fail(error, GLIA_E_IO, "the environment process '%.200s', copy %lld, %s", p->command, (long long)copy,
                     what);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static glia_status send_line(const process *p, int64_t copy, const glia_text *line, glia_error *error) {
    const child *c = &p->children[copy];
    for (size_t at = 0; at < line->length;) {
        const ssize_t n = send(c->socket, line->bytes + at, line->length - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail_of(p, copy, error, "has ended");
        at += (size_t)n;
    }
    return GLIA_OK;
}

/* Waits for more bytes until `end`. */
static glia_status receive(const process *p, int64_t copy, double end, glia_error *error) {
    child *c = &p->children[copy];
    char bytes[4096];
    struct pollfd waiting = { .fd = c->socket, .events = POLLIN };
    for (;;) {
        const double left = end - now();
        const int ready = left > 0 ? poll(&waiting, 1, (int)fmin(ceil(left * 1000), 1e9)) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) {
            char what[64];
            snprintf(what, sizeof what, "gave no answer within %g s", p->timeout);
            return fail_of(p, copy, error, what);
        }
        const ssize_t n = recv(c->socket, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail_of(p, copy, error, "has ended");
        glia_text_append(&c->read, bytes, (size_t)n);
        if (c->read.failed) return glia_fail_nomem(error);
        if (c->read.length > LONGEST_LINE) return fail_of(p, copy, error, "answered a line of more than a megabyte");
        return GLIA_OK;
    }
}

/* Reads one line as JSON into the arena. */
static glia_status read_line(const process *p, int64_t copy, glia_arena *arena, const glia_json **line,
                             glia_error *error) {
    child *c = &p->children[copy];
    const double end = now() + p->timeout;
    const char *newline;
    while (!(newline = c->read.length ? memchr(c->read.bytes, '\n', c->read.length) : NULL)) {
        glia_status status = receive(p, copy, end, error);
        if (status != GLIA_OK) return status;
    }
    const size_t length = (size_t)(newline - c->read.bytes);
    glia_error reason = { 0 };
    char *text = glia_arena_printf(arena, "%.*s", (int)length, c->read.bytes);
    memmove(c->read.bytes, newline + 1, c->read.length - length - 1);
    c->read.length -= length + 1;
    if (!text) return glia_fail_nomem(error);
    *line = glia_json_parse(arena, (const uint8_t *)text, strlen(text), 0, &reason);
    if (*line && (*line)->kind == GLIA_JSON_OBJECT) return GLIA_OK;
    if (reason.status == GLIA_E_NOMEM) return glia_fail_nomem(error);
    return glia_fail(error, GLIA_E_FORMAT,
                     "the environment process '%.200s', copy %lld, answered '%.*s', which is no object of JSON",
                     p->command, (long long)copy, SHOWN, text);
}

/* ---- starting and ending -------------------------------------------------------------------------------- */

static glia_status start(process *p, int64_t copy, glia_error *error) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return fail_of(p, copy, error, strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t how; /* a group of its own, which ends with all that it has started */
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    char *const arguments[] = { (char *)(uintptr_t)p->command, NULL };
    child *c = &p->children[copy];
    const int failed = posix_spawnp(&c->pid, p->command, &actions, &how, arguments, environ);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    c->socket = ends[0];
    if (!failed) return GLIA_OK;
    c->pid = 0;
    return glia_fail(error, GLIA_E_IO, "the environment process '%.200s' cannot be started: %s", p->command,
                     strerror(failed));
}

static void close_process(void *settings_of) {
    process *p = settings_of;
    for (int64_t i = 0; p->children && i < p->copies; i++) {
        child *c = &p->children[i];
        if (c->socket >= 0) close(c->socket);
        if (c->pid > 0) {
            kill(-c->pid, SIGKILL);
            while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) continue;
        }
        free(c->read.bytes);
    }
    free(p->children);
    free(p->seen);
    p->children = NULL;
    p->seen = NULL;
}

static bool take_count(const glia_json *line, const char *key, int64_t most, int64_t *count) {
    const glia_json *value = glia_json_member(line, key);
    *count = 0;
    return !value || (glia_json_int(value, count) && *count >= 1 && *count <= most);
}

static int take_list(const glia_json *line, const char *key, float *out) {
    const glia_json *list = glia_json_member(line, key);
    if (!list || list->kind != GLIA_JSON_ARRAY || list->count > MOST_ACTIONS) return 0;
    int n = 0;
    for (const glia_json *x = list->first; x; x = x->next)
        out[n++] = x->kind == GLIA_JSON_NUMBER ? (float)x->number : NAN;
    return n;
}

static glia_status describe(process *p, int64_t copy, glia_error *error) {
    glia_arena arena = { 0 };
    const glia_json *line = NULL;
    glia_status status = read_line(p, copy, &arena, &line, error);
    if (status == GLIA_OK) {
        bool good = take_count(line, "observations", MOST_NUMBERS, &p->numbers) &&
                    take_count(line, "states", INT32_MAX, &p->states) &&
                    take_count(line, "choices", INT32_MAX, &p->choices) && !p->numbers != !p->states;
        p->actions = take_list(line, "low", p->low);
        good =
            good && (p->choices ? p->actions == 0 : p->actions > 0) && take_list(line, "high", p->high) == p->actions;
        for (int64_t i = 0; i < p->actions; i++) good = good && p->low[i] < p->high[i];
        if (!good) {
            status = fail_of(p, copy, error,
                             "must begin with its \"observations\" or \"states\", and its \"choices\" or "
                             "\"low\" and \"high\"");
        }
    }
    glia_arena_free(&arena);
    return status;
}

static glia_status open_all(process *p, glia_error *error) {
    for (int64_t i = 0; i < p->copies; i++) {
        glia_status status = start(p, i, error);
        if (status == GLIA_OK) status = describe(p, i, error);
        if (status != GLIA_OK) return status;
    }
    p->seen = calloc((size_t)p->copies, (size_t)GLIA_MAX(p->numbers, 1) * sizeof *p->seen);
    return p->seen ? GLIA_OK : glia_fail_nomem(error);
}

static glia_status open_process(void *settings_of, int64_t copies, glia_error *error) {
    process *p = settings_of;
    if (!p->command) {
        return glia_fail(error, GLIA_E_ARGUMENT, "process needs a command: \"process?command=./world.py\"");
    }
    p->copies = copies;
    p->children = calloc((size_t)copies, sizeof *p->children);
    if (!p->children) return glia_fail_nomem(error);
    for (int64_t i = 0; i < copies; i++) p->children[i].socket = -1;
    glia_status status = open_all(p, error);
    if (status != GLIA_OK) close_process(p);
    return status;
}

static void spaces(const void *settings_of, glia_space *observation, glia_space *action) {
    const process *p = settings_of;
    if (p->states)
        *observation = (glia_space){ .kind = GLIA_SPACE_DISCRETE, .n = p->states, .dtype = GLIA_I32 };
    else
        *observation = (glia_space){ .kind = GLIA_SPACE_BOX, .dtype = GLIA_F32, .shape = GLIA_SHAPE(p->numbers) };
    if (p->choices)
        *action = (glia_space){ .kind = GLIA_SPACE_DISCRETE, .n = p->choices, .dtype = GLIA_I32 };
    else
        *action = (glia_space){
            .kind = GLIA_SPACE_BOX, .dtype = GLIA_F32, .shape = GLIA_SHAPE(p->actions), .low = p->low, .high = p->high
        };
}

/* ---- acting ----------------------------------------------------------------------------------------------- */

/* What it must answer: an observation, and after a step the rest. */
static bool take_answer(const process *p, int64_t copy, const glia_json *line, bool stepped, glia_env_outcome *out) {
    const glia_json *seen = glia_json_member(line, "observation"), *reward = glia_json_member(line, "reward");
    const glia_json *terminated = glia_json_member(line, "terminated"),
                    *truncated = glia_json_member(line, "truncated");
    float *to = p->seen + copy * GLIA_MAX(p->numbers, 1);
    if (!seen) return false;
    if (p->states) {
        if (seen->kind != GLIA_JSON_NUMBER || !glia_env_is_index(seen->number, p->states)) return false;
        memcpy(to, &(int32_t){ (int32_t)seen->number }, sizeof(int32_t));
    } else {
        if (seen->kind != GLIA_JSON_ARRAY || seen->count != p->numbers) return false;
        for (const glia_json *x = seen->first; x; x = x->next) {
            if (x->kind != GLIA_JSON_NUMBER) return false;
            *to++ = (float)x->number;
        }
    }
    if (!stepped) return true;
    if (!reward || reward->kind != GLIA_JSON_NUMBER || !terminated || terminated->kind != GLIA_JSON_BOOL) return false;
    if (truncated && truncated->kind != GLIA_JSON_BOOL) return false;
    out->reward = reward->number;
    out->terminated = terminated->number != 0;
    out->truncated = truncated && truncated->number != 0;
    return true;
}

static glia_status ask(const glia_env_at *at, glia_text *question, bool stepped, glia_env_outcome *out,
                       glia_error *error) {
    const process *p = at->settings;
    glia_arena arena = { 0 };
    const glia_json *line = NULL;
    glia_text_append(question, "}\n", 2);
    glia_status status = question->failed ? glia_fail_nomem(error) : send_line(p, at->copy, question, error);
    if (status == GLIA_OK) status = read_line(p, at->copy, &arena, &line, error);
    if (status == GLIA_OK && !take_answer(p, at->copy, line, stepped, out)) {
        status = fail_of(p, at->copy, error,
                         stepped ? "answered a step without a fitting \"observation\", \"reward\" and "
                                   "\"terminated\""
                                 : "answered a reset without a fitting \"observation\"");
    }
    glia_arena_free(&arena);
    free(question->bytes);
    return status;
}

static glia_status reset(const glia_env_at *at, glia_env_outcome *out, glia_error *error) {
    glia_text question = { 0 };
    glia_text_printf(&question, "{\"reset\": %lld", (long long)glia_env_below(at->random, INT32_MAX));
    return ask(at, &question, false, out, error);
}

static glia_status step(const glia_env_at *at, const void *action, glia_env_outcome *out, glia_error *error) {
    const process *p = at->settings;
    char number[GLIA_NUMBER_TEXT];
    glia_text question = { 0 };
    if (p->choices) glia_text_printf(&question, "{\"step\": %d", (int)*(const int32_t *)action);
    for (int64_t i = 0; i < p->actions; i++) {
        const double value = (double)((const float *)action)[i];
        glia_text_printf(&question, "%s%s", i ? ", " : "{\"step\": [", glia_number_print(value, number));
    }
    if (p->actions) glia_text_append(&question, "]", 1);
    return ask(at, &question, true, out, error);
}

static void observe(const glia_env_at *at, void *observation) {
    const process *p = at->settings;
    const size_t n = (size_t)GLIA_MAX(p->numbers, 1);
    memcpy(observation, p->seen + (size_t)at->copy * n, n * sizeof(float));
}

const glia_env_kind glia_env_process = {
    .name = "process",
    .summary = "a world in a process of its own, by lines of JSON",
    .observation = { GLIA_SPACE_BOX, 0, GLIA_F32, { 1, { 1 } }, NULL, NULL },
    .action = { GLIA_SPACE_DISCRETE, 2, GLIA_I32, { 0 }, NULL, NULL },
    .spaces = spaces,
    .threshold = NAN,
    .settings = settings,
    .n_settings = GLIA_COUNT(settings),
    .bytes = sizeof(process),
    .state = 1,
    .reset = reset,
    .step = step,
    .observe = observe,
    .open = open_process,
    .close = close_process,
};
