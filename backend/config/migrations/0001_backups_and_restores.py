from django.db import migrations, models

from backend.accounts.isolation import protect


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ("accounts", "0005_isolation"),
    ]

    operations = [
        migrations.CreateModel(
            name='Backup',
            fields=[
                ('name', models.CharField(max_length=100, primary_key=True, serialize=False)),
                ('made_at', models.DateTimeField()),
                ('row_count', models.BigIntegerField()),
                ('byte_count', models.BigIntegerField()),
            ],
            options={
                'db_table': 'config_backup',
            },
        ),
        migrations.CreateModel(
            name='Restore',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('backup', models.CharField(max_length=100)),
                ('restored_at', models.DateTimeField()),
                ('opened_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'config_restore',
            },
        ),
        # Both tell of the installation, of nobody in it: everyone may read them, only the owner writes.
        protect("config_backup", "true", write="false"),
        protect("config_restore", "true", write="false"),
    ]
