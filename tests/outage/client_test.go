package outage

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// client is a connection to the tracker that is kept through all outages.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func (s *site) dial() (*client, error) {
	conn, err := net.Dial("tcp", s.tracker)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReader(conn)}, nil
}

// do gives a command. It is not ok when the tracker answers ERR; an error is what must
// never happen: no answer, or no line of the protocol.
func (c *client) do(line string) (values url.Values, ok bool, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(answersWithin)); err != nil {
		return nil, false, err
	}
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		return nil, false, err
	}
	answer, err := c.in.ReadString('\n')
	if err != nil {
		return nil, false, fmt.Errorf("say %q: got %q, %w; want a line", line, answer, err)
	}
	answer = strings.TrimSuffix(answer, "\r\n")
	if strings.HasPrefix(answer, "ERR ") {
		return nil, false, nil
	}
	pairs, ok := strings.CutPrefix(answer, "OK ")
	if !ok {
		return nil, false, fmt.Errorf("say %q: got %q; want OK or ERR", line, answer)
	}
	values, err = url.ParseQuery(pairs)
	return values, true, err
}

// upload uploads as old clients do, and reports whether that was acknowledged.
func (c *client) upload(s *site, key string) (bool, error) {
	opened, ok, err := c.do("create_open domain=images&class=single&key=" + key)
	if !ok || err != nil {
		return false, err
	}
	if ok, err := s.put(opened.Get("path"), key); !ok || err != nil {
		return false, err
	}
	_, ok, err = c.do(fmt.Sprintf("create_close domain=images&key=%s&fid=%s&devid=%s&size=%d&path=%s",
		key, opened.Get("fid"), opened.Get("devid"), len(content(key)), url.QueryEscape(opened.Get("path"))))
	return ok, err
}
