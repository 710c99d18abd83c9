"""Any timed message to a person: planned, sent, acknowledged; it knows purpose codes and nothing clinical."""
