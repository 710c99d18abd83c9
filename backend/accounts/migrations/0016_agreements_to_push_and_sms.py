"""Agreements to notifications and to text messages."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0015_how_one_is_reminded'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='consentrecord',
            name='consent_purpose_known',
        ),
        migrations.AlterField(
            model_name='consentdocument',
            name='purpose',
            field=models.CharField(choices=[('care', 'Care'), ('messages_email', 'Messages Email'), ('messages_push', 'Messages Push'), ('messages_sms', 'Messages Sms')], max_length=32),
        ),
        migrations.AlterField(
            model_name='consentrecord',
            name='purpose',
            field=models.CharField(choices=[('care', 'Care'), ('messages_email', 'Messages Email'), ('messages_push', 'Messages Push'), ('messages_sms', 'Messages Sms')], max_length=32),
        ),
        migrations.AddConstraint(
            model_name='consentrecord',
            constraint=models.CheckConstraint(condition=models.Q(('purpose__in', ['care', 'messages_email', 'messages_push', 'messages_sms'])), name='consent_purpose_known'),
        ),
    ]
