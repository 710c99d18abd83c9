"""Annotations, and their history, hold nothing but sealed text."""

from django.db import migrations

from backend.accounts.first_sealing import seal_and_hold


class Migration(migrations.Migration):
    atomic = False  # a batch a transaction, so that writers never wait for long
    dependencies = [("treatment", "0005_annotations_isolated"), ("accounts", "0009_data_keys")]

    operations = seal_and_hold("treatment_annotation", "text")
