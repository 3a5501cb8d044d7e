/* additive.c - additive attention (Bahdanau et al. 2015), and the sequence-to-sequence LSTM that uses it.
 *
 *     score(q, m_s) = v . tanh(Q q + K m_s)      weights = softmax over s      context = sum of weights_s m_s
 *
 * K m does not depend on the query. Called in a loop's body with the memory outside, it is computed before the loop.
 *
 * The decoder is a loop. Its cell reads the previous token, its own state, and its last attentional output ("input
 * feeding": Luong et al. 2015, section 3.3):
 *
 *     h_t, c_t = lstm(W e(y_t-1) + U [h_t-1, a_t-1])      a_t = tanh(C [context_t, h_t])      logits_t = O a_t
 *
 * The products with W and with O are outside the loop: one each for all steps.
 */
#include "glia/recurrent.h"
#include "glia/transformers.h"
#include "nn/layers/layers.h"

/* ---- attention ------------------------------------------------------------------------------- */

/* Masks scores by (N, S) as (N, 1, S), above zero at valid positions of the memory; others become effectively minus
 * infinity. */
static glia_tensor hidden_by(glia_tensor scores, glia_tensor lengths) {
    if (!lengths || glia_is_bad(scores) || glia_is_bad(lengths)) return scores;
    const int64_t n = scores->shape.dim[0], s = scores->shape.dim[2];
    glia_tensor mask = glia_cast(glia_sequence_mask(lengths, s), scores->dtype), pair[2] = { scores, mask };
    glia_graph_join(pair, 2);
    mask = glia_broadcast(glia_reshape(pair[1], GLIA_SHAPE(n, 1, s)), scores->shape);
    return glia_select(glia_greater(mask, glia_like(mask, 0)), pair[0], glia_like(pair[0], -1e9));
}

/* q (N, T, A) and k (N, S, A) -> (N, T, S) */
static glia_tensor scores_of(glia_layer *layer, glia_tensor q, glia_tensor k, int64_t units) {
    if (glia_is_bad(q) || glia_is_bad(k)) return glia_layer_bad(q);
    const int64_t n = q->shape.dim[0], t = q->shape.dim[1], s = k->shape.dim[1];
    glia_tensor both =
        glia_add(glia_reshape(q, GLIA_SHAPE(n, t, 1, units)), glia_reshape(k, GLIA_SHAPE(n, 1, s, units)));
    glia_tensor v = glia_layer_parameter(layer, "score/kernel", GLIA_SHAPE(1, units), (glia_init){ 0 },
                                         GLIA_INIT_GLOROT_UNIFORM, 0);
    return glia_sum(glia_mul(glia_tanh(both), glia_reshape(v, GLIA_SHAPE(units))), GLIA_SHAPE(3), false);
}

static glia_tensor product_of(glia_layer *layer, const char *what, glia_tensor x, int64_t units) {
    const int64_t features = x->shape.dim[2];
    glia_tensor kernel =
        glia_layer_parameter(layer, what, GLIA_SHAPE(units, features), (glia_init){ 0 }, GLIA_INIT_GLOROT_UNIFORM, 0);
    return glia_matmul_transposed(x, false, kernel, true);
}

