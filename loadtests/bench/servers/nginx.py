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
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {store}; }}
}}
"""


def main(argv: list[str]) -> None:
    """Become nginx."""
    folder = Path(tempfile.mkdtemp(prefix="bench-nginx-"))
    # As root it would read the files as another user, who may not.
    user = "user root;" if os.geteuid() == 0 else ""
    words = {"folder": folder, "port": argv[-1], "store": os.environ["BENCH_STORE"]}
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(user=user, **words), encoding="utf-8")
    os.execvp("nginx", ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)])


if __name__ == "__main__":
    main(sys.argv[1:])
