#!/usr/bin/env python3
"""Compares environments with Gymnasium's, step by step, in random episodes from the same states with the same actions.

    NPY_DISABLE_CPU_FEATURES="AVX2 FMA3 AVX512F AVX512_SKX" PYTHON check_environments.py LIBGLIA.so [EPISODES]

States in double to 1e-12; each step begins from Gymnasium's state, so an error cannot grow in chaos. Rewards to 1e-9:
NumPy squares Pendulum's f32 torque by powf, which sometimes rounds the last bit otherwise. Of the grid worlds every
result must be one of Gymnasium's transitions, with its probability. Exit status 77 without gymnasium.
"""
import ctypes
import sys

try:
    import gymnasium
    import numpy as np
except ImportError:
    sys.exit(77)


class Wrappers(ctypes.Structure):
    _fields_ = [("normalize_observations", ctypes.c_bool), ("normalize_rewards", ctypes.c_bool),
                ("gamma", ctypes.c_double), ("clip_observations", ctypes.c_double), ("clip_rewards", ctypes.c_double),
                ("frames", ctypes.c_int64)]


class Opts(ctypes.Structure):
    _fields_ = [("settings", ctypes.c_char_p), ("copies", ctypes.c_int64), ("limit", ctypes.c_int64),
                ("wrappers", Wrappers)]


class Array(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_int64),
                ("dim", ctypes.c_int64 * 8), ("data", ctypes.POINTER(ctypes.c_double)), ("parameter", ctypes.c_bool)]


class Result(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int64), ("observations", ctypes.c_void_p), ("rewards", ctypes.POINTER(ctypes.c_double)),
                ("terminated", ctypes.POINTER(ctypes.c_bool)), ("truncated", ctypes.POINTER(ctypes.c_bool)),
                ("started", ctypes.POINTER(ctypes.c_bool)), ("returns", ctypes.c_void_p), ("lengths", ctypes.c_void_p),
                ("info", ctypes.POINTER(Array)), ("n_info", ctypes.c_int)]


class Twin:
    """A handle of the library."""

    def __init__(self, library, name, settings):
        self.glia, self.error = library, ctypes.create_string_buffer(1024)
        library.glia_env_create.restype = ctypes.c_void_p
        library.glia_env_create.argtypes = [ctypes.c_char_p, Opts, ctypes.c_void_p]
        library.glia_env_state.restype = ctypes.POINTER(ctypes.c_double)
        self.env = ctypes.c_void_p(library.glia_env_create(name.encode(), Opts(settings.encode(), 1, -1), self.error))
        self.result = Result()
        self.ok(library.glia_env_reset(self.env, ctypes.c_uint64(1), ctypes.byref(self.result), self.error))

    def ok(self, status):
        if status != 0:
            sys.exit(self.error.raw[4:].split(b"\0")[0].decode())

    def put(self, state):
        values = (ctypes.c_double * len(state))(*state)
        self.ok(self.glia.glia_env_put(self.env, ctypes.c_int64(0), values, len(state), self.error))

    def step(self, action):
        box = np.ndim(action) > 0
        kind = ctypes.c_float if box else ctypes.c_int32
        passed = (kind * 1)(*(action if box else [int(action)]))
        self.ok(self.glia.glia_env_step(self.env, passed, ctypes.byref(self.result), self.error))
        return self.result.rewards[0], self.result.terminated[0]

    def state(self, n):
        return self.glia.glia_env_state(self.env, ctypes.c_int64(0))[:n]


def classic(twin, env, episodes, fresh):
    """Returns (steps, largest difference of states, of rewards)."""
    steps, apart, rewards = 0, 0.0, 0.0
    env.action_space.seed(1)
    for episode in range(episodes):
        env.reset(seed=episode)
        for t in range(300):
            before = [float(v) for v in env.unwrapped.state] + ([float(t == 0)] if fresh else [])
            twin.put(before)
            action = env.action_space.sample()
            _, reward, terminated, _, _ = env.step(action)
            mine, ended = twin.step(action)
            now = np.asarray(env.unwrapped.state, np.float64)
            apart = max(apart, np.abs(np.array(twin.state(len(now))) - now).max())
            rewards = max(rewards, abs(mine - float(reward)))
            assert ended == terminated, (episode, t)
            steps += 1
            if terminated:
                break
    return steps, apart, rewards


def grid(twin, env, episodes):
    steps, state = 0, twin.state(1)[0]
    rng = np.random.default_rng(1)
    extra = [0.0] if "Taxi" in env.spec.id else []
    for _ in range(100 * episodes):
        if rng.random() < 0.05:
            state = float(rng.integers(env.observation_space.n))
        twin.put([state] + extra)
        action = int(rng.integers(env.action_space.n))
        mine, ended = twin.step(action)
        prob, after = twin.result.info[0].data[0], twin.state(1)[0]
        outcomes = [(p, s, float(r), bool(t)) for p, s, r, t in env.unwrapped.P[int(state)][action]]
        assert any(abs(p - prob) < 1e-12 and s == after and r == mine and t == ended for p, s, r, t in outcomes), \
            (state, action, prob, after, mine, ended, outcomes)
        state = after
        steps += 1
    return steps, 0.0, 0.0


def main():
    library = ctypes.CDLL(sys.argv[1])
    episodes = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    for name, settings, text in (("CartPole-v1", {}, ""), ("Acrobot-v1", {}, ""), ("MountainCar-v0", {}, ""),
                                 ("MountainCarContinuous-v0", {}, ""), ("Pendulum-v1", {}, ""),
                                 ("FrozenLake-v1", {}, ""), ("FrozenLake-v1", {"map_name": "8x8"}, "map=8x8"),
                                 ("CliffWalking-v1", {}, ""),
                                 ("CliffWalking-v1", {"is_slippery": True}, "slippery=true"),
                                 ("Taxi-v4", {}, ""), ("Taxi-v4", {"is_rainy": True}, "rainy=true")):
        env = gymnasium.make(name, disable_env_checker=True, **settings)
        while not hasattr(env, "P") and hasattr(env, "env") and env is not env.unwrapped:
            env = env.env
        twin = Twin(library, name, text)
        check = grid if hasattr(env.unwrapped, "P") else classic
        found = check(twin, env, episodes) if check is grid else check(twin, env, episodes, "Continuous" in name)
        print("%-26s %-14s %8d steps, states within %.1e, rewards within %.1e" % (name, text, *found))
        assert found[1] <= 1e-12 and found[2] <= 1e-9


main()
