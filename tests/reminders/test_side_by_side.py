"""While one push waits for its answer, others are on their way; what goes wrong with one is no other's fault."""

import threading
from collections import Counter, deque

import pytest
from django.db import connections

from backend.reminders import claiming, dispatch, side_by_side
from tests.reminders.engine import DUE, NOON, check_in_rule, deliveries, door, later, ledger
from tests.reminders.receivers import Reply
from tests.reminders.test_push import claimed, device_of, reached_by


def everyone(cast):
    return cast.patient, cast.other_patient, cast.unassigned_patient


def gathered(receiver, count):
    """The receiver answers only when so many ask it at the same time."""
    together, take = threading.Barrier(count, timeout=10), receiver.take

    def taken(*request):
        together.wait()
        return take(*request)

    receiver.take = taken


def answering(receiver, *replies):
    """The first ones get these answers, the others what they would get anyway."""
    left, take = deque(replies), receiver.take

    def taken(*request):
        reply = left.popleft() if left else None
        return reply or take(*request)

    receiver.take = taken


def connections_of_the_threads():
    """What each thread that hands over has open to a database."""
    together, found = threading.Barrier(20, timeout=10), []

    def look(_):
        together.wait()
        found.append([each.alias for each in connections.all(initialized_only=True) if each.connection is not None])

    side_by_side.each(deque(range(20)), look, threads=20)
    assert len(found) == 20
    return found


@pytest.mark.parametrize("threads", [1, 4])
def test_everything_is_done_once(threads):
    done, work = Counter(), deque(range(1000))
    side_by_side.each(work, lambda thing: done.update([thing]), threads=threads)
    assert done == Counter(range(1000))
    assert not work


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_is_raised_and_what_was_not_done_stays(threads):
    done, work = [], deque(range(1000))

    def do(thing):
        if thing == 10:
            raise ZeroDivisionError
        done.append(thing)

    with pytest.raises(ZeroDivisionError):
        side_by_side.each(work, do, threads=threads)
    assert 10 in work
    assert sorted([*done, *work]) == list(range(1000))


def test_pushes_of_several_people_are_on_their_way_at_the_same_time(cast, push_service):
    gathered(push_service, 3)
    for person in everyone(cast):
        device_of(person, push_service.subscribe().push)
        reached_by(person, "push")
        check_in_rule(person)
    claiming.claim(now=DUE)
    assert dispatch.deliver(now=DUE) == 3
    assert [ledger(person)[0].status for person in everyone(cast)] == ["sent"] * 3
    assert len({pushed.path for pushed in push_service.taken}) == 3
    assert not any(connections_of_the_threads()), "the hand-over asks no database"


def test_a_connection_is_kept_for_the_next_push_and_no_cookie_goes_with_it(cast, push_service):
    browser = push_service.subscribe()
    push_service.replies[browser.path] = Reply(503, headers={"Set-Cookie": "who=one; Path=/"})
    device_of(cast.patient, browser.push)
    claimed(cast.patient, "push")
    dispatch.deliver(now=DUE)
    del push_service.replies[browser.path]
    dispatch.deliver(now=later(minutes=1))
    (pushed,) = push_service.taken
    assert push_service.asked == 2
    assert push_service.connections == 1
    assert "Cookie" not in pushed.headers


def test_a_token_that_several_found_refused_is_asked_for_once(cast, firebase):
    for number, person in enumerate(everyone(cast)):
        device_of(person, {"fcm_token": f"phone:{number}"})
        reached_by(person, "push")
        check_in_rule(person)
    claiming.claim(now=DUE)
    held = threading.Barrier(3, timeout=10)
    take = firebase.take

    def refused_together(path, headers, body):
        if path != "/token":
            held.wait()
        return take(path, headers, body) if path == "/token" or firebase.exchanges > 1 else Reply(401)

    firebase.take = refused_together
    dispatch.deliver(now=DUE)
    assert firebase.exchanges == 1
    dispatch.deliver(now=later(minutes=1))
    assert len(firebase.messages) == 3
    assert firebase.exchanges == 2


def test_a_gateway_that_fails_in_the_midst_keeps_what_it_took_and_the_rest_costs_no_attempt(cast, gateway, settings):
    settings.SMS_IDEMPOTENCY_HEADER = "Idempotency-Key"
    answering(gateway, None, Reply(401, {"code": 20003}), None)
    for number, person in enumerate(everyone(cast)):
        with door(person):
            person.channels, person.phone, person.phone_confirmed_at = ["sms"], f"+91982000000{number}", NOON
            person.save(update_fields=["channels", "phone", "phone_confirmed_at"])
        check_in_rule(person)
    claiming.claim(now=DUE)
    dispatch.deliver(now=DUE)
    left = [each for person in everyone(cast) for each in deliveries(person, channel="sms") if each.status == "pending"]
    assert len(left) == 3 - len(gateway.texts) >= 1
    assert {each.attempt for each in left} == {1}
    dispatch.deliver(now=later(minutes=5))
    assert Counter(text["To"] for text in gateway.texts) == Counter(person.phone for person in everyone(cast))
