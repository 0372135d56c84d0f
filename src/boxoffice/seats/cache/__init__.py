"""What a process keeps of each schedule, and when it is read again."""
