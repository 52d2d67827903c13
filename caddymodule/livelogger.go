package caddymodule

import (
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// liveLogger is a logger for parts that outlive a config: what it logs goes where
// the newest running config that uses the part sends its logs. So a config that fails
// to start takes no logs along, and its files may be closed.
type liveLogger struct {
	*zap.Logger
	logs *newest[zap.Logger]
}

func newLiveLogger() *liveLogger {
	logs := new(newest[zap.Logger])
	logs.use(zap.NewNop())() // stays until there is a config
	return &liveLogger{Logger: zap.New(liveCore{logs: logs}), logs: logs}
}

// use sends further logs to log until end is called.
func (l *liveLogger) use(log *zap.Logger) (end func()) { return l.logs.use(log) }

// liveCore asks the newest logger anew for every entry.
type liveCore struct {
	logs   *newest[zap.Logger]
	fields []zapcore.Field
}

func (c liveCore) Enabled(level zapcore.Level) bool { return c.logs.get().Core().Enabled(level) }

func (c liveCore) With(fields []zapcore.Field) zapcore.Core {
	return liveCore{logs: c.logs, fields: slices.Concat(c.fields, fields)}
}

// Check asks the current core's own Check, where Caddy filters by logger name.
func (c liveCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.logs.get().Core().Check(c.named(e), nil) == nil {
		return ce
	}
	return ce.AddCore(e, c)
}

func (c liveCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return c.logs.get().Core().Write(c.named(e), slices.Concat(c.fields, fields))
}

func (c liveCore) Sync() error { return c.logs.get().Core().Sync() }

// named puts the config's logger name before the part's own.
func (c liveCore) named(e zapcore.Entry) zapcore.Entry {
	switch name := c.logs.get().Name(); {
	case e.LoggerName == "":
		e.LoggerName = name
	case name != "":
		e.LoggerName = name + "." + e.LoggerName
	}
	return e
}
