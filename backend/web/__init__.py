"""The clinicians' console: pages and templates, no models."""
