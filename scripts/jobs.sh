#!/usr/bin/env bash
# Prints how many compilers may run at once: the cores, but at least 2 GB of memory for each, because one that reads
# LibTorch's headers takes that much. Counts a container's memory limit when there is one.
set -euo pipefail
cores=$(nproc)
kb=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
[[ $limit == max ]] || kb=$(( limit / 1024 < kb ? limit / 1024 : kb ))
jobs=$(( kb / 2000000 < cores ? kb / 2000000 : cores ))
echo $(( jobs > 1 ? jobs : 1 ))
