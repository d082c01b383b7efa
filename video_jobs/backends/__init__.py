"""The video APIs: one file a dialect, on one HTTP client with one error vocabulary."""
