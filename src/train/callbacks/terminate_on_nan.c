/* terminate_on_nan.c - reports where the first non-finite value came from. Implemented in train/fit/diagnose.c. */
#include "train/callbacks/callbacks.h"
#include "train/run/training.h"

static glia_status begin(const glia_progress *p, void *context, glia_error *error) {
    (void)context, (void)error;
    p->training->keeps_states = p->training->diagnoses = true;
    return GLIA_OK;
}

glia_callback glia_terminate_on_nan(void) { return (glia_callback){ .name = "TerminateOnNaN", .train_begin = begin }; }
