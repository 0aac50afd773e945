"""An encoder that puts embeddings beside the other numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rung.tabular.columns import prepare
from rung.tabular.encode import Encoder, Table
from rung.tabular.frames import as_pandas
from rung.tabular.pretrained.cells import as_texts, refuse_paths
from rung.tabular.pretrained.embedding import Embedding

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.encode import Cells
    from rung.tabular.frames import Frame


@dataclass
class EmbeddingEncoder(Encoder):
    """As `Encoder`; columns with an embedding are texts in the schema, and become its numbers.

    Attributes:
        embeddings: one a column.
        folder: where images with a relative path are looked for first: the folder of the table that was
            read last.
    """

    embeddings: list[Embedding] = field(default_factory=list)
    folder: str = ""

    def transform(self, frame: Frame) -> Table:
        """The frame as arrays; images may be paths, arrays or PIL's.

        A frame whose `attrs["paths"]` is False comes from someone who may not have files of this machine
        opened: its images are data URIs.

        Raises:
            DataError: a column is missing, a cell is no image, or a pretrained model is not where it was.
        """
        for one in self.embeddings:  # even where all cells are known: what holds here holds elsewhere
            one.source.find(one.column)
        frame = as_pandas(frame)
        self.folder = str(frame.attrs.get("folder", self.folder))
        cells = prepare(as_texts(frame, [one.column for one in self.embeddings]), self.columns)
        if not frame.attrs.get("paths", True):
            for one in self.embeddings:
                if one.what == "image":
                    refuse_paths(cells[one.column], one.column)
        return self.arrays(cells)

    def arrays(self, cells: pd.DataFrame | Cells) -> Table:
        """The same, of a frame that is in the training table's shape already."""
        plain = super().arrays(cells)
        blocks = [plain.numbers]
        for one in self.embeddings:
            vectors = one.vectors(list(cells[one.column]), self.folder)
            nothing = np.full((len(cells), one.width), np.nan)
            blocks.append(nothing if vectors is None else one.reduce(vectors))
        return replace(plain, numbers=np.hstack(blocks))

    def _words(self, cells: pd.DataFrame | Cells) -> Any:
        """Words of the texts; images have none."""
        from scipy import sparse

        from rung.tabular.columns import Kind
        from rung.tabular.encode import _hashed

        seen = {one.column for one in self.embeddings if one.what == "image"}
        texts = [name for name in self.names(Kind.TEXT) if name not in seen]
        return (
            sparse.hstack([_hashed(cells[name], self.counted) for name in texts], format="csr")
            if texts
            else None
        )
