"""The outside as it is: one folder a kind, one module a real thing. Siblings never import one another."""
