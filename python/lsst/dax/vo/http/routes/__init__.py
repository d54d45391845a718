"""The paths of each service, one module a protocol."""
