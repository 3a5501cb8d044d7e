/* transformer.c - multi-head attention, feed-forward nets, encoders and decoders (Vaswani et al. 2017).
 *
 *     pre-norm    x + f(norm(x))          a final norm at the end of a stack
 *     post-norm   norm(x + f(x))
 *
 * where f is in turn self-attention, in a decoder attention to the memory, and the feed-forward net, each followed by
 * dropout.
 */
#include <math.h>

#include "glia/transformers.h"
#include "nn/layers/layers.h"

/* "NAME/part", or "part" without a name. */
static const char *path(glia_tensor x, const char *name, const char *part) {
    if (!name || !name[0] || glia_is_bad(x)) return part;
    const char *full = glia_arena_printf(&x->graph->arena, "%s/%s", name, part);
    if (!full) glia_graph_fail_nomem(x->graph);
    return full ? full : part;
}

/* ---- heads --------------------------------------------------------------------------------- */

/* Columns [from, from + heads size) of x (N, T, ...) as (N, T, heads, size). */
static glia_tensor heads_of(glia_tensor x, int64_t from, int64_t heads, int64_t size) {
    if (glia_is_bad(x)) return x;
    const glia_shape s = x->shape;
    glia_tensor part =
        glia_slice(x, GLIA_SHAPE(0, 0, from), GLIA_SHAPE(s.dim[0], s.dim[1], from + heads * size), GLIA_SHAPE(1, 1, 1));
    return glia_reshape(part, GLIA_SHAPE(s.dim[0], s.dim[1], heads, size));
}

/* The input of an attention: qkv in one tensor, or q and kv. */
typedef struct heads {
    int64_t n, keys, size; /* heads, key heads, size of one head */
    const glia_multihead_opts *opts;
    glia_attention_opts how;
} heads;

static glia_tensor product(glia_tensor x, const char *name, int64_t units, const glia_multihead_opts *o) {
    return glia_dense(x, name,
                      (glia_dense_opts){ .units = (int)units,
                                         .no_bias = o->no_bias || o->no_qkv_bias,
                                         .kernel_init = o->kernel_init });
}

static void look(const heads *h, glia_tensor q, glia_tensor k) {
    if (h->opts->weights) *h->opts->weights = glia_attention_weights(q, k, h->how);
}

/* (N, T, heads size), computed from one product's result. */
static glia_tensor attend_self(const heads *h, glia_tensor qkv) {
    const int64_t n = h->n, size = h->size;
    const glia_multihead_opts *o = h->opts;
    if (!o->rotary.kind && !o->weights) return glia_attention_qkv(qkv, h->how);
    glia_tensor q = glia_rotate(heads_of(qkv, 0, n, size), o->positions, o->rotary);
    glia_tensor k = glia_rotate(heads_of(qkv, n * size, h->keys, size), o->positions, o->rotary);
    look(h, q, k);
    if (!o->rotary.kind) return glia_attention_qkv(qkv, h->how);
    glia_tensor y = glia_attention(q, k, heads_of(qkv, (n + h->keys) * size, h->keys, size), h->how);
    if (glia_is_bad(y)) return y;
    return glia_reshape(y, GLIA_SHAPE(y->shape.dim[0], y->shape.dim[1], n * size));
}

static glia_tensor attend_memory(const heads *h, glia_tensor q, glia_tensor kv) {
    if (h->opts->weights) look(h, heads_of(q, 0, h->n, h->size), heads_of(kv, 0, h->keys, h->size));
    return glia_attention_kv(q, kv, h->how);
}

/* Checks for (N, T, D): the error's text, or NULL. */
static const char *wrong_sequence(glia_tensor x) {
    return x->shape.rank != 3 || x->shape.dim[1] < 1 || x->shape.dim[2] < 1 ? "it must be (N, T, D) with fixed T and D"
                                                                            : NULL;
}

