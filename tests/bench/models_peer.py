#!/usr/bin/env python3
"""The Python side of models_bench: the same measurements of Hugging Face's networks, in one line of JSON.

usage: models_peer.py mask2former|resnet50|swin_t THREADS [ROUNDS]      exit 69 where torch or transformers is missing
"""
import json
import math
import sys
import time

try:
    import torch
    import transformers
    from transformers import (Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetBackbone, ResNetConfig,
                              SwinBackbone, SwinConfig)
except ImportError as error:
    print(f"models_peer: {error}", file=sys.stderr)
    sys.exit(69)

SIDE, IMAGES, INSTANCES, CLASSES = 512, 2, 7, 80
STAGES = ["stage1", "stage2", "stage3", "stage4"]


def ellipses():
    index = torch.arange(SIDE, dtype=torch.float32)
    masks = []
    for _ in range(INSTANCES):
        size = 12 * math.exp(2.5 * torch.rand(()).item())
        middle, stretch = 50 + (SIDE - 100) * torch.rand(2), 0.6 + 0.8 * torch.rand(2)
        x, y = (((index - middle[i]) / (size * stretch[i])) ** 2 for i in range(2))
        masks.append((x[None] + y[:, None] < 1).float())
    return torch.stack(masks)


def frozen(model):
    """Batch norms that are constants, as the published recipe has them."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
            module.requires_grad_(False)


def backbone(model):
    images = torch.randn(IMAGES, 3, SIDE, SIDE)

    def forward():
        model.eval()
        with torch.no_grad():
            model(images)

    def step():
        model.train()
        frozen(model)
        model.zero_grad()
        sum(map.mean() for map in model(images).feature_maps).backward()

    return forward, step


def resnet50():
    return backbone(ResNetBackbone(ResNetConfig(out_features=STAGES)))


def swin_t():
    return backbone(SwinBackbone(SwinConfig(out_features=STAGES, drop_path_rate=0.3, attn_implementation="sdpa")))


def mask2former():
    config = Mask2FormerConfig(backbone_config=ResNetConfig(out_features=STAGES), num_labels=CLASSES)
    model = Mask2FormerForUniversalSegmentation(config)
    images = torch.randn(IMAGES, 3, SIDE, SIDE)
    masks = [ellipses() for _ in range(IMAGES)]
    labels = [torch.randint(CLASSES, (INSTANCES,)) for _ in range(IMAGES)]

    def forward():
        model.eval()
        with torch.no_grad():
            model(pixel_values=images)

    def step():
        model.train()
        frozen(model)
        model.zero_grad()
        model(pixel_values=images, mask_labels=masks, class_labels=labels).loss.backward()

    return forward, step


def status(key):
    for line in open("/proc/self/status"):
        if line.startswith(key + ":"):
            return float(line.split()[1]) / 1024
    return 0.0


def measure(work, rounds):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = status("VmRSS")
    work()
    megabytes = status("VmHWM") - before
    seconds, processor = math.inf, math.inf
    for _ in range(rounds):
        began, began_processor = time.perf_counter(), time.process_time()
        work()
        seconds = min(seconds, time.perf_counter() - began)
        processor = min(processor, time.process_time() - began_processor)
    return {"seconds": seconds, "processor": processor, "megabytes": megabytes}


def main():
    torch.set_num_threads(int(sys.argv[2]))
    torch.manual_seed(1)
    forward, step = {"mask2former": mask2former, "resnet50": resnet50, "swin_t": swin_t}[sys.argv[1]]()
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    print(json.dumps({"forward": measure(forward, rounds), "step": measure(step, rounds), "torch": torch.__version__,
                      "transformers": transformers.__version__}))


main()
