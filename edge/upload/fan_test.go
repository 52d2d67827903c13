package upload

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// kept is a copy in memory. It waits at the gates that are set, until they are closed.
type kept struct {
	bytes.Buffer
	atWrite, atCommit  <-chan struct{}
	failWrite          error
	failCommit         error
	committed, aborted bool
}

func (k *kept) Write(p []byte) (int, error) {
	if k.atWrite != nil {
		<-k.atWrite
	}
	if k.failWrite != nil {
		return 0, k.failWrite
	}
	return k.Buffer.Write(p)
}

func (k *kept) Commit() error {
	if k.atCommit != nil {
		<-k.atCommit
	}
	k.committed = k.failCommit == nil
	return k.failCommit
}

func (k *kept) Abort() { k.aborted = true }

const (
	patient   = time.Minute
	impatient = 20 * time.Second
)

// feed writes pieces through one buffer, as a body does.
func feed(t *testing.T, f *Fan, pieces ...string) error {
	t.Helper()
	var buf [8]byte
	for _, p := range pieces {
		if _, err := f.Write(buf[:copy(buf[:], p)]); err != nil {
			return err
		}
		clear(buf[:])
	}
	return nil
}

func TestFanGivesAllCopiesAll(t *testing.T) {
	a, b := &kept{}, &kept{}
	f := NewFan([]Copy{a, b}, 1, Limits{Write: patient, Commit: patient})
	if err := feed(t, f, "one ", "two ", "three"); err != nil {
		t.Fatal(err)
	}
	if n := f.Commit(); n != 2 || f.Err(0) != nil || f.Err(1) != nil {
		t.Errorf("got %d committed, %v, %v; want both", n, f.Err(0), f.Err(1))
	}
	for _, k := range []*kept{a, b} {
		if k.String() != "one two three" || !k.committed || k.aborted {
			t.Errorf("got %q, committed=%t, aborted=%t; want all of it committed", k.String(), k.committed, k.aborted)
		}
	}
}

func TestFanGoesOnWithoutACopyThatFails(t *testing.T) {
	broken := errors.New("broken")
	a, b, c := &kept{failWrite: broken}, &kept{}, &kept{failCommit: broken}
	f := NewFan([]Copy{a, b, c}, 1, Limits{Write: patient, Commit: patient})
	if err := feed(t, f, "one ", "two"); err != nil {
		t.Fatal(err)
	}
	if n := f.Commit(); n != 1 || !errors.Is(f.Err(0), broken) || f.Err(1) != nil || !errors.Is(f.Err(2), broken) {
		t.Errorf("got %d committed, %v, %v, %v; want the second alone", n, f.Err(0), f.Err(1), f.Err(2))
	}
	if !a.aborted || a.committed || b.String() != "one two" || c.aborted {
		t.Errorf("got %+v, %+v, %+v; want the first aborted, the second whole, the third left as it is", a, b, c)
	}
}

func TestFanFailsWithFewerCopiesThanAreNeeded(t *testing.T) {
	broken := errors.New("broken")
	a, b := &kept{failWrite: broken}, &kept{}
	f := NewFan([]Copy{a, b}, 2, Limits{Write: patient, Commit: patient})
	if err := feed(t, f, "one"); !errors.Is(err, broken) {
		t.Errorf("got %v; want that it is broken", err)
	}
	if f.Abort(); !a.aborted || !b.aborted || a.committed || b.committed {
		t.Errorf("got %+v, %+v; want both aborted", a, b)
	}
}

// TestFanLeavesALateCopyBehind: it is told as soon as it comes to itself, and sees none of
// what came since.
func TestFanLeavesALateCopyBehind(t *testing.T) { synctest.Test(t, fanLeavesALateCopyBehind) }

func fanLeavesALateCopyBehind(t *testing.T) {
	gate := make(chan struct{})
	a, b, c := &kept{atWrite: gate}, &kept{}, &kept{atWrite: gate}
	f := NewFan([]Copy{a, b, c}, 1, Limits{Write: impatient, Commit: patient})
	if err := feed(t, f, "one ", "two ", "three"); err != nil {
		t.Fatal(err)
	}
	if n := f.Commit(); n != 1 || !errors.Is(f.Err(0), ErrLate) || !errors.Is(f.Err(2), ErrLate) {
		t.Errorf("got %d committed, %v, %v; want the others late", n, f.Err(0), f.Err(2))
	}
	late := f.Late()
	if len(late) != 2 {
		t.Fatalf("got %d late; want 2", len(late))
	}
	close(gate)
	for _, ended := range late {
		ended()
	}
	if !a.aborted || a.committed || a.String() != "one " || b.String() != "one two three" {
		t.Errorf("got %q, aborted=%t, committed=%t, and %q; want one piece aborted, and all of it", a.String(), a.aborted, a.committed, b.String())
	}
}

func TestFanDoesNotWaitForALateCommit(t *testing.T) { synctest.Test(t, fanDoesNotWaitForALateCommit) }

func fanDoesNotWaitForALateCommit(t *testing.T) {
	gate := make(chan struct{})
	a, b := &kept{atCommit: gate}, &kept{}
	f := NewFan([]Copy{a, b}, 1, Limits{Write: patient, Commit: impatient})
	if err := feed(t, f, "one"); err != nil {
		t.Fatal(err)
	}
	if n := f.Commit(); n != 1 || !errors.Is(f.Err(0), ErrLate) || f.Err(1) != nil {
		t.Errorf("got %d committed, %v, %v; want the second alone", n, f.Err(0), f.Err(1))
	}
	close(gate)
	for _, ended := range f.Late() {
		ended()
	}
}
