/* recurrent.h - recurrent nets: loops over time, and recurrent layers.
 *
 *   1  loops: custom cells, masks, carried states
 *   2  layers: simple recurrent nets, LSTM, GRU
 *   3  additive attention, and a sequence-to-sequence LSTM with it
 *
 * Sequences are (N, T, F): samples, steps, features.
 */
#ifndef GLIA_RECURRENT_H
#define GLIA_RECURRENT_H

#include "glia/layers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== 1. loops ============================================================================== */
/* A loop over time: operations built between glia_loop_begin() and glia_loop_end() are its body and run in every step.
 * A recurrent layer with a custom cell:
 *
 *     glia_loop *loop = glia_loop_begin(graph, (glia_loop_opts){ .lengths = lengths });
 *     glia_tensor x_t = glia_loop_input(loop, x);                            (N, T, F) -> (N, F)
 *     glia_tensor h = glia_loop_state_zeros(loop, GLIA_SHAPE(64));           (N, 64), carried from step to step
 *     glia_tensor both[] = { x_t, h };
 *     glia_tensor next = glia_dense(glia_concat(both, 2, 1), "cell",
 *                                   (glia_dense_opts){ .units = 64, .activation = GLIA_TANH });
 *     glia_loop_next(loop, h, next);
 *     glia_tensor all;
 *     glia_loop_end(loop, &next, 1, &all);                                   (N, T, 64)
 *     glia_tensor last = glia_loop_last(loop, h);                            (N, 64)
 *
 * Parameters created in the body belong to the graph and are shared by all steps; so are tensors of the graph that the
 * body reads. Random operations and dropout created between the two calls draw new numbers in each step: at step t the
 * seed s of the graph's random state is replaced by a hash of s and t. One created before glia_loop_begin() is a tensor
 * of the graph, the same in every step. Loops may be nested. The gradient of a loop is a loop in reverse; it keeps the
 * states of the forward steps and recomputes the rest.
 *
 * States and stacked results are all f32 or all f64; inputs may have other dtypes and be cast. A body cannot contain
 * updates or batch norm, whose running statistics do not belong to one step. Errors are kept in the graph, as
 * everywhere. */
typedef struct glia_loop glia_loop; /* belongs to the graph, and its thread; needs no freeing */

typedef struct glia_loop_opts {
    int64_t steps;       /* 0: the length of the first sequence */
    bool reverse;        /* from the last step to the first; stacked results keep the order of the steps */
    glia_tensor lengths; /* i32 (N), or NULL: from step lengths[n] on, a sample's states stay unchanged and its stacked
                            results are zero. In reverse it therefore begins at its last valid step. */
} glia_loop_opts;

GLIA_API glia_loop *glia_loop_begin(glia_graph *graph, glia_loop_opts opts);
/* The current step (N, ...) of a sequence (N, T, ...) of any dtype. */
GLIA_API glia_tensor glia_loop_input(glia_loop *loop, glia_tensor sequence);
/* A state (N, ...) with this initial value; or with zeros, where `sample` is its shape without N. Then N comes from an
 * input or another state, and the dtype from the first floating-point one of those (or f32). */
GLIA_API glia_tensor glia_loop_state(glia_loop *loop, glia_tensor initial);
GLIA_API glia_tensor glia_loop_state_zeros(glia_loop *loop, glia_shape sample);
/* The number of the step, t, as an i32 scalar: from 0 to steps - 1, in reverse from steps - 1 to 0, so in every step it
 * is the place of the step's parts and results in their sequences. glia_cast() makes it a number for arithmetic. */
GLIA_API glia_tensor glia_loop_index(glia_loop *loop);
/* In the next step the state is `value`. */
GLIA_API void glia_loop_next(glia_loop *loop, glia_tensor state, glia_tensor value);
/* Ends the body. stacked[i] becomes the (N, T, ...) of each[i] (N, ...), a tensor of the body, for n of them. */
GLIA_API void glia_loop_end(glia_loop *loop, const glia_tensor *each, int n, glia_tensor *stacked);
/* The state after the last step; with lengths, after each sample's own last step. Call it after glia_loop_end(). */
GLIA_API glia_tensor glia_loop_last(glia_loop *loop, glia_tensor state);

/* f32 (N, T): 1 in a sample's first lengths[n] steps, then 0. */
GLIA_API glia_tensor glia_sequence_mask(glia_tensor lengths, int64_t steps);

