"""Any timed message to a person: planned, sent, acknowledged; it knows a purpose code and nothing clinical."""
