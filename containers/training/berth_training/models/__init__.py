"""Models behind one interface: fit, predict, save, load."""
