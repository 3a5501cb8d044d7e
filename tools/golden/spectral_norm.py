"""tests/golden/spectral_norm.txt: a critic with spectral norm (torch.nn.utils.spectral_norm), trained for some steps.

    /usr/bin/python3 tools/golden/spectral_norm.py

A step passes the fake samples through the critic, then the real ones, and takes a step of gradient descent on the
difference of the means. A line is a tensor: its name, how many numbers it has, and these.
"""
import os

import torch
from torch.nn.utils import spectral_norm

torch.set_default_dtype(torch.float64)
torch.manual_seed(7)
STEPS = 3


class Critic(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = spectral_norm(torch.nn.Conv2d(2, 3, 3))
        self.wide = spectral_norm(torch.nn.ConvTranspose2d(3, 4, 2))
        self.fc = spectral_norm(torch.nn.Linear(64, 2))

    def forward(self, x):
        return self.fc(torch.tanh(self.wide(torch.tanh(self.conv(x)))).flatten(1))


def main():
    critic = Critic()
    real, fake = torch.randn(4, 2, 5, 5), torch.randn(4, 2, 5, 5)
    tensors = dict(real=real, fake=fake)

    def keep(when):
        for name, layer in critic.named_children():
            tensors[f"{when}/{name}/kernel"] = layer.weight_orig.detach().clone()
            tensors[f"{when}/{name}/bias"] = layer.bias.detach().clone()
            tensors[f"{when}/{name}/u"] = layer.weight_u.clone()
            tensors[f"{when}/{name}/v"] = layer.weight_v.clone()

    keep("begin")
    for step in range(STEPS):
        loss = critic(fake).pow(2).mean() - critic(real).mean()
        critic.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in critic.parameters():
                p -= 0.5 * p.grad
        tensors[f"loss{step}"] = loss
        keep(f"step{step}")
    critic.eval()
    tensors["scores"] = critic(real)
    path = os.path.join(os.path.dirname(__file__), "../../tests/golden/spectral_norm.txt")
    with open(path, "w") as f:
        for name, x in tensors.items():
            f.write(f"{name} {x.numel()} " + " ".join(f"{v:.17g}" for v in x.detach().flatten().tolist()) + "\n")


if __name__ == "__main__":
    main()
