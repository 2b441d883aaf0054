"""The figures of scripts/evidence_table.py, as SVG text that follows the reader's light or dark setting."""
import html
import math

from evidence_stats import MODELS, ap, best_of, gain, in_order

STYLE = """<style>
  svg { --paper: #fcfcfb; --ink: #0b0b0b; --soft: #52514e; --line: #e1e0d9;
        --c0: #52514e; --c1: #2a78d6; --c2: #eb6834; --c3: #1baf7a; --c4: #eda100; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #1a1a19; --ink: #ffffff; --soft: #c3c2b7; --line: #2c2c2a;
          --c0: #c3c2b7; --c1: #3987e5; --c2: #d95926; --c3: #199e70; --c4: #c98500; }
  }
  text { font: 11px system-ui, sans-serif; fill: var(--soft); }
  .title { font-size: 12px; fill: var(--ink); }
  .paper { fill: var(--paper); }
  .rule { stroke: var(--line); }
  .zero { stroke: var(--soft); }
</style>"""
WIDTH, HEIGHT, LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 270, 210, 38, 34, 220, 130  # of one panel
MODEL_COLOUR = {model: 1 + i for i, model in enumerate(MODELS)}


class Panel:
    """A plot whose x are places 0..n-1 with labels and whose y spans what it is given."""

    def __init__(self, title, x_labels, values, unit, include_zero=False):
        low, high = min(values + [0] * include_zero), max(values + [0] * include_zero)
        self.step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50) if (high - low) / s <= 5)
        self.low = self.step * math.floor(low / self.step)
        self.high = max(self.step * math.ceil(high / self.step), self.low + self.step)
        self.count = len(x_labels)
        self.parts = [f'<text class="title" x="{LEFT}" y="14">{html.escape(title)}</text>',
                      f'<text x="{LEFT}" y="27">{html.escape(unit)}</text>']
        tick = self.low
        while tick <= self.high + 1e-9:
            kind = "zero" if include_zero and abs(tick) < 1e-9 else "rule"
            y = self.y(tick)
            self.parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{LEFT + PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
            self.parts.append(f'<text text-anchor="end" x="{LEFT - 5}" y="{y + 4:.1f}">{tick:g}</text>')
            tick += self.step
        for i, label in enumerate(x_labels):
            self.parts.append(f'<text text-anchor="middle" x="{self.x(i):.1f}" y="{TOP + PLOT_HEIGHT + 16}">'
                              f'{html.escape(str(label))}</text>')

    def x(self, place):
        return LEFT + PLOT_WIDTH * (place + 0.5) / self.count

    def y(self, value):
        return TOP + PLOT_HEIGHT * (self.high - value) / (self.high - self.low)

    def series(self, points, colour, name, halves=None, shift=0, dashed=False):
        """Points (place, value), joined; with `halves` a bar of that half length through each."""
        at = [(self.x(place) + shift, self.y(value)) for place, value in points]
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self.parts.append(f'<polyline fill="none" stroke="var(--c{colour})" stroke-width="2"{dash} points="' +
                          " ".join(f"{x:.1f},{y:.1f}" for x, y in at) + '"/>')
        for (x, y), (_, value), half in zip(at, points, halves or [None] * len(at)):
            if half is not None:
                top, bottom = (min(max(self.y(value + s * half), TOP), TOP + PLOT_HEIGHT) for s in (1, -1))
                self.parts.append(f'<line stroke="var(--c{colour})" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" '
                                  f'y2="{bottom:.1f}"/>')
            self.parts.append(f'<circle fill="var(--c{colour})" stroke="var(--paper)" cx="{x:.1f}" cy="{y:.1f}" r="4">'
                              f'<title>{html.escape(name)}: {value:.1f}</title></circle>')


def legend(names, y):
    parts, x = [], LEFT
    for name, colour, dashed in names:
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        parts.append(f'<line stroke="var(--c{colour})" stroke-width="2"{dash} x1="{x}" x2="{x + 18}" y1="{y - 4}" '
                     f'y2="{y - 4}"/><text x="{x + 23}" y="{y}">{html.escape(name)}</text>')
        x += 40 + 7 * len(name)
    return "".join(parts)


def page(panels, names, title):
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    width, height = max(columns * WIDTH, 2 * WIDTH), rows * HEIGHT + 24
    body = "\n".join(f'<g transform="translate({WIDTH * (i % columns)} {HEIGHT * (i // columns)})">{"".join(p.parts)}</g>'
                     for i, p in enumerate(panels))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">\n'
            f'<title>{html.escape(title)}</title>\n{STYLE}\n<rect class="paper" width="{width}" height="{height}"/>\n{body}\n'
            f'{legend(names, height - 10)}\n</svg>\n')


