"""Afterglow: aftercare and follow-up for people treated with ketamine."""

VERSION = "0.1.0"
