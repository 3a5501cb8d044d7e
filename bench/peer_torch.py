"""PyTorch's worker process of the benchmark; same weights, data and protocol as worker.c.

    PYTHON bench/peer_torch.py train|infer|generate|prompt|first MODEL --folder FOLDER --sample C,H,W --outputs K
        [OPTIONS]

--batch N --batches N         batch size, number of batches in the folder's files
--optimizer adam|sgd --lr X --momentum X
--precision f32|bf16          bf16: autocast
--threads N                   torch.set_num_threads(N); default: PyTorch's
--channels-last               model and images in the NHWC memory format
--fused                       the optimizer's fused implementation, if this PyTorch has one for CPUs
--compile MODE                torch.compile the model (with its loss) in this mode
--jit                         infer: torch.jit traced, frozen and optimized for inference
--onnx                        infer: the network exported to ONNX and run by ONNX Runtime, with all its optimisations
--no-mkldnn                   disables oneDNN

The networks are those of tools/golden/networks.py; `bench_worker prepare` has written the weights and the data into the
folder. Batches are tensors prepared in advance, and no step reads its loss, to keep the overhead of Python small.
"""
import argparse
import contextlib
import inspect
import json
import os
import re
import sys
import time

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "tools", "golden"))
from networks import NETWORKS  # noqa: E402

FIRST_STEPS, SHOWN_OUTPUTS, PROMPT = 5, 10, 200


def load_model(options):
    model = NETWORKS[options.model](options.sample, options.outputs)
    weights, at = np.fromfile(os.path.join(options.folder, "weights.bin"), np.float32), 0
    with torch.no_grad():
        for parameter in getattr(model, "ordered_parameters", model.parameters)():
            end = at + parameter.numel()
            parameter.copy_(torch.from_numpy(weights[at:end].reshape(parameter.shape)))
            at = end
    if at != weights.size:
        sys.exit(f"the model has {at} parameters, the file {weights.size}")
    return model.to(memory_format=torch.channels_last) if options.channels_last else model


def load_batches(options):
    shape = options.sample if options.model != "mlp-512" else (int(np.prod(options.sample)),)
    labels = np.fromfile(os.path.join(options.folder, "labels.bin"), np.int32)
    if len(options.sample) == 1:  # token ids; a source and its target are one sample
        x = np.fromfile(os.path.join(options.folder, "x.bin"), np.int32).astype(np.int64)
        x = x.reshape(-1, options.batch, len(x) // len(labels) * options.sample[0])
        labels = labels.reshape(-1, options.batch, *options.sample)
    else:
        x = np.fromfile(os.path.join(options.folder, "x.bin"), np.float32).reshape(-1, options.batch, *shape)
        labels = labels.reshape(-1, options.batch)
    xs = [torch.from_numpy(b) for b in x[:options.batches]]
    if options.channels_last:
        xs = [b.to(memory_format=torch.channels_last) for b in xs]
    return xs, [torch.from_numpy(b.astype(np.int64)) for b in labels[:options.batches]]


def autocast(options):
    return torch.autocast("cpu", torch.bfloat16) if options.precision == "bf16" else contextlib.nullcontext()


def make_step(options):
    """A function that trains on the next batch and returns the loss."""
    model = load_model(options)
    xs, labels = load_batches(options)
    more = {"fused": True} if options.fused else {}
    if options.optimizer == "adam":
        optimizer = torch.optim.Adam(model.parameters(), lr=options.lr, **more)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=options.momentum, **more)
    loss_of = torch.nn.CrossEntropyLoss()

    def forward(x, y):
        with autocast(options):
            return loss_of(model(x).flatten(0, -2), y.flatten())

    if options.compile:
        forward = torch.compile(forward, mode=options.compile)
    count = 0

    def step():
        nonlocal count
        at = count % options.batches
        count += 1
        optimizer.zero_grad(set_to_none=True)
        loss = forward(xs[at], labels[at])
        loss.backward()
        optimizer.step()
        return loss

    return step


