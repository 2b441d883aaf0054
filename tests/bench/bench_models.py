#!/usr/bin/env python3
"""Times the segmenters and backbones on the CPU, beside Hugging Face's Mask2Former, ResNet and Swin where those are there.

usage: bench_models.py FOLDER_OF_TOOLS [--models a,b] [--rounds N] [--threads N] [--python FILE]

Each run is a process of its own (models_bench, models_peer.py); those of both sides alternate. Prints for a forward pass
and a training step the least seconds by the clock and of all processors, the megabytes they take, and the ratios ours /
Python. `make bench-models` calls it; PYTHON=file names a Python with torch and transformers.
"""
import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = ["condinst", "solov2", "sotr", "mask2former", "resnet50", "swin_t"]
PEERS = {"mask2former", "resnet50", "swin_t"}
COLUMNS = [(work, cost) for work in ("forward", "step") for cost in ("seconds", "processor", "megabytes")]
NO_DEVICE = 69


def run(command, env):
    """The line that a run prints, or None with a word when the command fails."""
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout)
    last = (done.stderr.strip().splitlines() or [str(done.returncode)])[-1]
    if done.returncode == NO_DEVICE:
        print(f"no comparison: {last}", file=sys.stderr)
    else:
        print(f"failed: {' '.join(command)}: {last}", file=sys.stderr)
    return None


def show(name, cells, digits, note=""):
    print(f"{name:14} " + " ".join(f"{cell:9.{d}f}" for cell, d in zip(cells, digits)) + note)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tools")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side; each takes the least of three runs")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--python", default=os.environ.get("PYTHON") or "python3")
    args = parser.parse_args()
    env = dict(os.environ, OMP_NUM_THREADS=args.threads, OMP_WAIT_POLICY="PASSIVE")
    has_peer = True
    failed = False
    print(f"{'':14} {'forward':^29} {'training step':^29}\n{'model':14} "
          + " ".join(f"{cost:>9}" for cost in ("seconds", "processor", "MB") * 2))
    for model in args.models.split(","):
        commands = {"": [os.path.join(args.tools, "models_bench"), model, args.threads]}
        if model in PEERS:
            commands["Python"] = [args.python, os.path.join(HERE, "models_peer.py"), model, args.threads]
        results = {side: [] for side in commands}
        for _ in range(args.rounds):
            for side, command in commands.items():
                if side and not has_peer:
                    continue
                result = run(command, env)
                if result:
                    results[side].append(result)
                elif side:
                    has_peer = False
                else:
                    failed = True
        table = {side: [min(row[work][cost] for row in rows) for work, cost in COLUMNS]
                 for side, rows in results.items() if rows}
        for side, cells in table.items():
            show(side or model, cells, [3, 3, 0] * 2)
        if len(table) == 2:
            versions = results["Python"][0]
            show("ratio", [ours / theirs for ours, theirs in zip(table[""], table["Python"])], [2] * 6,
                 f"  torch {results[''][0]['torch']} and {versions['torch']}, transformers {versions['transformers']}")
    return 1 if failed else 0


sys.exit(main())
