"""Afterglow: aftercare and follow-up for people treated with ketamine."""
