package sidechannel

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Node is what is asked of the storage node. Its methods are called by many
// goroutines.
type Node interface {
	// Size is a file's length; any error means it can't be looked at.
	Size(uri string) (int64, error)
	// Digest reads a whole file. With fsck set it waits for its turn on the
	// device. A failure after the file was opened is a *[ReadError].
	Digest(ctx context.Context, uri string, hash mogile.HashType, fsck bool) (mogile.Checksum, error)
	// Watch returns a channel of [Block] texts and a function that ends it, to be
	// called once. A reader that is late misses blocks. It fails when the system
	// does not tell about its disks.
	Watch() (blocks <-chan []byte, stop func(), err error)
	// Shutdown begins to end the node, if it may be ended from here, and reports
	// whether it does. It must not wait for connections to end.
	Shutdown() bool
}

// maxLineLen bounds a line: a path has some forty bytes, the longest a node accepts
// a few hundred. A longer line ends the connection.
const maxLineLen = 4096

// answerTimeout bounds the wait for a peer that does not take its answer, or its block. A
// peer that is silent may stay as long as it likes.
const answerTimeout = 2 * time.Minute

// Serve answers a connection until its peer ends it, does not take what it asked for, a
// line is too long, or ctx ends. It does not close conn; whoever ends ctx must, to wake it
// from reading.
func Serve(ctx context.Context, conn io.ReadWriter, node Node) error {
	s := session{
		node: node,
		in:   bufio.NewReaderSize(conn, maxLineLen),
		out:  bufio.NewWriter(impatient{conn}),
	}
	if err := s.run(ctx); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("serve side channel: %w", err)
	}
	return nil
}

// impatient gives up writing to a peer that does not read, when the connection can.
type impatient struct{ conn io.Writer }

func (w impatient) Write(p []byte) (int, error) {
	if c, ok := w.conn.(interface{ SetWriteDeadline(time.Time) error }); ok {
		if err := c.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
			return 0, err
		}
	}
	return w.conn.Write(p)
}

type session struct {
	node Node
	in   *bufio.Reader
	out  *bufio.Writer
}

// run ends with an error always; io.EOF is the good one. Once ctx has ended nothing
// more is flushed: a digest that was cut short must not be told as -1, a missing file.
func (s *session) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if !s.lineWaiting() {
			if err := s.out.Flush(); err != nil {
				return err
			}
		}
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return errors.Join(err, s.out.Flush())
		}
		c := Parse(strings.TrimSuffix(string(line[:len(line)-1]), "\r"))
		if c.Verb == Watch {
			return s.watch(ctx)
		}
		if err := s.answer(ctx, c); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// lineWaiting reports whether a pipelined line can be read without waiting for the
// peer, who in turn may wait for the answers that are still buffered.
func (s *session) lineWaiting() bool {
	buffered, err := s.in.Peek(s.in.Buffered())
	return err == nil && bytes.IndexByte(buffered, '\n') >= 0
}

func (s *session) answer(ctx context.Context, c Command) error {
	switch c.Verb {
	case Size:
		size, err := s.node.Size(c.URI)
		return s.write(SizeAnswer(c.URI, size, err))
	case Digest:
		// A digest takes its time; earlier answers must not wait for it.
		if err := s.out.Flush(); err != nil {
			return err
		}
		sum, err := s.node.Digest(ctx, c.URI, c.Hash, c.Fsck)
		return s.write(DigestAnswer(c, sum, err))
	case Shutdown:
		if s.node.Shutdown() {
			return errors.Join(s.out.Flush(), io.EOF) // there is no answer to it
		}
	}
	return s.write(refusal(c))
}

// watch writes blocks and reads no more: a peer that is gone shows when writing.
func (s *session) watch(ctx context.Context) error {
	blocks, stop, err := s.node.Watch()
	if err != nil {
		return errors.Join(s.write("ERR iostat unavailable"+lineEnd), s.out.Flush(), io.EOF)
	}
	defer stop()
	for {
		if err := s.out.Flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case block := <-blocks:
			if err := s.write(string(block)); err != nil {
				return err
			}
		}
	}
}

func (s *session) write(text string) error {
	_, err := s.out.WriteString(text)
	return err
}
