"""Embedding has all the time it needs: how busy the machine is decides no test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rung.tabular.deadline import Deadline
from rung.tabular.pretrained.embedder import Embedder


@pytest.fixture(autouse=True, scope="module")
def _time_enough() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Embedder, "_by", lambda self: Deadline())
        yield
