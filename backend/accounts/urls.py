"""Addresses of the room."""

from django.urls import path

from backend.accounts import api, api_invitations

urlpatterns = [
    path("patients", api.Patients.as_view(), name="patients"),
    path("patients/<uuid:id>", api.PatientDetail.as_view(), name="patient"),
    path("patients/<uuid:id>/care-team", api.CareTeam.as_view(), name="care-team"),
    path("patients/<uuid:id>/care-team/<uuid:member>", api.CareTeamMembership.as_view(), name="care-team-member"),
    path("invitations", api_invitations.Invitations.as_view(), name="invitations"),
    path("invitations/accept", api_invitations.InvitationAcceptance.as_view(), name="invitation-acceptance"),
    path("invitations/<uuid:id>", api_invitations.InvitationDetail.as_view(), name="invitation"),
    path("clinics/<uuid:id>", api.ClinicDetail.as_view(), name="clinic"),
]
