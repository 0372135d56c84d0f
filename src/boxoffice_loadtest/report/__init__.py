"""The report as HTML and Markdown, and the Kubernetes manifests. Pure."""
