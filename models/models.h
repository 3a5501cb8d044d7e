/* models.h - the architectures that Glia knows by name, each with the way to train it.
 *
 * A recipe is a row of models.def. Its `build` adds layers to a model through the public API and declares the logits as
 * the model's output; the sizes of the input and of the output are the data's, where the architecture allows it.
 */
#ifndef GLIA_MODELS_H
#define GLIA_MODELS_H

#include "glia/glia.h"

/* Adds the layers for samples of shape `sample` and `outputs` classes (or values). x is the input made for them. */
typedef glia_tensor (*glia_build_fn)(glia_tensor x, int outputs);

/* The same for samples of token ids (T), which are below `vocabulary`. */
typedef glia_tensor (*glia_build_tokens_fn)(glia_tensor ids, int vocabulary, int outputs);

typedef struct glia_recipe {
    const char *name;
    const char *summary; /* one line */
    glia_build_fn build;               /* NULL: the samples are token ids */
    glia_build_tokens_fn build_tokens; /* else NULL */
    glia_shape sample; /* what it was designed for; rank 1: any shape, taken as a row */
    int outputs;    /* of nets over ids, 0: the vocabulary */
    int vocabulary; /* how many ids there are; 0: the samples are numbers */
    const char *data; /* what it is trained on if nobody says otherwise */
    int epochs, batch;
    glia_optimizer optimizer;
    glia_lr_schedule schedule;
    glia_loss loss;
    bool normalize; /* whether inputs are shifted and scaled to mean 0, deviation 1 */
} glia_recipe;

int glia_recipe_count(void);
const glia_recipe *glia_recipe_at(int index);
const glia_recipe *glia_recipe_find(const char *name); /* NULL: no such model */

/* The candidate nearest to `name` by edit distance (insert, delete, replace, swap neighbours), if it is near enough
 * to be a slip; else NULL. */
const char *glia_name_nearest(const char *name, const char *const *candidates, int n);
const char *glia_recipe_nearest(const char *name);

/* A model of this recipe for such data, named after it, with input "x" and output "logits"; not yet initialised. Shapes
 * that do not fit are reported by the first action. NULL: see error. Where the samples are ids there are as many as the
 * recipe says, or as many as outputs, if its outputs are the vocabulary. */
glia_model *glia_recipe_build(const glia_recipe *recipe, glia_shape sample, int outputs, glia_error *error);
/* The same for sequences of `length` ids below `vocabulary`; GLIA_E_ARGUMENT if the recipe's samples are numbers. */
glia_model *glia_recipe_build_tokens(const glia_recipe *recipe, int64_t length, int vocabulary, int outputs,
                                     glia_error *error);

#endif
