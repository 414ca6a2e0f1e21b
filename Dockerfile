# migrate for the CPU. Build: docker build --tag=migrate .
# Use:   docker run --rm --user="$(id -u)" --volume="$PWD:/work" migrate audit models
FROM python:3.11-slim AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /source
COPY setup.cfg setup.py tf1_migrate.py README.md LICENSE ./
COPY migrate ./migrate
ENV PATH=/opt/migrate/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# tensorflow-cpu is the same module as tensorflow and less than half of its size, but pip does not know that: this
# program and tf-keras come without what they require, and the rest of that is asked for by itself.
RUN python -m venv /opt/migrate \
    && pip install tensorflow-cpu==2.21.0 \
    && pip install --no-deps tf-keras==2.21.0 . \
    && python -c "import importlib.metadata as m; print('\n'.join(r for r in m.requires('tf1-migrate') if 'extra ==' not in r and not r.startswith(('tensorflow', 'tf-keras'))))" \
        > requirements.txt \
    && pip install --requirement requirements.txt \
    && pip uninstall --yes pip

FROM python:3.11-slim
COPY --from=build /opt/migrate /opt/migrate
RUN useradd --uid=1000 --create-home migrate && mkdir /work && chown migrate /work
# A user that docker run --user names may have no home; TensorFlow needs none.
ENV PATH=/opt/migrate/bin:$PATH HOME=/home/migrate
USER 1000
WORKDIR /work
ENTRYPOINT ["migrate"]
CMD ["--help"]
