#!/bin/sh
# Turns a base into what one user may run: no tool that installs, builds or changes user, and nothing
# to write to but the volumes named as arguments. It is run once, while an image is built.
set -eu

user=10001

printf 'wms:x:%s:%s::/nonexistent:/usr/sbin/nologin\n' "$user" "$user" >>/etc/passwd
printf 'wms:x:%s:\n' "$user" >>/etc/group

# What installs. The list of installed packages stays: whoever scans the image needs it.
rm -rf /etc/apt /usr/lib/apt /usr/lib/dpkg /var/lib/apt /var/cache/apt /var/cache/debconf \
    /usr/share/python-wheels /var/log/apt ~root/.cache
find /usr/bin /usr/sbin /usr/local/bin -xdev \( -name 'apt*' -o -name 'dpkg*' -o -name 'debconf*' \
    -o -name 'pip*' -o -name 'idle*' -o -name '2to3*' \) -exec rm -rf {} +
find /usr/lib /usr/local/lib -xdev -type d \( -name pip -o -name 'pip-*' -o -name setuptools \
    -o -name 'setuptools-*' -o -name wheel -o -name 'wheel-*' -o -name ensurepip \) \
    -prune -exec rm -rf {} +
find /var/log -xdev -type f -exec rm -f {} +

# What changes user, and what everybody may write to.
find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o \
    -type f -perm /6000 -exec chmod u-s,g-s {} +
find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o \
    \( -type d -o -type f \) -perm /0022 -exec chmod go-w {} +

for volume in "$@"; do
    mkdir -p "$volume"
    chown "$user:$user" "$volume"
    chmod 0700 "$volume"
done

rm -f "$0"
