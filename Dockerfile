# actor-critic on the CPU. Build: docker build -t actor-critic .
# Train, with the results in ./results: docker run --rm -v "$PWD/results:/work/results" actor-critic train CartPole-v1
FROM python:3.12-slim

COPY . /src
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    --constraint /src/constraints.txt /src

RUN useradd --create-home trainer && mkdir -p /work/results && chown -R trainer /work
USER trainer
WORKDIR /work
ENTRYPOINT ["actor-critic"]
