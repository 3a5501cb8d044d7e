#!/usr/bin/env python3
"""Trains DQN and PPO on CartPole-v1 by Glia and by stable-baselines3, each on one thread with the same sizes of nets,
batches and rollouts, and prints their seconds of CPU time, for docs/reinforcement.md.

    peer_sb3.py GLIA [STEPS]      GLIA: the command; needs stable-baselines3 2.x and PyTorch
"""
import os
import resource
import subprocess
import sys
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"


def cpu(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def glia(command, *options):
    with tempfile.TemporaryDirectory() as folder:
        before = cpu(resource.RUSAGE_CHILDREN)
        subprocess.run([command, "train", *options, "--threads", "1", "--quiet", "--out", os.path.join(folder, "run")],
                       check=True, stdout=subprocess.DEVNULL)
        return cpu(resource.RUSAGE_CHILDREN) - before


def peer(model, steps):
    """Its learning alone: importing and building are not counted, as they are for Glia."""
    before = cpu(resource.RUSAGE_SELF)
    model.learn(steps)
    return cpu(resource.RUSAGE_SELF) - before


def main():
    command, steps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 50000
    import torch
    from stable_baselines3 import DQN, PPO
    from stable_baselines3.common.env_util import make_vec_env
    torch.set_num_threads(1)
    # the same work: two layers of 128, a batch of 32 every 4 steps
    ours = glia(command, "dqn", "--env", "cartpole", "--epochs", "1", "--batch", "32", "--lr", "1e-4", "--schedule",
                "constant", "--set", f"dqn.steps={steps}", "--set", "dqn.train_every=4", "--set",
                "dqn.target_every=2500", "--set", "dqn.tau=1", "--set", "dqn.learning_starts=100", "--set",
                "dqn.double=false", "--set", "dqn.eval_episodes=0")
    theirs = peer(DQN("MlpPolicy", "CartPole-v1", learning_starts=100, buffer_size=50000, seed=1,
                      policy_kwargs={"net_arch": [128, 128]}), steps)
    print(f"DQN, {steps} steps: glia {ours:.2f} s, stable-baselines3 {theirs:.2f} s: {theirs / ours:.1f} times")
    ours = glia(command, "ppo", "--env", "cartpole", "--copies", "8", "--epochs", "1", "--batch", "256", "--set",
                f"ppo.steps={steps}", "--set", "ppo.rollout=256", "--set", "ppo.eval_episodes=0")
    theirs = peer(PPO("MlpPolicy", make_vec_env("CartPole-v1", 8), n_steps=256, batch_size=256, seed=1), steps)
    print(f"PPO, {steps} steps: glia {ours:.2f} s, stable-baselines3 {theirs:.2f} s: {theirs / ours:.1f} times")


main()