glia_tensor glia_additive_attention(glia_tensor query, glia_tensor memory, const char *name,
                                    glia_additive_attention_opts o) {
    glia_layer layer;
    if (o.weights) *o.weights = glia_layer_bad(query);
    if (!glia_layer_begin(&layer, "additive attention", name, query)) return glia_layer_bad(query);
    const int rank = query->shape.rank;
    if (glia_is_bad(memory)) return glia_layer_end(&layer, glia_layer_bad(query));
    if ((rank != 2 && rank != 3) || memory->shape.rank != 3 || memory->dtype != query->dtype)
        return glia_layer_fail(&layer, "the query is (N, Q) or (N, T, Q), the memory (N, S, M) of the same dtype");
    if (query->shape.dim[0] != memory->shape.dim[0] || query->shape.dim[rank - 1] < 1 || memory->shape.dim[2] < 1)
        return glia_layer_fail(&layer, "query and memory need one batch and fixed Q and M");
    const int64_t n = query->shape.dim[0], t = rank == 3 ? query->shape.dim[1] : 1, m = memory->shape.dim[2];
    const int64_t units = o.units ? o.units : query->shape.dim[rank - 1];
    glia_tensor q = glia_reshape(query, GLIA_SHAPE(n, t, query->shape.dim[rank - 1]));
    q = product_of(&layer, "query/kernel", q, units);
    glia_layer outside = layer; /* the memory's part is computed in the memory's graph */
    outside.graph = memory->graph;
    glia_tensor k = product_of(&outside, "key/kernel", memory, units);
    glia_tensor weights = glia_softmax(hidden_by(scores_of(&layer, q, k, units), o.lengths), 2);
    glia_tensor context = glia_matmul(weights, memory);
    if (rank == 2 && !glia_is_bad(context)) {
        context = glia_reshape(context, GLIA_SHAPE(n, m));
        weights = glia_reshape(weights, GLIA_SHAPE(n, memory->shape.dim[1]));
    }
    if (o.weights) *o.weights = weights;
    return glia_layer_end(&layer, context);
}

/* ---- sequence to sequence --------------------------------------------------------------------- */

static glia_lstm_seq2seq_opts resolved(glia_lstm_seq2seq_opts o) {
    if (!o.units) o.units = 512;
    if (!o.embedding) o.embedding = o.units;
    if (!o.attention) o.attention = o.units;
    return o;
}

static glia_tensor embedded(glia_tensor ids, bool target, const glia_lstm_seq2seq_opts *o) {
    const bool own = target && o->target_vocabulary;
    const char *name = !o->target_vocabulary ? "embed" : target ? "target" : "source";
    glia_embedding_opts how = { .vocabulary = own ? o->target_vocabulary : o->vocabulary,
                                .units = o->embedding,
                                .init = { .kind = GLIA_INIT_NORMAL, .stddev = 0.1 } };
    if (!glia_is_bad(ids) && ids->shape.rank != 2)
        return glia_graph_fail(ids->graph, GLIA_E_SHAPE, "lstm seq2seq: ids should be (N, T)");
    return glia_dropout(glia_embedding(ids, name, how), o->dropout);
}

glia_tensor glia_lstm_seq2seq_encode(glia_tensor source, glia_tensor lengths, glia_lstm_seq2seq_opts opts) {
    const glia_lstm_seq2seq_opts o = resolved(opts);
    return glia_lstm(embedded(source, false, &o), "encoder",
                     (glia_recurrent_opts){ .units = o.units,
                                            .layers = o.layers,
                                            .dropout = o.dropout,
                                            .bidirectional = true,
                                            .lengths = lengths,
                                            .forget_bias = 1 });
}

static glia_tensor part(glia_tensor x, int i, int64_t units) {
    return glia_slice(x, GLIA_SHAPE(0, i * units), GLIA_SHAPE(glia_tensor_shape(x).dim[0], (i + 1) * units),
                      GLIA_SCALAR);
}

/* h, c and a before the first step: from the backward direction's state at the first token. */
static void begin_states(glia_tensor memory, int64_t units, glia_tensor state[3]) {
    const int64_t n = memory->shape.dim[0];
    glia_tensor first = glia_reshape(
        glia_slice(memory, GLIA_SHAPE(0, 0, units), GLIA_SHAPE(n, 1, 2 * units), GLIA_SCALAR), GLIA_SHAPE(n, units));
    const glia_dense_opts how = { .units = (int)units, .activation = GLIA_TANH };
    state[0] = glia_dense(first, "decoder/begin/hidden", how);
    state[1] = glia_dense(first, "decoder/begin/cell", how);
    state[2] = glia_like(state[0], 0);
}

