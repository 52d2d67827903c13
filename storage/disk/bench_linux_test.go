package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/storage/dirsync"
)

// BenchmarkDurable4KiB compares ways to make a small file lasting, all in one directory, as
// consecutive fids are: what a device does, and bare loops of the system's calls that sync
// each file and directory alone, share the directory's syncs, or share one sync of the whole
// file system. fast is a device without syncs.
func BenchmarkDurable4KiB(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		for name, writer := range map[string]func(*testing.B, string) func(name string) error{
			"device": deviceWriter(Rules{}), "fast": deviceWriter(Rules{Fast: true}),
			"own": ownSyncs, "shared": sharedSyncs, "syncfs": sharedSyncfs,
		} {
			b.Run(fmt.Sprintf("%s/writers=%d", name, writers), func(b *testing.B) {
				dir := filepath.Join(b.TempDir(), "dev1")
				if err := os.MkdirAll(filepath.Join(dir, "0/000/000"), 0o755); err != nil {
					b.Fatal(err)
				}
				write := writer(b, dir)
				var fid atomic.Int64
				b.SetParallelism((writers + 1) / 2) // of the machine's processors, which are two
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := write(fmt.Sprintf("0/000/000/%010d.fid", fid.Add(1))); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
			})
		}
	}
}

var body4KiB = make([]byte, 4<<10)

func deviceWriter(rules Rules) func(*testing.B, string) func(string) error {
	return func(b *testing.B, dir string) func(string) error {
		root, err := NewRoot(filepath.Dir(dir), rules, nil)
		if err != nil {
			b.Fatal(err)
		}
		d, err := root.Device(1)
		if err != nil {
			b.Fatal(err)
		}
		return func(name string) error {
			w, err := d.Create(name, Options{Size: int64(len(body4KiB))})
			if err != nil {
				return err
			}
			defer w.Abort()
			if _, err := w.Write(body4KiB); err != nil {
				return err
			}
			return w.Commit()
		}
	}
}

// bare writes a file, has it made lasting, renames it, and has its directory made lasting.
func bare(dir, name string, settle func(*os.File) error, settleDir func() error) error {
	name = filepath.Join(dir, name)
	f, err := os.OpenFile(name+".tmp", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(body4KiB); err != nil {
		return err
	}
	if err := settle(f); err != nil {
		return err
	}
	if err := os.Rename(name+".tmp", name); err != nil {
		return err
	}
	return settleDir()
}

func syncPath(path string, sync func(fd int) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return sync(int(f.Fd()))
}

func ownSyncs(_ *testing.B, dir string) func(string) error {
	return func(name string) error {
		return bare(dir, name, (*os.File).Sync, func() error { return syncPath(filepath.Join(dir, filepath.Dir(name)), unix.Fsync) })
	}
}

func sharedSyncs(_ *testing.B, dir string) func(string) error {
	var dirs dirsync.Syncs
	return func(name string) error {
		parent := filepath.Join(dir, filepath.Dir(name))
		return bare(dir, name, (*os.File).Sync, func() error {
			return dirs.Do(parent, func() error { return syncPath(parent, unix.Fsync) })
		})
	}
}

func sharedSyncfs(_ *testing.B, dir string) func(string) error {
	var all dirsync.Syncs
	whole := func() error { return all.Do("", func() error { return syncPath(dir, unix.Syncfs) }) }
	return func(name string) error {
		return bare(dir, name, func(*os.File) error { return whole() }, whole)
	}
}
