"""The dataset's files, by which workers read the table."""

from __future__ import annotations

import numpy as np
import pytest

from rung.errors import StorageError
from rung.tabular.dataset import Dataset
from rung.tabular.encode import Table
from rung.tabular.splits import make_split


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError("320000 requested and 158192 written"), r"\(the disk is full\)"),
        (PermissionError(13, "Permission denied"), r"\(Permission denied\)"),
    ],
)
def test_a_table_that_cannot_be_written_is_said_in_one_sentence(tmp_path, monkeypatch, error, why):
    def full(*_, **__):
        raise error

    y = np.arange(40) % 2
    table = Table(np.zeros((40, 2)), np.zeros((40, 0), dtype=np.int64), None)
    dataset = Dataset(table, y, 2, [], make_split(y.astype(float), 2, 2, 0.2, 0), "auc", 0)
    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StorageError, match=why) as said:
        dataset.save(tmp_path / "data")
    assert "free space there, take another --storage, or --workers 1" in str(said.value)
