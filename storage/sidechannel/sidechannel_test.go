package sidechannel_test

import (
	"bufio"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage/sidechannel"
)

func TestParse(t *testing.T) {
	const uri = "/dev1/0/000/000/0000000001.fid"
	for line, want := range map[string]sidechannel.Command{
		"":                            {Verb: sidechannel.Blank},
		"size " + uri:                 {Verb: sidechannel.Size, Word: "size", URI: uri},
		"MD5 " + uri:                  {Verb: sidechannel.Digest, Word: "MD5", URI: uri, Hash: mogile.HashMD5},
		"MD5 " + uri + " fsck":        {Verb: sidechannel.Digest, Word: "MD5", URI: uri, Hash: mogile.HashMD5, Fsck: true},
		"SHA-1 " + uri + " replicate": {Verb: sidechannel.Digest, Word: "SHA-1", URI: uri, Hash: mogile.HashSHA1},
		"watch":                       {Verb: sidechannel.Watch, Word: "watch"},
		"WATCH":                       {Verb: sidechannel.Watch, Word: "WATCH"},
		"server aio_threads = 10":     {Verb: sidechannel.Blank, Word: "server"},
		"SERVER AIO_THREADS=10":       {Verb: sidechannel.Blank, Word: "SERVER"},
		"aio_threads=10":              {Verb: sidechannel.Blank, Word: "aio_threads=10"},
		"size /dev1/../x":             {Verb: sidechannel.Traversal, Word: "size", URI: "/dev1/../x"},
		"MD5 /.. fsck":                {Verb: sidechannel.Traversal, Word: "MD5", URI: "/..", Hash: mogile.HashMD5, Fsck: true},
		"size":                        {Word: "size"},
		"size /a /b":                  {Word: "size"},
		"Size /a":                     {Word: "Size"},
		"md5 /a":                      {Word: "md5"},
		"MD5":                         {Word: "MD5"},
		"MD5 /a fs-ck":                {Word: "MD5"},
		"MD5 /a b c":                  {Word: "MD5"},
		"SHA1 /a":                     {Word: "SHA1"},
		"SHA-256 /a":                  {Word: "SHA-256"},
		"watch me":                    {Word: "watch"},
		"server aio_threads = many":   {Word: "server"},
		"shutdown":                    {Verb: sidechannel.Shutdown, Word: "shutdown"},
		"shutdown graceful":           {Verb: sidechannel.Shutdown, Word: "shutdown"},
		"shutdown now":                {Word: "shutdown"},
		"Shutdown":                    {Word: "Shutdown"},
		"version":                     {Word: "version"},
		"quit":                        {Word: "quit"},
	} {
		if got := sidechannel.Parse(line); got != want {
			t.Errorf("%q: got %+v; want %+v", line, got, want)
		}
	}
}

// node knows the file /a, one that breaks, and blocks for a watch.
type node struct {
	blocks  chan []byte
	stopped chan struct{}
	began   chan struct{} // tells of a digest that waits for its context
	ended   chan struct{} // takes word of a shutdown; nil when none is allowed
}

func (n node) Shutdown() bool {
	if n.ended == nil {
		return false
	}
	n.ended <- struct{}{}
	return true
}

func (node) Size(uri string) (int64, error) {
	if uri != "/a" {
		return 0, fs.ErrNotExist
	}
	return 5, nil
}

func (n node) Digest(ctx context.Context, uri string, hash mogile.HashType, fsck bool) (mogile.Checksum, error) {
	switch uri {
	case "/a":
		sum := md5.Sum([]byte("hello"))
		return mogile.Checksum{Type: hash, Sum: sum[:]}, nil
	case "/broken":
		return mogile.Checksum{}, fmt.Errorf("digest: %w", &sidechannel.ReadError{Offset: 42, Err: io.ErrUnexpectedEOF})
	case "/slow":
		close(n.began)
		<-ctx.Done()
		return mogile.Checksum{}, ctx.Err()
	}
	return mogile.Checksum{}, fs.ErrNotExist
}

