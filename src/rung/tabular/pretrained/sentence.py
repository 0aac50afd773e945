"""sentence-transformers' folders: the common modules read by hand, others by the package.

By hand first, so that a model file embeds the same where the package is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from rung.errors import DataError
from rung.tabular.pretrained.huggingface import auto, longest_of, mean, states_of, tokenizer
from rung.tabular.pretrained.libraries import first_line, library
from rung.tabular.pretrained.network import TEXT, Network
from rung.tabular.pretrained.source import read_json


def from_sentence_transformers(place: Path) -> Network:
    """Transformer, pooling and normalisation by hand; other modules by the package."""
    parts = {str(part["type"]).rpartition(".")[2]: place / part["path"] for part in _modules(place)}
    if set(parts) - {"Transformer", "Pooling", "Normalize"} or "Transformer" not in parts:
        return _by_package(place)
    home = parts["Transformer"]
    tokens, model = tokenizer(home), auto(home, "AutoModel")
    states = states_of(model, tokens, longest_of(model, tokens, home))
    ways = _poolings(read_json(parts["Pooling"] / "config.json")) if "Pooling" in parts else ["mean"]
    if set(ways) - set(_POOL):
        return _by_package(place)

    def run(texts: Sequence[str]) -> Any:
        torch = library("torch")

        hidden, mask = states(texts)
        found = torch.cat([_POOL[way](hidden, mask) for way in ways], dim=1)
        return torch.nn.functional.normalize(found, dim=1) if "Normalize" in parts else found

    return Network({TEXT: run}, module=model)


def _modules(place: Path) -> list[dict[str, Any]]:
    found = read_json(place / "modules.json")
    whole = isinstance(found, list) and all(isinstance(x, dict) and {"type", "path"} <= set(x) for x in found)
    if not whole:
        raise DataError(f"{place / 'modules.json'} does not list the model's modules; copy the folder again")
    return list(found)


def _poolings(settings: dict[str, Any]) -> list[str]:
    """The ways of pooling, in the order in which the package puts them."""
    if isinstance(settings.get("pooling_mode"), str):
        return [settings["pooling_mode"]]
    flags = {
        "pooling_mode_cls_token": "cls",
        "pooling_mode_max_tokens": "max",
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
        "pooling_mode_weightedmean_tokens": "weightedmean",
        "pooling_mode_lasttoken": "lasttoken",
    }
    return [way for flag, way in flags.items() if settings.get(flag)] or ["mean"]


_POOL: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "mean": mean,
    "cls": lambda states, mask: states[:, 0],
    "max": lambda states, mask: states.masked_fill(mask.unsqueeze(-1) == 0, -1e9).amax(1),
    "mean_sqrt_len_tokens": lambda states, mask: (
        mean(states, mask) * mask.sum(1, keepdim=True).to(states.dtype).sqrt()
    ),
}


def _by_package(place: Path) -> Network:
    package = library("sentence_transformers", "pip install sentence-transformers")

    try:
        model = package.SentenceTransformer(
            str(place), local_files_only=True, trust_remote_code=False, device="cpu"
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise DataError(f"{place} cannot be loaded ({first_line(error)}); copy the folder whole") from error

    def run(texts: Sequence[str]) -> Any:
        return model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False)

    return Network({TEXT: run})
