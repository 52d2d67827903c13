package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// maxUsage bounds what is read of a usage file; a real one has about 200 bytes.
const maxUsage = 16 << 10

// Usage is the size of a device, in KiB.
type Usage struct{ TotalKB, UsedKB int64 }

// Usage reads a device's usage file below base, which is http://host:getport. An error
// that is [ErrUsage] means that the node answered all right, but not what was asked.
func (c *Client) Usage(ctx context.Context, base string, dev mogile.DevID) (Usage, error) {
	url := base + "/dev" + dev.String() + "/usage"
	body, err := c.get(ctx, url, maxUsage)
	if err != nil {
		return Usage{}, fmt.Errorf("usage: %w", err)
	}
	u, err := parseUsage(body)
	if err != nil {
		return Usage{}, fmt.Errorf("usage: GET %s: %w", url, err)
	}
	return u, nil
}

// get reads a small file; what it has beyond limit is left out.
func (c *Client) get(ctx context.Context, url string, limit int64) ([]byte, error) {
	ctx, cancel := c.brief(ctx)
	defer cancel()
	resp, err := c.send(ctx, request{method: http.MethodGet, url: url, wait: c.config.ConnTimeout})
	if err != nil {
		return nil, err
	}
	defer drain(resp)
	if !ok(resp) {
		return nil, refused(resp)
	}
	return io.ReadAll(io.LimitReader(resp.Body, limit))
}

// brief bounds an exchange with the monitor as a whole: connecting and the answer. A
// node that sends a byte now and then must not hold up the round of all others.
func (c *Client) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, 2*c.config.ConnTimeout, ErrTimeout)
}

var usageLine = regexp.MustCompile(`^(\w+)\s*:\s*(.*?)\s*$`)

// parseUsage reads the file of docs/spec/storage-node.md §4. Both sizes must be there
// and not zero; other lines are of no interest.
func parseUsage(file []byte) (Usage, error) {
	var u Usage
	for line := range bytes.Lines(file) {
		m := usageLine.FindSubmatch(line)
		if m == nil {
			continue
		}
		size := map[string]*int64{"total": &u.TotalKB, "used": &u.UsedKB}[string(m[1])]
		if size == nil {
			continue
		}
		n, err := strconv.ParseInt(string(m[2]), 10, 64)
		if err != nil || n < 0 {
			return Usage{}, fmt.Errorf("%w: %s is %q", ErrUsage, m[1], m[2])
		}
		*size = n
	}
	if u.TotalKB == 0 || u.UsedKB == 0 {
		return Usage{}, fmt.Errorf("%w: total is %d and used is %d KiB; want both above 0", ErrUsage, u.TotalKB, u.UsedKB)
	}
	return u, nil
}
