"""PyTorch's twins of the nets in models/: the same layers, with their parameters in the same order.

Golden files are made with them (train_models.py), and the benchmark's peer (bench/peer_torch.py) trains them.
"""
import math

import torch
from torch import nn


def mlp_512(sample, outputs):
    """Takes samples as rows."""
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
    """He et al. 2016, option A: every other pixel, between channels of zeros."""

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
    """Reads a picture row by row. Of PyTorch's two biases, which are added up, one stays at zero."""

    def __init__(self, sample, outputs, units=128, layers=2):
        super().__init__()
        self.lstm = nn.LSTM(sample[0] * sample[2], units, layers, batch_first=True)
        self.logits = nn.Linear(units, outputs)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                nn.init.zeros_(parameter)
                parameter.requires_grad_(False)

    def ordered_parameters(self):
        """As Glia has them."""
        for layer in range(self.lstm.num_layers):
            for name in ("weight_ih", "bias_ih", "weight_hh"):
                yield getattr(self.lstm, f"{name}_l{layer}")
        yield from self.logits.parameters()

    def forward(self, x):
        y, _ = self.lstm(x.transpose(1, 2).flatten(2))
        return self.logits(y[:, -1])


# By the names of models.def: what makes the net for samples of a shape and so many outputs.
NETWORKS = {"mlp-512": mlp_512, "keras-cnn": keras_cnn, "cifar-net": cifar_net, "resnet20": resnet20,
            "resnet18": resnet18, "lstm-rows": LstmRows}
