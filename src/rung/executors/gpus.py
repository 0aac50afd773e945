"""Which GPUs there are to share out, without importing what drives them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_DEVICE = re.compile(r"nvidia(\d+)")


def visible_gpus(
    environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")
) -> tuple[str, ...]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them.

    Those that the variable lists, up to the first that is none, as CUDA reads it; without the variable all
    that the system has a device file for (Linux).
    """
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        found = [_DEVICE.fullmatch(path.name) for path in devices.glob("nvidia*")]
        return tuple(sorted((match[1] for match in found if match), key=int))
    names: list[str] = []
    for name in (part.strip() for part in listed.split(",")):
        if not name or name.startswith("-"):
            break
        names.append(name)
    return tuple(names)
