#!/usr/bin/env bash
# Checks that what the comments cite can be found: a document of this repository with the section named, a file of another
# repository at the commit that a table "alias | repository | commit" pins, or a paper with section, equation or table.
#
#   NAME.md 3        section 3 of that document, in the folder of the citing file, or by its path from the root; also
#                    "3.1", "1 and 2", "2 to 4", and NAME.md "Heading"
#   alias:path/x.py  a file of a pinned repository
#   Source: A; B.    up to the end of the sentence, parts separated by semicolons, each one of the above, or a paper
#
#   scripts/check_sources.sh [ROOT]    prints FILE:LINE: what is wrong; exit 1 when anything is, 64 without lib/
set -euo pipefail
export LC_ALL=C
root=${1:-$(dirname "${BASH_SOURCE[0]}")/..}
if [[ ! -d $root/lib ]]; then
  echo "check_sources: error: \"$root\" has no lib/" >&2
  exit 64
fi
cd "$root"

# Not this script and its test, which spell out what is wrong; not fixtures, which are data.
mapfile -d '' -t files < <(find . -path './tests/fixtures' -prune -o -path './.git' -prune -o -path './.deps' -prune \
  -o -path './build*' -prune -o -path './runs' -prune -o -type f \
  \( -name '*.h' -o -name '*.cpp' -o -name '*.in' -o -name '*.md' -o -name '*.sh' -o -name '*.py' -o -name '*.cmake' \
  -o -name 'CMakeLists.txt' -o -name Makefile -o -path './pipelines/*.json' \) \
  ! -path './scripts/check_sources.sh' ! -path './tests/cli/sources_test.sh' -printf '%P\0' | sort -z)
