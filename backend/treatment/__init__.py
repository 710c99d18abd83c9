"""What happens in the clinic: sessions, and the side effects that follow them."""
