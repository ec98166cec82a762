"""Refuse every connection that leaves this machine.

Python imports a module of this name at start-up when its directory is on ``PYTHONPATH``, so child
processes (kernels, JupyterLab, an installed wheel) inherit the guard; ``tests/conftest.py`` imports
it for pytest's own process. Audit hooks see every Python socket and cannot be taken out again.
"""

import sys
from typing import Any

LOCAL_HOSTS = frozenset({"", "0.0.0.0", "127.0.0.1", "::", "::1", "localhost"})


def _host(event: str, args: tuple[Any, ...]) -> object:
    """The host an audited socket event is about; ``None`` if it is about none."""
    if event == "socket.connect":
        address = args[1]
        return address[0] if isinstance(address, tuple) else None  # AF_UNIX: a path
    if event == "socket.getaddrinfo":
        return args[0]
    return None


def _refuse_network(event: str, args: tuple[Any, ...]) -> None:
    host = _host(event, args)
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if isinstance(host, str) and host not in LOCAL_HOSTS:
        raise OSError(f"tests run offline, but something reached for {host!r}")


sys.addaudithook(_refuse_network)
