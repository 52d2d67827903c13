package openfiles_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
	"github.com/mogilefs/caddy-mogilefs/storage/openfiles"
)

// settled is short, for the tests to be, but longer than any change takes.
const settled = 10 * time.Millisecond

// opener opens files of device 1 and reads them.
type opener struct {
	*openfiles.Set[string]
	device *disk.Device
	dir    string
}

func newOpener(t *testing.T) *opener {
	t.Helper()
	root, err := disk.NewRoot(t.TempDir(), disk.Rules{}, nil)
	if err == nil {
		err = root.Declare(1)
	}
	if err != nil {
		t.Fatal(err)
	}
	device, err := root.Device(1)
	if err != nil {
		t.Fatal(err)
	}
	o := &opener{openfiles.New(func(name string, size int64, _ time.Time) string {
		return fmt.Sprintf("%s has %d bytes", name, size)
	}), device, device.Path()}
	o.KeepAfter(settled)
	t.Cleanup(o.Close)
	return o
}

func (o *opener) read(name string) (string, error) {
	f, err := o.Open(o.device, name)
	if err != nil {
		return "", err
	}
	defer f.Release()
	if want := fmt.Sprintf("%s has %d bytes", name, f.Size()); f.About != want {
		return "", fmt.Errorf("got %q about it; want %q", f.About, want)
	}
	buf := make([]byte, f.Size())
	_, err = f.ReadAt(buf, 0)
	return string(buf), err
}

func (o *opener) put(name, content string) error {
	w, err := o.device.Create(name, disk.Options{Size: int64(len(content))})
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write([]byte(content)); err != nil {
		return err
	}
	return w.Commit()
}

// want reads until the file is kept open, and once more.
func (o *opener) want(t *testing.T, name, content string) {
	t.Helper()
	for kept := false; !kept; {
		kept = o.Keeps(name)
		if got, err := o.read(name); got != content || err != nil {
			t.Fatalf("%s: got %q, %v; want %q", name, got, err, content)
		}
	}
}

func TestKeptFilesFollowWhatHappensToThem(t *testing.T) {
	for name, happens := range map[string]func(o *opener) (want string, err error){
		"uploaded again": func(o *opener) (string, error) { return "second", o.put("f", "second") },
		"replaced by another program": func(o *opener) (string, error) {
			other := filepath.Join(o.dir, "other")
			return "second", errors.Join(os.WriteFile(other, []byte("second"), 0o666), os.Rename(other, filepath.Join(o.dir, "f")))
		},
		"appended to": func(o *opener) (string, error) {
			f, err := os.OpenFile(filepath.Join(o.dir, "f"), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return "", err
			}
			_, err = f.WriteString(" and more")
			return "first and more", errors.Join(err, f.Close())
		},
		"replaced while it has another name": func(o *opener) (string, error) {
			return "second", errors.Join(os.Link(filepath.Join(o.dir, "f"), filepath.Join(o.dir, "link")), o.put("f", "second"))
		},
		"moved away and another moved in": func(o *opener) (string, error) {
			return "second", errors.Join(o.put("g", "second"),
				os.Rename(filepath.Join(o.dir, "f"), filepath.Join(o.dir, "h")),
				os.Rename(filepath.Join(o.dir, "g"), filepath.Join(o.dir, "f")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOpener(t)
			if err := o.put("f", "first"); err != nil {
				t.Fatal(err)
			}
			o.want(t, "f", "first")
			want, err := happens(o)
			if err != nil {
				t.Fatal(err)
			}
			o.want(t, "f", want)
		})
	}
}

func TestKeptFilesAreGoneWhenRemoved(t *testing.T) {
	for name, remove := range map[string]func(o *opener) error{
		"deleted":                    func(o *opener) error { return o.device.Remove("f") },
		"removed by another program": func(o *opener) error { return os.Remove(filepath.Join(o.dir, "f")) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOpener(t)
			if err := o.put("f", "first"); err != nil {
				t.Fatal(err)
			}
			o.want(t, "f", "first")
			if err := remove(o); err != nil {
				t.Fatal(err)
			}
			if got, err := o.read("f"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %q, %v; want %v", got, err, fs.ErrNotExist)
			}
		})
	}
}

