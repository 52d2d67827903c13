package node

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

const (
	// dirMemory is how long a directory is taken to exist (docs/spec/jobs.md §1.2).
	dirMemory = time.Hour
	// deviceMemory is how long a device that does not know MKCOL is not asked again:
	// in effect for the life of the process.
	deviceMemory = 10 * 365 * 24 * time.Hour
)

// MakeDirs prepares the directories of the fid's path on a device, for nodes that don't
// make them with PUT. It reports nothing: whether the directories are there shows when
// the file is put (docs/spec/jobs.md §1.2). All of them together may take as long as one
// wait for a node: a client waits for them, and would for each level of a dead node's.
func (c *Client) MakeDirs(ctx context.Context, dev mogile.DevID, base string, fid mogile.FID) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.config.NodeTimeout, ErrTimeout)
	defer cancel()
	path := fid.Path(dev)
	// The device's own directory is the operator's: begin below it.
	for i := strings.IndexByte(path[1:], '/') + 2; ; {
		next := strings.IndexByte(path[i:], '/')
		if next < 0 {
			return
		}
		i += next + 1
		c.makeDir(ctx, dev, base+path[:i])
	}
}

// makeDir is one MKCOL, if it makes sense. url ends in a slash.
func (c *Client) makeDir(ctx context.Context, dev mogile.DevID, url string) {
	if c.config.SkipMKCOL() || c.noMKCOL.has(dev.String()) || c.madeDirs.has(url) {
		return
	}
	resp, err := c.send(ctx, request{method: "MKCOL", url: url, wait: c.config.NodeTimeout})
	if err != nil {
		return
	}
	defer drain(resp)
	switch {
	case ok(resp):
		c.madeDirs.add(url, dirMemory)
	case resp.StatusCode == http.StatusBadRequest, resp.StatusCode == http.StatusNotImplemented:
		c.noMKCOL.add(dev.String(), deviceMemory)
	}
}
