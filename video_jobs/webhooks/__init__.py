"""Tells a client that its job has ended: signature, receivers, and connection."""
