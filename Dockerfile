# The service (the last stage, so the one that a plain `docker build .` makes) and, by
# `--target sample`, the job that publishes the sample store.

FROM python:3.13-slim AS build
# An index of one's own: --build-arg PIP_INDEX_URL=..., or a whole pip.conf, which leaves no trace
# in any layer: --secret id=pip,src=pip.conf
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.txt ./
# The environment has no pip of its own: the stage's installs into it.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m venv --without-pip /opt/sluice \
    && python -m pip --python /opt/sluice/bin/python install --no-compile -r requirements.txt
COPY pyproject.toml setup.py README.md LICENSE ./
COPY sluice sluice
COPY app app
# Left out: the tests that packages carry along, what botocore knows of Amazon's services other than
# S3 and those that hand out keys, and zstandard's second backend, for which cffi would be needed.
# Compiled once, here: the service's user could not keep what it compiles, so every start of a
# container would do it again.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m pip --python /opt/sluice/bin/python install --no-compile --no-deps . \
    && find /opt/sluice/lib -depth -type d -name tests -exec rm -r {} + \
    && find /opt/sluice/lib/*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
       ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} + \
    && rm -f /opt/sluice/lib/*/site-packages/zstandard/_cffi.* \
    && /opt/sluice/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/sluice/lib

FROM python:3.13-slim AS runtime
ENV PATH=/opt/sluice/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /opt/sluice /opt/sluice
# What is kept over restarts, where a volume is mounted.
RUN install -d -o 10001 -g 10001 /var/lib/sluice
# A number, so that an orchestrator can see without a passwd file that this is not root.
USER 10001:10001
WORKDIR /srv

FROM runtime AS sample
# As in a checkout, where the service is `app`: installed, it is `sluice.app`.
COPY app app
COPY demo demo
CMD ["python", "-m", "demo.publish"]

FROM runtime AS service
ENV SLUICE_HOST=0.0.0.0 SLUICE_PORT=8000 SLUICE_CATALOG=/etc/sluice/catalog.yaml \
    SLUICE_REFRESHES_FILE=/var/lib/sluice/refreshed
EXPOSE 8000
# The server is process 1 itself and ends in order when it is asked to.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["sluice", "health"]
ENTRYPOINT ["sluice"]
CMD ["serve"]
