"""The ways to the service: straight, or through a reverse proxy that shares its connections."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtests.ground import free_port, running, wait_until_it_answers
from tests.clients.programs import program

Address = tuple[str, int]

_HAPROXY = """
global
  maxconn 200
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend front
  bind 127.0.0.1:{port}
  option forwardfor
  http-request del-header X-API-Key
  default_backend back
backend back
  http-reuse always
  server service {upstream}
"""
_NGINX = """
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
  upstream service {{ server {upstream}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-API-Key "";
    }}
  }}
}}
"""


@contextmanager
def door(kind: str, upstream: Address, folder: Path) -> Iterator[Address]:
    """The address of a `kind` of way to the service at `upstream`; skips where it is not here.

    Proxies tell the client's address, and take ``X-API-Key`` away.
    """
    if kind == "alone":
        yield upstream
        return
    folder.mkdir(parents=True, exist_ok=True)
    port, config = free_port(), folder / f"{kind}.conf"
    words = {"port": port, "upstream": f"{upstream[0]}:{upstream[1]}", "folder": folder}
    if kind == "haproxy":
        config.write_text(_HAPROXY.format(**words))
        command = [program("haproxy"), "-db", "-f", str(config)]
    else:
        # As root it would read its folders as another user, who may not.
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(_NGINX.format(user=user, **words))
        command = [program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(config)]
    log = folder / f"{kind}.log"
    with running(command, log) as server:
        wait_until_it_answers(server, f"http://127.0.0.1:{port}/healthz", log)
        yield "127.0.0.1", port
