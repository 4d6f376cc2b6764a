"""nginx over the files of the store in ``BENCH_STORE``: one worker, ``sendfile``.

python -m loadtests.bench.servers.nginx --port PORT
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

_CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {http}
  server {{
    listen 127.0.0.1:{port};
    {server}
  }}
}}
"""
_FILES = """sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  default_type application/octet-stream;"""


def command(program: str, folder: Path, port: int | str, server: str, http: str = "") -> list[str]:
    """What starts `program` with all its files in this folder: its configuration is written there.

    `server` is what the configuration says of the one server, and `http` beside it.
    """
    # As root it would read files as another user, who may not.
    user = "user root;" if os.geteuid() == 0 else ""
    words = {"folder": folder, "port": port, "http": http, "server": server}
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(user=user, **words), encoding="utf-8")
    return [program, "-p", str(folder), "-e", "stderr", "-c", str(config)]


def main(argv: list[str]) -> None:
    """Become nginx."""
    folder = Path(tempfile.mkdtemp(prefix="bench-nginx-"))
    words = command("nginx", folder, argv[-1], f"root {os.environ['BENCH_STORE']};", _FILES)
    os.execvp("nginx", words)


if __name__ == "__main__":
    main(sys.argv[1:])
