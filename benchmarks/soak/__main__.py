"""Kill every part at random moments, until there were enough kills.

    make soak                        (python -m benchmarks.soak --kills 1000)
    python -m benchmarks.soak --kills 20 --scenes local,service

Each round is one search of 27 configurations that is killed until it is done; then its log is read: nothing
may be lost or doubled, every decision must derive again, and the best configuration must be the one that an
undisturbed search finds. A row a round in `rows.jsonl`; what has a row is not run again, so that it can be
stopped and started. The last line counts all rows.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.soak.objective import space, total
from benchmarks.soak.scenes import SCENES, Scene
from rung.space import compile_space

ROWS = Path(__file__).with_name("rows.jsonl")
_LIMIT = 300.0  # seconds a round, after which it is left alone to end
_SLOWER = 1.5  # times the pause between two kills, where the one before let nothing happen


def best_value(seed: int) -> float:
    """The incumbent's loss in an undisturbed search.

    At every epoch the smallest x is the best, so that successive halving keeps it to the end.
    """
    return total(min(row[0] for row in compile_space(space).samples(seed, 0, 27)), 9)


def _killed(running: Scene, choice: random.Random, until: float) -> None:
    """Kill parts till it is done, or till a time; on a slow machine less often, so that something happens."""
    slower, before = 1.0, -1.0
    while not running.done() and time.monotonic() < until:
        time.sleep(slower * choice.uniform(*running.pause))
        now = running.progress()
        slower, before = (1.0 if now > before else slower * _SLOWER), now
        name, part = choice.choice(list(running.parts().items()))
        if part(choice):
            running.kills[name.removesuffix(" again")] += 1
        running.mend()


def round_of(scene: type[Scene], seed: int) -> dict[str, Any]:
    """One search, killed until it is done."""
    choice = random.Random(f"{scene.name}-{seed}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rung-soak-") as folder:
        running = scene(Path(folder), seed)
        running.begin()
        try:
            _killed(running, choice, began + _LIMIT)
            while not running.done() and time.monotonic() < began + 2 * _LIMIT:
                running.mend()
                time.sleep(1.0)
        finally:
            running.close()
        found = running.verdict()
        running.remove()
        logs = {log.stem: log.read_text()[-2000:] for log in Path(folder).glob("*.log")}
    row = {
        "scene": scene.name,
        "seed": seed,
        "kills": dict(running.kills),
        "seconds": round(time.monotonic() - began, 1),
        "done": found.done,
        "trials": found.trials,
        "best": found.best,
        "lost": found.lost,
        "doubled": found.doubled,
        "differences": found.differences,
        "same_best": found.best == best_value(seed),
    }
    if not found.done:
        row["logs"] = logs
    return row


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


def counted(found: list[dict[str, Any]]) -> dict[str, Any]:
    """All rows in one line."""
    kills: Counter[str] = Counter()
    for row in found:
        kills.update(row["kills"])
    return {
        "rounds": len(found),
        "done": sum(row["done"] for row in found),
        "kills": kills.total(),
        "by_part": dict(kills),
        "lost": sum(row["lost"] for row in found),
        "doubled": sum(row["doubled"] for row in found),
        "differences": sum(row["differences"] for row in found),
        "other_best": sum(not row["same_best"] for row in found),
    }


def good(found: dict[str, Any]) -> bool:
    """Whether nothing went wrong."""
    bad = ("lost", "doubled", "differences", "other_best")
    return found["done"] == found["rounds"] and not any(found[name] for name in bad)


def soak(kills: int, scenes: list[str], keep: bool) -> list[dict[str, Any]]:
    """Rounds, scene after scene, until there were so many kills."""
    found = [row for row in rows() if row["scene"] in scenes] if keep else []
    done = {(row["scene"], row["seed"]) for row in found}
    seed = 0
    while counted(found)["kills"] < kills:
        for name in scenes:
            if (name, seed) in done or counted(found)["kills"] >= kills:
                continue
            row = round_of(SCENES[name], seed)
            found.append(row)
            if keep:
                with ROWS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            shown = {key: value for key, value in row.items() if key != "logs"}
            print(json.dumps(shown), f"({counted(found)['kills']} of {kills} kills)", flush=True)
        seed += 1
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--scenes", default=",".join(SCENES), help="of " + ", ".join(SCENES))
    parser.add_argument("--again", action="store_true", help="begin anew, and keep no rows")
    given = parser.parse_args()
    scenes = given.scenes.split(",")
    unknown = [name for name in scenes if name not in SCENES]
    if unknown:
        parser.error(f"unknown scene {unknown[0]!r}: say some of {', '.join(SCENES)}")
    found = counted(soak(given.kills, scenes, not given.again))
    print(json.dumps(found))
    return 0 if good(found) else 1


if __name__ == "__main__":
    sys.exit(main())
