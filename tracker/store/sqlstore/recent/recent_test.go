package recent

import (
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func TestRecentChangesAreRememberedAMinute(t *testing.T) {
	var r Changes
	now := time.Now()
	r.ForgetNothingBefore(now.Add(-time.Hour))
	r.Add(now, []Change{{Domain: 1, Key: "Foo "}, {FID: 7}})
	for _, c := range []struct {
		of   Change
		want bool
	}{
		{Change{Domain: 1, Key: "foo"}, true}, {Change{Domain: 2, Key: "foo"}, false}, {Change{Domain: 1, Key: "fo"}, false},
		{Change{FID: 7}, true}, {Change{FID: 8}, false}, {Change{Domain: 1, Key: "f\xc3\xb6o"}, true},
	} {
		if got := r.Has(now.Add(Kept), c.of); got != c.want {
			t.Errorf("%+v: got %v; want %v", c.of, got, c.want)
		}
		if r.Has(now.Add(Kept+time.Second), c.of) {
			t.Errorf("%+v after a minute: got it remembered; want it forgotten", c.of)
		}
	}
	r.Add(now, []Change{{Domain: 3, Key: "\xc3\x9f"}})
	if !r.Has(now, Change{Domain: 3, Key: "ss"}) || r.Has(now, Change{Domain: 4, Key: "ss"}) {
		t.Error("ss: got it compared byte by byte; want any key in the domain taken for the odd one")
	}
}

func TestTooManyChangesSendAllToTheMaster(t *testing.T) {
	var r Changes
	now := time.Now()
	r.ForgetNothingBefore(now.Add(-time.Hour))
	changes := make([]Change, maxChanges)
	for i := range changes {
		changes[i] = Change{FID: mogile.FID(i + 1)}
	}
	r.Add(now, changes)
	other := Change{Domain: 1, Key: "other"}
	if r.Has(now, other) {
		t.Error("full: got all changed; want one more change to that end")
	}
	r.Add(now, []Change{{FID: maxChanges + 1}})
	if !r.Has(now.Add(Kept), other) {
		t.Error("overfull: got a key taken for unchanged; want none")
	}
	later := now.Add(Kept + time.Second)
	r.Add(later, []Change{{FID: 5}})
	if r.Has(later, other) || !r.Has(later, Change{FID: 5}) || r.Has(later, Change{FID: 6}) {
		t.Error("after a minute: got more than the one change remembered")
	}
	if len(r.order) != 1 || len(r.last) != 1 {
		t.Errorf("after a minute: got %d and %d remembered; want 1", len(r.order), len(r.last))
	}
}

func TestWhoHasReadTheChangeNeedNotAskAgain(t *testing.T) {
	var r Changes
	now := time.Now()
	r.ForgetNothingBefore(now)
	key := func(key mogile.Key, since mogile.FID) Change { return Change{Domain: 1, Key: key, Since: since} }
	later := now.Add(time.Second)
	r.Add(later, []Change{key("once", 5), key("twice", 5), key("gone", 5), {Domain: 1, Key: "gone"}, key("twice", 6)})
	for _, c := range []struct {
		of   Change
		want bool
	}{
		{key("once", 5), false}, {key("once", 4), true}, {key("ONCE ", 5), false}, {key("once", 0), true},
		{key("twice", 5), true}, {key("twice", 6), true}, {key("gone", 5), true}, {key("other", 5), true},
	} {
		if got := r.Has(later, c.of); got != c.want {
			t.Errorf("%+v: got %v; want %v", c.of, got, c.want)
		}
	}
	if !r.MayBeRead(later, key("once", 0)) || r.MayBeRead(later, key("twice", 0)) || r.MayBeRead(later, key("other", 0)) {
		t.Error("got others than what was changed once for what may be read")
	}
	r.Add(later, []Change{key("odd\xc3\x9f", 7)})
	if !r.Has(later, key("odd\xc3\x9f", 7)) || !r.Has(later, key("once", 5)) {
		t.Error("got a key trusted that an odd one may equal")
	}
}

func TestWhatWasReadCountsForNothingOnceChangesWereForgotten(t *testing.T) {
	var r Changes
	now := time.Now()
	r.ForgetNothingBefore(now.Add(-time.Hour))
	r.Add(now, []Change{{Domain: 1, Key: "k", Since: 5}})
	for fid := range mogile.FID(maxChanges) {
		r.Add(now, []Change{{FID: fid + 1}})
	}
	if !r.Has(now, Change{Domain: 1, Key: "k", Since: 5}) {
		t.Error("got k trusted; want it asked for: it may have been changed again when there was no room")
	}
}
