"""Devices, links between them, and what part of their peak a program achieves: a shipped table, or a file.

A file describes one installation:

    [device]
    name = "a100-sxm4-40gb"            # from the shipped table, or with peak and memory_bandwidth of its own
    [device.achieved]                  # parts of the peak; what is not said is as usual
    convolution = 0.55
    [machine]
    devices = 8
    [links]
    inside = "nvlink3"                 # from the shipped table, or {bandwidth = 3e11, latency = 5e-6}
    between = "ethernet-100g"
"""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec

from rung.errors import UserError

# What programs achieve of a peak, where nobody has measured it. Computing and communication are the platform
# percentages of peak of Paleo's experiments (0.62 and 0.72; section 4 and `scripts/` of its public code).
USUAL: Final = {"convolution": 0.62, "product": 0.62, "memory": 0.8, "communication": 0.72}


class Link(msgspec.Struct, frozen=True):
    """A way between devices: bytes a second in one direction, and seconds before the first arrives."""

    bandwidth: float
    latency: float = 0.0


class Device(msgspec.Struct, frozen=True):
    """What one device can do.

    Attributes:
        peak: floating point operations a second, by precision ("float32", "bfloat16", ...).
        memory_bandwidth: bytes a second.
        overhead: seconds that each operator takes beside its work.
        achieved: parts of the peak, by `Kind` and "communication"; `USUAL` where one is missing.
    """

    name: str
    peak: Mapping[str, float]
    memory_bandwidth: float
    overhead: float = 0.0
    achieved: Mapping[str, float] = {}

    def part(self, what: str) -> float:
        """The part of the peak that is achieved."""
        return self.achieved.get(what, USUAL[what])


class Hardware(msgspec.Struct, frozen=True):
    """Devices of one type: so many to a machine, with a link inside a machine and one between machines."""

    device: Device
    per_machine: int = 1
    inside: Link = Link(15.75e9, 5e-6)
    between: Link = Link(1.25e9, 30e-6)


class _Installation(msgspec.Struct, forbid_unknown_fields=True):
    """A hardware file as it is written."""

    device: dict[str, Any] = {}
    machine: dict[str, int] = {}
    links: dict[str, Any] = {}


@cache
def shipped() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """The shipped table: "device" and "link" to name to row; each row says its source."""
    return tomllib.loads(files(__package__).joinpath("hardware.toml").read_text(encoding="utf-8"))


def load_hardware(given: str) -> Hardware:
    """The hardware that a file describes, or a shipped device by its name (one to a machine),
    which may end before a hyphen where that is enough: "v100".

    Raises:
        UserError: there is no such file or device, or the file is not valid; the message says what and where.
    """
    devices, path = shipped()["device"], Path(given)
    begun = [name for name in devices if name.startswith(f"{given}-")]
    if given in devices or (len(begun) == 1 and not path.exists()):
        name = given if given in devices else begun[0]
        return Hardware(_device({"name": name}, name))
    if not path.is_file():
        raise UserError(
            f"there is no hardware file {given} and no device of this name: {_near(given, 'device')}; "
            "`rung plan --measure` writes a file for this machine"
        )
    try:
        raw = msgspec.toml.decode(path.read_bytes(), type=_Installation)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{given} is no hardware file: {error}") from error
    return _installed(raw, given)


def _installed(raw: _Installation, where: str) -> Hardware:
    extra = sorted(set(raw.machine) - {"devices"}) + sorted(set(raw.links) - {"inside", "between"})
    if extra:
        raise UserError(f"{where}: {extra[0]!r} is not known; machine has devices, links inside and between")
    per_machine = raw.machine.get("devices", 1)
    if per_machine < 1:
        raise UserError(f"{where}: a machine has at least 1 device, not {per_machine}")
    links = {name: load_link(row, f"{where}, links.{name}") for name, row in raw.links.items()}
    return Hardware(_device(raw.device, where), per_machine, **links)


def load_link(given: Any, where: str) -> Link:
    """A link by its name in the shipped table, or from {bandwidth, latency}.

    Raises:
        UserError: there is none of this name, or the numbers make no sense.
    """
    if isinstance(given, str):
        rows = shipped()["link"]
        if given not in rows:
            raise UserError(f"{where}: no link {given!r}: {_near(given, 'link')}")
        given = {name: rows[given][name] for name in ("bandwidth", "latency")}
    try:
        link = msgspec.convert(given, Link)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: {error}; write a shipped name, or {{bandwidth, latency}}") from error
    _positive(where, "bandwidth", link.bandwidth)
    if not 0.0 <= link.latency < math.inf:
        raise UserError(f"{where}: latency must be at least 0 seconds, not {link.latency}")
    return link


def _near(name: str, kind: str) -> str:
    """What is shipped of a kind, and what of it the name may have meant."""
    rows = shipped()[kind]
    begun = [row for row in rows if row.startswith(f"{name}-")]  # of the A100 there are two
    close = begun or difflib.get_close_matches(name, rows, 1)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return f"{hint}shipped are {', '.join(rows)}"


def _device(given: Mapping[str, Any], where: str) -> Device:
    """A device from a row, which a shipped one of the same name completes."""
    name = str(given.get("name", "device"))
    base = shipped()["device"].get(name, {})
    told = {key: value for key, value in base.items() if key not in ("title", "source")}
    row = {"name": name} | told | dict(given)
    if not base and not row.keys() >= {"peak", "memory_bandwidth"}:
        raise UserError(
            f"{where}: device: give peak, such as {{float32 = 1e13}}, and memory_bandwidth, or the name of a "
            f"shipped one: {_near(name, 'device')}"
        )
    try:
        device = msgspec.convert(row, Device)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: device: {error}") from error
    extra = sorted(set(row) - set(Device.__struct_fields__))
    unknown = sorted(set(device.achieved) - set(USUAL))
    if extra or unknown:
        raise UserError(f"{where}: device: {(extra + unknown)[0]!r} is not known")
    if not device.peak:
        raise UserError(f"{where}: device: peak has no precision, such as {{float32 = 1e12}}")
    for precision, peak in device.peak.items():
        _positive(where, f"peak.{precision}", peak)
    _positive(where, "memory_bandwidth", device.memory_bandwidth)
    for name, part in device.achieved.items():
        if not 0.0 < part < math.inf:
            raise UserError(f"{where}: achieved.{name} must be above 0, not {part}")
    return device


def _positive(where: str, name: str, value: float) -> None:
    if not 0.0 < value < math.inf:
        raise UserError(f"{where}: {name} must be above 0, not {value}")


def as_toml(hardware: Hardware) -> str:
    """The hardware as a file that `load_hardware` reads."""
    device = hardware.device
    lines = ["[device]", f"name = {json.dumps(device.name)}", f"peak = {_inline(device.peak)}"]
    lines += [f"memory_bandwidth = {device.memory_bandwidth:.6g}", f"overhead = {device.overhead:.6g}"]
    if device.achieved:
        lines += [f"achieved = {_inline(device.achieved)}"]
    lines += ["", "[machine]", f"devices = {hardware.per_machine}", "", "[links]"]
    for name in ("inside", "between"):
        lines.append(f"{name} = {_inline(msgspec.structs.asdict(getattr(hardware, name)))}")
    return "\n".join(lines) + "\n"


def _inline(row: Mapping[str, float]) -> str:
    return "{" + ", ".join(f"{name} = {value:.6g}" for name, value in row.items()) + "}"
