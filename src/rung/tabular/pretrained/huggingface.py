"""Hugging Face models of texts and of images, loaded from a local folder without any code of the folder's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from rung.errors import DataError
from rung.tabular.pretrained.cells import IMAGENET, pixels_of
from rung.tabular.pretrained.libraries import first_line, library
from rung.tabular.pretrained.network import IMAGE, TEXT, Network, Run
from rung.tabular.pretrained.source import read_json

_MOST_TOKENS: Final = 512


def from_transformers(place: Path) -> Network:
    settings = read_json(place / "config.json")
    if {"text_config", "vision_config"} <= set(settings):
        return _both(place)
    if _sees(settings, place):
        model, run = _vision(place)
        return Network({IMAGE: run}, _head(place, settings, IMAGE), model)
    tokens, model = tokenizer(place), auto(place, "AutoModel")
    states = states_of(model, tokens, longest_of(model, tokens, place))
    return Network({TEXT: lambda texts: mean(*states(texts))}, _head(place, settings, TEXT), model)


def _sees(settings: dict[str, Any], place: Path) -> bool:
    """Whether the model takes images."""
    looks = {"image_size", "patch_size", "num_channels"} & set(settings)
    return "vocab_size" not in settings and bool(looks or (place / "preprocessor_config.json").is_file())


def auto(place: Path, name: str) -> Any:
    """The model by one of transformers' Auto classes, all of its weights being there.

    Raises:
        DataError: it cannot be loaded, or weights are missing: they would be random.
    """
    transformers = library("transformers")

    try:
        model, told = getattr(transformers, name).from_pretrained(
            str(place), local_files_only=True, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise DataError(
            f"the pretrained model in {place} cannot be loaded ({first_line(error)}); copy the folder whole, "
            "weights and tokenizer too"
        ) from error
    missing = sorted(key for key in told.get("missing_keys", ()) if "pooler" not in key)
    if missing:
        raise DataError(
            f"the pretrained model in {place} lacks weights ({missing[0]} and {len(missing) - 1} others): it "
            "would be random; copy the folder whole"
        )
    return model.float().eval()


def tokenizer(place: Path) -> Any:
    transformers = library("transformers")

    try:
        tokens = transformers.AutoTokenizer.from_pretrained(
            str(place), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise DataError(
            f"{place} has no tokenizer that can be loaded ({first_line(error)}); copy tokenizer.json or "
            "vocab.txt too"
        ) from error
    if tokens.pad_token is None:
        tokens.pad_token = tokens.eos_token
    return tokens


def longest_of(model: Any, tokens: Any, place: Path) -> int:
    """Tokens of a text that are read."""
    said = read_json(place / "sentence_bert_config.json").get("max_seq_length")
    places = getattr(model.config, "max_position_embeddings", None)
    limits = [_MOST_TOKENS, said, tokens.model_max_length, places and places - _kept_places(model)]
    return int(min(x for x in limits if x))


def _kept_places(model: Any) -> int:
    """Positions that stand for no token: RoBERTa's begin after that of padding."""
    for name, part in model.named_modules():
        if name.endswith("position_embeddings"):
            padding = getattr(part, "padding_idx", None)
            return 0 if padding is None else int(padding) + 1
    return 0


def states_of(model: Any, tokens: Any, longest: int) -> Callable[[Sequence[str]], tuple[Any, Any]]:
    """From texts to the last hidden states (n, t, d) and the mask (n, t)."""
    encoder = model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model

    def run(texts: Sequence[str]) -> tuple[Any, Any]:
        batch = tokens(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        return encoder(**batch).last_hidden_state, batch["attention_mask"]

    return run


def mean(states: Any, mask: Any) -> Any:
    """The mean over a text's tokens: (n, d)."""
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1).clamp(min=1e-9)


def _vision(place: Path) -> tuple[Any, Run]:
    model, look = auto(place, "AutoModel"), _processor(place)
    marked = any("cls_token" in name or "class_embedding" in name for name, _ in model.named_parameters())

    def run(images: Sequence[Any]) -> Any:
        states = model(pixel_values=look(images)).last_hidden_state
        if states.ndim == 4:  # a convolutional network's maps: (n, c, h, w)
            return states.mean((2, 3))
        return states[:, 0] if marked else states.mean(1)  # a pooler may be untrained: it is not used

    return model, run


def _processor(place: Path) -> Run:
    """From images to what the model takes: as the folder says, else as ImageNet's models have it."""
    torch = library("torch")

    if not (place / "preprocessor_config.json").is_file():
        settings = read_json(place / "config.json")
        size = settings.get("vision_config", settings).get("image_size", IMAGENET["side"])
        recipe = {**IMAGENET, "side": size if isinstance(size, int) else size[0]}
        return lambda images: torch.from_numpy(np.stack([pixels_of(image, recipe) for image in images]))
    transformers = library("transformers")

    try:
        made = transformers.AutoImageProcessor.from_pretrained(
            str(place), local_files_only=True, trust_remote_code=False, use_fast=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise DataError(
            f"{place / 'preprocessor_config.json'} cannot be used ({first_line(error)}); copy it again"
        ) from error
    return lambda images: made(images=list(images), return_tensors="pt")["pixel_values"]


def _both(place: Path) -> Network:
    """A model of texts and images, such as CLIP."""
    model, tokens, look = auto(place, "AutoModel"), tokenizer(place), _processor(place)
    places = model.config.text_config.max_position_embeddings
    longest = min(_MOST_TOKENS, int(tokens.model_max_length), places)

    def read(texts: Sequence[str]) -> Any:
        batch = tokens(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        return _pooled(model.get_text_features(**batch))

    return Network(
        {TEXT: read, IMAGE: lambda images: _pooled(model.get_image_features(pixel_values=look(images)))},
        module=model,
    )


def _pooled(found: Any) -> Any:
    """What transformers 5 returns inside an output, and transformers 4 as it is."""
    return getattr(found, "pooler_output", found)


def _head(place: Path, settings: dict[str, Any], what: str) -> Run | None:
    """The source's own classifier, where the folder has one."""
    heads = {TEXT: "ForSequenceClassification", IMAGE: "ForImageClassification"}
    named = (settings.get("architectures") or [""])[0]
    if not str(named).endswith(heads[what]) or settings.get("problem_type") == "regression":
        return None

    @lru_cache(maxsize=1)
    def made() -> tuple[Any, Any, int]:  # only when it is asked for: it is the whole model once more
        model = auto(place, f"AutoModel{heads[what]}")
        if what == IMAGE:
            return model, _processor(place), 0
        tokens = tokenizer(place)
        return model, tokens, longest_of(model, tokens, place)

    def run(batch: Sequence[Any]) -> Any:
        model, read, longest = made()
        if what == IMAGE:
            return model(pixel_values=read(batch)).logits.softmax(-1)
        given = read(list(batch), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        return model(**given).logits.softmax(-1)

    return run
