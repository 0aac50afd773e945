"""What a suggestion costs, beside the peers' in the same run: `python -m benchmarks.samplers [options]`.

After 100, 1,000 and 10,000 observations of 10 parameters (7 numbers, 3 categories), by one thread: the median
over suggestions with one more result before each, the sampler's fold of it included. Then what a decision of
each scheduler costs after 1,000, 10,000 and 100,000 results. Peers are measured where `make peers` has made
their environments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from benchmarks.rows import Row, show
from benchmarks.samplers.decisions import NAMES, decision_rows
from benchmarks.samplers.entries import ENTRIES, rows_of
from rung.errors import StudyError


def main() -> None:
    """Measure what is asked for, and print it."""
    samplers = [entry.name for entry in ENTRIES]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[*samplers, *NAMES], default=None)
    parser.add_argument("--quick", action="store_true", help="few repeats, no more than 1,000 observations")
    arguments = parser.parse_args()
    print(show(list(_rows(arguments.only, arguments.quick)), as_json=arguments.json))


def _rows(only: list[str] | None, quick: bool) -> Iterator[Row]:
    for entry in ENTRIES:
        if only is None or entry.name in only:
            try:
                yield from rows_of(entry, quick)
            except StudyError as error:  # it needs an extra that is not installed
                print(f"{entry.name} is left out: {error}", file=sys.stderr)
    for name in NAMES:
        if only is None or name in only:
            yield from decision_rows(name, quick)


if __name__ == "__main__":
    main()
