package command_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// located is the devices of a location in their order.
func (c *cluster) located(key mogile.Key) []mogile.DevID {
	c.t.Helper()
	loc, err := c.Locate(c.t.Context(), "images", key, topology.Zone{})
	must(c.t, err)
	var devs []mogile.DevID
	for _, at := range loc.Copies {
		devs = append(devs, at.Dev)
	}
	return devs
}

func (c *cluster) copyTo(fid mogile.FID, devs ...mogile.DevID) {
	c.t.Helper()
	for _, d := range devs {
		must(c.t, c.store.AddCopy(c.t.Context(), fid, d))
	}
}

func (c *cluster) setState(dev mogile.DevID, state mogile.DevState) {
	c.t.Helper()
	must(c.t, c.store.SetDeviceState(c.t.Context(), dev, state))
	must(c.t, c.fakes.live.Reload(c.t.Context()))
}

func TestLocateTellsAllThereIsWithoutAskingANode(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	fid := c.upload("k")
	c.copyTo(fid, 2, 3)
	sum := mogile.Checksum{Type: mogile.HashMD5, Sum: make([]byte, 16)}
	must(t, c.store.SetChecksum(ctx, fid, sum))

	got, err := c.Locate(ctx, "images", "k", topology.Zone{})
	must(t, err)
	want := mogile.Location{FID: 1, Length: 5, Checksum: sum, Copies: []mogile.Copy{
		{Dev: 1, URL: "http://10.0.0.1:7500/dev1/0/000/000/0000000001.fid"},
		{Dev: 2, URL: "http://10.0.0.2:7500/dev2/0/000/000/0000000001.fid"},
		{Dev: 3, URL: "http://10.0.0.3:7500/dev3/0/000/000/0000000001.fid"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Locate (-want +got):\n%s", diff)
	}
	alt, err := c.Locate(ctx, "images", "k", topology.Zone{Alt: true})
	must(t, err)
	if got, want := alt.Copies[0].URL, "http://192.168.0.1:7500/dev1/0/000/000/0000000001.fid"; got != want {
		t.Errorf("in the other zone: got %s; want %s", got, want)
	}
	c.heard()
}

func TestLocatePutsDrainingDevicesLastAndKeepsAWayOut(t *testing.T) {
	c := newCluster(t, nil)
	c.copyTo(c.upload("k"), 2, 3, 99)
	for _, step := range []struct {
		dev   mogile.DevID
		state mogile.DevState
		want  []mogile.DevID
	}{
		{1, mogile.DevDrain, []mogile.DevID{2, 3, 1}},
		{2, mogile.DevDown, []mogile.DevID{3, 1}},
		{3, mogile.DevDead, []mogile.DevID{1}},
		{1, mogile.DevDown, []mogile.DevID{3}}, // none is readable: the last one found
	} {
		c.setState(step.dev, step.state)
		if diff := cmp.Diff(step.want, c.located("k")); diff != "" {
			t.Errorf("after device %d became %s (-want +got):\n%s", step.dev, step.state, diff)
		}
	}
}

func TestCopiesThatCannotBeReachedComeLast(t *testing.T) {
	c := newCluster(t, nil)
	c.copyTo(c.upload("k"), 2, 3)
	c.fakes.live.Observe(topology.Observations{Devices: map[mogile.DevID]topology.DeviceSeen{1: {State: topology.SeenUnreachable}}})
	if diff := cmp.Diff([]mogile.DevID{2, 3, 1}, c.located("k")); diff != "" {
		t.Errorf("a device can't be reached (-want +got):\n%s", diff)
	}
	c.setState(1, mogile.DevDown)
	if diff := cmp.Diff([]mogile.DevID{2, 3}, c.located("k")); diff != "" {
		t.Errorf("nor may it be read (-want +got):\n%s", diff)
	}
	line := string(c.Run(t.Context(), protocol.Parse([]byte("get_paths domain=images&key=k&noverify=1&pathcount=9")), netip.Addr{}).
		Append(nil, protocol.Request{}))
	if !strings.Contains(line, "paths=2&") {
		t.Errorf("get_paths: got %s; want the two that can be read", line)
	}
}

// oneLook is a store that can only locate: all else panics.
type oneLook struct {
	command.Store
	locate store.Files
	looks  int
}

func (s *oneLook) Locate(ctx context.Context, dm mogile.DomainID, key mogile.Key) (store.File, []mogile.DevID, mogile.Checksum, error) {
	s.looks++
	return s.locate.Locate(ctx, dm, key)
}

func TestLocateLooksAtTheDatabaseOnce(t *testing.T) {
	one := &oneLook{}
	c := newCluster(t, func(s command.Store) command.Store {
		one.locate = s
		return one
	})
	_, err := c.Locate(t.Context(), "images", "k", topology.Zone{})
	fails(t, err, protocol.UnknownKey)
	if one.looks != 1 {
		t.Errorf("got %d looks; want 1", one.looks)
	}
}

func TestNobodyIsToldBeforeAnythingIsKnown(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	o := c.open("k", 1)
	notYet := errors.New("not yet")
	c.fakes.ready = notYet
	_, err := c.Locate(ctx, "images", "k", topology.Zone{})
	fails(t, err, notYet)
	_, err = c.Open(ctx, command.OpenArgs{Domain: "images"})
	fails(t, err, notYet)
	fails(t, c.Close(ctx, closing(o, "k")), notYet)
	fails(t, c.Delete(ctx, "images", "k"), notYet)
	if isAnswer(err) {
		t.Errorf("got the answer %v; want an internal error", err)
	}
}

func isAnswer(err error) bool {
	var answer *protocol.Error
	return errors.As(err, &answer)
}

func TestTypedCallsAnswerWithCodes(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	for _, tc := range []struct {
		domain mogile.DomainName
		key    mogile.Key
		want   protocol.Code
	}{
		{"", "k", protocol.NoDomain},
		{"nosuch", "k", protocol.UnregDomain},
		{"images", "", protocol.NoKey},
		{"images", "a\x00b", protocol.NoKey},
		{"images", "nosuch", protocol.UnknownKey},
		{"images", mogile.Key(strings.Repeat("k", 256)), protocol.UnknownKey},
	} {
		_, err := c.Locate(ctx, tc.domain, tc.key, topology.Zone{})
		fails(t, err, tc.want)
		fails(t, c.Delete(ctx, tc.domain, tc.key), tc.want)
		if answer := (*protocol.Error)(nil); !errors.As(err, &answer) {
			t.Errorf("%q, %q: got %T; want *protocol.Error", tc.domain, tc.key, err)
		}
	}
	c.heard()
}

func TestAFileIsQueuedForFsckByWhoFindsAWrongCopy(t *testing.T) {
	c := newCluster(t, nil)
	fid := c.upload("k")
	c.fakes.took()
	for range 2 {
		must(t, c.Repair(t.Context(), fid))
	}
	rows, err := c.store.WorkRows(t.Context(), fid)
	must(t, err)
	if len(rows) != 1 || rows[0].Kind != store.FsckWork {
		t.Errorf("got %+v; want one row for fsck", rows)
	}
	if got := c.fakes.took(); len(got) != 2 || got[0] != "wake fsck" {
		t.Errorf("got %q; want fsck woken", got)
	}
}

func TestLocateFIDFindsOnlyWhatTheDomainHas(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	fid := c.upload("k")
	loc, err := c.LocateFID(ctx, "images", fid, topology.Zone{})
	if err != nil || loc.FID != fid || len(loc.Copies) != 1 {
		t.Errorf("got %+v, %v; want fid %d with its copy", loc, err, fid)
	}
	_, err = c.LocateFID(ctx, "images", fid+1, topology.Zone{})
	fails(t, err, protocol.UnknownKey)
	_, err = c.store.CreateDomain(ctx, "other")
	must(t, err)
	c.runs("clear_cache", "OK ")
	_, err = c.LocateFID(ctx, "other", fid, topology.Zone{})
	fails(t, err, protocol.UnknownKey)
	c.upload("k")
	_, err = c.LocateFID(ctx, "images", fid, topology.Zone{})
	fails(t, err, protocol.UnknownKey)
}
