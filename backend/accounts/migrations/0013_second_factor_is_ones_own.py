"""A person's second factors: seen by the person, and by who signs in with one of the person's passkeys."""

from django.db import migrations

from backend.accounts.isolation import ME, protect, with_key


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0012_one_open_invitation"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]

    operations = [
        protect(
            "mfa_authenticator",
            f"user_id = {ME} OR {with_key('user_id::text')}",
            write=f"user_id = {ME}",
        ),
    ]
