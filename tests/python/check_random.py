"""Random operations against PyTorch: results, gradients, gradients of gradients.
Usage: check_random.py TEST_RANDOM_KERNELS [SEED [COUNT]]

Needs the package `torch`; exit status 77 without it. TEST_RANDOM_KERNELS --print writes each case with its inputs and
the outputs of the CPU backend; this program evaluates the case's expression in PyTorch in double precision. The outputs
of a case are y, d.X = gradients of sum(y r) in the inputs X, and e.X = gradients of sum over X of sum(d.X s) in X and
r. Without SEED a random seed is used and printed.

Some results are not compared: second derivatives at kinks, which integer inputs reach and where the value is a
convention; cases with infinite or NaN inputs that PyTorch does not compute by the definition (products, convolutions,
variances, gradients of products over axes). Where rounding to f32 may move an input to the other side of a kink, a case
fails only if it fails with three sets of values.
"""
import json
import math
import random
import subprocess
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    torch = None

CONV = {1: "conv1d", 2: "conv2d", 3: "conv3d"}


def padded(x, pad, pad_after, value=0.0):
    """x with padding around its spatial axes."""
    both = [n for before, after in reversed(list(zip(pad, pad_after))) for n in (before, after)]
    return F.pad(x, both, value=value)


def conv(x, kernel, stride, dilation, pad, pad_after, groups):
    return getattr(F, CONV[len(stride)])(padded(x, pad, pad_after), kernel, None, stride, 0, dilation, groups)


def conv_input_grad(dy, kernel, stride, dilation, pad, pad_after, size, groups):
    x = torch.zeros(size, dtype=dy.dtype, requires_grad=True)
    return torch.autograd.grad(conv(x, kernel, stride, dilation, pad, pad_after, groups), x, dy, create_graph=True)[0]


def conv_kernel_grad(x, dy, stride, dilation, pad, pad_after, size, groups):
    kernel = torch.zeros(size, dtype=dy.dtype, requires_grad=True)
    return torch.autograd.grad(conv(x, kernel, stride, dilation, pad, pad_after, groups), kernel, dy,
                               create_graph=True)[0]


def max_pool(x, window, stride, dilation, pad, pad_after, count_padding):
    return getattr(F, f"max_pool{len(window)}d")(padded(x, pad, pad_after, -math.inf), window, stride)


def avg_pool(x, window, stride, dilation, pad, pad_after, count_padding):
    mean = getattr(F, f"avg_pool{len(window)}d")
    if count_padding:
        return mean(padded(x, pad, pad_after), window, stride)
    weights = mean(padded(torch.ones_like(x), pad, pad_after), window, stride)
    return mean(padded(x, pad, pad_after), window, stride) / weights


def prod(x, axes, keep):
    for axis in reversed(axes):
        x = x.prod(axis, keepdim=keep)
    return x


def extreme(pick):
    """The maximum over axes. NaN elements share the gradient, as in torch.max() over all elements; amax() differs."""
    def f(x, axes, keep):
        rest = [i for i in range(x.dim()) if i not in axes]
        shape = [x.shape[i] for i in rest]
        rows = x.permute(rest + axes).reshape(math.prod(shape), -1)
        y = torch.stack([pick(row) for row in rows]).reshape(shape)
        return y.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keep else y
    return f


def safe(x):
    return x * x + 0.5


def layer_norm(x, scale, shift):
    mean, var = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / (var + 0.1).sqrt() * scale + shift


def batch_norm(x, scale, shift, mean, var, train):
    return F.batch_norm(x, mean.clone().detach(), var.clone().detach(), scale, shift, train, 0.1, 0.1)


def attention(q, k, v, causal):
    scores = torch.einsum("nthd,nshd->nhts", q, k) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -math.inf)
    return torch.einsum("nhts,nshd->nthd", scores.softmax(-1), v)


def pad_around(x, before, after):
    return F.pad(x, [n for pair in reversed(list(zip(before, after))) for n in pair], value=0.5)


def cumsum_concat(a, b, axis, reverse):
    x = torch.cat([a, b], axis)
    return x.flip(axis).cumsum(axis).flip(axis) if reverse else x.cumsum(axis)


def tanh_slice(x, start, stop, step):
    return torch.tanh(x[tuple(slice(*s) for s in zip(start, stop, step))])


