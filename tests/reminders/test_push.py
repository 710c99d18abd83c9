"""Pushes reach browsers and apps in their real wire formats, say nothing clinical, and a dead device is let go."""

import uuid
from datetime import timedelta

import pytest

from backend.accounts import access
from backend.accounts.models import Device
from backend.common import outward
from backend.reminders import answer_tokens, claiming, dispatch, planning
from backend.reminders.channels import breakers, webpush
from backend.reminders.channels.push import Push
from backend.reminders.models import Delivery, Purpose, Reminder
from tests.reminders.engine import DUE, NOON, appointment, check_in_rule, deliveries, door, later, ledger, statuses
from tests.reminders.receivers import Reply, failure, unb64

CLINICAL = ("ketamine", "mood", "depress", "psychiatr", "check-in", "therapy", "patient", "session")


def device_of(person, push, now=DUE):
    with door(person):
        return Device.objects.create(person=person, platform="web", push=push, seen_at=now)


def reached_by(person, *channels):
    with door(person):
        person.channels = list(channels)
        person.save(update_fields=["channels"])


def claimed(person, *channels, now=DUE):
    reached_by(person, *channels)
    check_in_rule(person)
    claiming.claim(now=now)


def errors(person, channel="push"):
    return [(each.attempt, each.status, each.error) for each in deliveries(person, channel=channel)]


def push_of(device):
    with access.maintaining("test"):
        return Device.objects.get(id=device.id).push


