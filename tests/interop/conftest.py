"""Folders of its own for each test: exports, and the ledger of erasures."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def folders(settings: Any, tmp_path: Path) -> None:
    """Nothing of one test lies about in the next."""
    settings.EXPORTS_DIR = tmp_path / "exports"
    settings.ERASURES_FILE = tmp_path / "kept" / "erasures.jsonl"
