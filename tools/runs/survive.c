/* survive.c - wraps a callback so that I/O errors do not end training. */
#include "runs/survive.h"

#include <stdlib.h>

typedef struct survivor {
    glia_callback inner;
    bool failed; /* the last call */
} survivor;

static glia_status judge(survivor *s, glia_status status, const glia_error *reason, glia_error *error) {
    if (status == GLIA_E_IO || status == GLIA_E_NOT_FOUND) { /* the disk is full, or the folder was removed */
        if (!s->failed) fail("%s; training goes on", reason->message);
        s->failed = true;
        return GLIA_OK;
    }
    s->failed = s->failed && status != GLIA_OK;
    if (status != GLIA_OK && error) *error = *reason;
    return status;
}

#define PASS_ON(moment)                                                                                                \
    static glia_status moment(const glia_progress *progress, void *context, glia_error *error) {                       \
        survivor *s = context;                                                                                         \
        glia_error reason = { 0 };                                                                                     \
        return judge(s, s->inner.moment(progress, s->inner.context, &reason), &reason, error);                         \
    }
PASS_ON(step_end)
PASS_ON(epoch_end)
PASS_ON(train_end)

static glia_status train_begin(const glia_progress *progress, void *context, glia_error *error) {
    const survivor *s = context;
    return s->inner.train_begin(progress, s->inner.context, error);
}

static glia_status save_begin(const glia_progress *progress, void *context, glia_error *error) {
    const survivor *s = context;
    return s->inner.save_begin(progress, s->inner.context, error);
}

static void *state(void *context, size_t *bytes) {
    const survivor *s = context;
    return s->inner.state(s->inner.context, bytes);
}

static void release(void *context) {
    survivor *s = context;
    if (s->inner.free) s->inner.free(s->inner.context);
    free(s);
}

glia_callback survive(glia_callback inner) {
    survivor *s = allocate(1, sizeof *s);
    s->inner = inner;
    return (glia_callback){ .name = inner.name,
                            .train_begin = inner.train_begin ? train_begin : NULL,
                            .step_end = inner.step_end ? step_end : NULL,
                            .epoch_end = inner.epoch_end ? epoch_end : NULL,
                            .train_end = inner.train_end ? train_end : NULL,
                            .save_begin = inner.save_begin ? save_begin : NULL,
                            .context = s,
                            .free = release,
                            .state = inner.state ? state : NULL,
                            .after_others = inner.after_others };
}
