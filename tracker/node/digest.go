package node

import (
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
	// fsckReason has a node take such digests one at a time on each disk, and fsckWait
	// is how long one may wait for its turn (docs/spec/jobs.md §10.3).
	fsckReason = "fsck"
	fsckWait   = time.Hour
)

// Digest has a stored file read and digested: by its node when that can, else here.
// [ErrMissing]: the node has no such file.
func (c *Client) Digest(ctx context.Context, url string, t mogile.HashType) (mogile.Checksum, error) {
	return c.digest(ctx, url, inquiry{hash: t})
}

// DigestForFsck is Digest for one of many files: the node has it wait for others, so that
// clients hardly notice. It may take long.
func (c *Client) DigestForFsck(ctx context.Context, url string, t mogile.HashType) (mogile.Checksum, error) {
	return c.digest(ctx, url, inquiry{hash: t, reason: fsckReason, patience: fsckWait})
}

// inquiry is what is asked of a side channel.
type inquiry struct {
	hash     mogile.HashType
	reason   string        // or empty
	patience time.Duration // beyond what reading takes
}

func (c *Client) digest(ctx context.Context, url string, in inquiry) (mogile.Checksum, error) {
	if in.hash == mogile.HashNone {
		return mogile.Checksum{}, fmt.Errorf("digest %s: no algorithm", url)
	}
	if sum, err := c.askDigest(ctx, url, in); err == nil {
		return sum, nil
	}
	sum, err := c.readDigest(ctx, url, in.hash)
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
// that the file had better be read. A channel that was kept and breaks may have met a node
// that was just hanging up: a new one is tried.
func (c *Client) askDigest(ctx context.Context, url string, in inquiry) (mogile.Checksum, error) {
	u, err := neturl.Parse(url)
	if err != nil {
		return mogile.Checksum{}, err
	}
	addr := net.JoinHostPort(u.Hostname(), strconv.Itoa(int(c.config.Management)))
	if c.noChannels.has(addr) {
		return mogile.Checksum{}, errors.New("side channel was down a moment ago")
	}
	ch, err := c.channels.open(ctx, addr)
	if err == nil {
		kept := ch.used // afterwards the channel may be another's
		var sum mogile.Checksum
		if sum, err = c.converse(ctx, addr, ch, u.EscapedPath(), in); !kept || !broke(err) {
			return sum, err
		}
		ch, err = c.channels.dial(ctx, addr)
	}
	if err != nil {
		if ctx.Err() == nil {
			c.noChannels.add(addr, channelMemory)
		}
		return mogile.Checksum{}, err
	}
	return c.converse(ctx, addr, ch, u.EscapedPath(), in)
}

// broke reports whether a channel ended before it had said all: no answer that is of no
// use, and no silence.
func broke(err error) bool {
	var failed *net.OpError
	return errors.Is(err, io.EOF) || (errors.As(err, &failed) && !failed.Timeout())
}

// converse asks on a channel, and keeps it if it is as good as before.
func (c *Client) converse(ctx context.Context, addr string, ch *channel, uri string, in inquiry) (mogile.Checksum, error) {
	// A deadline in the past ends every wait when ctx is over.
	stop := context.AfterFunc(ctx, func() { _ = ch.SetDeadline(time.Unix(1, 0)) })
	sum, err := c.exchange(ctx, ch, uri, in)
	if !stop() || err != nil {
		_ = ch.Close()
		return sum, err
	}
	c.channels.keep(addr, ch)
	return sum, nil
}

// exchange asks for the size first: it says how long to wait for the digest.
func (c *Client) exchange(ctx context.Context, ch *channel, uri string, in inquiry) (mogile.Checksum, error) {
	question := "size " + uri + "\r\n" + in.hash.String() + " " + uri
	if in.reason != "" {
		question += " " + in.reason
	}
	_ = ch.SetDeadline(time.Now().Add(c.config.NodeTimeout))
	if _, err := io.WriteString(ch, question+"\r\n"); err != nil {
		return mogile.Checksum{}, err
	}
	line, err := ch.lines.ReadSlice('\n')
	if err != nil {
		return mogile.Checksum{}, err
	}
	size, err := parseSize(string(line), uri)
	if err != nil {
		return mogile.Checksum{}, err
	}
	_ = ch.SetDeadline(time.Now().Add(c.config.NodeTimeout + in.patience + digestWait(size)))
	if ctx.Err() != nil { // its deadline may have been overwritten just now
		return mogile.Checksum{}, context.Cause(ctx)
	}
	if line, err = ch.lines.ReadSlice('\n'); err != nil {
		return mogile.Checksum{}, err
	}
	return parseDigest(string(line), uri, in.hash)
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
