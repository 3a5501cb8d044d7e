/* phases.c - fits whose parts learn in turn, each with a loss, an optimiser and a schedule of its own.
 *
 *     steps  1 2 3 4 5 | 6         | 7 ...
 *            critic      generator   critic
 *
 * The phases are update groups of one graph; a step runs the program of its phase alone, whose one output is its loss.
 * Which phase a step has depends on the number of steps done, so a resumed training goes on in its phase.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/ops/ops.h"
#include "train/fit/fit.h"

enum { NAME = 64 };

static glia_status check_one(const glia_phase *p, int index, glia_error *error) {
    char name[NAME];
    if (!p->group || !p->group[0] || !p->loss)
        return glia_fail(error, GLIA_E_ARGUMENT, "phase %d of the fit has no %s", index,
                         p->group && p->group[0] ? "loss" : "group");
    if (snprintf(name, sizeof name, "%s_loss", p->group) >= (int)sizeof name || strpbrk(p->group, "*?,/"))
        return glia_fail(error, GLIA_E_ARGUMENT, "phase %d of the fit: '%.64s' is no name of a group", index, p->group);
    if (p->steps < 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "the phase '%s' has %lld steps", p->group, (long long)p->steps);
    if (p->optimizer.accumulate > 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "the phase '%s' accumulates gradients, which phases cannot", p->group);
    if (p->schedule.momentum_low > 0)
        return glia_fail(error, GLIA_E_ARGUMENT, "the phase '%s': schedules of phases change no momentum", p->group);
    return glia_lr_schedule_check(&p->schedule, error);
}

glia_status glia_phases_check(glia_training *t, glia_error *error) {
    glia_supervised *s = t->memory;
    const glia_fit_opts *o = &t->opts;
    if (o->n_phases < 0 || o->n_phases > GLIA_PHASES || (o->n_phases && !o->phases)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "training: %d phases, but there are 1 to %d, in a list", o->n_phases,
                         GLIA_PHASES);
    }
    const glia_optimizer none = { 0 };
    if (o->n_phases && (o->loss != GLIA_LOSS_DEFAULT || o->optimizer.kind != none.kind || o->optimizer.lr != 0 ||
                        o->schedule.kind != GLIA_LR_CONSTANT || o->label_smoothing != 0 || o->class_weights)) {
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "training: with phases, losses, optimisers and schedules are those of the phases");
    }
    for (int i = 0; i < o->n_phases; i++) {
        const glia_phase *p = &o->phases[i];
        glia_status status = check_one(p, i, error);
        if (status != GLIA_OK) return status;
        for (int k = 0; k < i; k++) {
            if (strcmp(o->phases[k].group, p->group) == 0)
                return glia_fail(error, GLIA_E_ARGUMENT, "two phases of the fit are named '%s'", p->group);
        }
        s->phases[i] = *p;
        s->phases[i].steps = GLIA_MAX(p->steps, 1);
        s->phases[i].optimizer = glia_optimizer_resolved(p->optimizer);
        snprintf(s->phase_names[i], sizeof s->phase_names[i], "%s_loss", p->group);
    }
    return GLIA_OK;
}

/* The task computes the loss of this phase, and its updates, from now on. */
static void choose(glia_training *t, int phase) {
    glia_task *task = &((glia_supervised *)t->memory)->train;
    const glia_phase *p = &((glia_supervised *)t->memory)->phases[phase];
    task->updates = p->group;
    task->outputs[0] = glia_graph_find_output(task->graph, p->loss);
}

/* The rate as the graph's input has it, f32. */
static double base_rate(const glia_phase *p) { return (double)(float)glia_option(p->optimizer.lr, 0); }

static glia_status minimise(glia_training *t, int phase, glia_error *error) {
    glia_supervised *s = t->memory;
    const glia_phase *p = &s->phases[phase];
    char parameters[NAME];
    const glia_node *loss = glia_graph_find_output(s->train.graph, p->loss);
    if (!loss || loss->shape.rank || !glia_dtype_is_float(loss->dtype)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "the phase '%s': the model has no output '%.64s' that is one number",
                         p->group, p->loss);
    }
    snprintf(parameters, sizeof parameters, "%s/*", p->group);
    glia_minimize(glia_graph_find_output(s->train.graph, p->loss), p->optimizer,
                  p->parameters ? p->parameters : parameters, p->group);
    return glia_graph_check(s->train.graph, error);
}

glia_status glia_phases_begin(glia_training *t, glia_error *error) {
    glia_supervised *s = t->memory;
    const int n = t->opts.n_phases;
    glia_status status = GLIA_OK;
    for (int i = 0; status == GLIA_OK && i < n; i++) status = minimise(t, i, error);
    for (int i = n - 1; status == GLIA_OK && i >= 0; i--) { /* the first lane is then that of the first phase */
        choose(t, i);
        status = glia_task_prepare(&s->train, glia_data_count(t->data), t->opts.batch, error);
        s->phase_means[i] = glia_training_mean(t, s->phase_names[i]);
        t->groups[t->n_groups++] = s->phases[i].group;
    }
    t->full_lr = base_rate(&s->phases[0]);
    t->opts.schedule = s->phases[0].schedule;
    return status;
}

int glia_phase_now(const glia_training *t) {
    const glia_supervised *s = t->memory;
    int64_t cycle = 0, phase = 0;
    for (int i = 0; i < t->opts.n_phases; i++) cycle += s->phases[i].steps;
    for (int64_t at = t->done % cycle; at >= s->phases[phase].steps; phase++) at -= s->phases[phase].steps;
    return (int)phase;
}

glia_lane *glia_phases_lane(glia_training *t, int64_t batch, glia_error *error) {
    glia_supervised *s = t->memory;
    const int phase = glia_phase_now(t);
    const glia_phase *p = &s->phases[phase];
    choose(t, phase);
    glia_lane *lane = glia_task_lane(&s->train, batch, error);
    char name[NAME];
    snprintf(name, sizeof name, "%s/lr", p->group);
    float *lr = lane ? glia_session_input(lane->session, name, NULL, NULL) : NULL;
    if (!lr) return lane;
    /* callbacks change the rates of all phases in proportion */
    const double first = glia_lr_schedule_rate(&t->opts.schedule, t->full_lr, t->done, t->total, t->epoch_steps);
    const double rate = glia_lr_schedule_rate(&p->schedule, base_rate(p), t->done, t->total, t->epoch_steps);
    *lr = (float)(phase == 0 ? t->progress.lr : first > 0 ? rate * (t->progress.lr / first) : rate);
    return lane;
}
