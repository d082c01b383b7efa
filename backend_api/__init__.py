"""HTTP, for operators: how the gates stand; pause a backend and resume it."""
