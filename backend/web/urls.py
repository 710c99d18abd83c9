"""Addresses of the console."""

from django.urls import path

from backend.web import emergency, panel, patient, sign_in

urlpatterns = [
    path("", panel.Panel.as_view(), name="panel"),
    path("patients/<uuid:id>", patient.PatientPage.as_view(), name="patient-page"),
    path("emergency", emergency.Emergency.as_view(), name="emergency"),
    path("sign-in", sign_in.SignIn.as_view(), name="account_login"),
    path("sign-out", sign_in.SignOut.as_view(), name="account_logout"),
]
