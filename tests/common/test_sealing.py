"""A sealed note opens in its own place, under its own key, unchanged; anywhere else it is an error and no text."""

import uuid

import pytest

from backend.common import sealing
from backend.common.sealing import DataKey, Place, Unsealable

KEY, OTHER_KEY = DataKey(bytes(range(32))), DataKey(bytes(range(1, 33)))
PLACE = Place("aftercare_moodcheckin", uuid.UUID(int=7), "note")
TEXT = "Slept badly. 睡不好 😔"


def _sealed(text: str = TEXT) -> str:
    return sealing.seal(text, key=KEY, generation=3, place=PLACE)


def test_what_was_sealed_opens_and_looks_different_each_time() -> None:
    first, second = _sealed(), _sealed()
    assert first != second
    assert sealing.unseal(first, key=KEY, place=PLACE) == sealing.unseal(second, key=KEY, place=PLACE) == TEXT
    assert sealing.generation_of(first) == 3
    assert "Slept" not in first


def test_a_note_of_any_length_opens() -> None:
    for length in (*range(1, 100), 4_000):
        text = "x" * length
        assert sealing.unseal(_sealed(text), key=KEY, place=PLACE) == text


def test_an_empty_note_stays_empty() -> None:
    assert _sealed("") == ""
    assert sealing.unseal("", key=KEY, place=PLACE) == ""
    assert sealing.says("", "", key=KEY, place=PLACE)
    assert not sealing.says("", "x", key=KEY, place=PLACE)
    assert not sealing.says(_sealed(), "", key=KEY, place=PLACE)


def test_every_flipped_bit_is_an_error_or_the_right_text() -> None:
    sealed = _sealed()
    raw, errors, right = sealed.encode(), 0, 0
    for at in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[at // 8] ^= 1 << at % 8
        try:
            text = flipped.decode("latin-1")
            assert sealing.unseal(text, key=KEY, place=PLACE) == TEXT
            right += 1
        except Unsealable:
            errors += 1
    print(f"{len(raw) * 8} flipped bits of a sealed note: {errors} errors, {right} the right text, 0 a wrong one")
    assert errors + right == len(raw) * 8
    assert right <= 8, "only bits that base64 itself does not read"


@pytest.mark.parametrize(
    "place",
    [
        Place("aftercare_sleeplog", PLACE.row, "note"),
        Place(PLACE.table, uuid.UUID(int=8), "note"),
        Place(PLACE.table, PLACE.row, "what_helped"),
    ],
)
def test_moved_to_another_table_row_or_column_it_does_not_open(place: Place) -> None:
    with pytest.raises(Unsealable):
        sealing.unseal(_sealed(), key=KEY, place=place)
    assert not sealing.says(_sealed(), TEXT, key=KEY, place=place)


def test_another_patients_key_does_not_open_it() -> None:
    with pytest.raises(Unsealable):
        sealing.unseal(_sealed(), key=OTHER_KEY, place=PLACE)
    assert not sealing.says(_sealed(), TEXT, key=OTHER_KEY, place=PLACE)


@pytest.mark.parametrize("text", ["plain", "n1.", "n1.1..", "n1.0.AAAA.AAAA", "n1.x.y.z", "n2" + "x" * 90, "\x00"])
def test_what_is_no_sealed_note_is_an_error(text: str) -> None:
    with pytest.raises(Unsealable):
        sealing.unseal(text, key=KEY, place=PLACE)
    with pytest.raises(Unsealable):
        sealing.generation_of(text)


def test_it_is_told_without_opening_whether_a_note_says_the_same() -> None:
    assert sealing.says(_sealed(), TEXT, key=KEY, place=PLACE)
    assert not sealing.says(_sealed(), TEXT + " ", key=KEY, place=PLACE)


def test_a_wrapped_key_opens_only_for_its_patient_and_by_its_master_key() -> None:
    master = bytes(32)
    wrapped = sealing.wrap(KEY.secret, master=master, master_id="2026-11", bound="patient 1")
    assert sealing.master_of(wrapped) == "2026-11"
    assert sealing.unwrap(wrapped, master=master, bound="patient 1") == KEY.secret
    for other in ({"master": b"\x01" * 32, "bound": "patient 1"}, {"master": master, "bound": "patient 2"}):
        with pytest.raises(Unsealable):
            sealing.unwrap(wrapped, **other)
    with pytest.raises(Unsealable):
        sealing.unwrap(wrapped.replace("2026-11", "2026-12"), master=master, bound="patient 1")
    with pytest.raises(Unsealable):
        sealing.master_of("nothing")


def test_a_key_does_not_show_itself_in_a_traceback() -> None:
    assert repr(KEY) == "DataKey(…)"
