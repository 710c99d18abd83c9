"""The picture is well-formed, says what the numbers say, and leaves gaps where there is silence."""

import re
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from backend.insights import chart, spark
from backend.insights.frame import ticks
from backend.insights.paint import LIGHT
from backend.insights.series import Baseline, Score, Series
from backend.insights.svg import Drawing, number
from tests.insights.examples import LEAD, TODAY, series

SVG = "{http://www.w3.org/2000/svg}"


def parse(text: str) -> etree._Element:
    assert "NaN" not in text
    assert "nan" not in text
    assert "inf" not in text
    root = etree.fromstring(text)
    for element in root.iter():
        assert "style" not in element.attrib
        assert not any(name.startswith("on") for name in element.attrib)
        assert element.tag not in {f"{SVG}script", f"{SVG}style", f"{SVG}foreignObject"}
    return root


def marks(root: etree._Element, cls: str) -> list[etree._Element]:
    return [e for e in root.iter() if cls in e.get("class", "").split()]


def words(root: etree._Element) -> list[str]:
    return [e.text or "" for e in root.iter(f"{SVG}text")]


def replaced(given: Series, **fields: object) -> Series:
    return msgspec.structs.replace(given, trend=msgspec.structs.replace(given.trend, **fields))


@settings(max_examples=40, deadline=None)
@given(
    days=st.sampled_from([1, 2, 7, 28, 84, 400]),
    silent=st.sets(st.integers(0, 399), max_size=60),
    sessions=st.lists(st.integers(-30, 399), max_size=8, unique=True),
    narrow=st.booleans(),
)
def test_any_range_draws_a_well_formed_picture(days: int, silent: set[int], sessions: list[int], narrow: bool) -> None:
    given_series = series(days=days, silent=silent, sessions=tuple(at for at in sessions if at < days))
    root = parse(chart.draw(given_series, ident="t", narrow=narrow))
    _, _, width, height = (float(n) for n in root.get("viewBox", "").split())
    for element in root.iter(f"{SVG}circle"):
        assert 0 <= float(element.get("cx", "")) <= width
        assert 0 <= float(element.get("cy", "")) <= height


@pytest.mark.parametrize("narrow", [False, True])
def test_the_picture_has_a_title_and_says_in_a_sentence_what_it_shows(narrow: bool) -> None:
    root = parse(chart.draw(series(days=84, sessions=(10, 40)), ident="trend", narrow=narrow))
    assert root.get("role") == "img"
    title, description = (root.find(f".//*[@id='{name}']") for name in root.get("aria-labelledby", "").split())
    assert title is not None
    assert title.text == "Twelve weeks of mood, sessions, sleep, exercise and alcohol"
    assert description is not None
    assert "Two sessions, the last on 12 Oct." in (description.text or "")
    assert "The table below has every number." in (description.text or "")


@pytest.mark.parametrize("narrow", [False, True])
def test_silence_breaks_both_lines_and_is_hatched_and_named(narrow: bool) -> None:
    silent = {30, 31, 32, 33, 34}
    root = parse(chart.draw(series(days=84, silent=silent), ident="t", narrow=narrow))
    thin, thick = marks(root, "c-raw"), marks(root, "c-mean")
    assert len(thin) == 2
    assert len(thick) == 2
    (hatched,) = marks(root, "c-sil")
    left, right = float(hatched.get("x", "")), float(hatched.get("x", "")) + float(hatched.get("width", ""))
    for line in [*thin, *thick]:
        xs = [float(x) for x in re.findall(r"([\d.]+) [\d.]+", line.get("d", ""))]
        assert not any(left < x < right for x in xs)
    # On a phone five days are too narrow for the words; the description has them.
    assert ("5 days" in words(root)) is not narrow
    assert "the longest was 5 days" in chart.describe(series(days=84, silent=silent))


def test_one_missing_day_breaks_only_the_thin_line() -> None:
    root = parse(chart.draw(series(days=84, silent={40}), ident="t"))
    assert len(marks(root, "c-raw")) == 2
    assert len(marks(root, "c-mean")) == 1
    assert marks(root, "c-sil") == []


def test_a_day_alone_between_gaps_is_still_drawn() -> None:
    root = parse(chart.draw(series(days=28, silent=set(range(28)) - {20}), ident="t"))
    assert [line.get("d", "")[-2:] for line in marks(root, "c-raw")] == ["h0"]


def test_a_patient_who_never_answered_gets_an_honest_picture() -> None:
    root = parse(chart.draw(series(days=28, silent=set(range(-LEAD, 28))), ident="t"))
    assert marks(root, "c-mean") == []
    assert marks(root, "c-endd") == []
    assert "none so far" in words(root)
    assert "too few check-ins" in (root.find(".//*[@id='t-desc']").text or "")  # type: ignore[union-attr]


def test_sessions_stand_at_their_day_with_dose_and_trail() -> None:
    root = parse(chart.draw(series(days=84, sessions=(10, 40)), ident="t"))
    diamonds = marks(root, "c-dia")
    assert len(diamonds) == len(marks(root, "c-ses")) == 2
    assert [e.text for e in marks(root, "dose")] == ["40", "40"]
    pitch = (726 - 76) / 84
    at = float(re.match(r"M([\d.]+)", diamonds[0].get("d", "")).group(1))  # type: ignore[union-attr]
    assert at == pytest.approx(76 + 10.5 * pitch, abs=0.1)
    trails = [e for e in root.iter(f"{SVG}svg") if e is not root]
    assert [float(e.get("width", "")) for e in trails] == pytest.approx([21 * pitch, 21 * pitch], abs=0.1)


