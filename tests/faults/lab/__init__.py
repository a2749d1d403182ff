"""What the fault cases and the soak are made of."""
