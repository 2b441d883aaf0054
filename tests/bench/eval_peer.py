#!/usr/bin/env python3
"""Evaluates a results file with another evaluator and prints its numbers as one JSON list.

usage: eval_peer.py PEER coco|lvis segm|bbox GT DT      PEER: pycocotools, lvis-api, hotcoco, faster-coco-eval,
ultrafast-pycocotools. Run by bench_eval.py, each in a fresh process.
"""
import contextlib
import io
import json
import sys


def coco_like(coco_class, eval_class, iou, gt, dt):
    truth = coco_class(gt)
    run = eval_class(truth, truth.loadRes(dt), iou)
    run.evaluate()
    run.accumulate()
    run.summarize()
    return [float(x) for x in run.stats]


def evaluate(peer, style, iou, gt, dt):
    if style == "lvis":
        if peer == "lvis-api":
            import numpy
            numpy.float = float  # a name that numpy dropped and lvis 0.5.3 still uses
            from lvis import LVIS, LVISEval, LVISResults
            truth = LVIS(gt)
            run = LVISEval(truth, LVISResults(truth, dt), iou)
            run.run()
            return [float(x) for x in run.get_results().values()]
        if peer == "hotcoco":
            from hotcoco import COCO, LVISeval
            truth = COCO(gt)
            run = LVISeval(truth, truth.load_res(dt), iou)
            run.run()
            return [float(x) for x in run.get_results().values()]
        if peer == "faster-coco-eval":
            from faster_coco_eval import COCO, COCOeval_faster
            truth = COCO(gt)
            run = COCOeval_faster(truth, truth.loadRes(dt), iou, lvis_style=True)
            run.params.maxDets = [300]
            run.evaluate()
            run.accumulate()
            run.summarize()
            return [float(x) for x in run.stats]
        raise SystemExit(f"{peer} has no LVIS")
    if peer == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
        return coco_like(COCO, COCOeval, iou, gt, dt)
    if peer == "faster-coco-eval":
        from faster_coco_eval import COCO, COCOeval_faster
        return coco_like(COCO, COCOeval_faster, iou, gt, dt)
    if peer == "ultrafast-pycocotools":
        from ultrafast_pycocotools.coco import COCO
        from ultrafast_pycocotools.cocoeval import COCOeval
        return coco_like(COCO, COCOeval, iou, gt, dt)
    if peer == "hotcoco":
        from hotcoco import COCO, COCOeval
        truth = COCO(gt)
        run = COCOeval(truth, truth.load_res(dt), iou)
        run.evaluate()
        run.accumulate()
        run.summarize()
        return [float(x) for x in run.stats]
    raise SystemExit(f"unknown peer {peer}")


with contextlib.redirect_stdout(io.StringIO()):
    numbers = evaluate(*sys.argv[1:])
print(json.dumps(numbers))
