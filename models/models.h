/* models.h - the built-in architectures by name, each with a training recipe.
 *
 * A recipe is a row of models.def. Its `build` adds layers to a model through the public API and declares the logits as
 * the model's output. The input and output sizes are taken from the data where the architecture allows it.
 */
#ifndef GLIA_MODELS_H
#define GLIA_MODELS_H

#include "glia/glia.h"

/* Adds the layers for samples of shape `sample` and `outputs` classes (or values). x is the model's input. */
typedef glia_tensor (*glia_build_fn)(glia_tensor x, int outputs);

/* The same for samples of token ids (T); ids are below `vocabulary`. */
typedef glia_tensor (*glia_build_tokens_fn)(glia_tensor ids, int vocabulary, int outputs);

/* Adds inputs, networks and outputs for samples of this shape to an empty model, as its method wants them. */
typedef void (*glia_build_networks_fn)(glia_model *model, glia_shape sample);

/* The same for models of samples with classes. */
typedef void (*glia_build_conditional_fn)(glia_model *model, glia_shape sample, int classes);

/* The same for models of graphs. */
typedef void (*glia_build_graphs_fn)(glia_model *model, glia_graph_sizes sizes);

typedef struct glia_recipe {
    const char *name;
    const char *summary; /* one line */
    glia_build_fn build; /* one network over numbers; else NULL */
    glia_build_tokens_fn build_tokens; /* one network over token ids; else NULL */
    glia_build_networks_fn build_networks; /* several networks, trained by another method than "fit"; else NULL */
    glia_build_conditional_fn build_conditional; /* the same, of samples with classes; else NULL */
    glia_build_graphs_fn build_graphs; /* of graphs; else NULL */
    const char *method;   /* methods.h: "fit", "gan", ... */
    const char *settings; /* of the method; NULL: its defaults */
    glia_shape sample; /* the design shape; rank 1: any shape, flattened */
    int multiple; /* pictures: both sides must be multiples of it; 0: any sides */
    int outputs;    /* models over ids: 0 means the vocabulary size */
    int vocabulary; /* number of ids; 0: the samples are numbers */
    const char *data; /* default training data */
    int epochs, batch;
    glia_optimizer optimizer;
    glia_lr_schedule schedule;
    glia_loss loss;
    bool normalize; /* normalise inputs to mean 0, standard deviation 1 */
} glia_recipe;

int glia_recipe_count(void);
const glia_recipe *glia_recipe_at(int index);
const glia_recipe *glia_recipe_find(const char *name); /* NULL: no such model */

/* The candidate nearest to `name` by edit distance (insert, delete, replace, swap neighbours); NULL if none is
 * close enough to be a typing error. */
const char *glia_name_nearest(const char *name, const char *const *candidates, int n);
const char *glia_recipe_nearest(const char *name);

/* Creates a model from this recipe for the given data, with the recipe's name, input "x" and output "logits" (or what
 * its method needs); not yet initialised. Shapes that do not fit are reported by the first action. NULL: see error. For
 * samples of ids the vocabulary size is the recipe's, or `outputs` if the recipe's outputs are the vocabulary. A recipe
 * of graphs ignores sample and outputs and takes the sizes of its default data. */
glia_model *glia_recipe_build(const glia_recipe *recipe, glia_shape sample, int outputs, glia_error *error);
/* The same for sequences of `length` ids below `vocabulary`; GLIA_E_ARGUMENT if the recipe's samples are numbers. */
glia_model *glia_recipe_build_tokens(const glia_recipe *recipe, int64_t length, int vocabulary, int outputs,
                                     glia_error *error);
/* The same for data of graphs of these sizes; GLIA_E_ARGUMENT if the recipe is of other data. */
glia_model *glia_recipe_build_graphs(const glia_recipe *recipe, glia_graph_sizes sizes, glia_error *error);

#endif
