#!/usr/bin/env python3
"""Writes tests/golden/environments.txt: episodes of Gymnasium's environments, which tests/data/test_environments.c repeats.

    NPY_DISABLE_CPU_FEATURES="AVX2 FMA3 AVX512F AVX512_SKX" PYTHON tools/golden/environments.py [FILE]

Needs gymnasium 1.x and minatar 1.0.

The variable makes NumPy take sin and cos from libm, as C does. Lines:

    episode NAME SETTINGS               "-" for none
    start NUMBERS                       the state in which it begins,
    reset DRAWS                         or the random numbers that the beginning takes
    step ACTION DRAWS ; REWARD TERMINATED PROB ; OBSERVATION ; STATE

Of MinAtar the OBSERVATION is the list of pixels that are set, planes first, and there is no STATE. DRAWS are the random numbers in [0, 1) that the step took. A step without OBSERVATION and STATE is not compared there.
"""
import random
import sys

import gymnasium
import minatar
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


    def rand(self, n=None):
        return self.random() if n is None else np.array([self.random() for _ in range(n)])

    def randint(self, low, high=None, n=None):
        low, high = (0, low) if high is None else (low, high)
        draw = [low + int(self.random() * (high - low)) for _ in range(n or 1)]
        return np.array(draw) if n else draw[0]


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


def pixel_episode(out, name, game, text, minimal, seed, most):
    """Of MinAtar; the player moves and fires at random, but mostly follows the ball."""
    env, draws, rng = minatar.Environment(game), Draws(seed), random.Random(seed)
    env.random = env.env.random = draws
    env.reset()
    out.write(f"episode {name} {text}\nreset {numbers(draws.taken)}\n")
    actions = env.minimal_action_set() if minimal else list(range(6))
    for i in range(most):
        draws.taken = []
        action = rng.randrange(len(actions))
        if game == "breakout" and rng.random() < 0.9:
            aim = env.env.ball_x + (1 if env.env.ball_dir in (1, 2) else -1)
            action = actions.index(1 if env.env.pos > aim else 3 if env.env.pos < aim else 0)
        if game == "freeway" and rng.random() < 0.8:
            action = actions.index(2)
        reward, terminated = env.act(actions[action])
        out.write(f"step {action} {numbers(draws.taken)} ; {int(reward)} {int(terminated)} 0")
        if i % FULL == 0 or terminated or i == most - 1:
            out.write(f" ; {single(np.flatnonzero(env.state().transpose(2, 0, 1)))}")
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
        for name, game in (("MinAtar/Breakout-v1", "breakout"), ("MinAtar/Freeway-v1", "freeway"),
                           ("MinAtar/SpaceInvaders-v1", "space_invaders")):
            for text, minimal in (("-", True), ("minimal=false", False)):
                pixel_episode(out, name, game, text, minimal, 3, 250)


main()
