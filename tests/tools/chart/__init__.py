"""The Helm chart, rendered offline by the real Helm, and its pods as processes."""
