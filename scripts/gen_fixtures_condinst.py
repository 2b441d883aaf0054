#!/usr/bin/env python3
"""Makes tests/fixtures/condinst_*.json: numbers of AdelaiDet's CondInst on formula-made weights and scenes.

Run by hand. Needs torch, torchvision, numpy, opencv, fvcore, and checkouts of detectron2 and AdelaiDet (nothing is
compiled): scripts/gen_fixtures_condinst.py --detectron2 FOLDER --adelaidet FOLDER [--weights OUT.pth]
The formulas for weights, inputs and samples, and the scenes, are those of gen_fixtures_solov2.py.
"""
import argparse
import importlib
import os
import sys
import types
import warnings

import numpy as np
import torch
import torchvision

import gen_fixtures_solov2 as common
from gen_fixtures_solov2 import bits, digest, fill, instances_of, parameter


def package(name, path=None, **members):
    module = types.ModuleType(name)
    module.__path__ = [path] if path else []
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules[name] = module
    return module


def load_reference(detectron2, adelaidet):
    """Imports AdelaiDet's CondInst alone: its package files pull in compiled code that CondInst does not use."""
    sys.path.insert(0, detectron2)
    for name in ("adet", "adet.modeling", "adet.modeling.condinst", "adet.modeling.fcos", "adet.modeling.backbone",
                 "adet.config", "adet.utils", "adet.layers"):
        package(name, os.path.join(adelaidet, *name.split(".")))
    package("skimage", color=None)  # of BoxInst
    package("adet.layers.deform_conv", DFConv2d=None)
    layers = sys.modules["adet.layers"]
    layers.DFConv2d = layers.NaiveGroupNorm = None
    layers.ml_nms = importlib.import_module("adet.layers.ml_nms").ml_nms
    layers.IOULoss = importlib.import_module("adet.layers.iou_loss").IOULoss
    layers.conv_with_kaiming_uniform = importlib.import_module("adet.layers.conv_with_kaiming_uniform").conv_with_kaiming_uniform
    for name in ("resnet_lpf", "resnet_interval", "mobilenet"):
        package(f"adet.modeling.backbone.{name}", build_resnet_lpf_backbone=None, build_resnet_interval_backbone=None,
                build_mnv2_backbone=None)
    for name in ("backbone.fpn", "fcos.fcos"):
        importlib.import_module(f"adet.modeling.{name}")
    condinst = importlib.import_module("adet.modeling.condinst.condinst")
    return condinst, importlib.import_module("adet.config.defaults")._C


def is_kept(name):
    return not (name.startswith("mask_head.") or name.endswith("num_batches_tracked") or name.startswith("pixel_"))


def make_model(condinst, defaults, changes):
    cfg = defaults.clone()
    cfg.merge_from_list(["MODEL.META_ARCHITECTURE", "CondInst", "MODEL.MASK_ON", True, "MODEL.DEVICE", "cpu",
                         "MODEL.BACKBONE.NAME", "build_fcos_resnet_fpn_backbone",
                         "MODEL.RESNETS.OUT_FEATURES", ["res3", "res4", "res5"],
                         "MODEL.FPN.IN_FEATURES", ["res3", "res4", "res5"], "MODEL.PROPOSAL_GENERATOR.NAME", "FCOS",
                         "MODEL.FCOS.THRESH_WITH_CTR", True, "MODEL.FCOS.USE_SCALE", True,
                         "MODEL.CONDINST.MAX_PROPOSALS", 500] + changes)
    model = condinst.CondInst(cfg)
    state = model.state_dict()
    for name, value in state.items():
        if is_kept(name):
            state[name] = parameter(name, tuple(value.shape))
    model.load_state_dict(state)
    return model.eval()


NETWORKS = {
    "condinst_r50": {
        "model": {"name": "condinst", "backbone": {"name": "resnet50", "stride_in_1x1": True}}, "classes": 80,
        "changes": ["MODEL.RESNETS.DEPTH", 50], "inputs": [[1, 3, 128, 192]], "samples": 48,
    },
    "condinst_r18": {
        "model": {"name": "condinst", "backbone": {"name": "resnet18"}, "channels": 64, "head_convs": 2,
                  "mask_channels": 32, "mask_convs": 2, "semantic_loss": True, "mask_out_stride": 2},
        "classes": 3,
        "changes": ["MODEL.RESNETS.DEPTH", 18, "MODEL.RESNETS.RES2_OUT_CHANNELS", 64,
                    "MODEL.RESNETS.STRIDE_IN_1X1", False, "MODEL.FPN.OUT_CHANNELS", 64,
                    "MODEL.FCOS.NUM_CLS_CONVS", 2, "MODEL.FCOS.NUM_BOX_CONVS", 2, "MODEL.FCOS.NUM_CLASSES", 3,
                    "MODEL.CONDINST.MASK_BRANCH.CHANNELS", 32, "MODEL.CONDINST.MASK_BRANCH.NUM_CONVS", 2,
                    "MODEL.CONDINST.MASK_BRANCH.SEMANTIC_LOSS_ON", True, "MODEL.CONDINST.MASK_OUT_STRIDE", 2],
        "inputs": [[1, 3, 128, 192], [2, 3, 96, 160]], "samples": 32,
    },
}


