#!/usr/bin/env python3
"""Makes tests/fixtures/solov2_*.json: numbers of the reference implementation on formula-made weights and scenes.

Run by hand. Needs torch, numpy, opencv, fvcore, and checkouts of detectron2 and AdelaiDet (nothing is compiled):
  scripts/gen_fixtures_solov2.py --detectron2 FOLDER --adelaidet FOLDER [--weights OUT.pth]

Values are not stored, both sides compute them. For a tensor called `name`, flat index i (row by row):
  key   = FNV-1a 64 of the name's bytes
  z     = key + (i + 1) * 0x9e3779b97f4a7c15                      (all modulo 2^64)
  z    ^= z >> 30;  z *= 0xbf58476d1ce4e5b9;  z ^= z >> 27;  z *= 0x94d049bb133111eb;  z ^= z >> 31
  u     = (z >> 11) * 2^-53                                       (in double)
  value = low + (high - low) * u                                  (in double, then rounded to float32)
with, for parameters, by the name under AdelaiDet's spelling:
  4 axes                                   -1.4 sqrt(3 / fan_in) .. +1.4 sqrt(3 / fan_in), fan_in = product of shape[1:]
  2 axes                                   -0.02 sqrt(3 / fan_in) .. +0.02 sqrt(3 / fan_in)
  1 axis, "....weight" (norms)             0.5 .. 1.5
  1 axis, "...running_var"                 0.5 .. 1.5
  0 or 1 axis, all others                  -0.1 .. 0.1
Samples of an output called `name` are at flat indices z(FNV-1a of "sample:" + name, j) mod count, j = 0, 1, ...
"""
import argparse
import importlib
import json
import math
import os
import re
import sys
import types
import warnings

import numpy as np
import torch

GOLDEN, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1
HERE = os.path.dirname(os.path.abspath(__file__))


def fnv1a(text):
    key = 0xCBF29CE484222325
    for byte in text.encode():
        key = ((key ^ byte) * 0x100000001B3) & MASK
    return key


