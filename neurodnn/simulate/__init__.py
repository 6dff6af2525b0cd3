"""Simulated data with a planted answer, and the network and images that go with them."""
