package tracker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tally"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

const (
	// keepAnswer is how large a buffer is kept for other answers; a long listing's is
	// given back.
	keepAnswer = 16 << 10
	// deadlineSlack is how much longer than writeTimeout a client may have: setting a
	// deadline for every answer costs more than many a command.
	deadlineSlack = 10 * time.Second
	// A connection that is closed with input unread is reset, and the client may
	// never see the answer: so some of it is read first.
	lingerBytes = 1 << 20
	lingerTime  = time.Second
)

// conversation is one client's connection.
type conversation struct {
	*lineServer
	conn    net.Conn
	peer    netip.Addr
	access  *Access  // as it was when the last line came
	watcher *watcher // nil unless the client watches the log
	in      lineReader

	mu       sync.Mutex // guards writing to conn: one answer or log line at a time
	deadline time.Time  // of writing
}

// converse answers the lines of one client until either side ends.
func (s *lineServer) converse(conn net.Conn, peer netip.Addr, access *Access) {
	c := &conversation{lineServer: s, conn: conn, peer: peer, access: access}
	c.in.init(conn, s.limits.line, s.long)
	defer c.in.release()
	defer c.unwatch()
	if !c.shakeHands() {
		return
	}
	for !s.closing.Load() {
		line, err := c.in.next()
		switch {
		case errors.Is(err, errLineTooLong):
			c.hangUp()
			return
		case err != nil || !c.stillAdmitted():
			return
		case len(line) == 0:
			continue
		}
		if !c.reply(line) {
			return
		}
	}
}

// shakeHands does what an encrypted connection begins with, here and not in the loop
// that accepts: so nobody waits for a client that is slow at it.
func (c *conversation) shakeHands() bool {
	encrypted, ok := c.conn.(interface{ HandshakeContext(context.Context) error })
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(c.ctx, handshakeTime)
	defer cancel()
	err := encrypted.HandshakeContext(ctx)
	if err != nil {
		c.log.Debug("no handshake", zap.Stringer("client", c.peer), zap.Error(err))
	}
	return err == nil
}

// stillAdmitted takes note of a change of who may do what.
func (c *conversation) stillAdmitted() bool {
	c.access = c.lineServer.access()
	return c.access.admits(c.peer)
}

// reply answers one line; false ends the conversation.
func (c *conversation) reply(line []byte) bool {
	buf := c.answers.Get().(*[]byte)
	answer, next := c.answer((*buf)[:0], line)
	ok := next != hangUp && c.write(answer)
	if cap(answer) <= keepAnswer {
		*buf = answer
		c.answers.Put(buf)
	}
	if ok && next == beginWatching {
		c.watch()
	}
	return ok
}

// write sends whole lines in one piece: there are clients that take the first packet
// for all of the answer.
func (c *conversation) write(lines []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.deadline.Sub(now) < writeTimeout {
		c.deadline = now.Add(writeTimeout + deadlineSlack)
		_ = c.conn.SetWriteDeadline(c.deadline)
	}
	_, err := c.conn.Write(lines)
	return err == nil
}

// hangUp tells the client that its line is too long.
func (c *conversation) hangUp() {
	resp := protocol.Response{Err: protocol.Fail(protocol.BadParams)}
	if !c.write(resp.Append(nil, protocol.Request{})) {
		return
	}
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.conn, lingerBytes)
}

// answer appends the whole answer to a line, and says what is to follow it.
func (c *conversation) answer(b, line []byte) ([]byte, sequel) {
	if protocol.IsAdmin(line) {
		return c.operate(b, string(line[1:]))
	}
	req := protocol.Parse(line)
	came := time.Now()
	resp := c.carryOut(req, line)
	c.tally.Commands.At(counted(req, resp)).Observe(time.Since(came))
	return resp.Append(b, req), goOn
}

// counted is what an answered command counts as. What clients make up has no name of its own.
func counted(req protocol.Request, resp protocol.Response) tally.Command {
	is := tally.Command{Name: "unknown", Code: "ok"}
	if command.Known(req.Command) {
		is.Name = req.Command
	}
	if resp.Err != nil {
		is.Code = string(resp.Err.Code)
	}
	return is
}

// carryOut runs a command when its turn comes. A command that panics takes only
// itself down.
func (c *conversation) carryOut(req protocol.Request, line []byte) (resp protocol.Response) {
	if command.Administers(req.Command) && !c.mayAdminister(req.Command) {
		return protocol.Response{Err: protocol.Fail(protocol.NotAllowed)}
	}
	came := time.Now()
	if !c.gate.enter(c.ctx, c.peer, line) {
		return protocol.Response{Err: protocol.Fail(protocol.Failure)}
	}
	began := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			c.log.Error("command panicked", zap.String("command", req.Command), zap.Any("cause", cause), zap.Stack("stack"))
			resp = protocol.Response{Err: protocol.Fail(protocol.Failure)}
		}
		worked := time.Since(began)
		c.gate.leave(passage{peer: c.peer, text: line, total: began.Sub(came) + worked, worked: worked})
	}()
	return c.commands.Run(c.ctx, req, c.peer)
}

// mayAdminister counts and logs those who may not.
func (c *conversation) mayAdminister(command string) bool {
	if c.access.administers(c.peer) {
		return true
	}
	c.refused.commands.Add(1)
	c.refused.ofCommand.Warn(c.log, "command refused: the client is no operator", zap.String("command", command),
		zap.Stringer("client", c.peer), zap.String("way out", "add it to the tracker's admin_allow"))
	return false
}
