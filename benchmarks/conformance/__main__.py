"""Makes docs/conformance.md from runs: `python -m benchmarks.conformance [--out FILE] [--only METHOD ...]`.

Rung is run for every rule; a peer where `make peers` has made its environment. What was found of a peer that
is not there is kept from the last run (benchmarks/data/conformance.jsonl).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.conformance import record
from benchmarks.conformance.page import page
from benchmarks.conformance.rules import RULES


def main() -> None:
    """Run the rules, keep what was found, write the page; a rule that rung breaks ends with exit code 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs/conformance.md"))
    parser.add_argument("--only", nargs="+", metavar="METHOD", choices=sorted({r.method for r in RULES}))
    arguments = parser.parse_args()
    records = record.read()
    broken = []
    for rule in RULES:
        if arguments.only is None or rule.method in arguments.only:
            for found in (record.ours(rule), *record.theirs(rule, records)):
                records[found.rule, found.who] = found
                print(f"{found.who:12} {found.agrees!s:6} {found.rule}: {found.text}", flush=True)
            if records[rule.key, record.OURS].agrees != (not rule.departs):
                broken.append(rule.key)
            record.write(records, RULES)
    arguments.out.write_text(page(RULES, records))
    if broken:
        raise SystemExit(f"rung does not keep: {', '.join(broken)}")


if __name__ == "__main__":
    main()
