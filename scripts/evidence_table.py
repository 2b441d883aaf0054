#!/usr/bin/env python3
"""Says what data/evidence/results.jsonl shows: what helps, where, how much, at what cost.

usage: scripts/evidence_table.py [RESULTS]           prints Markdown; default data/evidence/results.jsonl
       scripts/evidence_table.py --write README      puts it between the README's markers, and draws the figures beside it
       scripts/evidence_table.py --check README      exit 1 unless README and figures are what --write would make

The results are those beside README unless RESULTS is given too.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import evidence_figures
from evidence_stats import WANTED_SEEDS, ap, best_of, control_at, cost, gain, in_order, longer, read

BEGIN, END = "<!-- begin: scripts/evidence_table.py -->", "<!-- end: scripts/evidence_table.py -->"
MODES = ["equi", "inter", "method"]
CONVERGED = 0.5  # AP that a third more steps may change

LEGEND = f"""Gains are in points of mask AP over the **best control**: the form (weight of the mask loss, learning rate)
whose mean AP over seeds is highest, with the same image forwards and steps, at the most steps that both were trained for. [..]
is the 95 % interval of Student's t over seeds, paired by seed; "u": seeds do not agree, by Welch instead. Chosen afterwards,
the best form of a method is a little flattered, and so is the best control. Bold: the interval is above zero. "cost" is the
time of a step over the control's; "equal time" the gain over the control after as many more steps as that takes. "longer" is
what at least a third more steps give the control, or gave it at the end of its longest training ("since"): below
{CONVERGED} it has converged."""


def markdown(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(x) for x in row) + " |" for row in rows])


def converged(cells, steps, form):
    """What more steps give the control; where it was trained no longer, what the last third of its steps gave."""
    change, since = longer(cells, steps, form), ""
    if change is None:
        for fewer in sorted((s for s in cells if 1.3 * s <= steps), reverse=True):
            change = longer({s: cells[s] for s in (fewer, steps)}, fewer, form)
            if change:
                since = f" since {fewer}"
                break
    if change is None:
        return "-"
    return f"{change[0]:+.1f}{since}" + ("" if abs(change[0]) < CONVERGED else " (not converged)")


def most_steps(cells):
    """The most steps that control and a method were trained for, with as many seeds as elsewhere (up to three)."""
    seeds = {}
    for steps, cell in cells.items():
        control, methods = best_of(cell, "control"), [best_of(cell, mode) for mode in MODES if best_of(cell, mode)]
        if control and methods:
            seeds[steps] = min(len(control[1]), max(len(runs) for _, runs in methods), WANTED_SEEDS)
    return max((s for s, n in seeds.items() if n == max(seeds.values())), default=None)


def equal_time(cells, steps, form, runs, ratio):
    reached = control_at(cells, form, steps * ratio) if ratio else None
    return "-" if reached is None else f"{ap(runs) - reached:+.1f}"


def summary(places):
    rows = []
    for (model, size, regime, start), cells in in_order(places):
        steps = most_steps(cells)
        if steps is None:
            continue
        cell = cells[steps]
        form, control = best_of(cell, "control")
        best = {mode: best_of(cell, mode) for mode in MODES if best_of(cell, mode)}
        gains = {mode: gain(runs, control) for mode, (_, runs) in best.items()}
        top = max(gains, key=lambda mode: gains[mode].mean)
        ratio = cost(best[top][1], control)
        rows.append([regime, model, size, start, steps, f"{ap(control):.1f} ({form}, {len(control)})"] +
                    [f"**{gains[m]}**" if m in gains and gains[m].verdict == "helps" else gains.get(m, "-") for m in MODES] +
                    [f"{gain(best[top][1], control, 'ap75').mean:+.1f}", f"{ratio:.2f}" if ratio else "-",
                     equal_time(cells, steps, form, best[top][1], ratio), converged(cells, steps, form)])
    header = ["data-images", "model", "size", "start", "steps", "best control: AP (form, seeds)", "equi", "inter", "both",
              "AP75 of the best", "cost", "equal time", "longer"]
    return markdown(header, rows)


def losers(places):
    """Forms whose mean is below the best control's, worst first."""
    lost = []
    for place, cells in places.items():
        for steps, cell in cells.items():
            best = best_of(cell, "control")
            for (mode, form), runs in cell.items():
                if mode in MODES and best:
                    change = gain(runs, best[1])
                    if change.mean < 0:
                        lost.append((change.mean, place, steps, mode, form, change))
    lost.sort(key=lambda row: row[:5])
    if not lost:
        return "None so far."
    return "\n".join(f"- {place[0]} {place[1]}, {place[2]}, {place[3]}, {steps} steps, {mode} ({form}): {change}"
                     for _, place, steps, mode, form, change in lost)


def error_shares(runs):
    """Class, localisation, missed: what mending each would add to AP50."""
    known = [r["tide"] for r in runs.values() if "tide" in r]
    if not known:
        return "-"
    return " / ".join(f"{100 * sum(t[k] for t in known) / len(known):.1f}" for k in ("class", "loc", "missed"))


def details(places):
    rows = []
    for (model, size, regime, start), cells in in_order(places):
        for steps, cell in sorted(cells.items()):
            best = best_of(cell, "control")
            for (mode, form), runs in sorted(cell.items(), key=lambda item: (item[0][0] in MODES, item[0])):
                row = [regime, model, size, start, steps, mode, form, len(runs), f"{ap(runs):.1f}", f"{ap(runs, 'ap75'):.1f}"]
                change = gain(runs, best[1]) if best and mode != "base" and (mode, form) != ("control", best[0]) else None
                same = cell.get(("control", form)) if mode in MODES else None
                row += [change or "", change.verdict if change else "best control" if mode == "control" and best else ""]
                row += [gain(runs, same) if same else "", error_shares(runs)]
                rows.append(row)
    header = ["data-images", "model", "size", "start", "steps", "mode", "form", "seeds", "AP", "AP75", "gain", "",
              "over the same form", "class / loc / missed"]
    return markdown(header, rows)


def report(places, figures):
    parts = [LEGEND, summary(places)]
    parts += [f"![{title}]({name})" for name, (title, _) in figures.items()]
    parts += ["### Losers", losers(places), "### Every form", details(places)]
    return "\n\n".join(parts) + "\n"


def with_section(text, section, path):
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{path}: needs the lines \"{BEGIN}\" and \"{END}\", once each")
    return text[:text.index(BEGIN)] + BEGIN + "\n" + section + text[text.index(END):]


def main(arguments):
    action = arguments.pop(0) if arguments[:1] in (["--write"], ["--check"]) else None
    readme = pathlib.Path(arguments.pop(0)) if action and arguments else None
    if (action and not readme) or len(arguments) > 1 or any(a.startswith("-") for a in arguments):
        print(__doc__, file=sys.stderr)
        return 64
    folder = readme.parent if readme else pathlib.Path("data/evidence")
    results = pathlib.Path(arguments[0]) if arguments else folder / "results.jsonl"
    if not results.exists():
        print(f"{results} is missing", file=sys.stderr)
        return 66
    places = read(results)
    figures = evidence_figures.draw(places)
    section = report(places, figures)
    if not action:
        print(section, end="")
        return 0
    wanted = {readme: with_section(readme.read_text(), section, readme)}
    wanted.update({readme.parent / name: svg for name, (_, svg) in figures.items()})
    if action == "--write":
        for path, text in wanted.items():
            path.write_text(text)
        return 0
    stale = [str(path) for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if stale:
        print(f"{', '.join(stale)}: not what {results} says; run scripts/evidence_table.py --write {readme}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
