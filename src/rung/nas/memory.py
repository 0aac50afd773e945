"""Out of memory: how libraries tell of it, what is said of it, and how to let go of what a step held."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable
from typing import Final

from rung.errors import UserError

_SIGNS: Final = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "could not create a primitive",  # oneDNN's, which does not say why
)


class OutOfMemory(UserError):  # noqa: N818  # what happened
    """Memory ran out in a training from scratch; the message names what would fit, by its options."""

    def in_a_search(self) -> str:
        """The message with the names of a search's settings."""
        said = str(self)
        for option in ("batch", "channels", "hidden"):
            said = said.replace(f"--{option} ", f"--set retrain_{option}=")
        return said


def out_of_memory(error: BaseException) -> bool:
    """Whether this is an error of memory, of torch's allocators, of oneDNN or of Python."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in said for sign in _SIGNS)


def let_go(error: BaseException) -> None:
    """Free the tensors of the step that failed: its frames hold them, and cycles do."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()


def largest(have: int, least: int, attempt: Callable[[int], object]) -> int | None:
    """The first half, quarter, ... of a size for which an attempt has memory enough; None if there is none.

    Args:
        attempt: takes a step of this size.
    """
    size = have // 2
    while size >= least:
        try:
            attempt(size)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                return None
            let_go(error)
            size //= 2
        except UserError:  # such as channels that cannot be divided
            return None
        else:
            return size
    return None
