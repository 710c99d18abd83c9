"""Notes of side effects, and of their history, are sealed, and no plain text can stand there again."""

from django.db import migrations

from backend.accounts.first_sealing import seal_and_hold


class Migration(migrations.Migration):
    atomic = False  # a batch a transaction, so that writers never wait for long
    dependencies = [("treatment", "0002_isolation"), ("accounts", "0009_data_keys")]

    operations = seal_and_hold("treatment_sideeffect", "note")
