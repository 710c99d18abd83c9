"""Role x object x verb as one table, read off the addresses and what their views declare (accounts/reach.py)."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

from backend.accounts.door import DoorView
from backend.accounts.models import Role
from backend.accounts.reach import Grant, Reach

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HEAD = """# Who may do what

Written by `make roles` from the declarations that the doors use (`roles` of each view, `backend/accounts/reach.py`); a
test compares, and another walks every cell against the running code, from the own clinic and from another one.

A cell says how far a role reaches; an empty one is refused with 403, a record out of reach with 404.

| reach | sees and acts on |
|---|---|
"""
_AFTER = """
Beside the table: `auth/…` is open to everybody, `/api/v1/`, `/api/schema/`, `/api/docs/` and `/healthz` too. Row-level
security in the database draws the same lines once more, for the query that forgets to. The console's pages have the
reach of the roles that read them.
"""


@dataclass(frozen=True)
class Row:
    """One verb of one address."""

    path: str
    name: str
    verb: str
    grant: Grant


def rows() -> Iterator[Row]:
    """Every verb of every door, by address. Raises ValueError where a view declares too much or too little."""
    for path, pattern in sorted(_patterns(get_resolver().url_patterns), key=lambda found: found[0]):
        view = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
        if view is None or not issubclass(view, DoorView):
            continue
        offered = {verb for verb in VERBS if hasattr(view, verb.lower())}
        if offered != set(view.roles):
            raise ValueError(f"{view.__name__} offers {sorted(offered)} and declares roles for {sorted(view.roles)}")
        for verb in VERBS:
            if verb in offered:
                yield Row(path.removeprefix("api/v1/"), pattern.name or "", verb, view.roles[verb])


def others() -> set[str]:
    """The addresses below /api/v1/ that are no doors: open to everybody, or somebody else's views."""
    found = set()
    for path, pattern in _patterns(get_resolver().url_patterns):
        view = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
        if path.startswith("api/v1/") and not (view is not None and issubclass(view, DoorView)):
            found.add(path.removeprefix("api/v1/"))
    return found


def page() -> str:
    """docs/roles.md."""
    reaches = "".join(f"| {reach.value} | {reach.label} |\n" for reach in Reach)
    head = f"\n| address | verb | {' | '.join(Role.values)} |\n|---|---|{'---|' * len(Role)}\n"
    lines = [
        f"| `{row.path}` | {row.verb} | {' | '.join(_cell(row.grant, role) for role in Role.values)} |"
        for row in rows()
    ]
    return _HEAD + reaches + head + "\n".join(lines) + "\n" + _AFTER


def _cell(grant: Grant, role: str) -> str:
    reach = grant.get(role)
    return "" if reach is None else Reach(reach).value


def _patterns(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for each in patterns:
        here = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _patterns(each.url_patterns, here)
        else:
            yield here, each
