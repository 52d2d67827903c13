package blockdev

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSourceIsThatOfTheDeepestMount(t *testing.T) {
	const mountinfo = `21 1 254:0 / / rw - ext4 /dev/vda rw
22 21 0:21 / /proc rw,relatime shared:5 - proc proc rw
23 21 8:17 / /var/mogdata rw - xfs /dev/sdb1 rw
24 23 8:33 / /var/mogdata/dev1 rw - xfs /dev/old rw
25 24 253:0 / /var/mogdata/dev1 rw shared:1 master:2 - xfs /dev/mapper/a\040b rw
26 21 8:49 / /var/mog\040data\134x rw - ext4 /dev/sdd rw
27 21 0:40 / /var/net rw - nfs4 filer:/export\040two rw
28 21 0:41 / /broken rw ext4
29 broken - ext4 /dev/sde
`
	for path, want := range map[string]string{
		"/":                    "/dev/vda",
		"/broken":              "/dev/vda",
		"/var/mogdata2":        "/dev/vda",
		"/var/mogdata":         "/dev/sdb1",
		"/var/mogdata/dev10":   "/dev/sdb1",
		"/var/mogdata/dev1":    "/dev/mapper/a b",
		"/var/mogdata/dev1/x":  "/dev/mapper/a b",
		`/var/mog data\x/dev1`: "/dev/sdd",
		"/var/net/dev4":        "filer:/export two",
	} {
		if got := mountOf(mountinfo, path).source; got != want {
			t.Errorf("source of %s: got %q; want %q", path, got, want)
		}
	}
}

// madeUp is a /sys and a /proc in files, built as the kernel's are.
type madeUp struct {
	t    *testing.T
	root string
}

