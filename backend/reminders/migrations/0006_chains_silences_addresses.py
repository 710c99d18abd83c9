"""Chains of people, silences and blocked addresses; what a rule copies of its person; the machine of a clinic plans for staff."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from backend.accounts.isolation import HERE, ME, Share, of_patient, of_patient_in_clinic, protect
from backend.accounts.watching import watch_rows

WHOSE = of_patient_in_clinic(Share.REMINDERS.value, column="person_id")
# An answer of a patient tells clinicians, whose rules no patient may see: the clinic itself writes them (machine_of).
MACHINE = f"{ME} IS NULL AND clinic_id = {HERE}"
FOR_STAFF = tuple(
    (
        f"CREATE POLICY by_machine ON {table} TO afterglow_app USING ({MACHINE})",
        f"DROP POLICY IF EXISTS by_machine ON {table}",
    )
    for table in ("reminders_rule", "reminders_reminder", "reminders_delivery", "reminders_escalation", "reminders_silence")
)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0015_how_one_is_reminded'),
        ('reminders', '0005_audit'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='BlockedAddress',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('channel', models.CharField(choices=[('inbox', 'Inbox'), ('push', 'Push'), ('email', 'Email'), ('sms', 'Sms')], max_length=8)),
                ('fingerprint', models.CharField(max_length=64)),
                ('why', models.CharField(help_text="The provider's word, without personal data.", max_length=200)),
                ('blocked_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Escalation',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('purpose', models.CharField(choices=[('alert', 'Alert'), ('appointment', 'Appointment'), ('session', 'Session'), ('day_check', 'Day Check'), ('questionnaire', 'Questionnaire'), ('check_in', 'Check In'), ('target', 'Target'), ('own', 'Own'), ('address', 'Address'), ('silence', 'Silence')], max_length=16)),
                ('about_type', models.CharField(blank=True, default='', max_length=32)),
                ('about_id', models.UUIDField(blank=True, null=True)),
                ('steps', models.JSONField()),
                ('step', models.PositiveSmallIntegerField(default=0, help_text='The step that is next.')),
                ('round', models.PositiveIntegerField(default=1)),
                ('next_at', models.DateTimeField(blank=True, help_text='Empty once it was answered or stopped.', null=True)),
                ('opened_at', models.DateTimeField()),
                ('acknowledged_at', models.DateTimeField(blank=True, null=True)),
                ('acknowledged_by', models.UUIDField(blank=True, null=True)),
                ('stopped_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Silence',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('purpose', models.CharField(choices=[('alert', 'Alert'), ('appointment', 'Appointment'), ('session', 'Session'), ('day_check', 'Day Check'), ('questionnaire', 'Questionnaire'), ('check_in', 'Check In'), ('target', 'Target'), ('own', 'Own'), ('address', 'Address'), ('silence', 'Silence')], max_length=16)),
                ('since_at', models.DateTimeField(help_text='Due instant of the first reminder that nobody answered.')),
                ('noted_at', models.DateTimeField()),
                ('told_at', models.DateTimeField(blank=True, help_text='When the care team was told.', null=True)),
                ('ended_at', models.DateTimeField(blank=True, help_text='When the patient was heard of again.', null=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='reminder',
            name='reminder_reason_known',
        ),
        migrations.RemoveConstraint(
            model_name='rule',
            name='rule_purpose_known',
        ),
        migrations.AddField(
            model_name='reminder',
            name='nudge_at',
            field=models.DateTimeField(blank=True, help_text='When it is sent once more if nobody answered.', null=True),
        ),
        migrations.AddField(
            model_name='reminder',
            name='unanswered_since_at',
            field=models.DateTimeField(blank=True, help_text='Due instant of the first reminder before it that nobody answered.', null=True),
        ),
        migrations.AddField(
            model_name='rule',
            name='daily_cap',
            field=models.PositiveSmallIntegerField(blank=True, help_text="The person's own, copied.", null=True),
        ),
        migrations.AddField(
            model_name='rule',
            name='muted_at',
            field=models.DateTimeField(blank=True, help_text='The person wants no messages of this purpose.', null=True),
        ),
        migrations.AddField(
            model_name='rule',
            name='nudge_minutes',
            field=models.PositiveSmallIntegerField(blank=True, help_text='So long after sending, one nudge if nobody answered; empty: none.', null=True),
        ),
        migrations.AddField(
            model_name='rule',
            name='paused_from_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='rule',
            name='paused_until_at',
            field=models.DateTimeField(blank=True, help_text='In a session until then.', null=True),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='channel',
            field=models.CharField(choices=[('inbox', 'Inbox'), ('push', 'Push'), ('email', 'Email'), ('sms', 'Sms')], max_length=8),
        ),
        migrations.AlterField(
            model_name='reminder',
            name='purpose',
            field=models.CharField(choices=[('alert', 'Alert'), ('appointment', 'Appointment'), ('session', 'Session'), ('day_check', 'Day Check'), ('questionnaire', 'Questionnaire'), ('check_in', 'Check In'), ('target', 'Target'), ('own', 'Own'), ('address', 'Address'), ('silence', 'Silence')], max_length=16),
        ),
        migrations.AlterField(
            model_name='reminder',
            name='reason',
            field=models.CharField(blank=True, choices=[('already_logged', 'Already Logged'), ('made_later', 'Made Later'), ('window_closed', 'Window Closed'), ('appointment_cancelled', 'Appointment Cancelled'), ('appointment_moved', 'Appointment Moved'), ('zone_changed', 'Zone Changed'), ('rule_changed', 'Rule Changed'), ('rule_ended', 'Rule Ended'), ('unconfirmed', 'Unconfirmed'), ('undeliverable', 'Undeliverable'), ('until_done', 'Until Done'), ('quiet_hours', 'Quiet Hours'), ('opted_out', 'Opted Out'), ('in_session', 'In Session'), ('daily_cap', 'Daily Cap'), ('gone_silent', 'Gone Silent'), ('cancelled_by_staff', 'Cancelled By Staff'), ('answered_by_other', 'Answered By Other')], default='', max_length=24),
        ),
        migrations.AlterField(
            model_name='rule',
            name='purpose',
            field=models.CharField(choices=[('alert', 'Alert'), ('appointment', 'Appointment'), ('session', 'Session'), ('day_check', 'Day Check'), ('questionnaire', 'Questionnaire'), ('check_in', 'Check In'), ('target', 'Target'), ('own', 'Own'), ('address', 'Address'), ('silence', 'Silence')], max_length=16),
        ),
        migrations.AddIndex(
            model_name='reminder',
            index=models.Index(condition=models.Q(('nudge_at__isnull', False), ('status', 'sent')), fields=['nudge_at'], name='reminder_to_nudge'),
        ),
        migrations.AddConstraint(
            model_name='reminder',
            constraint=models.CheckConstraint(condition=models.Q(('reason__in', ['', 'already_logged', 'made_later', 'window_closed', 'appointment_cancelled', 'appointment_moved', 'zone_changed', 'rule_changed', 'rule_ended', 'unconfirmed', 'undeliverable', 'until_done', 'quiet_hours', 'opted_out', 'in_session', 'daily_cap', 'gone_silent', 'cancelled_by_staff', 'answered_by_other'])), name='reminder_reason_known'),
        ),
        migrations.AddConstraint(
            model_name='rule',
            constraint=models.CheckConstraint(condition=models.Q(('purpose__in', ['alert', 'appointment', 'session', 'day_check', 'questionnaire', 'check_in', 'target', 'own', 'address', 'silence'])), name='rule_purpose_known'),
        ),
        migrations.AddField(
            model_name='blockedaddress',
            name='person',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='escalation',
            name='clinic',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.clinic'),
        ),
        migrations.AddField(
            model_name='escalation',
            name='person',
            field=models.ForeignKey(help_text='Whom it is about.', on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='silence',
            name='clinic',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.clinic'),
        ),
        migrations.AddField(
            model_name='silence',
            name='person',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='blockedaddress',
            constraint=models.UniqueConstraint(fields=('person', 'channel', 'fingerprint'), name='blocked_address_once'),
        ),
        migrations.AddIndex(
            model_name='escalation',
            index=models.Index(condition=models.Q(('next_at__isnull', False)), fields=['next_at'], name='escalation_to_go_on'),
        ),
        migrations.AddIndex(
            model_name='escalation',
            index=models.Index(fields=['person', '-opened_at'], name='escalation_list_of_person'),
        ),
        migrations.AddConstraint(
            model_name='escalation',
            constraint=models.CheckConstraint(condition=models.Q(('purpose__in', ['alert', 'appointment', 'session', 'day_check', 'questionnaire', 'check_in', 'target', 'own', 'address', 'silence'])), name='escalation_purpose_known'),
        ),
        migrations.AddConstraint(
            model_name='escalation',
            constraint=models.CheckConstraint(condition=models.Q(('next_at__isnull', False), ('acknowledged_at__isnull', False), ('stopped_at__isnull', False), _connector='OR'), name='escalation_never_ends_by_itself'),
        ),
        migrations.AddConstraint(
            model_name='escalation',
            constraint=models.UniqueConstraint(condition=models.Q(('next_at__isnull', False)), fields=('about_type', 'about_id', 'purpose'), name='escalation_once_while_open'),
        ),
        migrations.AddIndex(
            model_name='silence',
            index=models.Index(condition=models.Q(('ended_at__isnull', True), ('told_at__isnull', True)), fields=['clinic'], name='silence_to_tell'),
        ),
        migrations.AddConstraint(
            model_name='silence',
            constraint=models.CheckConstraint(condition=models.Q(('purpose__in', ['alert', 'appointment', 'session', 'day_check', 'questionnaire', 'check_in', 'target', 'own', 'address', 'silence'])), name='silence_purpose_known'),
        ),
        migrations.AddConstraint(
            model_name='silence',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('person', 'purpose'), name='silence_once_while_it_lasts'),
        ),
        protect("reminders_escalation", WHOSE, dispatch=True),
        protect("reminders_silence", WHOSE, dispatch=True),
        protect("reminders_blockedaddress", of_patient(column="person_id"), dispatch=True),
        migrations.RunSQL([do for do, _ in FOR_STAFF], [undo for _, undo in FOR_STAFF]),
        watch_rows(
            "reminders_escalation",
            "escalations",
            about="person_id",
            clinic="clinic_id",
            update="(NEW.acknowledged_at, NEW.stopped_at) IS DISTINCT FROM (OLD.acknowledged_at, OLD.stopped_at)",
        ),
        watch_rows("reminders_silence", "silences", about="person_id", clinic="clinic_id", insert="false", update="false"),
        watch_rows("reminders_blockedaddress", "addresses", about="person_id", insert="false", update="false"),
    ]
