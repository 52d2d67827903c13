package disk_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
	"github.com/mogilefs/caddy-mogilefs/storage/disk/disktest"
)

// putPart writes a part in two pieces.
func putPart(d *disk.Device, name string, offset int64, content string) error {
	p, err := d.OpenPart(name, offset, int64(len(content)))
	if err != nil {
		return err
	}
	defer p.Abort()
	for _, piece := range []string{content[:len(content)/2], content[len(content)/2:]} {
		if _, err := io.WriteString(p, piece); err != nil {
			return err
		}
	}
	return p.Commit()
}

func TestPartsComeInAnyOrderAndCutNothingOff(t *testing.T) {
	d := device(t, nil)
	for _, c := range []struct {
		offset  int64
		content string
		want    string
	}{
		{6, "world", "\x00\x00\x00\x00\x00\x00world"},
		{0, "hello ", "hello world"},
		{4, "O, W", "hellO, Wrld"},
		{11, "!", "hellO, Wrld!"},
	} {
		if err := putPart(d, name, c.offset, c.content); err != nil {
			t.Fatal(err)
		}
		if got := content(t, d, name); got != c.want {
			t.Errorf("after %q at %d: got %q; want %q", c.content, c.offset, got, c.want)
		}
	}
	if got := files(t, d.Path()); !slices.Equal(got, []string{name}) {
		t.Errorf("files: got %v; want only %s", got, name)
	}
}

func TestAPartOfAnotherLengthIsRefused(t *testing.T) {
	d := device(t, nil)
	if err := put(d, name, "0123456789"); err != nil {
		t.Fatal(err)
	}
	p, err := d.OpenPart(name, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	if _, err := io.WriteString(p, "ab"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := io.WriteString(p, "cd"); n != 0 || !errors.Is(err, disk.ErrLength) {
			t.Errorf("write beyond the part: got %d, %v; want 0, ErrLength", n, err)
		}
	}
	if err := p.Commit(); !errors.Is(err, disk.ErrLength) {
		t.Errorf("commit: got %v; want ErrLength", err)
	}
	if err := p.Commit(); err == nil {
		t.Error("second commit: got nil; want an error")
	}
	if got := content(t, d, name); got != "01ab456789" {
		t.Errorf("got %q; want nothing written beyond the part", got)
	}
	short, err := d.OpenPart(name, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := short.Commit(); !errors.Is(err, disk.ErrLength) {
		t.Errorf("commit of no bytes: got %v; want ErrLength", err)
	}
}

func TestAPartOfADirectoryIsRefused(t *testing.T) {
	d := device(t, nil)
	if err := put(d, "a/b", "x"); err != nil {
		t.Fatal(err)
	}
	if err := putPart(d, "a", 0, "x"); !errors.Is(err, disk.ErrIsDir) {
		t.Errorf("got %v; want ErrIsDir", err)
	}
}

// roomy is a disk with 100 bytes left.
type roomy struct{ disk.FS }

func (roomy) Space(disk.Site) (disk.Space, error) { return disk.Space{Available: 100}, nil }

func TestAPartNeedsRoomUnlessItReplaces(t *testing.T) {
	d := device(t, func(path string) (disk.FS, error) {
		dir, err := disk.OpenFS(path)
		return roomy{dir}, err
	})
	large := strings.Repeat("x", 101)
	if _, err := d.OpenPart(name, 0, 101); !errors.Is(err, disk.ErrNoSpace) {
		t.Errorf("new: got %v; want ErrNoSpace", err)
	}
	if got := files(t, d.Path()); len(got) != 0 {
		t.Errorf("files: got %v; want none", got)
	}
	for _, offset := range []int64{50, 0} {
		if err := putPart(d, name, offset, large[:100]); err != nil {
			t.Fatal(err)
		}
	}
	if err := putPart(d, name, 0, large); err != nil {
		t.Errorf("within the file: got %v; want nil", err)
	}
}

func TestEveryFailureOfAPartIsReported(t *testing.T) {
	for _, errno := range []error{errInjected, syscall.ENOSPC} {
		sites := make(map[string]bool)
		for i := 0; ; i++ {
			f := new(disktest.Faults)
			d := device(t, f.Open)
			f.Arm(i, errno)
			err := putPart(d, name, 3, "content")
			failed := f.Failed()
			if failed == "" {
				break
			}
			sites[failed] = true
			// What can't be looked at only means that the disk itself will say so.
			harmless := failed == "part space" || failed == "part lstat"
			if (err == nil) != harmless || err != nil && !errors.Is(err, errno) {
				t.Errorf("part with %q failing: got %v", failed, err)
			}
			if failed != " open" && failed != "mount lstat" && errno == syscall.ENOSPC && !harmless && !errors.Is(err, disk.ErrNoSpace) {
				t.Errorf("ENOSPC from %q: got %v; want ErrNoSpace", failed, err)
			}
		}
		for _, want := range []string{
			"part lstat", "part open at", "part write", "part sync", "part close", "part sync directory",
			"parent mkdir", "parent sync directory", " open",
		} {
			if !sites[want] {
				t.Errorf("the sweep never failed %q; it failed %v", want, sites)
			}
		}
	}
}

func TestPartsThatWereCommittedSurviveACrashAtAnyMoment(t *testing.T) {
	d, c := crashDevice(t)
	const parts, length = 8, 10
	acknowledged := make(map[string]int) // file to how many of its parts
	part := strings.Repeat("x", length)
	c.After = func(left disktest.Left) {
		for name, count := range acknowledged {
			if got := strings.Count(left.Files[name], "x"); got < count*length {
				t.Errorf("%s after a crash: got %d bytes; want those of %d parts", name, got, count)
			}
		}
	}
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			for _, name := range []string{"a/b/one", "a/b/two", "a/c/three"} {
				if err := putPart(d, name, int64(i*length), part); err != nil {
					t.Errorf("part %d of %s: %v", i, name, err)
				}
				c.Meanwhile(func() { acknowledged["dev1/"+name]++ })
			}
		})
	}
	wg.Wait()
	if len(acknowledged) != 3 {
		t.Errorf("acknowledged: got %v; want three files", acknowledged)
	}
}
