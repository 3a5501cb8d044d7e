#!/usr/bin/python3
"""Computes every sample of every operation with PyTorch or NumPy, as reference results for Glia's definitions.

    cc -std=gnu17 -Iinclude -Isrc -Itests/support tests/golden/dump_samples.c build/release/libglia.a -lm \\
       -o dump_samples
    ./dump_samples | /usr/bin/python3 tools/golden/ops.py          needs torch; rewrites tests/golden/ops/*.txt

Everything is computed in float64 from the inputs in the dump. An operation is the function of its name below; it takes
the inputs, then the attributes as keywords. Gradients of windows (conv_input_grad, max_pool_scatter, ...) come from
PyTorch's differentiation of the forward operation. The formulas are independent of the C sources: PyTorch's operation
is used if there is one.

A file has for each sample:

    sample NAME            followed by " / train" or " / infer" if the operation has modes
    inputs CHECKSUM        of the inputs, from the dump
    shape 2 3              of the result
    values 0.5 ...         17 significant digits, row-major
"""
import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "golden", "ops")
ops = {}


def op(function):
    ops[function.__name__.rstrip("_")] = function
    return function


def define(**functions):
    ops.update(functions)


# ---- elementwise ---------------------------------------------------------------------------------

for name in ("neg sign abs exp expm1 log log1p sqrt rsqrt sin cos tanh sigmoid erf floor ceil round "
             "add sub mul div pow maximum minimum").split():
    ops[name] = getattr(torch, name)

define(
    is_finite=torch.isfinite,
    equal=torch.eq, not_equal=torch.ne, less=torch.lt, less_equal=torch.le, greater=torch.gt, greater_equal=torch.ge,
    logical_and=torch.logical_and,
    select=lambda c, yes, no: torch.where(c.bool(), yes, no),
    stop_gradient=lambda x: x.detach(),
    custom_gradient=lambda y, x, slope: y,
    clip=lambda x, low, high: torch.clamp(x, low, high),
    **{"and": lambda a, b: a.bool() & b.bool(), "or": lambda a, b: a.bool() | b.bool(), "not": lambda x: ~x.bool()},
)
del ops["logical_and"]

TORCH = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16, "f16": torch.float16, "i32": torch.int32,
         "i64": torch.int64, "u8": torch.uint8, "i8": torch.int8, "bool": torch.bool}


@op
def cast(x, dtype):
    return x.to(torch.float32).to(TORCH[dtype])


# ---- sparse matrices, segments, picks along an axis -----------------------------------------------------

def rows_of(offsets):
    o = offsets.long()
    return torch.repeat_interleave(torch.arange(len(o) - 1), o[1:] - o[:-1])


def dense_of(values, columns, offsets, size):
    dense = torch.zeros(len(offsets) - 1, size)
    return dense.index_put((rows_of(offsets), columns.long()), values, accumulate=True)


@op
def csr_matmul(values, columns, offsets, x, transposed=False, size=None):
    if transposed:
        return dense_of(values, columns, offsets, int(size[0])).T @ x
    return dense_of(values, columns, offsets, x.shape[0]) @ x


@op
def csr_dot(a, b, columns, offsets):
    return (a @ b.T)[rows_of(offsets), columns.long()]


@op
def segment_sum(x, offsets):
    return torch.zeros(len(offsets) - 1, *x.shape[1:]).index_add(0, rows_of(offsets), x)


@op
def segment_max(x, offsets):
    o = offsets.long().tolist()
    parts = [x[a:b].amax(0) if b > a else torch.zeros(x.shape[1:]) for a, b in zip(o, o[1:])]
    return torch.stack(parts)


@op
def segment_spread(x, offsets, size=None):
    return x[rows_of(offsets)]


define(
    take_along_axis=lambda x, at, axis: torch.gather(x, int(axis), at.long()),
    add_along_axis=lambda u, at, axis, size: torch.zeros(
        [int(size[0]) if i == axis else n for i, n in enumerate(u.shape)]).scatter_add(int(axis), at.long(), u),
)


# ---- over axes -----------------------------------------------------------------------------------

@op
def sum_(x, axes, keep):
    return torch.sum(x, dim=axes, keepdim=keep)


@op
def max_(x, axes, keep):
    return torch.amax(x, dim=axes, keepdim=keep)


@op
def prod(x, axes, keep):
    return np.prod(x.numpy(), axis=tuple(axes), keepdims=keep)


@op
def mean(x, axes, keep):
    return torch.mean(x, dim=axes, keepdim=keep)


