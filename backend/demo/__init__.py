"""The demo clinic: invented people, a mailbox that delivers nothing; installed only with DEMO=True."""
