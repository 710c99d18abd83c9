"""What is measured, and against what: limit, naive way and ours, taken in turns in one run."""
