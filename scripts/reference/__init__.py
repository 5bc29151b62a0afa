"""The pages of docs/reference, each made from what it describes; scripts/generate_reference.py writes them."""
