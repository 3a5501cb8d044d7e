#!/usr/bin/python3
"""Numbers of parameters, names and results of torchvision's nets, for models/.

    /usr/bin/python3 tools/golden/zoo.py          needs torch and torchvision; rewrites tests/golden/zoo.txt

    model NAME PARAMETERS HASH         HASH: of the names and shapes of the state, see `state_hash`
    case NAME SIDE                     a net with the values of `draw`, on two pictures of SIDE pixels
    shift NAME NUMBER                  added to a bias, so that no unit behind it is near a kink of its ReLU (see below)
    logits VALUES                      the first of each picture
    gradient NAME PROJECTION NORM      of sum(logits * draw("weights")) in inference mode, by a parameter or by x: its
                                       product with draw(NAME + "?")

Computed in f64. The nets that torchvision lacks are built here from their papers.

A unit that is 1e-7 on one side of zero in f64 and on the other in f32 changes all gradients before it by much more than
rounding does. So the last bias before each ReLU gets a shift, the same for all channels, that puts zero (and the six of
ReLU6) into the widest gap of what all units of the layer are. Then gradients in f32 must agree to rounding.
"""
import pathlib

import numpy
import torch
import torchvision
from torch import nn

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "zoo.txt"
MASK = (1 << 64) - 1


def fnv(text):
    h = 0xcbf29ce484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001b3 & MASK
    return h


def draw(name, n):
    """n numbers in [-1, 1): splitmix64 from the hash of the name, 24 bits."""
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(fnv(name)) + numpy.arange(1, n + 1, dtype=numpy.uint64) * numpy.uint64(0x9e3779b97f4a7c15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xbf58476d1ce4e5b9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94d049bb133111eb)
        z = z ^ (z >> numpy.uint64(31))
    return (z >> numpy.uint64(40)).astype(numpy.float64) / 2**23 - 1


def value(name, shape):
    """A tensor of a state: kernels as He et al. 2015, scales and variances about 1, the rest small."""
    u = draw(name, int(numpy.prod(shape, dtype=numpy.int64)))
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        u = 1 + 0.2 * u
    elif len(shape) > 1 and name.endswith("weight"):
        u = u * numpy.sqrt(6 / numpy.prod(shape[1:]))
    else:
        u = u * 0.1
    return u.astype(numpy.float32).astype(numpy.float64).reshape(shape)


def state_of(net):
    return {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}


def state_hash(net):
    return sum(fnv(f"{k} {','.join(map(str, v.shape))}") for k, v in state_of(net).items()) & MASK


class Zeros(nn.Module):
    """Option A of He et al. 2016."""

    def __init__(self, missing):
        super().__init__()
        self.missing = missing

    def forward(self, x):
        half = self.missing // 2
        return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.missing - half))


class Small(nn.Module):
    """A block of the nets for CIFAR."""

    def __init__(self, channels, filters, stride, shortcut):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters)
        self.shortcut = None
        if shortcut:
            self.shortcut = nn.Identity() if stride == 1 else Zeros(filters - channels)

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x) if self.shortcut else y)


