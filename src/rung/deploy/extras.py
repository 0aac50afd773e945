"""Optional libraries: a sentence where one is missing."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from rung.errors import UserError

if TYPE_CHECKING:
    from rung.tabular.model import Model

EXTRAS: Final = {
    "onnx": ("onnx", "onnxruntime"),
    "serve": ("fastapi", "uvicorn"),
    "client": ("httpx",),
    "service": ("fastapi", "uvicorn", "httpx", "prometheus_client"),
    "mlflow": ("mlflow",),
    "torch": ("torch",),
}


def need(extra: str, what: str) -> None:
    """Refuse where a library of this extra is not installed.

    Args:
        what: what it is needed for, the subject of the sentence.

    Raises:
        UserError: names the libraries and how they are installed.
    """
    absent = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if absent:
        verb = "which is" if len(absent) == 1 else "which are"
        raise UserError(
            f"{what} needs {' and '.join(absent)}, {verb} not installed: pip install 'rung[{extra}]'"
        )


def one_model(path: str, trust: Sequence[str] = ()) -> Model:
    """The model in a file.

    Raises:
        DataError: it is no model file, or holds a model for each of several targets.
    """
    from rung.tabular.model_file import load_model

    return load_model(path, tuple(trust))
