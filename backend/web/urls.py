"""Addresses of the console."""

from django.urls import path

from backend.web import (
    audit,
    emergency,
    mail_links,
    panel,
    patient,
    reminder_calendar,
    reminders,
    second_factor,
    sign_in,
    sign_ins,
    unconfirmed,
)

_ACT = "patients/<uuid:id>/reminders/<uuid:reminder>"

urlpatterns = [
    path("", panel.Panel.as_view(), name="panel"),
    path("patients/<uuid:id>", patient.PatientPage.as_view(), name="patient-page"),
    path("patients/<uuid:id>/reminders", reminders.Reminders.as_view(), name="patient-reminders"),
    path("patients/<uuid:id>/reminders/plan", reminder_calendar.Plan.as_view(), name="patient-reminder-calendar"),
    path(f"{_ACT}/cancel", reminders.Act.as_view(act="cancel"), name="reminder-cancel-form"),
    path(f"{_ACT}/resend", reminders.Act.as_view(act="resend"), name="reminder-resend-form"),
    path(f"{_ACT}/let-be", reminders.Act.as_view(act="let-be"), name="reminder-let-be-form"),
    path("reminders/unconfirmed", unconfirmed.Unconfirmed.as_view(), name="unconfirmed-reminders"),
    path("emergency", emergency.Emergency.as_view(), name="emergency"),
    path("patients/<uuid:id>/annotate", patient.Annotate.as_view(), name="annotate"),
    path("sign-in/passkey", second_factor.PasskeySignIn.as_view(), name="passkey_sign_in"),
    path("sign-in/again", sign_ins.PasswordAgain.as_view(), name="account_reauthenticate"),
    path("sign-ins", sign_ins.SignIns.as_view(), name="sign_ins"),
    path("second-factor", second_factor.SecondStep.as_view(), name="mfa_authenticate"),
    path("second-factor/set-up", second_factor.SetUp.as_view(), name="second_factor_set_up"),
    path("second-factor/recovery-codes", second_factor.RecoveryCodes.as_view(), name="recovery_codes"),
    path("r/<str:token>", mail_links.MailLink.as_view(), name="mail_link"),
    path("audit", audit.AuditPage.as_view(), name="audit-trail"),
    path("sign-in", sign_in.SignIn.as_view(), name="account_login"),
    path("sign-out", sign_in.SignOut.as_view(), name="account_logout"),
]
