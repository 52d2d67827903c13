package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// many is the connections that throughput is measured with, few those for which
	// an answer should come soon.
	many = 64
	few  = 8
	// linesEach is how many lines of a connection are prepared; they are then
	// repeated.
	linesEach = 2000
	// doomedEach is how many files a measurement may delete. One that is through with
	// them ends before its time.
	doomedEach = 20_000
)

// task is work for a tracker.
type task struct {
	name        string
	connections int
	// reference is how many MogileFS-Server 2.73 does in a second, aim how many are
	// to be done; both 0 where the latency counts.
	reference, aim float64
	// job is what the work leaves for later, which is done beside it; it rests while
	// something else is measured. Optional.
	job string
	// databaseless work is the same on every database.
	databaseless bool
	measure      func(ctx context.Context, i *installation, d time.Duration) (outcome, error)
}

// tasks in the order in which they leave the least behind for the next. The figures of
// the reference are of 64 connections on the same kind of machine.
func tasks() []task {
	paths, verified := "get_paths domain=images&noverify=1&key=%s", "get_paths domain=images&key=%s"
	return []task{
		{name: "noop", connections: many, reference: 11_000, aim: 100_000, databaseless: true, measure: noop},
		{name: "get_paths noverify=1", connections: many, reference: 1550, aim: 12_000, measure: onPictures(many, paths)},
		{name: "get_paths", connections: many, reference: 700, aim: 6000, measure: onPictures(many, verified)},
		{name: "file_info", connections: many, reference: 2400, aim: 15_000, measure: onPictures(many, "file_info domain=images&key=%s")},
		{name: "get_paths noverify=1", connections: few, measure: onPictures(few, paths)},
		{name: "get_paths", connections: few, measure: onPictures(few, verified)},
		{
			name: "create_open, PUT 4 KiB, create_close", connections: many, reference: 230, aim: 1500, job: "replicate",
			measure: func(ctx context.Context, i *installation, d time.Duration) (outcome, error) {
				return i.uploads(ctx, many, d)
			},
		},
		{name: "delete", connections: many, reference: 1590, aim: 4000, job: "delete", measure: deletions},
	}
}

func noop(ctx context.Context, i *installation, d time.Duration) (outcome, error) {
	scripts := make([]script, many)
	for n := range scripts {
		scripts[n].lines = [][]byte{[]byte("noop\r\n")}
	}
	return talk(ctx, i.tracker, scripts, d)
}

// onPictures says a line about random pictures, but those at the end: behind them there
// would not be enough to list.
func onPictures(connections int, format string) func(context.Context, *installation, time.Duration) (outcome, error) {
	return func(ctx context.Context, i *installation, d time.Duration) (outcome, error) {
		scripts := make([]script, connections)
		for n := range scripts {
			scripts[n].lines = make([][]byte, linesEach)
			for l := range linesEach {
				key := i.pictures.key(i.pictures.first + rand.IntN(i.pictures.count()-listed))
				scripts[n].lines[l] = fmt.Appendf(nil, format+"\r\n", key)
			}
		}
		return talk(ctx, i.tracker, scripts, d)
	}
}

// deletions deletes doomed files; each can be deleted once only.
func deletions(ctx context.Context, i *installation, d time.Duration) (outcome, error) {
	first := i.doomed.first
	i.doomed.first = min(first+doomedEach, i.doomed.last+1)
	scripts := make([]script, many)
	for fid := first; fid < i.doomed.first; fid++ {
		s := &scripts[fid%many]
		s.once = true
		s.lines = append(s.lines, fmt.Appendf(nil, "delete domain=images&key=%s\r\n", i.doomed.key(fid)))
	}
	return talk(ctx, i.tracker, scripts, d)
}
