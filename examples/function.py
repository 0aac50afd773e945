"""Tune a plain function: give rung the function, what may vary, and a budget.

python examples/function.py
"""

import math

import rung

space = {
    "x": rung.Float(-5.0, 10.0),
    "y": rung.Float(0.0, 15.0),
    "shape": rung.Choice({"flat": {}, "tilted": {"slope": rung.Float(0.01, 1.0, log=True)}}),
}


def branin(config):
    """Branin's function, with a slope that only makes it worse; its smallest value is 0.398."""
    x, y = config["x"], config["y"]
    value = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    value += 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
    return value + config.get("slope", 0.0) * abs(x)  # "slope" is there only where shape is "tilted"


if __name__ == "__main__":
    result = rung.tune(branin, space, trials=100, seed=0)
    print(f"best value {result.best.value:.3f} in trial {result.best.number}")
    print(f"configuration {result.best.config}")
