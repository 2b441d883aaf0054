#!/usr/bin/env python3
"""Makes tests/fixtures/swin.json: numbers of Hugging Face's SwinBackbone, the form for dense prediction, on made-up weights.

Run by hand. Needs torch, numpy and transformers:
  scripts/gen_fixtures_swin.py
Values and records are those of gen_fixtures_solov2.py; parameters, by their name under Microsoft's spelling:
  2 or 4 axes                      -sqrt(3 / fan_in) .. +sqrt(3 / fan_in), fan_in = product of shape[1:]
  "...relative_position_bias_table"  -2 .. 2
  1 axis, "...weight" (norms)      0.5 .. 1.5
  1 axis, all others               -0.5 .. 0.5
Gradients are those of sum_i <output_i, values of "cotangent{i}" in -1 .. 1>.
"""
import json
import math
import os
import re

import torch
import transformers

import gen_fixtures_solov2 as base

NETWORKS = {
    # Maps smaller than a window, sides that are whole windows, and sides that are nothing.
    "tiny": {"config": {"name": "swin_t", "embed": 32, "depths": [2, 2, 2, 2], "heads": [1, 2, 4, 8], "window": 7},
             "inputs": [[1, 3, 32, 32], [1, 3, 56, 224], [2, 3, 97, 131], [2, 3, 130, 259]], "samples": 48},
    "tiny, window 4": {"config": {"name": "swin_t", "embed": 24, "depths": [1, 2, 3, 1], "heads": [2, 3, 4, 6], "window": 4},
                       "inputs": [[2, 3, 75, 141]], "samples": 48},
    "swin_t": {"config": {"name": "swin_t"}, "embed": 96, "depths": [2, 2, 6, 2], "heads": [3, 6, 12, 24], "window": 7,
               "inputs": [[1, 3, 130, 171]], "samples": 48},
    "swin_b": {"config": {"name": "swin_b"}, "embed": 128, "depths": [2, 2, 18, 2], "heads": [4, 8, 16, 32], "window": 12,
               "inputs": [[1, 3, 101, 150]], "samples": 48},
}
GRADIENTS = ["patch_embed.proj.weight", "patch_embed.norm.bias", "layers.0.blocks.0.norm1.weight",
             "layers.0.downsample.norm.weight", "layers.0.downsample.reduction.weight",
             "layers.1.blocks.1.attn.relative_position_bias_table", "layers.1.blocks.1.attn.qkv.weight",
             "layers.1.blocks.1.attn.qkv.bias", "layers.2.blocks.1.attn.proj.weight", "layers.2.blocks.1.mlp.fc1.weight",
             "layers.3.blocks.0.mlp.fc2.bias", "norm2.weight"]

RULES = [
    (r"^swin\.embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^swin\.embeddings\.norm\.", "patch_embed.norm."),
    (r"^swin\.encoder\.layers\.", "layers."),
    (r"^hidden_states_norms\.stage(\d)\.", lambda m: f"norm{int(m[1]) - 1}."),
    (r"\.layernorm_before\.", ".norm1."), (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.(?:relative_position_bias\.|self\.)?relative_position_bias_table", ".attn.relative_position_bias_table"),
    (r"\.attention\.(?:o_proj|output\.dense)\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."), (r"(\.blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
]
THIRD = re.compile(r"\.attention\.(?:self\.)?(q_proj|k_proj|v_proj|query|key|value)\.(weight|bias)$")
ORDER = {"q_proj": 0, "k_proj": 1, "v_proj": 2, "query": 0, "key": 1, "value": 2}


def parameter(name, shape):
    if name.endswith("relative_position_bias_table"):
        return base.fill(name, shape, -2, 2)
    if len(shape) > 1:
        bound = math.sqrt(3 / math.prod(shape[1:]))
        return base.fill(name, shape, -bound, bound)
    return base.fill(name, shape, 0.5, 1.5) if name.endswith(".weight") else base.fill(name, shape, -0.5, 0.5)


def our_name(name):
    """Microsoft's name, and which third of it this tensor is (None: all)."""
    third = THIRD.search(name)
    if third:
        name = name[:third.start()] + f".attn.qkv.{third[2]}"
    for pattern, text in RULES:
        name = re.sub(pattern, text, name)
    return name, ORDER[third[1]] if third else None


def make_model(net):
    config = dict(net, **net["config"])
    model = transformers.SwinBackbone(transformers.SwinConfig(
        embed_dim=config["embed"], depths=config["depths"], num_heads=config["heads"], window_size=config["window"],
        out_features=["stage1", "stage2", "stage3", "stage4"], drop_path_rate=0.0))
    count = 0
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.startswith("swin.layernorm."):
                continue  # for classification
            ours, third = our_name(name)
            shape = list(value.shape)
            if third is None:
                value.copy_(parameter(ours, shape))
            else:
                value.copy_(parameter(ours, [3 * shape[0]] + shape[1:]).chunk(3)[third])
            count += value.numel()
    return model.eval(), count


def gradients_of(model, samples):
    by_name = {}
    for name, value in model.named_parameters():
        ours, third = our_name(name)
        by_name.setdefault(ours, {})[third or 0] = value.grad
    return [base.digest(name, torch.cat([parts[i] for i in sorted(parts)]), samples) for name in GRADIENTS
            for parts in [by_name[name]]]


def run(model, shape, samples, with_gradients):
    model.zero_grad()
    maps = model(base.fill("input", shape, -2, 2)).feature_maps
    record = {"input": shape, "outputs": [base.digest(f"map{i}", value, samples) for i, value in enumerate(maps)]}
    if with_gradients:
        sum((value * base.fill(f"cotangent{i}", tuple(value.shape), -1, 1)).sum() for i, value in enumerate(maps)).backward()
        record["gradients"] = gradients_of(model, 24)
    return record


def main():
    networks = []
    for name, net in NETWORKS.items():
        model, count = make_model(net)
        runs = [run(model, shape, net["samples"], name.startswith("tiny")) for shape in net["inputs"]]
        networks.append({"name": name, "config": net["config"], "parameters": count, "runs": runs})
    value = {"made_by": {"generator": "scripts/gen_fixtures_swin.py", "reference": f"transformers {transformers.__version__}",
                         "torch": torch.__version__}, "networks": networks}
    text = re.sub(r'\{"(input|name)":', r"\n\g<0>", json.dumps(value, separators=(",", ":")))
    with open(os.path.join(base.HERE, "..", "tests", "fixtures", "swin.json"), "w") as out:
        out.write(text + "\n")
    print("swin", len(text), "bytes")


if __name__ == "__main__":
    main()
