"""The ways to the service: straight, or through a reverse proxy that shares its connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtests.ground import free_port, running, wait_until_it_answers
from tests.clients.nginx import nginx
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
_NGINX_BACK = "upstream service {{ server {upstream}; keepalive 4; }}"
_NGINX_LOCATION = """
      proxy_pass http://service;
      proxy_request_buffering off;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-API-Key "";
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
    said = f"{upstream[0]}:{upstream[1]}"
    if kind == "nginx":
        with nginx(folder, _NGINX_LOCATION, _NGINX_BACK.format(upstream=said)) as port:
            yield "127.0.0.1", port
        return
    port, config, log = free_port(), folder / f"{kind}.conf", folder / f"{kind}.log"
    config.write_text(_HAPROXY.format(port=port, upstream=said))
    with running([program("haproxy"), "-db", "-f", str(config)], log) as server:
        wait_until_it_answers(server, f"http://127.0.0.1:{port}/healthz", log)
        yield "127.0.0.1", port
