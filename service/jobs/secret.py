"""The deployment's own secret: what is derived from it, nobody else can make up."""

import os
import secrets
from pathlib import Path

from service.jobs.folder import make_folder, write_whole


def deployment_secret(data_dir: Path) -> bytes:
    """The same for all processes that share the folder; made when it is first asked for."""
    path = data_dir / "secret"
    make_folder(path.parent)
    if not path.exists():
        draft = write_whole(path.with_name(f"secret.{secrets.token_hex(8)}"), lambda part: part.write_bytes(secrets.token_bytes(32)))
        draft.chmod(0o600)
        try:
            os.link(draft, path)  # fails where another process was quicker: its secret counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
