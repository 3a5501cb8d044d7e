/* session.c - a running instance of a program: memory for its activations, and launches bound to addresses.
 *
 * Everything that can fail happens in glia_session_create(). A run executes the launches, copies the few new values
 * that could not be computed in place, and advances the random state; it does not allocate or choose.
 *
 * A frozen program begins with launches whose results are the same in every run. They run once, before the first run or
 * in glia_session_refresh(). The setups of other launches that pack these results run between them, as early as
 * possible, because the plan may reuse the results' memory for the next launch. Other sessions share what they produce
 * (fixed.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/program/program.h"
#include "core/program/store.h"

typedef struct copy {
    void *to;
    const void *from;
    size_t bytes;
} copy;

struct glia_session {
    glia_program *program;
    glia_backend *backend;
    const glia_store *store;
    void **address; /* by node id; NULL: not materialised */
    char *activations;
    glia_launches launches;
    glia_fixed *fixed; /* NULL: nothing is fixed */
    bool fresh;        /* the fixed values have been computed and packed */
    copy *copies;
    int n_copies;
    int64_t *rng;     /* the state "rng" {seed, step}, if the program draws random numbers */
    bool writes_base; /* an update changes a tensor that the store finds in what it stands on */
    glia_arena arena;
};

/* The store's tensor for a leaf, checked. */
static glia_status leaf_address(const glia_store *store, const glia_node *leaf, void **address, glia_error *error) {
    const char *name = glia_leaf_of(leaf)->name;
    glia_array array;
    if (!store || !glia_store_look(store, name, &array)) {
        return glia_fail(error, GLIA_E_NOT_FOUND, "the store has no tensor '%s'", name);
    }
    if (array.dtype != leaf->dtype || !glia_shape_equal(array.shape, leaf->shape)) {
        char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
        return glia_fail(error, GLIA_E_SHAPE, "'%s' is %s%s in the store and %s%s in the program", name,
                         glia_dtype_name(array.dtype), glia_shape_format(array.shape, a), glia_dtype_name(leaf->dtype),
                         glia_shape_format(leaf->shape, b));
    }
    *address = array.data;
    return GLIA_OK;
}

static glia_status bind(glia_session *s, const glia_store *store, glia_error *error) {
    const glia_program *p = s->program;
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const glia_place *place = &p->plan.place[i];
        if (place->kind == GLIA_PLACE_ACTIVATION && place->offset < p->plan.fixed_offset)
            s->address[i] = s->activations + place->offset;
        if (place->kind == GLIA_PLACE_CONSTANT) s->address[i] = (char *)p->constants + place->offset;
        if (place->kind != GLIA_PLACE_LEAF) continue;
        glia_status status = leaf_address(store, place->leaf, &s->address[i], error);
        if (status != GLIA_OK) return status;
        if (glia_is_random_state(place->leaf)) s->rng = s->address[i];
        s->address[i] = (char *)s->address[i] + place->offset;
    }
    return GLIA_OK;
}

/* What is copied to its leaf after a run, because it could not be computed there. */
static glia_status bind_copies(glia_session *s, const glia_store *store, glia_error *error) {
    const glia_program *p = s->program;
    for (int u = 0; u < p->graph->n_updates; u++) { /* a leaf may be only written, and have no node */
        const glia_change *change = &p->graph->updates[u];
        void *to;
        glia_status status = leaf_address(store, change->leaf, &to, error);
        if (status != GLIA_OK) return status;
        s->writes_base = s->writes_base || !glia_store_owns(store, glia_leaf_of(change->leaf)->name);
        if (p->schedule.in_place[u]) continue;
        s->copies[s->n_copies++] =
            (copy){ to, s->address[change->value->id], glia_shape_bytes(change->leaf->shape, change->leaf->dtype) };
    }
    return GLIA_OK;
}

