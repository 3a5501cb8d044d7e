/* kept.c - caches a model's programs and tasks between predictions and evaluations, so that a repeated call costs no
 * more than its run.
 *
 *     model ──► shelf: outputs and kind of backend ──► programs, one for each batch size: shared
 *                                                  └─► idle tasks, with a session for each program: one task a call
 *
 * Concurrent calls take a task each and share the programs with their fixed values: packed weights exist once
 * (core/program/fixed.c). A shelf is valid while the model's graph, which only grows, has the same length, its store is
 * the same, and the backend has the traits that the programs were compiled for. Values may change between calls: each
 * pass begins with glia_task_look(), after which fixed values are recomputed if the store has changed.
 *
 * The model's mutex guards everything here except tasks in use. Memory is bounded: programs whose sessions are larger
 * than SESSION_MOST are not kept, nor the least recently used tasks beyond IDLE_MOST bytes, nor shelves beyond
 * SHELVES_MOST.
 */
#include <stdlib.h>

#include "core/program/program.h"
#include "train/model/task.h"

enum { SHELVES_MOST = 8, PROGRAMS_MOST = GLIA_TASK_LANES };
static const size_t SESSION_MOST = (size_t)64 << 20; /* bytes of a session, without fixed values */
static const size_t PROGRAM_MOST = (size_t)1 << 30;  /* bytes of a task's sessions, with fixed values */
static const size_t IDLE_MOST = (size_t)256 << 20;   /* bytes of all idle tasks of a shelf, without fixed values */

typedef struct shelved {
    glia_program *program;
    int64_t batch, used;
} shelved;

typedef struct glia_shelf {
    struct glia_shelf *next;
    glia_model *model;
    glia_wanted wanted;
    bool own_backend; /* tasks open their own, with this number of threads */
    int threads;
    glia_backend_traits traits;
    const glia_store *store;
    int n_nodes, n_outputs; /* of the model's graph */
    shelved programs[PROGRAMS_MOST];
    int n_programs;
    int64_t asked;
    glia_kept *idle; /* the most recently returned first */
    int in_use;
} glia_shelf;

/* ---- tasks ---------------------------------------------------------------------------------- */

static void destroy_kept(glia_kept *kept) {
    glia_task_end(&kept->task);
    free(kept);
}

/* Frees a list. */
static void destroy_idle(glia_kept *kept) {
    while (kept) {
        glia_kept *next = kept->next;
        destroy_kept(kept);
        kept = next;
    }
}

void glia_kept_free(glia_kept *kept) {
    if (!kept) return;
    glia_model *model = kept->task.model;
    pthread_mutex_lock(&model->mutex);
    kept->shelf->in_use--;
    pthread_mutex_unlock(&model->mutex);
    destroy_kept(kept);
}

static size_t session_bytes(const glia_lane *lane) { return lane->program->plan.fixed_offset; }

/* Drops lanes that are too large, then the least recently used ones until the task is small enough. */
static void trim_task(glia_task *task) {
    size_t total = 0;
    for (int i = task->n_lanes - 1; i >= 0; i--) {
        if (session_bytes(&task->lanes[i]) > SESSION_MOST)
            glia_task_drop(task, i);
        else
            total += task->lanes[i].program->plan.activation_bytes;
    }
    while (task->n_lanes > 2 && total > PROGRAM_MOST) {
        int oldest = 0;
        for (int i = 1; i < task->n_lanes; i++) {
            if (task->lanes[i].used < task->lanes[oldest].used) oldest = i;
        }
        total -= task->lanes[oldest].program->plan.activation_bytes;
        glia_task_drop(task, oldest);
    }
}

/* Removes the idle tasks beyond the limit from the shelf. */
static glia_kept *take_surplus(glia_shelf *shelf) {
    size_t total = 0;
    for (glia_kept **at = &shelf->idle; *at; at = &(*at)->next) {
        for (int i = 0; i < (*at)->task.n_lanes; i++) total += session_bytes(&(*at)->task.lanes[i]);
        if (total <= IDLE_MOST || at == &shelf->idle) continue;
        glia_kept *surplus = *at;
        *at = NULL;
        return surplus;
    }
    return NULL;
}

/* ---- programs ------------------------------------------------------------------------------- */

