"""The nets of models/ in PyTorch: the same layers, with parameters in the same order.

Used by train_models.py, which writes golden files, and by the benchmark (bench/peer_torch.py).
"""
import math

import torch
from torch import nn


def mlp_512(sample, outputs):
    """Flattens samples to rows."""
    return nn.Sequential(nn.Linear(math.prod(sample), 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(),
                         nn.Linear(512, outputs))


def keras_cnn(sample, outputs):
    side = (((sample[1] - 2) // 2 - 2) // 2) - 2
    return nn.Sequential(nn.Conv2d(sample[0], 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
                         nn.Linear(64 * side * side, 64), nn.ReLU(), nn.Linear(64, outputs))


def cifar_net(sample, outputs):
    side = ((sample[1] - 4) // 2 - 4) // 2
    return nn.Sequential(nn.Conv2d(sample[0], 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * side * side, 120), nn.ReLU(),
                         nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, outputs))


class ChannelZeros(nn.Module):
    """The shortcut of He et al. 2016, option A: every other pixel, padded with channels of zeros."""

    def __init__(self, missing):
        super().__init__()
        self.before, self.after = missing // 2, missing - missing // 2

    def forward(self, x):
        return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    def __init__(self, channels, filters, stride, project):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        self.shortcut = nn.Identity()
        if stride != 1 or channels != filters:
            self.shortcut = ChannelZeros(filters - channels)
            if project:
                self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False),
                                              nn.BatchNorm2d(filters))

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def stages(n, blocks, filters, project, outputs):
    layers, channels = [], filters
    for stage in range(n):
        for block in range(blocks):
            layers.append(BasicBlock(channels, filters << stage, 2 if stage and not block else 1, project))
            channels = filters << stage
    return layers + [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs)]


def resnet20(sample, outputs):
    return nn.Sequential(nn.Conv2d(sample[0], 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                         *stages(3, 3, 16, False, outputs))


def resnet18(sample, outputs):
    return nn.Sequential(nn.Conv2d(sample[0], 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
                         nn.MaxPool2d(3, 2, 1), *stages(4, 2, 64, True, outputs))


class LstmRows(nn.Module):
    """Reads an image row by row. PyTorch adds two biases; one of them stays at zero."""

    def __init__(self, sample, outputs, units=128, layers=2):
        super().__init__()
        self.lstm = nn.LSTM(sample[0] * sample[2], units, layers, batch_first=True)
        self.logits = nn.Linear(units, outputs)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                nn.init.zeros_(parameter)
                parameter.requires_grad_(False)

    def ordered_parameters(self):
        """The parameters in Glia's order."""
        for layer in range(self.lstm.num_layers):
            for name in ("weight_ih", "bias_ih", "weight_hh"):
                yield getattr(self.lstm, f"{name}_l{layer}")
        yield from self.logits.parameters()

    def forward(self, x):
        y, _ = self.lstm(x.transpose(1, 2).flatten(2))
        return self.logits(y[:, -1])


class GptBlock(nn.Module):
    def __init__(self, units, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(units, bias=False), nn.LayerNorm(units, bias=False)
        self.qkv, self.out = nn.Linear(units, 3 * units, bias=False), nn.Linear(units, units, bias=False)
        self.up, self.down = nn.Linear(units, 4 * units, bias=False), nn.Linear(4 * units, units, bias=False)

    def ordered_parameters(self):
        for part in (self.ln_1, self.qkv, self.out, self.ln_2, self.up, self.down):
            yield from part.parameters()

    def forward(self, x):
        q, k, v = (z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in self.qkv(self.ln_1(x)).chunk(3, dim=-1))
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.after(x, y)

    def after(self, x, y):
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.ln_2(x))))

    def prompt(self, x, keys, values):
        """x (1, T, units), the first T tokens."""
        q, k, v = (z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in self.qkv(self.ln_1(x)).chunk(3, dim=-1))
        keys[:, :, :x.shape[1]], values[:, :, :x.shape[1]] = k, v
        return self.after(x, nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))

    def step(self, x, position, keys, values, mask):
        """x (1, 1, units) at `position`. Without a mask the keys up to `position` are read; with one, all keys of the
        context, masked, because compilers need fixed shapes."""
        q, k, v = (z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in self.qkv(self.ln_1(x)).chunk(3, dim=-1))
        if mask is None:
            keys[:, :, position], values[:, :, position] = k[:, :, 0], v[:, :, 0]
            keys, values = keys[:, :, :position + 1], values[:, :, :position + 1]
        else:
            keys.index_copy_(2, position, k)
            values.index_copy_(2, position, v)
        return self.after(x, nn.functional.scaled_dot_product_attention(q, keys, values, attn_mask=mask))


