# actor-critic on the CPU. Build: docker build -t actor-critic .
# With extras: docker build --build-arg EXTRAS='[ray,mujoco]' -t actor-critic .
# Train, with the results in ./results: docker run --rm -v "$PWD/results:/data/results" actor-critic train CartPole-v1
FROM python:3.12-slim

ARG EXTRAS=""
COPY . /src
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    --constraint /src/constraints.txt "/src${EXTRAS}"

RUN useradd --create-home trainer && mkdir -p /data/results && chown -R trainer /data
USER trainer
WORKDIR /data
ENTRYPOINT ["actor-critic"]
