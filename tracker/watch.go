package tracker

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// keptForWatcher is how many lines of the log wait for a client that watches it;
	// what it is too slow for is lost to it.
	keptForWatcher = 256
	// maxWatched is how much of a line it is shown.
	maxWatched = 4 << 10
)

// watchers is the clients that watch the log.
type watchers struct {
	any atomic.Bool // there are some; set under mu

	mu  sync.Mutex // guards all
	all map[*watcher]struct{}
}

// watcher is one of them.
type watcher struct {
	lines chan []byte // each whole, as it is sent
	lost  atomic.Int64
	gone  chan struct{} // closed when it watches no longer
}

func newWatchers() *watchers { return &watchers{all: map[*watcher]struct{}{}} }

func (w *watchers) add() *watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := &watcher{lines: make(chan []byte, keptForWatcher), gone: make(chan struct{})}
	w.all[one] = struct{}{}
	w.any.Store(true)
	return one
}

func (w *watchers) remove(one *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, one)
	w.any.Store(len(w.all) > 0)
	close(one.gone)
}

// show hands a line to all and waits for none.
func (w *watchers) show(line []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all {
		select {
		case one.lines <- line:
		default:
			one.lost.Add(1)
		}
	}
}

// tap makes a logger whose lines the watchers see too.
func (w *watchers) tap(log *zap.Logger) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
		MessageKey: "text", LevelKey: "level", EncodeLevel: zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.StringDurationEncoder, ConsoleSeparator: " ", SkipLineEnding: true,
	})
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewTee(core, watchedCore{watchers: w, encoder: encoder})
	}))
}

// watchedCore writes :: text (docs/spec/tracker-protocol.md §9), and before the text of
// a job its name and process, as the peer does. It has no debugging lines: one of those
// can be about the very client that watches.
type watchedCore struct {
	watchers *watchers
	encoder  zapcore.Encoder
	job      string
}

// Enabled implements [zapcore.Core].
func (c watchedCore) Enabled(level zapcore.Level) bool {
	return level >= zapcore.InfoLevel && c.watchers.any.Load()
}

// With implements [zapcore.Core].
func (c watchedCore) With(fields []zapcore.Field) zapcore.Core {
	c.encoder = c.encoder.Clone()
	for _, f := range fields {
		if f.Key == "job" && f.Type == zapcore.StringType {
			c.job = fmt.Sprintf("[%s(%d)] ", f.String, os.Getpid())
			continue
		}
		f.AddTo(c.encoder)
	}
	return c
}

// Check implements [zapcore.Core].
func (c watchedCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements [zapcore.Core].
func (c watchedCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	text, err := c.encoder.EncodeEntry(e, fields)
	if err != nil {
		return fmt.Errorf("show the log to watchers: %w", err)
	}
	defer text.Free()
	c.watchers.show(watchedLine(c.job, text.Bytes()))
	return nil
}

// Sync implements [zapcore.Core].
func (c watchedCore) Sync() error { return nil }

// watchedLine is one line, whatever is in the text.
func watchedLine(job string, text []byte) []byte {
	text = bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, text)
	return slices.Concat([]byte(":: "+job), text[:min(len(text), maxWatched)], []byte("\r\n"))
}

// watch shows the log to the client, beside the answers it goes on getting. Lines are
// kept for it since the watcher was added, before it was answered so.
func (c *conversation) watch() {
	w := c.watcher
	c.served.Go(func() {
		for {
			select {
			case line := <-w.lines:
				if n := w.lost.Swap(0); n > 0 {
					line = slices.Concat(line, fmt.Appendf(nil, ":: (%d lines lost)\r\n", n))
				}
				if !c.write(line) {
					return
				}
			case <-w.gone:
				return
			}
		}
	})
}

// unwatch ends that, if it goes on.
func (c *conversation) unwatch() {
	if c.watcher != nil {
		c.watchers.remove(c.watcher)
		c.watcher = nil
	}
}
