"""Addresses of the room."""

from django.urls import path

from backend.accounts import api, api_audit, api_consents, api_devices, api_invitations, api_members, api_sharing

urlpatterns = [
    path("patients", api.Patients.as_view(), name="patients"),
    path("patients/<uuid:id>", api.PatientDetail.as_view(), name="patient"),
    path("patients/<uuid:id>/care-team", api.CareTeam.as_view(), name="care-team"),
    path("patients/<uuid:id>/care-team/<uuid:member>", api.CareTeamMembership.as_view(), name="care-team-member"),
    path("patients/<uuid:id>/break-glass", api_sharing.BreakingTheGlass.as_view(), name="break-glass"),
    path("me/caregivers", api_sharing.Caregivers.as_view(), name="caregivers"),
    path("me/caregivers/<uuid:id>", api_sharing.CaregiverDetail.as_view(), name="caregiver"),
    path("invitations", api_invitations.Invitations.as_view(), name="invitations"),
    path("invitations/accept", api_invitations.InvitationAcceptance.as_view(), name="invitation-acceptance"),
    path("invitations/<uuid:id>", api_invitations.InvitationDetail.as_view(), name="invitation"),
    path("consents", api_consents.Consents.as_view(), name="consents"),
    path("consents/<slug:purpose>/agree", api_consents.ConsentAgree.as_view(), name="consent-agree"),
    path("consents/<slug:purpose>/withdraw", api_consents.ConsentWithdraw.as_view(), name="consent-withdraw"),
    path("consent-documents", api_consents.ConsentDocuments.as_view(), name="consent-documents"),
    path("me/devices", api_devices.MyDevices.as_view(), name="my-devices"),
    path("me/devices/<uuid:id>", api_devices.MyDevice.as_view(), name="my-device"),
    path("me/sessions", api_devices.MySignIns.as_view(), name="my-sign-ins"),
    path("me/sessions/<uuid:id>", api_devices.MySignIn.as_view(), name="my-sign-in"),
    path("audit", api_audit.Audit.as_view(), name="audit"),
    path("audit/<uuid:id>", api_audit.AuditDetail.as_view(), name="audit-event"),
    path("clinics/<uuid:id>", api.ClinicDetail.as_view(), name="clinic"),
    path("clinics/<uuid:id>/members", api_members.Members.as_view(), name="members"),
    path("clinics/<uuid:id>/members/<uuid:member>", api_members.MemberDetail.as_view(), name="member"),
]
