#!/bin/bash
# What a function finds around it, one fact a line: SECTION<TAB>NAME<TAB>VALUE. Sections and names are those of docs/reference/environment.md.
# $1: process id of the runtime. Language and variables are told by the handler.

fact() { printf '%s\t%s\t%s\n' "$1" "$2" "$3"; }
command_line() { tr '\0' ' ' <"/proc/$1/cmdline" | sed 's/ $/\n/'; }
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$2/status"; }
limit() { awk -v name="$1" 'index($0, name) == 1 { sub(name " *", ""); print $1 " / " $2 }' "/proc/$2/limits"; }
joined() {
  local list
  list=$(grep . | LC_ALL=C sort -u | paste -sd, | sed 's/,/, /g')
  echo "${list:-none}"
}
runtime=$1

fact Process user "$(id -u) ($(id -un))"
fact Process groups "$(id -G)"
fact Process 'working directory' "$(readlink "/proc/$runtime/cwd")"
fact Process umask "$(status Umask "$runtime")"
fact Process 'command line' "$(command_line "$runtime")"
fact Process 'standard input' "$(readlink "/proc/$runtime/fd/0")"
fact Process 'standard output' "$(stat -L -c %F "/proc/$runtime/fd/1")"
fact Process 'standard error' "$([ "/proc/$runtime/fd/1" -ef "/proc/$runtime/fd/2" ] && echo 'the same as standard output' || echo 'another file')"
fact Process 'priority (nice)' "$(sed 's/.*) //' "/proc/$runtime/stat" | cut -d' ' -f17)"
fact Process 'effective capabilities' "$(status CapEff "$runtime")"
fact Process 'capabilities it could get' "$(status CapBnd "$runtime")"
fact Process 'no new privileges' "$(status NoNewPrivs "$runtime")"
fact Process 'seccomp mode' "$(status Seccomp "$runtime")"
# All that were there before this shell starts others, but the runtime with its subshells, and this script.
processes=(/proc/[0-9]*)
others=$(for process in "${processes[@]}"; do command_line "${process#/proc/}" 2>/dev/null; done)
fact Process 'other processes' "$(grep -vxF -e "$(command_line "$runtime")" -e "bash $0 $runtime" <<<"$others" | joined)"

fact Limits 'open files' "$(limit 'Max open files' "$runtime")"
fact Limits 'processes (resource limit)' "$(limit 'Max processes' "$runtime")"
fact Limits 'size of a core dump' "$(limit 'Max core file size' "$runtime")"
fact Limits 'size of a stack' "$(limit 'Max stack size' "$runtime")"
fact Limits 'processors seen' "$(nproc)"
memory=$(cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max)
fact Limits 'memory limit of the container, MiB' "$((memory / 1024 / 1024))"

# Every folder is tried. What /proc lists is no folder of a disk, and this process's own part of it is always its own.
writable_folders() {
  find / -path /proc -prune -o -type d -print 2>/dev/null | while IFS= read -r folder; do
    probe="$folder/.probe-$$"
    if (: >"$probe") 2>/dev/null; then
      rm -f "$probe"
      echo "$folder"
    fi
  done
}
folders=$(writable_folders)
fact Files 'folders that can be written' "$(joined <<<"$folders")"
fact Files 'other files that can be written' "$(find / -path /proc -prune -o -type f -writable -print 2>/dev/null | while IFS= read -r file; do
  grep -qxF "$(dirname "$file")" <<<"$folders" || echo "$file"
done | joined)"
fact Files '/tmp' "$(stat -c '%A %U' /tmp), $(find /tmp -mindepth 1 | wc -l) entries"
fact Files '/var/task' "$(stat -c '%A' /var/task)"
fact Files 'making the code writable' "$({ chmod u+w "$0" && echo possible && chmod u-w "$0"; } 2>&1 | sed 's/.*: //')"
fact Files 'a file of the package' "$(stat -c '%A' "$0")"
fact Files '/opt' "$(stat -c '%A' /opt)"
fact Files 'writing beside the code' "$({ : >/var/task/probe && echo possible; } 2>&1 | sed 's/.*: //')"
fact Files 'home folder of the user' "$(getent passwd "$(id -u)" | cut -d: -f6)"
fact Files 'operating system' "$(. /etc/os-release && echo "$PRETTY_NAME")"
fact Files 'package managers' "$(for tool in apt apt-get dpkg dnf microdnf yum rpm pip pip3 npm npx; do type -P "$tool"; done | joined)"
fact Files 'secrets' "$(find -L /run/secrets -type f 2>/dev/null | grep -v '/\.\.' | joined)"
fact Files 'time zone' "$(date +%Z)"

listening() { awk '$4 == "0A" { print $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null; }
address() { while IFS=: read -r hex port; do
  case ${#hex} in
    8) printf '%d.%d.%d.%d:%d\n' "0x${hex:6:2}" "0x${hex:4:2}" "0x${hex:2:2}" "0x${hex:0:2}" "0x$port" ;;
    *) echo "[$hex]:$((16#$port))" ;;
  esac
done; }
fact Network 'listening' "$(listening | address | joined)"
fact Network 'host name' "$(cat /proc/sys/kernel/hostname)"
fact Network 'interfaces' "$(ls /sys/class/net | joined)"
fact Network 'search of names' "$(sed -n 's/^options //p' /etc/resolv.conf)"
