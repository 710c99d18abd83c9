"""Rules of the house that no linter checks."""

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ORDER = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
SOURCES = sorted(p for p in (ROOT / "backend").rglob("*.py") if "migrations" not in p.parts)
TASK_FILES = [p for p in SOURCES if p.name == "tasks.py"]
OURS = [m for m in apps.get_models() if m._meta.app_label in ORDER]
MAX_LINES = 300
FORBIDDEN_NAMES = {"services.py", "utils.py", "helpers.py"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("model", OURS, ids=lambda m: m._meta.label)
def test_relations_point_down(model: type[models.Model]) -> None:
    for field in model._meta.get_fields():
        if field.is_relation and field.concrete and field.related_model._meta.app_label in ORDER:
            here, there = ORDER.index(model._meta.app_label), ORDER.index(field.related_model._meta.app_label)
            assert here <= there, f"{model._meta.label}.{field.name} points up"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES, "ask whether it is two things"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if not tree.body:
        return  # a folder that Django wants
    assert ast.get_docstring(tree), "a module says in one sentence what it is for"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_no_file_is_named_after_nothing() -> None:
    assert not [p for p in SOURCES if p.name in FORBIDDEN_NAMES]


@pytest.mark.parametrize("path", TASK_FILES, ids=_name)
def test_tasks_are_thin_and_take_no_news(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            assert len(node.body) <= 3, f"{node.name} thinks for itself"
            assert node.args.kwarg is not None, f"{node.name} would break a message of an older release"


def test_tasks_that_are_sent_exist_and_have_names_of_their_own() -> None:
    from backend.config import celery_app

    celery_app.loader.import_default_modules()
    sent = {m for p in SOURCES for m in re.findall(r'send_task\(\s*"([^"]+)"', p.read_text())}
    sent |= {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert sent, "nothing is ever sent"
    assert sent <= set(celery_app.tasks)
    ours = [name for name, task in celery_app.tasks.items() if type(task).__module__.startswith("backend")]
    assert not [name for name in ours if name.startswith("backend.")], "a task's name must not move with its module"


@pytest.mark.parametrize("model", OURS, ids=lambda m: m._meta.label)
def test_names_of_columns_say_what_they_hold(model: type[models.Model]) -> None:
    if model.__name__.endswith("Event"):
        return
    for field in model._meta.concrete_fields:
        if isinstance(field, models.DateTimeField):
            assert field.name.endswith("_at") or field.name in {"last_login", "expire_date"}, (
                f"{field.name} is an instant"
            )
        elif isinstance(field, models.DateField):
            assert field.name.endswith("_on") or field.name in {"day", "night_of"}, f"{field.name} is a date"


def test_beat_has_few_fixed_entries_that_expire() -> None:
    assert len(settings.CELERY_BEAT_SCHEDULE) <= 10
    for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
        assert entry["options"]["expire_seconds"], f"{name} would pile up while no worker listens"


def test_constraints_and_indexes_are_named_by_hand() -> None:
    for model in OURS:
        for thing in [*model._meta.constraints, *model._meta.indexes]:
            assert not re.search(r"_[0-9a-f]{6,8}(_idx|_uniq)?$", thing.name), f"{thing.name} says nothing"


def test_the_clock_is_read_in_one_place() -> None:
    reads = re.compile(r"\btimezone\.now\(|\bdatetime\.(now|utcnow|today)\(|\bdate\.today\(|\btime\.time\(")
    readers = {_name(p) for p in SOURCES if reads.search(p.read_text())}
    assert readers <= {"backend/common/clock.py"}


def test_the_repository_names_no_machine() -> None:
    words = re.compile(r"/work/|/root/|/home/[a-z]|pypi\.org|files\.pythonhosted|registry\.npmjs")
    kept = [
        p
        for p in ROOT.rglob("*")
        if p.is_file() and p.suffix in {".py", ".md", ".txt", ".toml", ".yml", ".yaml", ".html"}
    ]
    found = [
        _name(p)
        for p in kept
        if not {".venv", ".local", ".git", "node_modules"} & set(p.parts) and p != Path(__file__)
        and words.search(p.read_text(errors="ignore"))
    ]  # fmt: skip
    assert not found


def test_the_environment_of_one_machine_is_not_in_the_repository() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no git here")
    kept = subprocess.run([git, "ls-files", ".venv", ".local"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert kept.stdout == "", "as a link it would take the place of everyone's own: git rm --cached .venv"
