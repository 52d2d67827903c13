package disk

import (
	"testing"
	"time"
)

func TestSourceIsThatOfTheDeepestMount(t *testing.T) {
	const mounts = `/dev/vda / ext4 rw 0 0
proc /proc proc rw 0 0
/dev/sdb1 /var/mogdata xfs rw 0 0
/dev/old /var/mogdata/dev1 xfs rw 0 0
/dev/mapper/a\040b /var/mogdata/dev1 xfs rw 0 0
/dev/sdd /var/mog\040data\134x ext4 rw 0 0
broken
`
	for path, want := range map[string]string{
		"/":                    "/dev/vda",
		"/var/mogdata2":        "/dev/vda",
		"/var/mogdata":         "/dev/sdb1",
		"/var/mogdata/dev10":   "/dev/sdb1",
		"/var/mogdata/dev1":    "/dev/mapper/a b",
		"/var/mogdata/dev1/x":  "/dev/mapper/a b",
		`/var/mog data\x/dev1`: "/dev/sdd",
	} {
		if got := sourceOf(mounts, path); got != want {
			t.Errorf("source of %s: got %q; want %q", path, got, want)
		}
	}
}

func TestDiskstatsGiveTheBusyTime(t *testing.T) {
	const text = `   8       0 sda 1 2 3 4 5 6 7 8 0 1234 99 0 0 0 0
   8       1 sda1 1 2 3 4 5 6 7 8 0 56 99
 259       0 nvme0n1 1 2 3
   x       0 bad 1 2 3 4 5 6 7 8 0 56 99
`
	got := parseDiskstats([]byte(text))
	want := map[Number]time.Duration{{8, 0}: 1234 * time.Millisecond, {8, 1}: 56 * time.Millisecond}
	if len(got) != len(want) || got[Number{8, 0}] != want[Number{8, 0}] || got[Number{8, 1}] != want[Number{8, 1}] {
		t.Errorf("got %v; want %v", got, want)
	}
}
