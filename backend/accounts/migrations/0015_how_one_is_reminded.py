"""What a person chose about reminders: for each purpose, how many a day, how plainly, and a confirmed number."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0014_audit'),
    ]

    operations = [
        migrations.AddField(
            model_name='person',
            name='daily_cap',
            field=models.PositiveSmallIntegerField(blank=True, help_text='How many habit reminders a day at most; empty: the usual number.', null=True),
        ),
        migrations.AddField(
            model_name='person',
            name='detailed_messages_at',
            field=models.DateTimeField(blank=True, help_text='Since when messages may say what they are about; empty: never.', null=True),
        ),
        migrations.AddField(
            model_name='person',
            name='phone',
            field=models.CharField(blank=True, default='', help_text='E.164; for text messages', max_length=16),
        ),
        migrations.AddField(
            model_name='person',
            name='phone_confirmed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='person',
            name='reminder_choices',
            field=models.JSONField(default=dict, help_text='What differs for a purpose: {"check_in": {"channels": ["push"]}, "own": {"off": true}}'),
        ),
        migrations.AddConstraint(
            model_name='person',
            constraint=models.CheckConstraint(condition=models.Q(('phone', ''), ('phone__regex', '^\\+[1-9][0-9]{6,14}$'), _connector='OR'), name='person_phone_e164'),
        ),
        # A default of the database, for what inserts by SQL; one of the model would read the new row back, which the
        # policies forbid to someone who only now becomes a person.
        migrations.RunSQL(
            "ALTER TABLE accounts_person ALTER COLUMN phone SET DEFAULT '', ALTER COLUMN reminder_choices SET DEFAULT '{}'",
            "ALTER TABLE accounts_person ALTER COLUMN phone DROP DEFAULT, ALTER COLUMN reminder_choices DROP DEFAULT",
        ),
    ]
