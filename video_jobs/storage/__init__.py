"""Table, Queue and Blob Storage behind the ports, and their in-memory twin."""
