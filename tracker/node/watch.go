package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

const (
	// watchSilence is how long a stream may be silent. A block comes each second, and
	// the reference pauses for some when it starts its iostat anew.
	watchSilence = 30 * time.Second
	// watchPace lies between two blocks that are read. A node that sends more has to
	// wait, or to leave some out.
	watchPace = 250 * time.Millisecond
	// maxWatchLine and maxWatchLines bound a block: a line has a devid and a percentage,
	// and a host some dozens of devices.
	maxWatchLine  = 256
	maxWatchLines = 1000
)

// ErrNoStream: the node has no stream of utilisations for us now, or none that can be
// understood, and asking again soon would be in vain.
var ErrNoStream = errors.New("no stream of utilisations")

// Watch reads how busy the disks of a host are until the node ends that, or ctx is over;
// it never returns nil. tell is called with each block: the percentages as the node has
// them, "-" where it knows none. The map is the callee's. (docs/spec/storage-node.md §3.1)
//
// A node can hold up nobody: it is given up when it is silent, and when it says more, or
// something else, than such a stream has; blocks are read at a measured pace.
func (c *Client) Watch(ctx context.Context, ip string, tell func(map[mogile.DevID]string)) error {
	addr := mogile.HostAddr(ip, c.config.Management)
	conn, err := c.dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("watch: %w: %w", ErrNoStream, err)
	}
	defer conn.Close()
	// Closing ends every wait when ctx is over, whatever deadline is set meanwhile.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	err = c.watch(ctx, conn, tell)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("watch %s: %w", addr, err)
}

func (c *Client) watch(ctx context.Context, conn net.Conn, tell func(map[mogile.DevID]string)) error {
	_ = conn.SetDeadline(time.Now().Add(c.config.NodeTimeout))
	if _, err := io.WriteString(conn, "watch\n"); err != nil {
		return err
	}
	pace := time.NewTicker(watchPace)
	defer pace.Stop()
	for lines := bufio.NewReaderSize(conn, maxWatchLine); ; {
		// The whole block has to arrive in time: a line now and then is as good as none.
		_ = conn.SetDeadline(time.Now().Add(watchSilence))
		block, err := readBlock(lines)
		if err != nil {
			return err
		}
		tell(block)
		select {
		case <-pace.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// readBlock reads lines of a devid, a tab and a percentage up to a point. Other lines are
// passed over.
func readBlock(lines *bufio.Reader) (map[mogile.DevID]string, error) {
	block := map[mogile.DevID]string{}
	for range maxWatchLines {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("%w: a line has more than %d bytes", ErrNoStream, maxWatchLine)
		}
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if string(line) == "." {
			return block, nil
		}
		if bytes.HasPrefix(line, []byte("ERR ")) || bytes.HasPrefix(line, []byte("ERROR")) {
			return nil, fmt.Errorf("%w: the node says %q", ErrNoStream, line)
		}
		if dev, load, ok := parseLoad(string(line)); ok {
			block[dev] = load
		}
	}
	return nil, fmt.Errorf("%w: a block has more than %d lines", ErrNoStream, maxWatchLines)
}

// percentage is of a disk of which the system may say that it was busy longer than it was.
var percentage = regexp.MustCompile(`^(-|\d{1,6}(\.\d{1,6})?)$`)

// parseLoad reads a line of a block. A load is a percentage, or - for one that is not
// known; anything else would be told to clients as it is.
func parseLoad(line string) (mogile.DevID, string, bool) {
	words := strings.Fields(line)
	if len(words) != 2 {
		return 0, "", false
	}
	dev, err := mogile.ParseDevID(words[0])
	if err != nil {
		return 0, "", false
	}
	return dev, words[1], percentage.MatchString(words[1])
}
