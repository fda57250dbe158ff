# Sourced by the scripts beside it. --help or -h as a script's first argument prints its usage and ends it.

# usage: prints the comment at the top of the script
usage() {
  sed -n '2,/^[^#]/s/^# //p' "run_files/${0##*/}"
}

# wrong_usage: prints it as an error and ends the script
wrong_usage() {
  usage >&2
  exit 2
}

# take_task_and_seed ARGUMENTS: leaves the first two in $task and $seed
take_task_and_seed() {
  [ $# -ge 2 ] || wrong_usage
  task=$1 seed=$2
}

case ${1:-} in
  -h | --help | --HELP)
    usage
    exit
    ;;
esac
