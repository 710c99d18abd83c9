"""Who is who, who may see whom, zones and devices; the one door to a record and to the database."""
