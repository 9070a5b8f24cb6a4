"""``python -m allaprima`` is the same as ``allaprima``."""

from allaprima.cli._app import main

if __name__ == "__main__":
    main()
