"""Crashes, everywhere: in simulated time after each effect, and with real processes."""
