#!/usr/bin/env python3
"""Makes tests/fixtures/coco_targets.json: the references' targets and losses on real COCO images.

Run by hand. Needs what the other generators need, pycocotools, and a COCO annotation file:
  scripts/gen_fixtures_coco.py --detectron2 FOLDER --adelaidet FOLDER --sotr FOLDER --annotations FILE

The first 20 images of the file that have instances, crowds left out, at their own size, padded right and below to
multiples of 32; so both sides take their masks straight from the polygons. Masks are padded before the references see them,
as mmdetection does: AdelaiDet's SOLOv2 takes a quarter of the image without its padding, which for sides that 4 does not
divide moves the masks by up to a pixel against the features. Boxes are those of the masks. Targets are
kept as counts per level and as the SHA-256 of a listing, one line per record, in this order:
  solov2, sotr    "cell LEVEL ROW COLUMN INSTANCE" as the references list them, then "label LEVEL ROW COLUMN CLASS" row by
                  row, then per instance "mask PIXELS SUM_OF_X SUM_OF_Y" of its quarter-size mask, or "mask none"
  condinst        "LEVEL ROW COLUMN INSTANCE LEFT TOP RIGHT BOTTOM", distances in pixels (whole numbers)
Losses are on head outputs made by the formulas of gen_fixtures_solov2.py and gen_fixtures_condinst.py.
"""
import argparse
import hashlib
import sys
import warnings

import numpy as np
import torch
import torchvision
from pycocotools.coco import COCO

import gen_fixtures_condinst
import gen_fixtures_solov2 as base
import gen_fixtures_sotr

IMAGES, WITH_LOSSES = 20, 3


def scenes_of(path):
    coco = COCO(path)
    classes = {category: i for i, category in enumerate(sorted(coco.cats))}
    scenes = []
    for entry in coco.dataset["images"]:
        objects, size = [], [entry["height"], entry["width"]]
        canvas = [(side + 31) // 32 * 32 for side in size]
        for annotation in coco.imgToAnns[entry["id"]]:
            mask = coco.annToMask(annotation).astype(bool)
            if not annotation["iscrowd"] and mask.any():
                mask = np.pad(mask, [(0, full - side) for full, side in zip(canvas, size)])
                objects.append({"mask": mask, "label": classes[annotation["category_id"]]})
        if objects and len(scenes) < IMAGES:
            scenes.append({"image": entry["id"], "valid": canvas, "canvas": canvas, "name": str(entry["id"]),
                           "objects": objects})
    return scenes


def record(lines, levels):
    return {"levels": levels, "sha256": hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()}


def grid_record(model, scene):
    found = base.targets_of(model, scene)
    lines = ["cell " + " ".join(map(str, row)) for row in found["cells"]]
    lines += ["label " + " ".join(map(str, row)) for row in found["labels"]]
    lines += ["mask " + (" ".join(map(str, sums)) if sums else "none") for sums in found["mask_sums"]]
    return record(lines, [sum(row[0] == level for row in found["cells"]) for level in range(5)])


def condinst_record(model, scene):
    rows = gen_fixtures_condinst.targets_of(model, scene)
    assert all(value == int(value) for row in rows for value in row)
    lines = [" ".join(str(int(value)) for value in row) for row in rows]
    return record(lines, [sum(row[0] == level for row in rows) for level in range(5)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("detectron2", "adelaidet", "sotr", "annotations"):
        parser.add_argument("--" + name, required=True)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    base.draw = lambda item, valid: item["mask"]
    scenes = scenes_of(args.annotations)

    classes = 80
    solov2, defaults = base.load_reference(args.detectron2, args.adelaidet)
    changes = base.NETWORKS["solov2_r18"]["changes"]
    grids = [40, 36, 24, 16, 12]
    model = base.make_model(solov2, defaults, changes + ["MODEL.SOLOV2.NUM_CLASSES", classes, "MODEL.SOLOV2.NUM_GRIDS", grids])
    found = [{"image": scene["image"], "canvas": scene["canvas"], "instances": len(scene["objects"]),
              "solov2": grid_record(model, scene)} for scene in scenes]
    for scene, out in list(zip(scenes, found))[:WITH_LOSSES]:
        out["solov2_losses"] = base.losses_of(model, [scene], f"coco{scene['image']}.")

    condinst, defaults = gen_fixtures_condinst.load_reference(args.detectron2, args.adelaidet)
    changes = gen_fixtures_condinst.NETWORKS["condinst_r18"]["changes"]
    model = gen_fixtures_condinst.make_model(condinst, defaults, changes + ["MODEL.FCOS.NUM_CLASSES", classes])
    for scene, out in zip(scenes, found):
        out["condinst"] = condinst_record(model, scene)
    for scene, out in list(zip(scenes, found))[:WITH_LOSSES]:
        out["condinst_losses"] = gen_fixtures_condinst.losses_of(model, [scene], f"coco{scene['image']}.")

    for name in [name for name in sys.modules if name.split(".")[0] == "adet"]:
        del sys.modules[name]  # the authors' SOTR is a package of the same name
    sotr, defaults = gen_fixtures_sotr.load_reference(args.detectron2, args.sotr)
    net = dict(gen_fixtures_sotr.NETWORKS["sotr_r18"])
    net["changes"] = net["changes"] + ["MODEL.SOTR.NUM_CLASSES", classes, "MODEL.SOTR.NUM_GRIDS", grids]
    model = gen_fixtures_sotr.make_model(sotr, defaults, net)
    for scene, out in zip(scenes, found):
        out["sotr"] = grid_record(model, scene)

    base.write("coco_targets", {
        "made_by": {"generator": "scripts/gen_fixtures_coco.py",
                    "reference": "AdelaiDet 36721221, SOTR 341ef54, detectron2 02b5c4e2", "torch": torch.__version__,
                    "torchvision": torchvision.__version__, "numpy": np.__version__},
        "classes": classes, "embedding": 32, "images": found})


if __name__ == "__main__":
    main()
