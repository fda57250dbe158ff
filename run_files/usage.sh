# Sourced by the scripts beside it. `usage` prints the comment at the top of the script; --help or -h as the script's
# first argument prints it and ends the script.
usage() {
  sed -n '2,/^[^#]/s/^# //p' "run_files/${0##*/}"
}
case ${1:-} in
  -h | --help | --HELP)
    usage
    exit
    ;;
esac
