/* bert.c - BERT (Devlin, Chang, Lee and Toutanova 2019) and its heads. */
#include "glia/transformers.h"
#include "nn/layers/layers.h"

static const glia_init normal = { .kind = GLIA_INIT_NORMAL, .stddev = 0.02 };
static const glia_norm_opts norm = { .epsilon = 1e-12 };

static glia_bert_opts resolved(glia_bert_opts o) {
    if (!o.layers) o.layers = 12;
    if (!o.heads) o.heads = 12;
    if (!o.units) o.units = 768;
    if (!o.segments) o.segments = 2;
    return o;
}

static glia_tensor table(glia_tensor ids, const char *name, int rows, int units) {
    return glia_embedding(ids, name, (glia_embedding_opts){ .vocabulary = rows, .units = units, .init = normal });
}

static glia_tensor embedded(glia_tensor ids, const glia_bert_opts *o) {
    glia_tensor x = table(ids, "embed/word", o->vocabulary, o->units);
    glia_tensor at = glia_iota(ids->graph, GLIA_I32, GLIA_SHAPE(ids->shape.dim[1]), 0);
    glia_tensor segments = o->segment_ids ? o->segment_ids : glia_scalar(ids->graph, GLIA_I32, 0);
    x = glia_add(x, table(segments, "embed/segment", o->segments, o->units));
    x = glia_add(x, table(at, "embed/position", o->context, o->units));
    return glia_dropout(glia_layer_norm(x, "embed/norm", norm), o->dropout);
}

glia_tensor glia_bert(glia_tensor ids, glia_bert_opts opts) {
    if (glia_is_bad(ids)) return glia_layer_bad(ids);
    const glia_bert_opts o = resolved(opts);
    const glia_shape s = ids->shape;
    if (s.rank != 2 || s.dim[1] < 1 || s.dim[1] > o.context) {
        char text[GLIA_SHAPE_TEXT];
        return glia_graph_fail(ids->graph, GLIA_E_SHAPE, "bert: ids should be (N, T) with T in [1, %d], not %s",
                               o.context, glia_shape_format(s, text));
    }
    glia_transformer_opts how = { .layers = o.layers,
                                  .heads = o.heads,
                                  .feed_forward = o.feed_forward,
                                  .activation = GLIA_GELU,
                                  .post_norm = true,
                                  .epsilon = norm.epsilon,
                                  .dropout = o.dropout,
                                  .lengths = o.lengths,
                                  .kernel_init = normal };
    if (o.pads && !o.lengths) {
        glia_tensor word = glia_not_equal(ids, glia_like(ids, o.padding));
        how.mask = glia_reshape(word, GLIA_SHAPE(s.dim[0], 1, 1, s.dim[1]));
    }
    return glia_encoder_stack(embedded(ids, &o), NULL, how);
}

/* ---- heads --------------------------------------------------------------------------------- */

static glia_tensor dense(glia_tensor x, const char *name, int units, glia_activation activation) {
    glia_dense_opts how = { .units = units, .activation = activation, .kernel_init = normal };
    return glia_dense(x, name, how);
}

static int width(glia_tensor x) { return glia_is_bad(x) ? 1 : (int)x->shape.dim[x->shape.rank - 1]; }

glia_tensor glia_bert_masked_words(glia_tensor x, int vocabulary) {
    x = glia_layer_norm(dense(x, "mlm/dense", width(x), GLIA_GELU), "mlm/norm", norm);
    glia_tensor logits = glia_embedding_logits(x, "embed/word", vocabulary);
    if (glia_is_bad(logits)) return logits;
    return glia_add(logits, glia_parameter(logits->graph, "mlm/bias", logits->dtype, GLIA_SHAPE(vocabulary),
                                           (glia_init){ .kind = GLIA_INIT_ZEROS }));
}

glia_tensor glia_bert_pooled(glia_tensor x) {
    if (glia_is_bad(x)) return glia_layer_bad(x);
    const glia_shape s = x->shape;
    if (s.rank != 3) return glia_graph_fail(x->graph, GLIA_E_SHAPE, "bert: the pooled input should be (N, T, D)");
    glia_tensor first = glia_slice(x, GLIA_SHAPE(0, 0, 0), GLIA_SHAPE(s.dim[0], 1, s.dim[2]), GLIA_SHAPE(1, 1, 1));
    return dense(glia_reshape(first, GLIA_SHAPE(s.dim[0], s.dim[2])), "pooler", width(x), GLIA_TANH);
}

glia_tensor glia_bert_next_sentence(glia_tensor pooled) { return dense(pooled, "nsp", 2, GLIA_LINEAR); }

glia_tensor glia_bert_classes(glia_tensor pooled, int classes, double dropout) {
    return dense(glia_dropout(pooled, dropout), "classifier", classes, GLIA_LINEAR);
}

glia_tensor glia_bert_tags(glia_tensor x, int tags, double dropout) {
    return dense(glia_dropout(x, dropout), "classifier", tags, GLIA_LINEAR);
}

glia_tensor glia_bert_question(glia_tensor x) { return dense(x, "qa", 2, GLIA_LINEAR); }
