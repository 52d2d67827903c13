package node

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	neturl "net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

const (
	// digestRate is how fast a node is expected to read at least, in bytes a second
	// (docs/spec/jobs.md §10.3).
	digestRate = 2 << 20
	// maxDigestWait bounds the wait that a node can talk us into.
	maxDigestWait = time.Hour
	// channelMemory is how long a side channel that can't be reached is not tried
	// again, as the connection to one that is down costs the whole timeout.
	channelMemory = time.Minute
	// maxAnswer bounds a line of the side channel.
	maxAnswer = 4 << 10
)

// Digest has a stored file read and digested: by its node when that can, else here.
// [ErrMissing]: the node has no such file.
func (c *Client) Digest(ctx context.Context, url string, t mogile.HashType) (mogile.Checksum, error) {
	if t == mogile.HashNone {
		return mogile.Checksum{}, fmt.Errorf("digest %s: no algorithm", url)
	}
	if sum, err := c.askDigest(ctx, url, t); err == nil {
		return sum, nil
	}
	sum, err := c.readDigest(ctx, url, t)
	if err != nil {
		return mogile.Checksum{}, fmt.Errorf("digest: %w", err)
	}
	return sum, nil
}

func (c *Client) readDigest(ctx context.Context, url string, t mogile.HashType) (mogile.Checksum, error) {
	resp, err := c.send(ctx, request{method: http.MethodGet, url: url, wait: c.config.NodeTimeout})
	if err != nil {
		return mogile.Checksum{}, err
	}
	defer drain(resp)
	if resp.StatusCode == http.StatusNotFound {
		return mogile.Checksum{}, fmt.Errorf("GET %s: %w", url, ErrMissing)
	}
	if !ok(resp) {
		return mogile.Checksum{}, refused(resp)
	}
	h := t.New()
	if _, err := io.Copy(h, resp.Body); err != nil {
		return mogile.Checksum{}, fmt.Errorf("GET %s: %w", url, err)
	}
	return mogile.Checksum{Type: t, Sum: h.Sum(nil)}, nil
}

// askDigest asks over the side channel (docs/spec/storage-node.md §3). Any error means
// that the file had better be read.
func (c *Client) askDigest(ctx context.Context, url string, t mogile.HashType) (mogile.Checksum, error) {
	u, err := neturl.Parse(url)
	if err != nil {
		return mogile.Checksum{}, err
	}
	addr := net.JoinHostPort(u.Hostname(), strconv.Itoa(int(c.config.Management)))
	if c.noChannels.has(addr) {
		return mogile.Checksum{}, errors.New("side channel was down a moment ago")
	}
	conn, err := c.dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		c.noChannels.add(addr, channelMemory)
		return mogile.Checksum{}, err
	}
	defer conn.Close()
	// A deadline in the past ends every wait when ctx is over.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	return c.converse(ctx, conn, u.EscapedPath(), t)
}

// converse asks for the size first: it says how long to wait for the digest.
func (c *Client) converse(ctx context.Context, conn net.Conn, uri string, t mogile.HashType) (mogile.Checksum, error) {
	_ = conn.SetDeadline(time.Now().Add(c.config.NodeTimeout))
	if _, err := fmt.Fprintf(conn, "size %s\r\n%s %s\r\n", uri, t, uri); err != nil {
		return mogile.Checksum{}, err
	}
	lines := bufio.NewReaderSize(conn, maxAnswer)
	line, err := lines.ReadSlice('\n')
	if err != nil {
		return mogile.Checksum{}, err
	}
	size, err := parseSize(string(line), uri)
	if err != nil {
		return mogile.Checksum{}, err
	}
	_ = conn.SetDeadline(time.Now().Add(c.config.NodeTimeout + digestWait(size)))
	if ctx.Err() != nil { // its deadline may have been overwritten just now
		return mogile.Checksum{}, context.Cause(ctx)
	}
	if line, err = lines.ReadSlice('\n'); err != nil {
		return mogile.Checksum{}, err
	}
	return parseDigest(string(line), uri, t)
}

func digestWait(size int64) time.Duration {
	return time.Duration(min(size/digestRate, int64(maxDigestWait/time.Second))) * time.Second
}

// parseSize reads "<uri> <bytes>". A missing file is an error like any other.
func parseSize(line, uri string) (int64, error) {
	text, cut := strings.CutPrefix(strings.TrimRight(line, "\r\n"), uri+" ")
	n, err := strconv.ParseInt(text, 10, 64)
	if !cut || err != nil || n < 0 {
		return 0, fmt.Errorf("side channel: size of %s: answered %q", uri, line)
	}
	return n, nil
}

// parseDigest reads "<uri> <ALG>=<hex>".
func parseDigest(line, uri string, t mogile.HashType) (mogile.Checksum, error) {
	digits, cut := strings.CutPrefix(strings.TrimRight(line, "\r\n"), uri+" "+t.String()+"=")
	sum, err := hex.DecodeString(digits)
	if !cut || err != nil || len(sum) != t.New().Size() {
		return mogile.Checksum{}, fmt.Errorf("side channel: %s of %s: answered %q", t, uri, line)
	}
	return mogile.Checksum{Type: t, Sum: sum}, nil
}
