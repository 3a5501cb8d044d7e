/* steps.h - a step of one update group: its program in a session, and its learning rate. */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_STEPS_H
#define GLIA_SRC_FAMILIES_GENERATIVE_STEPS_H

#include "train/run/training.h"

typedef struct glia_net_step {
    glia_program *program;
    glia_session *session;
    float *rate;
} glia_net_step;

/* Compiles what the group updates and n outputs, over the training's states. Its learning rate is the input "lr" of the
 * group "train", "GROUP/lr" of others. */
glia_status glia_net_step_open(glia_net_step *step, const glia_training *training, glia_graph *graph, const char *group,
                               const glia_tensor *outputs, int n, glia_error *error);
void glia_net_step_close(glia_net_step *step);

/* The input of this name, whose data a batch fills. */
glia_status glia_net_step_input(const glia_net_step *step, const char *name, glia_array *input, glia_error *error);
/* Copies as many bytes as the input has; an input without data is left out. */
void glia_net_step_put(const glia_array *input, const void *from);
glia_status glia_net_step_run(const glia_net_step *step, double rate, glia_error *error);
/* The output at this index, one number. */
double glia_net_step_output(const glia_net_step *step, int index);

#endif
