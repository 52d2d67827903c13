package tracker

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

const (
	// readBuffer takes nearly all requests; longer ones are gathered.
	readBuffer = 4 << 10
	// keepAnswer is how large a buffer an idle connection keeps for its next answer;
	// a long listing's is given back.
	keepAnswer = 16 << 10
	// A connection that is closed with input unread is reset, and the client may
	// never see the answer: so some of it is read first.
	lingerBytes = 1 << 20
	lingerTime  = time.Second
)

var errLineTooLong = errors.New("line is too long")

// converse answers the lines of one client until either side ends.
func (s *lineServer) converse(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlive(true) // idle clients are never timed out, only dead ones
		_ = tcp.SetNoDelay(true)
	}
	peer := peerOf(conn)
	in := bufio.NewReaderSize(conn, readBuffer)
	var answer []byte
	for !s.closing.Load() {
		line, err := readLine(in, s.limits.line)
		switch {
		case errors.Is(err, errLineTooLong):
			s.hangUp(conn)
			return
		case err != nil:
			return
		case len(line) == 0:
			continue
		}
		answer = s.answer(answer[:0], line, peer)
		if !s.write(conn, answer) {
			return
		}
		if cap(answer) > keepAnswer {
			answer = nil
		}
	}
}

// write sends an answer in one piece: there are clients that take the first packet
// for the whole.
func (s *lineServer) write(conn net.Conn, answer []byte) bool {
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := conn.Write(answer)
	return err == nil
}

// hangUp tells the client that its line is too long.
func (s *lineServer) hangUp(conn net.Conn) {
	resp := protocol.Response{Err: protocol.Fail(protocol.BadParams)}
	if !s.write(conn, resp.Append(nil, protocol.Request{})) {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, conn, lingerBytes)
}

// readLine returns the next line without its terminator. It is valid until the
// next call. A line that ends without terminator is none.
func readLine(in *bufio.Reader, limit int) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = readLongLine(in, bytes.Clone(line), limit)
	}
	if err != nil {
		return nil, err
	}
	line = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
	if len(line) > limit {
		return nil, errLineTooLong
	}
	return line, nil
}

func readLongLine(in *bufio.Reader, line []byte, limit int) ([]byte, error) {
	for len(line) <= limit+len("\r\n") {
		more, err := in.ReadSlice('\n')
		line = append(line, more...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
	return nil, errLineTooLong
}

// peerOf is invalid when the client has no IP address.
func peerOf(conn net.Conn) netip.Addr {
	if addr, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return addr.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// answer appends the whole answer to a line.
func (s *lineServer) answer(b, line []byte, peer netip.Addr) []byte {
	if protocol.IsAdmin(line) {
		return s.admin(b, string(line[1:]), s.traffic())
	}
	s.queries.Add(1)
	req := protocol.Parse(line)
	resp := s.carryOut(req, peer)
	return resp.Append(b, req)
}

// carryOut runs a command when its turn comes. A command that panics takes only
// itself down.
func (s *lineServer) carryOut(req protocol.Request, peer netip.Addr) (resp protocol.Response) {
	if !s.enter() {
		return protocol.Response{Err: protocol.Fail(protocol.Failure)}
	}
	defer func() {
		<-s.running
		if cause := recover(); cause != nil {
			s.log.Error("command panicked", zap.String("command", req.Command), zap.Any("cause", cause), zap.Stack("stack"))
			resp = protocol.Response{Err: protocol.Fail(protocol.Failure)}
		}
	}()
	return s.commands.Run(s.ctx, req, peer)
}

// enter waits for a place among the running commands; false: the server ends.
func (s *lineServer) enter() bool {
	select {
	case s.running <- struct{}{}:
		return true
	default:
	}
	s.full.Add(1)
	s.pending.Add(1)
	defer s.pending.Add(-1)
	select {
	case s.running <- struct{}{}:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s *lineServer) traffic() traffic {
	processing := len(s.running)
	return traffic{
		uptime:     time.Since(s.started),
		pending:    s.pending.Load(),
		processing: int64(processing),
		bored:      int64(s.limits.commands - processing),
		queries:    s.queries.Load(),
		full:       s.full.Load(),
		refused:    s.refused.Load(),
	}
}
