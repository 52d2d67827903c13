package storage

import "github.com/mogilefs/caddy-mogilefs/mogile"

// OpenWith is Open over another file system, and with another interval between
// blocks of utilisation.
var OpenWith = open

// UsageText makes the text of a usage file.
var UsageText = usageText

// ParseRange gives the spans of a Range header as text.
func ParseRange(v string, size int64) (list []string, ok bool) {
	spans, ok := parseRange(v, size)
	for _, s := range spans {
		list = append(list, s.String())
	}
	return list, ok
}

// HoldFsck takes the device's turn of digests for fsck until release is called.
func (n *Node) HoldFsck(dev mogile.DevID) (release func()) {
	d, err := n.devices.get(dev)
	if err != nil {
		panic(err)
	}
	d.fsck <- struct{}{}
	return func() { <-d.fsck }
}
