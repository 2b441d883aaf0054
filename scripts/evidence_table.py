#!/usr/bin/env python3
"""Prints data/evidence/results.jsonl as Markdown: what each mode gains over the control, by model, regime and steps.

usage: scripts/evidence_table.py [RESULTS]     default data/evidence/results.jsonl

A gain is the mean over seeds of the difference to the control of the same seed and settings ("form"), with the 95 % interval
of Student's t over seeds where there are two or more. "best control" is the mean AP of the best form of the control.
"""
import collections
import json
import math
import pathlib
import sys

# Two-sided 95 % points of Student's t by degrees of freedom; 1.96 beyond.
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def mean(values):
    return sum(values) / len(values)


def interval(values):
    if len(values) < 2:
        return "one seed"
    m = mean(values)
    deviation = math.sqrt(sum((v - m) ** 2 for v in values) / (len(values) - 1))
    half = T95.get(len(values) - 1, 1.96) * deviation / math.sqrt(len(values))
    return f"[{m - half:+.1f}, {m + half:+.1f}]"


def main():
    path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "data/evidence/results.jsonl")
    runs = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    groups = collections.defaultdict(dict)
    for run in runs:
        groups[run["model"], run["regime"], run["steps"]][run["mode"], run["form"], run["seed"]] = run
    print("| model | regime | steps | mode | form | seeds | AP | gain in AP | 95 % | gain in AP75 | best control |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for (model, regime, steps), cell in sorted(groups.items()):
        forms = collections.defaultdict(list)
        for (mode, form, seed), run in cell.items():
            forms[mode, form].append(run)
        controls = [100 * mean([r["ap"] for r in rs]) for (mode, _), rs in forms.items() if mode == "control"]
        best = f"{max(controls):.1f}" if controls else "-"
        for (mode, form), rs in sorted(forms.items()):
            pairs = [(r, cell["control", form, r["seed"]]) for r in rs if ("control", form, r["seed"]) in cell]
            ap = f"{100 * mean([r['ap'] for r in rs]):.1f}"
            row = [model, regime, steps, mode, form, len(rs), ap, "", "", "", best]
            if mode != "control" and pairs:
                gains = [100 * (a["ap"] - b["ap"]) for a, b in pairs]
                row[7:10] = [f"{mean(gains):+.1f}", interval(gains), f"{mean([100 * (a['ap75'] - b['ap75']) for a, b in pairs]):+.1f}"]
            print("| " + " | ".join(str(x) for x in row) + " |")


if __name__ == "__main__":
    main()
