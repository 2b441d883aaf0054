#!/usr/bin/env python3
"""Makes tests/fixtures/mask2former_*.json: numbers of Mask2Former as in Hugging Face transformers, on formula-made weights,
backbone maps, scenes and points.

Run by hand. Needs torch, transformers, scipy and numpy, but no weights: scripts/gen_fixtures_mask2former.py
The formulas for inputs and samples are those of gen_fixtures_solov2.py; the backbone's maps are inputs. Parameters are
filled by the name under the reference's (facebookresearch) spelling:
  4 axes                                              -1.4 sqrt(3 / fan_in) .. +1.4 sqrt(3 / fan_in)
  2 axes, "...query_feat.weight", "query_embed.weight", "level_embed"   -1.7 .. 1.7
  2 axes, all others                                  -sqrt(3 / fan_in) .. +sqrt(3 / fan_in)
  1 axis, "...sampling_offsets.bias"                  -4 .. 4
  1 axis, "....weight" (norms)                        0.5 .. 1.5
  1 axis, all others                                  -0.1 .. 0.1
"""
import json
import math
import os
import re

import numpy as np
import scipy
import torch
import transformers
from torch import nn
from transformers import Mask2FormerConfig
from transformers.models.mask2former import modeling_mask2former as hf

from gen_fixtures_solov2 import SCENES, box, digest, draw, ellipse, fill

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = "sem_seg_head."

# (ours, theirs); {} stands for any text.
NAMES = [
    ("pixel_decoder.input_proj.{}", "pixel.input_projections.{}"),
    ("pixel_decoder.transformer.level_embed", "pixel.level_embed"),
    ("pixel_decoder.transformer.encoder.layers.{}.self_attn.{}", "pixel.encoder.layers.{}.self_attn.{}"),
    ("pixel_decoder.transformer.encoder.layers.{}.norm1.{}", "pixel.encoder.layers.{}.self_attn_layer_norm.{}"),
    ("pixel_decoder.transformer.encoder.layers.{}.linear1.{}", "pixel.encoder.layers.{}.fc1.{}"),
    ("pixel_decoder.transformer.encoder.layers.{}.linear2.{}", "pixel.encoder.layers.{}.fc2.{}"),
    ("pixel_decoder.transformer.encoder.layers.{}.norm2.{}", "pixel.encoder.layers.{}.final_layer_norm.{}"),
    ("pixel_decoder.adapter_1.norm.{}", "pixel.adapter_1.1.{}"), ("pixel_decoder.adapter_1.{}", "pixel.adapter_1.0.{}"),
    ("pixel_decoder.layer_1.norm.{}", "pixel.layer_1.1.{}"), ("pixel_decoder.layer_1.{}", "pixel.layer_1.0.{}"),
    ("pixel_decoder.mask_features.{}", "pixel.mask_projection.{}"),
    ("predictor.query_feat.{}", "transformer.queries_features.{}"),
    ("predictor.query_embed.{}", "transformer.queries_embedder.{}"),
    ("predictor.level_embed.{}", "transformer.level_embed.{}"),
    ("predictor.transformer_cross_attention_layers.{}.multihead_attn.{}", "transformer.decoder.layers.{}.cross_attn.{}"),
    ("predictor.transformer_cross_attention_layers.{}.norm.{}", "transformer.decoder.layers.{}.cross_attn_layer_norm.{}"),
    ("predictor.transformer_self_attention_layers.{}.self_attn.{}", "transformer.decoder.layers.{}.self_attn.{}"),
    ("predictor.transformer_self_attention_layers.{}.norm.{}", "transformer.decoder.layers.{}.self_attn_layer_norm.{}"),
    ("predictor.transformer_ffn_layers.{}.linear1.{}", "transformer.decoder.layers.{}.fc1.{}"),
    ("predictor.transformer_ffn_layers.{}.linear2.{}", "transformer.decoder.layers.{}.fc2.{}"),
    ("predictor.transformer_ffn_layers.{}.norm.{}", "transformer.decoder.layers.{}.final_layer_norm.{}"),
    ("predictor.decoder_norm.{}", "transformer.decoder.layernorm.{}"),
    ("predictor.class_embed.{}", "class_predictor.{}"),
    ("predictor.mask_embed.layers.{}.{}", "transformer.decoder.mask_predictor.mask_embedder.{}.0.{}"),
]


def our_name(theirs):
    """Our name, and which third of our tensor it is (None: all of it)."""
    part = re.fullmatch(r"(transformer\.decoder\.layers\.\d+\.self_attn)\.([qkv])_proj\.(weight|bias)", theirs)
    if part:
        name, _ = our_name(f"{part[1]}.in_proj_{part[3]}")
        return name, "qkv".index(part[2])
    for ours, pattern in NAMES:
        found = re.fullmatch(re.escape(pattern).replace(r"\{\}", "(.+?)"), theirs)
        if found:
            return HEAD + ours.format(*found.groups()), None
    raise KeyError(theirs)


