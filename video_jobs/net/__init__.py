"""HTTP that all APIs share: checks of addresses, and connections to checked addresses."""
