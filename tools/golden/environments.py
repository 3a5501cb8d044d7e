#!/usr/bin/env python3
"""Writes tests/golden/environments.txt: episodes of Gymnasium's environments, which tests/data/test_environments.c repeats.

    NPY_DISABLE_CPU_FEATURES="AVX2 FMA3 AVX512F AVX512_SKX" PYTHON tools/golden/environments.py [FILE]    gymnasium 1.x

The variable makes NumPy take sin and cos from libm, as C does. Lines:

    episode NAME SETTINGS               "-" for none
    start NUMBERS                       the state in which it begins
    step ACTION DRAWS ; REWARD TERMINATED PROB ; OBSERVATION ; STATE

DRAWS are the random numbers in [0, 1) that the step took. A step without OBSERVATION and STATE is not compared there.
"""
import random
import sys

import gymnasium
import numpy as np

FULL = 25  # every FULL-th step is written with observation and state


class Draws:
    """Random numbers that are noted down."""

    def __init__(self, seed):
        self.source, self.taken = random.Random(seed), []

    def random(self):
        self.taken.append(self.source.random())
        return self.taken[-1]

    def choice(self, items):
        return items[int(self.random() * len(items))]


def numbers(values):
    return " ".join(f"{float(v):.17g}" for v in values)


def single(values):
    return " ".join(f"{float(v):.9g}" for v in values)


def state_of(env, fresh):
    e = env.unwrapped
    if hasattr(e, "P"):
        return [e.s] + ([int(e.fickle_step)] if hasattr(e, "fickle_step") else [])
    return [float(v) for v in e.state] + ([fresh] if "Continuous" in type(env.unwrapped).__name__ else [])


def act(policy, env, observation, rng):
    if policy == "swing":
        return 2 if observation[1] >= 0 else 0
    if policy == "push":
        return np.array([1.3 if observation[1] >= 0 else -1.3 if rng.random() < 0.5 else -0.7], np.float32)
    if policy == "balance":
        return int(observation[2] + 0.5 * observation[3] > 0)
    if policy == "wide":
        return np.array([rng.uniform(-2.5, 2.5)], np.float32)
    return env.action_space.sample()


def episode(out, name, settings, text, policy, seed, most):
    env = gymnasium.make(name, disable_env_checker=True, **settings).unwrapped
    rng = random.Random(seed)
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    grid = hasattr(env.unwrapped, "P")
    if grid:
        env.unwrapped._np_random = Draws(seed)
        observation, _ = env.reset()
    out.write(f"episode {name} {text}\nstart {numbers(state_of(env, 1))}\n")
    for i in range(most):
        if grid:
            env.unwrapped._np_random.taken = []
        action = act(policy, env, observation, rng)
        observation, reward, terminated, _, info = env.step(action)
        draws = env.unwrapped._np_random.taken if grid else []
        written = action if np.ndim(action) else [action]
        out.write(f"step {numbers(written)} {numbers(draws)} ; {numbers([reward])} {int(terminated)} {numbers([info.get('prob', 0)])}")
        if i % FULL == 0 or terminated or i == most - 1:
            seen = np.atleast_1d(observation)
            out.write(f" ; {single(seen)} ; {numbers(state_of(env, 0))}")
        out.write("\n")
        if terminated:
            break


def main():
    with open(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/environments.txt", "w") as out:
        for name, settings, text, policy, most in (
                ("CartPole-v1", {}, "-", "", 100), ("CartPole-v1", {}, "-", "balance", 120),
                ("CartPole-v1", {"sutton_barto_reward": True}, "sutton_barto_reward=true", "", 100),
                ("Acrobot-v1", {}, "-", "", 150), ("MountainCar-v0", {}, "-", "swing", 200),
                ("MountainCar-v0", {"goal_velocity": 0.03}, "goal_velocity=0.03", "swing", 200),
                ("MountainCarContinuous-v0", {}, "-", "push", 200), ("MountainCarContinuous-v0", {}, "-", "", 60),
                ("Pendulum-v1", {}, "-", "wide", 100), ("Pendulum-v1", {"g": 9.81}, "g=9.81", "wide", 40),
                ("FrozenLake-v1", {}, "-", "", 60),
                ("FrozenLake-v1", {"map_name": "8x8", "success_rate": 0.7}, "map=8x8,success_rate=0.7", "", 60),
                ("FrozenLake-v1", {"is_slippery": False}, "slippery=false", "", 60),
                ("CliffWalking-v1", {}, "-", "", 60), ("CliffWalking-v1", {"is_slippery": True}, "slippery=true", "", 60),
                ("Taxi-v4", {}, "-", "", 150), ("Taxi-v4", {"is_rainy": True}, "rainy=true", "", 150),
                ("Taxi-v4", {"fickle_passenger": True, "fickle_probability": 1.0},
                 "fickle_passenger=true,fickle_probability=1", "", 150)):
            for seed in (1, 2):
                episode(out, name, settings, text, policy, seed, most)


main()
