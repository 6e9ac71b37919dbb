"""How everything runs: data, events, HTTP, telemetry. Knows no service."""
