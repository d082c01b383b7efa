"""Telling a client that its job has ended: what is said, to whom, and over which connection."""
