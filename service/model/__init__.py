"""The network and its autoencoders in torch, and their checkpoints."""
