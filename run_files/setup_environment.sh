# Sourced by quickstart.sh and tests/run.sh: makes .venv in the project's root, installs the given requirements files
# there and activates it. Nothing is installed again until a requirements file changes.
# Usage: source run_files/setup_environment.sh requirements.txt [more.txt ...]

python=${PYTHON:-$(command -v python3.11 || command -v python3)}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "error: Python 3.11 or later is needed, $python is older; name another with PYTHON=..." >&2
  exit 2
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
for requirements in "$@"; do
  stamp=.venv/installed-$(cat "$requirements" | cksum | cut -d' ' -f1)
  if [ ! -e "$stamp" ]; then
    echo "installing $requirements into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements"
    touch "$stamp"
  fi
done
export PATH="$PWD/.venv/bin:$PATH" TF_CPP_MIN_LOG_LEVEL=3
