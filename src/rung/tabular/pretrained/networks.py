"""Pretrained networks, loaded from a local folder: nothing is downloaded, no code of the folder's is run.

Hugging Face models are loaded with `local_files_only` and without remote code, sentence-transformers' modules
are read by hand where they are the common ones, TorchScript runs in PyTorch's own interpreter.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import DataError, UserError
from rung.tabular.pretrained.cells import IMAGENET, pixels_of
from rung.tabular.pretrained.huggingface import from_transformers
from rung.tabular.pretrained.libraries import first_line, library, quietly
from rung.tabular.pretrained.network import IMAGE, Network
from rung.tabular.pretrained.sentence import from_sentence_transformers
from rung.tabular.pretrained.source import Source, kind_of, script_of
from rung.tabular.pretrained.tuning import Weights, digest_of, put


def load(source: Source, column: str, tuned: Weights | None = None) -> Network:
    """The network that a column is embedded with.

    Args:
        tuned: what fine-tuning changed; such a network lies beside the frozen one in memory.

    Raises:
        DataError: it is not where it was, or cannot be loaded.
        UserError: a library is missing.
    """
    place = source.find(column)
    if not tuned:
        return _loaded(place, source.fingerprint)
    network = _loaded(place, source.fingerprint, digest_of(tuned))
    put(network, tuned)
    return network


def load_libraries() -> None:
    """Import what takes seconds to import, if it is there, so that it can be done beside other work."""
    for name in ("torch", "transformers"):
        with suppress(ImportError, UserError):  # said where it is needed
            library(name)
    with suppress(ImportError, AttributeError):
        from transformers import AutoModel, AutoTokenizer  # noqa: F401


@lru_cache(maxsize=4)
def _loaded(place: Path, fingerprint: str, tuned: str = "") -> Network:
    """By fingerprint too: the folder may hold another model later; and by what is tuned in it."""
    kind = kind_of(place)
    if kind != "torchscript":
        library("transformers")
    with quietly():
        match kind:
            case "torchscript":
                return _torchscript(script_of(place))
            case "sentence":
                return from_sentence_transformers(place)
            case _:
                return from_transformers(place)


def _torchscript(file: Path) -> Network:
    torch = library("torch")
    try:
        model = torch.jit.load(str(file), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"{file} is no TorchScript file that this PyTorch reads ({first_line(error)}); write it with "
            "torch.jit.save"
        ) from error

    def run(images: Sequence[Any]) -> Any:
        found = model(torch.from_numpy(np.stack([pixels_of(image, IMAGENET) for image in images])))
        found = found[0] if isinstance(found, tuple | list) else found
        return found.flatten(1) if found.ndim != 4 else found.mean((2, 3))

    return Network({IMAGE: run}, module=model)
