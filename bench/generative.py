#!/usr/bin/env python3
"""Speed of generative models beside PyTorch, in one run.

    PYTHON bench/generative.py --build BUILD [--rounds 3] [--seconds 3] [--modes dcgan,ddpm,vae,ddim]

PYTHON is one that has PyTorch. dcgan: a critic's and a generator's step, 28 x 28, 32 filters, batch 64. ddpm: a step of
a UNet of 32, 64 and 128 channels, 28 x 28, batch 64. vae: a step of 784-200-200-50 and back, batch 100. ddim: 64
pictures by that UNet and DDIM with 50 steps. The same nets on both sides, with Adam. One thread each; workers take
turns, so all see the same machine; times are CPU seconds of the process, the median over rounds. The best of PyTorch's
settings counts.
"""
import argparse
import math
import os
import sys

from workers import compare, serve

SETTINGS = ("eager", "channels-last", "compiled")


# ---- nets -----------------------------------------------------------------------------------------------------------


def unet_of(torch):
    nn, F = torch.nn, torch.nn.functional

    def norm(channels):
        groups = min(32, channels // 4)
        while channels % groups:
            groups -= 1
        return nn.GroupNorm(groups, channels)

    class Block(nn.Module):
        def __init__(self, before, after, attention):
            super().__init__()
            self.norm1, self.conv1 = norm(before), nn.Conv2d(before, after, 3, padding=1)
            self.norm2, self.conv2 = norm(after), nn.Conv2d(after, after, 3, padding=1)
            self.time = nn.Linear(128, after)
            self.skip = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
            self.attention = Attention(after) if attention else nn.Identity()

        def forward(self, x, time):
            y = self.conv1(F.silu(self.norm1(x))) + self.time(time)[:, :, None, None]
            return self.attention(self.skip(x) + self.conv2(F.silu(self.norm2(y))))

    class Attention(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.norm, self.qkv = norm(channels), nn.Linear(channels, 3 * channels)
            self.out = nn.Linear(channels, channels)

        def forward(self, x):
            q, k, v = self.qkv(self.norm(x).flatten(2).transpose(1, 2)).chunk(3, 2)
            if hasattr(F, "scaled_dot_product_attention"):
                y = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
            else:
                y = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[2]), 2) @ v
            return x + self.out(y).transpose(1, 2).reshape(x.shape)

    class Unet(nn.Module):
        def __init__(self):
            super().__init__()
            a, b, c = 32, 64, 128
            self.time1, self.time2 = nn.Linear(32, 128), nn.Linear(128, 128)
            self.first = nn.Conv2d(1, a, 3, padding=1)
            self.down = nn.ModuleList([Block(a, a, False), Block(a, b, True), Block(b, c, False)])
            self.halve = nn.ModuleList([nn.Conv2d(n, n, 3, 2, 1) for n in (a, b)])
            self.middle = nn.ModuleList([Block(c, c, True), Block(c, c, False)])
            self.up = nn.ModuleList([Block(2 * c, c, False), Block(c + b, c, False), Block(c + b, b, True),
                                     Block(b + a, b, True), Block(b + a, a, False), Block(2 * a, a, False)])
            self.grow = nn.ModuleList([nn.Conv2d(n, n, 3, padding=1) for n in (c, b)])
            self.norm, self.last = norm(a), nn.Conv2d(a, 1, 3, padding=1)

        def forward(self, x, t):
            angles = t[:, None] * torch.exp(torch.arange(16) * (-math.log(10000) / 16))
            time = F.silu(self.time2(F.silu(self.time1(torch.cat((angles.sin(), angles.cos()), 1)))))
            skips = [x := self.first(x)]
            for level in range(3):
                skips.append(x := self.down[level](x, time))
                if level < 2:
                    skips.append(x := self.halve[level](x))
            x = self.middle[1](self.middle[0](x, time), time)
            for level in range(3):
                for block in self.up[2 * level:2 * level + 2]:
                    x = block(torch.cat((x, skips.pop()), 1), time)
                if level < 2:
                    x = self.grow[level](F.interpolate(x, scale_factor=2.0))
            return self.last(F.silu(self.norm(x)))
    return Unet()


