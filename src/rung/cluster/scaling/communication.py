"""What it costs that all devices agree on the gradients: D bytes among n devices over links.

With B bytes a second and a latency of a seconds on a link:

- ring: 2 (n - 1) steps, each of D / n bytes to the neighbour (Patarasuk and Yuan 2009, "Bandwidth optimal
  all-reduce algorithms for clusters of workstations", section 4): 2 (n - 1) (D / (n B) + a). The slowest link
  on the way sets the pace.
- tree: a reduction up a binary tree and a broadcast down: 2 ceil(log2 n) (D / B + a).
- butterfly: pairs exchange at distances 1, 2, 4, ...: ceil(log2 n) (D / B + a).
- server: all send to one that sends back, one after the other: 2 (n - 1) D / B + 2 a.

Tree, butterfly and server are Paleo's schemes (section 3, communication; `paleo/comm.py` of its public code,
with a = 0). With several devices to a machine, tree and butterfly go over the levels inside a machine first
and then among one device of each machine; ring and server take the link between machines as soon as there are
two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from rung.cluster.scaling.hardware import Hardware, Link
from rung.errors import UserError


def levels(count: int) -> int:
    """ceil(log2(count)), by whole numbers."""
    return (count - 1).bit_length()


def _hop(size: float, link: Link, part: float) -> float:
    """Seconds for `size` bytes over a link of which `part` is achieved."""
    return size / (link.bandwidth * part) + link.latency


def machines(devices: int, hardware: Hardware) -> int:
    """Machines that hold so many devices."""
    return -(-devices // hardware.per_machine)


def _slowest(devices: int, hardware: Hardware) -> Link:
    """The link that sets the pace of what goes round all devices."""
    if devices <= hardware.per_machine:
        return hardware.inside
    if hardware.per_machine == 1:
        return hardware.between
    return min(hardware.inside, hardware.between, key=lambda link: link.bandwidth)


def _ring(size: float, devices: int, hardware: Hardware) -> float:
    part = hardware.device.part("communication")
    return 2 * (devices - 1) * _hop(size / devices, _slowest(devices, hardware), part)


def _server(size: float, devices: int, hardware: Hardware) -> float:
    link, part = _slowest(devices, hardware), hardware.device.part("communication")
    return 2 * _hop((devices - 1) * size, link, part)


def _butterfly(size: float, devices: int, hardware: Hardware) -> float:
    part = hardware.device.part("communication")
    inside = levels(min(devices, hardware.per_machine))
    between = levels(machines(devices, hardware))
    return inside * _hop(size, hardware.inside, part) + between * _hop(size, hardware.between, part)


def _tree(size: float, devices: int, hardware: Hardware) -> float:
    return 2 * _butterfly(size, devices, hardware)


SCHEMES: Final[Mapping[str, Callable[[float, int, Hardware], float]]] = {
    "ring": _ring,
    "tree": _tree,
    "butterfly": _butterfly,
    "server": _server,
}


def all_reduce_seconds(size: float, devices: int, hardware: Hardware, scheme: str = "ring") -> float:
    """Seconds until all of `devices` have the sum of their `size` bytes; 0 for one.

    Raises:
        UserError: an unknown scheme.
    """
    if scheme not in SCHEMES:
        raise UserError(f"unknown scheme of communication {scheme!r}: known are {', '.join(SCHEMES)}")
    return 0.0 if devices == 1 or size == 0 else SCHEMES[scheme](size, devices, hardware)
