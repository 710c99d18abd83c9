# One image for web, worker, beat and the migration job; the servers that `make run` embeds stay out of it.
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 STATIC_ROOT=/app/static
WORKDIR /app
RUN python -m venv --without-pip /opt/venv
COPY requirements.txt docker/slim_lock.py ./
RUN python slim_lock.py requirements.txt > slim.txt \
    && pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: --quiet -r slim.txt \
    && rm requirements.txt slim_lock.py slim.txt
COPY backend backend
COPY docker/health.py docker/health.py
COPY LICENSE ./
# The key is for this one command and stays nowhere; the addresses are never called.
RUN /opt/venv/bin/python -m backend.accounts.masters build > /tmp/note_keys.json \
    && NOTE_KEYS_FILE=/tmp/note_keys.json SECRET_KEY=$(python -c "import secrets; print(secrets.token_urlsafe(48))") BASE_URL=https://build.invalid ALLOWED_HOSTS=build.invalid \
    DATABASE_URL=postgresql:///none DATABASE_OWNER_URL=postgresql:///none DATABASE_DISPATCH_URL=postgresql:///none \
    /opt/venv/bin/python backend/manage.py collectstatic --noinput --verbosity 0 \
    && rm /tmp/note_keys.json && /opt/venv/bin/python -m compileall -q backend docker

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 afterglow && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin afterglow \
    && install --directory --owner 10001 --group 10001 --mode 0700 /backups /var/lib/afterglow
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONTZPATH="" \
    STATIC_ROOT=/app/static \
    WEB_HOST=0.0.0.0 \
    PORT=8000
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "docker/health.py"]
ENTRYPOINT ["python", "-m", "backend.config.parts"]
CMD ["web"]