class Gpt(nn.Module):
    """nanoGPT, without biases and dropout."""

    def __init__(self, sample, outputs, layers, heads, units):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(outputs, units), nn.Embedding(sample[0], units)
        self.blocks = nn.ModuleList(GptBlock(units, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(units, bias=False)

    def ordered_parameters(self):
        yield from (self.wte.weight, self.wpe.weight)
        for block in self.blocks:
            yield from block.ordered_parameters()
        yield self.norm.weight

    def forward(self, ids):
        x = self.wte(ids) + self.wpe.weight[:ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return nn.functional.linear(self.norm(x), self.wte.weight)

    def cache(self):
        units, context, heads = self.wte.embedding_dim, self.wpe.num_embeddings, self.blocks[0].heads
        return [[torch.zeros(1, heads, context, units // heads) for _ in range(2)] for _ in self.blocks]

    def prompt(self, ids, cache):
        """The scores of what follows ids (1, T)."""
        x = self.wte(ids) + self.wpe.weight[:ids.shape[1]]
        for block, (keys, values) in zip(self.blocks, cache):
            x = block.prompt(x, keys, values)
        return nn.functional.linear(self.norm(x[:, -1:]), self.wte.weight)

    def step(self, token, position, cache, mask=None):
        """The logits after `token` (1, 1) at `position`."""
        x = self.wte(token) + self.wpe.weight[position]
        for block, (keys, values) in zip(self.blocks, cache):
            x = block.step(x, position, keys, values, mask)
        return nn.functional.linear(self.norm(x), self.wte.weight)


class EncDec(nn.Module):
    """The Transformer of Vaswani et al. 2017 with pre-norm; a sample is the source followed by the target."""

    def __init__(self, sample, outputs, layers=3, heads=4, units=256, between=1024):
        super().__init__()
        more = {"dropout": 0, "batch_first": True, "norm_first": True}
        self.embed = nn.Embedding(outputs, units)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(units, heads, between, **more), layers,
                                             nn.LayerNorm(units), enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(units, heads, between, **more), layers,
                                             nn.LayerNorm(units))
        angle = torch.arange(sample[0])[:, None] / 10000 ** (torch.arange(0, units, 2, dtype=torch.float64) / units)
        self.register_buffer("positions", torch.stack([angle.sin(), angle.cos()], -1).flatten(1).float())
        self.register_buffer("causal", nn.Transformer.generate_square_subsequent_mask(sample[0]))

    def ordered_parameters(self):
        def attention(part, cut):
            rows = [slice(0, None)] if not cut else [slice(0, cut), slice(cut, None)]
            for r in rows:
                yield from (part.in_proj_weight[r], part.in_proj_bias[r])
            yield from part.out_proj.parameters()

        yield self.embed.weight
        for stack in (self.encoder, self.decoder):
            for layer in stack.layers:
                yield from (*layer.norm1.parameters(), *attention(layer.self_attn, 0), *layer.norm2.parameters())
                if stack is self.decoder:
                    yield from attention(layer.multihead_attn, layer.norm1.weight.numel())
                    yield from layer.norm3.parameters()
                yield from (*layer.linear1.parameters(), *layer.linear2.parameters())
            yield from stack.norm.parameters()

    def forward(self, x):
        source, target = (self.embed(ids) * self.embed.embedding_dim ** 0.5 + self.positions for ids in x.chunk(2, 1))
        y = self.decoder(target, self.encoder(source), tgt_mask=self.causal, tgt_is_causal=True)
        return nn.functional.linear(y, self.embed.weight)


def torchvision_net(name):
    """A function that builds torchvision's net of this name."""
    def build(_, outputs):
        import torchvision
        return getattr(torchvision.models, name)(num_classes=outputs)
    return build


# The nets by the names of models.def, as functions of (sample shape, number of outputs).
NETWORKS = {"mlp-512": mlp_512, "keras-cnn": keras_cnn, "cifar-net": cifar_net, "resnet20": resnet20,
            "resnet18": resnet18, "lstm-rows": LstmRows, "enc-dec": EncDec,
            **{name: torchvision_net(name.replace("-v", "_v").replace("vit-b16", "vit_b_16"))
               for name in ("resnet50", "vgg16", "mobilenet-v2", "vit-b16")},
            "gpt-tiny": lambda sample, outputs: Gpt(sample, outputs, 4, 4, 128),
            "gpt-mini": lambda sample, outputs: Gpt(sample, outputs, 6, 6, 384)}
