#!/usr/bin/env bash
# First process of one test host, inside its own network, PID, mount and host-name namespaces; see hosts.py.
#   host.sh NAME STATE CODE PYTHON...    CODE: the checkout, to be hidden; PYTHON: folders of the virtual environment
set -euo pipefail
name=$1 state=$2 code=$3
shift 3
mine=$state/$name

mount --make-rprivate /
hostname "$name"

# Folders that must be seen may lie below ones that are hidden next, so each is bound to a place beside them first.
mount -t tmpfs tmpfs /mnt
keep() { mkdir -p "/mnt/.keep$1"; mount --rbind "$1" "/mnt/.keep$1"; }
show() { mkdir -p "$2"; mount --rbind "/mnt/.keep$1" "$2"; }
for folder in "$state" "$@"; do keep "$folder"; done

mount -t tmpfs tmpfs "$code"  # code comes by `ray up`, as on real machines
mount --rbind "$mine/home" /root
mount --rbind "$mine/tmp" /tmp
mount --bind "$mine/hosts" /etc/hosts
mount -t tmpfs tmpfs /run
mount -t tmpfs -o size=1g tmpfs /dev/shm
for folder in "$@"; do show "$folder" "$folder"; mount -o remount,bind,ro "$folder"; done
show "$state/shared" /mnt/shared
show "$mine/own" /mnt/own

mkdir -p /run/sshd
ip link set lo up
until ip -4 addr show dev eth0 2>/dev/null | grep -q inet; do sleep 0.1; done
/usr/sbin/sshd -D -e -f "/mnt/.keep$mine/sshd_config" 2>>"/mnt/.keep$mine/sshd.log" &
# The first process of a PID namespace has to reap orphans; bash does, between two sleeps.
while :; do sleep 1 & wait $! || true; done
