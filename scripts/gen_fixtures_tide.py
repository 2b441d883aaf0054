#!/usr/bin/env python3
"""Makes tests/fixtures/eval/tide: random annotations and results with every kind of error, and tidecv's answer to them.

Run by hand, in an environment with tidecv (1.0.1) and pycocotools, when a case is added; the files are committed.
Usage: scripts/gen_fixtures_tide.py [FOLDER]

Scores are all different and each category has annotations, because ties and empty categories are where tidecv and this
project differ knowingly (lib/eval/errors.h). So are the recalls: i / 100 there, numpy's linspace in pycocotools and
here, which are not the same doubles and decide where a recall is a hundredth exactly. tidecv is given linspace for this
file; its own recalls move some of the numbers by up to .001.
"""
import importlib.metadata
import json
import os
import random
import sys

import numpy as np
from pycocotools import mask as mask_api
import tidecv.ap
from tidecv import TIDE, datasets

SIDE, IMAGES, CATEGORIES = 64, 30, 4


class RecallsOfPycocotools:
    """numpy, but for the one array of 101 recalls that tidecv makes."""

    def __getattr__(self, name):
        return getattr(np, name)

    def array(self, values):
        is_recalls = len(values) == 101 and list(values) == [i / 100 for i in range(101)]
        return np.linspace(0, 1, 101) if is_recalls else np.array(values)


def ellipse(box):
    x, y, w, h = box
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    inside = ((columns - x - w / 2) / (w / 2)) ** 2 + ((rows - y - h / 2) / (h / 2)) ** 2 <= 1
    rle = mask_api.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def moved(rng, box, most):
    x, y, w, h = (value + rng.randint(-most, most) for value in box)
    return [max(0, x), max(0, y), max(4, w), max(4, h)]


def random_box(rng):
    return [rng.randint(0, 40), rng.randint(0, 40), rng.randint(8, 24), rng.randint(8, 24)]


def make_case(seed):
    rng = random.Random(seed)
    images, annotations, results = [], [], []
    scores = [i / 10007 for i in range(1, 10007)]
    rng.shuffle(scores)

    def detect(image, box, category):
        results.append({"image_id": image, "category_id": category, "score": scores.pop(), "bbox": box,
                        "segmentation": ellipse(box)})

    for image in range(1, IMAGES + 1):
        images.append({"id": image, "height": SIDE, "width": SIDE, "file_name": f"{image}.png"})
        for _ in range(rng.randint(0, 5)):
            box, category = random_box(rng), rng.randint(1, CATEGORIES)
            crowd = int(rng.random() < 0.12)
            if crowd:
                box = [box[0] // 2, box[1] // 2, box[2] + 16, box[3] + 16]
            mask = ellipse(box)
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": category, "bbox": box,
                                "area": float(mask_api.area(mask)), "iscrowd": crowd, "segmentation": mask})
            for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
                other = rng.randint(1, CATEGORIES) if rng.random() < 0.3 else category
                detect(image, moved(rng, box, rng.choice([1, 2, 5, 9])), other)
        for _ in range(rng.choice([0, 0, 1, 2])):
            detect(image, random_box(rng), rng.randint(1, CATEGORIES))
    categories = [{"id": k, "name": f"category {k}"} for k in range(1, CATEGORIES + 1)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def answer(gt, dt, mode):
    tide = TIDE()
    run = tide.evaluate(datasets.COCO(gt), datasets.COCOResult(dt), mode=mode)
    name = next(iter(tide.runs))
    # Without the detections that count neither way, which tidecv counts as errors all the same.
    counted = [error for error in run.errors if not hasattr(error, "pred") or error.pred["used"] is not None]
    return {"ap50": run.ap / 100,
            "counts": {kind.short_name: sum(type(error) is kind for error in counted) for kind in TIDE._error_types},
            "gains": {key: value / 100 for key, value in tide.get_main_errors()[name].items()},
            "special": {key: value / 100 for key, value in tide.get_special_errors()[name].items()}}


def main():
    default = os.path.join(os.path.dirname(__file__), "../tests/fixtures/eval/tide")
    folder = sys.argv[1] if len(sys.argv) > 1 else default
    os.makedirs(folder, exist_ok=True)
    tidecv.ap.np = RecallsOfPycocotools()
    expected = {"generator": "scripts/gen_fixtures_tide.py", "tidecv": importlib.metadata.version("tidecv"),
                "recalls": "numpy.linspace(0, 1, 101)"}
    for seed in (1, 2, 3):
        gt_path, dt_path = os.path.join(folder, f"gt{seed}.json"), os.path.join(folder, f"dt{seed}.json")
        for path, value in zip((gt_path, dt_path), make_case(seed)):
            with open(path, "w", encoding="utf-8") as file:
                json.dump(value, file, separators=(",", ":"))
                file.write("\n")
        expected[f"case {seed}"] = {"bbox": answer(gt_path, dt_path, TIDE.BOX),
                                    "segm": answer(gt_path, dt_path, TIDE.MASK)}
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")


main()
