/* transfer.h - using a trained model for something else: cutting it at a layer, a new head, freezing, rates by depth,
 * features, probes. Weights of others are loaded by glia_model_import_weights() (exchange.h). */
#ifndef GLIA_TRANSFER_H
#define GLIA_TRANSFER_H

#include "glia/fit.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A new model that ends at a layer: its only output, called "features", is what the layer gives, (N, ...). It has the
 * values of those layers that are left (none if the model has not been initialised) and the metadata.
 * GLIA_E_NOT_FOUND: there is no such layer (with the nearest name; glia_model_layers() lists them). NULL: see error. */
GLIA_API glia_model *glia_model_cut(glia_model *model, const char *layer, glia_error *error);
/* Makes y the model's only output: another head on a model that was cut, for instance
 *     glia_tensor x = glia_model_output_at(model, 0, NULL);
 *     glia_model_head(model, "logits", glia_dense(glia_flatten(x), "head", (glia_dense_opts){ .units = 5 }));
 * Layers that nothing uses any more are left out when the model is saved, copied or trained. */
GLIA_API void glia_model_head(glia_model *model, const char *name, glia_tensor y);

/* The blocks of a model, in the order of the graph: layers under one path up to its first number, "layer1/0",
 * "encoder/layers/encoder_layer_3", "conv1"; a layer of scales and shifts alone, such as a batch norm, belongs to the
 * block before it. Fills at most `capacity`, returns their number; -1: out of memory, or a mistake in the graph. */
enum { GLIA_BLOCK_TEXT = 96 };
typedef struct glia_block {
    char name[GLIA_BLOCK_TEXT];
    int64_t parameters; /* numbers */
} glia_block;
GLIA_API int glia_model_blocks(const glia_model *model, glia_block *blocks, int capacity);
/* Freezes all blocks but the last `keep`, which are unfrozen. GLIA_E_ARGUMENT if there are not more than `keep`
 * blocks. */
GLIA_API glia_status glia_model_freeze_blocks(glia_model *model, int keep, glia_error *error);
/* Rates by depth (Howard and Ruder 2018, "Universal language model fine-tuning", section 3.2): the last block has the
 * factor 1, each block before it `decay` times that of the next; 0 < decay <= 1. *groups (malloc()ed, *n of them, with
 * their patterns in the same block of memory) are for glia_optimizer.groups. Release with free(). */
GLIA_API glia_status glia_model_depth_rates(const glia_model *model, double decay, glia_parameter_group **groups,
                                            int *n, glia_error *error);
/* Batch norms whose names match the glob (NULL: all) use their running statistics in training too, which then stay as
 * they are. Scales and shifts remain trainable. A pattern that matches no batch norm is GLIA_E_NOT_FOUND. This changes
 * the graph: tensors of it from before the call are invalid. */
GLIA_API glia_status glia_model_fix_norms(glia_model *model, const char *pattern, glia_error *error);

/* What a layer gives for all samples of the data, flattened: *x (count, *size), to be released with free().
 * backend NULL: "cpu" with all cores. */
GLIA_API glia_status glia_model_features(glia_model *model, const char *layer, const glia_dataset *data, float **x,
                                         int64_t *size, glia_backend *backend, glia_error *error);

/* Probes of features x (n, size) with labels in [0, classes): the class of each of m others, in predicted (m). */
typedef struct glia_probe_data {
    const float *x;
    const int32_t *labels;
    int64_t n, size;
    int classes;
    const float *others;
    int64_t m;
} glia_probe_data;
/* The majority among the k nearest (Euclidean distance); of ties the class whose first neighbour is nearer. k 0: 5. */
GLIA_API glia_status glia_probe_nearest(const glia_probe_data *data, int k, int32_t *predicted, glia_error *error);
/* A linear classifier of the standardised features (Alain and Bengio 2016, "Understanding intermediate layers using
 * linear classifier probes"): softmax regression with weight decay 1e-4, by Adam for about 2,000 steps. */
GLIA_API glia_status glia_probe_linear(const glia_probe_data *data, int32_t *predicted, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
