"""Starting, supervising and limiting processes."""
