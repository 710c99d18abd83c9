"""Contents are read by the deliveries' ids.

Joined with the unnested ids, PostgreSQL took all that is in hand for one row and compared each of it with each id: a
quarter of a million comparisons for five hundred deliveries.
"""

from importlib import import_module

from django.db import migrations

before = import_module("backend.reminders.migrations.0012_sent_without_index_entries")

CONTENTS = before.CONTENTS.replace(
    "FROM unnest(in_hand) AS h(id) JOIN reminders_delivery d ON d.id = h.id\n", "FROM reminders_delivery d\n"
).replace("WHERE d.lease_token = shown", "WHERE d.id = ANY(in_hand) AND d.lease_token = shown")


class Migration(migrations.Migration):
    dependencies = [("reminders", "0012_sent_without_index_entries")]

    operations = [migrations.RunSQL(before.anew(CONTENTS), before.anew(before.CONTENTS))]
