/* model.h - models: build, save, load, summarise. */
#ifndef GLIA_MODEL_H
#define GLIA_MODEL_H

#include "glia/program.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A graph with named inputs and outputs, its parameters and its metadata. Threads: any number may predict, evaluate,
 * generate, save and read it at once, from the first call on. A call that changes it (building, glia_model_init(),
 * glia_model_set(), loading weights, glia_fit(), writing values) needs exclusive access. */
typedef struct glia_model glia_model;
GLIA_API glia_model *glia_model_create(const char *name, glia_error *error);
GLIA_API void glia_model_free(glia_model *model);
/* An independent model with the same graph (outputs, updates and frozen parameters included), values and metadata;
 * without values if this one has not been initialised. Its tensors are found by glia_model_input_at(),
 * glia_model_output_at(), glia_layer_output() and glia_parameters(). A loop that has not ended is an error, and so is a
 * mistake in the graph. */
GLIA_API glia_model *glia_model_copy(glia_model *model, glia_error *error);
GLIA_API glia_graph *glia_model_graph(glia_model *model);
/* An input for samples of this shape; a batch axis is prepended. */
GLIA_API glia_tensor glia_model_input(glia_model *model, const char *name, glia_dtype dtype, glia_shape sample);
/* A result of the model; the first output is used for losses and predictions. */
GLIA_API void glia_model_output(glia_model *model, const char *name, glia_tensor y);
/* The inputs and outputs in order of creation; NULL: no such index. `name` (may be NULL) gets its name. */
GLIA_API glia_tensor glia_model_input_at(const glia_model *model, int index, const char **name);
GLIA_API glia_tensor glia_model_output_at(const glia_model *model, int index, const char **name);
/* The one input that the first output depends on: glia_fit(), glia_evaluate() and glia_predict() feed samples to it and
 * ignore other inputs. NULL: there is none, or several (see error). */
GLIA_API glia_tensor glia_model_sample_input(const glia_model *model, glia_error *error);
/* Initialises the parameters. If not called, the first action that needs them does so with seed 0. */
GLIA_API glia_status glia_model_init(glia_model *model, uint64_t seed, glia_error *error);
GLIA_API glia_store *glia_model_store(glia_model *model); /* NULL before glia_model_init */
GLIA_API int64_t glia_model_parameter_count(const glia_model *model, bool trainable_only);

/* Metadata: short texts by key, saved with the model ("name", "classes", "mean", ...). */
GLIA_API glia_status glia_model_set(glia_model *model, const char *key, const char *value, glia_error *error);
GLIA_API const char *glia_model_get(const glia_model *model, const char *key); /* NULL: not set */

/* One safetensors file: the values by name; the graph as text, and the rest, in its metadata. */
GLIA_API glia_status glia_model_save(glia_model *model, const char *path, glia_error *error);
GLIA_API glia_model *glia_model_load(const char *path, glia_error *error);
/* Loads what a file has of the model's parameters and states: a safetensors file, or one of torch.save() (.pt, .pth,
 * .th), which is read without executing anything. Names are the model's own or PyTorch's ("layer1/0/conv1/kernel" is
 * "layer1.0.conv1.weight" there); f16, bf16 and f64 are converted. `loaded` (may be NULL) gets their number. A tensor
 * of another shape is an error, and so is a file without any common name; then nothing has changed. The message lists
 * what does not fit, glia_model_import_weights() all of it. */
GLIA_API glia_status glia_model_load_weights(glia_model *model, const char *path, int *loaded, glia_error *error);

/* The rows of a summary: operations grouped by the layer's name, in the order of the graph. */
enum { GLIA_LAYER_TEXT = 64, GLIA_LAYER_INPUTS = 8 };
typedef struct glia_layer_info {
    char name[GLIA_LAYER_TEXT];       /* "": operations between layers */
    char operations[GLIA_LAYER_TEXT]; /* "conv add relu" */
    glia_shape output;
    int64_t parameters;
    int inputs[GLIA_LAYER_INPUTS]; /* the rows whose results it reads, at most GLIA_LAYER_INPUTS */
    int n_inputs;
} glia_layer_info;
/* Fills at most `capacity`; returns their number, -1 if out of memory or if the graph has an error. */
GLIA_API int glia_model_layers(const glia_model *model, glia_layer_info *out, int capacity);

/* Layers, shapes, parameters and planned memory for this batch size (0: 32) and as many nodes and edges, as text.
 * Release with free(). */
GLIA_API char *glia_model_summary(glia_model *model, int64_t batch, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
