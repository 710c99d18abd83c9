"""Backups: taken in one snapshot, sealed, verified before anything is touched, brought back beside what runs."""
