# Every image of Neap, one for each SERVICE: the four services, and the neap command.
#
#   docker build --build-arg SERVICE=planner -t neap/planner .
#   make images                      all of them, stamped, for this machine's platform
#
# The builder runs on the platform of the machine and cross-compiles, so that images for
# other platforms need no emulation. There is no "# syntax=" line: it would make every
# build fetch a frontend image first.
ARG GO_VERSION=1.26

FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:${GO_VERSION}-bookworm AS build
WORKDIR /src

# The modules change more seldom than the code, so they are a layer of their own.
COPY go.work go.work.sum go.mod go.sum ./
COPY libs/adapters/go.mod libs/adapters/go.sum libs/adapters/
COPY libs/fleet/go.mod libs/fleet/
COPY services/actuator/go.mod services/actuator/go.sum services/actuator/
COPY services/drainer/go.mod services/drainer/go.sum services/drainer/
COPY services/planner/go.mod services/planner/go.sum services/planner/
COPY services/watcher/go.mod services/watcher/go.sum services/watcher/
RUN go mod download

COPY . .
ARG SERVICE
ARG TARGETOS TARGETARCH
ARG VERSION=devel
ARG REVISION=unknown
RUN GOOS=${TARGETOS} GOARCH=${TARGETARCH} VERSION=${VERSION} REVISION=${REVISION} scripts/build-static "${SERVICE}" /out/app

FROM gcr.io/distroless/static-debian12:nonroot
ARG SERVICE
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.title="neap-${SERVICE}" \
      org.opencontainers.image.description="Neap scales Amazon ECS clusters on EC2: ${SERVICE}" \
      org.opencontainers.image.source="https://github.com/neap-project/neap" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/app /app
# By number, since a platform that insists on a user other than root cannot look names up.
USER 65532:65532
ENTRYPOINT ["/app"]
