/* glia.h - Glia: deep learning in C17. This header includes the whole public API.
 *
 *   status.h       version, status, errors        model.h         models: save, load, summary
 *   tensor.h       dtypes, shapes, graphs         data.h          data sets, loaders
 *   ops.h          operations, gradients          augment.h       data augmentation
 *   layers.h       layers and activations         text.h          tokenizers
 *   losses.h       losses                         fit.h           fit, evaluate, predict
 *   optim.h        optimisers, schedules          callbacks.h     early stopping, checkpoints, ...
 *   metrics.h      F1, ROC AUC, BLEU, ...         events.h        event files for TensorBoard
 *   program.h      programs, sessions, stores     generate.h      sampling, beam search
 *   methods.h      training by any method         explain.h       attributions, SHAP, LIME
 *   settings.h     settings as tables             exchange.h      weights of other frameworks
 *   replay.h       growing data, replay           transfer.h      cutting, heads, freezing
 *
 *   perceptron.h   units of 1943 and 1958         words.h         word vectors
 *   recurrent.h    RNN, LSTM, GRU, loops          projection.h    PCA, t-SNE
 *   transformers.h attention, BERT, GPT           graphs.h        data and networks of graphs
 *   generative.h   adversarial nets, diffusion    vision.h        IoU, mean average precision
 *   autoencoders.h autoencoders, VAE              environments.h  CartPole, Taxi, pixel games, ...
 *   cyclegan.h     unpaired conversion            reinforcement.h learning by acting
 *   latent.h       pictures from words            spiking.h       spiking neurons, memories
 *   scenes.h       drawn scenes, captions         evolution.h     search, NEAT, growth
 *   samples.h      how good drawn samples are
 *
 * Model code builds a graph of tensors once; gradients and optimiser updates are added to the graph; glia_compile()
 * turns it into a program with a fixed memory plan that runs many times and never allocates.
 *
 * Building needs no checks: the first error is kept in the graph and the next action reports it. Actions return a
 * glia_status and, if `error` is not NULL, a message that says what failed and where. The library never prints, exits,
 * aborts or keeps global state. A required pointer that is NULL is GLIA_E_ARGUMENT with the argument's name; functions
 * without a status return 0, NULL, false or NaN in that case. Every free function takes NULL. Options are structs by
 * value; a field left zero means the default that its comment names, GLIA_ZERO zero itself (status.h).
 *
 * Letters in shapes: N batch, C channels, D depth, H height, W width, T time, F features, K filters.
 */
#ifndef GLIA_GLIA_H
#define GLIA_GLIA_H

#include "glia/augment.h"
#include "glia/autoencoders.h"
#include "glia/callbacks.h"
#include "glia/cyclegan.h"
#include "glia/data.h"
#include "glia/environments.h"
#include "glia/events.h"
#include "glia/evolution.h"
#include "glia/exchange.h"
#include "glia/explain.h"
#include "glia/fit.h"
#include "glia/generate.h"
#include "glia/generative.h"
#include "glia/graphs.h"
#include "glia/latent.h"
#include "glia/layers.h"
#include "glia/losses.h"
#include "glia/methods.h"
#include "glia/metrics.h"
#include "glia/model.h"
#include "glia/ops.h"
#include "glia/optim.h"
#include "glia/perceptron.h"
#include "glia/program.h"
#include "glia/projection.h"
#include "glia/recurrent.h"
#include "glia/reinforcement.h"
#include "glia/replay.h"
#include "glia/samples.h"
#include "glia/scenes.h"
#include "glia/settings.h"
#include "glia/spiking.h"
#include "glia/status.h"
#include "glia/tensor.h"
#include "glia/text.h"
#include "glia/transfer.h"
#include "glia/transformers.h"
#include "glia/vision.h"
#include "glia/words.h"

#endif
