"""Reads kind, size and completeness of videos and images from their bytes."""
