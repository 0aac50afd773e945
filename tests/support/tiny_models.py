"""Tiny pretrained models, made anew in a folder: random weights whose embeddings still tell words apart."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

GOOD = ["good", "great", "fine", "lovely", "bright"]
BAD = ["bad", "awful", "poor", "dull", "grim"]
PLAIN = [f"word{j}" for j in range(45)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *PLAIN]  # 60


def make_bert(folder: Path, classes: int = 0, seed: int = 0) -> Path:
    """A BERT of width 16 with two layers; with a classifier's head if `classes` is given."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        settings = BertConfig(
            vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=32, initializer_range=0.2, num_labels=classes or 2,
        )  # fmt: skip
        model = BertForSequenceClassification(settings) if classes else BertModel(settings)
        model.save_pretrained(folder)
        BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    return folder


def make_vit(folder: Path, processor: bool = True) -> Path:
    """A ViT of width 16 for images of 32 by 32."""
    import torch
    from transformers import ViTConfig, ViTModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        settings = ViTConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32,
            patch_size=8, initializer_range=0.2,
        )  # fmt: skip
        ViTModel(settings).save_pretrained(folder)
    if processor:
        about = {
            "image_processor_type": "ViTImageProcessor", "do_resize": True,
            "size": {"height": 32, "width": 32},
            "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
            "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        }  # fmt: skip
        (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return folder


def make_script(folder: Path) -> Path:
    """A TorchScript network from (n, 3, 224, 224) to the mean of each colour, (n, 3)."""
    import torch

    class Colours(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3))

    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(Colours(), torch.zeros(1, 3, 224, 224)), str(folder / "colours.pt"))
    return folder


def reviews(n: int, seed: int = 0) -> pd.DataFrame:
    """Texts whose class depends on which kind of words they have more of, and a number that says nothing."""
    rng = np.random.default_rng(seed)
    kinds = rng.random(n) < 0.5
    texts = [
        " ".join(rng.permutation([*rng.choice(GOOD if kind else BAD, 3), *rng.choice(PLAIN, 3)]))
        for kind in kinds
    ]
    return pd.DataFrame(
        {"review": texts, "noise": rng.normal(size=n), "target": np.where(kinds, "liked", "hated")}
    )


def word_order(n: int, seed: int = 0) -> pd.DataFrame:
    """Texts whose class is which of two words stands first: little of it is in a mean over the tokens."""
    rng = np.random.default_rng(seed)
    first = rng.random(n) < 0.5
    texts = [
        " ".join([*(("good", "bad") if one else ("bad", "good")), *rng.choice(PLAIN, 3)]) for one in first
    ]
    return pd.DataFrame({"text": texts, "noise": rng.normal(size=n), "target": np.where(first, "up", "down")})
