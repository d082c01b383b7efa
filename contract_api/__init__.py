"""HTTP without a key: the contract as OpenAPI 3.1, and a page to read it."""
