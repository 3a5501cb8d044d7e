/* attention.h - attention and what is built of it.
 *
 * Shapes in comments: N batch, T queries (time), S keys and values, H heads, G heads of keys and values, D elements of
 * a head. Sequences are batch first. Boolean masks are true where something may be attended; lengths are i32 (N).
 */
#ifndef GLIA_ATTENTION_H
#define GLIA_ATTENTION_H

#include "glia/glia.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ==== attention ============================================================================= */
/* Scaled dot-product attention with heads (Vaswani et al. 2017). For each sample and head
 *
 *     score(t, s) = scale q(t) k(s)                    capped, then biased, then masked, as the options say
 *     y(t) = sum over s of weight(t, s) v(s)           weight(t, .) = softmax over s of score(t, .)
 *
 * A query that may attend no key gets zeros, and so do its gradients. The queries are the last T of S positions: query
 * t stands at S - T + t, so that the last query sees the last key; `offsets` say otherwise. */

typedef struct glia_attention_opts {
    int heads;       /* H, where the shapes do not say: glia_attention_qkv, glia_attention_kv */
    int groups;      /* G there; 0: H. Fewer than H: query head h reads head h / (H / G) (Ainslie et al. 2023) */
    double scale;    /* 0: 1 / sqrt D */
    bool causal;     /* no key behind the query */
    int window;      /* only keys less than this many positions from the query; 0: all (Beltagy et al. 2020) */
    double softcap;  /* c: c tanh(score / c) for score; 0: as it is (Gemma Team 2024) */
    bool alibi;      /* score - 2^(-8 h / H) |position of query - s|, h = 1 ... H (Press et al. 2022, and as there
                      * where H is no power of two) */
    double dropout;  /* of weights, when training: what is kept is divided by 1 - dropout */
    glia_tensor lengths; /* i32 (N): keys from lengths[n] on are padding; NULL: none are */
    glia_tensor offsets; /* i32 (N): query t stands at offsets[n] + t: behind what a cache holds; NULL: S - T + t */
    glia_tensor mask;    /* bool, broadcast to (N, H, T, S): true may be attended; NULL: all */
    glia_tensor bias;    /* of q's dtype, broadcast to (N, H, T, S), added to the scores; has a gradient; NULL: none */
} glia_attention_opts;

/* q (N, T, H, D), k and v (N, S, G, D) -> (N, T, H, D). G divides H. Cross-attention has another S than T. */
GLIA_API glia_tensor glia_attention(glia_tensor q, glia_tensor k, glia_tensor v, glia_attention_opts opts);
/* Self-attention on one product's result, qkv (N, T, (H + 2 G) D), read where it lies: first all of q's heads, then
 * k's, then v's, as PyTorch's in_proj and GPT-2's c_attn have them -> (N, T, H D). */
GLIA_API glia_tensor glia_attention_qkv(glia_tensor qkv, glia_attention_opts opts);
/* Cross-attention likewise: q (N, T, H D), kv (N, S, 2 G D), k's heads, then v's -> (N, T, H D). */
GLIA_API glia_tensor glia_attention_kv(glia_tensor q, glia_tensor kv, glia_attention_opts opts);

/* The weights themselves, (N, H, T, S), to look at: without dropout. q and k as for glia_attention. */
GLIA_API glia_tensor glia_attention_weights(glia_tensor q, glia_tensor k, glia_attention_opts opts);

#ifdef __cplusplus
}
#endif

#endif
