# Sourced by quickstart.sh and tests/run.sh: makes .venv in the project's root, installs the given lock files
# there, checked by their hashes, and activates it. Nothing is installed again until a lock file changes.
# Usage: source run_files/setup_environment.sh requirements.lock [more.lock ...]

python=${PYTHON:-$(command -v python3.11 || command -v python3 || echo python3)}
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
  echo "error: Python 3.11 to 3.13 is needed, and $python is not one; name one with PYTHON=..." >&2
  exit 2
fi
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv # an interrupted one has no pip
for lock in "$@"; do
  installed=.venv/installed-${lock//\//-}
  if ! cmp --silent "$lock" "$installed"; then
    echo "installing $lock into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    cp "$lock" "$installed"
  fi
done
export PYTHON="$PWD/.venv/bin/python" PATH="$PWD/.venv/bin:$PATH" TF_CPP_MIN_LOG_LEVEL=3
