"""The report as HTML and Markdown, and the manifests. Pure."""
