"""Running scenarios, CPU and memory accounting, figures and their tables."""
