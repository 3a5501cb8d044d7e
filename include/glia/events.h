/* events.h - event files for TensorBoard: scalars, histograms, images, the graph of a model.
 *
 * Each writer makes its own file in a folder, which TensorBoard shows as a run if it is below its --logdir. Tags with a
 * slash are grouped ("loss/train", "loss/validation"). The format is TFRecord with protocol buffers; TensorFlow is not
 * needed. One thread at a time.
 */
#ifndef GLIA_EVENTS_H
#define GLIA_EVENTS_H

#include "glia/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct glia_events glia_events;

/* Creates a file in the folder, which is created if it does not exist (its parent must). */
GLIA_API glia_events *glia_events_open(const char *folder, glia_error *error);
/* Writes what is pending and frees the writer even if that fails; NULL is allowed. */
GLIA_API glia_status glia_events_close(glia_events *events, glia_error *error);
/* Flushes: what was added so far can now be read by other processes. */
GLIA_API glia_status glia_events_flush(glia_events *events, glia_error *error);

GLIA_API glia_status glia_events_scalar(glia_events *events, const char *tag, int64_t step, double value,
                                        glia_error *error);
/* The histogram of n values, in 30 equal bins from the smallest to the largest. Infinities and NaN are left out. */
GLIA_API glia_status glia_events_histogram(glia_events *events, const char *tag, int64_t step, const float *values,
                                           int64_t n, glia_error *error);
/* An image: the bytes of a PNG file. GLIA_E_FORMAT if they are not. */
GLIA_API glia_status glia_events_image(glia_events *events, const char *tag, int64_t step, const void *png,
                                       size_t length, glia_error *error);
/* A text, which TensorBoard shows as Markdown. */
GLIA_API glia_status glia_events_text(glia_events *events, const char *tag, int64_t step, const char *text,
                                      glia_error *error);
/* The model's graph, with layers as expandable boxes. At most once per folder. */
GLIA_API glia_status glia_events_graph(glia_events *events, const glia_graph *graph, glia_error *error);

/* A hyper-parameter: a text, or a number if the text is NULL. */
typedef struct glia_hparam {
    const char *name, *text;
    double number;
} glia_hparam;
/* The settings of the run, for TensorBoard's table of runs (hparams); its scalars are the metrics. Once per folder. */
GLIA_API glia_status glia_events_hparams(glia_events *events, const glia_hparam *hparams, int n, glia_error *error);

#ifdef __cplusplus
}
#endif
#endif
