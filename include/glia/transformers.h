/* transformers.h - attention, Transformers, BERT and GPT.
 *
 * Shapes in comments: N batch, T queries (time), S keys and values, H heads, G heads of keys and values, D elements of
 * a head. Sequences are batch first. Boolean masks are true where attention is allowed; lengths are i32 (N).
 */
#ifndef GLIA_TRANSFORMERS_H
#define GLIA_TRANSFORMERS_H

#include "glia/layers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== attention ============================================================================= */
/* Scaled dot-product attention with heads (Vaswani et al. 2017). For each sample and head
 *
 *     score(t, s) = scale q(t) k(s)                    capped, then biased, then masked, as the options say
 *     y(t) = sum over s of weight(t, s) v(s)           weight(t, .) = softmax over s of score(t, .)
 *
 * A query without an allowed key gets zeros, and its gradients are zero. By default the queries are the last T of S
 * positions: query t is at position S - T + t, so that the last query attends to the last key; `offsets` overrides
 * this. On the CPU, in f32, neither this nor its gradient stores the T x S matrix: memory is linear in T (Dao et al.
 * 2022). */

typedef struct glia_attention_opts {
    int heads;       /* H, if the shapes do not give it: glia_attention_qkv, glia_attention_kv */
    int groups;      /* G, likewise; 0: H. Fewer than H: query head h reads head h / (H / G) (Ainslie et al. 2023) */
    double scale;    /* 0: 1 / sqrt D; GLIA_ZERO: 0 */
    bool causal;     /* a query attends to no later key */
    int window;      /* a query attends only to keys less than this many positions away; 0: all (Beltagy et al. 2020) */
    double softcap;  /* c: scores become c tanh(score / c); 0: unchanged (Gemma Team 2024) */
    bool alibi;      /* score - 2^(-8 h / H) |position of query - s|, h = 1 ... H (Press et al. 2022, also where H is no
                      * power of two) */
    double dropout;  /* of weights, in training; kept weights are divided by 1 - dropout */
    glia_tensor lengths; /* i32 (N): keys from lengths[n] on are padding; NULL: none are */
    glia_tensor offsets; /* i32 (N): query t is at position offsets[n] + t (after a cache); NULL: S - T + t */
    glia_tensor mask;    /* bool, broadcast to (N, H, T, S): true where attention is allowed; NULL: everywhere */
    glia_tensor bias;    /* of q's dtype, broadcast to (N, H, T, S), added to the scores; has a gradient; NULL: none */
} glia_attention_opts;

/* q (N, T, H, D), k and v (N, S, G, D) -> (N, T, H, D). G divides H. In cross-attention S differs from T. */
GLIA_API glia_tensor glia_attention(glia_tensor q, glia_tensor k, glia_tensor v, glia_attention_opts opts);
/* Self-attention on one product's result, qkv (N, T, (H + 2 G) D), without copies: first all of q's heads, then k's,
 * then v's, as in PyTorch's in_proj and GPT-2's c_attn -> (N, T, H D). */
GLIA_API glia_tensor glia_attention_qkv(glia_tensor qkv, glia_attention_opts opts);
/* Cross-attention likewise: q (N, T, H D), kv (N, S, 2 G D), k's heads, then v's -> (N, T, H D). */
GLIA_API glia_tensor glia_attention_kv(glia_tensor q, glia_tensor kv, glia_attention_opts opts);

/* The attention weights, (N, H, T, S), for inspection: without dropout. q and k as for glia_attention. */
GLIA_API glia_tensor glia_attention_weights(glia_tensor q, glia_tensor k, glia_attention_opts opts);

/* ==== transformers ========================================================================== */
/* Layers over sequences (N, T, D), D features per token, and the networks composed of them. Token ids are i32 (N, T).
 * Each function names its parameters by the layer's path: the kernels of dense layers are (units, F). A name of NULL or
 * "" adds no prefix. */

