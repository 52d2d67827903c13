package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// uploader is a client that uploads small files, as MogileFS clients do: it asks the
// tracker where to, puts the bytes there, tells the tracker.
type uploader struct {
	tracker net.Conn
	said    *bufio.Reader
	node    *storer
	line    []byte
}

func (i *installation) newUploader(ctx context.Context) (*uploader, error) {
	u := new(uploader)
	var err error
	if u.tracker, err = new(net.Dialer).DialContext(ctx, "tcp", i.tracker); err != nil {
		return nil, err
	}
	if u.node, err = dialStorer(ctx, i.node); err != nil {
		u.tracker.Close()
		return nil, err
	}
	u.said = bufio.NewReader(u.tracker)
	return u, nil
}

func (u *uploader) close() {
	u.tracker.Close()
	u.node.close()
}

// upload makes a new file.
func (u *uploader) upload(key string) error {
	u.line = append(append(append(u.line[:0], "create_open domain=images&class=single&key="...), key...), "\r\n"...)
	opened, err := u.ask()
	if err != nil {
		return err
	}
	fid, dev, path := value(opened, "fid"), value(opened, "devid"), value(opened, "path")
	if err := u.node.put(strings.TrimPrefix(path, "http://"+u.node.host)); err != nil {
		return err
	}
	u.line = fmt.Appendf(u.line[:0], "create_close domain=images&key=%s&fid=%s&devid=%s&size=%d&path=%s\r\n",
		key, fid, dev, smallFile, path)
	_, err = u.ask()
	return err
}

// ask sends the line and returns what follows OK.
func (u *uploader) ask() (string, error) {
	if _, err := u.tracker.Write(u.line); err != nil {
		return "", err
	}
	answer, err := u.said.ReadString('\n')
	if err != nil {
		return "", err
	}
	pairs, ok := strings.CutPrefix(strings.TrimSuffix(answer, "\r\n"), "OK ")
	if !ok {
		return "", fmt.Errorf("say %q: got %q; want OK", u.line, answer)
	}
	return pairs, nil
}

// value is that of a name in an answer that escapes none of its characters.
func value(pairs, name string) string {
	for pair := range strings.SplitSeq(pairs, "&") {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			return v
		}
	}
	return ""
}

// runs tells the keys of one load from those of another.
var runs atomic.Int64

// uploads has n clients upload new files.
func (i *installation) uploads(ctx context.Context, n int, d time.Duration) (outcome, error) {
	clients := make([]*uploader, n)
	for w := range clients {
		var err error
		if clients[w], err = i.newUploader(ctx); err != nil {
			return outcome{}, err
		}
		defer clients[w].close()
	}
	run := runs.Add(1)
	return timed(ctx, n, d, func(_ context.Context, w, step int) error {
		return clients[w].upload(fmt.Sprintf("new/%d/%d/%d", run, w, step))
	})
}
