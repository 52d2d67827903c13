package storage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/storage/blockdev"
	"github.com/mogilefs/caddy-mogilefs/tests/mount"
)

// madeUp is a /proc and a /sys in which the test's directory lies on LVM on the partitions
// of two disks, 8:0 and 8:16.
type madeUp struct {
	t    *testing.T
	root string
}

func newMadeUp(t *testing.T) madeUp {
	t.Helper()
	m := madeUp{t, t.TempDir()}
	info, err := os.Stat(m.root)
	if err != nil {
		t.Fatal(err)
	}
	dev := uint64(info.Sys().(*syscall.Stat_t).Dev)
	number := fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev))
	for _, disk := range []struct{ name, number string }{{"sda", "8:0"}, {"sdb", "8:16"}} {
		m.write("sys/devices/"+disk.name+"/dev", disk.number+"\n")
		m.write("sys/devices/"+disk.name+"/"+disk.name+"1/partition", "1\n")
		m.write("sys/devices/dm-0/slaves/none", "")
		mustSymlink(t, "../../"+disk.name+"/"+disk.name+"1", filepath.Join(m.root, "sys/devices/dm-0/slaves", disk.name+"1"))
	}
	m.write("sys/dev/block/none", "")
	mustSymlink(t, "../../devices/dm-0", filepath.Join(m.root, "sys/dev/block", number))
	m.write("proc/self/mountinfo", "1 0 "+number+" / / rw - ext4 /dev/mapper/group-volume rw\n")
	m.count(0, 0, 0)
	return m
}

func (m madeUp) write(name, text string) {
	m.t.Helper()
	name = filepath.Join(m.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		m.t.Fatal(err)
	}
	// Renamed, so that nobody reads half of it.
	mustWriteFile(m.t, name+".new", text)
	if err := os.Rename(name+".new", name); err != nil {
		m.t.Fatal(err)
	}
}

// count sets how many milliseconds each disk was busy, and what is in flight on the first.
func (m madeUp) count(first, second, running int) {
	m.t.Helper()
	m.write("proc/diskstats", fmt.Sprintf(
		"8 0 sda 7 0 0 0 7 0 0 0 %d %d 0\n8 16 sdb 7 0 0 0 7 0 0 0 0 %d 0\n", running, first, second))
}

func TestUtilisationIsThatOfTheBusiestDiskBelow(t *testing.T) {
	m := newMadeUp(t)
	config := storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1, 2}, UsageInterval: time.Hour}
	s := serverWith(t, config.Kernel(blockdev.At(m.root)).Looking(time.Hour), nil)
	conn, in, _ := manage(t, s)
	fmt.Fprint(conn, "watch\n")
	more := 0
	eventually(t, "both devices, which share the disks, at 100", func() bool {
		more += 1_000_000 // the second disk does more than there is time for
		m.count(0, more, 0)
		text := ""
		for range 3 {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			text += line
		}
		return text == "1\t100.00\n2\t100.00\n.\n"
	})
	eventually(t, "a disk that rests", func() bool {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return line == "1\t0.00\n"
	})
}

// TestWatchTellsOfRealDisks needs root: it wants a loop that it can keep busy, and a tmpfs.
func TestWatchTellsOfRealDisks(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"dev1", "dev2"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if !mount.Ext4(t, filepath.Join(root, "dev1"), 64<<20) || !mount.Tmpfs(t, filepath.Join(root, "dev2"), "1m") {
		return
	}
	s := serverWith(t, storage.Config{Root: root}, nil)
	conn, in, _ := manage(t, s)
	fmt.Fprint(conn, "watch\n")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // uploads are synced, and so make the disk work
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				s.do(t, "PUT", fidPath, strings.Repeat("x", 1<<20))
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	busy := false
	eventually(t, "a busy loop", func() bool {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		dev, figure, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if dev == "2" && figure != "-" {
			t.Errorf("a tmpfs: got %s; want -", figure)
		}
		busy = busy || dev == "1" && figure != "-" && figure != "0.00"
		return busy
	})
}

func TestADiskThatEndsNoRequestIsRefused(t *testing.T) {
	m := newMadeUp(t)
	config := storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1}, UsageInterval: time.Hour}
	s := serverWith(t, config.Kernel(blockdev.At(m.root)).Looking(time.Hour), nil)
	s.mustPut(t, fidPath, "x")
	m.count(5, 5, 3)
	for range 11 {
		s.Tick()
	}
	for _, c := range []struct{ method, path string }{
		{"GET", fidPath}, {"PUT", fidPath}, {"DELETE", fidPath}, {"GET", "/dev1/usage"},
	} {
		if a := s.do(t, c.method, c.path, "x"); a.status != 503 {
			t.Errorf("%s %s: got %d %s; want 503", c.method, c.path, a.status, a.body)
		}
	}
	conn, in, _ := manage(t, s)
	fmt.Fprint(conn, "watch\n")
	if line, err := in.ReadString('\n'); line != "1\t100.00\n" {
		t.Errorf("utilisation: got %q, %v; want 100", line, err)
	}
	m.count(5, 5, 0)
	s.Tick()
	if a := s.do(t, "GET", fidPath, ""); a.body != "x" {
		t.Errorf("GET after it ended: got %d %s; want x", a.status, a.body)
	}
	s.mustPut(t, fidPath, "x")
}
