/* seq2seq.c - the encoder-decoder of Vaswani et al. 2017.
 *
 * Embeddings are initialised to N(0, 1 / units) and multiplied by sqrt(units) when read (section 3.4), so they have the
 * magnitude of the sinusoids, while initial logits are small.
 */
#include <math.h>

#include "glia/transformers.h"
#include "nn/layers/layers.h"

static glia_seq2seq_opts resolved(glia_seq2seq_opts o) {
    if (!o.layers) o.layers = 6;
    if (!o.decoder_layers) o.decoder_layers = o.layers;
    if (!o.units) o.units = 512;
    if (!o.heads) o.heads = 8;
    return o;
}

static const char *table_name(const glia_seq2seq_opts *o, bool target) {
    return !o->target_vocabulary ? "embed" : target ? "target" : "source";
}

static glia_tensor embedded(glia_tensor ids, bool target, const glia_seq2seq_opts *o) {
    if (glia_is_bad(ids)) return glia_layer_bad(ids);
    glia_graph *g = ids->graph;
    if (ids->shape.rank != 2 || ids->shape.dim[1] < 1) {
        char text[GLIA_SHAPE_TEXT];
        return glia_graph_fail(g, GLIA_E_SHAPE, "seq2seq: ids should be (N, T), not %s",
                               glia_shape_format(ids->shape, text));
    }
    glia_embedding_opts how = { .vocabulary = target && o->target_vocabulary ? o->target_vocabulary : o->vocabulary,
                                .units = o->units,
                                .init = { .kind = GLIA_INIT_NORMAL, .stddev = 1 / sqrt((double)o->units) } };
    glia_tensor x = glia_mul_scalar(glia_embedding(ids, table_name(o, target), how), sqrt((double)o->units));
    glia_tensor at = glia_iota(g, GLIA_I32, GLIA_SHAPE(ids->shape.dim[1]), 0);
    return glia_dropout(glia_add(x, glia_sinusoidal(at, o->units)), o->dropout);
}

static glia_transformer_opts stack_of(const glia_seq2seq_opts *o, int layers) {
    return (glia_transformer_opts){ .layers = layers,
                                    .heads = o->heads,
                                    .feed_forward = o->feed_forward,
                                    .post_norm = o->post_norm,
                                    .dropout = o->dropout };
}

glia_tensor glia_seq2seq_encode(glia_tensor source, glia_tensor lengths, glia_seq2seq_opts opts) {
    const glia_seq2seq_opts o = resolved(opts);
    glia_transformer_opts how = stack_of(&o, o.layers);
    how.lengths = lengths;
    how.weights = o.source_weights;
    return glia_encoder_stack(embedded(source, false, &o), "encoder", how);
}

glia_tensor glia_seq2seq_decode(glia_tensor memory, glia_tensor lengths, glia_tensor target, glia_seq2seq_opts opts) {
    const glia_seq2seq_opts o = resolved(opts);
    glia_transformer_opts how = stack_of(&o, o.decoder_layers);
    how.memory_lengths = lengths;
    how.weights = o.weights;
    how.memory_weights = o.memory_weights;
    glia_tensor x = glia_decoder_stack(embedded(target, true, &o), memory, "decoder", how);
    return glia_embedding_logits(x, table_name(&o, true), o.target_vocabulary ? o.target_vocabulary : o.vocabulary);
}

glia_tensor glia_seq2seq(glia_tensor source, glia_tensor lengths, glia_tensor target, glia_seq2seq_opts opts) {
    return glia_seq2seq_decode(glia_seq2seq_encode(source, lengths, opts), lengths, target, opts);
}
