package crowd

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// lineTimeout bounds an answer of which nothing else is measured.
const lineTimeout = 30 * time.Second

// line is a connection to the tracker that any goroutine may have.
type line struct {
	*net.TCPConn
	answers *bufio.Reader // small: there are thousands
}

func dial(c *process.Cluster) (*line, error) {
	conn, err := net.DialTimeout("tcp", c.TrackerAddr, lineTimeout)
	if err != nil {
		return nil, err
	}
	return &line{conn.(*net.TCPConn), bufio.NewReaderSize(conn, 512)}, nil
}

// want asks, and wants an answer that begins so.
func (l *line) want(request, answer string) error {
	if _, err := l.Write([]byte(request + "\r\n")); err != nil {
		return fmt.Errorf("%.40s: %w", request, err)
	}
	if err := l.wantLine(answer); err != nil {
		return fmt.Errorf("%.40s: %w", request, err)
	}
	return nil
}

func (l *line) wantLine(begin string) error {
	got, err := l.read()
	if err == nil && !strings.HasPrefix(got, begin) {
		err = fmt.Errorf("got %.60q; want it to begin with %q", got, begin)
	}
	return err
}

func (l *line) read() (string, error) {
	if err := l.SetReadDeadline(time.Now().Add(lineTimeout)); err != nil {
		return "", err
	}
	return l.answers.ReadString('\n')
}

// drop ends the connection as a crash of the client would, and keeps no port busy.
func (l *line) drop() {
	_ = l.SetLinger(0)
	_ = l.Close()
}
