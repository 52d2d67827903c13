package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// smallBody is the content of every upload.
var smallBody = bytes.Repeat([]byte("0123456789abcdef"), smallFile/16)

// storer is a connection to a storage node that stores small files. It reads the
// node's answers by hand, as net/http would take a part of the processor that is
// measured.
type storer struct {
	conn    net.Conn
	answers *bufio.Reader
	host    string
	request []byte
}

func dialStorer(ctx context.Context, addr string) (*storer, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &storer{conn: conn, answers: bufio.NewReader(conn), host: addr}, nil
}

func (s *storer) close() { s.conn.Close() }

// put stores the body under a path.
func (s *storer) put(path string) error {
	s.request = fmt.Appendf(s.request[:0], "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", path, s.host, smallFile)
	s.request = append(s.request, smallBody...)
	if _, err := s.conn.Write(s.request); err != nil {
		return err
	}
	status, err := s.answers.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 201 ") {
		return fmt.Errorf("put %s: got %q; want 201", path, status)
	}
	length := 0
	for {
		line, err := s.answers.ReadSlice('\n')
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
	_, err = s.answers.Discard(length)
	return err
}
