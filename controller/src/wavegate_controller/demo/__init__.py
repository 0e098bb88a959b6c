"""The whole loop on one machine: a controller, a real Prometheus and a product app with simulated users."""
