"""The peers, each at the setting that it recommends, as systems: those that their scripts name."""

from __future__ import annotations

from functools import partial
from typing import Final

from benchmarks.peers import PEERS
from benchmarks.systems import System
from benchmarks.systems.clock import search


def _system(peer: str, note: str, model: str, multi_fidelity: bool = True, option: str = "") -> System:
    run = partial(search, peer=peer, multi_fidelity=multi_fidelity, option=option)
    return System(run, note, model, multi_fidelity)


ENTRIES: Final = {
    name: _system(peer.name, **about) for peer in PEERS.values() for name, about in peer.systems.items()
}
