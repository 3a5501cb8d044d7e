/* gpt.c - GPT (Radford et al. 2018, 2019): a causal transformer that predicts each next token. */
#include "glia/transformers.h"
#include "nn/layers/layers.h"

static glia_gpt_opts resolved(glia_gpt_opts o) {
    if (!o.layers) o.layers = 12;
    if (!o.heads) o.heads = 12;
    if (!o.units) o.units = 768;
    return o;
}

/* Token embeddings plus learned position embeddings. */
static glia_tensor embedded(glia_tensor ids, const glia_gpt_opts *o, glia_init init) {
    glia_embedding_opts words = { .vocabulary = o->vocabulary, .units = o->units, .init = init };
    glia_tensor x = glia_embedding(ids, "wte", words);
    if (o->rotary.kind || o->alibi || glia_is_bad(x)) return x;
    glia_embedding_opts places = { .vocabulary = o->context, .units = o->units, .init = init };
    glia_tensor at = o->positions ? o->positions : glia_iota(x->graph, GLIA_I32, GLIA_SHAPE(ids->shape.dim[1]), 0);
    return glia_add(x, glia_embedding(at, "wpe", places));
}

glia_tensor glia_gpt(glia_tensor ids, glia_gpt_opts opts) {
    if (glia_is_bad(ids)) return glia_layer_bad(ids);
    const glia_gpt_opts o = resolved(opts);
    const glia_shape s = ids->shape;
    if (s.rank != 2 || s.dim[1] < 1 || s.dim[1] > o.context) {
        char text[GLIA_SHAPE_TEXT];
        return glia_graph_fail(ids->graph, GLIA_E_SHAPE, "gpt: ids should be (N, T) with T in [1, %d], not %s",
                               o.context, glia_shape_format(s, text));
    }
    const glia_init init = { .kind = GLIA_INIT_NORMAL, .stddev = 0.02 };
    glia_transformer_opts how = { .layers = o.layers,
                                  .heads = o.heads,
                                  .key_heads = o.key_heads,
                                  .feed_forward = o.feed_forward,
                                  .activation = o.gelu_tanh ? GLIA_GELU_TANH : GLIA_GELU,
                                  .dropout = o.dropout,
                                  .causal = true,
                                  .no_bias = o.no_bias,
                                  .rotary = o.rotary,
                                  .alibi = o.alibi,
                                  .positions = o.positions,
                                  .kernel_init = init,
                                  .scale_residual = true };
    glia_tensor x = glia_dropout(embedded(ids, &o, init), o.dropout);
    x = glia_encoder_stack(x, NULL, how);
    if (!o.untied) return glia_embedding_logits(x, "wte", o.vocabulary);
    return glia_dense(x, "head", (glia_dense_opts){ .units = o.vocabulary, .no_bias = true, .kernel_init = init });
}
