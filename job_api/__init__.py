"""HTTP: read jobs, list them, and get at their videos; and is the app well?"""