@op
def variance(x, axes, keep):
    return torch.var(x, dim=axes, unbiased=False, keepdim=keep)


@op
def argmax(x, axis):
    return np.argmax(x.numpy(), axis=axis)  # the first of ties; PyTorch does not specify which


@op
def cumsum(x, axis, exclusive, reverse):
    a = x.numpy()
    a = np.flip(a, axis) if reverse else a
    total = np.cumsum(a, axis)
    total = total - a if exclusive else total
    return np.flip(total, axis) if reverse else total


@op
def count_of(x, axes):
    return np.array(float(math.prod(x.shape[i] for i in axes)))


# ---- shape and place -----------------------------------------------------------------------------

define(
    reshape=lambda x, shape: x.reshape(shape),
    permute=lambda x, order: x.permute(order),
    broadcast=lambda x, shape: x.expand(shape),
    concat=lambda *xs, axis: torch.cat(xs, axis),
    gather=lambda x, i, axis: np.take(x.numpy(), i.numpy().astype(int), axis=axis),
    slice=lambda x, start, stop, step: x.numpy()[tuple(slice(*s) for s in zip(start, stop, step))],
)


@op
def pad(x, before, after, between, value):
    size = [b + a + n + g * (n - 1) for b, a, g, n in zip(before, after, between, x.shape)]
    y = np.full(size, float(value))
    y[tuple(slice(b, b + (g + 1) * (n - 1) + 1, g + 1) for b, g, n in zip(before, between, x.shape))] = x.numpy()
    return y


@op
def scatter_add(updates, indices, axis, size):
    rank = indices.dim()
    shape = list(updates.shape[:axis]) + size + list(updates.shape[axis + rank:])
    rows = updates.flatten(axis, axis + rank - 1)
    return torch.zeros(shape).index_add(axis, indices.flatten().long() % size[0], rows)


@op
def row_sums(rows, indices, size):
    wide, at = rows.flatten(0, indices.dim() - 1), indices.flatten().long() % size
    return torch.stack([wide[at == i].sum(0) for i in at]).view(rows.shape)


@op
def put_rows(x, indices, rows):
    y = x.clone()
    for i, row in zip(indices.flatten().long(), rows.flatten(0, indices.dim() - 1)):
        y[i] = row
    return y


@op
def write(x, update, position, axis):
    at = min(max(int(position), 0), x.shape[axis] - update.shape[axis])
    return torch.cat([x.narrow(axis, 0, at), update, x.narrow(axis, at + update.shape[axis],
                                                              x.shape[axis] - at - update.shape[axis])], axis)


@op
def iota(dtype, shape, axis):
    along = [1] * len(shape)
    along[axis] = shape[axis]
    return np.broadcast_to(np.arange(shape[axis]).reshape(along), shape)


def philox(key, counter):
    """Philox4x32-10 of Salmon et al. 2011, in Python's integers."""
    k, c = list(key), list(counter)
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ c[3] ^ k[1], p & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


@op
def random_uniform(state, shape, stream):
    seed, step = (int(v) for v in state)
    low, high = (lambda v: v & 0xFFFFFFFF), (lambda v: v >> 32)
    n = math.prod(shape)
    words = []
    for b in range((n + 3) // 4):
        words += philox((low(seed), high(seed) ^ high(step)), (low(b), high(b), low(stream), low(step)))
    return np.array([(w >> 8) / 2**24 for w in words[:n]]).reshape(shape)


@op
def one_hot(indices, classes, dtype):
    return (indices.long()[..., None] == torch.arange(classes)).double()


# ---- products, convolution, pooling --------------------------------------------------------------

@op
def matmul(a, b, transpose_a, transpose_b, bf16=False, sparse=0):
    return torch.matmul(a.mT if transpose_a else a, b.mT if transpose_b else b)


SUBTRACT, TO_ZERO = 0, 1  # resets


@op
def lif(current, beta, threshold, reset, steps, reverse=False):
    x = current.unsqueeze(1).expand(-1, steps, *current.shape[1:]) if steps else current
    u, all_steps = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        fired = (u > threshold).double()
        if reset == TO_ZERO:
            u = u * (1 - fired)
        u = beta * u + x[:, t] - (threshold * fired if reset == SUBTRACT else 0)
        all_steps.append(u)
    return torch.stack(all_steps, 1)


@op
def lif_filter(x, u, beta, threshold, reset, steps, reverse):
    """Sums of what reaches a step from each other one, by the factors on the way."""
    stays = beta * ((u <= threshold).double() if reset == TO_ZERO else torch.ones_like(u))
    y, steps = torch.zeros_like(x), x.shape[1]
    for t in range(steps):
        for s in range(steps):
            if s >= t if reverse else s <= t:
                y[:, t] += x[:, s] * torch.prod(stays[:, min(s, t):max(s, t)], 1)
    return y


def pads(before, after):
    """Padding in the order of F.pad: the last axis first."""
    return [v for pair in reversed(list(zip(before, after))) for v in pair]


@op
def conv(x, w, stride, dilation, pad, pad_after, groups, size=None):
    function = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
    return function(F.pad(x, pads(pad, pad_after)), w, None, stride, 0, dilation, groups)


def gradient(function, shape, dy):
    """The gradient of sum(function(x) dy) in x of this shape, for functions that are linear in x."""
    x = torch.zeros(shape, requires_grad=True)
    (function(x) * dy).sum().backward()
    return x.grad


define(
    conv_input_grad=lambda dy, w, size, **a: gradient(lambda x: conv(x, w, **a), size, dy),
    conv_kernel_grad=lambda x, dy, size, **a: gradient(lambda w: conv(x, w, **a), size, dy),
)


def maxima(x, window, stride, pad, pad_after):
    """The maxima of the windows and their indices in the flattened, padded planes."""
    function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.dim() - 3]
    return function(F.pad(x, pads(pad, pad_after), value=-math.inf), window, stride, return_indices=True)


