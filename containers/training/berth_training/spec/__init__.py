"""The spec: parsed once, at the edge."""
