/* exchange.h - weights from files of other frameworks. */
#ifndef GLIA_EXCHANGE_H
#define GLIA_EXCHANGE_H

#include "glia/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Loads a model's parameters from a safetensors file of another framework, by the names and layouts of `family`:
 *     "torch"    torch.nn.TransformerEncoder, TransformerDecoder, Transformer, MultiheadAttention
 *     "nanogpt"  nanoGPT's model.py
 *     "gpt2"     transformers' GPT2Model and GPT2LMHeadModel (kernels transposed)
 *     "bert"     transformers' BertModel, BertForPreTraining, BertForSequenceClassification, ...
 * f16, bf16 and f64 are converted. docs/sequences.md has the table. Every parameter of the model must be in the file;
 * `prefix` (may be NULL) precedes the file's names. */
GLIA_API glia_status glia_model_load_foreign(glia_model *model, const char *path, const char *family,
                                             const char *prefix, glia_error *error);

/* Loads the parameters of the layer `name` (with all its layers and directions) from a safetensors file with the state
 * of a torch.nn.LSTM, GRU or RNN: `prefix` (NULL: none) and "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0",
 * "weight_hr_l0", ..., "_reverse". A missing tensor or one of another shape is an error, and nothing is changed. */
GLIA_API glia_status glia_model_load_torch_recurrent(glia_model *model, const char *name, const char *path,
                                                     const char *prefix, glia_error *error);

#ifdef __cplusplus
}
#endif

#endif
