"""Whatever clone a test made is gone after it, its servers' folder under /var/lib included."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.config import home
from tests.config import clones


@pytest.fixture(autouse=True)
def clones_are_removed(tmp_path: Path) -> Iterator[None]:
    """Remove the clones below this test's own folder."""
    yield
    for local in [path for path in clones.USED if path.is_relative_to(tmp_path)]:
        home.remove(local)
        clones.USED.discard(local)
