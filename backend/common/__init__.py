"""What every room may use: the clock, the shape of requests, answers and errors."""