def parameter(name, shape):
    if len(shape) > 1:
        if name.endswith(("query_feat.weight", "query_embed.weight", "level_embed.weight", "level_embed")):
            return fill(name, shape, -1.7, 1.7)
        bound = (1.4 if len(shape) == 4 else 1) * math.sqrt(3 / math.prod(shape[1:]))
        return fill(name, shape, -bound, bound)
    if name.endswith("sampling_offsets.bias"):
        return fill(name, shape, -4, 4)
    return fill(name, shape, 0.5, 1.5) if name.endswith(".weight") else fill(name, shape, -0.1, 0.1)


class Head(nn.Module):
    """All of Mask2Former behind the backbone."""

    def __init__(self, config, channels):
        super().__init__()
        self.config = config
        self.pixel = hf.Mask2FormerPixelDecoder(config, feature_channels=channels)
        self.transformer = hf.Mask2FormerTransformerModule(in_features=config.feature_size, config=config)
        self.class_predictor = nn.Linear(config.hidden_dim, config.num_labels + 1)
        with torch.no_grad():
            for theirs, value in self.named_parameters():
                name, third = our_name(theirs)
                if third is None:
                    value.copy_(parameter(name, tuple(value.shape)))
                else:
                    whole = parameter(name, (3 * value.shape[0], *value.shape[1:]))
                    value.copy_(whole.chunk(3)[third])

    def forward(self, maps):
        pixel = self.pixel(maps, output_hidden_states=False, output_attentions=False, return_dict=True)
        decoded = self.transformer(multi_scale_features=pixel.multi_scale_features, mask_features=pixel.mask_features,
                                   output_hidden_states=True, output_attentions=False)
        classes = [self.class_predictor(x.transpose(0, 1)) for x in decoded.intermediate_hidden_states]
        return pixel, classes, list(decoded.masks_queries_logits)


def make_head(model, classes, channels):
    width = model.get("width", 256)
    config = Mask2FormerConfig(
        num_labels=classes, feature_size=width, hidden_dim=width, mask_feature_size=model.get("embedding", 256),
        num_attention_heads=model.get("heads", 8), encoder_layers=model.get("encoder_layers", 6),
        encoder_feedforward_dim=model.get("encoder_ffn", 1024), decoder_layers=model.get("decoder_layers", 9) + 1,
        dim_feedforward=model.get("decoder_ffn", 2048), num_queries=model.get("queries", 100), dropout=0.0,
        train_num_points=model.get("loss_points", 12544), no_object_weight=0.1, class_weight=2.0, mask_weight=5.0,
        dice_weight=5.0, oversample_ratio=3.0, importance_sample_ratio=0.75, common_stride=4,
        feature_strides=[4, 8, 16, 32], pre_norm=False)
    return Head(config, channels).eval()


NETWORKS = {
    "mask2former_r50": {
        "model": {"name": "mask2former", "backbone": {"name": "resnet50"}}, "classes": 80,
        "channels": [256, 512, 1024, 2048], "canvases": [[160, 224]], "samples": 16,
    },
    "mask2former_tiny": {
        "model": {"name": "mask2former", "backbone": {"name": "resnet10", "width": 8}, "width": 64, "embedding": 32,
                  "heads": 4, "encoder_layers": 2, "encoder_ffn": 96, "queries": 12, "decoder_layers": 5,
                  "decoder_ffn": 128, "loss_points": 512},
        "classes": 3, "channels": [8, 16, 32, 64], "canvases": [[128, 192], [100, 139]], "samples": 24,
    },
}