class ForCifar(nn.Module):
    def __init__(self, n, shortcut):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        channels = 16
        for stage in range(3):
            blocks = []
            for i in range(n):
                blocks.append(Small(channels, 16 << stage, 2 if stage and i == 0 else 1, shortcut))
                channels = 16 << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class Before(nn.Module):
    """A bottleneck of He et al. 2016b."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, filters, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(filters), nn.Conv2d(filters, filters, 3, stride, 1, bias=False)
        self.bn3, self.conv3 = nn.BatchNorm2d(filters), nn.Conv2d(filters, 4 * filters, 1, bias=False)
        self.downsample = None
        if stride != 1 or channels != 4 * filters:
            self.downsample = nn.Sequential(nn.Conv2d(channels, 4 * filters, 1, stride, bias=False))

    def forward(self, x):
        y = torch.relu(self.bn1(x))
        kept = self.downsample(y) if self.downsample else x
        y = self.conv2(torch.relu(self.bn2(self.conv1(y))))
        return self.conv3(torch.relu(self.bn3(y))) + kept


class Version2(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1, self.pool = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1)
        channels = 64
        for stage, n in enumerate(blocks):
            parts = []
            for i in range(n):
                parts.append(Before(channels, 64 << stage, 2 if stage and i == 0 else 1))
                channels = 256 << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*parts))
        self.norm, self.fc = nn.BatchNorm2d(channels), nn.Linear(channels, 1000)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.pool(self.conv1(x))))))
        return self.fc(torch.relu(self.norm(x)).mean((2, 3)))


def vit(side, patch, layers, heads, units, classes):
    return torchvision.models.VisionTransformer(side, patch, layers, heads, units, 4 * units, num_classes=classes)


M = torchvision.models
NETS = {
    "alexnet": M.alexnet, "vgg11": M.vgg11, "vgg13": M.vgg13, "vgg16": M.vgg16, "vgg19": M.vgg19,
    "vgg11-bn": M.vgg11_bn, "vgg13-bn": M.vgg13_bn, "vgg16-bn": M.vgg16_bn, "vgg19-bn": M.vgg19_bn,
    "resnet18": M.resnet18, "resnet34": M.resnet34, "resnet50": M.resnet50, "resnet101": M.resnet101,
    "resnet152": M.resnet152, "resnet50-v2": lambda: Version2((3, 4, 6, 3)), "densenet121": M.densenet121,
    "densenet169": M.densenet169, "densenet201": M.densenet201, "mobilenet-v2": M.mobilenet_v2,
    "vit-b16": M.vit_b_16, "vit-ti16": lambda: vit(224, 16, 12, 3, 192, 1000),
    "vit-s16": lambda: vit(224, 16, 12, 6, 384, 1000), "vit-cifar": lambda: vit(32, 4, 6, 3, 192, 10),
    **{f"resnet{n}": (lambda n=n: ForCifar((n - 2) // 6, True)) for n in (20, 32, 44, 56, 110)},
    **{f"plain{n}": (lambda n=n: ForCifar((n - 2) // 6, False)) for n in (20, 32, 44, 56, 110)},
}
SIDES = {"alexnet": 64, "resnet18": 64, "resnet50": 64, "resnet50-v2": 64, "densenet121": 64, "mobilenet-v2": 64,
         "vit-ti16": 32, "vit-cifar": 32, "resnet20": 32, "plain20": 32, "vgg11-bn": 32}


class Shifts:
    """Shifts biases while a net runs, and keeps the least distance of a unit from a kink, in deviations of its layer."""

    def __init__(self, net):
        self.names = {module: key + ".bias" for key, module in net.named_modules()}
        self.found, self.last, self.least = {}, None, numpy.inf

    def remember(self, module, _, __):
        if getattr(module, "bias", None) is not None and module in self.names:
            self.last = module

    def shift(self, x, kinks):
        values, bias = numpy.sort(x.detach().numpy().ravel()), self.last.bias
        deviation = values.std()
        near = values[abs(values) < 0.3 * deviation]
        gaps = numpy.argsort(near[:-1] - near[1:])[:100]
        def distance(d):
            return min(abs(values + d - k).min() for k in kinks)
        d = numpy.float32(max((-(near[g] + near[g + 1]) / 2 for g in gaps), key=distance))
        self.least = min(self.least, distance(d) / deviation)
        name = self.names[self.last]
        self.found[name] = numpy.float32(self.found.get(name, 0) + d)
        with torch.no_grad():
            bias.copy_((bias.float() + torch.tensor(d)).double())
        return x + float(d)


def run_shifted(net, x):
    """Shifts the biases of the net for this input."""
    s, usual = Shifts(net), (nn.functional.relu, torch.relu, nn.functional.hardtanh)
    hook = nn.modules.module.register_module_forward_hook(s.remember)
    def relu(x, inplace=False):
        return usual[1](s.shift(x, (0,)))
    def relu6(x, low, high, inplace=False):
        return usual[2](s.shift(x, (low, high)), low, high)
    nn.functional.relu, torch.relu, nn.functional.hardtanh = relu, relu, relu6
    with torch.no_grad():
        net(x)
    nn.functional.relu, torch.relu, nn.functional.hardtanh = usual
    hook.remove()
    return s


def case(name, side, out):
    net = vit(32, 16, 12, 3, 192, 1000) if name == "vit-ti16" else NETS[name]()
    net = net.double().eval()
    with torch.no_grad():
        for key, tensor in state_of(net).items():
            tensor.copy_(torch.from_numpy(value(key, tuple(tensor.shape))))
    if name == "vgg11-bn":  # the dense layers are AlexNet's
        net = nn.ModuleDict({"features": net.features[:27]})
        run = net["features"]
    else:
        run = net
    x = torch.from_numpy(draw("x", 2 * 3 * side * side).astype(numpy.float32).astype(numpy.float64))
    x = x.reshape(2, 3, side, side).requires_grad_()
    shifts = run_shifted(run, x.detach())
    y = run(x).flatten(1)
    (y * torch.from_numpy(draw("weights", y.numel())).reshape(y.shape)).sum().backward()
    print("case", name, side, file=out)
    for key, number in shifts.found.items():
        print("shift", ("features." if run is not net else "") + key, f"{number:.9g}", file=out)
    print(f"{name}: no unit is within {shifts.least:.1e} deviations of a kink")
    print("logits", *(f"{v:.9g}" for row in y for v in row[:5]), file=out)
    parameters = list(net.named_parameters())
    chosen = [("x", x)] + [parameters[i] for i in sorted({0, 1, len(parameters) // 2, len(parameters) - 2,
                                                         len(parameters) - 1})]
    for key, tensor in chosen:
        g = tensor.grad.numpy().ravel()
        print("gradient", key, f"{g @ draw(key + '?', g.size):.9g} {numpy.linalg.norm(g):.9g}", file=out)


def main():
    with open(OUT, "w", encoding="utf-8") as out:
        print("# written by tools/golden/zoo.py: torch", torch.__version__, "torchvision", torchvision.__version__,
              file=out)
        for name, make in NETS.items():
            net = make()
            print("model", name, sum(p.numel() for p in net.parameters()), state_hash(net), file=out)
            del net
        for name, side in SIDES.items():
            case(name, side, out)


main()
