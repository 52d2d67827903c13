package command

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

const (
	// maxDestinations is how many devices an upload is offered that is to have one copy.
	maxDestinations = 3
	// maxOffered is how many are offered at most: more devids may not fit the column
	// tempfile.devids.
	maxOffered = 5
	// spares is how many devices are offered beside those that all are to have a copy.
	spares = 2
	// MaxCopies is how many copies an upload may have before it is closed.
	MaxCopies = maxOffered
)

// OpenArgs says what is going to be uploaded.
type OpenArgs struct {
	Domain mogile.DomainName
	// Key is informative; it may be empty. What counts is the key at Close.
	Key mogile.Key
	// Class is empty for the default class.
	Class mogile.ClassName
	// Size is how many bytes the devices must have room for; 0 means unknown.
	Size int64
	// FID is 0 for a new one.
	FID mogile.FID
	// Destinations is how many devices are wanted at most; 0 means 1.
	Destinations int
	// Copies is how many of them are to have a copy before the close; 0 means 1. With
	// more than that, spares are offered too, however few Destinations are wanted.
	Copies int
	Zone   topology.Zone
	// Local callers make directories themselves.
	Local bool
}

// Opened is an upload that was registered.
type Opened struct {
	FID   mogile.FID
	Class mogile.Class
	// Destinations has at least one device, the best first, with write URLs.
	Destinations []mogile.Copy
}

// Open registers an upload and picks devices for it. Nothing is reserved: the key
// keeps its meaning until [Commands.Close], which must come within an hour.
//
// Order: 1 register the upload with its devices; 2 make the directories; 3 answer.
// A crash after 1 leaves a tempfile row, which the sweep removes.
func (c *Commands) Open(ctx context.Context, a OpenArgs) (Opened, error) {
	o, err := c.offer(ctx, a)
	if err != nil {
		return Opened{}, err
	}
	opened, err := c.register(ctx, a, o)
	if err != nil {
		return Opened{}, err
	}
	if !a.Local {
		c.makeDirs(ctx, opened)
	}
	return opened, nil
}

// offer is what an upload gets when it can be registered.
type offer struct {
	class mogile.Class
	devs  []topology.Device
}

func (c *Commands) offer(ctx context.Context, a OpenArgs) (offer, error) {
	snap, err := c.snapshot(ctx)
	if err != nil {
		return offer{}, err
	}
	dom, err := findDomain(snap, a.Domain)
	if err != nil {
		return offer{}, err
	}
	cls, ok := dom.ClassByID(0)
	if a.Class != "" {
		cls, ok = dom.Class(a.Class)
	}
	if !ok {
		return offer{}, protocol.Fail(protocol.UnregClass)
	}
	devs := c.destinations(snap, a)
	if len(devs) == 0 {
		return offer{}, protocol.Fail(protocol.NoDevices)
	}
	return offer{class: cls, devs: devs}, nil
}

// register writes the upload down. A database that does not take it answers db,
// as with a key it can't hold.
func (c *Commands) register(ctx context.Context, a OpenArgs, o offer) (Opened, error) {
	if a.Key != "" {
		if err := isNewKey(a.Key); err != nil {
			return Opened{}, err
		}
	}
	u := store.Upload{FID: a.FID, Domain: o.class.Domain, Key: a.Key, Class: o.class.ID}
	for _, d := range o.devs {
		u.Devices = append(u.Devices, d.ID)
	}
	fid, err := c.store.OpenUpload(ctx, u)
	if err != nil {
		err = onOpen.fail("open upload", err)
		if !isAnswer(err) {
			err = fmt.Errorf("%w: %w", protocol.Fail(protocol.DB), err)
		}
		return Opened{}, err
	}
	opened := Opened{FID: fid, Class: o.class}
	for _, d := range o.devs {
		opened.Destinations = append(opened.Destinations, mogile.Copy{Dev: d.ID, URL: d.WriteURL(fid, a.Zone)})
	}
	return opened, nil
}

// destinations picks devices with room for the upload.
func (c *Commands) destinations(snap *topology.Snapshot, a OpenArgs) []topology.Device {
	var fit []topology.Device
	for _, d := range snap.Devices() {
		if d.TakesNewFiles() && hasRoom(d, a.Size) {
			fit = append(fit, d)
		}
	}
	near, far := snap.Near(a.Zone.Peer, fit)
	fit = append(topology.ForWriting(near, c.rand), topology.ForWriting(far, c.rand)...)
	return spread(fit, a.offers())
}

// offers is how many devices to offer.
func (a OpenArgs) offers() int {
	n := min(max(a.Destinations, 1), maxDestinations)
	if a.Copies > 1 {
		n = min(max(n, a.Copies+spares), maxOffered)
	}
	return n
}

func hasRoom(d topology.Device, size int64) bool {
	free, known := d.MBFree()
	return size <= 0 || known && free > size>>20
}

// spread takes n devices in their order, on different hosts as far as there are
// enough, so that the loss of one host spares an upload. (The peer means to, but
// compares a devid with hostids.)
func spread(devs []topology.Device, n int) []topology.Device {
	used := map[mogile.HostID]bool{}
	var first, second []topology.Device
	for _, d := range devs {
		if used[d.Host] {
			second = append(second, d)
			continue
		}
		used[d.Host] = true
		first = append(first, d)
	}
	all := append(first, second...)
	return all[:min(n, len(all))]
}

// makeDirs has the nodes make the fid's directories, all devices at once.
func (c *Commands) makeDirs(ctx context.Context, opened Opened) {
	var wg sync.WaitGroup
	for _, at := range opened.Destinations {
		base := strings.TrimSuffix(at.URL, opened.FID.Path(at.Dev))
		wg.Go(func() { c.nodes.MakeDirs(ctx, at.Dev, base, opened.FID) })
	}
	wg.Wait()
}