/* Under the mutex: the program, held for the caller; NULL if there is none. */
static glia_program *find_program(glia_shelf *shelf, int64_t batch) {
    for (int i = 0; i < shelf->n_programs; i++) {
        shelved *s = &shelf->programs[i];
        if (s->batch != batch) continue;
        s->used = ++shelf->asked;
        return glia_program_hold(s->program);
    }
    return NULL;
}

/* Under the mutex: frees programs without sessions, and the least recently used one if the shelf is full. */
static void trim_programs(glia_shelf *shelf) {
    int oldest = 0;
    for (int i = shelf->n_programs - 1; i >= 0; i--) {
        if (atomic_load(&shelf->programs[i].program->holders) > 1) continue;
        glia_program_free(shelf->programs[i].program);
        shelf->programs[i] = shelf->programs[--shelf->n_programs];
    }
    if (shelf->n_programs < PROGRAMS_MOST) return;
    for (int i = 1; i < shelf->n_programs; i++) {
        if (shelf->programs[i].used < shelf->programs[oldest].used) oldest = i;
    }
    glia_program_free(shelf->programs[oldest].program);
    shelf->programs[oldest] = shelf->programs[--shelf->n_programs];
}

glia_program *glia_shelf_program(glia_shelf *shelf, const glia_task *task, int64_t n, glia_error *error) {
    glia_model *model = shelf->model;
    pthread_mutex_lock(&model->mutex);
    glia_program *program = find_program(shelf, n);
    pthread_mutex_unlock(&model->mutex);
    if (program) return program;
    glia_program *compiled = glia_task_compile(task, n, error);
    if (!compiled) return NULL;
    pthread_mutex_lock(&model->mutex);
    program = find_program(shelf, n); /* another thread may have compiled it meanwhile */
    if (!program) {
        trim_programs(shelf);
        shelf->programs[shelf->n_programs++] = (shelved){ compiled, n, ++shelf->asked };
        program = glia_program_hold(compiled);
        compiled = NULL;
    }
    pthread_mutex_unlock(&model->mutex);
    glia_program_free(compiled);
    return program;
}

/* ---- shelves -------------------------------------------------------------------------------- */

static void destroy_shelf(glia_shelf *shelf) {
    destroy_idle(shelf->idle);
    for (int i = 0; i < shelf->n_programs; i++) glia_program_free(shelf->programs[i].program);
    free(shelf);
}

static bool is_current(const glia_shelf *s, const glia_model *m) {
    return s->store == m->store && s->n_nodes == m->graph->n_nodes && s->n_outputs == m->graph->n_outputs;
}

static bool serves(const glia_shelf *s, const glia_wanted *w, const glia_backend *backend, int threads) {
    if (s->wanted.purpose != w->purpose || s->wanted.loss != w->loss || s->wanted.y_dtype != w->y_dtype) return false;
    if (!glia_shape_equal(s->wanted.y_shape, w->y_shape) || s->wanted.classes != w->classes) return false;
    if (!backend) return s->own_backend && s->threads == threads;
    const glia_backend_traits traits = glia_backend_traits_of(backend);
    return !s->own_backend && traits.kind == s->traits.kind && traits.kernels == s->traits.kernels &&
           traits.workers == s->traits.workers;
}

/* Under the mutex: removes outdated shelves, and the last one if there are too many, from the model's list. */
static glia_shelf *take_outdated(glia_model *model) {
    glia_shelf *out = NULL;
    int n = 0;
    for (glia_shelf **at = &model->shelves; *at;) {
        glia_shelf *s = *at;
        const bool keep = s->in_use > 0 || (is_current(s, model) && n < SHELVES_MOST);
        n++;
        if (keep) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        s->next = out;
        out = s;
    }
    return out;
}

static void destroy_shelves(glia_shelf *shelf) {
    while (shelf) {
        glia_shelf *next = shelf->next;
        destroy_shelf(shelf);
        shelf = next;
    }
}

/* Under the mutex: the matching shelf, moved to the front; NULL if there is none. */
static glia_shelf *find_shelf(glia_model *model, const glia_wanted *wanted, glia_backend *backend, int threads) {
    for (glia_shelf **at = &model->shelves; *at; at = &(*at)->next) {
        glia_shelf *s = *at;
        if (!is_current(s, model) || !serves(s, wanted, backend, threads)) continue;
        *at = s->next;
        s->next = model->shelves;
        model->shelves = s;
        return s;
    }
    return NULL;
}

