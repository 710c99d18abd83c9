"""Passwords that everybody here would think of: words of the trade, of the product, of waiting for better days.

Django's own list knows the 20,000 that leaked most often; it does not know where it is used. Both are offline.
"""

import re
from typing import Any

from django.core.exceptions import ValidationError

# Longest first, so that 'esketamine' is taken whole. Spellings with digits are undone before (`_plain`).
WORDS = tuple(
    sorted(
        {
            "afterglow", "aftercare", "ketamine", "ketamin", "esketamine", "arketamine", "spravato", "ketalar",
            "infusion", "clinic", "klinik", "hospital", "therapy", "therapist", "psychiatry", "psychiatrist",
            "psychiatric", "nurse", "doctor", "patient", "depression", "depressed", "antidepressant", "treatment",
            "medicine", "medical", "mental", "health", "mood", "anxiety", "relapse", "recovery", "recover",
            "wellness", "happy", "happiness", "hope", "love", "better", "sunshine", "welcome", "password", "passwort",
            "passwd", "secret", "letmein", "login", "signin", "admin", "administrator", "demo", "test", "changeme",
            "qwerty", "qwertz", "summer", "winter", "spring", "autumn", "monday", "january", "december", "india",
            "mumbai", "delhi", "london", "please", "hello", "my", "the", "is", "and", "for",
        },
        key=len,
        reverse=True,
    )
)  # fmt: skip
LEFT_AT_LEAST = 4  # letters that are no such word
_INSTEAD = str.maketrans("013457@$!", "oieastasi")
_PATTERN = re.compile("|".join(WORDS))


class HouseWordsValidator:
    """Refuses what consists of such words, digits and marks."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raises ValidationError when hardly a letter of it is the person's own."""
        for spelled in (_letters(password.lower()), _letters(password.lower().translate(_INSTEAD))):
            left = _PATTERN.sub("", spelled)
            if len(set(left)) < LEFT_AT_LEAST and spelled != left:
                raise ValidationError(
                    "This password consists of words that anyone here would try first. Take words of your own.",
                    code="password_of_house_words",
                )

    def get_help_text(self) -> str:
        """For forms that show it."""
        return "Your password must not consist of words like 'ketamine', 'clinic' or 'password'."


def _letters(text: str) -> str:
    return re.sub(r"[\W\d_]", "", text)
