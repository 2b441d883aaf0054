# A Slurm of two small nodes on this machine, in $TMP/slurm, for as long as the test runs. Source after check.sh.
# shellcheck shell=bash
if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null; then
  echo "skipped: Slurm is not installed (scripts/deps.sh slurm)"
  exit 77
fi

cluster=$TMP/slurm
host=$(hostname -s)
port=$((20000 + $$ % 10000))
if ! getent hosts "$host" >/dev/null; then
  echo "skipped: the host name \"$host\" does not resolve, which Slurm needs"
  exit 77
fi
mkdir -p "$cluster/state" "$cluster/spool.n1" "$cluster/spool.n2" "$cluster/log"
export SLURM_CONF=$cluster/slurm.conf
cat >"$SLURM_CONF" <<EOS
ClusterName=t
SlurmctldHost=localhost
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/none
CredType=cred/none
SlurmctldPort=$port
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool.%n
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.%n.pid
SlurmctldLogFile=$cluster/log/slurmctld.log
SlurmdLogFile=$cluster/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
DependencyParameters=kill_invalid_depend
KillWait=2
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=8 RealMemory=4000
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=8 RealMemory=4000
PartitionName=t Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
EOS

stop_cluster() {
  scancel --state=RUNNING --user="$(id -un)" 2>/dev/null
  local file
  for file in "$cluster"/*.pid; do
    [[ ! -e $file ]] || kill "$(<"$file")" 2>/dev/null
  done
  for _ in {1..50}; do compgen -G "$cluster/*.pid" >/dev/null || break; sleep 0.1; done
}
trap 'stop_cluster; rm -rf "$TMP"' EXIT

slurmctld -c
slurmd -N n1
slurmd -N n2
for _ in {1..300}; do
  [[ $(sinfo -h -N -o %T 2>/dev/null | sort -u) != idle ]] || break
  sleep 0.1
done
if [[ $(sinfo -h -N -o %T 2>/dev/null | sort -u) != idle ]]; then
  echo "the test cluster does not start:"
  tail -n 5 "$cluster"/log/*
  exit 1
fi
