"""Addresses of the room."""

from django.urls import path

from backend.reminders.api import ledger, notifications, phone, profile, rules, staff

urlpatterns = [
    path("me", profile.Me.as_view(), name="me"),
    path("me/phone", phone.MyPhone.as_view(), name="my-phone"),
    path("me/phone/confirm", phone.MyPhoneConfirmation.as_view(), name="my-phone-confirm"),
    path("notification-answers", notifications.NotificationAnswers.as_view(), name="notification-answers"),
    path("reminders", ledger.Reminders.as_view(), name="reminders"),
    path("reminders/<uuid:id>", ledger.ReminderDetail.as_view(), name="reminder"),
    path("reminders/<uuid:id>/acknowledge", ledger.Acknowledgement.as_view(), name="reminder-acknowledge"),
    path("reminders/<uuid:id>/snooze", ledger.Snooze.as_view(), name="reminder-snooze"),
    path("reminders/<uuid:id>/explain", ledger.Explanation.as_view(), name="reminder-explain"),
    path("reminders/<uuid:id>/cancel", staff.Cancel.as_view(), name="reminder-cancel"),
    path("reminders/<uuid:id>/resend", staff.Resend.as_view(), name="reminder-resend"),
    path("reminders/<uuid:id>/let-be", staff.LetBe.as_view(), name="reminder-let-be"),
    path("patients/<uuid:id>/reminder-plan", staff.PatientPlan.as_view(), name="patient-reminder-plan"),
    path("me/reminder-plan", staff.OwnPlan.as_view(), name="own-reminder-plan"),
    path("reminder-rules", rules.ReminderRules.as_view(), name="reminder-rules"),
    path("reminder-rules/<uuid:id>", rules.ReminderRule.as_view(), name="reminder-rule"),
]
