/* steps.c - see steps.h. */
#include "families/generative/steps.h"

#include <stdio.h>
#include <string.h>

glia_status glia_net_step_open(glia_net_step *step, const glia_training *t, glia_graph *graph, const char *group,
                               const glia_tensor *outputs, int n, glia_error *error) {
    const glia_compile_opts opts = { .outputs = outputs,
                                     .n_outputs = n,
                                     .mode = GLIA_TRAIN,
                                     .updates = group,
                                     .batch = t->opts.batch,
                                     .precision = t->opts.precision };
    glia_error reason = { 0 };
    char rate[64];
    snprintf(rate, sizeof rate, "%s/lr", group);
    step->program = glia_compile(graph, t->backend, opts, &reason);
    step->session = step->program ? glia_session_create(step->program, t->states, &reason) : NULL;
    step->rate =
        step->session ? glia_session_input(step->session, strcmp(group, "train") ? rate : "lr", NULL, &reason) : NULL;
    return step->rate ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

void glia_net_step_close(glia_net_step *step) {
    glia_session_free(step->session);
    glia_program_free(step->program);
    *step = (glia_net_step){ 0 };
}

glia_status glia_net_step_input(const glia_net_step *step, const char *name, glia_array *input, glia_error *error) {
    glia_error reason = { 0 };
    if (glia_session_input(step->session, name, input, &reason)) return GLIA_OK;
    return glia_fail(error, reason.status, "%s", reason.message);
}

void glia_net_step_put(const glia_array *input, const void *from) {
    if (input->data) memcpy(input->data, from, glia_shape_bytes(input->shape, input->dtype));
}

glia_status glia_net_step_run(const glia_net_step *step, double rate, glia_error *error) {
    *step->rate = (float)rate;
    return glia_session_run(step->session, error);
}

double glia_net_step_output(const glia_net_step *step, int index) {
    return (double)*(const float *)glia_session_output(step->session, index).data;
}
