"""The titles of own reminders are sealed like notes, and no plain text can stand there again."""

from django.db import migrations

from backend.accounts.first_sealing import seal_and_hold
from backend.common.fields import NoteField


class Migration(migrations.Migration):
    atomic = False  # a batch a transaction, so that writers never wait for long
    dependencies = [("reminders", "0003_isolation"), ("accounts", "0009_data_keys")]

    operations = [
        migrations.AlterField(  # varchar to text rewrites nothing
            "rule", "title", NoteField(blank=True, default="", help_text="What patients write for themselves.")
        ),
        *seal_and_hold("reminders_rule", "title", patient="person_id", history=False),
    ]
