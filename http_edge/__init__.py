"""What every HTTP function shares: who asks, and how answers and errors are written."""
