"""The triggers that write the audit trail, as migrations make them: whatever changes a row, SQL by hand too, is told.

Each works once for a statement, over all rows that it changed, so that a batch costs little more than a single row.
What stands here is used by migrations that ran: add to it, and never change what a trigger does.
"""

from collections.abc import Iterable

from django.db import migrations

# Rows told by one event; a statement over more of them makes several.
ROWS = 1_000
_WORDS = {"INSERT": "create", "UPDATE": "update", "DELETE": "delete"}


def watch(
    table: str,
    kind: str,
    *,
    identity: str | None = "id",
    about: str | None = None,
    clinic: str | None = None,
    ignored: Iterable[str] = (),
    tombstone: str | None = None,
) -> migrations.RunSQL:
    """Tells of each statement that changes the table.

    `kind` is the resource's name in the interface; `about` the column with the person whose content a row is, `clinic`
    that of its clinic. A change of the `ignored` columns alone is none; filling `tombstone` is a deletion.
    """
    name = f"audit_{table}"
    skipped = "{" + ",".join(ignored) + "}"
    changed = "n.* IS DISTINCT FROM o.*"
    if ignored:
        changed = f"(to_jsonb(n) - '{skipped}'::text[]) IS DISTINCT FROM (to_jsonb(o) - '{skipped}'::text[])"
    verb = "'update'"
    if tombstone:
        verb = f"CASE WHEN n.{tombstone} IS NOT NULL AND o.{tombstone} IS NULL THEN 'delete' ELSE 'update' END"
    updated, moved = f"new_rows n LEFT JOIN old_rows o ON o.{identity} = n.{identity} WHERE {changed}", "NULL::uuid"
    if identity is None:  # rows without an id that could be told are not compared
        updated = "new_rows n"
    elif about:
        moved = f"o.{about}"
    branches = [
        ("INSERT", _told("'create'", "new_rows n", identity, about, clinic, "NULL::uuid")),
        ("UPDATE", _told(verb, updated, identity, about, clinic, moved)),
        ("DELETE", _told("'delete'", "old_rows n", identity, about, clinic, "NULL::uuid")),
    ]
    body = "".join(f"  IF TG_OP = '{op}' THEN\n{told}  END IF;\n" for op, told in branches).replace("$kind", kind)
    lines = [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $audit$\n"
        f"BEGIN\n{body}  RETURN NULL;\nEND $audit$",
        f"CREATE TRIGGER audit_insert AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
        f"CREATE TRIGGER audit_update AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
        f"CREATE TRIGGER audit_delete AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
        _truncation(table, kind),
    ]
    return migrations.RunSQL(tuple(lines), _undo(table, name))


def watch_rows(
    table: str,
    kind: str,
    *,
    about: str,
    clinic: str | None = None,
    insert: str = "true",
    update: str = "true",
    delete: str = "true",
    why: str | None = None,
    inserted: str = "create",
) -> migrations.RunSQL:
    """Tells of single rows, where a condition on them holds or where nobody said why the row was changed (SQL by hand).

    For tables that the machinery changes by the thousand, and a person now and then: other rows cost nothing. `why` is
    the column with a reason, `inserted` the action that a new row is.
    """
    name = f"audit_{table}"
    reason, place = f"r.{why}" if why else "''", f"r.{clinic}" if clinic else "NULL"
    words = {**_WORDS, "INSERT": inserted}
    by_hand = "coalesce(current_setting('afterglow.purpose', true), '') = ''"
    lines = [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $audit$\n"
        f"DECLARE r {table} := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;\n"
        "BEGIN\n"
        f"  PERFORM public.audit_write(TG_ARGV[0], '{kind}', ARRAY[r.id], ARRAY[r.{about}], {reason}, "
        f"sha256(convert_to(r::text, 'UTF8')), {place}, NULL, '');\n"
        "  RETURN NULL;\nEND $audit$",
        *(
            f"CREATE TRIGGER audit_{op.lower()} AFTER {op} ON {table} FOR EACH ROW "
            f"WHEN ({by_hand} OR ({condition})) EXECUTE FUNCTION {name}('{words[op]}')"
            for op, condition in (("INSERT", insert), ("UPDATE", update), ("DELETE", delete))
        ),
        _truncation(table, kind),
    ]
    return migrations.RunSQL(tuple(lines), _undo(table, name))


def _told(verb: str, rows: str, identity: str | None, about: str | None, clinic: str | None, moved: str) -> str:
    """The statement that writes an event for each thousand rows of one clinic."""
    return (
        "    PERFORM public.audit_write(t.verb, '$kind', t.ids, t.about, '', t.digest, t.clinic, NULL, '') FROM (\n"  # noqa: S608
        "      SELECT c.verb, c.clinic,\n"
        f"        {'array_agg(c.id)' if identity else 'NULL::uuid[]'} AS ids,\n"
        f"        {_people(about, moved)} AS about,\n"
        "        sha256(convert_to(string_agg(c.line, E'\\n'), 'UTF8')) AS digest\n"
        f"      FROM (SELECT {verb} AS verb, {f'n.{identity}' if identity else 'NULL::uuid'} AS id,\n"
        f"          {f'n.{about}' if about else 'NULL::uuid'} AS about, {moved} AS moved,\n"
        f"          {f'n.{clinic}' if clinic else 'NULL::uuid'} AS clinic, n::text AS line,\n"
        f"          (row_number() OVER () - 1) / {ROWS} AS part\n"
        f"        FROM {rows}) c\n"
        "      GROUP BY c.part, c.clinic, c.verb) t;\n"
    )


def _people(about: str | None, moved: str) -> str:
    if about is None:
        return "NULL::uuid[]"
    theirs = "array_agg(DISTINCT c.about)"
    if moved == "NULL::uuid":
        return theirs
    # Whose row it was before counts as well.
    return f"{theirs} || array_agg(DISTINCT c.moved) FILTER (WHERE c.moved <> c.about)"


def _truncation(table: str, kind: str) -> str:
    return (
        f"CREATE TRIGGER audit_truncate AFTER TRUNCATE ON {table} FOR EACH STATEMENT "
        f"EXECUTE FUNCTION public.audit_truncated('{kind}')"
    )


def _undo(table: str, name: str) -> tuple[str, ...]:
    triggers = tuple(
        f"DROP TRIGGER IF EXISTS audit_{verb} ON {table}" for verb in ("insert", "update", "delete", "truncate")
    )
    return (*triggers, f"DROP FUNCTION IF EXISTS {name}()")