@op
def max_pool(x, window, stride, pad, pad_after, count_padding, size):
    return maxima(x, window, stride, pad, pad_after)[0]


@op
def max_pool_scatter(x, dy, window, stride, pad, pad_after, count_padding, size):
    x.requires_grad_()
    (maxima(x, window, stride, pad, pad_after)[0] * dy).sum().backward()
    return x.grad


@op
def max_pool_gather(x, u, window, stride, pad, pad_after, count_padding, size):
    places = maxima(x, window, stride, pad, pad_after)[1]
    planes = F.pad(u, pads(pad, pad_after)).flatten(2)
    return planes.gather(2, places.flatten(2)).reshape(places.shape)


@op
def avg_pool(x, window, stride, pad, pad_after, count_padding, size=None):
    function = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
    mean_of = lambda t, value: function(F.pad(t, pads(pad, pad_after), value=value), window, stride)
    inside = mean_of(torch.ones_like(x), 1.0 if count_padding else 0.0)
    return mean_of(x, 0.0) / inside


define(avg_pool_grad=lambda dy, size, **a: gradient(lambda x: avg_pool(x, **a), size, dy))

# ---- loops ---------------------------------------------------------------------------------------

@op
def scan(x, h, *rest, body, steps, sequences, states, stacked, random, index, reverse):
    """The bodies of the samples: h' = tanh(x w + s h), and x h' beside it; with an index h' = tanh(x + t h) alone."""
    if index:
        values = {}
        for t in reversed(range(steps)) if reverse else range(steps):
            values[t] = h = torch.tanh(x[:, t] + (rest[0] + t) * h)
        return torch.stack([values[t] for t in range(steps)], 1).flatten() if stacked else h.flatten()
    w, s = rest
    values, each = [None] * steps, [None] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        h = torch.tanh(x[:, t] @ w + s * h)
        values[t], each[t] = h, x[:, t] * h
    first = torch.stack(values, 1) if stacked else h
    return torch.cat([first.flatten(), torch.stack(each, 1).flatten()])

@op
def power_iteration(w, u, v, iterations, epsilon, mode):
    """As in torch.nn.utils.spectral_norm; a v that is zero up to rounding has not been moved."""
    if mode == "train" or v.abs().max() < 1e-200:
        for _ in range(iterations):
            v = F.normalize(torch.mv(w.t(), u), dim=0, eps=epsilon)
            u = F.normalize(torch.mv(w, v), dim=0, eps=epsilon)
    return torch.cat([u, v])


def slope(function, x):
    """The derivative of an elementwise function at x."""
    x.requires_grad_()
    function(x).sum().backward()
    return x.grad


# ---- activations, normalisation ------------------------------------------------------------------