def queries_at(cells, locations, controller):
    """Instances of detectron2 at cells [image, level, row, column]."""
    from detectron2.structures import Instances
    result = Instances((0, 0))
    result.im_inds = torch.tensor([b for b, _, _, _ in cells])
    result.fpn_levels = torch.tensor([l for _, l, _, _ in cells])
    result.locations = torch.stack([locations[l][y * controller[l].shape[3] + x] for _, l, y, x in cells])
    result.mask_head_params = torch.stack([controller[l][b, :, y, x] for b, l, y, x in cells])
    return result


@torch.no_grad()
def forward(model, shape, samples):
    image = fill("input", shape, -2, 2)
    maps = model.backbone.bottom_up(image)
    neck = model.backbone(image)
    fcos = model.proposal_generator
    names = fcos.in_features
    classes, boxes, centerness, controller, _ = fcos.fcos_head([neck[f] for f in names], model.controller)
    features, _ = model.mask_branch(neck, None)
    cells = []
    for j, z in enumerate(bits("cells", 6)):
        level = j % 5
        rows, columns = controller[level].shape[2:]
        cells.append([j % shape[0], level, int(z % np.uint64(rows)), int((z >> np.uint64(32)) % np.uint64(columns))])
    queries = queries_at(cells, fcos.compute_locations([neck[f] for f in names]), controller)
    logits = model.mask_head.mask_heads_forward_with_coords(features, model.mask_branch.out_stride, queries)[:, 0]
    outputs = [(name, maps[name]) for name in ("res3", "res4", "res5")] + [(name, neck[name]) for name in names]
    for name, values in (("class", classes), ("box", boxes), ("centerness", centerness), ("controller", controller)):
        outputs += [(f"{name}{i}", value) for i, value in enumerate(values)]
    outputs += [("mask_features", features), ("mask_logits", logits)]
    return {"input": shape, "cells": cells, "outputs": [digest(name, value, samples) for name, value in outputs]}


def with_bitmasks(model, scenes):
    instances = [instances_of(scene) for scene in scenes]
    model.add_bitmasks(instances, *scenes[0]["canvas"])
    return instances


GRADIENTS = ["controller.weight", "mask_branch.tower.2.weight", "backbone.fpn_lateral3.weight",
             "proposal_generator.fcos_head.scales.0.scale"]


def training(model, scenes, samples):
    """One training step's losses and gradients, from the image on; the mask branch uses batch statistics."""
    model.train()
    shape = [len(scenes), 3, *scenes[0]["canvas"]]
    features = model.backbone(fill("input", shape, -2, 2))
    instances = with_bitmasks(model, scenes)
    mask_features, losses = model.mask_branch(features, instances)
    images = types.SimpleNamespace(image_sizes=[tuple(shape[2:])] * shape[0])
    proposals, more = model.proposal_generator(images, features, instances, model.controller)
    losses = {**losses, **more, **model._forward_mask_heads_train(proposals, mask_features, instances)}
    model.zero_grad()
    sum(losses.values()).backward()
    values = dict(model.named_parameters())
    model.eval()
    return {"scenes": [scene["name"] for scene in scenes], "positives": len(proposals["instances"]),
            "class": float(losses["loss_fcos_cls"]), "box": float(losses["loss_fcos_loc"]),
            "centerness": float(losses["loss_fcos_ctr"]), "mask": float(losses["loss_mask"]),
            "semantic": float(losses["loss_sem"]),
            "gradients": [digest(name, values[name].grad, samples) for name in GRADIENTS]}


