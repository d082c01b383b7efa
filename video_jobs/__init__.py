"""What a video job is and what it needs: the nouns of the app, with no trigger or binding in sight."""
