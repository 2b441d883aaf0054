#!/usr/bin/env python3
"""Makes tests/fixtures/weights: small weight files as PyTorch and numpy write them.

Run by hand, in an environment with torch and numpy, when a case is added; the files are committed.
Usage: scripts/gen_fixtures_weights.py [FOLDER]

Every tensor holds value[i] = ((5 i + len(name)) mod 17 - 8) / 4 in logical order (row by row); integers lack the
division by 4, bools are "greater than 0". The test computes the same.
"""
import argparse
import collections
import os
import pickle
import struct
import sys

import numpy as np
import torch


def values(name, shape, kind="f4"):
    count = int(np.prod(shape)) if shape else 1
    raw = (5 * np.arange(count) + len(name)) % 17 - 8
    if kind == "b1":
        return (raw > 0).reshape(shape)
    if kind[0] in "iu":
        return (raw % 256 if kind[0] == "u" else raw).astype(kind).reshape(shape)
    return (raw / 4).astype(kind).reshape(shape)


def tensor(name, shape, kind="f4"):
    return torch.from_numpy(np.ascontiguousarray(values(name, shape, kind))).reshape(shape)


def state_dict():
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1, bias=False), torch.nn.BatchNorm2d(3))
    state = model.state_dict()  # an OrderedDict with _metadata
    for name in state:
        kind = "i8" if name.endswith("num_batches_tracked") else "f4"
        state[name] = tensor(name, tuple(state[name].shape), kind)
    return state


def dtypes():
    wide = torch.zeros(4, 6)
    wide[1:4, ::2] = tensor("strided", (3, 3))
    return {
        "f64": tensor("f64", (3,), "f8"), "f16": tensor("f16", (3,)).half(), "bf16": tensor("bf16", (3,)).bfloat16(),
        "i64": tensor("i64", (3,), "i8"), "i32": tensor("i32", (3,), "i4"), "i16": tensor("i16", (3,), "i2"),
        "i8": tensor("i8", (3,), "i1"), "u8": tensor("u8", (3,), "u1"), "bool": tensor("bool", (5,), "b1"),
        "scalar": tensor("scalar", ()), "empty": torch.zeros(0, 4), "strided": wide[1:4, ::2],
        "transposed": tensor("transposed", (2, 3, 4)).permute(2, 0, 1).contiguous().permute(1, 2, 0),
        "complex": torch.zeros(2, dtype=torch.complex64),
    }


class Evil:
    def __reduce__(self):
        return os.system, ("touch iuq_was_here",)


class Opaque:
    def __init__(self):
        self.note = "an object of a class that no reader has"


def zoo():
    return {"model": {"stem.conv1.weight": values("stem.conv1.weight", (2, 3)),
                      "fortran": np.asfortranarray(values("fortran", (3, 4))),
                      "half": values("half", (2,), "f2"), "flags": values("flags", (5,), "b1"),
                      "scalar": values("scalar", ()), "text": np.array(["a", "b"]),
                      "big": values("big", (3,)).astype(">f4")},
            "__author__": "Caffe2", "matching_heuristics": True}


def as_zip64(data):
    """The same archive with every size and offset of the directory in zip64 fields, as in files over 4 GB."""
    end = data.rindex(b"PK\x05\x06")
    count, = struct.unpack_from("<H", data, end + 10)
    position, = struct.unpack_from("<I", data, end + 16)
    out, directory = bytearray(data[:position]), bytearray()
    for _ in range(count):
        head = bytearray(data[position:position + 46])
        packed, size, name, extra, comment = struct.unpack_from("<IIHHH", head, 20)
        local, = struct.unpack_from("<I", head, 42)
        struct.pack_into("<IIHHH", head, 20, 0xffffffff, 0xffffffff, name, 28, 0)
        struct.pack_into("<I", head, 42, 0xffffffff)
        directory += head + data[position + 46:position + 46 + name] + struct.pack("<HHQQQ", 1, 24, size, packed, local)
        position += 46 + name + extra + comment
    start = len(out)
    out += directory
    end64 = len(out)
    out += struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, count, count, len(directory), start)
    out += struct.pack("<IIQI", 0x07064b50, 0, end64, 1)
    out += struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0)
    return bytes(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("folder", nargs="?", default=os.path.join(here, "..", "tests", "fixtures", "weights"))
    folder = parser.parse_args().folder
    os.makedirs(folder, exist_ok=True)

    def save(name, value, **options):
        torch.save(value, os.path.join(folder, name), **options)

    def dump(name, value, protocol):
        with open(os.path.join(folder, name), "wb") as out:
            pickle.dump(value, out, protocol=protocol)

    sys.modules["iuq_fixture"] = type(sys)("iuq_fixture")
    for cls in (Evil, Opaque):
        cls.__module__ = "iuq_fixture"
        setattr(sys.modules["iuq_fixture"], cls.__name__, cls)

    state = state_dict()
    save("state_dict.pth", state)
    with open(os.path.join(folder, "state_dict.pth"), "rb") as one, open(os.path.join(folder, "zip64.pth"), "wb") as other:
        other.write(as_zip64(one.read()))
    save("legacy.pth", state, _use_new_zipfile_serialization=False)
    save("detectron2.pth", {"model": dict(state), "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}, "iteration": 7})
    save("mmdet.pth", {"meta": {"epoch": np.float64(1), "config": Opaque(), "CLASSES": ("a",)}, "state_dict": state})
    save("parameters.pth", collections.OrderedDict(
        w=torch.nn.Parameter(tensor("w", (2, 3))), nested={"b": tensor("nested.b", (4,))}))
    save("dtypes.pth", dtypes())
    save("opaque.pth", {"w": tensor("w", (2, 3)), "evil": Evil(), "object": Opaque(),
                        "default": collections.defaultdict(list)})
    small = {"conv1.weight": (2, 3, 1, 1), "bn1.weight": (2,), "bn1.bias": (2,), "bn1.running_mean": (2,),
             "bn1.running_var": (2,), "fc.weight": (3, 2), "fc.bias": (3,)}
    save("torchvision.pth", {name: tensor(name, shape) for name, shape in small.items()})
    save("detectron2_names.pth", {"model": {"backbone.fpn_lateral2.bias": tensor("backbone.fpn_lateral2.bias", (2,))}})
    for protocol in (2, 4, 5):
        dump(f"zoo_p{protocol}.pkl", zoo(), protocol)
    dump("evil.pkl", Evil(), 4)
    print(f"torch {torch.__version__}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
