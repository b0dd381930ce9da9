"""Settings: frozen dataclasses whose fields carry their help, unit and range. No torch."""
