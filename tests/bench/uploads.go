package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
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
	u.line = append(append(append(u.line[:0], "create_open domain=images&class=single&key="...), key...), "\r\n"...)
	opened, err := u.ask()
	if err != nil {
		return err
	}
	fid, dev, path := value(opened, "fid"), value(opened, "devid"), value(opened, "path")
	if err := u.put(strings.TrimPrefix(path, "http://"+u.host)); err != nil {
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

// put stores the body. It reads the node's answer by hand, as net/http would take a
// part of the processor that is measured.
func (u *uploader) put(path string) error {
	u.line = fmt.Appendf(u.line[:0], "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", path, u.host, smallFile)
	u.line = append(u.line, smallBody...)
	if _, err := u.node.Write(u.line); err != nil {
		return err
	}
	status, err := u.stored.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 201 ") {
		return fmt.Errorf("put %s: got %q; want 201", path, status)
	}
	length := 0
	for {
		line, err := u.stored.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(n)); err != nil {
				return err
			}
		}
	}
	_, err = u.stored.Discard(length)
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
