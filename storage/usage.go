package storage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// keepUsage looks for devices and writes their usage files until the node closes.
func (n *Node) keepUsage(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
		if err := n.scan(); err != nil {
			n.log.Error("devices can't be looked for", zap.Error(err))
		}
		for _, d := range n.devices.all() {
			if d.measuring.CompareAndSwap(false, true) {
				n.wg.Go(func() { n.measure(d) })
			}
		}
	}
}

// firstUsage bounds how long the node's start waits for its devices.
const firstUsage = 5 * time.Second

// writeUsage writes all usage files and waits until they are written. A disk that hangs
// keeps no node from starting.
func (n *Node) writeUsage() {
	devices := n.devices.all()
	written := make(chan struct{}, len(devices))
	for _, d := range devices {
		d.measuring.Store(true)
		n.wg.Go(func() {
			n.measure(d)
			written <- struct{}{}
		})
	}
	late := time.NewTimer(firstUsage)
	defer late.Stop()
	for range devices {
		select {
		case <-written:
		case <-late.C:
			n.log.Warn("starting without knowing how full all devices are: a disk does not answer")
			return
		}
	}
}

// usage is what a usage file says.
type usage struct {
	source string
	space  disk.Space
	at     time.Time
}

// measure writes one usage file, and remembers what it says. On a disk that takes no
// writes the file stays as it is; what is answered for it then is not in it.
func (n *Node) measure(d *device) {
	defer d.measuring.Store(false)
	u, err := n.usageOf(d)
	if err == nil {
		d.measured.Store(&u)
		err = d.Replace(usageName, usageText(d.Path(), u))
	}
	switch {
	case isGone(err):
		d.measured.Store(nil)
	case errors.Is(err, disk.ErrUnwritable): // that was told when it began
	case err != nil:
		n.log.Warn("usage file is not written", zap.Stringer("device", d.id), zap.Error(err))
	}
}

func (n *Node) usageOf(d *device) (usage, error) {
	space, err := d.Space()
	if err != nil {
		return usage{}, err
	}
	return usage{source: n.sourceName(d), space: space, at: time.Now()}, nil
}

// sourceName is what the file system is mounted from. mogadm wants something.
func (n *Node) sourceName(d *device) string {
	place, err := n.kernel.Place(d.Path())
	if err != nil {
		return "unknown"
	}
	d.setPlace(place)
	if place.Source == "" {
		return "unknown"
	}
	return place.Source
}

// getUsage answers for the usage file from memory: trackers take a whole host for dead when
// this does not come within two seconds, and a disk that hangs is not all of a host. It
// reports false when there is nothing to say, and the disk has to be asked.
func (n *Node) getUsage(w http.ResponseWriter, r *http.Request, t target) bool {
	d, err := n.devices.get(t.dev)
	if err != nil {
		return false
	}
	u := d.measured.Load()
	switch {
	case d.Stalled() || u == nil && d.Remote():
		n.fail(w, t, cmp.Or(d.Trouble(), disk.ErrStalled))
		return true
	case u == nil:
		return false
	}
	now := *u
	if !d.TakesWrites() {
		// Nothing can be stored, and so nothing is available.
		now.space.Available = 0
	}
	w.Header().Set("Content-Type", "text/plain")
	http.ServeContent(w, r, "", now.at, bytes.NewReader(usageText(d.Path(), now)))
	return true
}

// usageText is a usage file: keys in alphabetical order, sizes in KiB. used and total
// are never zero, since a tracker takes zero for absent.
func usageText(path string, u usage) []byte {
	const kib = 1024
	s := u.space
	used, available := max(s.Used/kib, 1), s.Available/kib
	total := max((s.Used+s.Available)/kib, used)
	var b strings.Builder
	fmt.Fprintf(&b, "available: %d\n", available)
	fmt.Fprintf(&b, "device: %s\n", u.source)
	fmt.Fprintf(&b, "disk: %s\n", path)
	fmt.Fprintf(&b, "time: %d\n", u.at.Unix())
	fmt.Fprintf(&b, "total: %d\n", total)
	// Rounded up, so that a device is never said to be empty while it is not.
	fmt.Fprintf(&b, "use: %d%%\n", (used*100+total-1)/total)
	fmt.Fprintf(&b, "used: %d\n", used)
	return []byte(b.String())
}
