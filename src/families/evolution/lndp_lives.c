/* lndp_lives.c - the lives of lifelong developmental programs in environments, several side by side.
 *
 *     begin ──► development ──► episode ──► episode ... ──► the next life takes the place
 *
 * Lives are dealt to threads in turn. In each, as many run at once as vectors have lanes; when one ends, the next takes
 * its lane. A life depends on its genome and seed alone.
 */
#include <stdlib.h>

#include "families/evolution/lndp.h"

/* A life in its lane. */
typedef struct lane {
    int64_t life, episode, last, left; /* `episode` of the genome's; where it ends; steps of development */
} lane;

/* Of a thread. */
typedef struct work {
    const glia_lndp_lives *lives;
    glia_lndp *nets;
    int lanes, numbers;
    int64_t next, step, per_genome; /* the next life; how far the one after it is; lives of a genome */
    lane *lane;
    glia_lndp_phase *phase;
    glia_episodes *episodes;
    double *rewards, *x, *y; /* as of glia_lndp_act() */
    float *action;
    glia_error error;
} work;

int64_t glia_lndp_count_lives(const glia_lndp_lives *lives) {
    return (lives->episodes + lives->o->life - 1) / lives->o->life;
}

static void watch(const work *w, int k, int64_t episode, double reached) {
    if (w->lives->watch) w->lives->watch(w->lives->watcher, w->nets, k, episode, reached);
}

static glia_status begin_episode(work *w, int k, glia_error *error) {
    w->phase[k] = GLIA_LNDP_ACTS;
    return glia_episodes_begin(w->episodes, k, w->lives->seed + (uint64_t)w->lane[k].episode, error);
}

/* After its development. */
static glia_status go_out(work *w, int k, glia_error *error) {
    watch(w, k, 0, 0);
    return begin_episode(w, k, error);
}

/* The next life of this thread, if there is one. */
static glia_status begin_life(work *w, int k, glia_error *error) {
    const glia_lndp_lives *p = w->lives;
    lane *l = &w->lane[k];
    w->phase[k] = GLIA_LNDP_RESTS;
    if (w->next >= p->count * w->per_genome) return GLIA_OK;
    l->life = w->next;
    w->next += w->step;
    l->episode = l->life % w->per_genome * p->o->life;
    l->last = GLIA_MIN(l->episode + p->o->life, p->episodes);
    l->left = p->o->development;
    w->rewards[k] = 0;
    const int64_t i = l->life / w->per_genome;
    if (glia_lndp_inherit(w->nets, k, p->genomes + i * w->numbers, error) != GLIA_OK) return GLIA_E_ARGUMENT;
    glia_lndp_begin(w->nets, k, p->seed + (uint64_t)i * p->apart + (uint64_t)l->episode);
    w->phase[k] = GLIA_LNDP_DEVELOPS;
    return l->left > 0 ? GLIA_OK : go_out(w, k, error);
}

static glia_status end_life(work *w, int k, glia_error *error) {
    double *densities = w->lives->densities;
    if (densities) {
        densities[w->lane[k].life] = (double)glia_lndp_edges(w->nets, k) / GLIA_MAX(glia_lndp_places(w->nets), 1);
    }
    return begin_life(w, k, error);
}

/* After a step of this lane. */
static glia_status go_on(work *w, int k, glia_error *error) {
    const glia_lndp_lives *p = w->lives;
    lane *l = &w->lane[k];
    if (w->phase[k] == GLIA_LNDP_DEVELOPS) {
        return --l->left > 0 ? GLIA_OK : go_out(w, k, error);
    }
    const double reached = w->episodes->returns[k];
    w->rewards[k] = w->episodes->rewards[k];
    if (!(w->episodes->ended >> k & 1)) return GLIA_OK;
    p->returns[l->life / w->per_genome * p->episodes + l->episode] = reached;
    l->episode++;
    watch(w, k, (l->episode - 1) % p->o->life + 1, reached);
    return l->episode < l->last ? begin_episode(w, k, error) : end_life(w, k, error);
}

