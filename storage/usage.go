package storage

import (
	"fmt"
	"strings"
	"sync"
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

// writeUsage writes all usage files and waits.
func (n *Node) writeUsage() {
	var wg sync.WaitGroup
	for _, d := range n.devices.all() {
		d.measuring.Store(true)
		wg.Go(func() { n.measure(d) })
	}
	wg.Wait()
}

// measure writes one usage file. On a disk that can't be written the old one stays.
// On one that is merely full it must not: by it trackers learn to send no more.
func (n *Node) measure(d *device) {
	defer d.measuring.Store(false)
	space, err := d.Space()
	if err == nil {
		err = d.Replace(usageName, usageText(d.Path(), sourceName(d), space, time.Now()))
	}
	if err != nil {
		n.log.Warn("usage file is not written", zap.Stringer("device", d.id), zap.Error(err))
	}
}

// sourceName is what the file system is mounted from. mogadm wants something.
func sourceName(d *device) string {
	source, err := d.Source()
	if err != nil || source == "" {
		return "unknown"
	}
	return source
}

// usageText is a usage file: keys in alphabetical order, sizes in KiB. used and total
// are never zero, since a tracker takes zero for absent.
func usageText(path, source string, s disk.Space, now time.Time) []byte {
	const kib = 1024
	used, available := max(s.Used/kib, 1), s.Available/kib
	total := max((s.Used+s.Available)/kib, used)
	var b strings.Builder
	fmt.Fprintf(&b, "available: %d\n", available)
	fmt.Fprintf(&b, "device: %s\n", source)
	fmt.Fprintf(&b, "disk: %s\n", path)
	fmt.Fprintf(&b, "time: %d\n", now.Unix())
	fmt.Fprintf(&b, "total: %d\n", total)
	// Rounded up, so that a device is never said to be empty while it is not.
	fmt.Fprintf(&b, "use: %d%%\n", (used*100+total-1)/total)
	fmt.Fprintf(&b, "used: %d\n", used)
	return []byte(b.String())
}
