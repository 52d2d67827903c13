package rivals

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// answerWithin bounds one answer; it is for trackers that hang.
const answerWithin = time.Minute

// client is one connection to a tracker. One goroutine at a time uses it.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(addr string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReader(conn)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

// say sends a line and returns the answer.
func (c *client) say(line string) (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		return "", err
	}
	answer, err := c.hear()
	if err != nil {
		return "", fmt.Errorf("say %q: %w", line, err)
	}
	return answer, nil
}

func (c *client) hear() (string, error) {
	line, err := c.in.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

// do gives a command and returns "OK" or the code of the error, and the values.
func (c *client) do(command string, args ...string) (outcome string, values url.Values, err error) {
	var pairs []string
	for i := 0; i < len(args); i += 2 {
		pairs = append(pairs, args[i]+"="+url.QueryEscape(args[i+1]))
	}
	answer, err := c.say(command + " domain=" + domain + "&" + strings.Join(pairs, "&"))
	if err != nil {
		return "", nil, err
	}
	word, rest, _ := strings.Cut(answer, " ")
	if word != "OK" {
		code, _, _ := strings.Cut(rest, " ")
		return code, nil, nil
	}
	values, err = url.ParseQuery(rest)
	return word, values, err
}

// must is do for what nothing stands in the way of.
func (c *client) must(command string, args ...string) (url.Values, error) {
	outcome, values, err := c.do(command, args...)
	if err == nil && outcome != "OK" {
		err = fmt.Errorf("%s %v: got %s; want OK", command, args, outcome)
	}
	return values, err
}

// upload is a content that was put on a device and waits for its create_close.
type upload struct {
	fid       mogile.FID
	dev, path string
	content   string
}

// open opens an upload and stores what tells it from all others.
func (c *client) open(ctx context.Context, key string) (upload, error) {
	values, err := c.must("create_open", "key", key)
	if err != nil {
		return upload{}, err
	}
	fid, err := mogile.ParseFID(values.Get("fid"))
	if err != nil {
		return upload{}, err
	}
	u := upload{fid, values.Get("devid"), values.Get("path"), content(fid)}
	return u, put(ctx, u.path, u.content)
}

// content has a length of its own for the next hundred fids.
func content(fid mogile.FID) string {
	return fmt.Sprintf("content %d %s", fid, strings.Repeat(".", int(fid%100)))
}

// close is the arguments of create_close.
func (u upload) close(key string, size int) []string {
	return []string{
		"key", key, "fid", u.fid.String(), "devid", u.dev, "path", u.path, "size", fmt.Sprint(size),
	}
}
