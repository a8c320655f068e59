# docker buildx bake                  the image for this machine's architecture, as registrator:latest
# docker buildx bake release --push   for every architecture, as IMAGE:VERSION and IMAGE:latest

variable "IMAGE" {
  default = "registrator"
}

variable "VERSION" {
  default = "0.1.0"
}

variable "REVISION" {
  default = "unknown"
}

# As in the Dockerfile. A newer one: docker buildx imagetools inspect node:24-alpine
variable "BASE" {
  default = "node:24-alpine@sha256:d32cdf619f63fe0471182d08996dd516c6275bb5fd31ae06e55a570bd9e1ad43"
}

group "default" {
  targets = ["local"]
}

target "_base" {
  context    = "."
  dockerfile = "Dockerfile"
  args = {
    BASE     = BASE
    VERSION  = VERSION
    REVISION = REVISION
  }
}

target "local" {
  inherits = ["_base"]
  tags     = ["${IMAGE}:latest"]
  output   = ["type=docker"]
}

# Nothing in the image is compiled: the same files, on Node's own image for each architecture.
target "release" {
  inherits  = ["_base"]
  platforms = ["linux/amd64", "linux/arm64"]
  tags      = ["${IMAGE}:${VERSION}", "${IMAGE}:latest"]
  attest    = ["type=provenance,mode=max", "type=sbom"]
}
