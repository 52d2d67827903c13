package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// handlers is every command of docs/spec/tracker-protocol.md §8.4, and whether it is
// asked again when its answer is lost.
var handlers = map[string]bool{
	"noop": true, "sleep": true, "get_paths": true, "file_info": true, "file_debug": true, "list_keys": true,
	"list_fids": true, "create_open": true, "get_domains": true, "get_hosts": true, "get_devices": true,
	"server_setting": true, "server_settings": true, "clear_cache": true, "do_monitor_round": true,
	"fsck_file": true, "fsck_status": true, "fsck_getlog": true, "rebalance_status": true, "rebalance_test": true,

	"create_close": false, "create_close_copies": false, "delete": false, "rename": false, "updateclass": false, "edit_file": false,
	"create_domain": false, "delete_domain": false, "create_class": false, "update_class": false,
	"delete_class": false, "create_host": false, "update_host": false, "delete_host": false,
	"create_device": false, "set_state": false, "set_weight": false, "set_server_setting": false,
	"fsck_start": false, "fsck_stop": false, "fsck_reset": false, "fsck_clearlog": false,
	"rebalance_set_policy": false, "rebalance_start": false, "rebalance_stop": false, "rebalance_reset": false,
	"replicate_now": false, "httpcopy": false, "test": false, "plugin_anything": false,
}

// losses is how an answer can be lost once the request went out.
var losses = map[string]func(f *fake) move{
	"hangs up":           func(*fake) move { return hangUp },
	"ends in the middle": func(*fake) move { return sayRaw("OK paths=1&pat") },
	"speaks HTTP":        func(*fake) move { return sayRaw("HTTP/1.1 400 Bad Request\r\n\r\n") },
	"never answers":      func(f *fake) move { return f.silence },
	"resets": func(*fake) move {
		return func(conn net.Conn, _ string) bool {
			_ = conn.(*net.TCPConn).SetLinger(0)
			return false
		}
	},
}

func TestALostAnswerIsOnlyAskedForAgainWhenThatIsSafe(t *testing.T) {
	for how, loss := range losses {
		t.Run(how, func(t *testing.T) {
			commands := handlers
			if how == "never answers" { // each costs a timeout
				commands = map[string]bool{"get_paths": true, "create_open": true, "create_close": false, "delete": false}
			}
			for command, repeatable := range commands {
				bad, good := newFake(t), newFake(t)
				bad.on(command, loss(bad))
				good.on(command, say("OK from=good"))
				c := newClient(t, addrs(bad, good), func(c *client.Config) {
					if how == "never answers" {
						impatient(c)
					}
				})
				values, err := c.Do(t.Context(), command, protocol.Pairs{})
				again := len(good.lines(""))
				switch {
				case len(bad.lines("")) != 1:
					t.Errorf("%s: the first tracker heard %q; want it once", command, bad.lines(""))
				case repeatable && (err != nil || values["from"] != "good" || again != 1):
					t.Errorf("%s: got %v, %v; want the other tracker's answer", command, values, err)
				case !repeatable && (!errors.Is(err, client.ErrLost) || again != 0):
					t.Errorf("%s: got %v, %v and asked the other %d times; want %v", command, values, err, again, client.ErrLost)
				}
				bad.stop()
				good.stop()
				c.Close()
			}
		})
	}
}

func TestAnAnswerWithoutAnEndIsGivenUp(t *testing.T) {
	bad, good := newFake(t), newFake(t)
	bad.on("list_keys", func(conn net.Conn, _ string) bool {
		chunk := []byte("OK " + strings.Repeat("x", 1<<20))
		for {
			if _, err := conn.Write(chunk); err != nil {
				return false
			}
		}
	})
	c := newClient(t, addrs(bad, good))
	if _, err := c.Do(t.Context(), "list_keys", protocol.Pairs{}); err != nil {
		t.Errorf("got %v; want the other tracker's answer", err)
	}
}

func TestARequestThatCertainlyWasNotCarriedOutGoesToTheNext(t *testing.T) {
	for command := range handlers {
		good := newFake(t)
		good.on(command, say("OK from=good"))
		c := newClient(t, []string{deadAddress(t), good.addr})
		values, err := c.Do(t.Context(), command, protocol.Pairs{})
		if err != nil || values["from"] != "good" {
			t.Errorf("%s: got %v, %v; want the other tracker's answer", command, values, err)
		}
	}
}

func TestOpeningWithAFIDIsNotRepeated(t *testing.T) {
	for fid, want := range map[string]bool{"": true, "0": true, "17": false} {
		bad, good := newFake(t), newFake(t)
		bad.on("create_open", hangUp)
		c := newClient(t, addrs(bad, good))
		var args protocol.Pairs
		args.Add("domain", "d")
		args.Add("fid", fid)
		_, err := c.Do(t.Context(), "create_open", args)
		if got := err == nil; got != want || errors.Is(err, client.ErrLost) == want {
			t.Errorf("fid %q: got %v; want repeated: %v", fid, err, want)
		}
	}
}

