# The image of deputize: an interpreter, the libraries it needs, the service, and nothing else.
# docs/image.md says what is in it, and how to build the same one again.

# A tag can be moved; the release workflow gives NAME:TAG@sha256:... and refuses to go without.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG SOURCE_DATE_EPOCH=1577836800
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# What is installed is what the locks say, by hash, as wheels: nothing is compiled here.
COPY scripts/image/build.lock scripts/image/runtime.lock ./
# hadolint ignore=DL3042
RUN python -m pip install --quiet --no-deps --require-hashes --only-binary=:all: \
      --target /build/tools -r build.lock
# hadolint ignore=DL3042
RUN python -m venv --without-pip /opt/deputize \
 && python -m pip --python /opt/deputize install --quiet --no-deps --require-hashes \
      --only-binary=:all: --no-compile -r runtime.lock

COPY LICENSE README.md pyproject.toml ./
COPY src src
# hadolint ignore=DL3042
RUN PYTHONPATH=/build/tools python -m hatchling build -t wheel -d /build/dist \
 && python -m pip --python /opt/deputize install --quiet --no-deps --no-index --no-compile \
      /build/dist/*.whl \
 && python -m pip --python /opt/deputize check

COPY scripts/image/tree.py ./
RUN python tree.py /opt/deputize /tree

FROM scratch
ARG PYTHON_IMAGE
ARG VERSION=0.0.0+local
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="deputize" \
      org.opencontainers.image.description="Decides whether an AI agent may do this, now, on behalf of that person." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
COPY --from=build /tree /
ENV PATH=/opt/deputize/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
EXPOSE 8080 9191
STOPSIGNAL SIGTERM
ENTRYPOINT ["deputize"]
CMD ["serve", "--config", "/etc/deputize/config/config.yaml"]