def bits(name, count):
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def fill(name, shape, low, high):
    u = (bits(name, math.prod(shape)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return torch.from_numpy((low + (high - low) * u).astype(np.float32).reshape(shape))


def parameter(name, shape):
    if len(shape) > 1:
        # Small where a softmax follows: one that is nearly hard would blow up the last digits.
        bound = (1.4 if len(shape) == 4 else 0.02) * math.sqrt(3 / math.prod(shape[1:]))
        return fill(name, shape, -bound, bound)
    if name.endswith("running_var") or name.endswith(".weight"):
        return fill(name, shape, 0.5, 1.5)
    return fill(name, shape, -0.1, 0.1)


def digest(name, tensor, samples):
    flat = tensor.detach().double().flatten().numpy()
    where = (bits("sample:" + name, samples) % np.uint64(flat.size)).astype(np.int64)
    return {"name": name, "shape": list(tensor.shape), "mean": float(f"{flat.mean():.9g}"),
            "abs_mean": float(f"{np.abs(flat).mean():.9g}"), "values": [float(f"{v:.7g}") for v in flat[where]]}


def load_reference(detectron2, adelaidet):
    """Imports AdelaiDet's SOLOv2 alone: its package files pull in compiled code that SOLOv2 does not use."""
    sys.path.insert(0, detectron2)
    for name, path in (("adet", "adet"), ("adet.modeling", "adet/modeling"),
                       ("adet.modeling.solov2", "adet/modeling/solov2"), ("adet.config", "adet/config")):
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(adelaidet, path)]
        sys.modules[name] = module
    solov2 = importlib.import_module("adet.modeling.solov2.solov2")
    defaults = importlib.import_module("adet.config.defaults")
    return solov2, defaults._C


def make_model(solov2, defaults, changes):
    cfg = defaults.clone()
    common = ["MODEL.META_ARCHITECTURE", "SOLOv2", "MODEL.MASK_ON", True, "MODEL.DEVICE", "cpu",
              "MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone",
              "MODEL.RESNETS.OUT_FEATURES", ["res2", "res3", "res4", "res5"],
              "MODEL.FPN.IN_FEATURES", ["res2", "res3", "res4", "res5"]]
    cfg.merge_from_list(common + changes)
    model = solov2.SOLOv2(cfg)
    model.load_state_dict({name: parameter(name, tuple(value.shape)) for name, value in model.state_dict().items()})
    return model.eval()


NETWORKS = {
    "solov2_r50": {
        "model": {"name": "solov2", "backbone": {"name": "resnet50", "stride_in_1x1": True}}, "classes": 80,
        "changes": ["MODEL.RESNETS.DEPTH", 50], "inputs": [[1, 3, 128, 192], [2, 3, 96, 160]], "samples": 64,
    },
    "solov2_r18": {
        "model": {"name": "solov2", "backbone": {"name": "resnet18"}, "channels": 64, "head_channels": 64,
                  "head_convs": 2, "mask_channels": 64, "embedding": 32, "grids": [20, 18, 12, 8, 6]},
        "classes": 3,
        "changes": ["MODEL.RESNETS.DEPTH", 18, "MODEL.RESNETS.RES2_OUT_CHANNELS", 64,
                    "MODEL.RESNETS.STRIDE_IN_1X1", False, "MODEL.FPN.OUT_CHANNELS", 64,
                    "MODEL.SOLOV2.INSTANCE_IN_CHANNELS", 64, "MODEL.SOLOV2.INSTANCE_CHANNELS", 64,
                    "MODEL.SOLOV2.NUM_INSTANCE_CONVS", 2, "MODEL.SOLOV2.MASK_IN_CHANNELS", 64,
                    "MODEL.SOLOV2.MASK_CHANNELS", 64, "MODEL.SOLOV2.NUM_MASKS", 32, "MODEL.SOLOV2.NUM_KERNELS", 32,
                    "MODEL.SOLOV2.NUM_CLASSES", 3, "MODEL.SOLOV2.NUM_GRIDS", [20, 18, 12, 8, 6]],
        "inputs": [[1, 3, 128, 192], [2, 3, 96, 160]], "samples": 64,
    },
}


def mask_cells(grids, batch):
    """Eight kernels: [image, level, row, column]."""
    cells = []
    for j, z in enumerate(bits("cells", 8)):
        side = grids[j % 5]
        cells.append([j % batch, j % 5, int(z % np.uint64(side)), int((z >> np.uint64(32)) % np.uint64(side))])
    return cells


@torch.no_grad()
def forward(model, shape, samples):
    image = fill("input", shape, -2, 2)
    maps = model.backbone.bottom_up(image)
    neck = model.backbone(image)
    cate, kernel = model.ins_head(model.split_feats([neck[f] for f in model.instance_in_features]))
    features = model.mask_head([neck[f] for f in model.mask_in_features])
    cells = mask_cells(model.num_grids, shape[0])
    logits = torch.stack([(kernel[l][b, :, y, x][:, None, None] * features[b]).sum(0) for b, l, y, x in cells])
    outputs = [(name, maps[name]) for name in ("res2", "res3", "res4", "res5")]
    outputs += [(name, neck[name]) for name in ("p2", "p3", "p4", "p5", "p6")]
    outputs += [(f"cate{i}", value) for i, value in enumerate(cate)]
    outputs += [(f"kernel{i}", value) for i, value in enumerate(kernel)]
    outputs += [("mask_features", features), ("mask_logits", logits)]
    return {"input": shape, "cells": cells, "outputs": [digest(name, value, samples) for name, value in outputs]}


def box(x0, y0, x1, y1, label):
    return {"shape": "box", "at": [x0, y0, x1, y1], "label": label}


def ellipse(cx, cy, rx, ry, label):
    return {"shape": "ellipse", "at": [cx, cy, rx, ry], "label": label}


# A box covers x0 <= x < x1, y0 <= y < y1. An ellipse covers dx^2 ry^2 + dy^2 rx^2 <= 4 rx^2 ry^2 with dx = 2x+1-2cx,
# dy = 2y+1-2cy, all integers. Both are cut at the valid size (height, width); the canvas is padded right and below.
SCENES = [
    {"name": "small", "canvas": [128, 192], "valid": [128, 192],
     "objects": [box(10, 20, 41, 63, 0), ellipse(120, 70, 30, 21, 2), box(100, 5, 107, 14, 1)]},
    {"name": "padded", "canvas": [128, 192], "valid": [120, 164],
     "objects": [ellipse(60, 60, 50, 44, 1), box(130, 90, 164, 120, 0)]},
    {"name": "shared cell", "canvas": [256, 320], "valid": [256, 320],
     "objects": [box(81, 60, 140, 121, 0), ellipse(110, 91, 27, 29, 2), box(95, 70, 126, 112, 1)]},
    {"name": "large", "canvas": [640, 800], "valid": [640, 800],
     "objects": [box(13, 22, 787, 611, 0), ellipse(401, 303, 250, 171, 1), ellipse(603, 450, 77, 95, 2),
                 box(33, 501, 131, 598, 0), box(701, 41, 733, 67, 2)]},
    {"name": "edges", "canvas": [256, 256], "valid": [256, 256],
     "objects": [ellipse(0, 0, 70, 55, 0), ellipse(256, 256, 41, 83, 1), box(0, 251, 37, 256, 2), box(255, 0, 256, 1, 0)]},
    {"name": "thin", "canvas": [256, 320], "valid": [252, 308],
     "objects": [box(7, 100, 301, 103, 0), box(150, 3, 152, 250, 1), ellipse(222, 60, 61, 5, 2)]},
]


def draw(item, valid):
    ys, xs = np.mgrid[0:valid[0], 0:valid[1]]
    a, b, c, d = item["at"]
    if item["shape"] == "box":
        return (xs >= a) & (xs < c) & (ys >= b) & (ys < d)
    dx, dy = 2 * xs + 1 - 2 * a, 2 * ys + 1 - 2 * b
    return dx**2 * d**2 + dy**2 * c**2 <= 4 * c**2 * d**2


def instances_of(scene):
    from detectron2.structures import BitMasks, Boxes, Instances
    masks = BitMasks(torch.from_numpy(np.stack([draw(item, scene["valid"]) for item in scene["objects"]])))
    result = Instances(tuple(scene["valid"]))
    result.gt_masks, result.gt_boxes = masks, masks.get_bounding_boxes()
    result.gt_classes = torch.tensor([item["label"] for item in scene["objects"]])
    return result


def targets_of(model, scene):
    """Cells as [level, row, column, instance], labels as [level, row, column, class], target masks as sums."""
    size = [side // 4 for side in scene["canvas"]]
    masks, labels, _, order = model.get_ground_truth([instances_of(scene)], size)
    cells, shown, sums = [], [], {}
    for level, grid in enumerate(model.num_grids):
        # The reference does not say whose mask an entry is; each instance alone tells.
        alone = []
        for i in range(len(scene["objects"])):
            one = dict(scene, objects=[scene["objects"][i]])
            single = model.get_ground_truth([instances_of(one)], size)
            alone += [(cell, i, single[0][0][level][k]) for k, cell in enumerate(single[3][0][level])]
        assert [cell for cell, _, _ in alone] == list(order[0][level])
        for k, (cell, i, mask) in enumerate(alone):
            assert torch.equal(mask, masks[0][level][k])
            cells.append([level, cell // grid, cell % grid, i])
            y, x = torch.nonzero(mask, as_tuple=True)
            sums[i] = [int(mask.sum()), int(x.sum()), int(y.sum())]
        for y, x in torch.nonzero(labels[0][level] != model.num_classes).tolist():
            shown.append([level, y, x, int(labels[0][level][y, x])])
    return {"cells": cells, "labels": shown, "mask_sums": [sums.get(i) for i in range(len(scene["objects"]))]}


def losses_of(model, scenes, tag):
    size = [side // 4 for side in scenes[0]["canvas"]]
    batch = len(scenes)
    cate = [fill(f"{tag}cate{l}", (batch, model.num_classes, s, s), -4, 2) for l, s in enumerate(model.num_grids)]
    kernel = [fill(f"{tag}kernel{l}", (batch, model.num_kernels, s, s), -1, 1) for l, s in enumerate(model.num_grids)]
    features = fill(f"{tag}features", (batch, model.num_kernels, *size), 0, 1)
    targets = model.get_ground_truth([instances_of(scene) for scene in scenes], size)
    losses = model.loss(cate, kernel, features, targets)
    return {"tag": tag, "scenes": [scene["name"] for scene in scenes],
            "mask": float(losses["loss_ins"]), "class": float(losses["loss_cate"])}


def nms_case(utils):
    objects = [box(4, 4, 30, 30, 0), box(6, 5, 31, 30, 0), ellipse(20, 20, 14, 12, 0), ellipse(40, 20, 14, 15, 1),
               box(30, 8, 54, 33, 1), box(5, 6, 29, 31, 2), ellipse(40, 21, 13, 15, 1), box(0, 0, 64, 48, 0),
               box(4, 4, 30, 29, 0), ellipse(21, 20, 14, 12, 2)]
    masks = torch.stack([torch.from_numpy(draw(item, [48, 64])) for item in objects])
    scores = torch.tensor([0.95 - 0.07 * i for i in range(len(objects))])
    labels = torch.tensor([item["label"] for item in objects])
    out = {"size": [48, 64], "objects": objects, "scores": [float(f"{s:.7g}") for s in scores.tolist()], "sigma": 2.0}
    sums = masks.sum((1, 2)).float()
    out["decayed"] = [float(f"{s:.7g}") for s in utils.matrix_nms(labels, masks, sums, scores, sigma=2.0).tolist()]
    return out


def write(name, value):
    path = os.path.join(HERE, "..", "tests", "fixtures", name + ".json")
    text = json.dumps(value, separators=(",", ":"))
    # A line per record, for readable differences.
    text = re.sub(r'\{"(input|tag|image|name":"[^"]*","shape|name":"[^"]*","canvas)"|"(losses|nms|points)":', r"\n\g<0>", text)
    with open(path, "w") as out:
        out.write(text + "\n")
    print(name, len(text), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detectron2", required=True)
    parser.add_argument("--adelaidet", required=True)
    parser.add_argument("--weights", help="also save the ResNet-50 reference's state dict here")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    solov2, defaults = load_reference(args.detectron2, args.adelaidet)
    made_by = {"generator": "scripts/gen_fixtures_solov2.py", "reference": "AdelaiDet 36721221, detectron2 02b5c4e2",
               "torch": torch.__version__, "numpy": np.__version__}
    models = {}
    for name, net in NETWORKS.items():
        model = models[name] = make_model(solov2, defaults, net["changes"])
        write(name, {"made_by": made_by, "model": net["model"], "classes": net["classes"],
                     "parameters": sum(p.numel() for p in model.state_dict().values()),
                     "names": len(model.state_dict()),
                     "runs": [forward(model, shape, net["samples"]) for shape in net["inputs"]]})
    if args.weights:
        torch.save({"model": models["solov2_r50"].state_dict()}, args.weights)

    small = models["solov2_r18"]  # its grids are not the published ones; these are
    small.num_grids = [40, 36, 24, 16, 12]
    utils = sys.modules["adet.modeling.solov2.utils"]
    scenes = [dict(scene, **targets_of(small, scene)) for scene in SCENES]
    pairs = [["small"], ["padded"], ["shared cell"], ["large"], ["small", "padded"], ["thin", "shared cell"]]
    by_name = {scene["name"]: scene for scene in SCENES}
    losses = [losses_of(small, [by_name[n] for n in names], f"loss{i}.") for i, names in enumerate(pairs)]
    heat = fill("points", (1, 2, 5, 5), 0, 1)
    points = {"shape": [1, 2, 5, 5], "kept": torch.nonzero(utils.point_nms(heat).flatten()).flatten().tolist()}
    write("solov2_targets", {"made_by": made_by, "classes": small.num_classes, "embedding": small.num_kernels,
                             "scenes": scenes, "losses": losses, "nms": nms_case(utils), "points": points})


if __name__ == "__main__":
    main()
