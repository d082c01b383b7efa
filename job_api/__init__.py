"""HTTP: read jobs and get at their videos; cancel, retry, delete and import them; and is the app well?"""
