"""Field types that several rooms share."""

from typing import Any

from django.db import models


class Sealed(str):
    """A note as the database holds it: sealed. Only accounts' `notes` opens it; shown as it is, it says nothing."""

    __slots__ = ()


class NoteField(models.TextField):  # type: ignore[type-arg]
    """Free text written by or about a patient: the one type through which all notes pass, sealed at rest.

    Reads as `Sealed` (empty stays empty) and takes nothing but that, so a forgotten seal is an error and no leak. Each
    table says the same by a constraint (`first_sealing.seal_and_hold`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("blank", True)
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        """What was read, marked as sealed."""
        return Sealed(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        """What may be written: nothing, or what was sealed. Raises TypeError for plain text."""
        if value and not isinstance(value, Sealed):
            raise TypeError(f"{self.name} takes only what accounts.notes sealed; plain text does not reach a table.")
        return None if value is None else str(value)