documents=()
for file in "${files[@]}"; do [[ $file != *.md ]] || documents+=("$file"); done
(( ${#documents[@]} )) || { echo "check_sources: no documents"; exit 0; }

awk '
function bad(line, what) { printf "%s:%d: %s\n", FILENAME, line, what; ++wrong }

function trimmed(text) { gsub(/^[ \t]+|[ \t]+$/, "", text); return text }

# ---- First pass: headings and pins of all documents.

function learn_heading(text,    number) {
  sub(/^#+ +/, "", text)
  headings[FILENAME, slug(text)] = 1
  number = text
  if (sub(/ .*$/, "", number) && number ~ /^[0-9]+(\.[0-9]+)*\.?$/) {
    sub(/\.$/, "", number)
    sections[FILENAME, number] = 1
    sub(/^[^ ]+ +/, "", text)
  }
  titles[FILENAME, text] = 1
}

# As GitHub makes the anchor of a heading.
function slug(text) {
  text = tolower(text)
  gsub(/[^a-z0-9 _-]/, "", text)
  gsub(/ /, "-", text)
  return text
}

function learn_pin(row,    cell, alias, value) {
  split(row, cell, "|")
  alias = trimmed(cell[2])
  value = trimmed(cell[3]) " " trimmed(cell[4])
  if (alias ~ /^-+$/) return
  if (value !~ /^[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+ [0-9a-f]+$/ || length(trimmed(cell[4])) < 7) {
    bad(FNR, "\"" alias "\" is not pinned: \"owner/name\" and a commit of seven or more hex digits, not \"" value "\"")
  } else if (alias in pins && pins[alias] != value) {
    bad(FNR, "\"" alias "\" is " value " here and " pins[alias] " in " pinned_in[alias])
  } else {
    pins[alias] = value
    pinned_in[alias] = FILENAME
  }
}

FNR == 1 {
  end_statement()
  ++seen[FILENAME]
  fenced = in_pins = 0
  folder = FILENAME
  if (!sub(/[^\/]*$/, "", folder)) folder = ""
}

seen[FILENAME] == 1 && FILENAME ~ /\.md$/ {
  if (FNR == 1) {
    documents[FILENAME] = 1
    name = FILENAME
    sub(/^.*\//, "", name)
    names[name] = 1
  }
  if (/^```/) fenced = !fenced
  if (!fenced && /^#+ /) learn_heading($0)
  if (/^\| *alias *\| *repository *\| *commit *\|/) in_pins = 1
  else if (!/^\|/) in_pins = 0
  else if (in_pins) learn_pin($0)
  next
}

# ---- Second pass: what is cited.

function check_sections(path, list,    count, number, i) {
  gsub(/ and | to /, ", ", list)
  count = split(list, number, ", ")
  for (i = 1; i <= count; ++i) {
    if (!((path, number[i]) in sections)) bad(FNR, path " has no section " number[i])
  }
}

# Citations of our own documents in the line; sets `cites_section` when one names a section.
function check_documents(text,    name, path, rest, title, anchor) {
  while (match(text, /[A-Za-z0-9_.\/*{},-]*[A-Z][A-Z_]*\.md/)) {
    name = substr(text, RSTART, RLENGTH)
    rest = substr(text, RSTART + RLENGTH)
    # A file of another repository; check_files looks at it.
    is_foreign = RSTART > 1 && substr(text, RSTART - 1, 1) == ":"
    text = rest
    if (is_foreign || name ~ /[*{}]/) continue
    path = name
    while (sub(/^\.\//, "", path)) { }
    if ((folder path) in documents) path = folder path
    else if (path ~ /^\.\.\//) path = from_above(path)
    sub(/^`/, "", rest)
    has_section = match(rest, /^ [0-9]+(\.[0-9]+)*((, | and | to )[0-9]+(\.[0-9]+)*)*/)
    list = substr(rest, 2, RLENGTH - 1)
    has_title = match(rest, /^,? "[^"]+"/)
    title = substr(rest, 1, RLENGTH)
    if (!(path in documents)) {
      if (name ~ /\// || has_section || has_title || !(name in names)) bad(FNR, "there is no " name)
      continue
    }
    if (has_section) check_sections(path, list)
    if (has_title) {
      gsub(/^,? "|"$/, "", title)
      if (!((path, title) in titles)) bad(FNR, path " has no heading \"" title "\"")
    }
    if (match(rest, /^#[A-Za-z0-9_-]+/)) {
      anchor = substr(rest, 2, RLENGTH - 1)
      if (!((path, anchor) in headings)) bad(FNR, path " has no heading for #" anchor)
    }
  }
}

function from_above(path,    base) {
  base = folder
  while (sub(/^\.\.\//, "", path)) sub(/[^\/]*\/$/, "", base)
  return base path
}

# Files of other repositories: alias:path.
function check_files(text,    token, alias) {
  while (match(text, /[a-z][a-z0-9-]+:[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.{},*-]+)*\.(py|pyx|yaml|yml|cc|cpp|cu|c|h|md)/)) {
    token = substr(text, RSTART, RLENGTH)
    before = RSTART > 1 ? substr(text, RSTART - 1, 1) : ""
    text = substr(text, RSTART + RLENGTH)
    if (before ~ /[A-Za-z0-9_.\/]/ || (token !~ /\// && token !~ /\.md$/)) continue
    alias = token
    sub(/:.*$/, "", alias)
    if (!(alias in pins)) bad(FNR, "\"" token "\": no table pins \"" alias "\" to a commit")
  }
}

function check_banned(text) {
  if (match(text, /(models|design|style|engine|evidence)\.md/)) bad(FNR, substr(text, RSTART, RLENGTH) " is not in this repository")
  if (match(text, /(^|[^A-Za-z])design(:| [0-9])/)) bad(FNR, "a design that is not in this repository")
  if (match(text, /(^|[^A-Za-z_])shared\/[A-Za-z.]*/)) {
    if (FILENAME !~ /^tests\// || substr(text, RSTART, RLENGTH) !~ /shared\/(data|oracle|field)/) {
      bad(FNR, "../shared is not in this repository; tests alone may read its data, oracle and field")
    }
  }
}

function check_part(part) {
  part = trimmed(part)
  if (part ~ /[A-Z]\.md`? ([0-9]|")/ || part ~ /[A-Z]\.md, "/) return
  if (part ~ /(^|[^A-Za-z0-9_.\/])[a-z][a-z0-9-]+:[A-Za-z0-9_.-]+(\/|\.md)/) return
  if (part ~ /(et al\.|paper|")/ && part ~ /(section|appendix|equation|Eq\.|table|figure|algorithm) (\(?[A-Z]?\.?[0-9]|")/) return
  bad(source_line, "Source \"" part "\" leads nowhere: name a section of a document, alias:path of a pinned repository, or " \
      "section, equation or table of a paper")
}

# A path of another repository without its alias.
function check_paths(line, text) {
  if (match(text, /(^|[ ("])[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.{},*-]+)+\.(py|pyx|yaml|yml|cc|c)/)) {
    bad(line, "\"" trimmed(substr(text, RSTART, RLENGTH)) "\" is of no named repository; write alias:path")
  }
}

# Ends where the sentence does: a full stop before a capital, a digit or nothing, but not that of "al." or "Eq.".
function end_statement(    text, at, count, part, i) {
  if (statement == "") return
  text = statement
  at = 0
  while (match(substr(text, at + 1), /\.( +[A-Z0-9`]|$)/)) {
    at += RSTART
    if (substr(text, 1, at) !~ /(^| )(al|Eq)\.$/) {
      text = substr(text, 1, at - 1)
      break
    }
  }
  statement = ""
  check_paths(source_line, text)
  count = split(text, part, ";")
  for (i = 1; i <= count; ++i) check_part(part[i])
}

seen[FILENAME] == 2 || FILENAME !~ /\.md$/ {
  check_banned($0)
  check_documents($0)
  check_files($0)
  if (FILENAME ~ /\.json$/) check_paths(FNR, $0)
  if (FILENAME ~ /\.(md|json)$/) next
  comment = $0
  is_comment = sub(/^[ \t]*(\/\/+|#+) ?/, "", comment)
  if (match($0, /(\/\/|#).*[^A-Za-z:]Sources?: /)) {
    end_statement()
    source_line = FNR
    statement = substr($0, RSTART + RLENGTH)
  } else if (statement != "" && is_comment && comment != "") {
    statement = statement " " trimmed(comment)
  } else {
    end_statement()
  }
}

END {
  end_statement()
  if (wrong) { printf "check_sources: %d citations do not resolve\n", wrong; exit 1 }
  count = 0
  for (alias in pins) ++count
  print "check_sources: " length_of_files " files cite what can be found; " count " repositories are pinned"
}
' length_of_files="${#files[@]}" "${documents[@]}" "${files[@]}"
