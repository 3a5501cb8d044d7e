/* launches.c - from a schedule and its plan to a list of launches that can be run repeatedly. */
#include "core/launch/schedule.h"

/* The launch that computes the value that group i packs; -1: there is none. launch_of is indexed by group. */
static int maker_of_packed(const glia_backend *backend, const glia_schedule *s, int i, const int *launch_of) {
    const glia_node *from;
    int operand;
    if (!backend->kind->keeps || backend->kind->keeps(backend, &s->groups[i], &from, &operand) == 0) return -1;
    const int maker = s->group_of[s->root[from->in[operand]->id]->id];
    return maker < 0 ? -1 : launch_of[maker];
}

glia_status glia_launches_prepare(glia_launches *l, const glia_backend *backend, const glia_schedule *s,
                                  const glia_plan *plan, void *const *address, char *memory, char *fixed,
                                  glia_arena *arena, glia_error *error) {
    const glia_backend_kind *kind = backend->kind;
    *l = (glia_launches){ .list = glia_arena_alloc(arena, ((size_t)s->n_groups + 1) * sizeof(glia_launch *)),
                          .after = glia_arena_alloc(arena, ((size_t)s->n_groups + 1) * sizeof *l->after) };
    int *launch_of = glia_arena_alloc(arena, ((size_t)s->n_groups + 1) * sizeof *launch_of);
    if (!l->list || !l->after || !launch_of) return glia_fail_nomem(error);
    for (int i = 0; i < s->n_groups; i++) {
        glia_launch *launch = kind->prepare(backend, &s->groups[i], address, memory + plan->scratch_offset,
                                            fixed + (plan->kept_offset[i] - plan->fixed_offset), arena, error);
        if (!launch) return error && error->status != GLIA_OK ? error->status : GLIA_E_NOMEM;
        glia_launch **next = &l->list[l->n];
        if (i == s->n_once) l->n_once = l->n;
        const bool follows = i != s->n_once && l->n > 0;
        glia_launch *merged = follows && kind->merge ? kind->merge(next[-1], launch, arena) : NULL;
        if (merged)
            next[-1] = merged;
        else
            *next = launch, l->n++;
        launch_of[i] = l->n - 1;
        l->after[launch_of[i]] = maker_of_packed(backend, s, i, launch_of);
    }
    if (s->n_once == s->n_groups) l->n_once = l->n;
    return GLIA_OK;
}

static void set_up_after(const glia_launches *l, int once, glia_pool *pool) {
    for (int i = l->n_once; i < l->n; i++) {
        if (l->after[i] == once && l->list[i]->setup) l->list[i]->setup(l->list[i], pool);
    }
}

void glia_launches_refresh(const glia_launches *l, glia_pool *pool) {
    set_up_after(l, -1, pool);
    for (int i = 0; i < l->n_once; i++) {
        l->list[i]->run(l->list[i], pool);
        set_up_after(l, i, pool);
    }
}

void glia_launches_run(const glia_launches *l, glia_pool *pool) {
    for (int i = l->n_once; i < l->n; i++) l->list[i]->run(l->list[i], pool);
}

void glia_constants_write(const glia_graph *graph, const glia_plan *plan, char *memory) {
    for (int i = 0; i < graph->n_nodes; i++) {
        const glia_node *n = graph->nodes[i];
        if (!glia_is_constant(n) || plan->place[i].kind != GLIA_PLACE_CONSTANT) continue;
        const glia_constant_attrs *a = n->attrs;
        char *at = memory + plan->place[i].offset;
        const size_t size = glia_dtype_size(n->dtype);
        const int64_t count = glia_shape_count(n->shape);
        for (int64_t j = 0; j < count; j++)
            glia_from_double(n->dtype, &a->values.v[a->values.n == 1 ? 0 : j], at + (size_t)j * size, 1);
    }
}
