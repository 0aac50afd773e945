"""`python -m benchmarks.data.tables record|pack|list [NAME ...]`."""

from __future__ import annotations

import argparse
import sys

from benchmarks.data.tables.recipes import recipes
from benchmarks.data.tables.record import pack, record
from benchmarks.entries import Unavailable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("record", "pack", "list"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="tables; all of them if none is named")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in recipes()]
    if unknown:
        parser.error(f"unknown tables: {', '.join(unknown)}; there are {', '.join(recipes())}")
    if arguments.what == "list":
        for name, made in recipes().items():
            print(f"{name:20} {made.what}")
        return
    for name in arguments.names or recipes():
        try:
            print(f"{(record if arguments.what == 'record' else pack)(name)} is written")
        except Unavailable as error:
            print(f"{name}: skipped, {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
