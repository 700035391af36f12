#!/usr/bin/env bash
# Installs Python 3.11 and this project, with the versions of constraints.txt, into ~/.ces-kd on a node of a cluster, then
# tries its GPUs. Does nothing where the same versions are installed already.
#   install.sh [CACHE]
# CACHE, s3://BUCKET/FOLDER or a folder that all nodes mount: the first node leaves its environment there (3 to 4 GB),
# and each later one unpacks it, which takes a fraction of the time of downloading every package.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${1:-}
home=$HOME/.ces-kd
python=$home/venv/bin/python
key=$(cat constraints.txt pyproject.toml | sha256sum | cut -c 1-16)-$(uname -m)
archive=${cache:+$cache/environment-$key.tar.zst}

fetch() {  # the archive to standard output; fails where there is none
  case $1 in
    s3://*) aws s3 cp --only-show-errors "$1" - ;;
    *) cat "$1" ;;
  esac
}

leave() {  # standard input as the archive, complete or not at all
  case $1 in
    s3://*) aws s3 cp --only-show-errors --expected-size 5000000000 - "$1" ;;
    *) mkdir -p "$(dirname "$1")" && cat > "$1.$$" && mv "$1.$$" "$1" ;;
  esac
}

install() {
  command -v uv > /dev/null || curl -LsSf https://astral.sh/uv/install.sh | sh
  # A Python of its own, so that the archive has it too.
  export PATH=$HOME/.local/bin:$PATH UV_LINK_MODE=copy UV_PYTHON_INSTALL_DIR=$home/python
  export UV_PYTHON_PREFERENCE=${UV_PYTHON_PREFERENCE:-only-managed}
  mkdir -p "$UV_PYTHON_INSTALL_DIR"
  uv venv --quiet --seed --python 3.11 "$home/venv"
  uv pip install --quiet --python "$python" -c constraints.txt -e '.[demo]'
}

if [ "$(cat "$home/installed" 2> /dev/null)" != "$key" ]; then
  rm -rf "$home"
  mkdir -p "$home"
  if [ -n "$archive" ] && fetch "$archive" 2> /dev/null | tar -C "$home" --zstd -xf - 2> /dev/null; then
    echo "environment: unpacked from $archive"
  else
    rm -rf "$home" && mkdir -p "$home"
    install
    if [ -n "$archive" ]; then
      tar -C "$home" --zstd -cf - python venv | leave "$archive" || echo "warning: $archive could not be written" >&2
    fi
    echo "environment: installed from constraints.txt"
  fi
  echo "$key" > "$home/installed"
fi
"$python" deploy/check_gpus.py
