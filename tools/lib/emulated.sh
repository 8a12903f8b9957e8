# shellcheck shell=bash
# Sourced by tools/mutants: builds the plugin cuda-emulated (tests/emulation) anew from sources of which some have changed, with
# the release build's own commands and objects, or all of it under sanitizers.

# What the compiler takes besides: less of its time, and sanitizers. The program itself is not instrumented: the sanitizer's library is preloaded before it.
emulated_flags() {
  case $1 in
  races) say "-O1 -g1 -fsanitize=thread -DSCRY_EMULATED_TSAN" ;;
  bounds) say "-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -DSCRY_EMULATED_ASAN" ;;
  *) say "-O1" ;;
  esac
}

# The release build's commands for the plugin, each as SOURCE OBJECT COMMAND.
emulated_commands() {
  sed -n 's|^ *"command": "\(.*\) -o \([^ ]*/scry_cuda-emulated.dir/[^ ]*\) -c \([^ "]*\)".*|\3 \2 \1|p' \
    build/release/compile_commands.json | sed 's/\\"/"/g; s/\\\\/\\/g'
}

# emulated_compile SOURCE OBJECT FLAGS COMMAND
emulated_compile() {
  switches=
  case $3:$1 in *thread*/tests/emulation/fiber.c | *thread*/tests/emulation/crew.c) switches=-fno-sanitize=thread ;; esac
  eval "$4 -w $3 $switches -o '$2' -c '$1'"
}

# emulated_base FOLDER CHECK: FOLDER/OBJECT for each source, unchanged: under "races" or "bounds", or the release build's own.
emulated_base() {
  emulated_commands | while read -r source object command; do
    mkdir -p "$1/$(dirname "$object")"
    if [ "$2" = - ]; then
      ln -s "$PWD/build/release/$object" "$1/$object"
    else
      emulated_compile "$source" "$1/$object" "$(emulated_flags "$2")" "$command" </dev/null || return 1
    fi
  done
}

# emulated_holds FOLDER FILE SOURCE COMMAND: whether FOLDER/FILE is part of FOLDER/SOURCE.
emulated_holds() {
  case $2 in
  "$3") true ;;
  *.cuh) [ "${3##*.}" = cu ] && eval "$4 -MM '$1/$3'" | tr ' ' '\n' | grep -qxF "$1/$2" ;;
  *) false ;;
  esac
}

# emulated_build FOLDER FILE CHECK BASE: FOLDER/libscry-cuda-emulated.so, with FOLDER/FILE in place of the repository's file of that
# name, in all that it is part of.
emulated_build() {
  objects=
  while read -r source object command; do
    path=${source#"$PWD"/}
    if emulated_holds "$1" "$2" "$path" "$command"; then
      emulated_compile "$1/$path" "$1/${object##*/}" "$(emulated_flags "$3")" "$command" </dev/null || return 1
      objects="$objects $1/${object##*/}"
    else
      objects="$objects $4/$object"
    fi
  done < <(emulated_commands)
  # shellcheck disable=SC2046,SC2086 # lists of words
  cc -shared $(emulated_flags "$3") -o "$1/libscry-cuda-emulated.so" $objects \
    build/release/CMakeFiles/scry_shared.dir/backends/shared/*.o -Wl,-rpath,"$PWD/build/release" -lm -pthread -ldl
}
