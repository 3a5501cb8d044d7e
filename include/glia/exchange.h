/* exchange.h - weights from files of other frameworks, and models as files for them. */
#ifndef GLIA_EXCHANGE_H
#define GLIA_EXCHANGE_H

#include "glia/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which values to take from a file. */
typedef struct glia_weights_opts {
    /* The file's names and layouts:
     *     NULL       the model's own names, or those of "torch"; of a .npz those of "keras"
     *     "torch"    PyTorch's and torchvision's: kernel, scale and table are "weight", bias and shift "bias", "." for
     *                "/"; torch.nn.TransformerEncoder, TransformerDecoder, Transformer, MultiheadAttention
     *     "timm"     timm's vision transformers; its other nets are as torchvision's
     *     "keras"    Keras's: "/" as here, scale and shift are "gamma" and "beta", running_mean and running_var
     *                "moving_mean" and "moving_variance", table "embeddings"; names may end in ":0". Kernels have the
     *                channels last, also those after a flattened picture. Arrays without names ("arr_0", ..., of
     *                numpy.savez(file, *model.get_weights())) are taken in the order of the layers
     *     "nanogpt"  nanoGPT's model.py
     *     "gpt2"     transformers' GPT2Model and GPT2LMHeadModel (kernels transposed)
     *     "bert"     transformers' BertModel, BertForPreTraining, BertForSequenceClassification, ... */
    const char *family;
    const char *prefix;  /* precedes the file's names; NULL: nothing */
    const char *pattern; /* glob of the model's names to load; NULL: all */
    bool partial;        /* the file need not have all parameters and running statistics */
    bool strict;         /* the file may have nothing else (but counters of batches, which are never used) */
    bool new_head;       /* the layer of the model's last parameter keeps its values if the file's have other shapes */
    bool fresh_head;     /* that layer keeps its values in any case */
} glia_weights_opts;

typedef struct glia_weights_report {
    int loaded;     /* values of the model; 0 after an error */
    int missing;    /* parameters and running statistics that the file lacks; they are unchanged */
    int unexpected; /* tensors of the file that nothing takes; not counted with a pattern */
    int misshapen;  /* of another shape */
    int reset;      /* values of a new head, which are unchanged */
    char *list;     /* a line for each tensor that is missing, unexpected or misshapen; NULL: none. Release with
                       free() */
} glia_weights_report;

/* Loads a model's values from a file of safetensors, .npz, or torch.save() (.pt, .pth, .th; zip or older). Pickles are
 * read without executing anything: a file with code in it is refused by name and offset. f16, bf16 and f64 are
 * converted. After an error nothing has changed. `report` may be NULL. */
GLIA_API glia_status glia_model_import_weights(glia_model *model, const char *path, glia_weights_opts opts,
                                               glia_weights_report *report, glia_error *error);

/* The same with a family and a prefix (may be NULL): every parameter of the model must be in the file.
 * docs/sequences.md has the table of names. */
GLIA_API glia_status glia_model_load_foreign(glia_model *model, const char *path, const char *family,
                                             const char *prefix, glia_error *error);

/* Loads the parameters of the layer `name` (with all its layers and directions) from a safetensors file with the state
 * of a torch.nn.LSTM, GRU or RNN: `prefix` (NULL: none) and "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0",
 * "weight_hr_l0", ..., "_reverse". A missing tensor or one of another shape is an error, and nothing is changed. */
GLIA_API glia_status glia_model_load_torch_recurrent(glia_model *model, const char *name, const char *path,
                                                     const char *prefix, glia_error *error);

/* Writes a spiking model as a file of NIR, the Neuromorphic Intermediate Representation (Pedersen et al. 2024), for
 * simulators and neuromorphic chips. `dt`: the seconds of a step; 0: 1e-4. Dense layers become Affine and Linear,
 * flattened samples Flatten, units LIF, IF, CubaLIF, and LI and CubaLI where they are silent: steps of dt by Euler's
 * method are the model's (tau = dt / (1 - beta), r = tau / dt). NIR's reset to v_reset is that of units with to_zero;
 * it has no reset by subtraction, so "reset" in a unit's metadata says "subtract" or "zero". A mean or a sum over the
 * steps at the end is left out. GLIA_E_UNSUPPORTED names what is not exported: max pooling, recurrent units, ...; or
 * this is a build without libhdf5. */
GLIA_API glia_status glia_model_export_nir(const glia_model *model, const char *path, double dt, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
