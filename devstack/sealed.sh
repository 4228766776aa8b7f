#!/bin/sh
# sealed.sh ROOT UID:GID [FOLDER:PATH:rw|ro]... -- COMMAND...
# Runs a command in an image's file system as ECS does: read-only root, no capability, no new
# privilege, nothing to write to but the volumes. In a mount namespace of its own, as root.
set -eu

root=$1
user=$2
shift 2

mount --make-rprivate /
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
    mode=${1##*:}
    rest=${1%:*}
    mkdir -p "$root${rest##*:}"
    mount --bind "${rest%:*}" "$root${rest##*:}"
    [ "$mode" = rw ] || mount -o remount,bind,ro "$root${rest##*:}"
    shift
done
shift

mount -t tmpfs -o mode=0755,nosuid,noexec tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 444 "$root/dev/random" c 1 8
mknod -m 444 "$root/dev/urandom" c 1 9
ln -s /proc/self/fd "$root/dev/fd"
mount -o remount,bind,ro "$root/dev"
mount --rbind /proc "$root/proc"
for file in hosts resolv.conf; do
    [ -e "$root/etc/$file" ] || : >"$root/etc/$file"
    mount --bind "/etc/$file" "$root/etc/$file"
done
mount -o remount,bind,ro "$root"

cd /
exec chroot "$root" /usr/bin/setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups \
    --inh-caps=-all --bounding-set=-all --no-new-privs -- "$@"
