"""What Grafana shows of the service: one module a dashboard, made into JSON by scripts/generate_dashboards.py."""
