"""The inference form of the networks: the same numbers as the training form, in less work."""
