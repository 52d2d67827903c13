package tracker

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestAWatcherThatDoesNotReadLosesLinesAndBlocksNobody(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		deaf, good := b.dial(), b.dial()
		for _, c := range []*client{deaf, good} {
			c.want("!watch", "Added you to watcher list.")
			if got := c.line(); got != ".\r" {
				t.Fatalf("got %q; want a point", got)
			}
		}
		const lines = 3 * keptForWatcher
		for i := range lines {
			b.log.Info(fmt.Sprint("line ", i))
			if got, want := good.line(), fmt.Sprintf(":: info line %d\r", i); got != want {
				t.Fatalf("got %q; want %q", got, want)
			}
			synctest.Wait() // the first line is on its way to the deaf one, too
		}
		good.want("noop", "OK ")
		// One line is on its way, as many as are kept are waiting, the rest is lost.
		for i := range keptForWatcher + 1 {
			if got, want := deaf.line(), fmt.Sprintf(":: info line %d\r", i); got != want {
				t.Fatalf("got %q; want %q", got, want)
			}
			if i == 1 {
				if got, want := deaf.line(), fmt.Sprintf(":: (%d lines lost)\r", lines-keptForWatcher-1); got != want {
					t.Fatalf("got %q; want %q", got, want)
				}
			}
		}
		deaf.want("noop", "OK ")
		if len(b.logs.FilterMessage("line 767").All()) != 1 {
			t.Error("got no line in the log itself; want it")
		}
	})
}

func TestAnswersAndLogLinesDoNotMix(t *testing.T) {
	cl := newCluster(t, limits{})
	c := cl.dial(t)
	c.want("!watch", "Added you to watcher list.")
	c.line()
	const each = 500
	text := strings.Repeat("t", 200)
	go func() {
		for range each {
			cl.log.Info(text)
		}
	}()
	long := strings.Repeat("i", 900)
	go c.send(strings.Repeat("noop callid="+long+"\n", each))
	answers := 0
	for answers < each {
		switch line := c.line(); {
		case line == "OK callid="+long+"\r":
			answers++
		case line == ":: info "+text+"\r":
		case strings.HasPrefix(line, ":: (") && strings.HasSuffix(line, " lines lost)\r"):
		default:
			t.Fatalf("got %q; want an answer or a line of the log", line)
		}
	}
	_ = c.Close()
	for cl.server.watchers.any.Load() { // until the server has seen it
		cl.dial(t).want("noop", "OK ")
	}
	cl.log.Info("nobody watches")
}

func TestTheLogIsWatchedFromInformationUp(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		if b.log.Core().Enabled(zap.DebugLevel) != true {
			t.Fatal("the test's own log takes all")
		}
		c := b.dial()
		c.want("!watch", "Added you to watcher list.")
		c.line()
		b.log.Debug("details")
		b.log.Error("trouble", zap.Error(fmt.Errorf("two\r\nlines")))
		if got, want := c.line(), `:: error trouble {"error": "two\r\nlines"}`+"\r"; got != want {
			t.Errorf("got %q; want %q", got, want)
		}
		b.log.Info(strings.Repeat("x", 2*maxWatched))
		if got, want := len(c.line()), len(":: ")+maxWatched+len("\r"); got != want {
			t.Errorf("got a line of %d; want %d", got, want)
		}
	})
}

// encrypted is a connection whose client never shakes hands.
type encrypted struct{ net.Conn }

func (e encrypted) HandshakeContext(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestHandshakesAreBoundedAndKeepNobodyWaiting(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		start := time.Now()
		mine, theirs := localPipe()
		b.ln.conns <- accepted{conn: encrypted{theirs}}
		slow := newClient(t, mine)
		b.dial().want("noop", "OK ")
		if took := time.Since(start); took != 0 {
			t.Errorf("another client waited %v; want no time", took)
		}
		<-time.After(handshakeTime - time.Nanosecond)
		synctest.Wait()
		if n := b.server.connections(); n != 2 {
			t.Errorf("before %v: got %d connections; want 2", handshakeTime, n)
		}
		<-time.After(time.Nanosecond)
		slow.end()
	})
}

func TestTheLineAboutTheMonitorEndsInLFAlone(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		b.jobs.setBlind(true)
		got, _ := b.server.conversation().answer(nil, []byte("!want 2 replicate"))
		if want := "ERROR: Monitor has not completed initial run yet\n.\r\n"; string(got) != want {
			t.Errorf("got %q; want %q", got, want)
		}
		b.jobs.setBlind(false)
		got, _ = b.server.conversation().answer(nil, []byte("!want 2 replicate"))
		if want := "Now desiring 2 children doing 'replicate'.\r\n.\r\n"; string(got) != want {
			t.Errorf("got %q; want %q", got, want)
		}
		synctest.Wait()
	})
}