def over_steps(places):
    """A panel for each place whose control and equi were trained for two numbers of steps and more; None without any."""
    panels = []
    for (model, size, regime, start), cells in in_order(places):
        steps = sorted(s for s, cell in cells.items() if best_of(cell, "control") and best_of(cell, "equi"))
        if len(steps) < 2:
            continue
        curves = [[ap(best_of(cells[s], mode)[1]) for s in steps] for mode in ("control", "equi")]
        title = ", ".join([model, regime] + [size] * (size != "small") + [start] * (start != "scratch"))
        panel = Panel(title, steps, curves[0] + curves[1], "AP by steps of training")
        for curve, colour, name in zip(curves, (0, 1), ("best control", "equi")):
            panel.series(list(enumerate(curve)), colour, name, dashed=colour == 0)
        panels.append(panel)
    return page(panels, [("best control", 0, True), ("equi", 1, False)], TITLES["ap-over-steps.svg"]) if panels else None


def by_images(places):
    """A panel for each data set: gain of equi over the best control by number of images, at the most steps trained for."""
    found = {}  # data set -> {model: {images: gain}}
    for (model, size, regime, start), cells in in_order(places):
        steps = [s for s, cell in cells.items() if best_of(cell, "control") and best_of(cell, "equi")]
        if size == "small" and start == "scratch" and steps:
            cell = cells[max(steps)]
            data, images = regime.rsplit("-", 1)
            change = gain(best_of(cell, "equi")[1], best_of(cell, "control")[1])
            found.setdefault(data, {}).setdefault(model, {})[images] = change
    panels = []
    for data, models in sorted(found.items()):
        images = sorted({i for gains in models.values() for i in gains}, key=lambda i: int(i) if i.isdigit() else math.inf)
        ends = [g.mean + s * min(g.half or 0, 4) for gains in models.values() for g in gains.values() for s in (-1, 1)]
        panel = Panel(data, images, ends, "gain in AP by training images", include_zero=True)
        for k, (model, gains) in enumerate(sorted(models.items(), key=lambda item: MODELS.index(item[0]))):
            points = [(p, gains[i]) for p, i in enumerate(images) if i in gains]
            panel.series([(p, g.mean) for p, g in points], MODEL_COLOUR[model], model, [g.half for _, g in points],
                         8 * (k - (len(models) - 1) / 2))
        panels.append(panel)
    used = [m for m in MODELS if any(m in models for models in found.values())]
    return page(panels, [(m, MODEL_COLOUR[m], False) for m in used], TITLES["gain-by-images.svg"]) if panels else None


TITLES = {"ap-over-steps.svg": "AP over steps, each a training of its own to the end of its schedule",
          "gain-by-images.svg": "Gain of the equivariance term over the best control, with 95 % intervals over seeds"}


def draw(places):
    """{file name: (title, SVG)} of the figures for which there are results."""
    drawn = {"ap-over-steps.svg": over_steps(places), "gain-by-images.svg": by_images(places)}
    return {name: (TITLES[name], svg) for name, svg in drawn.items() if svg}
