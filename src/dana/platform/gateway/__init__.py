"""The gateway: what may come in, in one model (`model`, `routes`), and its form for Envoy (`envoy`)."""
