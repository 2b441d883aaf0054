#!/usr/bin/env python3
"""Makes tests/fixtures/assignment.json: totals of scipy's linear_sum_assignment on formula-made costs.

Run by hand, in an environment with numpy and scipy. The formula for the costs is that of gen_fixtures_solov2.py, float32;
"floor" rounds them down, which makes ties.
"""
import json
import os

import numpy as np
import scipy
from scipy.optimize import linear_sum_assignment

from gen_fixtures_solov2 import fill

CASES = [  # name, rows, columns, low, high, floor
    ("square", 60, 60, -1, 1, False),
    ("wide", 20, 100, -5, 5, False),
    ("tall", 200, 37, 0, 1e6, False),
    ("ties", 80, 120, 0, 4, True),
    ("square-ties", 90, 90, -3, 3, True),
]


def main():
    cases = []
    for name, rows, columns, low, high, floor in CASES:
        cost = fill("assignment." + name, (rows, columns), low, high).numpy().astype(np.float64)
        cost = np.floor(cost) if floor else cost
        total = float(cost[linear_sum_assignment(cost)].sum())
        cases.append({"name": "assignment." + name, "rows": rows, "columns": columns, "low": low, "high": high,
                      "floor": floor, "total": total})
    folder = os.path.join(os.path.dirname(__file__), "..", "tests", "fixtures")
    with open(os.path.join(folder, "assignment.json"), "w") as file:
        json.dump({"made_by": f"scripts/gen_fixtures_assignment.py, scipy {scipy.__version__}", "cases": cases}, file, indent=1)
        file.write("\n")


main()
