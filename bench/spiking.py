#!/usr/bin/env python3
"""Speed of spiking nets beside snnTorch, Norse and BindsNET, in one run.

    PYTHON bench/spiking.py --build BUILD [--rounds 5] [--seconds 3]      those of the peers that PYTHON has

Training: a step of 784-1000-10 leaky integrate-and-fire units, T = 25, batch 128, Adam, with the input constant in all
steps (snnTorch's tutorial 5) and as spike trains (N, T, 784). Spike times: a sample shown for 350 ms in steps of 0.5
to the 100 cells of Diehl and Cook 2015. One thread each; workers take turns, so all see the same machine; times are
CPU seconds of the process, the median over rounds.
"""
import argparse
import os
import sys

from workers import compare, serve

BATCH, STEPS, HIDDEN, CLASSES = 128, 25, 1000, 10


def step_of_snntorch(spikes):
    import snntorch
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc2 = torch.nn.Linear(784, HIDDEN), torch.nn.Linear(HIDDEN, CLASSES)
            self.lif1, self.lif2 = snntorch.Leaky(beta=0.95), snntorch.Leaky(beta=0.95)

        def forward(self, x):
            mem1, mem2, out = self.lif1.init_leaky(), self.lif2.init_leaky(), []
            for t in range(STEPS):
                spike, mem1 = self.lif1(self.fc1(x[:, t] if spikes else x), mem1)
                _, mem2 = self.lif2(self.fc2(spike), mem2)
                out.append(mem2)
            return torch.stack(out)
    return torch_step(Net(), spikes)


def step_of_norse(spikes):
    import norse.torch as norse
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc2 = torch.nn.Linear(784, HIDDEN), torch.nn.Linear(HIDDEN, CLASSES)
            self.lif1, self.lif2 = norse.LIFBoxCell(), norse.LIFBoxCell()

        def forward(self, x):
            s1, s2, out = None, None, []
            for t in range(STEPS):
                spike, s1 = self.lif1(self.fc1(x[:, t] if spikes else x), s1)
                _, s2 = self.lif2(self.fc2(spike), s2)
                out.append(s2.v)
            return torch.stack(out)
    return torch_step(Net(), spikes)


def torch_step(net, spikes):
    import torch
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-4)
    x = (torch.rand(BATCH, STEPS, 784) < 0.1).float() if spikes else torch.rand(BATCH, 784)
    y = torch.arange(BATCH) % CLASSES
    loss_of = torch.nn.CrossEntropyLoss()

    def step():
        membranes = net(x)
        loss = sum(loss_of(membranes[t], y) for t in range(STEPS))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return step


def step_of_bindsnet(_):
    import torch
    from bindsnet.encoding import poisson
    from bindsnet.models import DiehlAndCook2015
    net = DiehlAndCook2015(n_inpt=784, n_neurons=100, exc=22.5, inh=120, dt=0.5, norm=78.4, inpt_shape=(1, 28, 28))
    x = torch.rand(1, 28, 28) * 128 * (torch.rand(1, 28, 28) < 0.2)

    def step():
        net.run(inputs={"X": poisson(x, time=350, dt=0.5)}, time=350)
        net.reset_state_variables()
    return step


PEERS = {"snnTorch": step_of_snntorch, "Norse": step_of_norse, "BindsNET": step_of_bindsnet}


def work(peer, mode):
    import torch
    torch.set_num_threads(1)
    step = PEERS[peer](mode == "spikes")
    step()
    serve(step)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--modes", default="constant,spikes,stdp")
    options = parser.parse_args()
    for mode in options.modes.split(","):
        commands = {"Glia": [os.path.join(options.build, "bench_spiking"), mode]}
        for peer in ("BindsNET",) if mode == "stdp" else ("snnTorch", "Norse"):
            commands[peer] = [sys.executable, os.path.abspath(__file__), "worker", peer, mode]
        compare(mode, commands, options.rounds, options.seconds)


if __name__ == "__main__":
    work(*sys.argv[2:4]) if sys.argv[1:2] == ["worker"] else main()