// add makes a device of a directory below /sys/devices. Members are names of devices.
func (m madeUp) add(dir, number string, members ...string) {
	m.t.Helper()
	name := filepath.Base(dir)
	at := filepath.Join(m.root, "sys/devices", dir)
	m.write(filepath.Join(at, "dev"), number+"\n")
	m.link(at, "sys/dev/block", number)
	m.link(at, "sys/class/block", name)
	if err := os.MkdirAll(filepath.Join(at, "slaves"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	for _, member := range members {
		m.link(filepath.Join(m.root, "sys/class/block", member), filepath.Join("sys/devices", dir, "slaves"), member)
	}
}

func (m madeUp) partition(dir, number string) {
	m.t.Helper()
	m.add(dir, number)
	m.write(filepath.Join(m.root, "sys/devices", dir, "partition"), "1\n")
}

// link is relative, as all links of /sys are.
func (m madeUp) link(to, dir, name string) {
	m.t.Helper()
	dir = filepath.Join(m.root, dir)
	rel, err := filepath.Rel(dir, to)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.Symlink(rel, filepath.Join(dir, name))
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m madeUp) write(name, text string) {
	m.t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, []byte(text), 0o644)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func TestDisksAreFoundThroughPartitionsAndLayers(t *testing.T) {
	m := madeUp{t, t.TempDir()}
	m.add("pci0/nvme/nvme0/nvme0n1", "259:0")
	m.partition("pci0/nvme/nvme0/nvme0n1/nvme0n1p1", "259:1")
	m.add("pci0/virtio1/block/vda", "254:0")
	m.partition("pci0/virtio1/block/vda/vda3", "254:3")
	for i, disk := range []string{"sda", "sdb", "sdc", "sdd"} {
		at := "pci0/ata/block/" + disk
		m.add(at, []string{"8:0", "8:16", "8:32", "8:48"}[i])
		m.partition(at+"/"+disk+"1", []string{"8:1", "8:17", "8:33", "8:49"}[i])
	}
	m.add("virtual/block/md0", "9:0", "sda1", "sdb1")
	m.partition("virtual/block/md0/md0p1", "259:9")
	m.add("virtual/block/dm-0", "253:0", "sdc1")                 // LVM on a partition
	m.add("virtual/block/dm-1", "253:1", "md0")                  // LVM on md
	m.add("virtual/block/dm-2", "253:2", "dm-1", "dm-0", "sdd1") // one volume over all of them
	m.add("virtual/block/dm-3", "253:3", "dm-2")                 // encryption above
	m.add("virtual/block/loop0", "7:0")
	m.link(filepath.Join(m.root, "dev/dm-1"), "dev/mapper", "group-volume")
	m.write(filepath.Join(m.root, "dev/dm-1"), "")
	m.add("virtual/block/dm-9", "253:9")
	if err := os.Symlink("../nowhere", filepath.Join(m.root, "sys/devices/virtual/block/dm-9/slaves/sdz")); err != nil {
		t.Fatal(err)
	}

	k := Kernel{root: m.root}
	for _, c := range []struct {
		name  string
		place Place
		want  []Number
	}{
		{"a whole disk", Place{Source: "/dev/sda", Number: Number{8, 0}}, []Number{{8, 0}}},
		{"a partition", Place{Source: "/dev/sdb1", Number: Number{8, 17}}, []Number{{8, 16}}},
		{"NVMe", Place{Source: "/dev/nvme0n1", Number: Number{259, 0}}, []Number{{259, 0}}},
		{"a partition of NVMe", Place{Source: "/dev/nvme0n1p1", Number: Number{259, 1}}, []Number{{259, 0}}},
		{"a partition of virtio, whose name nobody knows", Place{Source: "/dev/root", Number: Number{254, 3}}, []Number{{254, 0}}},
		{"md", Place{Source: "/dev/md0", Number: Number{9, 0}}, []Number{{8, 0}, {8, 16}}},
		{"a partition of md", Place{Source: "/dev/md0p1", Number: Number{259, 9}}, []Number{{8, 0}, {8, 16}}},
		{"LVM on a partition", Place{Source: "/dev/mapper/x", Number: Number{253, 0}}, []Number{{8, 32}}},
		{"LVM on md", Place{Source: "/dev/mapper/y", Number: Number{253, 1}}, []Number{{8, 0}, {8, 16}}},
		{"encryption on LVM on all", Place{Source: "/dev/mapper/z", Number: Number{253, 3}}, []Number{{8, 0}, {8, 16}, {8, 32}, {8, 48}}},
		{"a loop", Place{Source: "/dev/loop0", Number: Number{7, 0}}, []Number{{7, 0}}},
		{"btrfs, by the name", Place{Source: "/dev/sdb1", Number: Number{0, 45}}, []Number{{8, 16}}},
		{"btrfs on LVM, by a link", Place{Source: "/dev/mapper/group-volume", Number: Number{0, 45}}, []Number{{8, 0}, {8, 16}}},
		{"a member that is gone", Place{Source: "/dev/mapper/w", Number: Number{253, 9}}, []Number{{253, 9}}},
		{"tmpfs", Place{Source: "tmpfs", Number: Number{0, 30}}, nil},
		{"the network", Place{Source: "filer:/export", Number: Number{0, 31}}, nil},
		{"a pool of ZFS", Place{Source: "tank/sda", Number: Number{0, 32}}, nil},
		{"a device that is gone", Place{Source: "/dev/sdz", Number: Number{8, 240}}, nil},
	} {
		if got := k.Disks(c.place); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v; want %v", c.name, got, c.want)
		}
	}
}

func TestCountersAreThoseOfTheKernel(t *testing.T) {
	m := madeUp{t, t.TempDir()}
	m.write(filepath.Join(m.root, "proc/diskstats"), `   8       0 sda 1 2 3 4 5 6 7 8 9 1234 99 100 0 0 0 200 0
   8       1 sda1 1 2 3 4 5 6 7 8 0 56 99
 259       0 nvme0n1 1 2 3
   x       0 bad 1 2 3 4 5 6 7 8 0 56 99
   8       2 sda2 x 2 3 4 5 6 7 8 0 56 99
`)
	got, err := Kernel{root: m.root}.Counters()
	if err != nil {
		t.Fatal(err)
	}
	want := map[Number]Counter{
		{8, 0}: {Busy: 1234 * time.Millisecond, Running: 9, Done: 1 + 5 + 100 + 200},
		{8, 1}: {Busy: 56 * time.Millisecond, Done: 1 + 5},
	}
	if len(got) != len(want) || got[Number{8, 0}] != want[Number{8, 0}] || got[Number{8, 1}] != want[Number{8, 1}] {
		t.Errorf("got %+v; want %+v", got, want)
	}
	m.write(filepath.Join(m.root, "proc/diskstats"), "")
	if _, err := (Kernel{root: m.root}).Counters(); err == nil || !strings.Contains(err.Error(), "no lines") {
		t.Errorf("an empty file: got %v; want an error", err)
	}
}

func TestWhatTheNetworkOrAProcessAnswersForIsRemote(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc/self"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, "dev8")
	if err := os.Symlink("/mnt/dev1", link); err != nil {
		t.Fatal(err)
	}
	mounts := `1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:50 / /mnt/dev1 rw - nfs4 filer:/export rw
3 1 0:51 / /mnt/dev2 rw - fuse.sshfs filer:/export rw
4 1 0:52 / /mnt/dev3 rw - cifs //filer/export rw
5 1 8:2 / /mnt/dev4 rw - xfs /dev/sdb rw
6 1 0:53 / /mnt/dev5 rw - tmpfs tmpfs rw
7 1 0:54 / /mnt/dev6 rw - nfs4 filer:/export rw
8 1 8:3 / /mnt/dev6 rw - ext4 /dev/sdc rw
`
	if err := os.WriteFile(filepath.Join(root, "proc/self/mountinfo"), []byte(mounts), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"/mnt/dev1": true, "/mnt/dev2": true, "/mnt/dev3": true, link: true,
		"/mnt/dev4": false, "/mnt/dev5": false,
		"/mnt/dev1/below": false, // not the mount point
		"/mnt/dev6":       false, // hidden by what is mounted over it
		"/mnt/dev7":       false,
	} {
		if got := At(root).IsRemote(path); got != want {
			t.Errorf("%s: got %v; want %v", path, got, want)
		}
	}
	// Nothing of it is touched: the directories are not there.
	place, err := At(root).Place("/mnt/dev1")
	if want := (Place{Source: "filer:/export", Remote: true, Number: Number{0, 50}}); place != want || err != nil {
		t.Errorf("place: got %+v, %v; want %+v", place, err, want)
	}
}
