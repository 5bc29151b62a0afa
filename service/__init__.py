"""Moebius: inpainting as a service. Flow: edge -> queue -> worker -> engine -> model."""

__version__ = "0.1.0"
