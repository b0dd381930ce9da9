"""``python -m tissu_cli`` is ``tissu``."""

from tissu_cli.main import main

if __name__ == "__main__":
    main()