define(
    relu=F.relu, selu=F.selu, silu=F.silu, softplus=F.softplus, gelu=F.gelu,
    gelu_tanh=lambda x: F.gelu(x, approximate="tanh"),
    gelu_slope=lambda x: slope(F.gelu, x),
    gelu_tanh_slope=lambda x: slope(lambda t: F.gelu(t, approximate="tanh"), x),
    leaky_relu=lambda x, slope: F.leaky_relu(x, slope),
    elu=lambda x, alpha: F.elu(x, alpha),
    softmax=lambda x, axis: F.softmax(x, axis),
    log_softmax=lambda x, axis: F.log_softmax(x, axis),
    layer_norm=lambda x, scale, shift, epsilon: F.layer_norm(x, x.shape[-1:], scale, shift, epsilon),
    layer_norm_dx=lambda x, scale, dy, epsilon: slope(
        lambda t: F.layer_norm(t, t.shape[-1:], scale, None, epsilon) * dy, x),
    layer_norm_dscale=lambda x, dy, epsilon: (F.layer_norm(x, x.shape[-1:], eps=epsilon) * dy).flatten(0, -2).sum(0),
)


@op
def batch_norm(x, scale, shift, mean, var, epsilon, momentum, mode):
    return F.batch_norm(x, mean.clone(), var.clone(), scale, shift, mode == "train", momentum, epsilon)


@op
def batch_norm_dx(x, dy, scale, mean, var, mode, **a):
    x.requires_grad_()
    (batch_norm(x, scale, torch.zeros_like(scale), mean, var, mode=mode, **a) * dy).sum().backward()
    return x.grad


@op
def batch_norm_dscale(x, dy, mean, var, mode, **a):
    scaled = lambda scale: batch_norm(x, scale, torch.zeros_like(scale), mean, var, mode=mode, **a)
    return gradient(scaled, mean.shape, dy)


# ---- attention ----------------------------------------------------------------------------------

APART, QKV, KV = range(3)


def attention_heads(inputs, packing, heads, groups):
    """Unpacks q (N, H, T, D), k and v (N, G, S, D)."""
    if packing == APART:
        parts = inputs
    elif packing == QKV:
        d = inputs[0].shape[2] // (heads + 2 * groups)
        parts = torch.split(inputs[0], [heads * d, groups * d, groups * d], 2)
    else:
        parts = [inputs[0], *torch.chunk(inputs[1], 2, 2)]
    sizes = (heads, groups, groups)
    return [x.reshape(x.shape[0], x.shape[1], n, -1).transpose(1, 2) for x, n in zip(parts, sizes)]


def alibi_slopes(n):
    """ALiBi slopes as in the authors' code (Press et al. 2022)."""
    def power_of_2(n):
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start * start**i for i in range(n)]
    if math.log2(n).is_integer():
        return power_of_2(n)
    closest = 2 ** math.floor(math.log2(n))
    return power_of_2(closest) + alibi_slopes(2 * closest)[0::2][:n - closest]


def attention_inputs(inputs, before, a):
    """The optional inputs by name; they follow `before` other inputs."""
    names = [name for name in ("lengths", "offsets", "mask", "bias") if a[name]]
    return dict(zip(names, inputs[before:]))


def attention_scores(q, k, a, options):
    """The additive mask, -inf for pairs that are not allowed, and the capped scores plus the mask."""
    n, h, t, s = q.shape[0], q.shape[1], q.shape[2], k.shape[2]
    query = torch.arange(t)[None, None, :, None] + (
        options["offsets"].long()[:, None, None, None] if "offsets" in options else s - t)
    key = torch.arange(s)[None, None, None, :]
    add = torch.zeros(n, h, t, s)
    if a["alibi"]:
        add = add - torch.tensor(alibi_slopes(h))[None, :, None, None] * (query - key).abs()
    if "bias" in options:
        add = add + options["bias"]
    allowed = torch.ones(n, h, t, s, dtype=torch.bool)
    if a["causal"]:
        allowed = allowed & (key <= query)
    if a["window"]:
        allowed = allowed & ((query - key).abs() < a["window"])
    if "lengths" in options:
        allowed = allowed & (key < options["lengths"][:, None, None, None])
    if "mask" in options:
        allowed = allowed & options["mask"].bool()
    add = add.masked_fill(~allowed, -math.inf)
    scores = a["scale"] * q @ k.repeat_interleave(h // k.shape[1], 1).mT
    if a["softcap"]:
        scores = a["softcap"] * torch.tanh(scores / a["softcap"])
    return scores + add, add, allowed.any(3, keepdim=True)


def attention_result(packed, options, a):
    q, k, v = attention_heads(packed, a["packing"], a["heads"], a["groups"])
    scores, add, any_key = attention_scores(q, k, a, options)
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    if a["softcap"]:
        y = torch.softmax(scores.masked_fill(~any_key, 0), 3) @ v
    else:
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=add.masked_fill(~any_key, 0), scale=a["scale"])
    y = y.masked_fill(~any_key, 0).transpose(1, 2)
    return (y if a["packing"] == APART else y.flatten(2)), scores, any_key