/* ---- positions ----------------------------------------------------------------------------- */
/* `positions` are integers: (T), or (N, T) if samples are at different positions, as in generation. */

/* Vaswani et al. 2017, section 3.5: (..., T) -> f32 (..., T, units), where
 *     y[p, 2i] = sin(p / 10000^(2i / units)),  y[p, 2i + 1] = cos(p / 10000^(2i / units)). */
GLIA_API glia_tensor glia_sinusoidal(glia_tensor positions, int units);

/* Su et al. 2021: each pair of a head's elements is rotated by the angle p base^(-2i / d) at position p, so that
 * products of queries and keys depend only on their distance. The pairs are:
 *     PAIRS   2i and 2i + 1 (the paper; GPT-J)
 *     HALVES  i and i + d/2 (GPT-NeoX, Hugging Face's Llama) */
typedef enum glia_rotary { GLIA_ROTARY_NONE, GLIA_ROTARY_PAIRS, GLIA_ROTARY_HALVES } glia_rotary;
typedef struct glia_rotary_opts {
    glia_rotary kind;
    double base; /* 0: 10,000 */
    int units;   /* elements of each head that are rotated (even), the rest are unchanged; 0: all */
} glia_rotary_opts;
/* x (N, T, H, d), positions (T) or (N, T); NULL: 0, 1, ..., T - 1. */
GLIA_API glia_tensor glia_rotate(glia_tensor x, glia_tensor positions, glia_rotary_opts opts);

/* ---- layers -------------------------------------------------------------------------------- */

typedef struct glia_multihead_opts {
    int heads;
    int key_heads; /* of keys and values (Ainslie et al. 2023); divides heads; 0: heads */
    int size;      /* of a head; 0: D / heads */
    bool causal;   /* query t attends to keys 0 ... t */
    int window;    /* as in glia_attention_opts, as are these: */
    glia_tensor lengths, mask;
    bool alibi;
    glia_rotary_opts rotary; /* of self-attention */
    glia_tensor positions;   /* of x, for rotary: (T) or (N, T); NULL: 0, 1, ... */
    double dropout;        /* of the attention weights */
    bool no_qkv_bias, no_bias; /* no_bias: in none of the products */
    glia_init kernel_init, out_init; /* out_init default: kernel_init */
    glia_tensor *weights;  /* may be NULL; set to the attention weights (N, H, T, S), for inspection */
} glia_multihead_opts;

/* Multi-head attention (Vaswani et al. 2017, section 3.2.2). Queries come from x (N, T, D), keys and values from
 * `memory` (N, S, E); NULL: from x. Parameters: "NAME/qkv" ((heads + 2 key_heads) size, D) for self-attention, queries
 * first, then keys, then values; else "NAME/q" and "NAME/kv"; "NAME/out" (D, heads size); each a kernel and a bias. */
GLIA_API glia_tensor glia_multihead(glia_tensor x, glia_tensor memory, const char *name, glia_multihead_opts opts);

typedef struct glia_feed_forward_opts {
    int units;                  /* hidden units; 0: 4 D */
    glia_activation activation; /* 0: relu */
    double dropout;             /* after the activation */
    bool no_bias;
    glia_init kernel_init, out_init;
} glia_feed_forward_opts;
/* down(activation(up(x))). Parameters: "NAME/up" (units, D) and "NAME/down" (D, units). */
GLIA_API glia_tensor glia_feed_forward(glia_tensor x, const char *name, glia_feed_forward_opts opts);