/* Inputs with an initial value of their own, like the learning rate, get it. */
static void fill_inputs(glia_session *s) {
    const glia_graph *g = s->program->graph;
    for (int i = 0; i < g->n_nodes; i++) {
        const glia_node *n = g->nodes[i];
        if (!glia_is_input(n) || glia_leaf_of(n)->value == 0) continue;
        int64_t count = glia_shape_count(n->shape);
        char *at = s->address[i];
        for (int64_t j = 0; j < count; j++) {
            glia_from_double(n->dtype, &glia_leaf_of(n)->value, at + (size_t)j * glia_dtype_size(n->dtype), 1);
        }
    }
}

/* Binds the fixed memory. It is looked up by the leaves' addresses, so those are bound first. */
static glia_status bind_fixed(glia_session *s, glia_error *error) {
    const glia_plan *plan = &s->program->plan;
    if (plan->fixed_offset == plan->activation_bytes) return GLIA_OK;
    s->fixed = glia_fixed_join(s->program, s->address, error);
    if (!s->fixed) return GLIA_E_NOMEM;
    for (int i = 0; i < s->program->graph->n_nodes; i++) {
        const glia_place *place = &plan->place[i];
        if (place->kind == GLIA_PLACE_ACTIVATION && place->offset >= plan->fixed_offset)
            s->address[i] = s->fixed->memory + (place->offset - plan->fixed_offset);
    }
    return GLIA_OK;
}

glia_session *glia_session_create(glia_program *program, glia_store *store, glia_error *error) {
    if (!program) {
        glia_fail(error, GLIA_E_ARGUMENT, "glia_session_create: the program is NULL");
        return NULL;
    }
    return glia_session_create_on(program, program->backend, store, error);
}

glia_session *glia_session_create_on(glia_program *program, glia_backend *backend, glia_store *store,
                                     glia_error *error) {
    glia_session *s = calloc(1, sizeof *s);
    if (!s) {
        glia_fail_nomem(error);
        return NULL;
    }
    s->program = glia_program_hold(program);
    s->backend = backend;
    s->store = store;
    s->address = calloc((size_t)program->graph->n_nodes + 1, sizeof *s->address);
    s->copies = calloc((size_t)program->graph->n_updates + 1, sizeof *s->copies);
    s->activations = glia_alloc_aligned(program->plan.fixed_offset);
    bool ok = s->address && s->copies && s->activations;
    glia_status status = ok ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) status = bind(s, store, error);
    if (status == GLIA_OK) status = bind_fixed(s, error);
    if (status == GLIA_OK) status = bind_copies(s, store, error);
    if (status == GLIA_OK) {
        fill_inputs(s);
        status = glia_launches_prepare(&s->launches, backend, &program->schedule, &program->plan, s->address,
                                       s->activations, s->fixed ? s->fixed->memory : s->activations, &s->arena, error);
    }
    if (status == GLIA_OK) return s;
    glia_session_free(s);
    return NULL;
}

void glia_session_free(glia_session *s) {
    if (!s) return;
    glia_fixed_leave(s->program, s->fixed);
    glia_program_free(s->program);
    free(s->address);
    free(s->copies);
    free(s->activations);
    glia_arena_free(&s->arena);
    free(s);
}

static glia_array array_of(const glia_node *n, const char *name, void *data) {
    return (glia_array){ .name = name, .dtype = n->dtype, .shape = n->shape, .data = data };
}

/* Names the nearest input, or lists those that exist. */
static void fail_input(const glia_graph *g, const char *name, glia_error *error) {
    const char *names[32];
    int n = 0;
    for (int i = 0; i < g->n_nodes && n < GLIA_COUNT(names); i++) {
        if (glia_is_input(g->nodes[i])) names[n++] = glia_leaf_of(g->nodes[i])->name;
    }
    const char *near = glia_nearest(name, names, n);
    if (near) {
        glia_fail(error, GLIA_E_NOT_FOUND, "the program has no input '%s'; did you mean '%s'?", name, near);
        return;
    }
    char list[256] = "";
    size_t at = 0;
    for (int i = 0; i < n && at < sizeof list; i++) {
        const int wrote = snprintf(list + at, sizeof list - at, "%s'%s'", i ? ", " : "", names[i]);
        at += (size_t)GLIA_MAX(wrote, 0);
    }
    glia_fail(error, GLIA_E_NOT_FOUND, "the program has no input '%s', or computes nothing that needs it; it has %s",
              name, n ? list : "none");
}

