"""What all HTTP functions share: who the caller is, and how answers and errors are written."""