// TestKeptFilesNeverLagBehind replaces and removes a file, each time when it is kept open,
// while others read it: who reads after a change was acknowledged sees it or a later one.
func TestKeptFilesNeverLagBehind(t *testing.T) {
	for name, more := range map[string]int{"small": 0, "large": openfiles.MaxShared} {
		t.Run(name, func(t *testing.T) { neverLagsBehind(t, strings.Repeat("x", more)) })
	}
}

func neverLagsBehind(t *testing.T, more string) {
	o := newOpener(t)
	const changes, readers = 100, 4
	var mu sync.Mutex // guards acknowledged
	acknowledged := 0
	seen := func() int {
		mu.Lock()
		defer mu.Unlock()
		return acknowledged
	}
	var all sync.WaitGroup
	all.Go(func() {
		for i := 1; i <= changes; i++ {
			for i%7 != 1 && !o.Keeps("f") && !t.Failed() {
				runtime.Gosched() // the readers make it
			}
			err := o.put("f", fmt.Sprintf("%08d", i)+more)
			if err == nil && i%7 == 0 {
				err = o.device.Remove("f")
			}
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			acknowledged = i
			mu.Unlock()
		}
	})
	for range readers {
		all.Go(func() {
			for before := seen(); before < changes && !t.Failed(); before = seen() {
				text, err := o.read("f")
				if errors.Is(err, fs.ErrNotExist) {
					// Every seventh change removes the file in the end.
					if before%7 != 0 && (before+1)%7 != 0 && seen() == before {
						t.Errorf("the file is absent after change %d", before)
						return
					}
					continue
				}
				var got int
				if _, serr := fmt.Sscanf(text[:min(8, len(text))], "%d", &got); err != nil || serr != nil || got < before || before%7 == 0 && got == before {
					t.Errorf("got %q, %v after change %d", text, err, before)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestOnlyFilesReadTwiceAreKept(t *testing.T) {
	o := newOpener(t)
	if err := errors.Join(o.put("once", "x"), o.put("twice", "x")); err != nil {
		t.Fatal(err)
	}
	o.want(t, "twice", "x") // the other has settled too, then
	if _, err := o.read("once"); err != nil {
		t.Fatal(err)
	}
	if o.Keeps("once") {
		t.Error("got a file kept open that was read once; want it closed")
	}
	o.Close()
	for range 3 {
		if _, err := o.read("twice"); err != nil {
			t.Fatal(err)
		}
	}
	if o.Keeps("twice") {
		t.Error("a file is kept open after Close")
	}
}

// Each is sent from where it stands.
func TestALargeFileHasOneReaderAtATime(t *testing.T) {
	o := newOpener(t)
	large := strings.Repeat("x", openfiles.MaxShared+1)
	if err := o.put("f", large); err != nil {
		t.Fatal(err)
	}
	o.want(t, "f", large)
	var open []*openfiles.File[string]
	for range 3 {
		f, err := o.Open(o.device, "f")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Release()
		for _, other := range open {
			if f.Alone() == other.Alone() {
				t.Error("got the file of another reader")
			}
		}
		open = append(open, f)
	}
	if o.Keeps("f") {
		t.Error("got it kept for others while it is read")
	}
	was := open[0].Alone()
	open[0].Release()
	if !o.Keeps("f") {
		t.Fatal("got it closed by its first reader; want it kept")
	}
	f, err := o.Open(o.device, "f")
	if err != nil {
		t.Fatal(err)
	}
	open[0] = f
	if f.Alone() != was {
		t.Error("got another file; want the one that was kept")
	}
}

func TestKeptFilesAreClosedWhenIdle(t *testing.T) {
	o := newOpener(t)
	if err := o.put("f", "x"); err != nil {
		t.Fatal(err)
	}
	o.want(t, "f", "x")
	o.CloseIdle()
	if !o.Keeps("f") {
		t.Error("a file is closed that was opened a moment ago")
	}
	for o.Keeps("f") && t.Context().Err() == nil { // a second, of which nothing else is asked
		o.CloseIdle()
		runtime.Gosched()
	}
}

func TestFilesThatChangedAMomentAgoAreNotKept(t *testing.T) {
	o := newOpener(t)
	o.KeepAfter(time.Hour)
	if err := o.put("f", "x"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := o.read("f"); err != nil {
			t.Fatal(err)
		}
	}
	if o.Keeps("f") {
		t.Error("a file is kept open that was made a moment ago")
	}
}
