# moto's S3 in a container, for deploy/s3-stand-in.yml; the versions are those of the tests.
FROM python:3.13-slim
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /srv
COPY requirements.txt requirements-dev.txt ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    grep -v '^-r' requirements-dev.txt > pins.txt \
    && python -m venv /opt/moto \
    && /opt/moto/bin/pip install -c requirements.txt -c pins.txt 'moto[s3]' flask flask-cors
USER 10001:10001
EXPOSE 7070
CMD ["/opt/moto/bin/moto_server", "--host", "0.0.0.0", "--port", "7070"]
