#!/usr/bin/python3
"""Writes small files of torch.save(), for the reader of weights.

    /usr/bin/python3 tools/golden/torch_files.py          needs torch and numpy; rewrites tests/golden/torch

Every file that holds values holds those of `state()`; tests/data/test_torch_files.c has the same numbers: element i of a
tensor is i + 0.5 (reals), i - 2 (integers), i odd (bools).

    zip.pt        the zip format; zip4.pt: with protocol 4
    old.pth       the format before PyTorch 1.6
    wrapped.th    the state as "state_dict" of a checkpoint of DataParallel, beside an optimiser's
    deflated.pt   zip.pt, compressed
    module.pt     a whole module, which needs code
    code.pt       a pickle that calls os.system
    layers.pth    layers with a batch norm; layers.safetensors: the same tensors (written by hand)
"""
import io
import json
import os
import pathlib
import pickle
import struct
import zipfile

import torch

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "torch"


def fill(shape, dtype):
    n = torch.Size(shape).numel()
    if dtype == torch.bool:
        return (torch.arange(n) % 2 == 1).reshape(shape)
    if dtype.is_floating_point:
        return (torch.arange(n, dtype=torch.float64) + 0.5).to(dtype).reshape(shape)
    return (torch.arange(n) - (0 if dtype == torch.uint8 else 2)).to(dtype).reshape(shape)


def state():
    base = fill((4, 6), torch.float32)
    return {
        "f32": fill((2, 3), torch.float32), "f64": fill((3,), torch.float64), "f16": fill((2, 2), torch.float16),
        "bf16": fill((2, 2), torch.bfloat16), "i32": fill((4,), torch.int32), "i64": fill((2, 2), torch.int64),
        "u8": fill((3,), torch.uint8), "i8": fill((3,), torch.int8), "bool": fill((4,), torch.bool),
        "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "base": base, "transposed": base.t(),
        "part": base[1:3, 2:5], "expanded": torch.tensor([[1.5], [2.5]]).expand(2, 3),
        "parameter": torch.nn.Parameter(torch.tensor([1.0, 2.0])), "nested": {"deep": [torch.tensor([3.0])]},
    }


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def layers():
    torch.manual_seed(0)
    net = torch.nn.Sequential()
    net.add_module("conv1", torch.nn.Conv2d(2, 3, 3))
    net.add_module("bn1", torch.nn.BatchNorm2d(3))
    net.add_module("fc", torch.nn.Linear(3, 2))
    net.bn1.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    net.bn1.running_var.copy_(torch.tensor([4.0, 5.0, 6.0]))
    return net.state_dict()


def save_safetensors(tensors, path):
    header, data = {}, b""
    for name, t in tensors.items():
        raw = t.contiguous().numpy().tobytes()
        dtype = {torch.float32: "F32", torch.int64: "I64"}[t.dtype]
        header[name] = {"dtype": dtype, "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    FOLDER.mkdir(exist_ok=True)
    torch.save(state(), FOLDER / "zip.pt")
    torch.save(state(), FOLDER / "zip4.pt", pickle_protocol=4)
    torch.save(state(), FOLDER / "old.pth", _use_new_zipfile_serialization=False)
    small = {"module." + k: v for k, v in layers().items()}
    weights = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.Adam([weights])
    weights.sum().backward()
    optimiser.step()
    torch.save({"epoch": 3, "best": 0.5, "state_dict": small, "optimizer": optimiser.state_dict(), "name": "net"},
               FOLDER / "wrapped.th")
    packed = io.BytesIO()
    with zipfile.ZipFile(FOLDER / "zip.pt") as old, \
            zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)
    (FOLDER / "deflated.pt").write_bytes(packed.getvalue())
    torch.save(torch.nn.Linear(1, 1), FOLDER / "module.pt")
    torch.save({"weight": torch.ones(1), "evil": Evil()}, FOLDER / "code.pt")
    torch.save(layers(), FOLDER / "layers.pth")
    save_safetensors(layers(), FOLDER / "layers.safetensors")


main()