def level_sizes(canvas):
    sizes, size = [], [side // 8 for side in canvas]
    for _ in range(5):
        sizes.append(size)
        size = [(side + 1) // 2 for side in size]
    return sizes


def locations_of(canvas):
    from adet.utils.comm import compute_locations
    return [compute_locations(h, w, 8 << l, "cpu") for l, (h, w) in enumerate(level_sizes(canvas))]


def targets_of(model, scene):
    """Positive locations as [level, row, column, instance, left, top, right, bottom], the last four in pixels."""
    outputs = model.proposal_generator.fcos_outputs
    found = outputs._get_ground_truth(locations_of(scene["canvas"]), with_bitmasks(model, [scene]))
    rows = []
    for level, (labels, inds, sides) in enumerate(zip(found["labels"], found["target_inds"], found["reg_targets"])):
        width = level_sizes(scene["canvas"])[level][1]
        for i in torch.nonzero(labels != outputs.num_classes).flatten().tolist():
            pixels = (sides[i].double() * (8 << level)).tolist()
            rows.append([level, i // width, i % width, int(inds[i])] + [float(f"{v:.7g}") for v in pixels])
    return rows


def dense_of(tag, canvas, batch, classes):
    """Head outputs and mask features by formula: the same ranges as in the test."""
    sizes = level_sizes(canvas)
    ranges = {"class": (classes, -6, 1), "box": (4, 0, 4), "centerness": (1, -2, 2), "controller": (169, -0.5, 0.5)}
    maps = {name: [fill(f"{tag}{name}{l}", (batch, width, *size), low, high) for l, size in enumerate(sizes)]
            for name, (width, low, high) in ranges.items()}
    return maps, fill(f"{tag}features", (batch, 8, *sizes[0]), -1, 1)


def losses_of(model, scenes, tag):
    canvas = scenes[0]["canvas"]
    maps, features = dense_of(tag, canvas, len(scenes), model.proposal_generator.fcos_outputs.num_classes)
    model.train()
    instances = with_bitmasks(model, scenes)
    proposals, losses = model.proposal_generator.fcos_outputs.losses(
        maps["class"], maps["box"], maps["centerness"], locations_of(canvas), instances, maps["controller"])
    masks = model._forward_mask_heads_train(proposals, features, instances)
    model.eval()
    return {"tag": tag, "scenes": [scene["name"] for scene in scenes], "positives": len(proposals["instances"]),
            "class": float(losses["loss_fcos_cls"]), "box": float(losses["loss_fcos_loc"]),
            "centerness": float(losses["loss_fcos_ctr"]), "mask": float(masks["loss_mask"])}


@torch.no_grad()
def detections_of(model, tag, canvas, valid, original, samples):
    maps, features = dense_of(tag, canvas, 1, 3)
    found = model.proposal_generator.fcos_outputs.predict_proposals(
        maps["class"], maps["box"], maps["centerness"], locations_of(canvas), [tuple(valid)], maps["controller"])
    masks = model._forward_mask_heads_test(found, features)
    kept = model.postprocess(masks, *original, *canvas)  # drops boxes that lie outside
    soft = digest("soft", kept.pred_global_masks[:, 0], samples)
    return {"tag": tag, "canvas": canvas, "valid": valid, "original": original,
            "scores": [float(f"{s:.7g}") for s in kept.scores.tolist()], "labels": kept.pred_classes.tolist(),
            "soft": soft, "areas": [int(a) for a in kept.pred_masks.sum((1, 2)).tolist()]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detectron2", required=True)
    parser.add_argument("--adelaidet", required=True)
    parser.add_argument("--weights", help="also save the ResNet-50 reference's state dict here")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    condinst, defaults = load_reference(args.detectron2, args.adelaidet)
    made_by = {"generator": "scripts/gen_fixtures_condinst.py", "reference": "AdelaiDet 36721221, detectron2 02b5c4e2",
               "torch": torch.__version__, "torchvision": torchvision.__version__, "numpy": np.__version__}
    scenes = {scene["name"]: scene for scene in common.SCENES}
    for name, net in NETWORKS.items():
        model = make_model(condinst, defaults, net["changes"])
        kept = {key: value for key, value in model.state_dict().items() if is_kept(key)}
        value = {"made_by": made_by, "model": net["model"], "classes": net["classes"],
                 "parameters": sum(p.numel() for p in kept.values()), "names": len(kept),
                 "runs": [forward(model, shape, net["samples"]) for shape in net["inputs"]]}
        if name == "condinst_r18":
            value["training"] = training(model, [scenes["small"], scenes["padded"]], net["samples"])
            small = model
        elif args.weights:
            torch.save({"model": model.state_dict()}, args.weights)
        common.write(name, value)

    pairs = [["small"], ["padded"], ["shared cell"], ["large"], ["small", "padded"], ["edges"], ["thin", "shared cell"]]
    common.write("condinst_targets", {
        "made_by": made_by, "classes": 3, "scenes": [dict(s, positives=targets_of(small, s)) for s in common.SCENES],
        "losses": [losses_of(small, [scenes[n] for n in names], f"loss{i}.") for i, names in enumerate(pairs)],
        "detections": detections_of(small, "detect.", [128, 192], [120, 164], [90, 123], 64)})


if __name__ == "__main__":
    main()
