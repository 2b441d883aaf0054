#!/usr/bin/env bash
# Writes RUN/summary.json and RUN/summary.txt from the AP of the runs in RUN:   summary.sh RUN NAME...
#
# summary.json: {"recipe", "<name>_ap" ..., "results": {"<name>": {"AP", "AP50", "AP75", "APs", "APm", "APl"}},
# "method_gain": {"AP", "low", "high"} over control with the 95 % interval of a bootstrap over images, "seconds": {"<stage>": s}, "versions": {"iuq", "built_with"}}; of LVIS also "APr", "APc", "APf". AP in [0, 1], -1 where
# there is nothing to judge. An interrupted stage's seconds are those of all its parts.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."
run=$1
shift
metrics=(AP AP50 AP75 APs APm APl)
protocol=$(iuq-info --get config.protocol "$run/$1/ap.json")
[[ $protocol != lvis ]] || metrics+=(APr APc APf)  # rare, common and frequent categories

seconds() {
  awk -F '\t' '
    { open[$1] += $2 }
    $3 == 0 { total[$1] = open[$1]; if (!seen[$1]++) order[++n] = $1 }
    $3 != 75 { open[$1] = 0 }
    END { for (i = 1; i <= n; ++i) printf "%s\"%s\": %d", (i > 1 ? ", " : ""), order[i], total[order[i]] }
  ' "$run/seconds.tsv"
}

headline='' results=''
table=$(printf '%-10s' "mask AP %"; printf '%7s' "${metrics[@]}")
for name in "$@"; do
  fields='' row=$(printf '%-10s' "$name")
  # Of the masks, the only ones that 60-ap judges.
  numbers=$(iuq-info "${metrics[@]/#/--get=stats.}" "$run/$name/ap.json")
  mapfile -t numbers <<<"$numbers"
  for i in "${!metrics[@]}"; do
    metric=${metrics[i]} number=${numbers[i]}
    [[ $metric != AP ]] || headline+="\"${name}_ap\": $number, "
    fields+=", \"$metric\": $number"
    row+=$(awk -v x="$number" 'BEGIN { if (x < 0) printf "%7s", "-"; else printf "%7.1f", 100 * x }')
  done
  results+=", \"$name\": {${fields#, }}"
  table+=$'\n'$row
done
# What the method adds: difference and 95 % interval of AP and AP75 of masks.
gain='' fields=''
for i in 0 2; do
  number=comparison.types.0.stats.$i
  gained=$(iuq-info --get "$number.difference" --get "$number.low" --get "$number.high" "$run/compare.json")
  mapfile -t bounds <<<"$gained"
  gain+=$(awk -v d="${bounds[0]}" -v l="${bounds[1]}" -v h="${bounds[2]}" -v name="${metrics[i]}" \
    'BEGIN { printf "  %s %+.1f [%+.1f, %+.1f]", name, 100 * d, 100 * l, 100 * h }')
  (( i > 0 )) || fields="\"AP\": ${bounds[0]}, \"low\": ${bounds[1]}, \"high\": ${bounds[2]}"
done
version=$(iuq-eval --version)
built_with=$(sed -n 's/^built with //p' <<<"$version")
version=${version%%$'\n'*}
recipe=$(basename "$run")

printf '{"recipe": "%s", %s"results": {%s},\n "method_gain": {%s}, "seconds": {%s},\n "versions": {"iuq": "%s", "built_with": "%s"}}\n' \
  "$recipe" "$headline" "${results#, }" "$fields" "$(seconds)" "${version#iuq-eval }" "$built_with" >"$run/summary.json.tmp"
{
  echo "$table"
  echo
  echo "method over control:$gain   (95 % over images; one pair of trainings)"
  pictures=()
  for name in "$@"; do [[ ! -e $run/$name/contact.png ]] || pictures+=("$run/$name/contact.png"); done
  (( ! ${#pictures[@]} )) || printf 'pictures: %s\n' "${pictures[*]}"
  printf 'all numbers: %s\n' "$run/summary.json"
} >"$run/summary.txt.tmp"
mv "$run/summary.json.tmp" "$run/summary.json"
mv "$run/summary.txt.tmp" "$run/summary.txt"
