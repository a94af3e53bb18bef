"""``python -m backend``, and ``twinset``: the command line."""

import sys


def start() -> int:
    """Run the command line; Ctrl-C ends it in order also while its modules are being imported."""
    try:
        from backend.cli.main import main
    except KeyboardInterrupt as stopped:
        from backend.cli.outcome import wants_json, write_failure

        return write_failure(stopped, as_json=wants_json(sys.argv[1:]))
    return main()


if __name__ == "__main__":
    sys.exit(start())
