"""What scripts/check-compose does with a running stack."""