def maps_of(tag, canvas, batch, channels):
    maps = []
    for level, width in enumerate(channels):
        size = [-(-side // (4 << level)) for side in canvas]  # as the strided convolutions round
        maps.append(fill(f"{tag}map{level}", (batch, width, *size), -1, 1))
    return maps


def forward(head, canvas, batch, channels, samples):
    blocked = []  # rows that the reference has to open, by round
    hook = head.transformer.decoder.mask_predictor.register_forward_hook(
        lambda module, args, output: blocked.append(int(output[1].all(-1).sum()) // head.config.num_attention_heads))
    with torch.no_grad():
        pixel, classes, masks = head(maps_of("", canvas, batch, channels))
    hook.remove()
    outputs = [(f"level{k}", value) for k, value in enumerate(pixel.multi_scale_features)]
    outputs += [("mask_features", pixel.mask_features)]
    outputs += [(f"class{r}", value) for r, value in enumerate(classes)]
    outputs += [(f"mask{r}", value) for r, value in enumerate(masks)]
    return {"canvas": canvas, "batch": batch, "opened_rows": sum(blocked[:-1]),
            "outputs": [digest(name, value, samples) for name, value in outputs]}


class FixedPoints:
    """Takes the place of torch.rand within the criterion."""

    def __init__(self, criterion):
        self.criterion, self.round, self.image, self.use = criterion, 0, 0, "matching"
        self.pairs = []
        matcher, masks = criterion.matcher.forward, criterion.loss_masks

        def match(*args, **kwargs):
            self.use, self.image = "matching", 0
            self.indices = matcher(*args, **kwargs)
            for image, (queries, instances) in enumerate(self.indices):
                self.pairs += [[image, self.round, int(q), int(n)] for q, n in zip(queries, instances)]
            return self.indices

        def loss_masks(*args, **kwargs):
            self.use = "candidates"
            return masks(*args, **kwargs)
        criterion.matcher.forward, criterion.loss_masks = match, loss_masks

    def rand(self, rows, count, two, device=None):
        name = f"{self.use}.{{}}.{self.round}"
        if self.use == "matching":
            self.image += 1
            return fill(name.format(self.image - 1), (rows, count, two), 0, 1)
        points = [fill(name.format(image), (len(queries), count, two), 0, 1)
                  for image, (queries, _) in enumerate(self.indices) if len(queries)]
        self.use = "uniform"
        return torch.cat(points)


GRADIENTS = ["predictor.mask_embed.layers.2.weight", "predictor.query_feat.weight",
             "predictor.transformer_cross_attention_layers.0.multihead_attn.in_proj_weight",
             "pixel_decoder.transformer.encoder.layers.0.self_attn.sampling_offsets.weight",
             "pixel_decoder.adapter_1.weight"]


def training(head, scenes, tag, channels, samples):
    """Losses of all rounds with fixed points, the pairs, and gradients of their sum."""
    canvas = scenes[0]["canvas"]
    _, classes, masks = head(maps_of(tag, canvas, len(scenes), channels))
    labels, targets = [], []
    for scene in scenes:
        full = np.zeros((len(scene["objects"]), *canvas), bool)
        for i, item in enumerate(scene["objects"]):
            full[i, :scene["valid"][0], :scene["valid"][1]] = draw(item, scene["valid"])
        targets.append(torch.from_numpy(full).float())
        labels.append(torch.tensor([item["label"] for item in scene["objects"]], dtype=torch.int64))
    criterion = hf.Mask2FormerLoss(config=head.config, weight_dict={})
    points = FixedPoints(criterion)
    random, torch.rand = torch.rand, points.rand
    rows, total = [], 0
    for r in range(len(classes)):
        points.round = r
        found = criterion(masks[r], classes[r], targets, labels)
        weighted = [2 * found["loss_cross_entropy"], 5 * found["loss_mask"], 5 * found["loss_dice"]]
        rows.append([float(f"{float(v.detach()):.8g}") for v in weighted])
        total = total + sum(weighted)
    torch.rand = random
    head.zero_grad()
    total.backward()
    values = {our_name(theirs)[0]: value for theirs, value in head.named_parameters()}
    return {"tag": tag, "scenes": [scene["name"] for scene in scenes], "losses": rows, "pairs": sorted(points.pairs),
            "gradients": [digest(HEAD + name, values[HEAD + name].grad, samples) for name in GRADIENTS]}


CROWD = {"name": "crowd", "canvas": [128, 192], "valid": [128, 192],
         "objects": [box(8 + 12 * i, 5 + 7 * i, 30 + 12 * i, 25 + 7 * i, i % 3) for i in range(13)]}  # more than queries
ODD = {"name": "odd", "canvas": [100, 139], "valid": [97, 131],
       "objects": [ellipse(40, 40, 25, 31, 1), box(90, 10, 131, 90, 0), box(3, 80, 7, 86, 2)]}
NONE = {"name": "none", "canvas": [128, 192], "valid": [128, 192], "objects": []}


def write(name, value):
    path = os.path.join(HERE, "..", "tests", "fixtures", name + ".json")
    text = json.dumps(value, separators=(",", ":"))
    text = re.sub(r'\{"(canvas|tag|name":"[^"]*","shape|name":"[^"]*","canvas)"|"(scenes|training)":\[\{', r"\n\g<0>", text)
    with open(path, "w") as out:
        out.write(text + "\n")
    print(name, len(text), "bytes")


def main():
    torch.set_num_threads(1)
    made_by = {"generator": "scripts/gen_fixtures_mask2former.py", "transformers": transformers.__version__,
               "torch": torch.__version__, "scipy": scipy.__version__, "numpy": np.__version__}
    scenes = [scene for scene in SCENES if scene["name"] in ("small", "padded")] + [CROWD, ODD, NONE]
    by_name = {scene["name"]: scene for scene in scenes}
    for name, net in NETWORKS.items():
        head = make_head(net["model"], net["classes"], net["channels"])
        value = {"made_by": made_by, "model": net["model"], "classes": net["classes"], "channels": net["channels"],
                 "parameters": sum(p.numel() for p in head.parameters()),
                 "runs": [forward(head, canvas, 1 + i, net["channels"], net["samples"])
                          for i, canvas in enumerate(net["canvases"])]}
        if name == "mask2former_tiny":
            value["scenes"] = scenes
            value["training"] = [training(head, [by_name[n] for n in names], f"train{i}.", net["channels"], net["samples"])
                                 for i, names in enumerate([["small", "padded"], ["odd"], ["small", "none", "crowd"]])]
        write(name, value)


if __name__ == "__main__":
    main()
