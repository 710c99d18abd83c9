"""What the patient lives and answers: logs and appointments; later questionnaires, plans and alerts."""
