"""What Ray reads from the environment when it is imported: so this is done before, and imports nothing of it."""

import os
from pathlib import Path

TOKEN_FILE = Path(".ray") / "auth_token"
"""In the home folder, where Ray looks for it."""


def set_up_ray() -> None:
    """No reports to its makers; and the cluster's token is shown where there is one.

    `ray start` asks for a token as soon as there is one; who joins shows none unless told to, and is turned away (2.60.0).
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    told = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    if told or (Path.home() / TOKEN_FILE).is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
