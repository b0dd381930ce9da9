"""Where runs, models and caches live."""

import os
from pathlib import Path


def home() -> Path:
    """``TISSU_HOME``, or the platform's user data directory."""
    given = os.environ.get("TISSU_HOME")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("tissu", appauthor=False))


def runs_directory() -> Path:
    """Where runs are made unless ``--out`` says otherwise."""
    return home() / "runs"


def models_directory() -> Path:
    """The store of models that belong to no run."""
    return home() / "models"


def suites_directory() -> Path:
    """A person's own evaluation suites."""
    return home() / "suites"


def seems_there(model: str | None) -> bool:
    """Whether a run, a stored model or a path has this name, or for None any run or model is there.

    A look that costs nothing: what is there may still turn out to be no model.
    """
    if model is None:
        return any(runs_directory().glob("*/config.toml")) or any(models_directory().glob("[!.]*"))
    places = (runs_directory() / model, models_directory() / model, Path(model).expanduser())
    return any(os.path.exists(place) for place in places)  # noqa: PTH110  never raises


def cache_directory() -> Path:
    """Tokens and hashes, which can always be made again."""
    if os.environ.get("TISSU_HOME"):
        return home() / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("tissu", appauthor=False))


def native_directory() -> Path | None:
    """Where the compiled step of decoding lies; None if it is not wanted."""
    given = os.environ.get("TISSU_NATIVE")
    if given:
        return None if given == "off" else Path(given)
    return cache_directory() / "native"


def user_config_file() -> Path:
    """The person's own settings, for every project."""
    if os.environ.get("TISSU_HOME"):
        return home() / "config.toml"
    import platformdirs

    return Path(platformdirs.user_config_dir("tissu", appauthor=False)) / "config.toml"


def user_home() -> Path:
    """The person's home folder; "~" itself where the machine knows none."""
    # Path.home() raises for a user without one.
    return Path(os.path.expanduser("~")).resolve()  # noqa: PTH111