func (n node) Watch() (<-chan []byte, func(), error) {
	if n.blocks == nil {
		return nil, nil, errors.New("no statistics")
	}
	return n.blocks, func() { close(n.stopped) }, nil
}

// session is the peer's end of a served connection.
type session struct {
	net.Conn
	in     *bufio.Reader
	cancel context.CancelFunc
	done   chan error
}

func serve(t *testing.T, n node) session {
	t.Helper()
	ours, theirs := net.Pipe()
	ours.SetDeadline(time.Now().Add(20 * time.Second)) // only ends a test that hangs
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- sidechannel.Serve(ctx, theirs, n)
		theirs.Close()
	}()
	t.Cleanup(func() { cancel(); ours.Close() })
	return session{ours, bufio.NewReader(ours), cancel, done}
}

func (s session) expect(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(s.in, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func TestAnswersComeInOrderHoweverLinesEnd(t *testing.T) {
	s := serve(t, node{})
	go io.WriteString(s, "size /a\r\nsize /b\nMD5 /a\nMD5 /b\r\nSHA-1 /b\n\nMD5 /broken\n\r\nnonsense here\nsize /a..\nmd5 /a\n"+
		"server aio_threads = 3\nsize /a\r\n")
	s.expect(t, "/a 5\r\n/b -1\r\n/a MD5=5d41402abc4b2a76b9719d911017c592\r\n/b MD5=-1\r\n/b SHA-1=-1\r\n\r\n"+
		"ERR read /broken at 42 failed\r\n\r\nERROR: unknown command: nonsense\r\nERROR: uri invalid (contains ..)\r\n"+
		"ERROR: unknown command: md5\r\n\r\n/a 5\r\n")
	s.Close()
	if err := <-s.done; err != nil {
		t.Errorf("end: got %v; want nil", err)
	}
}

func TestAnswerDoesNotWaitForALineThatIsNotComplete(t *testing.T) {
	s := serve(t, node{})
	if _, err := io.WriteString(s, "size /a\nsi"); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "/a 5\r\n")
	if _, err := io.WriteString(s, "ze /b\n"); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "/b -1\r\n")
}

func TestShutdownHasNoAnswerWhereItIsAllowed(t *testing.T) {
	for _, line := range []string{"shutdown", "shutdown graceful"} {
		n := node{ended: make(chan struct{}, 1)}
		s := serve(t, n)
		go io.WriteString(s, "size /a\n"+line+"\nsize /a\n")
		s.expect(t, "/a 5\r\n")
		if b, err := io.ReadAll(s.in); len(b) != 0 || err != nil {
			t.Errorf("%s: got %q, %v; want the end", line, b, err)
		}
		if err := <-s.done; err != nil || len(n.ended) != 1 {
			t.Errorf("%s: got %v, and %d words of it; want nil and one", line, err, len(n.ended))
		}
	}
	s := serve(t, node{})
	go io.WriteString(s, "shutdown graceful\nsize /a\n")
	s.expect(t, "ERROR: unknown command: shutdown\r\n/a 5\r\n")
}

func TestAPeerThatDoesNotReadIsDropped(t *testing.T) {
	for _, line := range []string{"watch\n", "size /a\n"} {
		synctest.Test(t, func(t *testing.T) {
			n := node{blocks: make(chan []byte), stopped: make(chan struct{})}
			ours, theirs := net.Pipe() // has no buffer: nothing is taken before it is read
			defer ours.Close()
			done := make(chan error, 1)
			go func() { done <- sidechannel.Serve(t.Context(), theirs, n) }()
			io.WriteString(ours, line)
			start := time.Now()
			if line == "watch\n" {
				n.blocks <- []byte(".\n")
			}
			if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) > 10*time.Minute {
				t.Errorf("%q: got %v after %v; want a deadline", line, err, time.Since(start))
			}
		})
	}
}

