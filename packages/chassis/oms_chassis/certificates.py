"""Checks certificate files at the start: a bad file would look like an unavailable server later."""

import ssl
from pathlib import Path


def authorities(file: Path) -> Path:
    """Check a file of trusted certificate authorities and return it. Raises ValueError if it is none."""
    try:
        ssl.create_default_context(cafile=file)
    except FileNotFoundError:
        raise ValueError("is no file that is there") from None
    except OSError:
        raise ValueError("holds no certificates (PEM) that can be read") from None
    return file


def check_pair(certificate: Path, key: Path | None) -> None:
    """Raise ValueError unless there are a certificate and its key, which may be in the same file."""
    try:
        # With a password, because Python would ask for it at the terminal.
        ssl.create_default_context().load_cert_chain(certificate, key, password="")
    except OSError:
        raise ValueError("no certificate (PEM) and the key that belongs to it, unencrypted") from None
