package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
	"github.com/mogilefs/caddy-mogilefs/storage/sidechannel"
)

// maxManagement bounds the side channel's connections. Each tracker process keeps
// two or three.
const maxManagement = 1024

// acceptPause is the wait after an Accept that failed for want of descriptors, so
// that those in use get a chance to be closed.
const acceptPause = 100 * time.Millisecond

// ServeManagement answers the side channel on a listener until the node or the
// listener is closed; either gives nil. The node's Close closes the listener and all
// connections; closing only the listener leaves connections to the node, so that a
// new configuration can take the listener over without cutting off trackers.
func (n *Node) ServeManagement(ln net.Listener) error {
	if !n.hold(ln) {
		return nil
	}
	defer n.release(ln)
	for {
		conn, err := ln.Accept()
		switch {
		case n.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			if err == nil {
				conn.Close()
			}
			return nil
		case isTemporary(err):
			n.log.Warn("side channel can't accept", zap.Error(err))
			n.pause(acceptPause)
		case err != nil:
			return fmt.Errorf("serve management: %w", err)
		default:
			n.answer(conn)
		}
	}
}

// isTemporary tells too many descriptors from a listener that is broken.
func isTemporary(err error) bool {
	var ne net.Error
	//lint:ignore SA1019 there is no other way to tell; net/http asks the same
	return errors.As(err, &ne) && ne.Temporary()
}

func (n *Node) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-n.ctx.Done():
	case <-t.C:
	}
}

// answer serves a connection in the background. One too many, or one that was
// accepted while the node closes, is closed at once.
func (n *Node) answer(conn net.Conn) {
	if !n.hold(conn) {
		return
	}
	n.wg.Go(func() {
		defer n.release(conn)
		err := sidechannel.Serve(n.ctx, conn, asked{n})
		if err != nil && n.ctx.Err() == nil {
			n.log.Debug("side channel connection ended", zap.Stringer("peer", conn.RemoteAddr()), zap.Error(err))
		}
	})
}

// hold makes Close close c and wait for its release. It closes c itself and reports
// false when the node is closed already, or holds as many as it may.
func (n *Node) hold(c io.Closer) bool {
	n.mu.Lock()
	ok := !n.closed && len(n.open) < maxManagement
	if ok {
		n.open[c] = struct{}{}
		n.wg.Add(1)
	}
	n.mu.Unlock()
	if !ok {
		c.Close()
	}
	return ok
}

func (n *Node) release(c io.Closer) {
	n.mu.Lock()
	delete(n.open, c)
	n.mu.Unlock()
	c.Close()
	n.wg.Done()
}

// asked answers what the side channel asks.
type asked struct{ *Node }

// open finds the file of a URI.
func (a asked) open(uri string) (f disk.Reader, err error) {
	t := parsePath(uri)
	if t.kind != pathFile && t.kind != pathDir {
		return f, fmt.Errorf("open %q: %w", uri, fs.ErrNotExist)
	}
	d, err := a.devices.get(t.dev)
	if err != nil {
		return f, err
	}
	return d.Open(t.name)
}

func (a asked) Size(uri string) (int64, error) {
	f, err := a.open(uri)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("size of %q: %w", uri, err)
	}
	return info.Size(), nil
}

func (a asked) Digest(ctx context.Context, uri string, hash mogile.HashType, fsck bool) (mogile.Checksum, error) {
	f, err := a.open(uri)
	if err != nil {
		return mogile.Checksum{}, err
	}
	defer f.Close()
	if fsck {
		return a.fsckDigest(ctx, f, hash)
	}
	return a.digest(ctx, io.NewSectionReader(f, 0, math.MaxInt64), hash)
}

func (n *Node) digest(ctx context.Context, from io.Reader, hash mogile.HashType) (mogile.Checksum, error) {
	h := hash.New()
	offset, err := n.feed(ctx, h, from)
	if err != nil {
		return mogile.Checksum{}, &sidechannel.ReadError{Offset: offset, Err: err}
	}
	return mogile.Checksum{Type: hash, Sum: h.Sum(nil)}, nil
}

func (a asked) Watch() (<-chan []byte, func(), error) {
	if _, err := a.kernel.Counters(); err != nil {
		return nil, nil, err
	}
	blocks := a.watches.Add()
	return blocks, func() { a.watches.Remove(blocks) }, nil
}

// Shutdown tells whoever configured the node that a peer wants it to end.
func (a asked) Shutdown() bool {
	if a.shutdown == nil {
		a.log.Warn("somebody asked the side channel in vain for a shutdown: the storage node lacks allow_shutdown")
		return false
	}
	a.log.Warn("the side channel was asked for a shutdown")
	a.shutdown()
	return true
}