def noise_shares(torch):
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)


# ---- steps ----------------------------------------------------------------------------------------------------------


def ddpm_step(torch, prepare):
    net, shares, x = prepare(unet_of(torch)), noise_shares(torch), torch.rand(64, 1, 28, 28)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def step():
        t, noise = torch.randint(1000, (64,)), torch.randn(x.shape)
        share = shares[t][:, None, None, None]
        loss = torch.nn.functional.mse_loss(net(share.sqrt() * x + (1 - share).sqrt() * noise, t), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return step


def ddim_step(torch, prepare):
    net, shares = prepare(unet_of(torch).eval()), noise_shares(torch)
    steps = [round(999 * (1 - k / 49)) for k in range(50)]

    def step():
        x = torch.randn(64, 1, 28, 28)
        with torch.inference_mode():
            for k, t in enumerate(steps):
                share, after = shares[t], shares[steps[k + 1]] if k < 49 else torch.tensor(1.0)
                noise = net(x, torch.full((64,), t))
                x0 = ((x - (1 - share).sqrt() * noise) / share.sqrt()).clamp(-1, 1)
                along = ((1 - after) / (1 - share)).sqrt()
                x = after.sqrt() * x0 + along * (x - share.sqrt() * x0)
    return step


def dcgan_step(torch, prepare):
    nn, F = torch.nn, torch.nn.functional
    generator = prepare(nn.Sequential(
        nn.Linear(100, 3136, bias=False), nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh()))
    critic = prepare(nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(3136, 1)))
    adams = [torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (critic, generator)]
    x = torch.rand(64, 1, 28, 28)

    def step():
        with torch.no_grad():
            fake = generator(torch.randn(64, 100))
        loss = F.softplus(-critic(x)).mean() + F.softplus(critic(fake)).mean()
        adams[0].zero_grad()
        loss.backward()
        adams[0].step()
        loss = F.softplus(-critic(generator(torch.randn(64, 100)))).mean()
        adams[1].zero_grad()
        loss.backward()
        adams[1].step()
    return step


def vae_step(torch, prepare):
    nn, F = torch.nn, torch.nn.functional

    def layers(*sizes):
        return [m for a, b in zip(sizes, sizes[1:]) for m in (nn.Linear(a, b), nn.Tanh())]

    class Vae(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.code = nn.Sequential(*layers(784, 200, 200)), nn.Linear(200, 100)
            self.decoder = nn.Sequential(*layers(50, 200, 200), nn.Linear(200, 784))

        def forward(self, x):
            mean, logvar = self.code(self.encoder(x)).chunk(2, 1)
            logits = self.decoder(mean + torch.exp(logvar / 2) * torch.randn_like(mean))
            kl = (mean ** 2 + logvar.exp() - 1 - logvar).sum(1) / 2
            return (F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1) + kl).mean()
    net, x = prepare(Vae()), torch.rand(100, 784)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        net(x).backward()
        optimizer.step()
    return step


STEPS = {"dcgan": dcgan_step, "ddpm": ddpm_step, "vae": vae_step, "ddim": ddim_step}


# ---- measuring ------------------------------------------------------------------------------------------------------


def work(setting, mode):
    import torch
    torch.set_num_threads(1)

    def prepare(net):
        if setting == "channels-last":
            net = net.to(memory_format=torch.channels_last)
        return torch.compile(net) if setting == "compiled" else net
    step = STEPS[mode](torch, prepare)
    if mode != "ddim" or setting == "compiled":
        step()
    serve(step)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--modes", default=",".join(STEPS))
    parser.add_argument("--settings", default=",".join(SETTINGS))
    options = parser.parse_args()
    for mode in options.modes.split(","):
        commands = {"Glia": [os.path.join(options.build, "bench_generative"), mode]}
        for setting in options.settings.split(","):
            commands[setting] = [sys.executable, os.path.abspath(__file__), "worker", setting, mode]
        compare(mode, commands, options.rounds, options.seconds)


if __name__ == "__main__":
    work(*sys.argv[2:4]) if sys.argv[1:2] == ["worker"] else main()
