package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

// condition is how a host behaves.
type condition uint8

const (
	answers condition = iota
	refuses
	stalls
)

// machine is a storage host.
type machine struct {
	id   mogile.HostID
	name mogile.HostName
	ip   string
	condition
	// checksMD5: it refuses a body that its Content-MD5 doesn't fit.
	checksMD5 bool
	// atomic: of an upload that breaks off nothing is kept. (Old nodes keep a part.)
	atomic bool
}

// disk is a device with what lies on it.
type disk struct {
	dev   mogile.DevID
	on    *machine
	files map[mogile.FID][]byte
	// broken: it died, with all that lay on it, for good.
	broken bool
	full   bool
}

// place is where a copy can be.
type place struct {
	fid mogile.FID
	dev mogile.DevID
}

// cluster is all hosts and disks. Steps touch it, one at a time, and the driver.
type cluster struct {
	machines []*machine
	disks    map[mogile.DevID]*disk

	// mishaps is how likely an exchange goes wrong though its host and disk are well,
	// and lies how likely a disk says that it has stored what it has not.
	mishaps, lies float64

	// unclean places may have bytes that no row knows of, and a written reason.
	unclean map[place]string
	// tainted files have, or had, a copy that is not what its disk said.
	tainted map[mogile.FID]bool
	// lost is when a mishap took or spoilt a right copy, where nothing was put or deleted
	// since: who has looked before can't know.
	lost map[place]time.Time
}

var (
	errRefused = errors.New("connection refused")
	errBroken  = errors.New("input/output error")
	errFull    = errors.New("no space left on device")
	errReset   = errors.New("connection reset")
)

const (
	diskMB = 1000
	usedMB = 100
	fullMB = 960
)

func (c *cluster) devs() []mogile.DevID { return slices.Sorted(maps.Keys(c.disks)) }

// at finds what a URL is about.
func (c *cluster) at(url string) (*disk, mogile.FID) {
	rest, _ := strings.CutPrefix(url, "http://")
	_, path, _ := strings.Cut(rest, "/")
	dev, fid, err := mogile.ParsePath("/" + path)
	if err != nil {
		panic(err) // a job asked for what can't be
	}
	d := c.disks[dev]
	if d == nil || !strings.HasPrefix(rest, d.on.ip+":") {
		panic("device " + dev.String() + " is not on the host of " + url)
	}
	return d, fid
}

// reach is how long it takes to hear from a host beyond the usual, and why nothing is.
func (m *machine) reach(patience time.Duration) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		switch m.condition {
		case refuses:
			return 0, errRefused
		case stalls:
			return patience, node.ErrTimeout
		}
		return 0, nil
	}
}

func (c *cluster) mishap(luck *rand.Rand) bool { return luck.Float64() < c.mishaps }

// get reads a copy; whole is false when the body broke off.
func (c *cluster) get(luck *rand.Rand, d *disk, fid mogile.FID) (body []byte, length int, whole bool, err error) {
	body, there := d.files[fid]
	switch {
	case d.broken:
		return nil, 0, false, errBroken
	case !there:
		return nil, 0, false, node.ErrMissing
	case c.mishap(luck):
		return body[:luck.IntN(len(body)+1)], len(body), false, nil
	}
	return body, len(body), true, nil
}

// put stores a body. left says that bytes may be there after an error.
func (c *cluster) put(luck *rand.Rand, d *disk, fid mogile.FID, body []byte, whole bool) (left bool, err error) {
	part := body[:luck.IntN(len(body)+1)]
	at := place{fid, d.dev}
	switch {
	case d.broken:
		return false, errBroken
	case d.full:
		return false, errFull
	}
	delete(c.lost, at)
	switch {
	case !whole || c.mishap(luck) && luck.IntN(2) == 0:
		if !d.on.atomic {
			d.files[fid] = bytes.Clone(part)
			c.unclean[at] = "an upload broke off"
		}
		return true, errReset
	case c.mishap(luck):
		d.files[fid] = bytes.Clone(body)
		c.unclean[at] = "an upload was answered with an error"
		return true, errReset
	case luck.Float64() < c.lies:
		c.tainted[fid] = true
		c.unclean[at] = "a disk stored a part and said all"
		d.files[fid] = bytes.Clone(part)
		return false, nil
	}
	d.files[fid] = bytes.Clone(body)
	return false, nil
}

func (c *cluster) erase(luck *rand.Rand, d *disk, fid mogile.FID) error {
	switch {
	case d.broken:
		return errBroken
	case c.mishap(luck) && luck.IntN(2) == 0:
		return errReset
	}
	delete(d.files, fid)
	delete(c.lost, place{fid, d.dev})
	delete(c.unclean, place{fid, d.dev})
	if c.mishap(luck) {
		return errReset
	}
	return nil
}

func (d *disk) usage() node.Usage {
	used := int64(usedMB)
	if d.full {
		used = fullMB
	}
	return node.Usage{TotalKB: diskMB << 10, UsedKB: used << 10}
}

func (d *disk) String() string { return fmt.Sprintf("dev%s on %s", d.dev, d.on.name) }
