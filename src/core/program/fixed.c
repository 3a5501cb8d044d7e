/* fixed.c - what frozen programs compute once of the store's values, shared by sessions.
 *
 * Nobody may write the store's values while a session runs. So what was computed for a session that still runs is valid
 * for another one that begins, even if pointers to the values have been given out. When no session runs, values may
 * have been written: what the library writes is counted, and with pointers outside anything may have happened.
 */
#include <stdlib.h>

#include "core/program/program.h"
#include "core/program/store.h"

static bool is_leaf(const glia_program *p, int id) { return p->plan.place[id].kind == GLIA_PLACE_LEAF; }

static glia_fixed *find(const glia_program *p, void *const *address) {
    for (glia_fixed *f = p->fixed; f; f = f->next) {
        bool same = true;
        for (int i = 0; same && i < p->graph->n_nodes; i++) same = !is_leaf(p, i) || f->leaves[i] == address[i];
        if (same) return f;
    }
    return NULL;
}

static void destroy(glia_fixed *f) {
    free(f->leaves);
    free(f->memory);
    free(f);
}

static glia_fixed *create(const glia_program *p, void *const *address, glia_error *error) {
    const size_t n = (size_t)p->graph->n_nodes;
    glia_fixed *f = calloc(1, sizeof *f);
    if (f) {
        f->leaves = calloc(n + 1, sizeof *f->leaves);
        f->memory = glia_alloc_aligned(p->plan.activation_bytes - p->plan.fixed_offset);
    }
    if (!f || !f->leaves || !f->memory) {
        if (f) destroy(f);
        glia_fail_nomem(error);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_leaf(p, (int)i)) f->leaves[i] = address[i];
    }
    return f;
}

glia_fixed *glia_fixed_join(glia_program *p, void *const *address, glia_error *error) {
    pthread_mutex_lock(&p->mutex);
    glia_fixed *f = find(p, address);
    if (!f) {
        f = create(p, address, error);
        if (f) {
            f->next = p->fixed;
            p->fixed = f;
        }
    }
    if (f) f->sessions++;
    pthread_mutex_unlock(&p->mutex);
    return f;
}

void glia_fixed_leave(glia_program *p, glia_fixed *f) {
    if (!f) return;
    pthread_mutex_lock(&p->mutex);
    const bool last = --f->sessions == 0;
    for (glia_fixed **at = &p->fixed; last && *at; at = &(*at)->next) {
        if (*at != f) continue;
        *at = f->next;
        break;
    }
    pthread_mutex_unlock(&p->mutex);
    if (last) destroy(f);
}

/* May a run begin with what is there? */
static bool serves(const glia_fixed *f, const glia_store *store, glia_fixed_check check) {
    if (!f->valid || check == GLIA_FIXED_RENEW) return false;
    if (check == GLIA_FIXED_TRUST) return true;
    bool lent;
    return glia_store_writes(store, &lent) == f->writes && (!lent || f->running > 0);
}

bool glia_fixed_enter(glia_program *p, glia_fixed *f, const glia_store *store, glia_fixed_check check) {
    pthread_mutex_lock(&p->mutex);
    bool ready = false;
    while (f->computing || (!(ready = serves(f, store, check)) && f->running > 0))
        pthread_cond_wait(&p->released, &p->mutex);
    f->running++;
    if (!ready) {
        bool lent;
        f->computing = true;
        f->writes = glia_store_writes(store, &lent);
    }
    pthread_mutex_unlock(&p->mutex);
    return !ready;
}

void glia_fixed_computed(glia_program *p, glia_fixed *f) {
    pthread_mutex_lock(&p->mutex);
    f->computing = false;
    f->valid = true;
    pthread_cond_broadcast(&p->released);
    pthread_mutex_unlock(&p->mutex);
}

void glia_fixed_exit(glia_program *p, glia_fixed *f) {
    pthread_mutex_lock(&p->mutex);
    if (--f->running == 0) pthread_cond_broadcast(&p->released);
    pthread_mutex_unlock(&p->mutex);
}
