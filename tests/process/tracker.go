package process

import (
	"bufio"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// lineTimeout bounds one question to the tracker.
const lineTimeout = 30 * time.Second

// Session is a connection to the tracker.
type Session struct {
	cluster *Cluster
	conn    net.Conn
	lines   *bufio.Reader
}

// Dial opens a connection to the tracker; the caller closes it.
func (c *Cluster) Dial() *Session {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.TrackerAddr)
	if err != nil {
		c.t.Fatalf("dial the tracker: %v\n%s", err, c.Tail())
	}
	return &Session{cluster: c, conn: conn, lines: bufio.NewReader(conn)}
}

// Say sends a line and returns the answer without its end.
func (s *Session) Say(line string) string {
	t := s.cluster.t
	t.Helper()
	if err := s.conn.SetDeadline(time.Now().Add(lineTimeout)); err != nil {
		t.Fatalf("say %q: %v", line, err)
	}
	if _, err := s.conn.Write([]byte(line + "\r\n")); err != nil {
		t.Fatalf("say %q: %v\n%s", line, err, s.cluster.Tail())
	}
	answer, err := s.lines.ReadString('\n')
	if err != nil {
		t.Fatalf("say %q: got %q and %v; want a line\n%s", line, answer, err, s.cluster.Tail())
	}
	return strings.TrimRight(answer, "\r\n")
}

// Close closes the connection.
func (s *Session) Close() { s.conn.Close() }

// Say sends one line to the tracker, on a connection of its own.
func (c *Cluster) Say(line string) string {
	c.t.Helper()
	s := c.Dial()
	defer s.Close()
	return s.Say(line)
}

// Ask is Say for questions that succeed: it returns the values of the answer.
func (s *Session) Ask(line string) url.Values {
	t := s.cluster.t
	t.Helper()
	answer := s.Say(line)
	pairs, ok := strings.CutPrefix(answer, "OK ")
	values, err := url.ParseQuery(pairs)
	if !ok || err != nil {
		t.Fatalf("ask %q: got %q (%v); want OK with values\n%s", line, answer, err, s.cluster.Tail())
	}
	return values
}

// Ask asks one question, on a connection of its own.
func (c *Cluster) Ask(line string) url.Values {
	c.t.Helper()
	s := c.Dial()
	defer s.Close()
	return s.Ask(line)
}

// FID is the fid that a key has now.
func (s *Session) FID(key string) mogile.FID {
	t := s.cluster.t
	t.Helper()
	answer := s.Ask("file_info " + url.Values{"domain": {Domain}, "key": {key}}.Encode())
	fid, err := mogile.ParseFID(answer.Get("fid"))
	if err != nil {
		t.Fatalf("file_info of %q: %v", key, err)
	}
	return fid
}

// FID asks for one fid, on a connection of its own.
func (c *Cluster) FID(key string) mogile.FID {
	c.t.Helper()
	s := c.Dial()
	defer s.Close()
	return s.FID(key)
}

// listLimit is the most keys that the tracker lists at once.
const listLimit = "1000"

// Keys lists all visible keys.
func (c *Cluster) Keys() []string {
	c.t.Helper()
	s := c.Dial()
	defer s.Close()
	var keys []string
	for after := ""; ; after = keys[len(keys)-1] {
		answer := s.Say("list_keys " + url.Values{"domain": {Domain}, "after": {after}, "limit": {listLimit}}.Encode())
		if strings.HasPrefix(answer, "ERR none_match") {
			return keys
		}
		values, err := url.ParseQuery(strings.TrimPrefix(answer, "OK "))
		if err != nil || values.Get("key_1") == "" {
			c.t.Fatalf("list_keys after %q: got %q (%v); want keys", after, answer, err)
		}
		for i := 1; values.Has("key_" + strconv.Itoa(i)); i++ {
			keys = append(keys, values.Get("key_"+strconv.Itoa(i)))
		}
	}
}