def functions():
    """The functions of the expressions, by name."""
    return {
        "conv": conv, "conv_input_grad": conv_input_grad, "conv_kernel_grad": conv_kernel_grad, "max_pool": max_pool,
        "avg_pool": avg_pool, "matmul": torch.matmul, "transposed": lambda x: x.transpose(-1, -2),
        "neg": torch.neg, "abs": torch.abs, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "sin": torch.sin,
        "cos": torch.cos, "erf": torch.erf, "relu": torch.relu, "leaky_relu": lambda x: F.leaky_relu(x, 0.25),
        "elu": F.elu, "selu": F.selu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
        "silu": F.silu, "softplus": lambda x: F.softplus(x, threshold=1000), "square": lambda x: x * x,
        "log1p_square": lambda x: torch.log1p(x * x), "log_safe": lambda x: safe(x).log(),
        "sqrt_safe": lambda x: safe(x).sqrt(), "rsqrt_safe": lambda x: safe(x).rsqrt(),
        "exp_tanh": lambda x: x.tanh().exp(), "expm1_tanh": lambda x: x.tanh().expm1(),
        "add": torch.add, "sub": torch.sub, "mul": torch.mul, "maximum": torch.maximum, "minimum": torch.minimum,
        "div_safe": lambda a, b: a / safe(b), "pow_safe": lambda a, b: torch.pow(a.abs() + 0.5, b.tanh()),
        "larger": lambda a, b: torch.where(a > b, a, b), "sum": torch.sum, "mean": torch.mean, "prod": prod,
        "max": extreme(torch.max), "min": extreme(torch.min),
        "variance": lambda x, axes, keep: ((x - x.mean(axes, True)) ** 2).mean(axes, keep),
        "pad": pad_around, "permuted_square": lambda x, order: x.permute(order) * x.permute(order),
        "tanh_slice": tanh_slice, "cumsum_concat": cumsum_concat, "layer_norm": layer_norm, "batch_norm": batch_norm,
        "softmax": torch.softmax, "log_softmax": torch.log_softmax, "attention": attention, "argmax": torch.argmax,
    }


def tensor_of(array):
    return torch.tensor(array["values"], dtype=torch.float64).reshape(array["shape"])


def expected(case, names):
    """PyTorch's results for the case's outputs, by name."""
    leaves = {leaf["name"]: tensor_of(leaf) for leaf in case["leaves"]}
    wanted = [name.split(".")[1] for name in names if "." in name]
    for name in set(wanted):
        leaves[name].requires_grad_(True)
    y = eval(case["expression"], functions(), leaves)
    out = {"y": y}
    firsts = [name for name in names if name.startswith("d.")]
    if not firsts:
        return out
    xs = [leaves[name[2:]] for name in firsts]
    d = torch.autograd.grad((y * leaves["r0"]).sum(), xs, create_graph=True, allow_unused=True, materialize_grads=True)
    out.update(zip(firsts, d))
    seconds = [name for name in names if name.startswith("e.")]
    weights = [leaves[name] for name in leaves if name.startswith("s")]
    total = sum((g * s).sum() for g, s in zip(d, weights))
    if seconds and not total.requires_grad:
        out.update((name, torch.zeros_like(leaves[name[2:]])) for name in seconds)
    elif seconds:
        es = torch.autograd.grad(total, [leaves[name[2:]] for name in seconds], allow_unused=True,
                                 materialize_grads=True)
        out.update(zip(seconds, es))
    return out


def difference(is_, should):
    """A description of the first difference, or None."""
    is_, should = is_.flatten(), should.detach().to(torch.float64).flatten()
    finite = should[should.isfinite()].abs()
    most = finite.max().item() if finite.numel() else 0.0
    same = (is_ == should) | (is_.isnan() & should.isnan()) | ((is_ - should).abs() <= 5e-4 * (1 + most + should.abs()))
    if same.all():
        return None
    at = int((~same).nonzero()[0])
    return f"element {at} of {is_.numel()} is {is_[at].item():.9g}, PyTorch has {should[at].item():.9g}"


def check(case):
    outputs = {output["name"]: tensor_of(output) for output in case["outputs"]}
    kind = case["expression"].split("(")[0]
    if case["values"] == "special":
        if kind.startswith(("conv", "matmul", "cumsum")) or any(f in case["expression"] for f in ("variance", "prod")):
            return None
    if case["values"] != "uniform":
        outputs = {name: value for name, value in outputs.items() if not name.startswith("e.")}
    should = expected(case, list(outputs))
    for name, value in outputs.items():
        wrong = difference(value, should[name]) if name in should else None
        if wrong:
            return f"{name}: {wrong}"
    return None


def main():
    if torch is None:
        print("torch is not installed: skipped")
        return 77
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1, 1 << 31)
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 500
    torch.set_num_threads(1)
    print(f"seed {seed}", flush=True)
    wrong = cases = 0
    command = [sys.argv[1], "--print", str(seed)]
    program = subprocess.Popen(command + [str(count)], stdout=subprocess.PIPE, text=True)
    for line in program.stdout:
        case = json.loads(line)
        message = check(case)
        for draw in ("1", "2"):
            if message and case["kinks"]:
                other = subprocess.run(command + ["1", str(case["case"]), draw], stdout=subprocess.PIPE, text=True)
                message = check(json.loads(other.stdout))
        cases += 1
        if message:
            wrong += 1
            print(f"case {case['case']}: {case['expression']}, {case['values']} values\n"
                  f"    {message}", flush=True)
    status = program.wait()
    print(f"seed {seed}: {cases} cases, {wrong} wrong")
    return 1 if wrong or status or cases != count else 0


if __name__ == "__main__":
    sys.exit(main())