glia_tensor glia_multihead(glia_tensor x, glia_tensor memory, const char *name, glia_multihead_opts o) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "multihead", name, x)) return glia_layer_bad(x);
    if (memory && glia_is_bad(memory)) return glia_layer_end(&layer, glia_layer_bad(x));
    const char *wrong = wrong_sequence(x);
    if (!wrong && memory) wrong = wrong_sequence(memory);
    if (wrong) return glia_layer_fail(&layer, "%s", wrong);
    const int64_t units = x->shape.dim[2];
    heads h = { .n = o.heads, .keys = o.key_heads ? o.key_heads : o.heads, .opts = &o };
    if (h.n < 1 || h.keys < 1 || h.n % h.keys) {
        return glia_layer_fail(&layer, "%d heads with %d heads of keys are not possible", o.heads, o.key_heads);
    }
    if (o.size < 1 && units % h.n) return glia_layer_fail(&layer, "%d heads do not divide D", o.heads);
    h.size = o.size > 0 ? o.size : units / h.n;
    h.how = (glia_attention_opts){ .heads = (int)h.n,
                                   .groups = (int)h.keys,
                                   .causal = o.causal,
                                   .window = o.window,
                                   .alibi = o.alibi,
                                   .dropout = o.dropout,
                                   .lengths = o.lengths,
                                   .mask = o.mask };
    glia_tensor y;
    if (memory) {
        glia_tensor q = product(x, path(x, name, "q"), h.n * h.size, &o);
        y = attend_memory(&h, q, product(memory, path(x, name, "kv"), 2 * h.keys * h.size, &o));
    } else {
        y = attend_self(&h, product(x, path(x, name, "qkv"), (h.n + 2 * h.keys) * h.size, &o));
    }
    glia_dense_opts out = { .units = (int)units,
                            .no_bias = o.no_bias,
                            .kernel_init = o.out_init.kind ? o.out_init : o.kernel_init };
    return glia_layer_end(&layer, glia_dense(y, path(x, name, "out"), out));
}

/* ---- feed-forward -------------------------------------------------------------------------- */

glia_tensor glia_feed_forward(glia_tensor x, const char *name, glia_feed_forward_opts o) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "feed_forward", name, x)) return glia_layer_bad(x);
    const int64_t units = x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 0;
    if (x->shape.rank < 2 || units < 1) return glia_layer_fail(&layer, "x must be (N, ..., D) with a fixed D");
    glia_dense_opts up = { .units = o.units > 0 ? o.units : (int)(4 * units),
                           .activation = o.activation ? o.activation : GLIA_RELU,
                           .no_bias = o.no_bias,
                           .kernel_init = o.kernel_init };
    glia_dense_opts down = { .units = (int)units,
                             .no_bias = o.no_bias,
                             .kernel_init = o.out_init.kind ? o.out_init : o.kernel_init };
    glia_tensor y = glia_dropout(glia_dense(x, path(x, name, "up"), up), o.dropout);
    return glia_layer_end(&layer, glia_dense(y, path(x, name, "down"), down));
}

/* ---- layers -------------------------------------------------------------------------------- */

static glia_transformer_opts resolved(glia_transformer_opts o) {
    if (!o.layers) o.layers = 6;
    if (!o.heads) o.heads = 8;
    return o;
}

static glia_tensor normed(glia_tensor x, const char *name, const char *part, const glia_transformer_opts *o) {
    glia_norm_opts how = { .epsilon = o->epsilon, .no_shift = o->no_bias };
    return (o->norm == GLIA_RMS_NORM ? glia_rms_norm : glia_layer_norm)(x, path(x, name, part), how);
}

/* The initialiser of a kernel whose product is added to the residual stream. */
static glia_init residual_init(const glia_transformer_opts *o) {
    glia_init init = o->kernel_init;
    if (o->scale_residual) init.stddev = glia_option(init.stddev, 1) / sqrt(2.0 * o->layers);
    return init;
}

typedef enum part { SELF, CROSS, MLP } part;