/* One step; state: before, then after. z (N, 4 U): the product of the token. */
static void decode_step(glia_tensor z, glia_tensor memory, glia_tensor lengths, const glia_lstm_seq2seq_opts *o,
                        glia_tensor state[3], glia_tensor *weights) {
    const glia_tensor before[2] = { state[0], state[2] };
    glia_tensor gates = glia_dense(glia_concat(before, 2, 1), "decoder/recurrent",
                                   (glia_dense_opts){ .units = 4 * o->units, .no_bias = true });
    gates = glia_add(z, gates);
    if (glia_is_bad(gates)) return;
    glia_tensor in = glia_sigmoid(part(gates, 0, o->units)), forget = glia_sigmoid(part(gates, 1, o->units));
    glia_tensor candidate = glia_tanh(part(gates, 2, o->units)), out = glia_sigmoid(part(gates, 3, o->units));
    state[1] = glia_add(glia_mul(forget, state[1]), glia_mul(in, candidate));
    state[0] = glia_mul(out, glia_tanh(state[1]));
    glia_additive_attention_opts how = { .units = o->attention, .lengths = lengths, .weights = weights };
    glia_tensor context = glia_additive_attention(state[0], memory, "decoder/attention", how);
    const glia_tensor found[2] = { context, state[0] };
    state[2] = glia_dense(glia_concat(found, 2, 1), "decoder/combine",
                          (glia_dense_opts){ .units = o->units, .no_bias = true, .activation = GLIA_TANH });
}

glia_tensor glia_lstm_seq2seq_decode(glia_tensor memory, glia_tensor lengths, glia_tensor target,
                                     glia_lstm_seq2seq_opts opts) {
    const glia_lstm_seq2seq_opts o = resolved(opts);
    if (o.weights) *o.weights = glia_layer_bad(memory);
    if (glia_is_bad(memory) || glia_is_bad(target)) return glia_layer_bad(memory);
    glia_graph *g = memory->graph;
    char text[GLIA_SHAPE_TEXT];
    if (memory->shape.rank != 3 || memory->shape.dim[2] != 2 * o.units)
        return glia_graph_fail(g, GLIA_E_SHAPE, "lstm seq2seq: the memory should be (N, S, %d), not %s", 2 * o.units,
                               glia_shape_format(memory->shape, text));
    glia_tensor z =
        glia_dense(embedded(target, true, &o), "decoder/input",
                   (glia_dense_opts){ .units = 4 * o.units,
                                      .bias_init = { .kind = GLIA_INIT_PART, .value = 1, .low = 0.25, .high = 0.5 } });
    glia_tensor begin[3], state[3], carried[3], weights = NULL;
    if (o.initial)
        for (int i = 0; i < 3; i++) begin[i] = o.initial[i];
    else
        begin_states(memory, o.units, begin);
    glia_loop *loop = glia_loop_begin(g, (glia_loop_opts){ 0 });
    glia_tensor z_t = glia_loop_input(loop, z);
    for (int i = 0; i < 3; i++) state[i] = carried[i] = glia_loop_state(loop, begin[i]);
    decode_step(z_t, memory, lengths, &o, state, &weights);
    for (int i = 0; i < 3; i++) glia_loop_next(loop, carried[i], state[i]);
    glia_tensor each[2] = { state[2], weights }, all[2] = { NULL };
    glia_loop_end(loop, each, o.weights ? 2 : 1, all);
    for (int i = 0; i < 3 && o.last; i++) o.last[i] = glia_loop_last(loop, carried[i]);
    if (o.weights) *o.weights = all[1];
    const int vocabulary = o.target_vocabulary ? o.target_vocabulary : o.vocabulary;
    return glia_dense(glia_dropout(all[0], o.dropout), "decoder/out", (glia_dense_opts){ .units = vocabulary });
}

glia_tensor glia_lstm_seq2seq(glia_tensor source, glia_tensor lengths, glia_tensor target,
                              glia_lstm_seq2seq_opts opts) {
    return glia_lstm_seq2seq_decode(glia_lstm_seq2seq_encode(source, lengths, opts), lengths, target, opts);
}
