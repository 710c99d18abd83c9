"""Codes by which a person proves that a number for text messages is theirs."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from backend.accounts.isolation import of_person, protect
from backend.accounts.watching import watch_rows


class Migration(migrations.Migration):

    dependencies = [
        ('reminders', '0008_where_one_lives'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='PhoneCode',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('number', models.CharField(max_length=16)),
                ('digest', models.CharField(max_length=64)),
                ('sent_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(blank=True, null=True)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['person', '-sent_at'], name='phone_code_newest_of_person')],
            },
        ),
        protect("reminders_phonecode", of_person()),
        watch_rows("reminders_phonecode", "phone_codes", about="person_id", insert="false", update="false", delete="false"),
    ]
