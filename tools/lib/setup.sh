# shellcheck shell=bash disable=SC2034 # those who source it use the lists
# Sourced by tools/demo and tools/check: installs missing packages, configures and builds. Quick when nothing is missing.

# What building and running scry takes, by Debian and Ubuntu package name.
build_packages="gcc libc6-dev cmake ninja-build pkg-config libjansson-dev libpcre2-dev libutf8proc-dev
  libcairo2-dev libpango1.0-dev zlib1g-dev fonts-dejavu-core ocl-icd-opencl-dev opencl-headers
  libvulkan-dev glslc"
# What the tests take besides. PoCL, oclgrind and lavapipe (of Mesa's Vulkan drivers) stand in for a GPU; CLBlast and OpenBLAS are
# yardsticks. CUDA's kernels are C++. Reports are opened in Chromium.
test_packages="g++ libcriterion-dev clang llvm libclang-rt-dev clang-format libopenblas-dev libexpat1-dev
  pocl-opencl-icd libclblast-dev oclgrind
  mesa-vulkan-drivers vulkan-validationlayers spirv-tools chromium"

say() { printf '%s\n' "$*"; }

# Prints those of the named packages that are not installed.
missing_packages() {
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || printf '%s ' "$package"
  done
}

# Installs what is missing of the named packages; uses sudo when not root.
install_packages() {
  command -v dpkg-query >/dev/null || { say "This is not a Debian or Ubuntu system: please install the equivalents of: $*"; return 0; }
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  say "Installing from the distribution's packages: $missing"
  as_root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "Not root, and there is no sudo: please install $missing"; return 1; }
    as_root=sudo
  fi
  log=$(mktemp)
  # shellcheck disable=SC2086 # a list of words
  if ! { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log"
    say "The installation failed: the whole log is $log"
    return 1
  fi
  rm -f "$log"
}

# build PRESET [cmake option ...] [-- target ...]: configures where needed and builds all, or the targets; prints output only when it
# fails.
build() {
  preset=$1
  shift
  options=()
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  [ $# = 0 ] || set -- --target "${@:2}"
  mkdir -p build
  log=build/$preset.log
  if ! { cmake --preset "$preset" "${options[@]}" && cmake --build "build/$preset" "$@"; } >"$log" 2>&1; then
    tail -n 60 "$log"
    say "The build failed: the whole log is $log"
    return 1
  fi
}
