"""What the bytes of videos and images say of themselves."""