/* ==== 2. layers ============================================================================= */
/* Parameters, for F features, H units, P outputs (H, or the projection) and G gates, in this order from the first row:
 *
 *     LSTM   i, f, g, o     input, forget and output gate, candidate g       (PyTorch's order)
 *     GRU    r, z, n        reset and update gate, candidate n               (PyTorch's order)
 *     RNN    one
 *
 *     NAME/kernel (G H, F)   NAME/recurrent_kernel (G H, P)   NAME/bias (G H)
 *     NAME/recurrent_bias (H)      GRU with the reset gate after the product: bias of n inside the reset
 *     NAME/peephole (3, H)         rows i, f, o
 *     NAME/projection (P, H)
 *     NAME/input_norm/scale (G H)   NAME/recurrent_norm/scale (G H)   NAME/cell_norm/scale, shift (H)
 *                                  layer-normalised; the RNN has NAME/norm/scale (H)
 *
 * NAME is followed by /l0, /l1, ... with several layers, then by /forward and /backward with both directions.
 * One bias replaces PyTorch's two (their sum).
 *
 * LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000), with x' = W x + b:
 *     i, f, o = sigmoid(x' + U h)   g = tanh(x' + U h)   c = f c + i g   h = o tanh(c)
 * GRU (Cho et al. 2014):
 *     r, z = sigmoid(x' + U h)   n = tanh(x' + r (U h + b'))   h = (1 - z) n + z h
 *     reset before the product, as in the paper: n = tanh(x' + U (r h))
 * RNN (Elman 1990):
 *     h = tanh(x' + U h), or relu of it
 *
 * Layer-normalised cells (Ba, Kiros and Hinton 2016), LN(v) = scale (v - mean) / sqrt(variance + 1e-5) over the units:
 *     LSTM  x' = LN(W x) + b, LN(U h) in place of U h, over all gates together, and h = o tanh(LN(c) + shift)
 *     GRU   the same, r and z together, n separately: n = tanh(x' + r (LN(U h) + b')), or tanh(x' + LN(U (r h)))
 *     RNN   h = tanh(LN(W x + U h) + b), or relu of it */

typedef enum glia_merge {
    GLIA_MERGE_CONCAT, /* forward, then backward: (..., 2 P) */
    GLIA_MERGE_SUM
} glia_merge;

enum { GLIA_RECURRENT_LAYERS = 8, GLIA_RECURRENT_STATES = 2 * GLIA_RECURRENT_LAYERS };

/* The states (N, P) and, for the LSTM, (N, H), of each layer: l0, l1, ...; with both directions l0 forward, l0
 * backward, l1 forward, ... */
typedef struct glia_recurrent_states {
    glia_tensor h[GLIA_RECURRENT_STATES], c[GLIA_RECURRENT_STATES];
} glia_recurrent_states;

typedef struct glia_recurrent_opts {
    int units;
    int layers;         /* stacked; 0: 1; at most GLIA_RECURRENT_LAYERS */
    double dropout;     /* between layers, in training */
    bool bidirectional; /* both directions; `merge` combines each layer's results */
    glia_merge merge;
    bool reverse;       /* from the last step to the first; results keep the order of x */
    bool last_only;     /* the result is the last state (N, P), not the sequence (N, T, P). Each direction gives its own
                         * last state; that of the backward one is at the first step */
    glia_tensor lengths; /* i32 (N), or NULL: steps from lengths[n] on are padding. There the state stays unchanged,
                          * results are 0, and the backward direction begins at the last valid step */
    const glia_recurrent_states *initial; /* NULL, or NULL entries: zeros */
    glia_recurrent_states *last;          /* filled with the states after the last step, unless NULL */
    bool stateful; /* the states continue from the previous run: they are states of the graph, "NAME/h" and "NAME/c",
                    * updated by the group "state" in training programs. x's batch must be fixed; no gradient flows into
                    * the previous run (truncated back-propagation through time) */
    bool no_bias;
    bool peephole;     /* LSTM: Gers et al. 2002, the gates read the cell: i and f the old one, o the new one */
    int projection;    /* LSTM: Sak et al. 2014, h = P (o tanh(c)) with this size; 0: none */
    double forget_bias; /* LSTM: initial bias of f (Jozefowicz et al. 2015 and Keras: 1; PyTorch: 0) */
    bool reset_before; /* GRU: the reset gate is applied before the product, as in Cho et al. 2014 and Keras with
                        * reset_after=False; else after it, as in cuDNN, PyTorch and ONNX with linear_before_reset=1 */
    bool relu;         /* RNN */
    bool layer_norm;   /* layer-normalised cells; no_bias omits cell_norm/shift too */
    glia_init kernel_init, recurrent_init, bias_init; /* default: Glorot uniform, orthogonal, zeros; a GLIA_INIT_PART of
                                                       * the bias does not apply to recurrent_bias */
} glia_recurrent_opts;

