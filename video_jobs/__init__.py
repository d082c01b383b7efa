"""What a video job is and what it needs. Nothing here knows a trigger or a binding."""
