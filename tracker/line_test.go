package tracker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a connection on which pieces of a text arrive.
type scripted struct {
	net.Conn
	pieces [][]byte
}

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *scripted) SetReadDeadline(time.Time) error { return nil }

// FuzzLines holds that however a text arrives, its lines come out.
func FuzzLines(f *testing.F) {
	f.Add([]byte("noop\r\n\nget_paths domain=a&key=b\n"), uint16(3))
	f.Add([]byte("\r\r\n\r\nno end"), uint16(1))
	f.Add(bytes.Repeat([]byte("0123456789"), 500), uint16(1000))
	f.Add([]byte(strings.Repeat("x", smallBuffer)+"\n"+strings.Repeat("y", 3000)+"\r\nshort\n"), uint16(700))
	f.Add([]byte(strings.Repeat("x", 6000)+"\nnoop\n"), uint16(4096))
	f.Fuzz(func(t *testing.T, text []byte, pieceLen uint16) {
		const limit = 5000
		long := newLongLines(1, nil)
		var r lineReader
		r.init(&scripted{pieces: slices.Collect(slices.Chunk(text, max(int(pieceLen), 1)))}, limit, long)
		for want := range bytes.Lines(text) {
			line, ended := bytes.CutSuffix(want, []byte{'\n'})
			line = bytes.TrimSuffix(line, []byte{'\r'})
			got, err := r.next()
			switch {
			case len(line) > limit && (ended || len(want) > limit+1):
				if !errors.Is(err, errLineTooLong) {
					t.Fatalf("a line of %d: got %.40q, %v; want %v", len(line), got, err, errLineTooLong)
				}
				return
			case !ended:
				if !errors.Is(err, io.EOF) {
					t.Fatalf("%.40q, which is no line: got %.40q, %v; want %v", want, got, err, io.EOF)
				}
				return
			case err != nil || !bytes.Equal(got, line):
				t.Fatalf("got %.40q, %v; want %.40q", got, err, line)
			}
		}
		if got, err := r.next(); !errors.Is(err, io.EOF) {
			t.Fatalf("at the end: got %.40q, %v; want %v", got, err, io.EOF)
		}
		if len(long.places) != 0 || len(r.buf) != smallBuffer {
			t.Fatalf("at the end: got a buffer of %d and %d places taken; want little and none", len(r.buf), len(long.places))
		}
	})
}

func TestShortLinesMayTakeForEverLongOnesNot(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		short, long := b.dial(), b.dial()
		short.send("no")
		long.send("noop " + strings.Repeat("x", smallBuffer)) // not all of it fits
		<-time.After(lineTime - time.Nanosecond)
		synctest.Wait()
		if n := b.server.connections(); n != 2 {
			t.Errorf("before %v: got %d connections; want 2", lineTime, n)
		}
		<-time.After(time.Nanosecond)
		long.end()
		<-time.After(24 * time.Hour)
		short.want("op", "OK ")
	})
}

func TestALongLineGetsAllItsTime(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		c := b.dial()
		for range 2 {
			c.send("noop " + strings.Repeat("x", 2*smallBuffer))
			<-time.After(lineTime - time.Second)
			c.want("", "OK ")
		}
		// Pipelined lines of which the reader always has more than fits.
		for range 3 {
			go c.send(strings.Repeat("noop "+strings.Repeat("x", 2*smallBuffer)+"\n", 4))
			for range 4 {
				<-time.After(lineTime - time.Second)
				if got := c.line(); got != "OK \r" {
					t.Fatalf("got %q; want OK", got)
				}
			}
		}
		<-time.After(2 * lineTime) // idle again
		c.want("noop", "OK ")
	})
}

func TestLongLinesWaitForAPlace(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		var half []*client
		for range maxLongLines {
			c := b.dial()
			c.send("noop " + strings.Repeat("x", smallBuffer))
			half = append(half, c)
		}
		synctest.Wait()
		late := b.dial()
		answered := make(chan string)
		go func() {
			_, _ = io.WriteString(late, "noop "+strings.Repeat("x", smallBuffer)+"\n")
			answered <- late.line()
		}()
		synctest.Wait()
		b.dial().want("noop", "OK ") // whose line is short
		if got := b.stat("long_lines_delayed"); got != "1" {
			t.Errorf("long_lines_delayed: got %q; want 1", got)
		}
		half[7].want("", "OK ")
		if got := <-answered; got != "OK \r" {
			t.Errorf("got %q; want OK", got)
		}
	})
}

func TestCloseDoesNotWaitForHalfSentLines(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		var all []*client
		for i := range maxLongLines + 1 { // one more than there is a place for
			c := b.dial()
			c.send("noop " + strings.Repeat(fmt.Sprint(i%10), smallBuffer-len("noop ")))
			all = append(all, c)
		}
		synctest.Wait()
		start := time.Now()
		b.server.Close()
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %v; want no time", took)
		}
		for _, c := range all {
			c.end()
		}
	})
}
