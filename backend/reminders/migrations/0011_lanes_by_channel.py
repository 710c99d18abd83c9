"""The index of what is to be leased begins with class and channel: a lane is found past any backlog of another."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reminders", "0010_numbers_and_contents_in_batches")]

    operations = [
        migrations.RemoveIndex("delivery", "delivery_to_lease"),
        migrations.AddIndex(
            "delivery",
            models.Index(
                fields=["reminder_class", "channel", "try_at"],
                condition=models.Q(status="pending"),
                name="delivery_to_lease",
            ),
        ),
    ]
