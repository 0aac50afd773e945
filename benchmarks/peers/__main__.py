"""Makes the peers' environments: `python -m benchmarks.peers [NAME ...]`, or `make peers PEERS="NAME ..."`.

One that cannot be installed is reported with the reason; the others are made all the same. The exit code is 1
if any is not there in the end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from benchmarks.peers import PEERS, Peer
from benchmarks.peers.call import home

CANNOT: Final = "CANNOT BE INSTALLED"


def main() -> int:
    """Make those asked for that are not there yet, say what came of each; 1 if one could not be made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PEERS)}; all of them if none is named")
    names = parser.parse_args().names or list(PEERS)
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        parser.error(f"unknown peers: {', '.join(unknown)}; there are {', '.join(PEERS)}")
    failed = []
    for name in names:
        outcome = make(PEERS[name])
        print(f"{name:12} {outcome}", flush=True)
        if outcome.startswith(CANNOT):
            failed.append(name)
    if failed:
        print(f"{len(failed)} of {len(names)} are not there: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def make(peer: Peer) -> str:
    """Make one environment, and say in a line what came of it."""
    folder = home() / peer.name
    done = folder / "installed.txt"
    if done.exists() and done.read_text() == _wanted(peer):
        return "is there already"
    try:
        venv.create(folder, with_pip=True, clear=True)
        python = folder / "bin" / "python"
        command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
        subprocess.run([*command, *peer.requirements], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        return f"{CANNOT}: {_reason(error)}"
    done.write_text(_wanted(peer))
    return f"installed in {_shown(folder)}: {peer.note}"


def _wanted(peer: Peer) -> str:
    return "\n".join((sys.version.split()[0], *peer.requirements))


def _reason(error: subprocess.CalledProcessError) -> str:
    """The first line of pip's that says what is wrong."""
    lines = [line.strip() for line in (error.stderr or error.stdout or "").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return ((errors or lines[-1:] or [str(error)])[0])[:200]


def _shown(folder: Path) -> str:
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)


if __name__ == "__main__":
    sys.exit(main())
