#!/usr/bin/env python3
"""Makes tests/fixtures/weights/names.json: names and shapes of small Swin Transformers and Mask2Formers of other programs.

Run by hand. Needs torch, torchvision, timm, transformers, and a checkout of Mask2Former (nothing is compiled):
  scripts/gen_fixtures_names.py --mask2former FOLDER
Every Swin Transformer has the same size, so that all lists are the same tensors under other names.
"""
import argparse
import importlib.util
import json
import os
import re
import sys
import tempfile
import types

import safetensors.torch
import timm
import torch
import torchvision
import transformers

HERE = os.path.dirname(os.path.abspath(__file__))
EMBED, DEPTHS, HEADS, WINDOW, CLASSES = 16, [1, 2, 1, 1], [1, 1, 2, 2], 4, 3


def shapes(tensors):
    return {name: list(value.shape) for name, value in tensors.items()}


def mask2former_swin(folder):
    """The authors' backbone, whose file wants little of the packages that it imports."""
    def stub(name, **content):
        module = types.ModuleType(name)
        module.__dict__.update(content)
        sys.modules[name] = module
    registry = types.SimpleNamespace(register=lambda: lambda x: x)
    stub("detectron2")
    stub("detectron2.modeling", BACKBONE_REGISTRY=registry, Backbone=object, ShapeSpec=object)
    layers = importlib.import_module("timm.layers")
    stub("timm.models.layers", DropPath=layers.DropPath, to_2tuple=layers.to_2tuple, trunc_normal_=layers.trunc_normal_)
    spec = importlib.util.spec_from_file_location("swin", os.path.join(folder, "mask2former/modeling/backbone/swin.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SwinTransformer(embed_dim=EMBED, depths=DEPTHS, num_heads=HEADS, window_size=WINDOW)


def saved(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return shapes(safetensors.torch.load_file(os.path.join(folder, "model.safetensors")))


def lists(folder):
    size = {"embed_dim": EMBED, "depths": DEPTHS, "num_heads": HEADS, "window_size": WINDOW}
    swin = transformers.SwinConfig(out_features=["stage1", "stage2", "stage3", "stage4"], num_labels=CLASSES, **size)
    tv = torchvision.models.swin_transformer.SwinTransformer(
        patch_size=[4, 4], embed_dim=EMBED, depths=DEPTHS, num_heads=HEADS, window_size=[WINDOW] * 2, num_classes=CLASSES)
    # As large as to need no smaller window at the end.
    tm = timm.models.swin_transformer.SwinTransformer(img_size=128, num_classes=CLASSES, **size)
    former = transformers.Mask2FormerForUniversalSegmentation(transformers.Mask2FormerConfig(
        backbone_config=swin, encoder_layers=1, decoder_layers=3, num_queries=5, hidden_dim=32, feature_size=32,
        mask_feature_size=32, encoder_feedforward_dim=40, dim_feedforward=48, num_labels=CLASSES))
    backbone = transformers.SwinBackbone(swin)
    yield "microsoft", "Mask2Former's backbone", shapes(mask2former_swin(folder).state_dict())
    yield "torchvision", f"torchvision {torchvision.__version__}", shapes(tv.state_dict())
    yield "timm", f"timm {timm.__version__}", shapes(tm.state_dict())
    yield "hf", f"transformers {transformers.__version__}, SwinBackbone, file", saved(backbone)
    yield "hf", "the same, in memory", shapes(backbone.state_dict())
    yield "hf", "the same, SwinForImageClassification, file", saved(transformers.SwinForImageClassification(swin))
    yield "hf mask2former", "the same, Mask2FormerForUniversalSegmentation, file", saved(former)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mask2former", required=True)
    args = parser.parse_args()
    made_by = {"generator": "scripts/gen_fixtures_names.py", "torch": torch.__version__, "mask2former": "9b0651c"}
    files = [{"naming": naming, "source": source, "tensors": tensors} for naming, source, tensors in lists(args.mask2former)]
    text = re.sub(r'\{"naming":', r"\n\g<0>", json.dumps({"made_by": made_by, "files": files}, separators=(",", ":")))
    with open(os.path.join(HERE, "..", "tests", "fixtures", "weights", "names.json"), "w") as out:
        out.write(text + "\n")
    print("names", len(text), "bytes")


if __name__ == "__main__":
    main()