static glia_status live(work *w, glia_error *error) {
    const glia_stage *stage = w->lives->stage;
    glia_status status = GLIA_OK;
    for (int k = 0; status == GLIA_OK && k < w->lanes; k++) status = begin_life(w, k, error);
    while (status == GLIA_OK) {
        bool any = false;
        for (int k = 0; k < w->lanes; k++) {
            any = any || w->phase[k] != GLIA_LNDP_RESTS;
            for (int i = 0; i < stage->inputs; i++)
                w->x[k * stage->inputs + i] = w->episodes->x[i * GLIA_ENV_LANES + k];
        }
        if (!any) break;
        glia_lndp_step(w->nets, w->phase, w->rewards, w->x, w->y);
        for (int k = 0; k < w->lanes; k++) {
            if (w->phase[k] == GLIA_LNDP_ACTS)
                glia_stage_act(stage, w->y + k * stage->outputs, w->action, w->episodes, k);
        }
        status = glia_episodes_step(w->episodes, error);
        for (int k = 0; status == GLIA_OK && k < w->lanes; k++) {
            if (w->phase[k] != GLIA_LNDP_RESTS) status = go_on(w, k, error);
        }
    }
    return status;
}

static glia_status open_work(work *w, glia_error *error) {
    const glia_lndp_lives *p = w->lives;
    const size_t lanes = (size_t)w->lanes, inputs = (size_t)p->stage->inputs, outputs = (size_t)p->stage->outputs;
    glia_lndp_opts opts = p->o->lndp;
    opts.nets = w->lanes;
    double *none = calloc((size_t)w->numbers * lanes, sizeof *none);
    if (none) w->nets = glia_lndp_create(none, w->numbers, opts, error);
    free(none);
    w->lane = calloc(lanes, sizeof *w->lane);
    w->phase = calloc(lanes, sizeof *w->phase);
    w->rewards = calloc(lanes * (1 + inputs + outputs), sizeof *w->rewards);
    w->action = calloc(outputs, sizeof *w->action);
    if (!w->nets || !w->lane || !w->phase || !w->rewards || !w->action) return glia_fail_nomem(error);
    w->x = w->rewards + lanes;
    w->y = w->x + lanes * inputs;
    w->episodes = glia_stage_episodes(p->stage, error);
    return w->episodes ? GLIA_OK : error->status;
}

static void close_work(work *w) {
    glia_lndp_free(w->nets);
    glia_episodes_free(w->episodes);
    free(w->lane);
    free(w->phase);
    free(w->rewards);
    free(w->action);
}

static void run(void *context, int64_t i, int worker) {
    work *w = (work *)context + i;
    (void)worker;
    if (open_work(w, &w->error) == GLIA_OK) live(w, &w->error);
    close_work(w);
}

glia_status glia_lndp_live(const glia_lndp_lives *lives, glia_error *error) {
    glia_error reason = { 0 };
    const int64_t all = lives->count * glia_lndp_count_lives(lives);
    int lanes = 0;
    glia_status status = glia_lndp_lanes(&lanes, error);
    glia_pool *pool = status == GLIA_OK && lives->threads != 1 ? glia_pool_create(lives->threads, &reason) : NULL;
    if (reason.status) return glia_fail(error, reason.status, "%s", reason.message);
    const int64_t threads = GLIA_MIN((int64_t)glia_pool_size(pool), all);
    work *works = status == GLIA_OK ? calloc((size_t)threads, sizeof *works) : NULL;
    for (int64_t i = 0; works && i < threads; i++) {
        works[i] = (work){ .lives = lives,
                           .lanes = (int)GLIA_MIN((int64_t)GLIA_MIN(lanes, (int)GLIA_ENV_LANES),
                                                  (all + threads - 1) / threads),
                           .numbers = glia_lndp_parameters(lives->o->lndp),
                           .next = i,
                           .step = threads,
                           .per_genome = glia_lndp_count_lives(lives) };
    }
    if (works) glia_parallel_for(pool, threads, run, works);
    if (status == GLIA_OK && !works) status = glia_fail_nomem(error);
    for (int64_t i = 0; works && status == GLIA_OK && i < threads; i++)
        if (works[i].error.status) status = glia_fail(error, works[i].error.status, "%s", works[i].error.message);
    free(works);
    glia_pool_free(pool);
    return status;
}
