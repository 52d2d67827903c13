package node

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

const (
	// testFiles is how many names the write test has: few files stay on the device,
	// and two trackers seldom take the same (docs/spec/jobs.md §1).
	testFiles = 100
	// testTries: a second one in case another tracker wrote between.
	testTries = 2
)

// TestWrite writes a small file to a device and reads it back; nil means that it takes
// writes. writeBase and readBase are http://host:port of the two ports. rejectsBadMD5
// is 1 when the node checks Content-MD5, 0 when it does not, empty when that is
// unknown.
func (c *Client) TestWrite(ctx context.Context, dev mogile.DevID, writeBase, readBase string) (rejectsBadMD5 string, err error) {
	dir := "/dev" + dev.String() + "/test-write/"
	c.makeDir(ctx, dev, writeBase+dir)
	name := fmt.Sprintf("%stest-write-%d", dir, rand.IntN(testFiles))
	content := fmt.Sprintf("time=%d rand=%d", time.Now().Unix(), rand.Int64())
	for try := 1; ; try++ {
		err = c.writeAndRead(ctx, writeBase+name, readBase+name, content)
		if err == nil {
			return c.probeMD5(ctx, writeBase+dir+"test-md5"), nil
		}
		if err != errOther || try == testTries {
			return "", fmt.Errorf("test write: %w", err)
		}
	}
}

// errOther: what was read is not what was written. Another tracker may have been at it.
var errOther = fmt.Errorf("read back something else than was written")

func (c *Client) writeAndRead(ctx context.Context, writeURL, readURL, content string) error {
	resp, err := c.putText(ctx, writeURL, content, nil)
	if err != nil {
		return err
	}
	if !ok(resp) {
		return refused(resp)
	}
	got, err := c.get(ctx, readURL, int64(len(content)+1))
	if err != nil {
		return err
	}
	if string(got) != content {
		return errOther
	}
	return nil
}

// probeMD5 puts a file with a digest that is not its own.
func (c *Client) probeMD5(ctx context.Context, url string) string {
	wrong := md5.Sum([]byte("!"))
	header := http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(wrong[:])}}
	resp, err := c.putText(ctx, url, ".", header)
	switch {
	case err != nil:
		return ""
	case ok(resp):
		return "0"
	default:
		return "1"
	}
}

// putText returns the answer with its body done with.
func (c *Client) putText(ctx context.Context, url, text string, header http.Header) (*http.Response, error) {
	if header == nil {
		header = http.Header{}
	}
	ctx, cancel := c.brief(ctx)
	defer cancel()
	header.Set("Content-Type", "application/octet-stream")
	resp, err := c.send(ctx, request{
		method: http.MethodPut, url: url, header: header, body: strings.NewReader(text), wait: c.config.ConnTimeout,
	})
	if err != nil {
		return nil, err
	}
	drain(resp)
	return resp, nil
}