/* Under the mutex: a new shelf, at the front; NULL: out of memory. */
static glia_shelf *add_shelf(glia_model *model, const glia_wanted *wanted, glia_backend *backend, int threads) {
    glia_shelf *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (glia_shelf){ .next = model->shelves,
                       .model = model,
                       .wanted = *wanted,
                       .own_backend = !backend,
                       .threads = threads,
                       .store = model->store,
                       .n_nodes = model->graph->n_nodes,
                       .n_outputs = model->graph->n_outputs };
    if (backend) s->traits = glia_backend_traits_of(backend);
    model->shelves = s;
    return s;
}

/* ---- taking and returning --------------------------------------------------------------------- */

static glia_kept *create_kept(glia_shelf *shelf, glia_backend *backend, glia_error *error) {
    glia_kept *kept = calloc(1, sizeof *kept);
    if (!kept) {
        glia_fail_nomem(error);
        return NULL;
    }
    kept->shelf = shelf;
    kept->n_nodes = shelf->n_nodes;
    const glia_status status = glia_task_begin(&kept->task, shelf->model, backend, shelf->threads, GLIA_INFER, error);
    if (status != GLIA_OK) {
        destroy_kept(kept);
        return NULL;
    }
    kept->task.shelf = shelf;
    return kept;
}

/* Takes a matching idle task from its shelf; NULL if there is none. Allocates nothing. */
static glia_kept *take_idle(glia_model *model, const glia_wanted *wanted, glia_backend *backend, int threads) {
    if (glia_graph_check(model->graph, NULL) != GLIA_OK) return NULL;
    pthread_mutex_lock(&model->mutex);
    glia_shelf *shelf = find_shelf(model, wanted, backend, threads);
    glia_kept *kept = shelf ? shelf->idle : NULL;
    if (kept) {
        shelf->idle = kept->next;
        shelf->in_use++;
    }
    pthread_mutex_unlock(&model->mutex);
    if (!kept) return NULL;
    kept->next = NULL;
    if (!backend) return kept;
    kept->task.backend = backend; /* the previous one may have been closed */
    for (int i = 0; i < kept->task.n_lanes; i++) glia_session_move(kept->task.lanes[i].session, backend);
    return kept;
}

glia_kept *glia_model_take(glia_model *model, glia_wanted wanted, glia_backend *backend, int threads,
                           glia_error *error) {
    glia_kept *kept = take_idle(model, &wanted, backend, threads);
    if (kept) return kept;
    if (glia_model_ready(model, 0, error) != GLIA_OK) return NULL;
    pthread_mutex_lock(&model->mutex);
    glia_shelf *outdated = take_outdated(model);
    glia_shelf *shelf = find_shelf(model, &wanted, backend, threads);
    if (!shelf) shelf = add_shelf(model, &wanted, backend, threads);
    if (shelf) shelf->in_use++;
    pthread_mutex_unlock(&model->mutex);
    destroy_shelves(outdated);
    if (!shelf) {
        glia_fail_nomem(error);
        return NULL;
    }
    kept = create_kept(shelf, backend, error);
    if (kept) return kept;
    pthread_mutex_lock(&model->mutex);
    shelf->in_use--;
    pthread_mutex_unlock(&model->mutex);
    return NULL;
}

void glia_model_give(glia_model *model, glia_kept *kept) {
    glia_shelf *shelf = kept->shelf;
    trim_task(&kept->task);
    pthread_mutex_lock(&model->mutex);
    shelf->in_use--;
    kept->next = shelf->idle;
    shelf->idle = kept;
    glia_kept *surplus = take_surplus(shelf);
    pthread_mutex_unlock(&model->mutex);
    destroy_idle(surplus);
}

const glia_kept *glia_model_idle(const glia_model *model, glia_purpose purpose) {
    for (const glia_shelf *s = model->shelves; s; s = s->next) {
        if (s->wanted.purpose == purpose && s->idle) return s->idle;
    }
    return NULL;
}

void glia_model_forget(glia_model *model) {
    pthread_mutex_lock(&model->mutex);
    glia_shelf *shelves = model->shelves;
    model->shelves = NULL;
    pthread_mutex_unlock(&model->mutex);
    destroy_shelves(shelves);
}