def onnx_session(model, x, options):
    """The model as a function, in ONNX Runtime."""
    import onnxruntime
    path = os.path.join(options.folder, f"{os.getpid()}.onnx")
    torch.backends.mha.set_fastpath_enabled(False)  # its fused operation has no counterpart in ONNX
    more = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["y"], opset_version=16, **more)
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads = options.threads or 0
    session = onnxruntime.InferenceSession(path, how, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def make_inference(options):
    """A function that returns the outputs for the next sample."""
    model = load_model(options).eval()
    xs, _ = load_batches(options)
    if options.onnx:
        model = onnx_session(model, xs[0], options)
    if options.jit:
        model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, xs[0])))
    if options.compile:
        model = torch.compile(model, mode=options.compile)
    for _ in range(3):  # the JIT profiles before it optimizes
        model(xs[0])
    count = -1

    def step():
        nonlocal count
        count += 1
        return model(xs[count % options.batches])

    return step


def make_generation(options):
    """A function that generates one token greedily, with cached keys and values, and returns the logits after it."""
    model = load_model(options).eval()
    cache, context, count, token = model.cache(), options.sample[0], 0, torch.zeros(1, 1, dtype=torch.long)
    forward = torch.compile(model.step, mode=options.compile) if options.compile else model.step
    places = torch.arange(context)

    def step():
        nonlocal count, token
        at = count % context
        if at == 0:
            token = torch.zeros(1, 1, dtype=torch.long)
        count += 1
        if options.compile:
            scores = forward(token, places[at:at + 1], cache, (places <= at)[None])
        else:
            scores = forward(token, at, cache)
        token = scores[:, -1].argmax(-1, keepdim=True)
        return scores

    return step


def make_prompts(options):
    """A function that reads the first tokens of the next sample into the cache and returns what scores follow."""
    model = load_model(options).eval()
    cache, count = model.cache(), -1
    xs = np.fromfile(os.path.join(options.folder, "x.bin"), np.int32).astype(np.int64).reshape(-1, 1, options.sample[0])
    xs = [torch.from_numpy(x[:, :PROMPT].copy()) for x in xs]
    forward = torch.compile(model.prompt, mode=options.compile) if options.compile else model.prompt

    def step():
        nonlocal count
        count += 1
        return forward(xs[count % len(xs)], cache)

    return step


def run_block(step, seconds):
    now = time.process_time if "BENCH_CPU_SECONDS" in os.environ else time.perf_counter
    start = now()
    while now() < start + seconds / 10:
        step()
    runs, start, end = 0, now(), 0
    while end < start + seconds:
        step()
        runs += 1
        end = now()
    return {"runs": runs, "seconds": end - start}


def peak_kib():
    """Peak resident memory of this program; getrusage() would include the parent process."""
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1))


def work(options):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the exporter to ONNX prints

    def say(**line):
        print(json.dumps(line), file=answers, flush=True)

    infer = options.mode in ("infer", "generate", "prompt")
    make = {"infer": make_inference, "generate": make_generation, "prompt": make_prompts}
    step = make.get(options.mode, make_step)(options)
    if infer:
        values = [float(v) for v in step().flatten()[:SHOWN_OUTPUTS]]
    else:
        values = [step().item() for _ in range(1 if options.mode == "first" else FIRST_STEPS)]
    threads = torch.get_num_threads()
    say(description=f"PyTorch {torch.__version__}, {threads} thread{'s' * (threads > 1)}", values=values)
    for line in sys.stdin if options.mode != "first" else ():
        words = line.split()
        if len(words) != 2 or words[0] != "run":
            break
        say(**run_block(step, float(words[1])))
    say(peak_kib=peak_kib())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("train", "infer", "generate", "prompt", "first"))
    parser.add_argument("model", choices=NETWORKS)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--sample", type=lambda text: tuple(map(int, text.split(","))), required=True)
    parser.add_argument("--outputs", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--batches", type=int, default=1)
    parser.add_argument("--optimizer", default="sgd")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--momentum", type=float, default=0)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--fused", action="store_true")
    parser.add_argument("--compile", metavar="MODE")
    parser.add_argument("--jit", action="store_true")
    parser.add_argument("--onnx", action="store_true")
    parser.add_argument("--no-mkldnn", action="store_true")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.backends.mkldnn.enabled = not options.no_mkldnn
    if options.mode in ("infer", "generate", "prompt"):
        # A compiler wants the newer way to do without gradients, the JIT of older versions the older one.
        with torch.no_grad() if options.jit or options.onnx else torch.inference_mode(), autocast(options):
            work(options)
    else:
        work(options)


if __name__ == "__main__":
    main()
