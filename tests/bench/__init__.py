"""What Reelkeep costs: `make bench`, or `python -m tests.bench` with the names of single measurements.

Times are never compared across runs. Each measurement takes turns with what it is compared to, and what
counts is the ratio of the medians; machines differ, and so does their mood.
"""
