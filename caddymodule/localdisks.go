package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// localDisks is the storage nodes of this process as the edge and the tracker see them.
type localDisks []*StorageNode

var (
	_ edge.Disks      = localDisks{}
	_ edge.FileReader = localDisks{}
)

// disks collects the app's nodes.
func (a *App) disks() (disks localDisks) {
	for _, name := range a.nodeNames() {
		disks = append(disks, a.Storage[name])
	}
	return disks
}

// disksOf is an app's nodes for an edge; nil when it has none.
func disksOf(app *App) edge.Disks {
	if len(app.Storage) == 0 {
		return nil
	}
	return app.disks()
}

// Local reports whether a copy is on a disk of a node of this process. What the node has on a
// file system of the network is asked of it over HTTP, as of any other: a disk that is gone
// can't be left, but a request can.
func (d localDisks) Local(c mogile.Copy) bool {
	_, ok := d.node(c)
	return ok
}

// Open opens a copy for reading.
func (d localDisks) Open(c mogile.Copy, fid mogile.FID) (*os.File, error) {
	n, ok := d.node(c)
	if !ok {
		return nil, errNotLocal
	}
	return n.OpenCopy(c.Dev, fid)
}

// ReadCopy reads from a copy.
func (d localDisks) ReadCopy(c mogile.Copy, fid mogile.FID, p []byte, off int64) (int64, time.Time, error) {
	n, ok := d.node(c)
	if !ok {
		return 0, time.Time{}, errNotLocal
	}
	return n.ReadCopy(c.Dev, fid, p, off)
}

// Size looks at the file at a URL, when it is one of a fid.
func (d localDisks) Size(url string) (size int64, here bool, err error) {
	rest, ok := strings.CutPrefix(url, "http://")
	slash := strings.IndexByte(rest, '/')
	if !ok || slash < 0 {
		return 0, false, nil
	}
	dev, fid, err := mogile.ParsePath(rest[slash:])
	if err != nil {
		return 0, false, nil
	}
	n, ok := d.node(mogile.Copy{Dev: dev, URL: url})
	if !ok {
		return 0, false, nil
	}
	size, err = n.SizeOfCopy(dev, fid)
	return size, true, err
}

// Create begins a copy.
func (d localDisks) Create(c mogile.Copy, fid mogile.FID, size int64) (edge.NewCopy, error) {
	n, ok := d.node(c)
	if !ok {
		return nil, errNotLocal
	}
	w, err := n.CreateCopy(c.Dev, fid, size)
	if err != nil {
		return nil, asDiskError(err)
	}
	return newCopy{w}, nil
}

var errNotLocal = errors.New("copy is on no storage node of this process")

// node finds the open node that holds a copy. One that is not open yet is left to
// HTTP, which will fail as the node's own site does.
func (d localDisks) node(c mogile.Copy) (*storage.Node, bool) {
	for _, n := range d {
		if !n.holds(c) {
			continue
		}
		select {
		case <-n.shared.ready:
			return n.shared.value, n.shared.value.OpensAtOnce(c.Dev)
		default:
			return nil, false
		}
	}
	return nil, false
}

// newCopy makes a full disk an error that the edge knows.
type newCopy struct{ *disk.Writer }

var _ io.Writer = newCopy{}

func (w newCopy) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	return n, asDiskError(err)
}

func (w newCopy) Commit() error { return asDiskError(w.Writer.Commit()) }

func asDiskError(err error) error {
	if errors.Is(err, disk.ErrNoSpace) {
		return fmt.Errorf("%w: %w", edge.ErrNoSpace, err)
	}
	return err
}
