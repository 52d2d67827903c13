package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// uploader is a client that uploads small files, as MogileFS clients do: it asks the
// tracker where to, puts the bytes there, tells the tracker.
type uploader struct {
	tracker, node net.Conn
	said, stored  *bufio.Reader
	host          string // the node's
	line          []byte
}

func (i *installation) newUploader(ctx context.Context) (*uploader, error) {
	u := &uploader{host: i.node}
	var err error
	if u.tracker, err = new(net.Dialer).DialContext(ctx, "tcp", i.tracker); err != nil {
		return nil, err
	}
	if u.node, err = new(net.Dialer).DialContext(ctx, "tcp", i.node); err != nil {
		u.tracker.Close()
		return nil, err
	}
	u.said, u.stored = bufio.NewReader(u.tracker), bufio.NewReader(u.node)
	return u, nil
}

func (u *uploader) close() {
	u.tracker.Close()
	u.node.Close()
}

// smallBody is the content of every upload.
var smallBody = bytes.Repeat([]byte("0123456789abcdef"), smallFile/16)

// upload makes a new file.
func (u *uploader) upload(key string) error {
	opened, err := u.ask("create_open domain=images&class=single&key=%s\r\n", key)
	if err != nil {
		return err
	}
	at := opened.Get("path")
	if err := u.put(strings.TrimPrefix(at, "http://"+u.host)); err != nil {
		return err
	}
	_, err = u.ask("create_close domain=images&key=%s&fid=%s&devid=%s&size=%d&path=%s\r\n",
		key, opened.Get("fid"), opened.Get("devid"), smallFile, url.QueryEscape(at))
	return err
}

func (u *uploader) ask(format string, args ...any) (url.Values, error) {
	u.line = fmt.Appendf(u.line[:0], format, args...)
	if _, err := u.tracker.Write(u.line); err != nil {
		return nil, err
	}
	answer, err := u.said.ReadString('\n')
	if err != nil {
		return nil, err
	}
	pairs, ok := strings.CutPrefix(strings.TrimRight(answer, "\r\n"), "OK ")
	if !ok {
		return nil, fmt.Errorf("say %q: got %q; want OK", u.line, answer)
	}
	return url.ParseQuery(pairs)
}

func (u *uploader) put(path string) error {
	u.line = fmt.Appendf(u.line[:0], "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", path, u.host, smallFile)
	u.line = append(u.line, smallBody...)
	if _, err := u.node.Write(u.line); err != nil {
		return err
	}
	resp, err := http.ReadResponse(u.stored, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = fmt.Errorf("put %s: %s %.200s", path, resp.Status, text)
	}
	return err
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
	var mu sync.Mutex // guards took
	took := new(latencies)
	perSecond, err := together(ctx, n, d, func(_ context.Context, w, step int) error {
		began := time.Now()
		err := clients[w].upload(fmt.Sprintf("new/%d/%d/%d", run, w, step))
		mu.Lock()
		took.add(time.Since(began))
		mu.Unlock()
		return err
	})
	return outcome{perSecond, took}, err
}
