#!/usr/bin/env python3
"""Writes tests/golden/transformers/CASE.safetensors: small PyTorch nets with random weights, their inputs and outputs,
and the gradients of sum(y * dy). tests/families/test_transformers.c builds the same nets from these files, by name.

    PYTHON tools/golden/transformers.py [FOLDER]        PyTorch 2.x; computed in f64, stored in f32

Tensors: "state.NAME" the net's state dict, "grad.NAME" gradients of its parameters, "in.NAME" inputs, "y" and "dy".

GPT has the names and the arithmetic of nanoGPT's model.py (Karpathy), GPT-2 and BERT those of transformers'
modeling_gpt2.py and modeling_bert.py; all are written here from their definitions.
"""
import json
import os
import struct
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
TYPES = {torch.float64: "F32", torch.float32: "F32", torch.int64: "I32", torch.bool: "BOOL"}


def write(path, tensors):
    header, data, at = {}, b"", 0
    for name, tensor in tensors.items():
        kind = TYPES[tensor.dtype]
        raw = {"F32": tensor.float, "I32": tensor.int, "BOOL": tensor.bool}[kind]().contiguous().numpy().tobytes()
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + len(raw)]}
        data, at = data + raw, at + len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def randomize(model):
    """Randomises all parameters, norms and biases too, so that each affects the result; values are exact in f32."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            scales = name.endswith("weight") and ("norm" in name.lower() or "ln_" in name)
            p.copy_((scales + (0.2 if scales else 0.3) * torch.randn(p.shape)).float().double())
    return model


def case(folder, name, model, inputs, forward=None):
    randomize(model)
    inputs = {k: v.float().double() if v.is_floating_point() else v for k, v in inputs.items()}
    for v in inputs.values():
        if v.is_floating_point():
            v.requires_grad_()
    y = (forward or (lambda m, **kw: m(**kw)))(model, **inputs)
    dy = torch.randn(y.shape).float().double()
    (y * dy).sum().backward()
    tensors = {"y": y.detach(), "dy": dy}
    shared = set()
    for key, p in model.state_dict().items():
        if p.data_ptr() not in shared:
            tensors["state." + key] = p
        shared.add(p.data_ptr())
    for key, p in model.named_parameters():
        tensors["grad." + key] = p.grad
    for key, v in inputs.items():
        tensors["in." + key] = v.detach()
        if v.is_floating_point():
            tensors["grad.in." + key] = v.grad
    write(os.path.join(folder, name + ".safetensors"), tensors)


# ---- GPT ------------------------------------------------------------------------------------------------------------


class Conv1D(nn.Module):
    """transformers.pytorch_utils.Conv1D: a Linear whose weight is (in, out)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(inputs, outputs)), nn.Parameter(torch.empty(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


class GptBlock(nn.Module):
    def __init__(self, d, heads, bias, linear, act):
        super().__init__()
        self.heads, self.act = heads, act
        self.ln_1, self.ln_2 = nn.LayerNorm(d, bias=bias), nn.LayerNorm(d, bias=bias)
        self.attn = nn.ModuleDict({"c_attn": linear(d, 3 * d), "c_proj": linear(d, d)})
        self.mlp = nn.ModuleDict({"c_fc": linear(d, 4 * d), "c_proj": linear(4 * d, d)})

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (z.view(n, t, self.heads, -1).transpose(1, 2) for z in self.attn.c_attn(self.ln_1(x)).split(d, dim=2))
        scores = (q @ k.transpose(-2, -1)) / (d // self.heads) ** 0.5
        scores = scores.masked_fill(torch.ones(t, t).tril() == 0, float("-inf"))
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, d)
        x = x + self.attn.c_proj(y)
        return x + self.mlp.c_proj(self.act(self.mlp.c_fc(self.ln_2(x))))


class Gpt(nn.Module):
    def __init__(self, vocabulary, context, layers, heads, d, bias, linear, act):
        super().__init__()
        self.transformer = nn.ModuleDict({"wte": nn.Embedding(vocabulary, d), "wpe": nn.Embedding(context, d),
                                          "h": nn.ModuleList(GptBlock(d, heads, bias, linear, act)
                                                             for _ in range(layers)),
                                          "ln_f": nn.LayerNorm(d, bias=bias)})

    def forward(self, ids):
        t = self.transformer
        x = t.wte(ids) + t.wpe(torch.arange(ids.shape[1]))
        for block in t.h:
            x = block(x)
        return t.ln_f(x) @ t.wte.weight.T


# ---- BERT -----------------------------------------------------------------------------------------------------------


def bag(**parts):
    return nn.ModuleDict(parts)


class BertLayer(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        norm = lambda: nn.LayerNorm(d, eps=1e-12)  # noqa: E731
        self.heads = heads
        self.attention = bag(self=bag(query=nn.Linear(d, d), key=nn.Linear(d, d), value=nn.Linear(d, d)),
                             output=bag(dense=nn.Linear(d, d), LayerNorm=norm()))
        self.intermediate = bag(dense=nn.Linear(d, 4 * d))
        self.output = bag(dense=nn.Linear(4 * d, d), LayerNorm=norm())

    def forward(self, x, valid):
        n, t, d = x.shape
        own, out = self.attention["self"], self.attention["output"]
        q, k, v = (own[p](x).view(n, t, self.heads, -1).transpose(1, 2) for p in ("query", "key", "value"))
        scores = (q @ k.transpose(-2, -1)) / (d // self.heads) ** 0.5
        scores = scores.masked_fill(~valid[:, None, None, :], float("-inf"))
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, d)
        x = out["LayerNorm"](out["dense"](y) + x)
        return self.output["LayerNorm"](self.output["dense"](F.gelu(self.intermediate["dense"](x))) + x)


class Bert(nn.Module):
    """BertForPreTraining; y is the concatenation of its two flattened outputs."""

    def __init__(self, vocabulary, context, layers, heads, d):
        super().__init__()
        norm = lambda: nn.LayerNorm(d, eps=1e-12)  # noqa: E731
        self.bert = bag(embeddings=bag(word_embeddings=nn.Embedding(vocabulary, d),
                                       position_embeddings=nn.Embedding(context, d),
                                       token_type_embeddings=nn.Embedding(2, d), LayerNorm=norm()),
                        encoder=bag(layer=nn.ModuleList(BertLayer(d, heads) for _ in range(layers))),
                        pooler=bag(dense=nn.Linear(d, d)))
        predictions = bag(transform=bag(dense=nn.Linear(d, d), LayerNorm=norm()))
        predictions.register_parameter("bias", nn.Parameter(torch.empty(vocabulary)))
        self.cls = bag(predictions=predictions, seq_relationship=nn.Linear(d, 2))

    def forward(self, ids, segments, lengths):
        e = self.bert["embeddings"]
        x = e["word_embeddings"](ids) + e["token_type_embeddings"](segments)
        x = e["LayerNorm"](x + e["position_embeddings"](torch.arange(ids.shape[1])))
        valid = torch.arange(ids.shape[1])[None] < lengths[:, None]
        for layer in self.bert["encoder"]["layer"]:
            x = layer(x, valid)
        p = self.cls["predictions"]
        words = p["transform"]["LayerNorm"](F.gelu(p["transform"]["dense"](x)))
        words = words @ e["word_embeddings"].weight.T + p.bias
        pairs = self.cls["seq_relationship"](torch.tanh(self.bert["pooler"]["dense"](x[:, 0])))
        return torch.cat([words.flatten(), pairs.flatten()])


# ---- cases ----------------------------------------------------------------------------------------------------------


def main():
    usual = os.path.join(os.path.dirname(__file__), "../../tests/golden/transformers")
    folder = sys.argv[1] if len(sys.argv) > 1 else usual
    os.makedirs(folder, exist_ok=True)
    n, t, s, d, heads, ff = 3, 5, 7, 12, 3, 20
    x, memory = torch.randn(n, t, d), torch.randn(n, s, d)
    lengths, memory_lengths = torch.tensor([5, 2, 4]), torch.tensor([7, 3, 1])
    padding = torch.arange(t)[None] >= lengths[:, None]
    memory_padding = torch.arange(s)[None] >= memory_lengths[:, None]
    causal = nn.Transformer.generate_square_subsequent_mask(t, dtype=torch.float64).isinf()

    case(folder, "self_attention", nn.MultiheadAttention(d, heads, batch_first=True), {"x": x, "lengths": lengths},
         lambda m, x, lengths: m(x, x, x, key_padding_mask=padding, need_weights=False)[0])
    case(folder, "cross_attention", nn.MultiheadAttention(d, heads, batch_first=True),
         {"x": x, "memory": memory, "lengths": memory_lengths},
         lambda m, x, memory, lengths: m(x, memory, memory, key_padding_mask=memory_padding, need_weights=False)[0])
    for pre in (False, True):
        more = {"dropout": 0, "batch_first": True, "norm_first": pre, "activation": F.gelu if pre else F.relu}
        layer = nn.TransformerEncoderLayer(d, heads, ff, **more)
        encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(d) if pre else None, enable_nested_tensor=False)
        case(folder, "encoder_pre" if pre else "encoder_post", encoder, {"x": x, "lengths": lengths},
             lambda m, x, lengths: m(x, src_key_padding_mask=padding))
        layer = nn.TransformerDecoderLayer(d, heads, ff, **more)
        decoder = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(d) if pre else None)
        case(folder, "decoder_pre" if pre else "decoder_post", decoder,
             {"x": x, "memory": memory, "lengths": memory_lengths},
             lambda m, x, memory, lengths: m(x, memory, tgt_mask=causal, memory_key_padding_mask=memory_padding))
    ids = torch.randint(0, 11, (n, 6))
    plain = lambda i, o: nn.Linear(i, o, bias=False)  # noqa: E731
    case(folder, "nanogpt", Gpt(11, 8, 2, heads, d, False, plain, F.gelu), {"ids": ids})
    case(folder, "gpt2", Gpt(11, 8, 2, heads, d, True, Conv1D, lambda x: F.gelu(x, approximate="tanh")), {"ids": ids})
    case(folder, "bert", Bert(11, 8, 2, heads, d),
         {"ids": ids, "segments": torch.randint(0, 2, (n, 6)), "lengths": torch.tensor([6, 3, 5])})


if __name__ == "__main__":
    main()