typedef struct glia_transformer_opts {
    int layers;       /* of a stack; 0: 6 */
    int heads;        /* 0: 8 */
    int key_heads;    /* as in glia_multihead_opts; 0: heads */
    int feed_forward; /* hidden units; 0: 4 D */
    glia_activation activation; /* of the feed-forward net; 0: relu */
    bool post_norm;   /* norm(x + f(x)) as in Vaswani et al. 2017, BERT and torch.nn; else x + f(norm(x)) (Xiong et al.
                       * 2020) with a final norm at the end of a stack */
    glia_norm_kind norm;
    double epsilon;   /* of norms; 0: 1e-5 */
    double dropout;   /* of each residual branch, and within attention and feed-forward nets */
    bool causal;      /* of an encoder; self-attention in a decoder is always causal */
    int window;
    bool no_bias;     /* in products and norms */
    glia_rotary_opts rotary;
    bool alibi;
    glia_tensor positions;
    glia_tensor lengths, mask;               /* of x, as in glia_multihead_opts */
    glia_tensor memory_lengths, memory_mask; /* of a decoder's memory */
    glia_init kernel_init; /* of all kernels; default: Glorot uniform */
    bool scale_residual;   /* initial kernels whose product is added to x are scaled by 1 / sqrt(2 layers), as in GPT-2
                            * (kernel_init normal) */
    glia_tensor *weights;  /* may be NULL; set to each layer's self-attention weights (N, H, T, T) */
    glia_tensor *memory_weights; /* the same for a decoder's attention to its memory (N, H, T, S) */
} glia_transformer_opts;

/* One layer. "NAME/norm1", "NAME/attn/...", "NAME/norm2", "NAME/mlp/..."; a decoder's layer has "NAME/cross/..." and
 * its norm2 before "NAME/norm3" and "NAME/mlp/...". `layers` matters for scale_residual only. */
GLIA_API glia_tensor glia_encoder_layer(glia_tensor x, const char *name, glia_transformer_opts opts);
GLIA_API glia_tensor glia_decoder_layer(glia_tensor x, glia_tensor memory, const char *name,
                                        glia_transformer_opts opts);
/* Stacks: layers "NAME/h0", "NAME/h1", ..., and "NAME/norm" at the end unless post_norm. A decoder without memory, as
 * in GPT, is a causal encoder. */
GLIA_API glia_tensor glia_encoder_stack(glia_tensor x, const char *name, glia_transformer_opts opts);
GLIA_API glia_tensor glia_decoder_stack(glia_tensor x, glia_tensor memory, const char *name,
                                        glia_transformer_opts opts);

/* ---- families ------------------------------------------------------------------------------ */

/* GPT (Radford et al. 2019): tokens and learned positions, causal pre-norm layers, logits tied to the embedding.
 * Parameters: "wte/table" (V, D), "wpe/table" (context, D), "h0/...", ..., "norm". Kernels N(0, 0.02), divided by
 * sqrt(2 layers) where their product is added to the residual stream. */
typedef struct glia_gpt_opts {
    int vocabulary, context;
    int layers, heads, units;   /* 0: 12, 12, 768 */
    int key_heads, feed_forward; /* 0: heads, 4 units */
    bool no_bias;               /* as in nanoGPT; GPT-2 has biases */
    bool gelu_tanh;             /* GPT-2's approximation; else gelu, as in nanoGPT */
    double dropout;
    bool untied;                /* logits have their own kernel, "head" */
    glia_rotary_opts rotary;    /* or alibi: replaces learned positions */
    bool alibi;
    glia_tensor positions;      /* of the ids, i32 (T) or (N, T); NULL: 0, 1, ... */
} glia_gpt_opts;
/* ids (N, T), T at most the context -> logits (N, T, vocabulary). */
GLIA_API glia_tensor glia_gpt(glia_tensor ids, glia_gpt_opts opts);

/* BERT (Devlin et al. 2019): post-norm layers with gelu over the sum of words, learned positions and segments.
 * Parameters: "embed/word/table", "embed/position/table", "embed/segment/table", "embed/norm", "h0/...", ... */
