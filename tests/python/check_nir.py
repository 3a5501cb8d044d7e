"""Reads files that Glia exports with the package `nir`, simulates them by Euler's method, and compares answers.

    PYTHON tests/python/check_nir.py build/release/tests/nir        needs nir and numpy; exit status 77 without them
"""
import os
import subprocess
import sys
import tempfile

try:
    import nir
    import numpy as np
except ImportError:
    print("needs the package nir: skipped")
    sys.exit(77)

DT, STEPS, SAMPLES = 1e-3, 30, 5


def layer(node, state, x):
    """What a node gives for the input x of one step; `state` is its memory."""
    if isinstance(node, (nir.Input, nir.Output)):
        return x
    if isinstance(node, nir.Flatten):
        return x.reshape(len(x), -1)
    if isinstance(node, nir.Affine):
        return x @ node.weight.T + node.bias
    if isinstance(node, nir.Linear):
        return x @ node.weight.T
    v = state.get("v", 0 * x)
    if isinstance(node, (nir.CubaLIF, nir.CubaLI)):
        i = state.get("i", 0 * x)
        x = state["i"] = i + DT / node.tau_syn * (node.w_in * x - i)
        tau = node.tau_mem
    else:
        tau = None if isinstance(node, nir.IF) else node.tau
    spikes = isinstance(node, (nir.LIF, nir.IF, nir.CubaLIF))
    fired = v > node.v_threshold if spikes else np.zeros_like(v, bool)
    subtract = spikes and node.metadata["reset"] == "subtract"
    if not subtract and spikes:
        v = np.where(fired, node.v_reset, v)
    v = v + DT * node.r * x if tau is None else v + DT / tau * (node.v_leak - v + node.r * x)
    if subtract:
        v = v - fired * node.v_threshold
    state["v"] = v
    return (v > node.v_threshold).astype(float) if spikes else v


def run(graph, x):
    """The outputs of all steps; x (N, ...) is the same in each, or (N, T, F)."""
    order, states, after = ["input"], {}, dict(graph.edges)
    while order[-1] in after:
        order.append(after[order[-1]])
    assert order[-1] == "output" and len(order) == len(graph.nodes), order
    outputs = []
    for t in range(STEPS):
        value = x[:, t] if x.ndim == 3 else x
        for name in order:
            value = layer(graph.nodes[name], states.setdefault(name, {}), value)
        outputs.append(value)
    return np.stack(outputs)


def main():
    kinds = set()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        for name in ("subtract", "zero", "synapses", "integrate"):
            path = os.path.join(folder, name)
            graph = nir.read(path + ".nir")
            shape = tuple(graph.nodes["input"].input_type["input"])
            steps = name in ("zero", "integrate")
            assert shape == ((12,) if steps else (2, 2, 3)), shape
            x = np.fromfile(path + ".x", np.float32).reshape((SAMPLES, STEPS) + shape if steps else (SAMPLES,) + shape)
            expected = np.fromfile(path + ".y", np.float32).reshape(SAMPLES, -1)
            out = run(graph, x.astype(float))
            spikes = isinstance(graph.nodes["last.units"], (nir.LIF, nir.IF))
            answer = out.sum(0) if spikes else out.mean(0)
            difference = np.abs(answer - expected).max()
            found = {type(n).__name__ for n in graph.nodes.values()}
            print("%-10s %s, differs by %.1e" % (name, sorted(found), difference))
            assert difference < 1e-4 and np.abs(expected).max() > 0.1
            kinds |= found
    assert kinds >= {"Affine", "Linear", "Flatten", "LIF", "LI", "IF", "CubaLIF", "CubaLI"}, kinds


if __name__ == "__main__":
    main()
