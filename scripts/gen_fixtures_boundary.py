#!/usr/bin/env python3
"""Makes tests/fixtures/eval/boundary: random annotations and results, and the boundary AP that faster-coco-eval gives them.

Run by hand, in an environment with faster-coco-eval (1.8.0), numpy and opencv; the files are committed.
Usage: scripts/gen_fixtures_boundary.py [FOLDER]

Every boundary is checked against OpenCV's erosion, with which Cheng et al. make them. Images are of several sizes, so that the width
of a boundary at .02 is 1, 2, 3 and 6 pixels; masks touch the borders of images, have holes and fill whole images; one in
eight annotations is a crowd. Scores are all different. Besides the numbers at a ratio of .02 there are those at .01 and .05,
and of the annotation masks the area of the boundary at .02.
"""
import importlib.metadata
import json
import os
import random
import sys

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as mask_api

SIZES = [(24, 30), (60, 80), (96, 128), (200, 230)]
RATIOS = (0.02, 0.01, 0.05)
NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


def ellipse(size, box, hole):
    (height, width), (x, y, w, h) = size, box
    rows, columns = np.mgrid[:height, :width] + 0.5
    radius = ((columns - x - w / 2) / (w / 2)) ** 2 + ((rows - y - h / 2) / (h / 2)) ** 2
    return (radius <= 1) & (radius >= hole)


def encoded(mask):
    rle = mask_api.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = rle["counts"]
    return {"size": [int(side) for side in rle["size"]], "counts": counts if isinstance(counts, str) else counts.decode()}


def record(mask, **fields):
    rle = encoded(mask)
    rows, columns = np.nonzero(mask)
    box = [int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
    return {**fields, "segmentation": rle, "area": int(mask.sum()), "bbox": box}


def scenes():
    draw = random.Random(7)
    truth = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 4, "name": "b"}]}
    results = []
    for image, size in enumerate(SIZES * 3, 1):
        truth["images"].append({"id": image, "height": size[0], "width": size[1]})
        for number in range(draw.randint(2, 5)):
            w, h = draw.uniform(0.15, 0.9) * size[1], draw.uniform(0.15, 0.9) * size[0]
            box = [draw.uniform(-w / 4, size[1] - 0.75 * w), draw.uniform(-h / 4, size[0] - 0.75 * h), w, h]
            hole = draw.choice([0, 0, 0.1])
            mask = np.ones(size, bool) if number == 4 else ellipse(size, box, hole)
            category = draw.choice([1, 4])
            truth["annotations"].append(record(mask, id=len(truth["annotations"]) + 1, image_id=image, category_id=category,
                                               iscrowd=int(draw.random() < 1 / 8)))
            for _ in range(draw.randint(0, 2)):
                shift = draw.choice([0.01, 0.03, 0.1])
                moved = [v + draw.uniform(-shift, shift) * side for v, side in zip(box, [w, h, w, h])]
                guess = ellipse(size, moved, hole)
                if not guess.any():
                    continue
                results.append({"image_id": image, "category_id": category, "segmentation": encoded(guess),
                                "score": len(results)})
    scores = draw.sample(range(100, 1000), len(results))
    for result, score in zip(results, scores):
        result["score"] = score / 1000
    return truth, results


def pixels(rle):
    return mask_api.decode(rle).flatten().astype(int).tolist()


def boundary(item, ratio):
    return pixels(mask_api.rleToBoundaryCV(item["segmentation"], ratio))


def stats_of(folder, ratio):
    truth = COCO(os.path.join(folder, "gt.json"))
    evaluator = COCOeval_faster(truth, truth.loadRes(os.path.join(folder, "dt.json")), "boundary",
                                boundary_dilation_ratio=ratio)
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return dict(zip(NAMES, map(float, evaluator.stats[:12])))


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../tests/fixtures/eval/boundary")
    os.makedirs(folder, exist_ok=True)
    truth, results = scenes()
    for name, value in [("gt", truth), ("dt", results)]:
        with open(os.path.join(folder, name + ".json"), "w") as file:
            json.dump(value, file, separators=(",", ":"))
            file.write("\n")
    for ratio in RATIOS:
        for item in truth["annotations"] + results:
            assert pixels(mask_api.rleToBoundary(item["segmentation"], ratio)) == boundary(item, ratio)
    areas = [sum(boundary(item, 0.02)) for item in truth["annotations"]]
    expected = {"made with": "scripts/gen_fixtures_boundary.py, faster-coco-eval " + importlib.metadata.version(
        "faster-coco-eval"), "ratios": {str(ratio): stats_of(folder, ratio) for ratio in RATIOS},
        "boundary areas": areas}
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