/* One of the three sublayers of a layer. */
static glia_tensor branch(part which, glia_tensor x, glia_tensor memory, const char *name, glia_transformer_opts *o) {
    if (which == MLP) {
        glia_feed_forward_opts how = { .units = o->feed_forward,
                                       .activation = o->activation,
                                       .dropout = o->dropout,
                                       .no_bias = o->no_bias,
                                       .kernel_init = o->kernel_init,
                                       .out_init = residual_init(o) };
        return glia_feed_forward(x, path(x, name, "mlp"), how);
    }
    glia_multihead_opts how = { .heads = o->heads,
                                .key_heads = o->key_heads,
                                .dropout = o->dropout,
                                .no_bias = o->no_bias,
                                .kernel_init = o->kernel_init,
                                .out_init = residual_init(o) };
    if (which == CROSS) {
        how.lengths = o->memory_lengths;
        how.mask = o->memory_mask;
        how.weights = o->memory_weights;
        return glia_multihead(x, memory, path(x, name, "cross"), how);
    }
    how.causal = o->causal;
    how.window = o->window;
    how.rotary = o->rotary;
    how.alibi = o->alibi;
    how.positions = o->positions;
    how.lengths = o->lengths;
    how.mask = o->mask;
    how.weights = o->weights;
    return glia_multihead(x, NULL, path(x, name, "attn"), how);
}

static glia_tensor layer_of(glia_tensor x, glia_tensor memory, const char *name, glia_transformer_opts o) {
    static const char *const norms[] = { "norm1", "norm2", "norm3" };
    static const part encoder[] = { SELF, MLP }, decoder[] = { SELF, CROSS, MLP };
    for (int i = 0; i < (memory ? 3 : 2) && !glia_is_bad(x); i++) {
        glia_tensor in = o.post_norm ? x : normed(x, name, norms[i], &o);
        glia_tensor y = glia_dropout(branch((memory ? decoder : encoder)[i], in, memory, name, &o), o.dropout);
        const char *label = glia_graph_label(x->graph, path(x, name, "add"));
        glia_graph *g = x->graph;
        x = glia_add(x, y);
        g->label = label;
        if (o.post_norm) x = normed(x, name, norms[i], &o);
    }
    return x;
}

/* Checks a stack's input; messages name the stack. */
static bool is_sequence(glia_tensor x, const char *what, const char *name) {
    if (glia_is_bad(x)) return false;
    const char *wrong = wrong_sequence(x);
    char text[GLIA_SHAPE_TEXT];
    if (!wrong) return true;
    glia_graph_fail(x->graph, GLIA_E_SHAPE, "%s: %s of %s: %s", name ? name : "", what,
                    glia_shape_format(x->shape, text), wrong);
    return false;
}

glia_tensor glia_encoder_layer(glia_tensor x, const char *name, glia_transformer_opts o) {
    if (!is_sequence(x, "encoder layer", name)) return glia_layer_bad(x);
    return layer_of(x, NULL, name, resolved(o));
}

glia_tensor glia_decoder_layer(glia_tensor x, glia_tensor memory, const char *name, glia_transformer_opts o) {
    if (!is_sequence(x, "decoder layer", name)) return glia_layer_bad(x);
    if (!memory || !is_sequence(memory, "decoder layer", name)) return glia_layer_bad(x);
    o.causal = true;
    return layer_of(x, memory, name, resolved(o));
}

static glia_tensor stack(glia_tensor x, glia_tensor memory, const char *name, glia_transformer_opts o) {
    o = resolved(o);
    for (int i = 0; i < o.layers && !glia_is_bad(x); i++) {
        const char *own =
            glia_arena_printf(&x->graph->arena, "%s%sh%d", name ? name : "", name && name[0] ? "/" : "", i);
        if (!own) return glia_graph_fail_nomem(x->graph);
        x = memory ? glia_decoder_layer(x, memory, own, o) : glia_encoder_layer(x, own, o);
        if (o.weights) o.weights++;
        if (o.memory_weights) o.memory_weights++;
    }
    return o.post_norm || glia_is_bad(x) ? x : normed(x, name, "norm", &o);
}

glia_tensor glia_encoder_stack(glia_tensor x, const char *name, glia_transformer_opts o) {
    if (!is_sequence(x, "encoder", name)) return glia_layer_bad(x);
    return stack(x, NULL, name, o);
}

glia_tensor glia_decoder_stack(glia_tensor x, glia_tensor memory, const char *name, glia_transformer_opts o) {
    if (!is_sequence(x, "decoder", name) || !is_sequence(memory, "decoder's memory", name)) return glia_layer_bad(x);
    return stack(x, memory, name, o);
}
