"""sap-tui serve: the app in a browser, for whoever sits at this machine."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
WARNING = "There is no login: who reaches {address}, as every user of {who} can, can do all that you can in the app."


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser(
        "serve",
        help="show the app in a browser",
        description="Show the app in a browser on this machine. There is no login, so it serves this machine alone.",
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="the address to serve (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, metavar="PORT", help="its port (default: 8000)")
    parser.add_argument(
        "--i-know-there-is-no-login", action="store_true", help="allow an address that others can reach, too"
    )
    parser.set_defaults(run=serve)


def serve(arguments: argparse.Namespace) -> int:
    """Serves until it is interrupted."""
    from core.errors import SapError, UsageError
    from core.store.db import prepare

    host, port = arguments.host, arguments.port
    if host not in LOCAL_HOSTS and not arguments.i_know_there_is_no_login:
        raise UsageError(
            f"{host} may be reached by others, and there is no login.",
            "Over SSH use ssh -L 8000:127.0.0.1:8000; or add --i-know-there-is-no-login.",
        )
    if not 0 < port < 65_536:
        raise UsageError(f"There is no port {port}.", "One from 1 to 65535.")
    try:
        from sap_tui.web import serve_app
    except ImportError as error:
        raise SapError("textual-serve is not installed.", "Install it: pip install 'sap-tui[serve]'") from error
    prepare(arguments.catalogue)
    who = "this machine" if host in LOCAL_HOSTS else "the network"
    print(WARNING.format(address=f"http://{_in_url(host)}:{port}", who=who), file=sys.stderr)
    command = shlex.join([sys.executable, "-m", "sap_tui.cli", "--catalogue", str(arguments.catalogue)])
    try:
        serve_app(command, host, port, hosts=LOCAL_HOSTS if host in LOCAL_HOSTS else ())
    except OSError as error:
        raise SapError(f"Cannot serve on {host}:{port}: {error.strerror}.", "Try another --port.") from error
    return 0


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
