"""The doors of the logs: one set of views, made once for each kind."""

import uuid
from dataclasses import asdict
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import access, consents, notes, reach
from backend.accounts.consent_texts import Purpose
from backend.accounts.door import DoorView
from backend.aftercare import kinds, logs, rows
from backend.aftercare.entries import READ_ONLY, Entry
from backend.aftercare.kinds import Kind
from backend.aftercare.logs import Verdict
from backend.aftercare.rows import Candidate
from backend.common import bodies, etags, pages, problems, queries
from backend.common.problems import FieldError, Problem

BATCH_LIMIT = 500


class KindView(DoorView):
    """A view of one kind of log."""

    kind: ClassVar[Kind]

    def entry(self, data: Any) -> Entry:
        """The body as an entry. Raises a 400 problem that names every faulty field."""
        if isinstance(data, dict):
            notes.refuse_to_lose(data, given={name: value for name, value in data.items() if value is not None})
        body = bodies.convert(data, self.kind.shape, ignored=READ_ONLY)
        if faults := body.faults_at(now=self.now):
            raise problems.invalid(*faults)
        return body

    def store(self, candidate: Candidate) -> Verdict:
        """Records one candidate for the patient who asks. Raises the problem that its refusal is."""
        record = access.own_record(self.actor)
        if not candidate.delete:
            consents.require(self.actor, Purpose.CARE, now=self.now)
        verdict = logs.record(patient=record.patient, kind=self.kind, candidates=[candidate], received_at=self.now)[0]
        if verdict.outcome in {"created", "updated", "unchanged"}:
            if verdict.row is not None and verdict.row["deleted_at"] is not None and not candidate.delete:
                raise gone(verdict.row)
            return verdict
        if verdict.outcome == "rejected":
            raise problems.not_found() if verdict.hidden else problems.invalid(*verdict.errors)
        if verdict.errors[0].code == "deleted":
            assert verdict.row is not None  # noqa: S101
            raise gone(verdict.row)
        raise etags.stale("The record", current=kinds.as_json(self.kind, verdict.row) if verdict.row else None)

    def answer(self, verdict: Verdict) -> Response:
        """The record as it now stands, 201 when it is new."""
        assert verdict.row is not None  # noqa: S101
        return Response(
            kinds.as_json(self.kind, verdict.row),
            status=201 if verdict.outcome == "created" else 200,
            headers={"ETag": etags.of(verdict.row["version"])},
        )


class LogList(KindView):
    """The entries of one patient, newest first; a new one by POST gets its id from the server."""

    roles = {"GET": reach.RECORD, "POST": reach.PATIENT}

    def get(self, request: Request) -> Response:
        """A page of entries."""
        queries.refuse_unknown(
            request,
            {"patient", "since", "until", "changed_after", "limit", "cursor", "format", *self.coded_columns(self.kind)},
        )
        record = access.open_record(self.actor, self._patient_id(request), self.kind.share)
        columns = kinds.row_fields(self.kind)
        found = self.kind.model._default_manager.filter(patient_id=record.patient.id, deleted_at__isnull=True)
        found = found.filter(**self._filters(request)).values(*columns)
        time = f"-{self.kind.own_time}"
        page = pages.page(found, request=request, ordering=(time, "-id"))
        if record.by_caregiver:
            shown = [kinds.without_notes(self.kind, row) for row in page["results"]]
        else:
            shown = kinds.all_as_json(self.kind, page["results"])
        return Response({**page, "results": shown})

    def post(self, request: Request) -> Response:
        """Stores one entry; with an `id` in the body it is the same as PUT."""
        entry = self.entry(bodies.decoded(request))
        return self.answer(self.store(Candidate(entry.id or kinds.new_id(), entry)))

    @staticmethod
    def coded_columns(kind: Kind) -> dict[str, list[str]]:
        """Columns by whose word one may filter, each with its words; no words means any."""
        coded = {
            column.name: column.field.choices or [] for column in kind.content if column.name in {"kind", "substance"}
        }
        return {name: [str(choice[0]) for choice in choices] for name, choices in coded.items()}

    def _patient_id(self, request: Request) -> uuid.UUID:
        given = queries.identifier(request, "patient")
        if given is not None:
            return given
        if self.actor.is_patient:
            return self.actor.person.id
        raise problems.invalid(FieldError("patient", "required", "Say whose entries: ?patient=<id>."))

    def _filters(self, request: Request) -> dict[str, Any]:
        read = queries.day if self.kind.by_date else queries.instant
        found: dict[str, Any] = {
            f"{self.kind.own_time}__gte": read(request, "since"),
            f"{self.kind.own_time}__lt": read(request, "until"),
            "change_number__gt": queries.whole_number(request, "changed_after", low=0, high=2**63 - 1),
        }
        for name, choices in self.coded_columns(self.kind).items():
            found[name] = queries.choice(request, name, choices) if choices else queries.text(request, name)
        return {name: value for name, value in found.items() if value is not None}


