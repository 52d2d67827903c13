package storage

import (
	"context"
	"io"
	"math"
	"sync"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage/background"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// turns lets one digest for fsck at a time read a file system: a tracker asks for many,
// and they must not starve the readers. Several devices may be on one file system. The
// zero value is ready.
type turns struct {
	mu sync.Mutex // guards of
	of map[uint64]chan struct{}
}

// at returns the channel whose one element is the turn.
func (ts *turns) at(fileSystem uint64) chan struct{} {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.of == nil {
		ts.of = make(map[uint64]chan struct{})
	}
	turn, ok := ts.of[fileSystem]
	if !ok {
		turn = make(chan struct{}, 1)
		ts.of[fileSystem] = turn
	}
	return turn
}

// fsckDigest waits for its turn, and then lets others read first, and keep in memory what they
// read. Where file systems can't
// be told apart, all share one turn.
func (n *Node) fsckDigest(ctx context.Context, f disk.Reader, hash mogile.HashType) (sum mogile.Checksum, err error) {
	fileSystem, err := disk.FileSystemOf(f)
	if err != nil {
		fileSystem = 0
	}
	turn := n.fsck.at(fileSystem)
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return mogile.Checksum{}, ctx.Err()
	}
	from := io.Reader(io.NewSectionReader(f, 0, math.MaxInt64))
	if file := f.Bare(); file != nil {
		from = background.Once(file)
	}
	background.AtLowPriority(func() { sum, err = n.digest(ctx, from, hash) })
	return sum, err
}
