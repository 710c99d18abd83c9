"""Row-level security for annotations: a private one is no row at all to its patient, whatever the query.

Staff see those of their own clinic about patients of their care teams; only the author changes one. Earlier versions
are the care team's alone, since what is private now may have stood open before, and the other way round.
"""

from django.db import migrations

from backend.accounts.isolation import HERE, ME, protect

THE_TEAMS = (
    f"patient_id IS DISTINCT FROM {ME} AND clinic_id = {HERE} "
    "AND patient_id IN (SELECT unnest(afterglow_patients('')))"
)
THE_PATIENTS = f"patient_id = {ME} AND private_at IS NULL AND deleted_at IS NULL"
THE_AUTHORS = f"author_id = {ME} AND {THE_TEAMS}"


class Migration(migrations.Migration):
    dependencies = [("treatment", "0004_annotations"), ("accounts", "0005_isolation")]

    operations = [
        protect("treatment_annotation", f"({THE_PATIENTS}) OR ({THE_TEAMS})", write=THE_AUTHORS),
        protect("treatment_annotationevent", THE_TEAMS),
    ]
