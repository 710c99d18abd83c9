"""The doors of a clinic's own decisions: how long what is kept, and the days and hours of people's rights."""

from typing import Annotated

from drf_spectacular.utils import extend_schema
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import reach
from backend.accounts.door import DoorView
from backend.common import bodies, openapi, problems, queries
from backend.common.bodies import Struct
from backend.interop import retention
from backend.interop.api import shapes
from backend.interop.models import RetentionRule, RightsSettings


class RetentionRuleBody(Struct, kw_only=True, frozen=True):
    """For how many days, and by which law or decision."""

    keep_days: Annotated[int, Meta(ge=90, le=36_500, description="days")]
    basis: Annotated[str, Meta(min_length=3, max_length=500, pattern="^[^\x00]*$")]


class SettingsPatch(Struct, kw_only=True, frozen=True):
    """What the clinic decides."""

    cooling_off_days: Annotated[int, Meta(ge=0, le=30, description="days")] | UnsetType = UNSET
    export_hours: Annotated[int, Meta(ge=1, le=720, description="hours")] | UnsetType = UNSET


class RetentionRules(DoorView):
    """The clinic's rules; a kind without one is kept."""

    roles = {"GET": reach.STAFF}

    @extend_schema(operation_id="retention_rules_list", responses={200: openapi.listing(shapes.RULE)})
    def get(self, request: Request) -> Response:
        """Each kind that can have one; without `keep_days` it is kept without end."""
        queries.refuse_unknown(request, ())
        rows = {row.kind: row for row in RetentionRule.objects.filter(clinic_id=self.actor.here)}
        shown = [shapes.rule(rows.get(kind), kind=kind) for kind in retention.kinds()]
        return Response({"results": shown, "next": None, "previous": None})


class RetentionRuleDetail(DoorView):
    """The rule for one kind."""

    roles = {"GET": reach.STAFF, "PUT": reach.ADMINISTRATOR, "DELETE": reach.ADMINISTRATOR}

    @extend_schema(operation_id="retention_rule_read", responses={200: shapes.RULE})
    def get(self, request: Request, kind: str) -> Response:
        """The rule as it stands."""
        return Response(shapes.rule(self._find(kind), kind=kind))

    @extend_schema(
        operation_id="retention_rule_put",
        request={"application/json": openapi.component(RetentionRuleBody)},
        responses={200: shapes.RULE, 201: shapes.RULE},
    )
    def put(self, request: Request, kind: str) -> Response:
        """Sets the rule; `manage.py retain --dry-run` shows what it would remove."""
        body = bodies.read(request, RetentionRuleBody)
        known = self._find(kind)
        if known is not None and (known.keep_days, known.basis) == (body.keep_days, body.basis):
            return Response(shapes.rule(known, kind=kind))
        row, new = RetentionRule.objects.update_or_create(
            clinic_id=self.actor.here,
            kind=kind,
            defaults={
                "keep_days": body.keep_days,
                "basis": body.basis,
                "set_by_id": self.actor.person.id,
                "set_at": self.now,
            },
        )
        return Response(shapes.rule(row, kind=kind), status=201 if new else 200)

    @extend_schema(operation_id="retention_rule_delete", responses={204: None})
    def delete(self, request: Request, kind: str) -> Response:
        """From now on everything of the kind is kept; twice is the same as once."""
        if known := self._find(kind):
            known.delete()
        return Response(status=204)

    def _find(self, kind: str) -> RetentionRule | None:
        if kind not in retention.kinds():
            raise problems.not_found(f"There is no such kind; there are {', '.join(retention.kinds())}.")
        return RetentionRule.objects.filter(clinic_id=self.actor.here, kind=kind).first()


class ClinicRightsSettings(DoorView):
    """The days in which an erasure can be taken back, and the hours for which an export can be fetched."""

    roles = {"GET": reach.STAFF, "PATCH": reach.ADMINISTRATOR}

    @extend_schema(operation_id="rights_settings_read", responses={200: shapes.SETTINGS})
    def get(self, request: Request) -> Response:
        """The clinic's own, or ours."""
        queries.refuse_unknown(request, ())
        return Response(shapes.settings(RightsSettings.of(self.actor.here)))

    @extend_schema(
        operation_id="rights_settings_patch",
        request={
            "application/merge-patch+json": openapi.component(SettingsPatch),
            "application/json": openapi.component(SettingsPatch),
        },
        responses={200: shapes.SETTINGS},
    )
    def patch(self, request: Request) -> Response:
        """Changes what is named."""
        patch = bodies.read(request, SettingsPatch)
        given = {name: value for name in patch.__struct_fields__ if (value := getattr(patch, name)) is not UNSET}
        row, _ = RightsSettings.objects.update_or_create(clinic_id=self.actor.here, defaults=given)
        return Response(shapes.settings(row))
