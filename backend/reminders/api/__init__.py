"""The doors of the room: the ledger, rules of one's own, and the own profile, whose zone moves reminders."""
