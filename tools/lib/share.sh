# shellcheck shell=bash
# Sourced by checks that take turns: what is slow, and repeats what a quicker check has done, runs in shares, another at each commit.
# A share is K/N: the Kth of N parts, K from 0. A name alone decides to which part it belongs, so that what is added moves nothing
# else, and N commits in a row run all.

# in_share NAME K/N
in_share() {
  local sum=0 code place
  for ((place = 0; place < ${#1}; place++)); do
    printf -v code %d "'${1:place:1}"
    sum=$(((sum * 31 + code) % 65521))
  done
  ((sum % ${2#*/} == ${2%/*}))
}

# of_share K/N: those of the names on stdin, one a line, that belong to it; fails where none does.
of_share() {
  local name none=1
  while IFS= read -r name; do
    if in_share "$name" "$1"; then none=0 && printf '%s\n' "$name"; fi
  done
  return $none
}

# rows_of K/N PROGRAM [option ...]: those of the rows of its conform that belong to it, as --only takes them: none, and it is refused.
rows_of() {
  "$2" conform --list "${@:3}" | sed 's/.* //' | of_share "$1" | paste -sd ,
}
