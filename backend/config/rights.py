"""Where the files of people's rights lie: exports that wait to be fetched, and the ledger of erasures."""

from pathlib import Path
from typing import Any


def places(env: Any, local: Path) -> tuple[Path, Path]:
    """EXPORTS_DIR, which web, worker and beat must share, and the ledger, which must outlive the database.

    The latter comes from ERASURES_LEDGER, since a name that ends with _FILE would be a secret in a file.
    """
    exports = Path(env.str("EXPORTS_DIR", "") or local / "exports")
    return exports, Path(env.str("ERASURES_LEDGER", "") or local / "erasures.jsonl")
