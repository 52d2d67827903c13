package caddymodule

import (
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// liveLogger is a logger for parts that outlive a config: what it logs goes where
// the newest config that uses the part sends its logs.
type liveLogger struct {
	*zap.Logger
	current *atomic.Pointer[zap.Logger]
}

func newLiveLogger() *liveLogger {
	current := new(atomic.Pointer[zap.Logger])
	current.Store(zap.NewNop())
	return &liveLogger{Logger: zap.New(liveCore{current: current}), current: current}
}

// use sends further logs to log.
func (l *liveLogger) use(log *zap.Logger) { l.current.Store(log) }

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
