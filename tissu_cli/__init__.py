"""tissu's terminal: commands read settings, ask the core, and draw the events it yields."""
