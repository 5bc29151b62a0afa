"""Generated from proto/ by scripts/generate_pb.py (make proto). Not to be edited."""
