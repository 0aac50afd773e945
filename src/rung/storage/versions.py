"""The versions of a storage's tables, each a migration in `migrations/versions`."""

from __future__ import annotations

from typing import Final

VERSIONS: Final = ("0001",)  # oldest first
