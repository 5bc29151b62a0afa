"""Interfaces of other systems, over the same handlers: OpenAI's image edits, and what IOPaint's web client calls.

Each takes the fields that its original defines, names in a header those that mean nothing here, and tells errors in
its original's shape. Facts of both are from their published interfaces.
"""
