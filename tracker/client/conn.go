package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

const (
	// readBuffer takes nearly all answers; longer ones are gathered.
	readBuffer = 4 << 10
	// maxAnswer is several times the longest sensible answer: 1000 keys of 255
	// characters, all escaped.
	maxAnswer = 16 << 20
)

var (
	errTooLong = fmt.Errorf("answer is longer than %d bytes", maxAnswer)
	errCutOff  = errors.New("connection ended in the middle of an answer")
	errHungUp  = errors.New("the tracker hung up without an answer: it is stopping, has too many clients, or does not allow this one")
)

// question is what is sent in one piece: one request or several, which a tracker
// answers in their order (docs/spec/tracker-protocol.md §1.7).
type question struct {
	lines []byte
	// count is how many requests lines has.
	count int
	// repeatable says that all of it may be carried out twice.
	repeatable bool
	// patience is how long one tracker may take.
	patience time.Duration
}

// reply is what a tracker said to one request: values, or why not.
type reply struct {
	values  protocol.Values
	refused *protocol.Error
}

// breakage is why there is no answer.
type breakage struct {
	err error
	// sent: the request went out to its end, so it may have been carried out. A line
	// without its end is not (docs/spec/tracker-protocol.md §1.8).
	sent bool
	// silent: the connection ended without a byte of an answer, which is all that can be
	// seen of one that the tracker had closed before.
	silent bool
}

// conn is a connection to a tracker. It has one question at a time, because answers
// carry no number.
type conn struct {
	net.Conn
	in *bufio.Reader
	// used: an answer came over it, so that its end may be older than the question.
	used bool
	// spoiled: it must not be used again.
	spoiled   bool
	idleSince time.Time
}

// longAgo is a deadline that ends all waiting.
var longAgo = time.Unix(1, 0)

// exchange asks and waits for the answer, until the deadline or until ctx is done.
func (c *conn) exchange(ctx context.Context, deadline time.Time, q question) ([]reply, *breakage) {
	if err := c.SetDeadline(deadline); err != nil {
		return nil, &breakage{err: fmt.Errorf("set deadline: %w", err)}
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
	replies, broken := c.converse(q)
	if !stop() {
		c.spoiled = true // whenever that deadline comes, it is nobody else's
		if broken != nil {
			broken.err = context.Cause(ctx)
		}
	}
	return replies, broken
}

func (c *conn) converse(q question) ([]reply, *breakage) {
	if n, err := c.Write(q.lines); err != nil {
		return nil, &breakage{err: fmt.Errorf("send: %w", err), sent: n == len(q.lines), silent: !isTimeout(err)}
	}
	replies := make([]reply, 0, q.count)
	for range q.count {
		line, err := readAnswer(c.in)
		if err != nil {
			silent := len(line) == 0 && len(replies) == 0 && !isTimeout(err)
			return nil, &breakage{err: err, sent: true, silent: silent}
		}
		var r reply
		r.values, err = protocol.ParseReply(line)
		if err != nil && !errors.As(err, &r.refused) {
			return nil, &breakage{err: err, sent: true}
		}
		replies = append(replies, r)
	}
	c.used = true
	c.spoiled = c.in.Buffered() > 0 // it says more than it was asked
	return replies, nil
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// readAnswer returns the next line, valid until the next call; with an error, what
// there is of it.
func readAnswer(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = readLongAnswer(in, bytes.Clone(line))
	}
	switch {
	case err == io.EOF && len(line) > 0:
		err = errCutOff
	case err == io.EOF:
		err = errHungUp
	}
	return line, err
}

func readLongAnswer(in *bufio.Reader, line []byte) ([]byte, error) {
	for len(line) <= maxAnswer {
		more, err := in.ReadSlice('\n')
		line = append(line, more...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
	return line, errTooLong
}

// fit reports whether an idle connection can take another question, as far as that
// can be seen: nothing has come since the last answer, not even its end.
func (c *conn) fit(now time.Time) bool {
	return now.Sub(c.idleSince) < idleFor && c.SetDeadline(time.Time{}) == nil && quiet(c.Conn)
}
