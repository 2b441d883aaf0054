"""What scripts/evidence_table.py and scripts/evidence_figures.py share: reading results.jsonl, and gains with intervals.

A place is (model, size, regime, start); a cell is a place and a number of steps. A cell has runs of forms: (mode, form).
"""
import collections
import dataclasses
import json
import math

# Two-sided 95 % points of Student's t for 1 to 30 degrees of freedom; 1.96 beyond.
T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
       2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042]
MODELS = ["solov2", "condinst", "sotr", "mask2former"]
SIZES = {"r18w16": "small"}  # the names of old lines
WANTED_SEEDS = 3             # a control of fewer seeds is not chosen as the best while another has more


def mean(values):
    return sum(values) / len(values)


def variance(values):
    m = mean(values)
    return sum((v - m) ** 2 for v in values) / (len(values) - 1)


def t95(degrees):
    """Of the next lower whole number of degrees of freedom, so that an interval is rather too wide."""
    whole = max(1, int(degrees))
    return T95[whole - 1] if whole <= len(T95) else 1.96


@dataclasses.dataclass
class Gain:
    """Difference of two sets of runs in points of a metric, with half the width of its 95 % interval (None of one seed)."""
    mean: float
    half: float | None
    seeds: int
    paired: bool

    @property
    def verdict(self):
        if self.half is None:
            return "one seed"
        if self.mean - self.half > 0:
            return "helps"
        return "loses" if self.mean + self.half < 0 else "open"

    def __str__(self):
        if self.half is None:
            return f"{self.mean:+.1f} (one seed)"
        return f"{self.mean:+.1f} [{self.mean - self.half:+.1f}, {self.mean + self.half:+.1f}]" + ("" if self.paired else " u")


def gain(runs, control, metric="ap"):
    """Of `runs` over `control`, {seed: run} each: paired over the seeds that both have; by Welch where fewer than two agree."""
    seeds = sorted(set(runs) & set(control))
    if len(seeds) >= 2 or (len(seeds) == 1 and min(len(runs), len(control)) == 1):
        differences = [100 * (runs[s][metric] - control[s][metric]) for s in seeds]
        half = None
        if len(seeds) >= 2:
            half = t95(len(seeds) - 1) * math.sqrt(variance(differences) / len(seeds))
        return Gain(mean(differences), half, len(seeds), True)
    a, b = ([100 * r[metric] for r in side.values()] for side in (runs, control))
    half = None
    if len(a) >= 2 and len(b) >= 2:
        va, vb = variance(a) / len(a), variance(b) / len(b)
        degrees = (va + vb) ** 2 / (va ** 2 / (len(a) - 1) + vb ** 2 / (len(b) - 1)) if va + vb > 0 else len(a) + len(b) - 2
        half = t95(degrees) * math.sqrt(va + vb)
    return Gain(mean(a) - mean(b), half, min(len(a), len(b)), False) if a and b else None


def read(path):
    """{place: {steps: {(mode, form): {seed: run}}}}; of two lines of one training the later counts."""
    places = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(dict)))
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            run = json.loads(line)
            start = run["start"] + (f" {run['base_steps']}" if run.get("base_steps") else "")
            place = run["model"], SIZES.get(run["size"], run["size"]), run["regime"], start
            places[place][run["steps"]][run["mode"], run["form"]][run["seed"]] = run
        except (ValueError, KeyError) as error:
            raise SystemExit(f"{path}:{number}: no line of results: {error!r}") from error
    return places


def ap(runs, metric="ap"):
    return 100 * mean([r[metric] for r in runs.values()])


def best_of(cell, mode):
    """(form, runs) of the highest mean AP; forms with fewer seeds than the others have, up to WANTED_SEEDS, are passed over."""
    forms = {form: runs for (m, form), runs in cell.items() if m == mode}
    if not forms:
        return None
    needed = min(WANTED_SEEDS, max(map(len, forms.values())))
    return max(((form, runs) for form, runs in sorted(forms.items()) if len(runs) >= needed), key=lambda item: ap(item[1]))


def cost(runs, control):
    """Ratio of the milliseconds a step, medians over runs; None where lines of old have none."""
    sides = [sorted(r["step_ms"] for r in side.values() if r.get("step_ms")) for side in (runs, control)]
    return sides[0][len(sides[0]) // 2] / sides[1][len(sides[1]) // 2] if all(sides) else None


def longer(cells, steps, form):
    """Change of the control of `form` with at least 30 % more steps, over the seeds of both: (points, steps) or None."""
    here = cells[steps].get(("control", form), {})
    for more in sorted(s for s in cells if s >= 1.3 * steps):
        there = cells[more].get(("control", form), {})
        seeds = sorted(set(here) & set(there))
        if seeds:
            return 100 * mean([there[s]["ap"] - here[s]["ap"] for s in seeds]), more
    return None


def control_at(cells, form, steps):
    """AP of the control of `form` after `steps`, between two cells linear in log(steps); None outside of what was trained."""
    known = sorted((s, ap(cell["control", form])) for s, cell in cells.items() if cell.get(("control", form)))
    for (low, ap_low), (high, ap_high) in zip(known, known[1:]):
        if low <= steps <= high:
            return ap_low + (ap_high - ap_low) * math.log(steps / low) / math.log(high / low)
    return None


def in_order(places):
    """(place, cells) by data set, number of images, model, size and start."""
    def key(item):
        model, size, regime, start = item[0]
        data, images = regime.rsplit("-", 1)
        return data, int(images) if images.isdigit() else math.inf, MODELS.index(model), size != "small", size, start
    return sorted(places.items(), key=key)