class LogDetail(KindView):
    """One entry by its id."""

    roles = {"GET": reach.RECORD, "PUT": reach.PATIENT, "PATCH": reach.PATIENT, "DELETE": reach.PATIENT}

    def get(self, request: Request, id: uuid.UUID) -> Response:
        """The entry, for its patient and the care team; 410 to its patient once deleted."""
        row = self._find(id)
        shown = kinds.as_json if access.reads_notes(self.actor, row["patient_id"]) else kinds.without_notes
        return Response(shown(self.kind, row), headers={"ETag": etags.of(row["version"])})

    def put(self, request: Request, id: uuid.UUID) -> Response:
        """Creates or replaces; the same request twice is the same as once."""
        data = bodies.decoded(request)
        entry = self.entry(data)
        if entry.id not in {None, id}:
            raise problems.invalid(FieldError("/id", "mismatch", "The id in the body must equal the one in the path."))
        return self.answer(self.store(Candidate(id, entry, base=self._base(request, id))))

    def patch(self, request: Request, id: uuid.UUID) -> Response:
        """Changes the fields that the merge patch (RFC 7396) names."""
        data = bodies.decoded(request)
        if not isinstance(data, dict):
            raise problems.invalid(FieldError("", "invalid_type", "The body must be a JSON object."))
        row = self._find(id)
        shown = kinds.as_json(self.kind, row)
        notes.refuse_to_lose(shown, given=data)
        whole = {column.name: shown[column.name] for column in self.kind.content}
        merged = {name: value for name, value in (whole | data).items() if value is not None}
        entry = self.entry(bodies.plain(merged))
        if entry.id not in {None, id}:
            raise problems.invalid(FieldError("/id", "mismatch", "The id of a record cannot be changed."))
        base = self._base(request, id)
        return self.answer(self.store(Candidate(id, entry, base=row["version"] if base is None else base)))

    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """Leaves a tombstone; If-Match with its version on a later PUT brings the record back."""
        row = self._find(id)
        base = self._base(request, id)
        entry = self.kind.shape(**{c.name: row[c.sql_name] for c in self.kind.content})
        verdict = self.store(Candidate(id, entry, base=base, delete=True))
        assert verdict.row is not None  # noqa: S101
        return Response(status=204, headers={"ETag": etags.of(verdict.row["version"])})

    def _find(self, id: uuid.UUID) -> rows.Row:
        mine = [self.actor.person.id] if self.actor.is_patient else []
        if mine and (row := rows.find(kind=self.kind, patient_ids=mine, id=id)):
            if row["deleted_at"] is not None:
                raise gone(row)
            return row
        theirs = access.open_to(self.actor, self.kind.share).values_list("id", flat=True)
        found = rows.find(kind=self.kind, patient_ids=theirs, id=id)
        if found is None or found["deleted_at"] is not None:
            raise problems.not_found()
        self.actor.shown.add(found["patient_id"])
        return found

    def _base(self, request: Request, id: uuid.UUID) -> int | None:
        base = etags.if_match(request)
        if base != etags.ANY:
            return base
        row = rows.find(kind=self.kind, patient_ids=[self.actor.person.id], id=id)
        return int(row["version"]) if row else 0


class LogBatch(KindView):
    """Up to 500 entries at once, with a verdict for each."""

    roles = {"POST": reach.PATIENT}

    def post(self, request: Request) -> Response:
        """Stores what can be stored; one bad record refuses nobody else."""
        data = bodies.decoded(request)
        records = data.get("records") if isinstance(data, dict) else None
        if not isinstance(records, list) or set(data) != {"records"}:
            raise problems.invalid(FieldError("/records", "required", 'Send {"records": [...]} and nothing beside it.'))
        if len(records) > BATCH_LIMIT:
            raise problems.invalid(FieldError("/records", "too_many", f"A batch has at most {BATCH_LIMIT} records."))
        record = access.own_record(self.actor)
        consents.require(self.actor, Purpose.CARE, now=self.now)
        results: list[dict[str, Any]] = []
        candidates: list[tuple[int, Candidate]] = []
        for position, item in enumerate(records):
            try:
                candidates.append((position, self._candidate(item)))
                results.append({})
            except Problem as problem:
                results.append(
                    {"id": _id_as_sent(item), "outcome": "rejected", "errors": [asdict(e) for e in problem.errors]}
                )
        verdicts = logs.record(
            patient=record.patient, kind=self.kind, candidates=[c for _, c in candidates], received_at=self.now
        )
        for (position, _), verdict in zip(candidates, verdicts, strict=True):
            results[position] = self._result(verdict)
        return Response({"results": results})

    def _candidate(self, item: Any) -> Candidate:
        base = item.get("base_version") if isinstance(item, dict) else None
        if base is not None and (type(base) is not int or not 0 < base < 2**31):
            raise problems.invalid(
                FieldError("/base_version", "invalid_type", "base_version is the version that the edit was made from.")
            )
        if isinstance(item, dict):
            item = {name: value for name, value in item.items() if name != "base_version"}
        entry = self.entry(item)
        if entry.id is None:
            raise problems.invalid(
                FieldError("/id", "required", "A record in a batch needs its id, made by the client.")
            )
        return Candidate(entry.id, entry, base=base)

    def _result(self, verdict: Verdict) -> dict[str, Any]:
        result: dict[str, Any] = {
            "id": verdict.id,
            "outcome": verdict.outcome,
            "errors": [asdict(error) for error in verdict.errors],
        }
        if verdict.row is not None:
            result["version"] = verdict.row["version"]
            result["change_number"] = verdict.row["change_number"]
            if verdict.outcome == "conflict":
                result["current"] = kinds.as_json(self.kind, verdict.row)
                if verdict.row["deleted_at"] is not None:
                    result["current"]["deleted_at"] = verdict.row["deleted_at"]
        return result


def gone(row: rows.Row) -> Problem:
    """410: deleted, and how to bring it back."""
    return etags.deleted("The record was deleted.", version=row["version"], at=row["deleted_at"])


def _id_as_sent(item: Any) -> Any:
    given = item.get("id") if isinstance(item, dict) else None
    return given if isinstance(given, str) else None