/* x (N, T, F) -> (N, T, P), or (N, P); twice as wide with GLIA_MERGE_CONCAT of both directions. */
GLIA_API glia_tensor glia_lstm(glia_tensor x, const char *name, glia_recurrent_opts opts);
GLIA_API glia_tensor glia_gru(glia_tensor x, const char *name, glia_recurrent_opts opts);
GLIA_API glia_tensor glia_rnn(glia_tensor x, const char *name, glia_recurrent_opts opts);

/* The gate orders of other libraries. Keras's kernels are also transposed, (F, G H). */
typedef enum glia_gate_order {
    GLIA_GATES_TORCH, /* also Glia's: LSTM i, f, g, o; GRU r, z, n */
    GLIA_GATES_ONNX,  /* LSTM i, o, f, c; GRU z, r, h */
    GLIA_GATES_KERAS, /* LSTM i, f, c, o; GRU z, r, h */
    GLIA_GATE_ORDER_COUNT
} glia_gate_order;

/* Converts x (gates units, columns), a kernel of an LSTM (4 gates) or a GRU (3), from gate order `from` to `to` in y. A
 * bias has one column. y must not be x. */
GLIA_API glia_status glia_gates_reorder(int gates, int64_t units, int64_t columns, const float *x, glia_gate_order from,
                                        float *y, glia_gate_order to, glia_error *error);

/* ==== 3. additive attention ================================================================= */

/* Bahdanau et al. 2015: score(q, m) = v . tanh(Q q + K m), weights = softmax of the scores over the memory, result =
 * the weighted sum of the memory. Parameters NAME/query/kernel Q (A, features of the query), NAME/key/kernel K (A, M),
 * NAME/score/kernel v (1, A). */
typedef struct glia_additive_attention_opts {
    int units;            /* A; 0: the query's features */
    glia_tensor lengths;  /* i32 (N), or NULL: memory from lengths[n] on is masked */
    glia_tensor *weights; /* set to the weights (N, S) or (N, T, S), unless NULL */
} glia_additive_attention_opts;

/* query (N, Q) or (N, T, Q), memory (N, S, M) -> (N, M) or (N, T, M). In a loop's body the memory should be a tensor of
 * the enclosing graph: then K m is computed once. */
GLIA_API glia_tensor glia_additive_attention(glia_tensor query, glia_tensor memory, const char *name,
                                             glia_additive_attention_opts opts);

/* The sequence-to-sequence LSTM of Bahdanau et al. 2015 and Luong et al. 2015: the encoder in both directions, the
 * decoder with additive attention and input feeding. Parameters under source/, target/ (embed/ if the vocabulary is
 * shared), encoder/ and decoder/. */
typedef struct glia_lstm_seq2seq_opts {
    int vocabulary, target_vocabulary; /* ids of source and target; 0: one table for both */
    int units;           /* U, of each direction and of the decoder; 0: 512 */
    int layers;          /* of the encoder; 0: 1 */
    int embedding;       /* 0: units */
    int attention;       /* 0: units */
    double dropout;      /* of embeddings, between layers, and before the logits */
    glia_tensor *weights;       /* set to the decoder's weights over the source (N, T, S), unless NULL */
    const glia_tensor *initial; /* the decoder's three states (N, U); NULL: from the memory */
    glia_tensor *last;          /* set to the states after the last step, unless NULL; with target (N, 1): one step of
                                   decoding */
} glia_lstm_seq2seq_opts;

/* source i32 (N, S), lengths i32 (N) or NULL, target i32 (N, T), the tokens before those to be predicted (teacher
 * forcing) -> logits (N, T, V). */
GLIA_API glia_tensor glia_lstm_seq2seq(glia_tensor source, glia_tensor lengths, glia_tensor target,
                                       glia_lstm_seq2seq_opts opts);
/* The encoder and the decoder separately: the memory (N, S, 2 U) is all that the decoder needs. */
GLIA_API glia_tensor glia_lstm_seq2seq_encode(glia_tensor source, glia_tensor lengths, glia_lstm_seq2seq_opts opts);
GLIA_API glia_tensor glia_lstm_seq2seq_decode(glia_tensor memory, glia_tensor lengths, glia_tensor target,
                                              glia_lstm_seq2seq_opts opts);

#ifdef __cplusplus
}
#endif

#endif
