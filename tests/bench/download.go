package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// discardLen is how much one call may throw away.
const discardLen = 1 << 20

// download gets one URL over and over on so many connections, as wrk does, but lets
// the system throw the bytes away, which costs nearly nothing.
func download(connections int, from string, headers ...string) func(context.Context, time.Duration) (result, error) {
	return func(ctx context.Context, d time.Duration) (result, error) {
		u, err := url.Parse(from)
		if err != nil {
			return result{}, err
		}
		request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", u.Path, u.Host, headerLines(headers))
		fds := make([]int, connections)
		for i := range fds {
			if fds[i], err = dial(u.Host); err != nil {
				return result{}, err
			}
			defer unix.Close(fds[i])
		}
		buffers := sync.Pool{New: func() any { return new([discardLen]byte) }}
		got, err := timed(ctx, connections, d, func(_ context.Context, w, _ int) error {
			buf := buffers.Get().(*[discardLen]byte)
			defer buffers.Put(buf)
			return downloadOnce(fds[w], request, buf[:])
		})
		return got.result(), err
	}
}

func headerLines(headers []string) string {
	var text strings.Builder
	for _, h := range headers {
		text.WriteString(h + "\r\n")
	}
	return text.String()
}

func downloadOnce(fd int, request, buf []byte) error {
	if n, err := unix.Write(fd, request); err != nil || n < len(request) {
		return fmt.Errorf("ask: %d bytes sent: %w", n, err)
	}
	left, err := readHeader(fd, buf)
	for left > 0 && err == nil {
		var n int
		n, err = receive(fd, buf[:min(left, int64(len(buf)))], unix.MSG_TRUNC)
		left -= int64(n)
	}
	return err
}

// readHeader returns how much of the body is still to come.
func readHeader(fd int, buf []byte) (left int64, err error) {
	const long = 4 << 10
	for got := 0; got < long; {
		n, err := receive(fd, buf[got:long], 0)
		if err != nil {
			return 0, err
		}
		got += n
		header, body, found := bytes.Cut(buf[:got], []byte("\r\n\r\n"))
		if !found {
			continue
		}
		status, _ := strconv.Atoi(string(header[len("HTTP/1.1 "):][:3]))
		if status != http.StatusOK && status != http.StatusPartialContent {
			return 0, fmt.Errorf("got %q", header)
		}
		_, length, _ := bytes.Cut(header, []byte("\r\nContent-Length: "))
		length, _, _ = bytes.Cut(length, []byte("\r\n"))
		all, err := strconv.ParseInt(string(length), 10, 64)
		return all - int64(len(body)), err
	}
	return 0, errors.New("no end of the header")
}

// receive is one read, interrupted by nothing. The goroutine has a thread meanwhile.
func receive(fd int, p []byte, flags int) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, p, flags)
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
