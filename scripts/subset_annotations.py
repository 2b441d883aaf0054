#!/usr/bin/env python3
"""Cuts a COCO annotation file down to its first N images with 1..M instances (crowds not counted), for tests.

usage: subset_annotations.py IN.json N M OUT.json
"""
import collections
import json
import sys


def main() -> None:
    path, count, most, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    instances = collections.Counter(a["image_id"] for a in data["annotations"] if not a.get("iscrowd"))
    kept = [image for image in data["images"] if 1 <= instances[image["id"]] <= most][:count]
    ids = {image["id"] for image in kept}
    data["images"] = kept
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] in ids]
    with open(out, "w", encoding="utf-8") as file:
        json.dump(data, file)


main()
