"""nginx on loopback, as anybody may run it: one worker, its files in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtests.ground import free_port, running, wait_until_it_answers
from tests.clients.programs import program

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
    location / {{
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      {location}
    }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, location: str, http: str = "") -> Iterator[int]:
    """The port of one that passes everything on as `location` says, once the service answers.

    `http` is what its configuration says beside the server. Skips where nginx is not here.
    """
    # As root it would read its folders as another user, who may not.
    user = "user root;" if os.geteuid() == 0 else ""
    port, config, log = free_port(), folder / "nginx.conf", folder / "nginx.log"
    words = {"folder": folder, "port": port, "http": http, "location": location}
    config.write_text(_CONFIG.format(user=user, **words))
    command = [program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(config)]
    with running(command, log) as server:
        wait_until_it_answers(server, f"http://127.0.0.1:{port}/healthz", log)
        yield port
