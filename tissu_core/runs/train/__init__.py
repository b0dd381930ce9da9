"""What a training run is made of: its plan, its parts, its processes; anew, or resumed."""
