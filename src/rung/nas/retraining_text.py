"""Language models of recurrent cells, trained from scratch and read again: the door to them."""

from rung.nas.recurrent.retraining import (
    FORMAT,
    RetrainedText,
    TextTick,
    load_language_model,
    retrain_text,
)

__all__ = ["FORMAT", "RetrainedText", "TextTick", "load_language_model", "retrain_text"]
