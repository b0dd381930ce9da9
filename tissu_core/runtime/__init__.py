"""The machine: devices, number formats, seeds, memory."""
