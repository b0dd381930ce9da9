"""A layer by its number."""

from tissu_core.errors import ConfigError


def require_layer(layer: int | None, num_layers: int, owner: str) -> None:
    """Refuse a layer that is not there; ``owner`` is what has layers.

    Raises:
        ConfigError: Says which there are.
    """
    if layer is not None and not 0 <= layer < num_layers:
        raise ConfigError(
            f"{owner} has no layer {layer}: there are {num_layers}, from 0",
            field="layer",
            hint=f"--layer {num_layers - 1}",
        )
