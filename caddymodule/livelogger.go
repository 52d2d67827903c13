package caddymodule

import (
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// liveLogger is a logger for parts that outlive a config: what it logs goes where
// the newest running config that uses the part sends its logs.
type liveLogger struct {
	*zap.Logger
	current *atomic.Pointer[zap.Logger]

	mu   sync.Mutex // guards logs
	logs []*zap.Logger
}

func newLiveLogger() *liveLogger {
	current := new(atomic.Pointer[zap.Logger])
	current.Store(zap.NewNop())
	return &liveLogger{Logger: zap.New(liveCore{current: current}), current: current}
}

// use sends further logs to log until end is called: then to that of the newest
// config left. So a config that fails to start takes no logs along, and its files
// may be closed. The last logger stays for what is said while the part closes.
func (l *liveLogger) use(log *zap.Logger) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs = append(l.logs, log)
	l.current.Store(log)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.logs, log); i >= 0 {
			l.logs = slices.Delete(l.logs, i, i+1)
		}
		if n := len(l.logs); n > 0 {
			l.current.Store(l.logs[n-1])
		}
	}
}

// liveCore asks the current logger anew for every entry.
type liveCore struct {
	current *atomic.Pointer[zap.Logger]
	fields  []zapcore.Field
}

func (c liveCore) Enabled(level zapcore.Level) bool { return c.current.Load().Core().Enabled(level) }

func (c liveCore) With(fields []zapcore.Field) zapcore.Core {
	return liveCore{current: c.current, fields: slices.Concat(c.fields, fields)}
}

// Check asks the current core's own Check, where Caddy filters by logger name.
func (c liveCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.current.Load().Core().Check(c.named(e), nil) == nil {
		return ce
	}
	return ce.AddCore(e, c)
}

func (c liveCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return c.current.Load().Core().Write(c.named(e), slices.Concat(c.fields, fields))
}

func (c liveCore) Sync() error { return c.current.Load().Core().Sync() }

// named puts the config's logger name before the part's own.
func (c liveCore) named(e zapcore.Entry) zapcore.Entry {
	switch name := c.current.Load().Name(); {
	case e.LoggerName == "":
		e.LoggerName = name
	case name != "":
		e.LoggerName = name + "." + e.LoggerName
	}
	return e
}
