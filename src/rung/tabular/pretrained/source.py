"""Which folder a pretrained model lies in, what kind it is, and whether it is the same one still."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rung.errors import DataError

HOME: Final = "RUNG_PRETRAINED"
"""The environment variable that names a folder of pretrained models."""
_WEIGHTS: Final = (".safetensors", ".bin", ".pt")
_SAID: Final = ("config.json", "modules.json", "preprocessor_config.json", "tokenizer_config.json")
_PIECE: Final = 65_536  # bytes of a file of weights that are looked at, at each of three places


@dataclass
class Source:
    """A pretrained model on disk, as a model file remembers it.

    Attributes:
        path: of the folder, or of the TorchScript file, absolute, when it was fitted with.
        fingerprint: of its configuration and weights, in hex.
    """

    path: str
    fingerprint: str

    @property
    def name(self) -> str:
        """The folder's own name."""
        return Path(self.path).name

    def find(self, column: str) -> Path:
        """Where the model lies now: where it was, else under its name in `$RUNG_PRETRAINED`.

        Raises:
            DataError: it is at neither place, or another model is.
        """
        places = [Path(self.path), *_at_home(self.name)]
        there = [place for place in places if place.exists()]
        for place in there:
            if fingerprint(place) == self.fingerprint:
                return place
        if there:
            raise DataError(
                f"column {column!r} needs the pretrained model {self.name} that rung fit was given, and "
                f"{there[0]} holds another one; put the first one back, or set {HOME} to the folder that "
                "holds it"
            )
        raise DataError(
            f"column {column!r} needs the pretrained model {self.name}, which is no longer at {self.path}; "
            f"copy it there, or set {HOME} to the folder that holds {self.name}"
        )


def locate(folder: str, column: str) -> Source:
    """The pretrained model that a user named for a column.

    Raises:
        DataError: there is no such folder, or it holds no model.
    """
    places = [Path(folder).expanduser(), *_at_home(folder)]
    place = next((one for one in places if one.exists()), None)
    if place is None:
        also = f", and none in {os.environ[HOME]}" if os.environ.get(HOME) else ""
        raise DataError(
            f"--embed {column}={folder}: there is no folder {folder}{also}; name a folder with a pretrained "
            "model (rung downloads none)"
        )
    kind_of(place)
    return Source(str(place.resolve()), fingerprint(place))


def kind_of(place: Path) -> str:
    """How the model is loaded: "sentence", "transformers" or "torchscript".

    Raises:
        DataError: there is no model that rung can load.
    """
    if place.is_file():
        if place.suffix == ".pt":
            return "torchscript"
        raise DataError(f"{place} is a file and no TorchScript (.pt); name the folder of a pretrained model")
    if (place / "modules.json").is_file():
        return "sentence"
    if (place / "config.json").is_file() and "model_type" in read_json(place / "config.json"):
        return "transformers"
    scripts = sorted(place.glob("*.pt"))
    if len(scripts) == 1:
        return "torchscript"
    raise DataError(
        f"{place} holds no pretrained model: it needs a config.json with model_type (transformers), a "
        "modules.json (sentence-transformers) or one TorchScript file *.pt"
    )


def script_of(place: Path) -> Path:
    """The TorchScript file of such a model."""
    return place if place.is_file() else next(iter(sorted(place.glob("*.pt"))))


def read_json(path: Path) -> Any:
    """What a JSON file holds; an empty mapping if it is not there.

    Raises:
        DataError: it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read ({error}); copy the pretrained model again") from error


def fingerprint(place: Path) -> str:
    """SHA-256 of the configuration, and of the name, size and three pieces of each file of weights.

    Reading gigabytes at every prediction would take longer than predicting; another training of the same
    architecture differs in the pieces too.
    """
    digest = hashlib.sha256()
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    for path in files:
        if path.name in _SAID or path.suffix in _WEIGHTS:
            inner = path.name if path == place else path.relative_to(place).as_posix()
            digest.update(f"{inner}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes() if path.suffix == ".json" else _pieces(path))
    return digest.hexdigest()[:32]


def _pieces(path: Path) -> bytes:
    """The start, the middle and the end of a file."""
    size = path.stat().st_size
    found = b""
    with path.open("rb") as file:
        for start in (0, size // 2, max(0, size - _PIECE)):
            file.seek(start)
            found += file.read(_PIECE)
    return found


def _at_home(name: str) -> list[Path]:
    home = os.environ.get(HOME)
    return [Path(home) / Path(name).name] if home else []
