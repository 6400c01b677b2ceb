#!/usr/bin/env bash
# Installs the Debian packages some tests want. Without them those tests are skipped and say why, so this never fails.
set -u

# command:package — add a line when a test needs a program.
wanted=(
  strace:strace # faults injected into system calls (test/process)
  chromium:chromium # the web page in a browser (test/web)
  # faketime:faketime       # clock skew
  xfs_io:xfsprogs # file systems whose power can be cut (test/process/power-cut.test.ts)
  # A real S3 server (test/support/radosgw.ts).
  radosgw:radosgw
  ceph-mon:ceph-mon
  ceph-osd:ceph-osd
  ceph:ceph-common
)

missing=()
for entry in "${wanted[@]}"; do
  command -v "${entry%%:*}" >/dev/null 2>&1 || missing+=("${entry##*:}")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "apt.sh: cannot install ${missing[*]} (not root, or no apt-get); going on without"
  exit 0
fi

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1
}
echo "apt.sh: installing ${missing[*]}"
# The package lists are fetched only when the ones at hand don't do.
install || { apt-get update >/dev/null 2>&1 && install; } || echo "apt.sh: could not install ${missing[*]}; going on without"
exit 0
