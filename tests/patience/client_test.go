package patience

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"
)

// kind is what a slow client is slow at.
type kind int

const (
	header   kind = iota // sends the header of a request
	upload               // sends the body of an upload
	download             // takes a large file
)

// slow is a client that moves a byte a second.
type slow struct {
	*net.TCPConn
	kind kind
	// toSend is what it dribbles.
	toSend string
}

// window is the receive buffer of those who take a file: what the system takes for
// them is as little as it allows.
const window = 4 << 10

// dial connects a client, which says at once what comes before it is slow.
func dial(addr string, k kind, i int) (*slow, error) {
	d := net.Dialer{Timeout: within}
	if k == download {
		d.Control = func(_, _ string, c syscall.RawConn) (err error) {
			cerr := c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, window)
			})
			if cerr != nil {
				return cerr
			}
			return err
		}
	}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("slow client %d: %w", i, err)
	}
	s := &slow{TCPConn: conn.(*net.TCPConn), kind: k}
	atOnce := "GET " + smallPath
	switch k {
	case header:
		s.toSend = " HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 1000)
	case upload:
		atOnce = fmt.Sprintf("PUT /dev1/0/000/%03d/%010d.fid HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegin", 1+i/1000, i)
		s.toSend = strings.Repeat("x", 1000)
	case download:
		atOnce = "GET " + largePath + " HTTP/1.1\r\nHost: x\r\n\r\n"
	}
	if _, err := s.Write([]byte(atOnce)); err != nil {
		return nil, fmt.Errorf("slow client %d: %w", i, err)
	}
	return s, nil
}

// move moves the next byte.
func (s *slow) move() error {
	if err := s.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if s.kind == download {
		_, err := s.Read(make([]byte, 1))
		return err
	}
	_, err := s.Write([]byte(s.toSend[:1]))
	s.toSend = s.toSend[1:]
	return err
}

// reset ends the connection as a crash of the client would.
func (s *slow) reset() error {
	if err := s.SetLinger(0); err != nil {
		return err
	}
	return s.Close()
}
