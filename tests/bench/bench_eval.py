#!/usr/bin/env python3
"""Times iuq-eval against the other evaluators: from JSON files to numbers, each run a fresh process, two threads.

usage: bench_eval.py FOLDER_OF_TOOLS WORK [--peers a,b] [--rounds N]

WORK gets the made-up workloads (COCO val and LVIS val in size) and a Python environment with those peers that install.
Prints a table: median seconds and peak memory, both as ratios to iuq-eval's, and the largest difference of the numbers to
the reference's. Runs of one round alternate; the slow references run once. `make bench-eval` calls it.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = ["ultrafast-pycocotools", "hotcoco", "hotcoco==0.4.0", "faster-coco-eval"]  # 0.4.0: what the speed target was set with
SLOW = {"pycocotools", "lvis-api"}
KINDS = [("coco", "segm"), ("coco", "bbox"), ("lvis", "segm")]


def timed(command, env):
    """Returns (seconds, peak MiB, stdout), or None with a message when the command fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status != 0:
        print(f"  failed: {' '.join(command)}: {err.strip().splitlines()[-1:] or status}", file=sys.stderr)
        return None
    return seconds, usage.ru_maxrss / 1024, out


def environment(work, peers):
    """A virtual environment with the peers that install; returns its Python and their names with versions.

    A peer with a fixed version, NAME==VERSION, goes to a folder of its own, which peer_folder() names."""
    folder = os.path.join(work, "venv")
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        venv.create(folder, with_pip=True)
    have = {}
    for name in ["pycocotools", "lvis"] + peers:
        # numpy 2.3 and newer add in another order; lvis asks for OpenCV, which its evaluation does not use.
        extra = ["--no-deps"] if name == "lvis" else ["numpy<2.3"]
        if "==" in name:
            extra = ["--no-deps", "--upgrade", "--target", peer_folder(work, name)]
        run = subprocess.run([python, "-m", "pip", "install", "-q", name] + extra, capture_output=True, text=True)
        if run.returncode != 0:
            print(f"{name}: does not install here", file=sys.stderr)
            continue
        if "==" in name:
            have[name] = ""
            continue
        shown = subprocess.run([python, "-m", "pip", "show", name], capture_output=True, text=True).stdout
        have["lvis-api" if name == "lvis" else name] = shown.split("Version: ")[1].split()[0]
    subprocess.run([python, "-m", "pip", "install", "-q", "cython", "matplotlib", "python-dateutil"], capture_output=True)
    # lvis imports cv2 for drawing alone.
    site = subprocess.run([python, "-c", "import site; print(site.getsitepackages()[0])"], capture_output=True,
                          text=True).stdout.strip()
    if not os.path.exists(os.path.join(site, "cv2")):
        os.makedirs(os.path.join(site, "cv2"))
        open(os.path.join(site, "cv2", "__init__.py"), "w").close()
    return python, have


def peer_folder(work, name):
    return os.path.join(os.path.abspath(work), name.replace("==", "-"))


def numbers_of(name, out):
    if name == "iuq-eval":
        stats = json.loads(out)["stats"]
        order = ("AP AP50 AP75 APs APm APl APr APc APf AR@300 ARs ARm ARl" if "APr" in stats else
                 "AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl").split()
        return [stats[name] for name in order]
    return json.loads(out.splitlines()[-1])  # some print their table past Python


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tools")
    parser.add_argument("work")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    python, have = environment(args.work, [p for p in args.peers.split(",") if p])
    env = dict(os.environ, OMP_NUM_THREADS="2", RAYON_NUM_THREADS="2", MPLBACKEND="agg")
    for style in ("coco", "lvis"):
        folder = os.path.join(args.work, style)
        if not os.path.exists(os.path.join(folder, "dt_bbox.json")):
            os.makedirs(folder, exist_ok=True)
            subprocess.run([os.path.join(args.tools, "eval_workload"), style, folder], check=True)
    print(f"{'workload':12} {'evaluator':32} {'seconds':>8} {'ratio':>7} {'MiB':>7} {'ratio':>6}  numbers")
    for style, iou in KINDS:
        gt = os.path.join(args.work, style, "gt.json")
        dt = os.path.join(args.work, style, f"dt_{iou}.json")
        commands = {"iuq-eval": [os.path.join(args.tools, "iuq-eval"), "-q", "--style", style, "--iou", iou, "--json",
                                 "--threads", "2", "--annotations", gt, "--predictions", dt]}
        reference = "lvis-api" if style == "lvis" else "pycocotools"
        for name in have:
            if name in SLOW and name != reference or (style == "lvis" and name == "ultrafast-pycocotools"):
                continue
            run = [python, os.path.join(HERE, "eval_peer.py"), name.split("==")[0], style, iou, gt, dt]
            commands[name] = ["env", "PYTHONPATH=" + peer_folder(args.work, name)] + run if "==" in name else run
        runs = {name: [] for name in commands}
        for number in range(args.rounds):
            for name, command in commands.items():
                if name in SLOW and number > 0 or (number > 0 and not runs[name]):
                    continue
                result = timed(command, env)
                if result:
                    runs[name].append(result)
        ours = statistics.median(r[0] for r in runs["iuq-eval"])
        memory = statistics.median(r[1] for r in runs["iuq-eval"])
        wanted = numbers_of(reference, runs[reference][0][2]) if runs.get(reference) else None
        for name, results in runs.items():
            if not results:
                continue
            seconds, mib = (statistics.median(r[i] for r in results) for i in (0, 1))
            got = numbers_of(name, results[0][2])
            verdict = "-"
            if wanted is not None:
                off = max((abs(a - b) for a, b in zip(got, wanted)), default=0)
                verdict = "identical" if got == wanted else f"off by up to {off:.1e}"
            print(f"{style + ' ' + iou:12} {name + ' ' + have.get(name, ''):32} {seconds:8.2f} {seconds / ours:7.1f} {mib:7.0f} "
                  f"{mib / memory:6.1f}  {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
