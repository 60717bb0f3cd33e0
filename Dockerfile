# One image for the four services, the command, the mail catcher and the Stripe simulator.
# Not yet run on a Docker engine: issue 8 does that.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin relance \
    && install -d -o relance -g relance /data

WORKDIR /app

# Before the code, so that a change of code does not install everything anew.
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

# As the Makefile installs it: in place, from the lock's own setuptools, fetching nothing.
COPY pyproject.toml ./
COPY libs libs
COPY services services
RUN pip install --no-deps --no-build-isolation -e .

USER relance
ENTRYPOINT ["relance"]
CMD ["--help"]
