"""The shapes of the API: what OpenAPI publishes and the page's types are generated from."""
