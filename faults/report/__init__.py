"""Results, targets and the printed summary."""
