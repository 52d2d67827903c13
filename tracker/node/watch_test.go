package node_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

// streams is a side channel that says what it is told to after it was asked to watch,
// and then hangs up, or not.
func streams(t *testing.T, text string, hangUp bool) *node.Client {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		asked := make([]byte, len("watch\n"))
		if _, err := io.ReadFull(conn, asked); err != nil || string(asked) != "watch\n" {
			t.Errorf("got asked %q (%v); want watch", asked, err)
			return
		}
		if _, err := io.WriteString(conn, text); err == nil && !hangUp {
			_, _ = conn.Read(asked) // until the other side hangs up
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return newClient(t, node.Config{Management: uint16(ln.Addr().(*net.TCPAddr).Port)})
}

// watched is the blocks of a stream that ends, and how it did.
func watched(t *testing.T, text string) (blocks []map[mogile.DevID]string, err error) {
	t.Helper()
	err = streams(t, text, true).Watch(t.Context(), "127.0.0.1", func(b map[mogile.DevID]string) { blocks = append(blocks, b) })
	return blocks, err
}

func TestWatchTellsEachBlock(t *testing.T) {
	blocks, err := watched(t, "1\t6.80\n12\t-\n.\n1\t100.00\r\n12\t7\r\n.\r\n3\t1")
	want := []map[mogile.DevID]string{{1: "6.80", 12: "-"}, {1: "100.00", 12: "7"}}
	if len(blocks) != 2 || !maps.Equal(blocks[0], want[0]) || !maps.Equal(blocks[1], want[1]) {
		t.Errorf("got %v; want %v", blocks, want)
	}
	if err == nil || errors.Is(err, node.ErrNoStream) {
		t.Errorf("got error %v; want one that says the stream was cut", err)
	}
}

func TestWatchPassesOverWhatItDoesNotUnderstand(t *testing.T) {
	blocks, _ := watched(t, "\nhello\n0\t5\n1\tNaN\n2\t-5\n3\t1e3\n4\tx&y=z\n5\t1\t2\n99999999999\t1\n6\t3.5\n.\n")
	if len(blocks) != 1 || !maps.Equal(blocks[0], map[mogile.DevID]string{6: "3.5"}) {
		t.Errorf("got %v; want device 6 alone", blocks)
	}
}

func TestWatchGivesUpNodesWithoutAStream(t *testing.T) {
	for name, text := range map[string]string{
		"one that has no iostat":   "ERR iostat unavailable\r\n",
		"one that knows no watch":  "ERROR: unknown command: watch\r\n",
		"a line without end":       strings.Repeat("1", 300),
		"a block without end":      strings.Repeat("1\t5\n", 2000),
		"a block of empty lines":   strings.Repeat("\n", 2000),
		"an error after one block": "1\t5\n.\nERR iostat died\n",
	} {
		if _, err := watched(t, text); !errors.Is(err, node.ErrNoStream) {
			t.Errorf("%s: got error %v; want %v", name, err, node.ErrNoStream)
		}
	}
	err := newClient(t, node.Config{}).Watch(t.Context(), "127.0.0.1", nil)
	if !errors.Is(err, node.ErrNoStream) {
		t.Errorf("nobody listens: got error %v; want %v", err, node.ErrNoStream)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	for name, text := range map[string]string{"a silent node": "", "one in the middle of a block": "1\t5\n"} {
		ctx, end := context.WithCancelCause(t.Context())
		over := errors.New("over")
		time.AfterFunc(20*time.Millisecond, func() { end(over) })
		if err := streams(t, text, false).Watch(ctx, "127.0.0.1", nil); !errors.Is(err, over) {
			t.Errorf("%s: got error %v; want %v", name, err, over)
		}
	}
}

// A node that sends as fast as it can is read from a few times a second.
func TestWatchReadsAtAPace(t *testing.T) {
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, "1\t%d\n.\n", i)
	}
	ctx, end := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer end()
	blocks := 0
	err := streams(t, text.String(), false).Watch(ctx, "127.0.0.1", func(map[mogile.DevID]string) { blocks++ })
	if blocks == 0 || blocks > 4 || err == nil {
		t.Errorf("got %d blocks within 0.7s, and %v; want one each quarter of a second", blocks, err)
	}
}