def attention_packed(packing):
    return {APART: 3, QKV: 1, KV: 2}[packing]


@op
def attention(*inputs, **a):
    n = attention_packed(a["packing"])
    return attention_result(inputs[:n], attention_inputs(inputs, n, a), a)[0]


@op
def attention_grad(*inputs, of_bias, **a):
    """The op takes y as an input. If y is not the result of attention, delta = sum y dy differs from that of
    differentiation; the difference is added through the derivative of the log-sum-exp of each row."""
    n = attention_packed(a["packing"])
    packed, y, dy = [x.clone().requires_grad_() for x in inputs[:n]], inputs[n], inputs[n + 1]
    options = attention_inputs(inputs, n + 2, a)
    if "bias" in options:
        options["bias"].requires_grad_()
    result, scores, any_key = attention_result(packed, options, a)
    by_head = lambda x: x.reshape(x.shape[0], x.shape[1], a["heads"], -1)
    more = (by_head(result.detach() * dy) - by_head(y * dy)).sum(3).transpose(1, 2)
    sums = torch.logsumexp(scores.masked_fill(~any_key, 0), 3)
    ((result * dy).sum() + (sums * more * any_key[..., 0]).sum()).backward()
    if of_bias:
        return options["bias"].grad
    return packed[0].grad if n == 1 else torch.cat([x.grad.flatten() for x in packed])
# ---- recurrent cells ------------------------------------------------------------------------------
# PyTorch's modules if they have the cell, with the identity as kernel for z and packed sequences for lengths. The
# backward direction is the forward one on reversed sequences. Other cells are computed step by step, from the papers.

LSTM, GRU, GRU_BEFORE, TANH, RELU = range(5)


def turned(x, lengths):
    """Reverses the valid steps of each sample; x (T, N, ...)."""
    y = x.clone()
    for n, length in enumerate(lengths):
        y[:length, n] = x[:length, n].flip(0)
    return y


def by_module(cell, z, kernel, h, c, bias, projection, lengths):
    width, outputs, units = z.shape[2], kernel.shape[1], kernel.shape[0] // (4, 3, 3, 1, 1)[cell]
    kind = {LSTM: torch.nn.LSTM, GRU: torch.nn.GRU}.get(cell, torch.nn.RNN)
    more = {"proj_size": outputs} if projection is not None else {}
    if cell == RELU:
        more["nonlinearity"] = "relu"
    net = kind(width, units, **more)
    values = {"weight_ih_l0": torch.eye(width), "weight_hh_l0": kernel, "bias_ih_l0": torch.zeros(width),
              "bias_hh_l0": torch.zeros(width), "weight_hr_l0": projection}
    if bias is not None:
        values["bias_hh_l0"][2 * units:] = bias
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(values[name])
        packed = torch.nn.utils.rnn.pack_padded_sequence(z, lengths, enforce_sorted=False)
        state = (h[None], c[None]) if cell == LSTM else h[None]
        y, last = net(packed, state)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, total_length=z.shape[0])
    return (y, last[0][0], last[1][0]) if cell == LSTM else (y, last[0], None)


def by_step(cell, z, kernel, h, c, peephole):
    """LSTM with peepholes (Gers et al. 2002, equations 1 to 6), GRU of Cho et al. 2014 (equations 5 to 8)."""
    ys, s = [], torch.sigmoid
    for x in z:
        if cell == LSTM:
            a = [x_part + h @ u.T for x_part, u in zip(x.chunk(4, 1), kernel.chunk(4))]
            i, f = s(a[0] + peephole[0] * c), s(a[1] + peephole[1] * c)
            c = f * c + i * torch.tanh(a[2])
            h = s(a[3] + peephole[2] * c) * torch.tanh(c)
        else:
            (xr, xz, xn), (ur, uz, un) = x.chunk(3, 1), kernel.chunk(3)
            r, keep = s(xr + h @ ur.T), s(xz + h @ uz.T)
            h = keep * h + (1 - keep) * torch.tanh(xn + (r * h) @ un.T)
        ys.append(h)
    return torch.stack(ys), h, c


