#!/usr/bin/env python3
"""Generations a CPU second of NEAT on CartPole: neat-python beside examples/neat, in one run, on one thread.

    neat_python.py EXAMPLE-NEAT [POPULATION [GENERATIONS]]

Both have 4 inputs, 2 outputs, all links at first, one episode of at most 500 steps for each genome, and the same
probabilities. CartPole's equations are those of Gymnasium, without its overhead. As their episodes differ in length,
steps are compared too. Needs neat-python.
"""
import math
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

import neat

CONFIG = """
[NEAT]
fitness_criterion = max
fitness_threshold = 1e9
no_fitness_termination = True
pop_size = %d
reset_on_extinction = True

[DefaultGenome]
num_inputs = 4
num_outputs = 2
num_hidden = 0
initial_connection = full_direct
feed_forward = True
compatibility_disjoint_coefficient = 1.0
compatibility_excess_coefficient = 1.0
compatibility_weight_coefficient = 0.4
conn_add_prob = 0.05
conn_delete_prob = 0.0
node_add_prob = 0.03
node_delete_prob = 0.0
activation_default = tanh
activation_options = tanh
activation_mutate_rate = 0.0
aggregation_default = sum
aggregation_options = sum
aggregation_mutate_rate = 0.0
bias_init_mean = 0.0
bias_init_stdev = 1.0
bias_init_type = gaussian
bias_replace_rate = 0.1
bias_mutate_rate = 0.8
bias_mutate_power = 0.5
bias_max_value = 30.0
bias_min_value = -30.0
response_init_mean = 1.0
response_init_stdev = 0.0
response_init_type = gaussian
response_replace_rate = 0.0
response_mutate_rate = 0.0
response_mutate_power = 0.0
response_max_value = 30.0
response_min_value = -30.0
weight_init_mean = 0.0
weight_init_stdev = 1.0
weight_init_type = gaussian
weight_replace_rate = 0.1
weight_mutate_rate = 0.8
weight_mutate_power = 0.5
weight_max_value = 30.0
weight_min_value = -30.0
enabled_default = True
enabled_mutate_rate = 0.01
enabled_rate_to_false_add = 0.0
enabled_rate_to_true_add = 0.0
single_structural_mutation = False
structural_mutation_surer = default

[DefaultSpeciesSet]
compatibility_threshold = 3.0

[DefaultStagnation]
species_fitness_func = max
max_stagnation = 15
species_elitism = 1

[DefaultReproduction]
elitism = 1
survival_threshold = 0.2
min_species_size = 2
"""


def episode(act, rng):
    """Steps until the pole falls, at most 500."""
    x, v, a, w = (rng.uniform(-0.05, 0.05) for _ in range(4))
    for step in range(1, 501):
        y = act((x, v, a, w))
        force = 10.0 if y[1] > y[0] else -10.0
        sine, cosine = math.sin(a), math.cos(a)
        push = (force + 0.05 * w * w * sine) / 1.1
        turn = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine * cosine / 1.1))
        pull = push - 0.05 * turn * cosine / 1.1
        x, v, a, w = x + 0.02 * v, v + 0.02 * pull, a + 0.02 * w, w + 0.02 * turn
        if abs(x) > 2.4 or abs(a) > 12 * 2 * math.pi / 360:
            return step
    return 500


def main():
    population = int(sys.argv[2]) if len(sys.argv) > 2 else 150
    generations = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "config")
        path.write_text(CONFIG % population)
        config = neat.Config(neat.DefaultGenome, neat.DefaultReproduction, neat.DefaultSpeciesSet,
                             neat.DefaultStagnation, str(path))
    random.seed(0)
    rng = random.Random(1)
    steps = [0]

    def judge(genomes, config):
        for _, genome in genomes:
            genome.fitness = episode(neat.nn.FeedForwardNetwork.create(genome, config).activate, rng)
            steps[0] += genome.fitness

    began = time.process_time()
    neat.Population(config).run(judge, generations)
    took = time.process_time() - began
    theirs = generations / took
    print(f"neat-python: {steps[0] / generations:.0f} steps a generation: {theirs:.2f} generations a CPU second, "
          f"{steps[0] / took / 1e6:.4f} million steps a CPU second")
    out = subprocess.run([sys.argv[1], "cartpole", str(population), str(generations), "1"], check=True,
                         capture_output=True, text=True).stdout
    ours, moved = (float(re.search(r"([0-9.]+) " + what + " a CPU second", out)[1])
                   for what in ("generations", "million steps"))
    print("glia:", out.strip())
    print(f"ratio of generations a CPU second: {ours / theirs:.1f}, of steps: {moved / (steps[0] / took / 1e6):.1f}")


main()
