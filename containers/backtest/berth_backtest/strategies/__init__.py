"""The strategies that come with the engine, and their indicator tables."""
