"""Makes the Grafana dashboards of `deploy/dashboards/` from descriptions of their panels."""
