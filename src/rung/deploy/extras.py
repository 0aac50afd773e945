"""Optional libraries: a sentence where one is missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from rung.errors import UserError

EXTRAS: Final = {
    "onnx": ("onnx", "onnxruntime"),
    "serve": ("fastapi", "uvicorn"),
    "mlflow": ("mlflow",),
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
