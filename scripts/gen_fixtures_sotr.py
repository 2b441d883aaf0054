#!/usr/bin/env python3
"""Makes tests/fixtures/sotr_*.json: numbers of the reference SOTR on formula-made weights.

Run by hand. Needs torch, torchvision, numpy, opencv, fvcore, and checkouts of detectron2 and of the authors' SOTR (nothing is compiled):
  scripts/gen_fixtures_sotr.py --detectron2 FOLDER --sotr FOLDER
Formulas and records are those of gen_fixtures_solov2.py, whose grid, targets and losses SOTR shares.
"""
import argparse
import functools
import importlib
import os
import sys
import types
import warnings

import numpy as np
import torch

import gen_fixtures_solov2 as base

NETWORKS = {
    "sotr_r50": {"model": {"name": "sotr", "backbone": {"name": "resnet50", "stride_in_1x1": True}}, "classes": 80,
                 "transformer": {}, "changes": ["MODEL.RESNETS.DEPTH", 50], "inputs": [[1, 3, 96, 128]], "samples": 32},
    "sotr_r18": {
        "model": {"name": "sotr", "backbone": {"name": "resnet18"}, "channels": 64, "depth": 3, "heads": 4, "head_width": 8,
                  "mask_channels": 64, "embedding": 32, "grids": [20, 18, 12, 8, 6]},
        "classes": 3, "transformer": {"dim": 64, "depth": 3, "heads": 4, "dim_heads": 8},
        "changes": ["MODEL.RESNETS.DEPTH", 18, "MODEL.RESNETS.RES2_OUT_CHANNELS", 64, "MODEL.RESNETS.STRIDE_IN_1X1", False,
                    "MODEL.FPN.OUT_CHANNELS", 64, "MODEL.SOTR.INSTANCE_IN_CHANNELS", 64, "MODEL.SOTR.MASK_IN_CHANNELS", 64,
                    "MODEL.SOTR.MASK_CHANNELS", 64, "MODEL.SOTR.NUM_MASKS", 32, "MODEL.SOTR.NUM_KERNELS", 32,
                    "MODEL.SOTR.NUM_CLASSES", 3, "MODEL.SOTR.NUM_GRIDS", [20, 18, 12, 8, 6]],
        "inputs": [[1, 3, 128, 192], [2, 3, 96, 160]], "samples": 64,
    },
}
GRADIENTS = ["cate_head.transformer.layers.blocks.0.1.fn.fn.to_kv.weight", "cate_head.kernel_pred.weight",
             "backbone.fpn_lateral5.weight"]


def load_reference(detectron2, sotr):
    sys.path.insert(0, detectron2)
    for name, path in (("adet", "adet"), ("adet.modeling", "adet/modeling"), ("adet.modeling.sotr", "adet/modeling/sotr"),
                       ("adet.config", "adet/config")):
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(sotr, path)]
        sys.modules[name] = module
    return importlib.import_module("adet.modeling.sotr.sotr"), importlib.import_module("adet.config.defaults")._C


def make_model(sotr, defaults, net):
    cfg = defaults.clone()
    cfg.merge_from_list(["MODEL.META_ARCHITECTURE", "SOTR", "MODEL.MASK_ON", True, "MODEL.DEVICE", "cpu",
                         "MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone",
                         "MODEL.RESNETS.OUT_FEATURES", ["res2", "res3", "res4", "res5"],
                         "MODEL.FPN.IN_FEATURES", ["res2", "res3", "res4", "res5"]] + net["changes"])
    plain = sotr.TwinTransformer
    if net["transformer"]:
        # The reference has no setting for its size.
        sotr.TwinTransformer = lambda dim: functools.partial(plain)(**net["transformer"])
    model = sotr.SOTR(cfg)
    sotr.TwinTransformer = plain
    model.load_state_dict({name: base.parameter(name, tuple(value.shape)) for name, value in model.state_dict().items()})
    return model.eval()


def outputs_of(model, shape):
    image = base.fill("input", shape, -2, 2)
    maps = model.backbone.bottom_up(image)
    neck = model.backbone(image)
    cate, kernel, p5 = model.cate_head(model.split_feats([neck[f] for f in model.instance_in_features]))
    # As MaskHead.forward, but for its sum in place, which today's autograd refuses.
    levels = [neck["p2"], neck["p3"], neck["p4"], p5[0]]
    features = model.mask_head.conv_pred(sum(model.mask_head.convs_all_levels[i](x) for i, x in enumerate(levels)))
    cells = base.mask_cells(model.num_grids, shape[0])
    logits = torch.stack([(kernel[l][b, :, y, x][:, None, None] * features[b]).sum(0) for b, l, y, x in cells])
    named = [(name, maps[name]) for name in ("res2", "res3", "res4", "res5")]
    named += [(name, neck[name]) for name in ("p2", "p3", "p4", "p5", "p6")]
    named += [(f"cate{i}", value) for i, value in enumerate(cate)] + [(f"kernel{i}", value) for i, value in enumerate(kernel)]
    return cells, named + [("mask_features", features), ("mask_logits", logits)]


def run_of(model, shape, samples, gradients):
    model.zero_grad()
    cells, named = outputs_of(model, shape)
    run = {"input": shape, "cells": cells, "outputs": [base.digest(name, value, samples) for name, value in named]}
    if gradients:
        # Of the sum of squares of all mask logits and class maps: every part of the network takes part.
        sum(value.square().sum() for name, value in named if name == "mask_logits" or name.startswith("cate")).backward()
        parameters = dict(model.named_parameters())
        run["gradients"] = [base.digest(name, parameters[name].grad, samples) for name in GRADIENTS]
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detectron2", required=True)
    parser.add_argument("--sotr", required=True)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    sotr, defaults = load_reference(args.detectron2, args.sotr)
    made_by = {"generator": "scripts/gen_fixtures_sotr.py", "reference": "SOTR 341ef54, detectron2 02b5c4e2",
               "torch": torch.__version__, "numpy": np.__version__}
    for name, net in NETWORKS.items():
        model = make_model(sotr, defaults, net)
        small = bool(net["transformer"])
        base.write(name, {"made_by": made_by, "model": net["model"], "classes": net["classes"],
                          "parameters": sum(p.numel() for p in model.state_dict().values()),
                          "names": len(model.state_dict()),
                          "runs": [run_of(model, shape, net["samples"], small) for shape in net["inputs"]]})


if __name__ == "__main__":
    main()
