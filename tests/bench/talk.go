package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// answerBuffer is what one read takes; a longer answer takes several.
	answerBuffer = 64 << 10
	// answerWithin bounds how long a tracker may let a client wait.
	answerWithin = 30 * time.Second
)

// script is what one connection says, each line when the one before was answered.
type script struct {
	lines [][]byte // with their line ends
	// once: each line is said once, else all of them over and over.
	once bool
}

// outcome is what a load came to.
type outcome struct {
	perSecond float64
	latencies *latencies
}

// result is the outcome's middle and its slow end.
func (o outcome) result() result {
	if o.latencies == nil {
		return result{}
	}
	return result{o.perSecond, o.latencies.quantile(0.5), o.latencies.quantile(0.99)}
}

// talker is one connection to a tracker.
type talker struct {
	script
	fd   int
	next int // of lines
	// asked is when the last line was sent; answering, that a part of its answer
	// has come.
	asked     time.Time
	answering bool
}

// talk has as many connections as there are scripts say their lines for so long, and
// waits for the last answers. One thread drives them all with epoll: two system calls
// for an answer and nothing allocated, as the load shares the processors with what it
// measures.
func talk(ctx context.Context, addr string, scripts []script, d time.Duration) (outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := newChorus(addr, scripts)
	if err != nil {
		return outcome{}, err
	}
	defer c.close()
	began := time.Now()
	c.until = began.Add(d)
	for i := range c.talkers {
		if err := c.ask(&c.talkers[i], began); err != nil {
			return outcome{}, err
		}
	}
	for c.waiting > 0 {
		if err := errors.Join(c.listen(), ctx.Err()); err != nil {
			return outcome{}, err
		}
	}
	return outcome{float64(c.latencies.all) / time.Since(began).Seconds(), c.latencies}, nil
}

// chorus is all connections of a load.
type chorus struct {
	epoll     int
	talkers   []talker
	waiting   int       // how many talkers wait for an answer
	until     time.Time // when no more is asked
	latencies *latencies
	events    []unix.EpollEvent
	answer    []byte
}

func newChorus(addr string, scripts []script) (_ *chorus, err error) {
	c := &chorus{
		latencies: new(latencies), answer: make([]byte, answerBuffer),
		events: make([]unix.EpollEvent, len(scripts)),
	}
	if c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	for i, s := range scripts {
		fd, err := dial(addr)
		if err != nil {
			c.close()
			return nil, err
		}
		c.talkers = append(c.talkers, talker{script: s, fd: fd})
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
			c.close()
			return nil, fmt.Errorf("epoll: %w", err)
		}
	}
	return c, nil
}

func (c *chorus) close() {
	for _, t := range c.talkers {
		_ = unix.Close(t.fd)
	}
	_ = unix.Close(c.epoll)
}

// dial opens a connection past the runtime, which would have it in an epoll of its own.
func dial(addr string) (fd int, err error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, err
	}
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("dial %s: %w", addr, err)
	}
	return fd, nil
}

// ask sends the next line, unless the time is up or there is none left.
func (c *chorus) ask(t *talker, now time.Time) error {
	if t.next == len(t.lines) && !t.once {
		t.next = 0
	}
	if t.next == len(t.lines) || now.After(c.until) {
		return nil
	}
	line := t.lines[t.next]
	t.next++
	t.asked = now
	// The socket's buffer is empty, so that even a long line goes into it at once.
	if n, err := unix.Write(t.fd, line); err != nil || n < len(line) {
		return fmt.Errorf("say %q: %d bytes sent: %w", line, n, err)
	}
	c.waiting++
	return nil
}

// listen waits until some have been answered, and has them ask again.
func (c *chorus) listen() error {
	n, err := unix.EpollWait(c.epoll, c.events, int(answerWithin/time.Millisecond))
	switch {
	case errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("epoll: %w", err)
	case n == 0:
		return fmt.Errorf("no answer within %v", answerWithin)
	}
	for _, event := range c.events[:n] {
		if err := c.hear(&c.talkers[event.Fd]); err != nil {
			return err
		}
	}
	return nil
}

// hear takes what there is of an answer.
func (c *chorus) hear(t *talker) error {
	n, err := unix.Read(t.fd, c.answer)
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("answer to %q: %w", t.lines[t.next-1], err)
	}
	got := c.answer[:n]
	if !t.answering && !bytes.HasPrefix(got, []byte("OK ")) {
		return fmt.Errorf("say %q: got %q; want OK", t.lines[t.next-1], got)
	}
	if t.answering = got[n-1] != '\n'; t.answering {
		return nil
	}
	now := time.Now()
	c.latencies.add(now.Sub(t.asked))
	c.waiting--
	return c.ask(t, now)
}
