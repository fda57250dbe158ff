# Sourced by quickstart.sh and tests/run.sh: makes .venv in the project's root, installs the given lock files
# there, checked by their hashes, and activates it. Nothing is installed again until a lock file changes.
# Usage: source run_files/setup_environment.sh requirements.lock [more.lock ...]

python=${PYTHON:-$(command -v python3.11 || command -v python3)}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "error: Python 3.11 or later is needed, $python is older; name another with PYTHON=..." >&2
  exit 2
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
for lock in "$@"; do
  stamp=.venv/installed-$(cat "$lock" | cksum | cut -d' ' -f1)
  if [ ! -e "$stamp" ]; then
    echo "installing $lock into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    touch "$stamp"
  fi
done
export PATH="$PWD/.venv/bin:$PATH" TF_CPP_MIN_LOG_LEVEL=3
