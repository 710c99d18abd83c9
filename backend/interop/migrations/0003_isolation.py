"""Row-level security: whose an export is, who asked for erasure, what a clinic holds back and decides."""

from django.db import migrations

from backend.accounts.isolation import HERE, ME, for_purpose, protect

ADMINISTERS = "(SELECT afterglow_works_here('{administrator}'))"
OVERSEES = "(SELECT afterglow_works_here('{administrator,auditor}'))"
OFFICE = f"(clinic_id = {HERE} AND {ADMINISTERS})"
STAFF = f"(clinic_id = {HERE} AND (SELECT afterglow_works_here()))"


class Migration(migrations.Migration):
    dependencies = [("interop", "0002_functions_of_the_owner"), ("accounts", "0010_consents")]

    operations = [
        protect(
            "interop_export",
            f"person_id = {ME} OR {for_purpose('exports', 'erasures')}",
            insert=f"person_id = {ME}",
            write=for_purpose("exports"),
        ),
        protect("interop_erasurerequest", f"patient_id = {ME} OR {OFFICE} OR {for_purpose('erasures')}"),
        protect(
            "interop_legalhold",
            f"patient_id = {ME} OR (clinic_id = {HERE} AND {OVERSEES}) OR {for_purpose('erasures')}",
            insert=OFFICE,
            write=f"{OFFICE} OR {for_purpose('erasures')}",
        ),
        protect("interop_retentionrule", f"{STAFF} OR {for_purpose('retention')}", insert=OFFICE, write=OFFICE),
        protect(
            "interop_rightssettings",
            f"clinic_id = {HERE} OR {for_purpose('exports', 'erasures')}",
            insert=OFFICE,
            write=OFFICE,
        ),
    ]
