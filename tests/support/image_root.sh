#!/bin/bash
# In a mount and a network namespace of its own: makes the root file system of a container of the image below $1/root, says so and
# waits to be killed. $1 holds code (what the image copies), secrets, data, hosts, passwd; $2 is the environment, $3 its Python, $4 the cache.
set -euo pipefail
stage=$1 venv=$2 python=$3 cache=$4 root=$1/root
mount --make-rprivate /
ip link set lo up
mkdir "$root"
mount -t tmpfs -o mode=0755 root "$root"

shown() { # a folder at the same place, read-only
  mkdir -p "$root$1"
  mount --rbind "$1" "$root$1"
  mount -o remount,bind,ro "$root$1"
}
for folder in /*; do
  case $folder in /tmp | /run | /data | /opt | /mnt | /media) continue ;; esac
  if [ -L "$folder" ]; then
    cp -P "$folder" "$root/"
  elif [ -d "$folder" ] && [ "$(stat -c %A "$folder" | cut -c 8-10)" = r-x ]; then
    mkdir "$root$folder"
    mount --rbind "$folder" "$root$folder"
    case $folder in /dev | /proc | /sys) ;; *) mount -o remount,bind,ro "$root$folder" ;; esac
  fi
done
# What others may not look into here, as a checkout below /root, is shown all the same.
for folder in "$venv" "$python"; do [ -e "$root$folder" ] || shown "$folder"; done

mkdir -p "$root"/{opt/twinset,data,tmp,run/secrets}
cp -r "$stage/code/." "$root/opt/twinset"
mkdir "$root"/opt/twinset/{.venv,cache}
mount --bind "$venv" "$root/opt/twinset/.venv"
cp -r "$cache"/{jars,weights} "$root/opt/twinset/cache" && chmod -R a+rX "$root/opt/twinset/cache"
mount --bind "$stage/hosts" "$root/etc/hosts"
mount --bind "$stage/passwd" "$root/etc/passwd"
mount --bind "$stage/secrets" "$root/run/secrets"
for folder in opt/twinset/.venv run/secrets; do mount -o remount,bind,ro "$root/$folder"; done
mount --bind "$stage/data" "$root/data"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -o remount,ro "$root"
echo ready
exec sleep infinity
