"""Backends that run the network behind one protocol, and the samplers."""
