"""Field types that several rooms share."""

from typing import Any

from django.db import models


class NoteField(models.TextField):  # type: ignore[type-arg]
    """Free text written by or about a patient: the one type through which all notes pass.

    Stores plain text for now; encryption at rest changes this class and nothing that uses it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("blank", True)
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)


def same_note(stored: str, given: str) -> bool:
    """Whether a note says what it said."""
    return stored == given
