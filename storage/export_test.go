package storage

import (
	"net/http"
	"runtime"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage/blockdev"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// OpenWith is Open over another file system, and with another interval between
// blocks of utilisation.
var OpenWith = open

// UsageText makes the text of a usage file.
func UsageText(path, source string, space disk.Space, at time.Time) []byte {
	return usageText(path, usage{source, space, at})
}

// Looking makes a node look at its devices so often.
func (c Config) Looking(every time.Duration) Config {
	c.look = every
	return c
}

// Kernel makes a node read the system's figures from other files.
func (c Config) Kernel(k blockdev.Kernel) Config {
	c.kernel = k
	return c
}

// Tick makes the node look at its devices once, beside what it does by itself, and returns
// when no look runs any more. The node's own looks must be rare then.
func (n *Node) Tick() {
	n.tick()
	for _, d := range n.devices.all() {
		for d.looking.Load() {
			runtime.Gosched()
		}
	}
}

// ParseRange gives the spans of a Range header as text.
func ParseRange(v string, size int64) (list []string, ok bool) {
	spans, ok := parseRange(v, size)
	for _, s := range spans {
		list = append(list, s.String())
	}
	return list, ok
}

// ParseContentRange gives the part of a Content-Range header.
func ParseContentRange(h http.Header) (first, length int64, part bool, err error) {
	s, part, err := parseContentRange(h)
	return s.first, s.length, part, err
}

// WantedDigest gives the algorithm that Want-Repr-Digest asks for.
func WantedDigest(values ...string) (name string, ok bool) {
	d, ok := wantedDigest(values)
	return string(d), ok
}

// HoldFsck takes the turn of digests for fsck on the file system of a device's usage file
// until release is called.
func (n *Node) HoldFsck(dev mogile.DevID) (release func()) {
	d, err := n.devices.get(dev)
	if err != nil {
		panic(err)
	}
	f, err := d.Open(usageName)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fileSystem, err := disk.FileSystemOf(f)
	if err != nil {
		panic(err)
	}
	turn := n.fsck.at(fileSystem)
	turn <- struct{}{}
	return func() { <-turn }
}

// GetAfter is a GET between whose opening of the file and its reading something happens.
func (n *Node) GetAfter(w http.ResponseWriter, r *http.Request, happens func() error) error {
	t := parsePath(r.URL.Path)
	d, err := n.devices.get(t.dev)
	if err != nil {
		return err
	}
	g, err := n.begin(d.Device, t.name)
	if err != nil {
		return err
	}
	defer g.close()
	if err := happens(); err != nil {
		return err
	}
	n.serve(w, r, t, g)
	return nil
}

// LentBuffers is how many large buffers are in use.
func (n *Node) LentBuffers() int32 { return n.buffers.lent.Load() }

// LendBuffers takes all large buffers until release is called.
func (n *Node) LendBuffers() (release func()) {
	var all []*[largeLen]byte
	for b := n.buffers.tryLarge(); b != nil; b = n.buffers.tryLarge() {
		all = append(all, b)
	}
	return func() {
		for _, b := range all {
			n.buffers.putLarge(b)
		}
	}
}

// Swept is closed when what a crash left has been looked for.
func (n *Node) Swept() <-chan struct{} { return n.swept }

// Running is how many operations that change a device have begun and not ended.
func (n *Node) Running(dev mogile.DevID) int {
	d, err := n.devices.get(dev)
	if err != nil {
		panic(err)
	}
	return d.Running()
}
