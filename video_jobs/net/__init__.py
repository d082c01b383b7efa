"""HTTP below the level of any one API: addresses, and connections to those that were checked."""
