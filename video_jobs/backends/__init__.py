"""The video APIs: one file for each dialect. All use the same HTTP client and raise the same errors."""