func TestTooLongALineEndsTheConnection(t *testing.T) {
	s := serve(t, node{})
	go io.WriteString(s, "size /a\n"+strings.Repeat("x", 1<<20))
	s.expect(t, "/a 5\r\n")
	if _, err := s.in.ReadByte(); err == nil {
		t.Error("got more; want the end")
	}
	if err := <-s.done; !errors.Is(err, bufio.ErrBufferFull) {
		t.Errorf("end: got %v; want that the line does not fit", err)
	}
}

func TestWatchStreamsUntilThePeerIsGone(t *testing.T) {
	n := node{blocks: make(chan []byte), stopped: make(chan struct{})}
	s := serve(t, n)
	if _, err := io.WriteString(s, "watch\n"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		n.blocks <- []byte("1\t2.50\n.\n")
		s.expect(t, "1\t2.50\n.\n")
	}
	s.Close()
	n.blocks <- []byte(".\n")
	<-n.stopped
	if err := <-s.done; err == nil {
		t.Error("end: got nil; want the error of writing")
	}
}

func TestWatchEndsWithTheNode(t *testing.T) {
	n := node{blocks: make(chan []byte), stopped: make(chan struct{})}
	s := serve(t, n)
	if _, err := io.WriteString(s, "watch\n"); err != nil {
		t.Fatal(err)
	}
	s.cancel()
	<-n.stopped
	if err := <-s.done; !errors.Is(err, context.Canceled) {
		t.Errorf("end: got %v; want canceled", err)
	}
}

func TestWatchWithoutStatisticsIsAnError(t *testing.T) {
	s := serve(t, node{})
	if _, err := io.WriteString(s, "watch\n"); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "ERR iostat unavailable\r\n")
	if err := <-s.done; err != nil {
		t.Errorf("end: got %v; want nil", err)
	}
}

func TestEarlierAnswersDoNotWaitForADigest(t *testing.T) {
	n := node{began: make(chan struct{})}
	s := serve(t, n)
	go io.WriteString(s, "size /a\nMD5 /slow\n")
	s.expect(t, "/a 5\r\n")
	<-n.began
	s.cancel()
	if b, err := io.ReadAll(s.in); len(b) != 0 || err != nil {
		t.Errorf("after the end: got %q, %v; want no answer, least of all that the file is missing", b, err)
	}
}

func TestBlockIsSortedAndBounded(t *testing.T) {
	load := func(dev mogile.DevID, busy time.Duration) sidechannel.Load {
		return sidechannel.Load{Dev: dev, Busy: busy, Interval: time.Second, Known: true}
	}
	got := string(sidechannel.Block([]sidechannel.Load{
		load(10, 68*time.Millisecond), {Dev: 2, Interval: time.Second}, load(3, 0),
		load(4, 1001*time.Millisecond), load(5, -time.Second), {Dev: 6, Known: true},
	}))
	want := "2\t-\n3\t0.00\n4\t100.00\n5\t0.00\n6\t-\n10\t6.80\n.\n"
	if got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

// FuzzLine sends any bytes: each line must get one answer of known form, and the
// connection must end with its input.
func FuzzLine(f *testing.F) {
	for _, line := range []string{"size /a", "MD5 /a fsck", "SHA-1 /b\r", "", "x\ny", "size /..", "aio_threads=1", "\xff\x00 a"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "/slow") {
			return
		}
		var out strings.Builder
		err := sidechannel.Serve(t.Context(), struct {
			io.Reader
			io.Writer
		}{strings.NewReader(text + "\n"), &out}, node{})
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			t.Errorf("%q: %v", text, err)
		}
		answers := strings.Count(out.String(), "\n")
		if lines := strings.Count(text, "\n") + 1; answers > lines {
			t.Errorf("%q: got %d answers; want at most %d", text, answers, lines)
		}
		if answers != strings.Count(out.String(), "\r\n") {
			t.Errorf("%q: got %q; want every answer to end in CRLF", text, out.String())
		}
	})
}