void *glia_session_input(glia_session *s, const char *name, glia_array *array, glia_error *error) {
    if (!s || !name) {
        glia_fail(error, GLIA_E_ARGUMENT, "glia_session_input: the %s is NULL", s ? "name" : "session");
        return NULL;
    }
    const glia_node *n = glia_graph_find_leaf(s->program->graph, name);
    if (!n || !glia_is_input(n)) {
        fail_input(s->program->graph, name, error);
        return NULL;
    }
    if (array) *array = array_of(n, glia_leaf_of(n)->name, s->address[n->id]);
    return s->address[n->id];
}

/* Starts a run; `check` says when the fixed values are valid. */
static void begin(glia_session *s, glia_fixed_check check) {
    if (s->fixed && glia_fixed_enter(s->program, s->fixed, s->store, check)) {
        glia_launches_refresh(&s->launches, s->backend->pool);
        glia_fixed_computed(s->program, s->fixed);
    }
    s->fresh = true;
}

static void end(glia_session *s) {
    if (s->fixed) glia_fixed_exit(s->program, s->fixed);
}

glia_status glia_session_refresh(glia_session *s, glia_error *error) {
    if (!s) return glia_fail(error, GLIA_E_ARGUMENT, "glia_session_refresh: the session is NULL");
    begin(s, s->fresh ? GLIA_FIXED_RENEW : GLIA_FIXED_VERIFY);
    end(s);
    return GLIA_OK;
}

void glia_session_outdate(glia_session *s) { s->fresh = false; }

void glia_session_move(glia_session *s, glia_backend *backend) { s->backend = backend; }

glia_status glia_session_run(glia_session *s, glia_error *error) {
    if (!s) return glia_fail(error, GLIA_E_ARGUMENT, "glia_session_run: the session is NULL");
    const glia_program *p = s->program;
    begin(s, s->fresh ? GLIA_FIXED_TRUST : GLIA_FIXED_VERIFY);
    glia_launches_run(&s->launches, s->backend->pool);
    for (int i = 0; i < s->n_copies; i++) memcpy(s->copies[i].to, s->copies[i].from, s->copies[i].bytes);
    if (p->graph->n_updates && s->writes_base) glia_store_touch(s->store);
    if (p->graph->n_updates && !s->writes_base) glia_store_touch_own(s->store);
    if (s->rng) s->rng[1]++;
    end(s);
    return GLIA_OK;
}

glia_array glia_session_output(const glia_session *s, int index) {
    if (!s || index < 0 || index >= s->program->graph->n_outputs) return (glia_array){ 0 };
    const glia_node *n = s->program->graph->outputs[index].node;
    return array_of(n, n->label, s->address[n->id]);
}

/* ---- immediate evaluation --------------------------------------------------------------------- */

glia_status glia_eval(glia_tensor x, double *values, int64_t capacity, glia_error *error) {
    glia_error local;
    error = error ? error : &local;
    error->status = GLIA_OK;
    glia_backend *backend = glia_backend_open("ref", 1, error);
    glia_store *store = backend ? glia_store_create(glia_tensor_graph(x), 0, error) : NULL;
    glia_compile_opts opts = { .outputs = &x, .n_outputs = 1 };
    glia_program *program = store ? glia_compile(glia_tensor_graph(x), backend, opts, error) : NULL;
    glia_session *session = program ? glia_session_create(program, store, error) : NULL;
    if (session && glia_session_run(session, error) == GLIA_OK) {
        glia_array y = glia_session_output(session, 0);
        int64_t n = glia_shape_count(y.shape);
        if (n <= capacity) {
            glia_to_double(y.dtype, y.data, values, n);
        } else {
            glia_fail(error, GLIA_E_ARGUMENT, "glia_eval: the value has %lld elements, there is room for %lld",
                      (long long)n, (long long)capacity);
        }
    }
    glia_session_free(session);
    glia_program_free(program);
    glia_store_free(store);
    glia_backend_close(backend);
    return error->status;
}
