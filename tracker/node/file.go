package node

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// Size asks for the length of a file; found is false when the node says there is none.
func (c *Client) Size(ctx context.Context, url string) (n int64, found bool, err error) {
	if c.config.Disks != nil {
		switch a, err := c.sizeHere(ctx, url); {
		case err != nil:
			return 0, false, fmt.Errorf("size: %w", err)
		case a.here:
			return a.size()
		}
	}
	resp, err := c.send(ctx, request{method: http.MethodHead, url: url, wait: c.config.NodeTimeout})
	if err != nil {
		return 0, false, fmt.Errorf("size: %w", err)
	}
	defer drain(resp)
	switch n := length(resp); {
	case resp.StatusCode == http.StatusNotFound:
		return 0, false, nil
	case !ok(resp):
		return 0, false, fmt.Errorf("size: %w", refused(resp))
	case n < 0:
		return 0, false, fmt.Errorf("size: HEAD %s: no Content-Length in the answer", url)
	default:
		return n, true, nil
	}
}

// length is the length an answer declares, -1 when it declares none. lighttpd declares
// none for empty files (docs/spec/storage-node.md §2.2).
func length(resp *http.Response) int64 {
	if resp.ContentLength < 0 && strings.HasPrefix(resp.Header.Get("Server"), "lighttpd") {
		return 0
	}
	return resp.ContentLength
}

// Delete removes a file. It succeeds when the file is gone afterwards, also when there
// was none.
func (c *Client) Delete(ctx context.Context, url string) error {
	resp, err := c.send(ctx, request{method: http.MethodDelete, url: url, wait: c.config.NodeTimeout})
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	defer drain(resp)
	if !ok(resp) && resp.StatusCode != http.StatusNotFound {
		return fmt.Errorf("delete: %w", refused(resp))
	}
	return nil
}
