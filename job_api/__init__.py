"""HTTP: read jobs and their videos; cancel, retry, delete and import jobs; the options; the app's health."""
