package transfer

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Look is what a node says of a copy.
type Look struct {
	// OK says that it is there.
	OK     bool  `json:"ok"`
	Length int64 `json:"length"`
	// MD5 is in hex; empty when the copy was not read.
	MD5      string `json:"md5,omitempty"`
	Modified string `json:"last_modified,omitempty"`
	// Result is the answer's status, or why there was none; empty when nobody was asked.
	Result string `json:"result,omitempty"`
}

// Stat asks for a copy's size.
func (s *Store) Stat(ctx context.Context, url string) Look { return s.look(ctx, http.MethodHead, url) }

// Read reads a copy and sums it.
func (s *Store) Read(ctx context.Context, url string) Look { return s.look(ctx, http.MethodGet, url) }

func (s *Store) look(ctx context.Context, method, url string) Look {
	ctx, w := newWatch(ctx)
	defer w.end()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return Look{Result: err.Error()}
	}
	resp, err := s.nodes.Do(req)
	if err != nil {
		return Look{Result: blame(ctx, err).Error()}
	}
	defer resp.Body.Close()
	seen := Look{
		OK: resp.StatusCode == http.StatusOK, Length: resp.ContentLength,
		Modified: resp.Header.Get("Last-Modified"), Result: resp.Status,
	}
	if method == http.MethodHead || !seen.OK {
		return seen
	}
	sum := mogile.HashMD5.New()
	n, err := io.Copy(sum, &watched{resp.Body, w})
	if err != nil {
		return Look{Result: fmt.Sprintf("%s, and ended after %d bytes: %v", resp.Status, n, blame(ctx, err))}
	}
	seen.Length, seen.MD5 = n, hex.EncodeToString(sum.Sum(nil))
	return seen
}

// askSum has a node tell the MD5 of a copy; an error when it can't. Nodes of ours can.
func (s *Store) askSum(ctx context.Context, url string) (mogile.Checksum, error) {
	ctx, w := newWatch(ctx)
	defer w.end()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return mogile.Checksum{}, err
	}
	req.Header.Set("Want-Repr-Digest", "md5=10")
	resp, err := s.nodes.Do(req)
	if err != nil {
		return mogile.Checksum{}, blame(ctx, err)
	}
	defer resp.Body.Close()
	raw, err := base64.StdEncoding.DecodeString(resp.Header.Get("Content-Md5"))
	if err != nil || resp.StatusCode != http.StatusOK || len(raw) != md5.Size {
		return mogile.Checksum{}, fmt.Errorf("%s: no digest", url)
	}
	return mogile.Checksum{Type: mogile.HashMD5, Sum: raw}, nil
}