typedef struct glia_bert_opts {
    int vocabulary, context;
    int layers, heads, units; /* 0: 12, 12, 768 */
    int feed_forward;         /* 0: 4 units */
    int segments;             /* 0: 2 */
    double dropout;
    glia_tensor segment_ids;  /* i32 (N, T); NULL: all 0 */
    glia_tensor lengths;      /* i32 (N); NULL: the number of ids other than `padding`, if pads */
    bool pads;                /* ids of `padding` are not attended to */
    int padding;
} glia_bert_opts;
/* ids (N, T) -> (N, T, units). */
GLIA_API glia_tensor glia_bert(glia_tensor ids, glia_bert_opts opts);
/* Heads on glia_bert()'s result. masked_words: gelu, norm and logits tied to the words, (N, T, vocabulary),
 * "mlm/dense", "mlm/norm", "mlm/bias". pooled: tanh of a dense layer of the first token, (N, units), "pooler".
 * next_sentence: (N, 2), "nsp". classes: (N, classes) of pooled, tags: (N, T, tags), both after dropout, "classifier".
 * question: (N, T, 2), the logits of where an answer begins and ends, "qa". */
GLIA_API glia_tensor glia_bert_masked_words(glia_tensor x, int vocabulary);
GLIA_API glia_tensor glia_bert_pooled(glia_tensor x);
GLIA_API glia_tensor glia_bert_next_sentence(glia_tensor pooled);
GLIA_API glia_tensor glia_bert_classes(glia_tensor pooled, int classes, double dropout);
GLIA_API glia_tensor glia_bert_tags(glia_tensor x, int tags, double dropout);
GLIA_API glia_tensor glia_bert_question(glia_tensor x);

/* Masked-word training data (Devlin et al. 2019, section 3.1): in each of n rows of `length` ids the fraction `share`
 * of tokens is chosen, whole words at a time; 80 % of these become `mask`, 10 % a random id and 10 % stay. Labels are
 * the chosen ids, and -1 elsewhere. The choice is a function of (seed, epoch, index of the row). */
typedef struct glia_masking_opts {
    int vocabulary, mask;      /* ids */
    int first;                 /* smaller ids are special: never chosen or drawn */
    double share;              /* 0: 0.15; GLIA_ZERO: none */
    const bool *continues;     /* (vocabulary): the id continues the previous word ("##ing"); NULL: none does */
    uint64_t seed, epoch;
} glia_masking_opts;
GLIA_API glia_status glia_mask_words(const int32_t *ids, int64_t n, int64_t length, const int64_t *indices,
                                     glia_masking_opts opts, int32_t *masked, int32_t *labels, glia_error *error);

/* The encoder-decoder of Vaswani et al. 2017, with sinusoidal positions and one table for both sides and the logits if
 * they share a vocabulary. source (N, S) and target (N, T) are ids, source_lengths i32 (N) or NULL. Parameters:
 * "embed/table", or "source/table" and "target/table" if target_vocabulary is given; "encoder/h0/...",
 * "decoder/h0/...". */
typedef struct glia_seq2seq_opts {
    int vocabulary, target_vocabulary;
    int layers, decoder_layers; /* 0: 6, layers */
    int units, heads, feed_forward; /* 0: 512, 8, 4 units */
    double dropout;
    bool post_norm;
    glia_tensor *weights, *memory_weights; /* as in glia_transformer_opts, of the decoder */
    glia_tensor *source_weights;           /* of the encoder */
} glia_seq2seq_opts;
/* -> logits (N, T, vocabulary) for the token after each target token. */
GLIA_API glia_tensor glia_seq2seq(glia_tensor source, glia_tensor source_lengths, glia_tensor target,
                                  glia_seq2seq_opts opts);
/* Its parts, for generation: the encoder's result for the source, computed once, and the logits from it. */
GLIA_API glia_tensor glia_seq2seq_encode(glia_tensor source, glia_tensor lengths, glia_seq2seq_opts opts);
GLIA_API glia_tensor glia_seq2seq_decode(glia_tensor memory, glia_tensor lengths, glia_tensor target,
                                         glia_seq2seq_opts opts);

#ifdef __cplusplus
}
#endif

#endif