def test_a_payload_is_sealed_as_rfc_8291_shows_it():
    # RFC 8291, Appendix A.
    sender = webpush._key("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
    body = webpush.seal(
        b"When I grow up, I want to be a watermelon",
        p256dh=unb64("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        auth=unb64("BTBZMqHH6r4Tts7J_aSIgg"),
        salt=unb64("DGv6ra1nlYgDCS1FRnbzlw"),
        sender=sender,
    )
    assert webpush.pack(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A"
        "_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_a_browser_gets_its_reminder_sealed_and_signed(cast, push_service):
    browser = push_service.subscribe()
    device = device_of(cast.patient, browser.push)
    claimed(cast.patient, "push", "email")
    assert dispatch.deliver(now=DUE) == 1
    (pushed,) = push_service.taken
    reminder = ledger(cast.patient)[0]
    assert (pushed.payload["title"], pushed.payload["body"]) == ("A reminder", "21:00, Sea Face")
    assert (pushed.payload["reminder"], pushed.payload["class"]) == (str(reminder.id), "habit")
    assert answer_tokens.read(pushed.payload["token"]) == answer_tokens.Held(cast.patient.id, reminder.id, device.id)
    assert pushed.headers["Topic"] == pushed.payload["tag"] == reminder.id.hex
    assert pushed.headers["Urgency"] == "normal"
    assert 149 * 60 < int(pushed.headers["TTL"]) <= 150 * 60, "as long as the reminder makes sense"
    assert pushed.claims["aud"] == push_service.url
    assert 0 < pushed.claims["exp"] - DUE.timestamp() <= 24 * 3600
    assert pushed.claims["sub"] == "mailto:reminders@afterglow.invalid"
    assert statuses(cast.patient) == [("push", "sent")]
    assert reminder.status == "sent"


def test_every_push_has_one_length_and_says_nothing_clinical(cast, push_service):
    device_of(cast.patient, push_service.subscribe().push)
    reached_by(cast.patient, "push")
    appointment(cast.patient, later(hours=2), clinic=cast.clinic.id)
    check_in_rule(cast.patient)
    claiming.claim(now=DUE)
    dispatch.deliver(now=DUE)
    titles = {pushed.payload["title"]: pushed.payload["body"] for pushed in push_service.taken}
    assert titles == {"A reminder": "21:00, Sea Face", "Appointment": "Tue 24 Nov, 23:00, Sea Face"}
    assert len({pushed.headers["Content-Length"] for pushed in push_service.taken}) == 1
    for pushed in push_service.taken:
        said = str({**pushed.payload, "token": ""}).lower()
        assert not [word for word in (*CLINICAL, cast.patient.full_name.lower()) if word in said]


def test_who_chose_it_reads_on_the_screen_what_it_is_about(cast, push_service):
    device_of(cast.patient, push_service.subscribe().push)
    with door(cast.patient):
        cast.patient.detailed_messages_at = NOON
        cast.patient.save(update_fields=["detailed_messages_at"])
    claimed(cast.patient, "push")
    dispatch.deliver(now=DUE)
    assert push_service.taken[0].payload["title"] == "Daily check-in"


def test_all_devices_are_told_and_one_is_enough(cast, push_service, firebase):
    here, gone = push_service.subscribe(), push_service.subscribe()
    push_service.replies[gone.path] = Reply(410)
    lost = device_of(cast.patient, gone.push)
    device_of(cast.patient, here.push)
    phone = device_of(cast.patient, {"fcm_token": "phone:1"})
    claimed(cast.patient, "push", "email")
    dispatch.deliver(now=DUE)
    assert (len(push_service.taken), len(firebase.messages)) == (1, 1)
    assert ledger(cast.patient)[0].status == "sent"
    assert push_of(lost) is None
    assert push_of(phone) == {"fcm_token": "phone:1"}
    assert ledger(cast.patient, purpose="address") == [], "the others still work"


def test_an_app_gets_a_message_that_a_later_one_replaces(cast, firebase):
    device_of(cast.patient, {"fcm_token": "phone:1"})
    reached_by(cast.patient, "push")
    appointment(cast.patient, later(hours=2), clinic=cast.clinic.id)
    claiming.claim(now=DUE)
    dispatch.deliver(now=DUE)
    (message,) = firebase.messages
    reminder = ledger(cast.patient, due_at=DUE)[0]
    assert message["notification"] == {"title": "Appointment", "body": "Tue 24 Nov, 23:00, Sea Face"}
    assert message["android"]["notification"]["tag"] == reminder.id.hex
    assert message["android"]["priority"] == "HIGH"
    assert 7100 < int(message["android"]["ttl"].removesuffix("s")) <= 7200
    assert message["apns"]["headers"]["apns-collapse-id"] == reminder.id.hex
    assert message["apns"]["headers"]["apns-expiration"] == str(int(later(hours=2).timestamp()))
    assert all(isinstance(value, str) for value in message["data"].values())
    assert message["data"]["path"] == f"/reminders/{reminder.id}"


def test_the_access_token_is_asked_for_once_and_anew_when_it_is_refused(cast, firebase):
    for person in (cast.patient, cast.other_patient):
        device_of(person, {"fcm_token": f"phone:{person.id}"})
        claimed(person, "push")
    dispatch.deliver(now=DUE)
    assert (len(firebase.messages), firebase.exchanges) == (2, 1)
    firebase.token = "ya29.second"
    device_of(cast.unassigned_patient, {"fcm_token": "phone:3"})
    claimed(cast.unassigned_patient, "push")
    dispatch.deliver(now=DUE)
    assert errors(cast.unassigned_patient)[0] == (1, "failed", "FCM 401 UNAUTHENTICATED")
    dispatch.deliver(now=later(minutes=1))
    assert (len(firebase.messages), firebase.exchanges) == (3, 2)


@pytest.mark.parametrize(
    ("reply", "is_dead"),
    [
        (failure(404, "UNREGISTERED"), True),
        (failure(400, "INVALID_ARGUMENT", field_at_fault="message.token"), True),
        (failure(400, "INVALID_ARGUMENT", field_at_fault="message.android.ttl"), False),
        (failure(403, "SENDER_ID_MISMATCH"), False),
        (Reply(400, ["not", "an", "error"]), False),
    ],
)
def test_only_a_dead_token_is_let_go(cast, firebase, post, reply, is_dead):
    phone = device_of(cast.patient, {"fcm_token": "phone:1"})
    firebase.replies["phone:1"] = reply
    claimed(cast.patient, "push", "email")
    dispatch.deliver(now=DUE)
    assert push_of(phone) == (None if is_dead else {"fcm_token": "phone:1"})
    assert len(post.mails) >= 1, "the next channel followed at once"


def test_a_lost_phone_falls_back_to_mail_at_once(cast, push_service, post):
    browser = push_service.subscribe()
    phone = device_of(cast.patient, browser.push)
    push_service.replies[browser.path] = Reply(410)
    claimed(cast.patient, "push", "email")
    dispatch.deliver(now=DUE)
    assert [mail["To"] for mail in post.mails] == [cast.patient.email]
    assert push_of(phone) is None
    assert errors(cast.patient) == [(1, "failed", "web push 410")]
    assert ledger(cast.patient, due_at=DUE)[0].status == "sent"


def test_a_push_service_that_asks_to_wait_is_asked_again_no_sooner(cast, push_service):
    browser = push_service.subscribe()
    device_of(cast.patient, browser.push)
    push_service.replies[browser.path] = Reply(429, headers={"Retry-After": "600"})
    claimed(cast.patient, "push")
    dispatch.deliver(now=DUE)
    assert errors(cast.patient)[0] == (1, "failed", "web push 429")
    waiting = deliveries(cast.patient, channel="push", status="pending")[0]
    assert later(seconds=600) <= waiting.try_at <= later(seconds=610)
    push_service.replies.clear()
    assert dispatch.deliver(now=later(seconds=620)) == 1
    assert len(push_service.taken) == 1


def test_a_redirect_is_not_followed(cast, push_service):
    browser = push_service.subscribe()
    device_of(cast.patient, browser.push)
    push_service.replies[browser.path] = Reply(307, headers={"Location": f"{push_service.url}/inside"})
    claimed(cast.patient, "push")
    dispatch.deliver(now=DUE)
    assert errors(cast.patient) == [(1, "failed", "web push 307")]
    assert (push_service.asked, push_service.visited) == (1, [])


def test_the_same_reminder_sent_twice_takes_its_own_place(cast, push_service):
    device_of(cast.patient, push_service.subscribe().push)
    claimed(cast.patient, "push")
    dispatch.deliver(now=DUE)
    with access.dispatching():
        Delivery.objects.using("dispatch").filter(channel="push").update(
            status="sending", lease_token=uuid.uuid4(), lease_ends_at=DUE
        )
        # As a worker leaves it that was killed between the hand-over and its outcome.
        Reminder.objects.using("dispatch").filter(status="sent").update(status="due")
    dispatch.tick(now=later(minutes=3))
    dispatch.deliver(now=later(minutes=3))
    first, second = push_service.taken
    assert first.payload["tag"] == second.payload["tag"]
    assert first.headers["Topic"] == second.headers["Topic"]
    assert (Push().honours_key, Push().at_once) == (True, 20)


def test_a_failing_host_is_left_alone_and_the_others_are_not(cast, push_service, firebase):
    browser = push_service.subscribe()
    push_service.replies[browser.path] = Reply(503)
    device_of(cast.patient, browser.push)
    claimed(cast.patient, "push")
    for minutes in (0, 1, 3, 6):
        dispatch.deliver(now=later(minutes=minutes))
    asked = push_service.asked
    assert asked == 4
    device_of(cast.other_patient, browser.push)
    device_of(cast.other_patient, {"fcm_token": "phone:2"})
    claimed(cast.other_patient, "push", now=later(minutes=6))
    dispatch.deliver(now=later(minutes=6))
    assert push_service.asked == asked + 1, "the fifth failure in a row opens the breaker"
    device_of(cast.unassigned_patient, browser.push)
    claimed(cast.unassigned_patient, "push", now=later(minutes=6))
    dispatch.deliver(now=later(minutes=6))
    assert push_service.asked == asked + 1
    assert errors(cast.unassigned_patient)[0] == (1, "failed", "left alone for a while")
    assert len(firebase.messages) == 1


def test_an_endpoint_inside_our_network_is_refused_where_it_is_stored(cast, push_service, settings):
    settings.PUSH_TO_LOOPBACK = False
    mine = cast.client(cast.patient)
    keys = push_service.subscribe().push["keys"]
    for endpoint in (
        "https://127.0.0.1/x", "https://10.1.2.3/x", "https://[::1]/x", "https://[::ffff:10.0.0.1]/x",
        "https://169.254.169.254/latest/meta-data", "https://localhost/x", "https://redis.internal/x",
        "https://2130706433/x", "https://127.1/x", "https://push.example:6379/x", "https://user@push.example/x",
        "http://push.example/x", push_service.url + "/x", "https://100.64.0.1/x", "https://[64:ff9b::10.0.0.1]/x",
        "https://db/x",
    ):  # fmt: skip
        body = {"platform": "web", "push": {"endpoint": endpoint, "keys": keys}}
        refused = mine.send("PUT", f"me/devices/{uuid.uuid4()}", body)
        assert refused.status_code == 400, endpoint
        assert refused.json()["errors"][0]["pointer"] == "/push/endpoint"


def test_and_where_it_is_sent(cast, push_service, settings):
    browser = push_service.subscribe()
    device = device_of(cast.patient, browser.push)
    settings.PUSH_TO_LOOPBACK = False
    claimed(cast.patient, "push")
    dispatch.deliver(now=DUE)
    assert push_service.asked == 0
    assert push_of(device) is None


def test_a_public_name_that_leads_inside_is_not_connected_to(monkeypatch, push_service):
    inside = [(2, 1, 6, "", ("127.0.0.1", 443))]
    monkeypatch.setattr(outward.socket, "getaddrinfo", lambda *args, **more: inside)
    with outward.session() as session, pytest.raises(outward.NotPublic):
        session.post("https://push.example/x", data=b"", timeout=1)


def test_keys_that_are_none_let_the_subscription_go(cast, push_service):
    browser = push_service.subscribe()
    device = device_of(cast.patient, {**browser.push, "keys": {"p256dh": "BNc", "auth": "tBH"}})
    claimed(cast.patient, "push")
    dispatch.deliver(now=DUE)
    assert push_of(device) is None


def test_a_channel_that_is_not_set_up_is_passed_over(cast, post, settings):
    settings.VAPID_PRIVATE_KEY, settings.FCM_SERVICE_ACCOUNT = "", {}
    claimed(cast.patient, "push", "email")
    assert statuses(cast.patient) == [("email", "pending")]


def test_the_front_page_names_the_key_to_subscribe_with(cast, push_service):
    about = cast.client().send("GET", "").json()
    assert len(unb64(about["vapid_public_key"])) == 65


def test_a_claim_that_is_a_day_old_is_gone(cast, push_service):
    device_of(cast.patient, push_service.subscribe().push)
    claimed(cast.patient, "push")
    dispatch.deliver(now=DUE + timedelta(days=1))
    assert push_service.taken == []


def test_an_alert_goes_out_on_every_channel_at_once_and_heeds_no_breaker(cast, push_service, gateway, post):
    nurse = cast.nurse
    with door(nurse):
        nurse.channels, nurse.phone, nurse.phone_confirmed_at = ["push", "email", "sms"], "+919820000000", NOON
        nurse.save(update_fields=["channels", "phone", "phone_confirmed_at"])
    device_of(nurse, push_service.subscribe().push)
    for provider in ("web push 127.0.0.1", "email", "sms"):
        for _ in range(breakers.FAILURES):
            breakers.of(provider).failed(DUE)
    with door(nurse):
        planning.set_anchor(
            person=nurse, purpose=Purpose.ALERT, about=("alert", uuid.uuid4()), anchor_at=DUE, offsets=[{}],
            clinic_id=cast.clinic.id, now=NOON,
        )  # fmt: skip
    claiming.claim(now=DUE)
    dispatch.deliver(now=DUE)
    (pushed,), (text,), (mail,) = push_service.taken, gateway.texts, post.mails
    assert (pushed.payload["title"], pushed.headers["Urgency"]) == ("Alert, please sign in", "high")
    assert text["Body"] == "Alert, please sign in: 21:00, Sea Face"
    assert mail["Subject"].startswith("Alert, please sign in")
    done = cast.client().send("POST", "notification-answers", {"token": pushed.payload["token"]})
    assert done.json()["status"] == "acknowledged"