@op
def recurrent(z, kernel, *options, cell, steps, reverse, sequence, last, initial, bias, peephole, projection, lengths):
    samples, rest = z.shape[1], list(options)
    take = lambda there: rest.pop(0) if there else None
    units, outputs = kernel.shape[0] // (4, 3, 3, 1, 1)[cell], kernel.shape[1]
    h, c = take(initial), take(initial and cell == LSTM)
    bias, peephole, projection, lengths = take(bias), take(peephole), take(projection), take(lengths)
    h = torch.zeros(samples, outputs) if h is None else h
    c = torch.zeros(samples, units) if c is None else c
    lengths = torch.full((samples,), steps) if lengths is None else lengths.long()
    if reverse:
        z = turned(z, lengths)
    if peephole is not None or cell == GRU_BEFORE:
        y, h, c = by_step(cell, z, kernel, h, c, peephole)
    else:
        y, h, c = by_module(cell, z, kernel, h, c, bias, projection, lengths)
    y = turned(y, lengths) if reverse else y
    blocks = [y] * sequence + [h] * last + [c] * (last and cell == LSTM)
    return torch.cat([block.flatten() for block in blocks])


# ---- losses --------------------------------------------------------------------------------------

def known(labels, classes):
    """Flattened labels; ignored ones have PyTorch's ignore_index."""
    labels = labels.long().flatten()
    return torch.where((labels >= 0) & (labels < classes), labels, torch.tensor(-100))


@op
def cross_entropy(logits, labels, smoothing):
    k = logits.shape[-1]
    each = F.cross_entropy(logits.reshape(-1, k), known(labels, k), reduction="none", label_smoothing=smoothing)
    return each.mean()


@op
def nll(log_p, labels):
    k = log_p.shape[-1]
    return F.nll_loss(log_p.reshape(-1, k), known(labels, k), reduction="none").mean()


define(
    cross_entropy_one_hot=lambda logits, target, smoothing: F.cross_entropy(logits, target, label_smoothing=smoothing),
    kl_divergence=lambda log_q, p: F.kl_div(log_q, p, reduction="batchmean"),
    binary_cross_entropy=F.binary_cross_entropy_with_logits,
    mse=F.mse_loss, mae=F.l1_loss,
    huber=lambda x, t, delta: F.huber_loss(x, t, delta=delta),
    hinge=lambda s, t: np.mean(np.maximum(0, 1 - s.numpy() * t.numpy())),
    accuracy=lambda scores, labels: np.mean(np.argmax(scores.numpy(), 1) == labels.numpy()),
)

# ---- the files -----------------------------------------------------------------------------------

OF_PASSES = ("channels_last", "bf16")  # attributes that passes set, never a sample


def result_of(row):
    inputs = []
    for x in row["inputs"]:
        inputs.append(torch.tensor(x["values"], dtype=torch.float64).reshape(x["shape"]))
    arguments = dict(row["attrs"])
    for name in OF_PASSES:
        if arguments.pop(name, False):
            raise ValueError(f"{row['op']} {row['sample']}: there is nothing here for {name}")
    if "mode" in row:
        arguments["mode"] = row["mode"]
    y = ops[row["op"]](*inputs, **arguments)
    y = y.detach().double().numpy() if isinstance(y, torch.Tensor) else np.asarray(y, dtype=np.float64)
    if list(y.shape) != row["shape"]:
        raise ValueError(f"{row['op']} {row['sample']}: shape {list(y.shape)}, the graph says {row['shape']}")
    return y


def main():
    os.makedirs(FOLDER, exist_ok=True)
    texts = {}
    for line in sys.stdin:
        row = json.loads(line)
        if row["op"] not in ops:
            raise KeyError(f"{row['op']} has no function here")
        name = row["sample"] + (f" / {row['mode']}" if "mode" in row else "")
        values = " ".join(f"{v:.17g}" for v in result_of(row).flatten())
        text = f"sample {name}\ninputs {row['checksum']}\nshape {' '.join(map(str, row['shape']))}".rstrip()
        texts.setdefault(row["op"], []).append(f"{text}\nvalues {values}\n")
    for name, samples in texts.items():
        with open(os.path.join(FOLDER, name + ".txt"), "w") as f:
            f.write(f"# {name}: written by tools/golden/ops.py with PyTorch {torch.__version__.split('+')[0]}, "
                    f"NumPy {np.__version__}\n" + "\n".join(samples))
    print(f"{sum(map(len, texts.values()))} samples of {len(texts)} operations")


if __name__ == "__main__":
    main()
