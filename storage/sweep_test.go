package storage_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/storage/disk/disktest"
)

// fragile is a node whose disk fails at one operation, and of which is known what a power
// failure would leave.
type fragile struct {
	server
	faults *disktest.Faults
	crash  *disktest.Crash
}

func newFragile(t *testing.T) fragile {
	t.Helper()
	root := t.TempDir()
	crash := disktest.NewCrash(root)
	faults := &disktest.Faults{Over: crash.Open}
	config := storage.Config{Root: root, Devices: []mogile.DevID{1}, UsageInterval: time.Hour}.Looking(time.Hour)
	f := fragile{serverWith(t, config, faults.Open), faults, crash}
	<-f.Swept()
	return f
}

// attempt is a request to a node whose file is old, or that has none.
type attempt struct {
	name, method, old, body string
	headers                 []string
	// want is operations that must have failed once. Of a large body, how often it is
	// written varies, so that what comes after may be missed.
	want []string
	// causes are how operations fail; nil: in all ways.
	causes []error
}

var allCauses = []error{errInjected, syscall.EIO, syscall.EROFS, syscall.ENOSPC, syscall.EMFILE}

var (
	allOfPut    = []string{" open", "put create", "put write", "put sync", "put close", "put rename", "put sync directory"}
	allOfDelete = []string{" open", "delete lstat", "delete remove", "delete sync directory"}
)

var attempts = []attempt{
	{name: "upload", method: "PUT", body: "new", want: allOfPut},
	{name: "upload with a time and a digest", method: "PUT", body: "new", headers: []string{
		"Last-Modified: Sun, 02 Feb 2020 03:04:05 GMT", "Content-MD5: " + md5Of("new"),
	}, want: append([]string{"put set time"}, allOfPut...)},
	{name: "large upload", method: "PUT", body: strings.Repeat("new", 1<<19), want: []string{"put preallocate", "put write"},
		causes: []error{syscall.EIO, syscall.ENOSPC}}, // what differs from a small one is how a full disk is found out
	{name: "overwrite", method: "PUT", old: "old", body: "new", want: allOfPut},
	{name: "delete", method: "DELETE", old: "old", want: allOfDelete},
}

var errInjected = errors.New("injected")

// TestNoFailureIsAcknowledged fails each operation of each request in its turn, in several
// ways.
func TestNoFailureIsAcknowledged(t *testing.T) {
	for _, a := range attempts {
		causes := a.causes
		if causes == nil {
			causes = allCauses
		}
		for _, cause := range causes {
			t.Run(fmt.Sprintf("%s, %v", a.name, cause), func(t *testing.T) {
				failed := map[string]bool{}
				for i := 0; ; i++ {
					f := newFragile(t)
					if a.old != "" {
						f.mustPut(t, fidPath, a.old)
					}
					f.faults.Arm(i, cause)
					got := f.do(t, a.method, fidPath, a.body, a.headers...)
					op := f.faults.Failed()
					f.Close() // now, not with the test: it has a directory, connections, goroutines
					if op == "" {
						break
					}
					failed[op] = true
					checkOutcome(t, f, a, outcome{op, got.status, cause})
				}
				for _, op := range a.want {
					if !failed[op] {
						t.Errorf("got failures of %v; want %q among them", failed, op)
					}
				}
			})
		}
	}
}

// outcome is which operation failed, how, and what was answered.
type outcome struct {
	op     string
	status int
	cause  error
}

func checkOutcome(t *testing.T, f fragile, a attempt, o outcome) {
	t.Helper()
	name := strings.TrimPrefix(fidPath, "/")
	left := f.crash.Left()
	durable, there := left.Files[name]
	live, err := os.ReadFile(filepath.Join(f.root, fidPath))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	done := o.status/100 == 2
	switch {
	case done && a.method == "PUT" && (durable != a.body || string(live) != a.body):
		t.Errorf("%s failed: got %d, of %d bytes %d are durable", o.op, o.status, len(a.body), len(durable))
	case done && a.method == "DELETE" && (there || err == nil):
		t.Errorf("%s failed: got %d, and the file is still there, or comes back", o.op, o.status)
	case !done && !slices.Contains([]string{a.old, a.body}, string(live)):
		t.Errorf("%s failed: got %d, and half a file: %d bytes", o.op, o.status, len(live))
	case !done && a.method == "PUT" && o.op != "put sync directory" && string(live) != a.old:
		t.Errorf("%s failed: got %d, and the new file; want the old one", o.op, o.status)
	case !done && a.method == "PUT" && a.old != "" && durable != a.old && durable != a.body:
		t.Errorf("%s failed: got %d, and a crash leaves %q; want the old file or the new one", o.op, o.status, durable)
	}
	if want := statusFor(o); !done && o.status != want {
		t.Errorf("%s failed with %v: got %d; want %d", o.op, o.cause, o.status, want)
	}
	for _, path := range left.Unsettled {
		if filepath.Base(path) != "usage" {
			t.Errorf("%s failed: %s has its name before its content is on disk", o.op, path)
		}
	}
	for _, path := range f.stored(t) {
		if path != fidPath {
			t.Errorf("%s failed: %s is left", o.op, path)
		}
	}
	for _, path := range descriptors(t) {
		if strings.HasPrefix(path, f.root) {
			t.Errorf("%s failed: %s is still open", o.op, path)
		}
	}
}

// statusFor is what a failure is answered with, when it can't be left aside.
func statusFor(o outcome) int {
	switch {
	case errors.Is(o.cause, syscall.EMFILE), errors.Is(o.cause, syscall.EIO), errors.Is(o.cause, syscall.EROFS):
		return 503
	case errors.Is(o.cause, syscall.ENOSPC) && o.op != " open" && o.op != "mount lstat":
		return 507
	}
	return 500
}

// TestAfterAnErrorOfTheDiskNobodyWritesUntilItIsCured needs no real disk that fails.
func TestAfterAnErrorOfTheDiskNobodyWritesUntilItIsCured(t *testing.T) {
	f := newFragile(t)
	f.mustPut(t, fidPath, "old")
	total := f.do(t, "GET", "/dev1/usage", "").body
	f.faults.Arm(4, syscall.EIO)
	if a := f.do(t, "PUT", fidPath, "new"); a.status != 503 {
		t.Fatalf("with an error of the disk at %q: got %d; want 503", f.faults.Failed(), a.status)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		if a := f.do(t, method, fidPath, "new"); a.status != 503 || !strings.Contains(a.body, "takes no writes") {
			t.Errorf("%s after that: got %d %s; want 503", method, a.status, a.body)
		}
	}
	if a := f.do(t, "GET", fidPath, ""); a.body != "old" {
		t.Errorf("GET after that: got %d %s; want old", a.status, a.body)
	}
	if got := f.do(t, "GET", "/dev1/usage", "").body; !strings.HasPrefix(got, "available: 0\n") || strings.HasPrefix(total, "available: 0\n") {
		t.Errorf("usage after that: got %s, before %s; want nothing available", got, total)
	}
	for range 3 {
		f.Tick()
	}
	f.mustPut(t, fidPath, "new")
	if got := f.do(t, "GET", "/dev1/usage", "").body; strings.HasPrefix(got, "available: 0\n") {
		t.Errorf("usage of a cured disk: got %s; want room", got)
	}
}