// The end of a connection that was idle may be older than the request, so the tracker is
// not blamed, and is asked on a new one.
func TestAConnectionThatEndedWhileIdleIsReplaced(t *testing.T) {
	f := newFake(t)
	c := newClient(t, addrs(f))
	for range 3 {
		if _, err := c.Do(t.Context(), "noop", protocol.Pairs{}); err != nil {
			t.Fatal(err)
		}
		f.dropAll()
		eventually(t, "end of the connection", func() bool { return f.open() == 0 })
		// Commands that can't be repeated too: the end is seen before they are sent.
		if _, err := c.Do(t.Context(), "delete", protocol.Pairs{}); err != nil {
			t.Errorf("got %v; want the request on another connection", err)
		}
		f.dropAll()
		eventually(t, "end of the connection", func() bool { return f.open() == 0 })
	}
	if got := len(f.lines("delete")); got != 3 {
		t.Errorf("got %d deletes; want 3", got)
	}
}

// A tracker may hang up on an idle connection just when a request is on its way.
func TestAConnectionThatEndsUnderARequestIsReplacedWhenThatIsSafe(t *testing.T) {
	for command, repeatable := range map[string]bool{"get_hosts": true, "delete": false} {
		f := newFake(t)
		f.on(command, hangUp, say("OK hosts=0"))
		c := newClient(t, addrs(f))
		if _, err := c.Do(t.Context(), "noop", protocol.Pairs{}); err != nil {
			t.Fatal(err)
		}
		_, err := c.Do(t.Context(), command, protocol.Pairs{})
		if (err == nil) != repeatable || errors.Is(err, client.ErrLost) == repeatable {
			t.Errorf("%s: got %v; want repeated: %v", command, err, repeatable)
		}
		// In neither case the tracker was left aside: no probe was needed.
		if _, err := c.Do(t.Context(), "file_info", protocol.Pairs{}); err != nil || len(f.lines("noop")) != 1 {
			t.Errorf("%s: afterwards got %v and %d noops; want no error and 1", command, err, len(f.lines("noop")))
		}
	}
}

func TestATrackerInTroubleIsPassedOverWhenThatIsSafe(t *testing.T) {
	for _, trouble := range []string{"ERR failure Operation+failed", "ERR db Database+error"} {
		bad, good := newFake(t), newFake(t)
		c := newClient(t, addrs(bad, good))
		for command, passedOver := range map[string]bool{"get_hosts": true, "delete": false} {
			bad.on(command, say(trouble))
			_, err := c.Do(t.Context(), command, protocol.Pairs{})
			var refused *protocol.Error
			if (err == nil) != passedOver || errors.As(err, &refused) == passedOver {
				t.Errorf("%s after %s: got %v; want passed over: %v", command, trouble, err, passedOver)
			}
			good.on(command, say(trouble))
			if _, err := c.Do(t.Context(), command, protocol.Pairs{}); !errors.As(err, &refused) {
				t.Errorf("%s when both answer %s: got %v; want that", command, trouble, err)
			}
		}
	}
}

func TestRefusalsComeBackAsTheyAre(t *testing.T) {
	f, other := newFake(t), newFake(t)
	f.on("get_paths", say("ERR unknown_key unknown_key"))
	f.on("set_state", say("ERR state_too_high Status+cannot+go"))
	c := newClient(t, addrs(f, other))
	_, err := c.Do(t.Context(), "get_paths", protocol.Pairs{})
	if !errors.Is(err, protocol.UnknownKey) {
		t.Errorf("got %v; want %v", err, protocol.UnknownKey)
	}
	_, err = c.Do(t.Context(), "set_state", protocol.Pairs{})
	var refused *protocol.Error
	if !errors.As(err, &refused) || refused.Code != protocol.StateTooHigh || refused.Text != "Status cannot go" {
		t.Errorf("got %v; want the code and the text", err)
	}
	if got := other.lines(""); len(got) > 0 {
		t.Errorf("the other tracker heard %q; want nothing", got)
	}
}

func TestWhatIsNoCommandIsNotSent(t *testing.T) {
	f := newFake(t)
	c := newClient(t, addrs(f))
	for _, command := range []string{"", "noop\r\ndelete", "!shutdown", "get paths", "a=b", "\xc3\x84"} {
		if _, err := c.Do(t.Context(), command, protocol.Pairs{}); err == nil {
			t.Errorf("%q: got no error; want one", command)
		}
	}
	if got := f.lines(""); len(got) > 0 {
		t.Errorf("the tracker heard %q; want nothing", got)
	}
}

func TestOneWhoCancelsLeavesAtOnce(t *testing.T) {
	f, other := newFake(t), newFake(t)
	f.on("get_hosts", f.silence)
	f.on("delete", f.silence)
	c := newClient(t, addrs(f, other))
	for command, want := range map[string]error{"get_hosts": context.Canceled, "delete": client.ErrLost} {
		ctx, cancel := context.WithCancel(t.Context())
		answered := make(chan error, 1)
		go func() {
			_, err := c.Do(ctx, command, protocol.Pairs{})
			answered <- err
		}()
		eventually(t, "request", func() bool { return len(f.lines(command)) == 1 })
		cancel()
		if err := <-answered; !errors.Is(err, want) {
			t.Errorf("%s: got %v; want %v", command, err, want)
		}
		if _, err := c.Do(ctx, command, protocol.Pairs{}); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrLost) {
			t.Errorf("%s, cancelled before: got %v; want %v", command, err, context.Canceled)
		}
	}
	// That the caller did not wait says nothing about the tracker.
	if _, err := c.Do(t.Context(), "file_info", protocol.Pairs{}); err != nil || len(other.lines("")) > 0 {
		t.Errorf("got %v, and the other tracker heard %q; want the first asked again", err, other.lines(""))
	}
}
