"""Each provider: its own package against the imitation, and the app against the same imitation."""
