"""When a chain's reminders are all settled; the engine's counters; the zone data by which the plan was made."""

from django.db import migrations, models

from backend.accounts.isolation import protect


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0015_how_one_is_reminded'),
        ('reminders', '0006_chains_silences_addresses'),
    ]

    operations = [
        migrations.CreateModel(
            name='Tally',
            fields=[
                ('pk', models.CompositePrimaryKey('name', 'label', 'process', blank=True, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=32)),
                ('label', models.CharField(max_length=64)),
                ('process', models.SmallIntegerField()),
                ('value', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='ZoneData',
            fields=[
                ('version', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('began_at', models.DateTimeField()),
                ('reached', models.UUIDField(blank=True, help_text='The last rule that was compared; empty: none yet.', null=True)),
                ('checked_at', models.DateTimeField(blank=True, help_text='When all were compared; empty: not yet.', null=True)),
            ],
            options={
                'verbose_name_plural': 'zone data',
            },
        ),
        migrations.AddField(
            model_name='escalation',
            name='settled_at',
            field=models.DateTimeField(blank=True, help_text='When nobody had anything open of it any more.', null=True),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('status', 'unknown')), fields=['changed_at'], name='delivery_in_doubt'),
        ),
        migrations.AddIndex(
            model_name='escalation',
            index=models.Index(condition=models.Q(('next_at__isnull', True), ('settled_at__isnull', True)), fields=['id'], name='escalation_to_settle'),
        ),
        protect("reminders_tally", "false", dispatch=True),
        protect("reminders_zonedata", "false", dispatch=True),
    ]