def test_a_trail_ends_at_the_next_session() -> None:
    root = parse(chart.draw(series(days=84, sessions=(10, 13)), ident="t"))
    first, _ = (e for e in root.iter(f"{SVG}svg") if e is not root)
    assert float(first.get("width", "")) == pytest.approx(3 * (726 - 76) / 84, abs=0.1)


def test_a_session_before_the_range_leaves_its_trail_and_its_date() -> None:
    root = parse(chart.draw(series(days=28, sessions=(-5,)), ident="t"))
    assert marks(root, "c-dia") == []
    assert len([e for e in root.iter(f"{SVG}svg") if e is not root]) == 1
    assert "the last on 23 Oct" in words(root)


def test_answers_near_a_session_have_another_shape() -> None:
    root = parse(chart.draw(series(days=28, sessions=(10,)), ident="t"))
    dots = marks(root, "c-dot")
    assert len([e for e in dots if e.tag == f"{SVG}path"]) == 1
    assert len(dots) == 28


def test_the_questionnaire_lane_is_there_only_with_scores() -> None:
    bare = series(days=84)
    assert "PHQ-9" not in words(parse(chart.draw(bare, ident="t")))
    told = replaced(bare, scores=tuple(Score("phq-9", bare.starts[at], total) for at, total in ((5, 19), (40, 4))))
    root = parse(chart.draw(told, ident="t"))
    assert "PHQ-9" in words(root)
    assert len(marks(root, "c-phd")) == 2
    assert marks(root, "c-phq")[0].get("d", "").count("V") == 1


def test_own_normal_is_drawn_only_where_it_is_known() -> None:
    bare = series(days=84)
    assert marks(parse(chart.draw(bare, ident="t")), "c-norm") == []
    known = replaced(bare, baseline=Baseline(5.6, 6.5, 7.6, TODAY - timedelta(days=28), TODAY))
    (band,) = marks(parse(chart.draw(known, ident="t")), "c-norm")
    assert float(band.get("height", "")) == pytest.approx(186 * 0.2, abs=0.2)


def test_bars_stand_on_zero_and_lapses_are_rings() -> None:
    root = parse(chart.draw(series(days=28), ident="t"))
    (sleep,) = marks(root, "c-sleep")
    bars = re.findall(r"M[\d.]+ ([\d.]+)v-([\d.]+)", sleep.get("d", ""))
    assert len(bars) == 28
    assert len(set(bars)) == 1  # seven hours every night, on one base line
    lapses = [at for at in range(LEAD, 28 + LEAD) if at % 10 == 0]
    assert len(marks(root, "c-lapse")) == len(lapses)


def test_values_from_outside_are_text_and_never_markup() -> None:
    given_series = series(days=7)
    days = tuple(
        msgspec.structs.replace(day, substances=("<script>alert(1)</script>",)) for day in given_series.trend.days
    )
    text = chart.draw(replaced(given_series, days=days), ident='"><b>')
    assert "<script" not in text.lower()
    assert "<b>" not in text
    parse(text)


def test_ids_differ_between_two_drawings_of_one_page() -> None:
    wide, narrow = (parse(chart.draw(series(days=7), ident=i, narrow=i == "n")) for i in ("w", "n"))
    ids = [e.get("id") for root in (wide, narrow) for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids)) > 0


def test_a_picture_that_stands_alone_carries_its_colours_and_size() -> None:
    root = parse(chart.draw(series(days=84, silent={4, 5}, sessions=(9,)), ident="t", paint=LIGHT))
    assert root.get("width") == "824"
    assert marks(root, "c-mean")[0].get("stroke") == LIGHT["c-mean"]["stroke"]
    painted = {cls for e in root.iter() for cls in e.get("class", "").split()}
    assert {cls for cls in painted - set(LIGHT) if not cls.startswith("layer-")} == {"chart-wide"}
    assert marks(root, "c-cross") == []


@given(days=st.integers(1, 1000), narrow=st.booleans())
def test_dates_on_the_axis_never_collide(days: int, narrow: bool) -> None:
    range_of = [TODAY - timedelta(days=days - 1 - at) for at in range(days)]
    pitch, apart = (276 / days, 46) if narrow else (650 / days, 60)
    told = ticks(range_of, pitch=pitch, apart=apart)
    assert all((b - a) * pitch >= apart * 0.85 for (a, _), (b, _) in pairwise(told))
    assert told or days > 400


@given(
    means=st.lists(st.none() | st.floats(0, 10), min_size=1, max_size=28),
    sessions=st.sets(st.integers(0, 27), max_size=4),
    data=st.data(),
)
def test_a_sparkline_is_well_formed_and_decoration(
    means: list[float | None], sessions: set[int], data: st.DataObject
) -> None:
    answered = data.draw(st.lists(st.booleans(), min_size=len(means), max_size=len(means)))
    root = parse(spark.mood(means_7d=means, answered=answered, sessions=sessions, silent_now=True))
    assert root.get("aria-hidden") == "true"
    assert len(marks(root, "s-tick")) == len(sessions)


@given(days=st.integers(0, 5000))
def test_the_track_since_the_session_stays_in_its_picture(days: int) -> None:
    (dot,) = marks(parse(spark.since(days)), "s-now")
    assert 0 < float(dot.get("cx", "")) < 96


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_never_written(value: float) -> None:
    with pytest.raises(ValueError, match="no coordinate"):
        number(value)
    with pytest.raises(ValueError, match="no coordinate"):
        Drawing(width=10).mark("circle", cx=value)


def test_the_examples_patient_is_made_up() -> None:
    assert series(days=1).trend.patient == UUID(int=1)
