"""Any timed message to a person: planned, sent, acknowledged, escalated; it knows a purpose code and nothing clinical."""
