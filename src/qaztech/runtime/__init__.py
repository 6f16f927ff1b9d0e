"""What every process needs around its work: settings, the ASGI shell, telemetry."""
