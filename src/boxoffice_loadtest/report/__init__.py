"""The report as HTML and Markdown, and values for the Helm chart. Pure."""
